//! Late conversions: what share of them is reported how soon, learned from reports that were restated.
//!
//! Platforms report a stretch of time at once and its conversions for days: a click of this morning
//! may still convert. Whoever divides today's conversions by today's clicks sees a CVR that always
//! falls. Here each restatement tells how many conversions came between two ages of a stretch, and
//! recent clicks count only by the share of their conversions that should have been seen.

use crate::bytes::{Reader, Writer};

/// Ages are told in stretches that double: up to 4 s, 8 s, 16 s … and 48 days.
const FIRST_AGE_S: f64 = 4.0;
const STRETCHES: usize = 20;
/// A stretch remembers the last so many conversions: what was so a quarter ago fades.
const MOST_KNOWN: f64 = 2000.0;
/// No share is held to be less: a click of this second is not worth a hundred.
pub const LEAST_SHARE: f64 = 0.05;

/// What is held of a platform before its restatements have taught better.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum DelayPrior {
    /// All conversions are in the first report. The prudent one where bids go by the result: it
    /// never says that more has been brought than was seen.
    AtOnce,
    /// Half of them are seen after so many seconds, three quarters after three times that: the share
    /// after t is t / (t + half). Its tail is long, as that of conversions is.
    HalfAfter(f64),
}

/// The delay curve of a platform: 320 bytes, moved and asked in constant time.
///
/// For each stretch of ages, of the conversions known at its end the share that came in it:
/// r = (r₀·k + Σ came) / (k + Σ known), with the prior's r₀ worth k conversions. The share seen at an
/// age is the product of 1 − r over all later stretches. That is the chain ladder of insurers (Mack,
/// ASTIN Bulletin 23, 1993), which is the nonparametric likelihood's answer for reports that are cut
/// off by the present (Kalbfleisch & Lawless, JASA 84, 1989). It cannot fall with age.
///
/// ```
/// use engine_core::outlook::delay::{Delay, DelayPrior};
///
/// let mut delay = Delay::new(DelayPrior::AtOnce, 20.0);
/// assert_eq!(delay.share(60.0), 1.0);
/// for _ in 0..500 {
///     delay.restated((64.0, 6.0), (65_536.0, 10.0)); // 6 after a minute, 10 after 18 hours
///     delay.matured((65_536.0, 10.0), 131_072.0); // and nothing in the 18 hours after
/// }
/// assert!((delay.share(64.0) - 0.6).abs() < 0.01);
/// assert_eq!(delay.share(65_536.0), 1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Delay {
    /// Of each stretch: conversions that came in it, and those known at its end.
    came: [f64; STRETCHES],
    known: [f64; STRETCHES],
}

impl Delay {
    /// How many bytes `to_bytes` gives.
    pub const BYTES: usize = 16 * STRETCHES;

    /// Returns the curve of a platform that nothing is known of: the prior's, which weighs as much as
    /// `weight` conversions (held at 1 to 2000) seen in each stretch.
    #[must_use]
    pub fn new(prior: DelayPrior, weight: f64) -> Self {
        let weight = if weight > 1.0 {
            weight.min(MOST_KNOWN)
        } else {
            1.0
        };
        let mut curve = Self {
            came: [0.0; STRETCHES],
            known: [weight; STRETCHES],
        };
        if let DelayPrior::HalfAfter(half) = prior {
            let half = if half > 0.0 { half.min(1e9) } else { 0.0 };
            let mut end = FIRST_AGE_S;
            for came in &mut curve.came {
                let begin = end;
                end += begin;
                // 1 − F(begin) / F(end) with F(t) = t / (t + half).
                *came = weight * half / (2.0 * (begin + half));
            }
        }
        curve
    }

    /// Learns from a restatement: (age in seconds, conversions) as said before, and as said now.
    ///
    /// The same said again is a message that came twice, and teaches nothing. Conversions that were
    /// taken back count as none that came.
    pub fn restated(&mut self, before: (f64, f64), now: (f64, f64)) {
        if before.1.to_bits() != now.1.to_bits() {
            self.learn(before, now);
        }
    }

    /// Learns that a stretch, last restated (or first said) at an age, stood at its conversions until
    /// another age, when it left the window. To be said once of each.
    pub fn matured(&mut self, last: (f64, f64), age: f64) {
        self.learn(last, (age, last.1));
    }

    /// Returns the share of its conversions that a stretch of time has been reported to have at an
    /// age: at least 5 %, never falling with age, 1 after 48 days.
    #[must_use]
    pub fn share(&self, age: f64) -> f64 {
        self.raw_share(age).max(LEAST_SHARE)
    }

