//! A window's header: the exact sums of its regression in one cache line.
//!
//! All sums are integers modulo 2^64, so that taking a sample out undoes putting it in, whatever
//! came between: there is nothing that could drift, and a header equals a recount of its ring to
//! the bit. Times are ticks after a reference near the window, which keeps the sums short.
//!
//! A sum could still outgrow its field. Each sample for which that cannot be excluded is counted
//! as *wild*; while none is in the ring the bounds below prove every sum exact, and while one is
//! the sums are taken from the ring itself, in 128 bits ([`Sums::of_ring`]).

use crate::sample::Sample;
use std::num::NonZero;

/// Binary digits after the point of the spread sums.
pub(crate) const SPREAD_BITS: u32 = 16;

// References are multiples of 2^14 ticks, so that 18 bits name one of the 2^32 ticks' stretches.
const REFERENCE_SHIFT: u32 = 14;

// Word 6, from the lowest bit: weighted 7, clicks 29, milliconversions 28.
// Word 7, from the lowest bit: wild 7, head 7, full 1, reference 18, spend 31.
// What may outgrow its field stands above what must stay readable: it spills upwards only.
const CLICKS_AT: u32 = 7;
const CONVERSIONS_AT: u32 = 36;
const HEAD_AT: u32 = 7;
const FULL_AT: u32 = 14;
const REFERENCE_AT: u32 = 15;
const SPEND_AT: u32 = 33;

// A ring holds fewer than 2^7 samples. One below these bounds adds less than 2^-7 of each field.
const CLICKS_BOUND: u32 = 1 << 22;
const CONVERSIONS_BOUND: u32 = 1 << 21;
const SPEND_BOUND: u32 = 1 << 24;
const SUM_BOUND: u64 = 1 << 57;

/// The 64 bytes kept beside each ring: eight words, read through the methods.
///
/// | word | what, over the ring (w clicks, c milliconversions, s spend, t ticks after reference) |
/// |---|---|
/// | 0, 1 | Σ w·t², Σ w·t |
/// | 2, 3 | Σ c·t, Σ s·t |
/// | 4, 5 | Σ s²/w, Σ c²/w, each term rounded to 2^-16 |
/// | 6 | how many samples have clicks, Σ w, Σ c |
/// | 7 | how many samples are wild, head, full, reference, Σ s |
///
/// ```
/// use engine_core::window::{Sample, Windows};
///
/// let mut windows = Windows::new(8).unwrap();
/// let slot = windows.add();
/// windows.push(slot, Sample { tick: 5, clicks: 2, milliconversions: 0, spend_units: 30 }).unwrap();
/// let header = windows.header(slot).unwrap();
/// assert_eq!((header.head(), header.is_full(), header.weighted()), (1, false, 1));
/// assert_eq!(header.to_bytes()[8], 10); // Σ w·t: the reference is tick 0
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(C, align(64))]
pub struct Header {
    words: [u64; 8],
}

impl Header {
    /// Returns the header of an empty window with a reference near `tick`.
    pub(crate) const fn near(tick: u32) -> Self {
        let stretch = tick.wrapping_add(1 << (REFERENCE_SHIFT - 1)) >> REFERENCE_SHIFT;
        let mut header = Self { words: [0; 8] };
        let [.., last] = &mut header.words;
        *last = (stretch as u64) << REFERENCE_AT;
        header
    }

    /// Returns this header with head, fullness and reference kept and every sum at nothing.
    pub(crate) const fn emptied(&self) -> Self {
        let mut header = Self { words: [0; 8] };
        let [.., found] = self.words;
        let [.., last] = &mut header.words;
        *last = found & (((1 << SPEND_AT) - 1) ^ ((1 << HEAD_AT) - 1));
        header
    }

    /// Returns the 64 bytes: eight little-endian `u64`.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 64] {
        let mut bytes = [0; 64];
        for (eight, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            eight.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Returns the eight words.
    #[must_use]
    pub const fn words(&self) -> &[u64; 8] {
        &self.words
    }

    /// Returns how many samples in the ring have clicks, and so a weight.
    #[must_use]
    pub const fn weighted(&self) -> u32 {
        let [.., word, _] = self.words;
        (word & 0x7f) as u32
    }

    /// Returns how many samples in the ring the sums alone cannot speak for.
    #[must_use]
    pub const fn wild(&self) -> u32 {
        (self.last() & 0x7f) as u32
    }

    /// Returns the place in the ring that is written next; in a full ring it holds the oldest.
    #[must_use]
    pub const fn head(&self) -> usize {
        (self.last() >> HEAD_AT & 0x7f) as usize
    }

    /// Returns whether the ring is full.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.last() >> FULL_AT & 1 == 1
    }

