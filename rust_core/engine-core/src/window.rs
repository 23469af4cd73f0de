//! Sliding windows: the newest samples of many series, each beside the exact sums of them.
//!
//! One update touches two places in memory: the series' header (one cache line) and the sample in
//! its ring that is overwritten, which is the one that leaves the window.

use crate::error::CoreError;

pub use crate::header::{Column, Header, Sums, since};
pub use crate::sample::Sample;

/// How far back a window reaches from its newest sample, in ticks: 6.2 days of milliseconds.
///
/// What is this old is forgotten when a newer sample comes, so a gap of this length begins the
/// window anew. A quarter of what 32 bits of time can tell apart, so that a sample further back
/// is known to be late and not mistaken for one of the future.
pub const REACH: u32 = 1 << 29;

const LARGEST_CAPACITY: usize = 127;

/// What became of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It is in the window.
    Accepted,
    /// It took the place of an earlier report for the same tick (the very same one, perhaps).
    Replaced {
        /// The earlier report.
        before: Sample,
    },
    /// It is older than everything in a full window, or than the window reaches: not stored.
    Late,
}

/// Many windows of one capacity, each known by its slot.
///
/// A window holds at most one sample a tick, in order of time, whatever the order of arrival: the
/// same samples make the same window. Ticks are compared modulo 2^32, as signed differences.
///
/// Reading a slot that was never added reads an empty window.
///
/// ```
/// use engine_core::window::{Pushed, Sample, Windows};
///
/// let mut windows = Windows::new(3)?;
/// let slot = windows.add();
/// let at = |tick| Sample { tick, clicks: 10, milliconversions: 500, spend_units: 7000 };
/// for tick in [100, 300, 200] {
///     assert_eq!(windows.push(slot, at(tick))?, Pushed::Accepted);
/// }
/// assert_eq!(windows.push(slot, at(400))?, Pushed::Accepted); // 100 leaves
/// assert_eq!(windows.push(slot, at(150))?, Pushed::Late);
/// assert!(matches!(windows.push(slot, at(300))?, Pushed::Replaced { .. }));
/// let ticks: Vec<u32> = windows.samples(slot).map(|sample| sample.tick).collect();
/// assert_eq!(ticks, [200, 300, 400]);
/// windows.verify(slot)?;
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Windows {
    capacity: usize,
    headers: Vec<Header>,
    /// `capacity` samples for each header. Not full: the oldest first, from place 0. Full: the
    /// oldest at the head.
    rings: Vec<Sample>,
}

impl Windows {
    /// Returns no windows yet, each to hold up to `capacity` samples.
    ///
    /// # Errors
    ///
    /// [`CoreError::Capacity`] unless it is 2 to 127.
    pub const fn new(capacity: usize) -> Result<Self, CoreError> {
        if capacity < 2 || capacity > LARGEST_CAPACITY {
            return Err(CoreError::Capacity { found: capacity });
        }
        Ok(Self {
            capacity,
            headers: Vec::new(),
            rings: Vec::new(),
        })
    }

