//! Windows while samples are counted in, and what is asked for ahead of the count.

use crate::error::CoreError;
use crate::header::Header;
use crate::push::{Follower, Window};
use crate::sample::Sample;
use crate::window::Pushed;
use engine_memory::prefetch;

/// How many rows ahead the samples of a window are asked for, and half of how many its header is.
/// A miss takes about as long as sixteen updates; `bench/core/window.rs` shows the neighbours.
const AHEAD: usize = 16;

/// Windows for a change: all of them, or those of neighbouring slots, counted from the first of these.
pub(crate) struct Part<'a> {
    pub(crate) capacity: usize,
    pub(crate) headers: &'a mut [Header],
    pub(crate) rings: &'a mut [Sample],
}

impl Part<'_> {
    #[inline]
    pub(crate) fn window<F: Follower>(
        &mut self,
        slot: usize,
        follower: F,
    ) -> Option<Window<'_, F>> {
        let header = self.headers.get_mut(slot)?;
        let ring = self.rings.get_mut(slot * self.capacity..)?;
        Some(Window {
            header,
            ring: ring.get_mut(..self.capacity)?,
            follower,
        })
    }

    #[inline]
    pub(crate) fn push(
        &mut self,
        slot: usize,
        sample: Sample,
        follower: impl Follower,
    ) -> Result<Pushed, CoreError> {
        sample.check()?;
        let slots = self.headers.len();
        let window = self.window(slot, follower);
        let mut window = window.ok_or(CoreError::UnknownSlot { slots, found: slot })?;
        Ok(window.push(sample))
    }

    /// See `Windows::push_all`.
    #[inline]
    pub(crate) fn push_all<R>(
        &mut self,
        rows: &[R],
        read: impl Fn(&R) -> (usize, Sample),
        mut became: impl FnMut(usize, Sample, Result<Pushed, CoreError>),
    ) {
        for row in rows.iter().take(2 * AHEAD) {
            self.fetch_header(read(row).0);
        }
        for row in rows.iter().take(AHEAD) {
            self.fetch_samples(read(row).0);
        }
        for (index, row) in rows.iter().enumerate() {
            if let Some(later) = rows.get(index + 2 * AHEAD) {
                self.fetch_header(read(later).0);
            }
            if let Some(later) = rows.get(index + AHEAD) {
                self.fetch_samples(read(later).0);
            }
            let (slot, sample) = read(row);
            // What nearly always comes about is told apart first: of it `became` needs no branch.
            let is_newest = sample.check().is_ok()
                && self
                    .window(slot, ())
                    .is_some_and(|mut window| window.push_newest(sample));
            if is_newest {
                became(slot, sample, Ok(Pushed::Accepted));
            } else {
                let pushed = self.push(slot, sample, ());
                became(slot, sample, pushed);
            }
        }
    }

    #[inline]
    fn fetch_header(&self, slot: usize) {
        prefetch(self.headers, slot);
    }

    #[inline]
    fn fetch_samples(&self, slot: usize) {
        if let Some(header) = self.headers.get(slot) {
            let ring = self.rings.get(slot * self.capacity..).unwrap_or_default();
            fetch_samples(header, ring);
        }
    }
}

/// Asks for the sample that a push overwrites, and for the newest, mostly in the same line: to ask
/// twice costs less than to guess when.
#[inline]
pub(crate) fn fetch_samples(header: &Header, ring: &[Sample]) {
    let head = header.head();
    prefetch(ring, head);
    prefetch(ring, head.wrapping_sub(1));
}