    /// Returns the tick from which the sums count time, a multiple of 2^14.
    #[must_use]
    pub const fn reference(&self) -> u32 {
        let stretch = (self.last() >> REFERENCE_AT & ((1 << 18) - 1)) as u32;
        stretch << REFERENCE_SHIFT
    }

    /// Sets head and fullness.
    pub(crate) const fn place(&mut self, head: usize, is_full: bool) {
        let [.., last] = &mut self.words;
        *last &= !(0xff << HEAD_AT);
        *last |= (head as u64 & 0x7f) << HEAD_AT | (is_full as u64) << FULL_AT;
    }

    /// Counts a sample in.
    #[inline]
    pub(crate) fn add(&mut self, sample: Sample) {
        let parts = self.parts(sample);
        for (word, part) in self.words.iter_mut().zip(parts) {
            *word = word.wrapping_add(part);
        }
    }

    /// Counts a sample out: exactly undoes `add` under the same reference.
    pub(crate) fn remove(&mut self, sample: Sample) {
        let parts = self.parts(sample);
        for (word, part) in self.words.iter_mut().zip(parts) {
            *word = word.wrapping_sub(part);
        }
    }

    /// Counts one sample out and another in: nearly always both are ordinary.
    #[inline]
    pub(crate) fn exchange(&mut self, out: Sample, new: Sample) {
        let reference = self.reference();
        let parts = ordinary(out, reference).zip(ordinary(new, reference));
        let Some((old, young)) = parts else {
            self.remove(out);
            self.add(new);
            return;
        };
        for (word, (new, out)) in self.words.iter_mut().zip(young.into_iter().zip(old)) {
            *word = word.wrapping_add(new.wrapping_sub(out));
        }
    }

    /// Returns this header with times counted from near `newest`, `oldest` being the other end of
    /// its window, or `None` where only a recount can tell.
    ///
    /// Σ w·(t − d)² = Σ w·t² − 2d·Σ w·t + d²·Σ w, and so on, hold modulo 2^64 whatever the sums, as
    /// long as the totals are exact. Which samples are wild depends on the reference too: none is
    /// before, and none is after where even all clicks at the greatest age stay within bounds.
    #[inline]
    pub(crate) fn moved(&self, oldest: u32, newest: u32) -> Option<Self> {
        let to = Self::near(newest);
        let step = since(to.reference(), self.reference());
        let age = u64::from(newest.wrapping_sub(oldest)) + (1 << (REFERENCE_SHIFT - 1));
        let [
            wtt,
            wt,
            ct,
            st,
            spend_spread,
            conversions_spread,
            sixth,
            last,
        ] = self.words;
        let clicks = sixth >> CLICKS_AT & ((1 << 29) - 1);
        let is_tame = age
            .checked_mul(age)
            .and_then(|square| square.checked_mul(clicks))
            .is_some_and(|most| most < SUM_BOUND);
        if self.wild() > 0 || !is_tame || step.unsigned_abs() >= 1 << 30 {
            return None;
        }
        let d = word(i64::from(step));
        let less = |sum: u64, total: u64| sum.wrapping_sub(d.wrapping_mul(total));
        let wt_moved = less(wt, clicks);
        let reference = ((1 << (SPEND_AT - REFERENCE_AT)) - 1) << REFERENCE_AT;
        Some(Self {
            words: [
                less(wtt, wt.wrapping_add(wt_moved)),
                wt_moved,
                less(ct, sixth >> CONVERSIONS_AT),
                less(st, last >> SPEND_AT),
                spend_spread,
                conversions_spread,
                sixth,
                last & !reference | to.last() & reference,
            ],
        })
    }

    const fn last(&self) -> u64 {
        let [.., last] = self.words;
        last
    }

    /// Returns what one sample adds to each word.
    #[inline]
    fn parts(&self, sample: Sample) -> [u64; 8] {
        let reference = self.reference();
        ordinary(sample, reference).unwrap_or_else(|| any(sample, reference))
    }