    /// Returns how many samples a window holds at most.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.capacity
    }

    /// Returns how many windows there are: slots are below it.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.headers.len()
    }

    /// Adds an empty window and returns its slot: the first is 0, the next 1, and so on.
    pub fn add(&mut self) -> usize {
        self.headers.push(Header::default());
        self.rings
            .resize(self.headers.len() * self.capacity, Sample::default());
        self.headers.len() - 1
    }

    /// Empties a window. A slot that was never added is empty already.
    pub fn clear(&mut self, slot: usize) {
        if let Some((header, ring)) = self.at_mut(slot) {
            *header = Header::default();
            ring.fill(Sample::default());
        }
    }

    /// Counts a sample into a window.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] where a count of the sample reaches 2^31, and
    /// [`CoreError::UnknownSlot`]; the window is then unchanged.
    pub fn push(&mut self, slot: usize, sample: Sample) -> Result<Pushed, CoreError> {
        sample.check()?;
        let slots = self.slots();
        let Some((header, ring)) = self.at_mut(slot) else {
            return Err(CoreError::UnknownSlot { slots, found: slot });
        };
        Ok(Window { header, ring }.push(sample))
    }

    /// Reads the two cache lines that a push into this window will change, and returns some of what
    /// was there (give it to `std::hint::black_box`, so that the reading is not optimised away).
    ///
    /// To touch sixteen or so slots before pushing into them lets their cache misses overlap; a
    /// push waits for its own.
    #[must_use]
    pub fn touch(&self, slot: usize) -> u32 {
        self.at(slot).map_or(0, |(header, ring)| {
            ring.get(header.head()).map_or(0, |sample| sample.tick)
        })
    }

    /// Empties a window whose newest sample is at least [`REACH`] before `now`; returns whether it
    /// did. Asked at least once in 2^30 ticks, no window takes the far past for the future.
    pub fn expire(&mut self, slot: usize, now: u32) -> bool {
        let is_over = self
            .newest_tick(slot)
            .is_some_and(|newest| since(now, newest).unsigned_abs() >= REACH);
        if is_over {
            self.clear(slot);
        }
        is_over
    }

    /// Returns how many samples a window holds.
    #[must_use]
    pub fn len(&self, slot: usize) -> usize {
        let (older, newer) = self.slices(slot);
        older.len() + newer.len()
    }

    /// Returns whether a window holds nothing.
    #[must_use]
    pub fn is_empty(&self, slot: usize) -> bool {
        self.len(slot) == 0
    }

    /// Returns the samples of a window, oldest first.
    #[must_use]
    pub fn samples(&self, slot: usize) -> impl DoubleEndedIterator<Item = Sample> + Clone + '_ {
        let (older, newer) = self.slices(slot);
        older.iter().chain(newer).copied()
    }

    /// Returns the same samples as two slices, the older first, as they lie in memory.
    #[must_use]
    pub fn slices(&self, slot: usize) -> (&[Sample], &[Sample]) {
        match self.at(slot) {
            Some((header, ring)) => slices(header, ring),
            None => (&[], &[]),
        }
    }

    /// Returns the time of the newest sample, or `None` in an empty window.
    #[must_use]
    pub fn newest_tick(&self, slot: usize) -> Option<u32> {
        let (older, newer) = self.slices(slot);
        newer.last().or(older.last()).map(|sample| sample.tick)
    }

    /// Returns the time of the oldest sample, or `None` in an empty window.
    #[must_use]
    pub fn oldest_tick(&self, slot: usize) -> Option<u32> {
        let (older, newer) = self.slices(slot);
        older.first().or(newer.first()).map(|sample| sample.tick)
    }

    /// Returns the header of a window, or `None` for a slot that was never added.
    #[must_use]
    pub fn header(&self, slot: usize) -> Option<&Header> {
        self.headers.get(slot)
    }

    /// Returns the header that a recount of the ring gives, from nothing but the samples, the
    /// head and the reference.
    #[must_use]
    pub fn recount(&self, slot: usize) -> Option<Header> {
        self.at(slot).map(|(header, ring)| recount(header, ring))
    }

    /// Checks that a header equals a recount of its ring, to the bit.
    ///
    /// # Errors
    ///
    /// [`CoreError::HeaderDiffers`] with the first word that differs, and
    /// [`CoreError::UnknownSlot`].
    pub fn verify(&self, slot: usize) -> Result<(), CoreError> {
        let (Some(kept), Some(counted)) = (self.header(slot), self.recount(slot)) else {
            return Err(CoreError::UnknownSlot {
                slots: self.slots(),
                found: slot,
            });
        };
        let words = counted.words().iter().zip(kept.words());
        for (word, (&wanted, &found)) in words.enumerate() {
            if wanted != found {
                return Err(CoreError::HeaderDiffers {
                    slot,
                    word,
                    wanted,
                    found,
                });
            }
        }
        Ok(())
    }

    /// Returns the exact sums of a window: from the header where its bounds prove them exact, else
    /// (counts or times beyond them, or spend without clicks) recounted from the ring.
    #[must_use]
    pub fn sums(&self, slot: usize) -> Sums {
        let Some(header) = self.header(slot) else {
            return Sums::default();
        };
        header
            .sums()
            .unwrap_or_else(|| Sums::of_ring(self.samples(slot), header.reference()))
    }

    /// Puts a stored window back as it was: `samples` oldest first, with the `head` and
    /// `reference` of its header. The header is recounted, so it need not be stored; what comes
    /// out later, and every later header, is the same to the bit.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] where the samples could not have been such a window's, and
    /// [`CoreError::UnknownSlot`]; the window is then unchanged.
    pub fn restore_slot(
        &mut self,
        slot: usize,
        samples: &[Sample],
        head: usize,
        reference: u32,
    ) -> Result<(), CoreError> {
        check_stored(samples, self.capacity, head, reference)?;
        let slots = self.slots();
        let Some((header, ring)) = self.at_mut(slot) else {
            return Err(CoreError::UnknownSlot { slots, found: slot });
        };
        let is_full = samples.len() == ring.len();
        ring.fill(Sample::default());
        for (place, &sample) in ring.iter_mut().zip(samples) {
            *place = sample;
        }
        if is_full {
            ring.rotate_right(head);
        }
        *header = Header::near(reference);
        header.place(head, is_full);
        *header = recount(header, ring);
        Ok(())
    }

    fn at(&self, slot: usize) -> Option<(&Header, &[Sample])> {
        let header = self.headers.get(slot)?;
        let ring = self.rings.get(slot * self.capacity..)?;
        Some((header, ring.get(..self.capacity)?))
    }

    fn at_mut(&mut self, slot: usize) -> Option<(&mut Header, &mut [Sample])> {
        let header = self.headers.get_mut(slot)?;
        let ring = self.rings.get_mut(slot * self.capacity..)?;
        Some((header, ring.get_mut(..self.capacity)?))
    }
}

