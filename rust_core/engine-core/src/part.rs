//! A stretch of windows while samples are counted in: all of them, or one thread's share.

use crate::error::CoreError;
use crate::header::Header;
use crate::push::{Follower, Window};
use crate::sample::Sample;
use crate::window::Pushed;
use engine_memory::prefetch;

/// How many rows ahead the samples of a window are asked for, and half of how many its header is.
/// A miss takes about as long as sixteen updates; `bench/core/window.rs` shows the neighbours.
const AHEAD: usize = 16;

/// The windows of the slots from `first` on.
pub(crate) struct Part<'a> {
    pub(crate) first: usize,
    pub(crate) capacity: usize,
    pub(crate) headers: &'a mut [Header],
    pub(crate) rings: &'a mut [Sample],
}

impl<'a> Part<'a> {
    /// Cuts off the windows of the slots before one; what is left begins with that.
    pub(crate) fn split_before(&mut self, slot: usize) -> Part<'a> {
        let count = slot.saturating_sub(self.first).min(self.headers.len());
        let (headers, left) = std::mem::take(&mut self.headers).split_at_mut(count);
        let rings = std::mem::take(&mut self.rings);
        let (rings, rings_left) = rings.split_at_mut((count * self.capacity).min(rings.len()));
        let first = std::mem::replace(&mut self.first, slot);
        (self.headers, self.rings) = (left, rings_left);
        Part {
            first,
            capacity: self.capacity,
            headers,
            rings,
        }
    }

    #[inline]
    pub(crate) fn window<F: Follower>(
        &mut self,
        slot: usize,
        follower: F,
    ) -> Option<Window<'_, F>> {
        let at = slot.wrapping_sub(self.first);
        let header = self.headers.get_mut(at)?;
        let ring = self.rings.get_mut(at * self.capacity..)?;
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
        let slots = self.first + self.headers.len();
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
            became(slot, sample, self.push(slot, sample, ()));
        }
    }

    #[inline]
    fn fetch_header(&self, slot: usize) {
        prefetch(self.headers, slot.wrapping_sub(self.first));
    }

    #[inline]
    fn fetch_samples(&self, slot: usize) {
        let at = slot.wrapping_sub(self.first);
        if let Some(header) = self.headers.get(at) {
            let ring = self.rings.get(at * self.capacity..).unwrap_or_default();
            fetch_samples(header, ring);
        }
    }
}

/// Asks for the sample that a push overwrites, and for the newest, where that lies in another line.
#[inline]
pub(crate) fn fetch_samples(header: &Header, ring: &[Sample]) {
    let head = header.head();
    prefetch(ring, head);
    if head.is_multiple_of(4) {
        prefetch(ring, head.wrapping_sub(1));
    }
}