    /// Returns the exact sums, or `None` while a wild sample is in the ring.
    pub(crate) fn sums(&self) -> Option<Sums> {
        if self.wild() > 0 {
            return None;
        }
        let [
            wtt,
            wt,
            ct,
            st,
            spend_spread,
            conversions_spread,
            sixth,
            last,
        ] = self.words;
        Some(Sums {
            reference: self.reference(),
            weighted: self.weighted(),
            clicks: i128::from(sixth >> CLICKS_AT & ((1 << 29) - 1)),
            clicks_time: i128::from(signed(wt)),
            clicks_time2: i128::from(wtt),
            milliconversions: Column {
                total: i128::from(sixth >> CONVERSIONS_AT),
                time: i128::from(signed(ct)),
                spread: i128::from(conversions_spread),
                ..Column::default()
            },
            spend: Column {
                total: i128::from(last >> SPEND_AT),
                time: i128::from(signed(st)),
                spread: i128::from(spend_spread),
                ..Column::default()
            },
        })
    }
}

/// Returns what a sample adds to each word, if it has clicks and is not wild: in few operations, as two
/// such are asked for with each sample that is counted in.
#[inline]
fn ordinary(sample: Sample, reference: u32) -> Option<[u64; 8]> {
    let w = NonZero::new(u64::from(sample.clicks))?;
    if sample.clicks >= CLICKS_BOUND
        || sample.milliconversions >= CONVERSIONS_BOUND
        || sample.spend_units >= SPEND_BOUND
    {
        return None;
    }
    let c = u64::from(sample.milliconversions);
    let s = u64::from(sample.spend_units);
    let t = i64::from(since(sample.tick, reference));
    let wt = i64::from(sample.clicks) * t; // 22 bits by 31
    let wtt = word(wt.checked_mul(t)?);
    // Squares of what is that small have room for the shift.
    let spread = |y: u64| (((y * y) << SPREAD_BITS) + w.get() / 2) / w;
    let (spend_spread, conversions_spread) = (spread(s), spread(c));
    if wtt | spend_spread | conversions_spread >= SUM_BOUND {
        return None;
    }
    Some([
        wtt,
        word(wt),
        c.wrapping_mul(word(t)),
        s.wrapping_mul(word(t)),
        spend_spread,
        conversions_spread,
        1 + (w.get() << CLICKS_AT) + (c << CONVERSIONS_AT),
        s << SPEND_AT,
    ])
}

/// Returns what any sample adds to each word, modulo 2^64. It is wild if it is not small, if a part of
/// it is too large, or if it has spend or conversions without clicks (see [`Sums`]).
#[cold]
#[allow(clippy::cast_possible_truncation)] // modulo 2^64 is what is meant
fn any(sample: Sample, reference: u32) -> [u64; 8] {
    let time = i64::from(since(sample.tick, reference));
    let t = word(time);
    let (w, c, s) = (
        u64::from(sample.clicks),
        u64::from(sample.milliconversions),
        u64::from(sample.spend_units),
    );
    let wtt = u128::from(w) * u128::from(time.unsigned_abs() * time.unsigned_abs());
    let is_small = sample.clicks < CLICKS_BOUND
        && sample.milliconversions < CONVERSIONS_BOUND
        && sample.spend_units < SPEND_BOUND;
    // A wild sample's part in the spread is never read, so it may be nothing.
    let has_spread = is_small && w > 0;
    let spread = |y: u64| {
        if has_spread {
            (((y * y) << SPREAD_BITS) + w / 2) / w
        } else {
            0
        }
    };
    let (spend_spread, conversions_spread) = (spread(s), spread(c));
    let most = wtt | u128::from(spend_spread | conversions_spread);
    let is_wild = !is_small || most >= u128::from(SUM_BOUND) || w == 0 && c | s > 0;
    [
        wtt as u64,
        w.wrapping_mul(t),
        c.wrapping_mul(t),
        s.wrapping_mul(t),
        spend_spread,
        conversions_spread,
        u64::from(w > 0)
            .wrapping_add(w << CLICKS_AT)
            .wrapping_add(c << CONVERSIONS_AT),
        u64::from(is_wild).wrapping_add(s << SPEND_AT),
    ]
}

/// The sums as a header's words have them, modulo 2^64: right while no sample is wild.
pub(crate) struct ShortSums {
    pub(crate) weighted: u64,
    pub(crate) wild: u64,
    pub(crate) reference: u64,
    pub(crate) clicks: u64,
    pub(crate) clicks_time: u64,
    pub(crate) clicks_time2: u64,
    pub(crate) milliconversions: u64,
    pub(crate) milliconversions_time: u64,
    pub(crate) milliconversions_spread: u64,
    pub(crate) spend: u64,
    pub(crate) spend_time: u64,
    pub(crate) spend_spread: u64,
}