/// Returns the samples of a ring in order of time, as the two slices that they lie in.
fn slices<'a>(header: &Header, ring: &'a [Sample]) -> (&'a [Sample], &'a [Sample]) {
    let (front, back) = ring.split_at_checked(header.head()).unwrap_or((ring, &[]));
    if header.is_full() {
        (back, front)
    } else {
        (front, &[])
    }
}

/// Returns the header of a ring, counted from nothing but the samples, the head and the reference.
fn recount(header: &Header, ring: &[Sample]) -> Header {
    let mut counted = header.emptied();
    let (older, newer) = slices(header, ring);
    for &sample in older.iter().chain(newer) {
        counted.add(sample);
    }
    counted
}

/// One window while a sample is put in.
struct Window<'a> {
    header: &'a mut Header,
    ring: &'a mut [Sample],
}

impl Window<'_> {
    fn push(mut self, sample: Sample) -> Pushed {
        let held = self.held();
        let newest = held.checked_sub(1).and_then(|last| self.sample(last));
        let Some(newest) = newest else {
            *self.header = Header::near(sample.tick);
            self.put(sample, 0, 0);
            return Pushed::Accepted;
        };
        let ahead = since(sample.tick, newest.tick);
        if ahead > 0 {
            let oldest = self.sample(0).unwrap_or(newest);
            if sample.tick.wrapping_sub(oldest.tick) >= REACH {
                self.forget_before(sample.tick);
            }
            let held = self.held();
            self.put(sample, held, held);
            return Pushed::Accepted;
        }
        if ahead.unsigned_abs() >= REACH {
            return Pushed::Late;
        }
        self.push_behind(sample, newest, held)
    }

    /// Puts in a sample that is not newer than the newest: mostly by little, so search from there.
    fn push_behind(&mut self, sample: Sample, newest: Sample, held: usize) -> Pushed {
        let behind = newest.tick.wrapping_sub(sample.tick);
        let mut index = held;
        while let Some(other) = index.checked_sub(1).and_then(|i| self.sample(i)) {
            let behind_other = newest.tick.wrapping_sub(other.tick);
            if behind_other == behind {
                self.header.remove(other);
                self.header.add(sample);
                self.write(index - 1, sample);
                return Pushed::Replaced { before: other };
            }
            if behind_other > behind {
                break;
            }
            index -= 1;
        }
        if index == 0 && self.header.is_full() {
            return Pushed::Late;
        }
        self.put(sample, index, held);
        Pushed::Accepted
    }

    /// Puts a sample before the one at `index` (in order of time) of the `held` ones; in a full
    /// ring the oldest leaves, so `index` is then at least 1.
    fn put(&mut self, sample: Sample, index: usize, held: usize) {
        let is_full = self.header.is_full();
        if is_full && let Some(oldest) = self.sample(0) {
            self.header.remove(oldest);
        }
        // In a full ring the place after the newest is the oldest's: it is written over.
        for later in (index..held).rev() {
            if let Some(moved) = self.sample(later) {
                self.write(later + 1, moved);
            }
        }
        self.write(index, sample);
        self.header.add(sample);
        let next = self.header.head() + 1;
        if next == self.ring.len() {
            // Once a turn the reference follows the window, so that times stay short.
            self.header.place(0, true);
            self.refer_to_newest();
        } else {
            self.header.place(next, is_full);
            if since(sample.tick, self.header.reference()).unsigned_abs() >= REACH {
                self.refer_to_newest();
            }
        }
    }

    /// Counts time from near the newest sample. The recount costs what one addition does for each
    /// sample of a turn, and in contrast to moving the sums it cannot go wrong while they wrap.
    fn refer_to_newest(&mut self) {
        let Some(newest) = self.held().checked_sub(1).and_then(|i| self.sample(i)) else {
            return;
        };
        let mut header = Header::near(newest.tick);
        header.place(self.header.head(), self.header.is_full());
        *self.header = recount(&header, self.ring);
    }

    /// Forgets what a window whose newest sample is at `tick` does not reach: seldom, so the rest
    /// is simply put in anew.
    fn forget_before(&mut self, tick: u32) {
        let (older, newer) = slices(self.header, self.ring);
        let kept: Vec<Sample> = older
            .iter()
            .chain(newer)
            .filter(|sample| tick.wrapping_sub(sample.tick) < REACH)
            .copied()
            .collect();
        self.ring.fill(Sample::default());
        for (place, &sample) in self.ring.iter_mut().zip(&kept) {
            *place = sample;
        }
        let mut header = Header::near(tick);
        header.place(kept.len(), false); // at least the oldest is gone
        *self.header = recount(&header, self.ring);
    }

    fn held(&self) -> usize {
        if self.header.is_full() {
            self.ring.len()
        } else {
            self.header.head()
        }
    }

    /// Returns the place of the sample at `index` in order of time.
    fn place(&self, index: usize) -> usize {
        if !self.header.is_full() {
            return index;
        }
        let place = self.header.head() + index; // below twice the capacity
        place.checked_sub(self.ring.len()).unwrap_or(place)
    }

    fn sample(&self, index: usize) -> Option<Sample> {
        self.ring.get(self.place(index)).copied()
    }

    fn write(&mut self, index: usize, sample: Sample) {
        let place = self.place(index);
        if let Some(at) = self.ring.get_mut(place) {
            *at = sample;
        }
    }
}

