//! Receipts: what reports said that their samples have no room for, kept at the same places.

use crate::header::Header;
use crate::ledger::Account;
use crate::push::{Follower, slices};
use crate::sample::Sample;
use crate::window::Windows;
use engine_memory::{prefetch, reserve_huge};

/// What a report said that its window does not keep, in six bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rest {
    impressions: [u16; 2], // the lower half first: a `u32` would be padded to eight bytes
    spend_micros: u16,
}

impl Rest {
    /// Returns the rest of a report that was shown so many times, with spend below one unit.
    #[must_use]
    pub const fn new(impressions: u32, spend_micros: u16) -> Self {
        #[allow(clippy::cast_possible_truncation)] // cut in its two halves
        let impressions = [impressions as u16, (impressions >> 16) as u16];
        Self {
            impressions,
            spend_micros,
        }
    }

    /// Returns how many times it was shown.
    #[must_use]
    pub fn impressions(self) -> u32 {
        let [low, high] = self.impressions;
        u32::from(low) | u32::from(high) << 16
    }

    /// Returns its spend below one unit.
    #[must_use]
    pub const fn spend_micros(self) -> u16 {
        self.spend_micros
    }
}

impl Rest {
    /// Returns the six bytes of the rest: three little-endian `u16`.
    pub(crate) fn to_bytes(self) -> [u8; 6] {
        let [low, high] = self.impressions;
        let mut bytes = [0; 6];
        let (places, _) = bytes.as_chunks_mut();
        for (place, word) in places.iter_mut().zip([low, high, self.spend_micros]) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// Returns the rest that six bytes hold.
    pub(crate) fn from_bytes(bytes: [u8; 6]) -> Self {
        let mut words = [0; 3];
        for (word, &pair) in words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u16::from_le_bytes(pair);
        }
        let [low, high, spend_micros] = words;
        Self {
            impressions: [low, high],
            spend_micros,
        }
    }
}

/// A whole report: its sample, and the rest of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// What its window keeps.
    pub sample: Sample,
    /// What its window does not keep.
    pub rest: Rest,
}

impl Receipt {
    /// Returns the exact spend: below 2^31 units of at most a million micros, so it cannot overflow.
    #[must_use]
    pub fn spend_micros(&self, unit_micros: u32) -> i64 {
        i64::from(self.sample.spend_units) * i64::from(unit_micros)
            + i64::from(self.rest.spend_micros)
    }
}

/// The rests of all samples in a book's windows, by slot; each where its sample is in the ring.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rests {
    rests: Vec<Rest>,
}

impl Rests {
    /// Makes room for the rests of so many windows in all.
    pub(crate) fn resize(&mut self, windows: &Windows) {
        let count = windows.slots() * windows.capacity();
        if count > self.rests.capacity() {
            reserve_huge(&mut self.rests, count);
        }
        self.rests.resize(count, Rest::default());
    }

    /// Sets the memory of so many more rests aside.
    pub(crate) fn reserve(&mut self, more: usize) {
        reserve_huge(&mut self.rests, more);
    }

    /// Asks for the rest that a push into a window will write over.
    pub(crate) fn fetch(&self, windows: &Windows, slot: usize) {
        let first = slot.saturating_mul(windows.capacity());
        prefetch(&self.rests, first.saturating_add(windows.head(slot)));
    }

    pub(crate) fn ring(&self, windows: &Windows, slot: usize) -> &[Rest] {
        let ring = self.rests.get(slot.saturating_mul(windows.capacity())..);
        let ring = ring.and_then(|ring| ring.get(..windows.capacity()));
        ring.unwrap_or_default()
    }

    pub(crate) fn ring_mut(&mut self, windows: &Windows, slot: usize) -> &mut [Rest] {
        let ring = self
            .rests
            .get_mut(slot.saturating_mul(windows.capacity())..);
        let ring = ring.and_then(|ring| ring.get_mut(..windows.capacity()));
        ring.unwrap_or_default()
    }

    /// Puts the rests of a stored window back, oldest first, beside samples that are back already.
    pub(crate) fn restore_slot(
        &mut self,
        windows: &Windows,
        slot: usize,
        rests: impl Iterator<Item = Rest>,
    ) {
        let is_full = windows.header(slot).is_some_and(Header::is_full);
        let ring = self.ring_mut(windows, slot);
        for (place, rest) in ring.iter_mut().zip(rests) {
            *place = rest;
        }
        if is_full {
            let head = windows.head(slot);
            ring.rotate_right(head.min(ring.len()));
        }
    }

    /// Returns the rests of a window's samples, in their order, as the two slices that they lie in.
    pub(crate) fn slices(&self, windows: &Windows, slot: usize) -> (&[Rest], &[Rest]) {
        match windows.header(slot) {
            Some(header) => slices(header, self.ring(windows, slot)),
            None => (&[], &[]),
        }
    }

    /// Iterates the whole reports of a window, oldest first.
    pub(crate) fn receipts<'a>(
        &'a self,
        windows: &'a Windows,
        slot: usize,
    ) -> impl Iterator<Item = Receipt> + 'a {
        let (older, newer) = self.slices(windows, slot);
        let rests = older.iter().chain(newer);
        let pairs = windows.samples(slot).zip(rests);
        pairs.map(|(sample, &rest)| Receipt { sample, rest })
    }
}

/// Keeps the rests of one window where their samples are, and passes those that leave it to the
/// account.
pub(crate) struct Keeper<'a> {
    pub(crate) ring: &'a mut [Rest],
    pub(crate) account: &'a mut Account,
    pub(crate) unit_micros: u32,
    /// The rest of the report being put in, and then what it was written over.
    pub(crate) rest: Rest,
}

impl Follower for &mut Keeper<'_> {
    #[inline]
    fn left(&mut self, place: usize, sample: Sample) {
        let rest = self.ring.get(place).copied().unwrap_or_default();
        self.account
            .pass(Receipt { sample, rest }, self.unit_micros);
    }

    fn moved(&mut self, from: usize, to: usize) {
        if let Some(rest) = self.ring.get(from).copied()
            && let Some(place) = self.ring.get_mut(to)
        {
            *place = rest;
        }
    }

    fn turned(&mut self, first: usize) {
        self.ring.rotate_left(first);
    }

    #[inline]
    fn written(&mut self, place: usize) {
        if let Some(place) = self.ring.get_mut(place) {
            std::mem::swap(place, &mut self.rest);
        }
    }
}