    fn raw_share(&self, age: f64) -> f64 {
        let age = if age > 0.0 { age } else { 0.0 };
        let mut end = FIRST_AGE_S;
        let mut share = 1.0;
        for (came, known) in self.came.iter().zip(&self.known) {
            let begin = end;
            end += begin;
            // Inside a stretch conversions are held to come evenly.
            let left = ((end - age) / begin).clamp(0.0, 1.0);
            share *= 1.0 - left * (came / known);
        }
        share
    }

    fn learn(&mut self, before: (f64, f64), now: (f64, f64)) {
        let ((young, first), (old, last)) = (before, now);
        let is_count = |found: f64| (0.0..=1e12).contains(&found);
        if !(is_count(first) && is_count(last) && young >= 0.0 && old > young) {
            return;
        }
        // What came between the ages, by stretch: as the curve has it so far (one step of expectation
        // and maximisation), or where it has none, evenly.
        let (before, after) = (self.raw_share(young), self.raw_share(old));
        let came = (last - first).max(0.0);
        let (mut end, mut seen) = (FIRST_AGE_S, before);
        let mut known = last - came;
        let ages = old.min(end * f64::from(1_u32 << STRETCHES)) - young.max(FIRST_AGE_S);
        let mut shares = [0.0; STRETCHES];
        for share in &mut shares {
            let begin = end;
            end += begin;
            let overlap = (end.min(old) - begin.max(young)).max(0.0);
            if overlap > 0.0 {
                let next = self.raw_share(end.min(old));
                *share = if after > before {
                    (next - seen) / (after - before)
                } else {
                    overlap / ages
                };
                seen = next;
            }
        }
        let mut end = FIRST_AGE_S;
        let stretches = self.came.iter_mut().zip(&mut self.known).zip(shares);
        for ((all_came, all_known), share) in stretches {
            let begin = end;
            end += begin;
            let overlap = (end.min(old) - begin.max(young)).max(0.0);
            if overlap <= 0.0 {
                continue;
            }
            known += came * share;
            // A stretch seen in part tells as much less of it.
            let part = overlap / begin;
            *all_came += came * share;
            *all_known += (known * part).max(came * share);
            if *all_known > MOST_KNOWN {
                *all_came *= MOST_KNOWN / *all_known;
                *all_known = MOST_KNOWN;
            }
            *all_came = all_came.min(*all_known); // rounding
        }
    }

    /// Returns the state as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(Self::BYTES);
        self.write(&mut out);
        out.bytes
    }

    /// Returns the state from what `to_bytes` gave, or `None` where it did not.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        Self::read(&mut reader).filter(|_| reader.remaining() == 0)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for (&came, &known) in self.came.iter().zip(&self.known) {
            out.f64(came);
            out.f64(known);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut read = Self::new(DelayPrior::AtOnce, 1.0);
        for (came, known) in read.came.iter_mut().zip(&mut read.known) {
            *came = reader.f64()?;
            *known = reader.f64()?;
            let is_share = (0.0..=*known).contains(came);
            if !is_share || !(0.5..=2.0 * MOST_KNOWN).contains(known) {
                return None;
            }
        }
        Some(read)
    }
}

/// Recent clicks and conversions with the late ones accounted for.
///
/// Conversions stay as reported; clicks count by the share of their conversions that should have been
/// seen: Σ conversions / Σ clicks·share is the likeliest rate where conversions come by chance
/// (Poisson with exposure), and one young click with a conversion does not become twenty of them.
///
/// ```
/// use engine_core::outlook::delay::{Corrected, Delay, DelayPrior};
///
/// let delay = Delay::new(DelayPrior::HalfAfter(3600.0), 20.0);
/// let mut corrected = Corrected::default();
/// corrected.add(&delay, 1000.0, 20.0, 30.0 * 86_400.0); // a month old: nearly all seen
/// corrected.add(&delay, 1000.0, 10.0, 3600.0); // an hour old: half seen
/// assert!((corrected.rate().unwrap() - 0.02).abs() < 0.0002);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Corrected {
    /// Clicks by the share of their conversions that should have been seen.
    pub clicks: f64,
    /// Conversions as reported.
    pub conversions: f64,
}

impl Corrected {
    /// Counts a stretch of an age, in seconds, in.
    pub fn add(&mut self, delay: &Delay, clicks: f64, conversions: f64, age: f64) {
        self.clicks += clicks.max(0.0) * delay.share(age);
        self.conversions += conversions.max(0.0);
    }

    /// Returns conversions per click, or `None` without clicks.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (self.clicks > 0.0).then(|| self.conversions / self.clicks)
    }
}