/// Checks what a snapshot says of a window.
fn check_stored(
    samples: &[Sample],
    capacity: usize,
    head: usize,
    reference: u32,
) -> Result<(), CoreError> {
    let refused = |what, wanted, found: usize| CoreError::OutOfRange {
        what,
        wanted,
        found: found as i128,
    };
    if samples.len() > capacity {
        return Err(refused("samples", "at most the capacity", samples.len()));
    }
    if samples.len() == capacity && head >= capacity {
        return Err(refused("head", "below the capacity", head));
    }
    if samples.len() < capacity && head != samples.len() {
        return Err(refused("head", "the number of samples until full", head));
    }
    if Header::near(reference).reference() != reference {
        return Err(refused(
            "reference",
            "a multiple of 2^14",
            reference as usize,
        ));
    }
    let Some(newest) = samples.last() else {
        return Ok(());
    };
    let mut before = REACH;
    for sample in samples {
        sample.check()?;
        let age = newest.tick.wrapping_sub(sample.tick);
        if age >= before {
            return Err(refused(
                "tick",
                "later than the one before",
                sample.tick as usize,
            ));
        }
        before = age;
    }
    if since(newest.tick, reference).unsigned_abs() > REACH {
        return Err(refused("reference", "near the samples", reference as usize));
    }
    Ok(())
}
