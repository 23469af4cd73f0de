//! Sliding windows: the newest samples of many series, each beside the exact sums of them.
//!
//! One update touches two places in memory: the series' header (one cache line) and the sample in
//! its ring that is overwritten, which is the one that leaves the window.

use crate::error::CoreError;
use crate::part::{Part, fetch_samples};
use crate::push::{Follower, recount, slices};
use engine_memory::{prefetch, reserve_huge};

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

    /// Returns as many empty windows as asked for, their memory set aside at once.
    ///
    /// # Errors
    ///
    /// [`CoreError::Capacity`] unless it is 2 to 127.
    pub fn with_slots(capacity: usize, slots: usize) -> Result<Self, CoreError> {
        let mut windows = Self::new(capacity)?;
        windows.reserve(slots);
        windows.headers.resize(slots, Header::default());
        windows.rings.resize(slots * capacity, Sample::default());
        Ok(windows)
    }

    /// Sets the memory of so many more windows aside.
    pub(crate) fn reserve(&mut self, more: usize) {
        reserve_huge(&mut self.headers, more);
        reserve_huge(&mut self.rings, more.saturating_mul(self.capacity));
    }

    /// Adds an empty window and returns its slot: the first is 0, the next 1, and so on.
    pub fn add(&mut self) -> usize {
        if self.headers.len() == self.headers.capacity() {
            self.reserve(self.headers.len().max(64)); // doubled, in huge pages once that pays
        }
        self.headers.push(Header::default());
        self.rings
            .resize(self.headers.len() * self.capacity, Sample::default());
        self.headers.len() - 1
    }

    /// Empties a window. A slot that was never added is empty already.
    pub fn clear(&mut self, slot: usize) {
        self.clear_with(slot, ());
    }

    pub(crate) fn clear_with(&mut self, slot: usize, follower: impl Follower) {
        if let Some(mut window) = self.all().window(slot, follower) {
            window.clear();
        }
    }

    /// Counts a sample into a window.
    ///
    /// # Errors
    ///
    /// [`CoreError::OutOfRange`] where a count of the sample reaches 2^31, and
    /// [`CoreError::UnknownSlot`]; the window is then unchanged.
    pub fn push(&mut self, slot: usize, sample: Sample) -> Result<Pushed, CoreError> {
        self.push_with(slot, sample, ())
    }

    pub(crate) fn push_with(
        &mut self,
        slot: usize,
        sample: Sample,
        follower: impl Follower,
    ) -> Result<Pushed, CoreError> {
        self.all().push(slot, sample, follower)
    }

    /// Counts many samples in, exactly as one after the other would be, and faster: while one is
    /// counted, what the next ones will change is on its way to the processor.
    ///
    /// `read` says where a row belongs and what it holds; `became` is told what became of it.
    pub fn push_all<R>(
        &mut self,
        rows: &[R],
        read: impl Fn(&R) -> (usize, Sample),
        became: impl FnMut(usize, Sample, Result<Pushed, CoreError>),
    ) {
        self.all().push_all(rows, read, became);
    }

    /// Asks for the header of a window that will be pushed into soon, and for nothing else; a slot
    /// that was never added asks for nothing.
    pub fn fetch_header(&self, slot: usize) {
        prefetch(&self.headers, slot);
    }

    /// Asks for what else a push into a window will need. Its header should be there by now.
    pub fn fetch_samples(&self, slot: usize) {
        if let Some((header, ring)) = self.at(slot) {
            fetch_samples(header, ring);
        }
    }

    /// Returns the headers of so many slots, fewer where there are not as many.
    pub(crate) fn headers(&self, slot: usize, count: usize) -> &[Header] {
        let from = self.headers.get(slot..).unwrap_or_default();
        from.get(..count).unwrap_or(from)
    }

    /// Returns how many bytes of memory all windows take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.headers.capacity() * size_of::<Header>() + self.rings.capacity() * size_of::<Sample>()
    }

    /// Returns the place in its ring that a window's next sample in order goes to.
    pub(crate) fn head(&self, slot: usize) -> usize {
        self.headers.get(slot).map_or(0, Header::head)
    }

    /// Returns all windows, for a change.
    pub(crate) fn all(&mut self) -> Part<'_> {
        Part {
            capacity: self.capacity,
            headers: &mut self.headers,
            rings: &mut self.rings,
        }
    }

    /// Returns all windows for a change by several at a time, so many slots to each, in order.
    pub(crate) fn parts(&mut self, slots: usize) -> impl Iterator<Item = Part<'_>> {
        let capacity = self.capacity;
        let rings = self.rings.chunks_mut((slots * capacity).max(1));
        let parts = self.headers.chunks_mut(slots.max(1)).zip(rings);
        parts.map(move |(headers, rings)| Part {
            capacity,
            headers,
            rings,
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
        let (count, is_full) = (samples.len(), samples.len() == ring.len());
        // Of a full ring the oldest is at the head; else it is at the beginning, and nothing follows.
        let (newer, older) = ring.split_at_mut(if is_full { head } else { 0 });
        let (first, rest) = samples.split_at(older.len().min(count));
        older.fill(Sample::default());
        for (places, samples) in [(older, first), (newer, rest)] {
            for (place, &sample) in places.iter_mut().zip(samples) {
                *place = sample;
            }
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