impl ShortSums {
    #[inline(always)]
    #[allow(
        clippy::inline_always,
        reason = "called in loops compiled for several kinds of registers"
    )]
    pub(crate) const fn of(words: [u64; 8]) -> Self {
        let [
            wtt,
            wt,
            ct,
            st,
            spend_spread,
            conversions_spread,
            sixth,
            last,
        ] = words;
        let stretch = last >> REFERENCE_AT & ((1 << (SPEND_AT - REFERENCE_AT)) - 1);
        Self {
            weighted: sixth & 0x7f,
            wild: last & 0x7f,
            reference: stretch << REFERENCE_SHIFT,
            clicks: sixth >> CLICKS_AT & ((1 << 29) - 1),
            clicks_time: wt,
            clicks_time2: wtt,
            milliconversions: sixth >> CONVERSIONS_AT,
            milliconversions_time: ct,
            milliconversions_spread: conversions_spread,
            spend: last >> SPEND_AT,
            spend_time: st,
            spend_spread,
        }
    }
}

/// Returns the word of a number that may be negative, in two's complement.
const fn word(number: i64) -> u64 {
    u64::from_le_bytes(number.to_le_bytes())
}

/// Returns a sum that may be negative: a word read as two's complement.
const fn signed(word: u64) -> i64 {
    i64::from_le_bytes(word.to_le_bytes())
}

/// Returns the ticks from `reference` to `tick`, modulo 2^32: negative where `tick` is earlier.
#[must_use]
pub const fn since(tick: u32, reference: u32) -> i32 {
    i32::from_le_bytes(tick.wrapping_sub(reference).to_le_bytes())
}

/// What a regression needs to know of a window, in exact integers.
///
/// Samples without clicks have no weight. What they spent or converted still counts in the totals
/// (else the CPC of a platform that bills impressions would be too low), and is also kept apart
/// as *loose*, because the spread of the residuals needs to know.
///
/// ```
/// use engine_core::window::{Sample, Windows};
///
/// let mut windows = Windows::new(8).unwrap();
/// let slot = windows.add();
/// windows.push(slot, Sample { tick: 5, clicks: 2, milliconversions: 0, spend_units: 30 }).unwrap();
/// let sums = windows.sums(slot);
/// assert_eq!((sums.clicks, sums.spend.total, sums.spend.time), (2, 30, 150));
/// assert_eq!(sums.spend.spread, 450 << 16);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    /// The tick from which time counts.
    pub reference: u32,
    /// How many samples have clicks.
    pub weighted: u32,
    /// Σ w.
    pub clicks: i128,
    /// Σ w·t.
    pub clicks_time: i128,
    /// Σ w·t².
    pub clicks_time2: i128,
    /// Of milliconversions.
    pub milliconversions: Column,
    /// Of spend units.
    pub spend: Column,
}

/// The sums of one of the counts y that are set against clicks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Column {
    /// Σ y.
    pub total: i128,
    /// Σ y·t.
    pub time: i128,
    /// Σ y²/w in 2^-16, each term rounded; with w = 1 for samples without clicks.
    pub spread: i128,
    /// Σ y over samples without clicks.
    pub loose: i128,
    /// Σ y·t over samples without clicks.
    pub loose_time: i128,
}

impl Sums {
    /// Returns the sums of samples, counted from nothing: exact for any samples that pass
    /// [`Sample::check`], at most 127 of them.
    pub(crate) fn of_ring(samples: impl Iterator<Item = Sample>, reference: u32) -> Self {
        let mut sums = Self {
            reference,
            ..Self::default()
        };
        for sample in samples {
            let t = i128::from(since(sample.tick, reference));
            let w = i128::from(sample.clicks);
            sums.weighted += u32::from(w > 0);
            sums.clicks += w;
            sums.clicks_time += w * t;
            sums.clicks_time2 += w * t * t;
            sums.milliconversions
                .add(i128::from(sample.milliconversions), w, t);
            sums.spend.add(i128::from(sample.spend_units), w, t);
        }
        sums
    }
}

impl Column {
    fn add(&mut self, y: i128, w: i128, t: i128) {
        let divisor = w.max(1);
        self.total += y;
        self.time += y * t;
        self.spread += (((y * y) << SPREAD_BITS) + divisor / 2) / divisor;
        if w == 0 {
            self.loose += y;
            self.loose_time += y * t;
        }
    }
}
