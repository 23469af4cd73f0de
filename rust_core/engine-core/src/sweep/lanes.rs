//! The arithmetic of a sweep, for a block of campaigns at a time: one campaign a lane.
//!
//! For each platform in turn: the words of its headers are laid side by side; sums are moved to their
//! window's middle and become doubles; these become lines, forecasts and scores; the best platform of
//! each campaign is kept. All but the first are plain loops that the compiler makes vectors of. No lane looks at another, so the results depend neither on how many
//! there are nor on who computes them.

#![allow(
    clippy::needless_range_loop,
    reason = "a loop over lanes reads as many arrays as it likes, and becomes vectors"
)]

use crate::header::{Header, ShortSums, Sums, since};
use crate::wide::nearest;
use crate::window::Windows;

/// Campaigns in a block: four platforms' moments of so many lie in the first cache beside their
/// headers.
pub(super) const LANES: usize = 32;

/// One number for each campaign of a block.
pub(super) type Lane = [f64; LANES];

/// When a sweep decides, and for when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) at_ms: i64,
    pub(super) tick: u32,
    /// In ticks.
    pub(super) horizon: u32,
}

/// Sums of windows with times counted from the middle of each, to the nearest tick: the integers of
/// the header, still exact, rounded once.
#[derive(Debug, Clone)]
struct Moments {
    /// How many samples have clicks; Σ w, Σ w·t, Σ w·t².
    weighted: Lane,
    clicks: Lane,
    clicks_time: Lane,
    clicks_time2: Lane,
    spend: Column,
    milliconversions: Column,
    /// The time now, after the middle.
    now: Lane,
}

/// Σ y, Σ y·t and Σ y²/w.
#[derive(Debug, Clone)]
struct Column {
    total: Lane,
    time: Lane,
    spread: Lane,
}

/// The best platforms of a block of campaigns; `platform` is −1 where none has a forecast.
#[derive(Debug, Clone)]
pub(super) struct Block {
    platforms: usize,
    words: [[u64; LANES]; 8],
    moments: Moments,
    pub(super) score: Lane,
    pub(super) cpc: Lane,
    pub(super) cvr: Lane,
    pub(super) confidence: Lane,
    pub(super) platform: Lane,
}

const NOTHING: Lane = [0.0; LANES];

impl Block {
    pub(super) fn new(platforms: usize) -> Self {
        let column = Column {
            total: NOTHING,
            time: NOTHING,
            spread: NOTHING,
        };
        let moments = Moments {
            weighted: NOTHING,
            clicks: NOTHING,
            clicks_time: NOTHING,
            clicks_time2: NOTHING,
            spend: column.clone(),
            milliconversions: column,
            now: NOTHING,
        };
        Self {
            platforms,
            words: [[0; LANES]; 8],
            moments,
            score: NOTHING,
            cpc: NOTHING,
            cvr: NOTHING,
            confidence: NOTHING,
            platform: NOTHING,
        }
    }

    /// Finds the platform with the highest score for each of so many campaigns, the first of which has
    /// its windows from `slot` on; `values`: what a conversion is worth to them, in units.
    #[inline(always)]
    pub(super) fn choose(
        &mut self,
        windows: &Windows,
        slot: usize,
        campaigns: usize,
        values: &Lane,
        due: &Due,
    ) {
        self.score = [f64::NEG_INFINITY; LANES];
        self.platform = [-1.0; LANES];
        self.cpc = [f64::NAN; LANES];
        self.cvr = [f64::NAN; LANES];
        self.confidence = NOTHING;
        let headers = windows.headers(slot, campaigns.min(LANES) * self.platforms);
        let mut number = 0.0;
        for index in 0..self.platforms {
            let ours = headers.iter().skip(index).step_by(self.platforms);
            for (lane, header) in ours.enumerate().take(LANES) {
                self.lay(lane, header);
            }
            let unsure = self.moments.read(&self.words, due);
            for lane in (0..campaigns.min(LANES)).filter(|&lane| unsure >> lane & 1 == 1) {
                let sums = windows.sums(slot + lane * self.platforms + index);
                self.moments.read_sums(lane, &sums, due);
            }
            self.keep_better(&self.moments.lines(f64::from(due.horizon)), number, values);
            number += 1.0;
        }
    }

    /// Lays the words of a header into their lane.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
    fn lay(&mut self, lane: usize, header: &Header) {
        for (place, &word) in self.words.iter_mut().zip(header.words()) {
            place[lane] = word;
        }
    }

    /// Keeps a platform where its score is above the best so far.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
    fn keep_better(&mut self, lines: &Lines, number: f64, values: &Lane) {
        for lane in 0..LANES {
            let (cpc, cvr) = (lines.cpc[lane], lines.cvr[lane]);
            let confidence = lines.confidence[lane];
            let score = confidence * (cvr * values[lane] - cpc);
            let is_better = self.moments.clicks[lane] > 0.0 && score > self.score[lane];
            let keep = |place: &mut f64, found: f64| {
                *place = if is_better { found } else { *place };
            };
            keep(&mut self.cpc[lane], cpc);
            keep(&mut self.cvr[lane], cvr);
            keep(&mut self.confidence[lane], confidence);
            keep(&mut self.platform[lane], number);
            keep(&mut self.score[lane], score);
        }
    }
}

/// What a platform's windows say of the time that is due, CPC in units.
struct Lines {
    cpc: Lane,
    cvr: Lane,
    confidence: Lane,
}

/// Of a spread sum's unit, 2^-16.
const SPREAD_UNIT: f64 = 1.0 / 65_536.0;
/// 1.5 · 2^52: a double near it has its integer in its lowest bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;

impl Moments {
    /// Moves headers' sums to the middle of their times, m = Σ w·t / Σ w. That is exact modulo 2^64
    /// whatever m is, and near the middle the results are short. Returns a bit for each lane of which
    /// 64 bits cannot speak for the sums.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
    fn read(&mut self, words: &[[u64; LANES]; 8], due: &Due) -> u32 {
        let mut signs = [0; LANES];
        let mut wild = [0; LANES];
        for lane in 0..LANES {
            let sums = ShortSums::of(words.each_ref().map(|word| word[lane]));
            let clicks = as_float(sums.clicks);
            let middle = as_float(sums.clicks_time) / if clicks > 0.0 { clicks } else { 1.0 };
            let m = (middle + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits());
            let moved = |sum: u64, total: u64| sum.wrapping_sub(m.wrapping_mul(total));
            let clicks_time = moved(sums.clicks_time, sums.clicks);
            let both = sums.clicks_time.wrapping_add(clicks_time);
            let clicks_time2 = moved(sums.clicks_time2, both);
            // As `since` has it: the difference of 32 bits, read as signed.
            let age = u64::from(due.tick).wrapping_sub(sums.reference) & 0xffff_ffff;
            let age = (age ^ 0x8000_0000).wrapping_sub(0x8000_0000);
            self.weighted[lane] = as_float(sums.weighted);
            self.clicks[lane] = clicks;
            self.clicks_time[lane] = as_float(clicks_time);
            self.clicks_time2[lane] = as_float(clicks_time2);
            self.now[lane] = as_float(age.wrapping_sub(m));
            self.spend.total[lane] = as_float(sums.spend);
            self.spend.time[lane] = as_float(moved(sums.spend_time, sums.spend));
            self.spend.spread[lane] = as_float(sums.spend_spread);
            let conversions = &mut self.milliconversions;
            conversions.total[lane] = as_float(sums.milliconversions);
            conversions.time[lane] =
                as_float(moved(sums.milliconversions_time, sums.milliconversions));
            conversions.spread[lane] = as_float(sums.milliconversions_spread);
            signs[lane] = clicks_time2 | sums.spend_spread | sums.milliconversions_spread;
            wild[lane] = sums.wild;
        }
        let mut unsure = 0;
        for lane in 0..LANES {
            unsure |= u32::from(signs[lane] >> 63 > 0 || wild[lane] > 0) << lane;
        }
        unsure
    }

    /// Does the same with sums of any size.
    #[cold]
    fn read_sums(&mut self, lane: usize, sums: &Sums, due: &Due) {
        let w = sums.clicks;
        let m = if w > 0 {
            (sums.clicks_time + w / 2).div_euclid(w)
        } else {
            0
        };
        let clicks_time = sums.clicks_time - m * w;
        let clicks_time2 = sums.clicks_time2 - m * (sums.clicks_time + clicks_time);
        let now = i128::from(since(due.tick, sums.reference)) - m;
        for (place, found) in [
            (&mut self.weighted, i128::from(sums.weighted)),
            (&mut self.clicks, w),
            (&mut self.clicks_time, clicks_time),
            (&mut self.clicks_time2, clicks_time2),
            (&mut self.now, now),
        ] {
            if let Some(place) = place.get_mut(lane) {
                *place = nearest(found);
            }
        }
        for (place, y) in [
            (&mut self.spend, &sums.spend),
            (&mut self.milliconversions, &sums.milliconversions),
        ] {
            place.put(
                lane,
                nearest(y.total),
                nearest(y.time - m * y.total),
                nearest(y.spread),
            );
        }
    }

    /// Returns CPC and CVR at the time due, and how far they can be trusted now.
    #[inline(always)]
    fn lines(&self, horizon: f64) -> Lines {
        let mut lines = Lines {
            cpc: NOTHING,
            cvr: NOTHING,
            confidence: NOTHING,
        };
        for lane in 0..LANES {
            #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
            {
                let n = self.weighted[lane];
                let w = self.clicks[lane];
                let wt = self.clicks_time[lane];
                let determinant = w * self.clicks_time2[lane] - wt * wt;
                // As `regression::fit` has it: two points make no line worth following.
                let is_sloped = n > 2.5 && determinant > 0.0;
                let d_inverse = if is_sloped { 1.0 / determinant } else { 0.0 };
                let w_inverse = 1.0 / if w > 0.0 { w } else { 1.0 };
                let fixed = Fixed {
                    w,
                    wt,
                    w_inverse,
                    d_inverse,
                    // w times the ticks from the mean time to the one that is due.
                    off: w * (self.now[lane] + horizon) - wt,
                    // n·w / ν, as the residuals' mean square is to be of a usual sample's clicks.
                    usual: n * w,
                    degrees: n - if is_sloped { 2.0 } else { 1.0 },
                };
                let (cpc, cpc_level, cpc_all) = fixed.line(&self.spend, lane);
                let (cvr, cvr_level, cvr_all) = fixed.line(&self.milliconversions, lane);
                let cvr = cvr * 0.001;
                lines.cpc[lane] = if cpc > 0.0 { cpc } else { 0.0 };
                let cvr = if cvr > 0.0 { cvr } else { 0.0 };
                lines.cvr[lane] = if cvr < 1.0 { cvr } else { 1.0 };

                // `forecast::Confidence`: size · age · spread, over one denominator.
                let c = self.milliconversions.total[lane] * 0.001;
                let size = (n * w * (c + 5.0), (n + 3.0) * (w + 30.0) * (c + 10.0));
                let spread = (
                    0.5 * (cpc_level * cvr_all + cvr_level * cpc_all),
                    cpc_all * cvr_all,
                );
                let behind = w * self.now[lane] - wt;
                let behind = if behind > 0.0 { behind } else { 0.0 };
                // Evenly spaced, n samples have a variance of c²·(n² − 1) / 12 and the newest is
                // c·(n − 1) / 2 after the mean. Cadences missed, 8 of which halve the trust:
                let cadences = if is_sloped {
                    (behind * behind * ((n * n - 1.0) * d_inverse / 12.0)).sqrt()
                } else {
                    behind * w_inverse / if horizon > 1.0 { horizon } else { 1.0 }
                };
                let missed = 0.125 * (cadences - 0.5 * (n + 1.0));
                let missed = if missed > 0.0 { missed } else { 0.0 };
                let age = 1.0 + missed * missed;
                let confidence = (size.0 * spread.0) / (size.1 * (spread.1 * age));
                // No degree of freedom is left to tell a spread by.
                lines.confidence[lane] = if fixed.degrees > 0.5 { confidence } else { 0.0 };
            }
        }
        lines
    }
}

/// Returns the double nearest to an integer, read as two's complement: what `as f64` gives, in four
/// operations that every vector has. The upper half is taken as so many 2^32 beside 2^84, the lower
/// as so many 1 beside 2^52; their sum is rounded once.
#[inline(always)]
fn as_float(integer: u64) -> f64 {
    const LOW: u64 = 0x4330_0000_0000_0000; // 2^52
    const HIGH: u64 = 0x4530_0000_8000_0000; // 2^84 + 2^63
    const BOTH: f64 = f64::from_bits(0x4530_0000_8010_0000); // 2^84 + 2^63 + 2^52
    let low = f64::from_bits(integer & 0xffff_ffff | LOW);
    let high = f64::from_bits(integer >> 32 ^ HIGH);
    (high - BOTH) + low
}

/// What both lines of a window have in common.
struct Fixed {
    w: f64,
    wt: f64,
    w_inverse: f64,
    d_inverse: f64,
    off: f64,
    usual: f64,
    degrees: f64,
}

impl Fixed {
    /// Returns the line's value, and the share of its level in level and noise as a fraction.
    #[inline(always)]
    fn line(&self, y: &Column, lane: usize) -> (f64, f64, f64) {
        #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
        let (total, time, spread) = (y.total[lane], y.time[lane], y.spread[lane]);
        let rise = self.w * time - self.wt * total;
        let slope = rise * self.d_inverse;
        let value = (total + slope * self.off) * self.w_inverse;
        // w times the sum of squares beside the line.
        let squares = self.w * (spread * SPREAD_UNIT) - total * total - rise * slope;
        let squares = if squares > 0.0 { squares } else { 0.0 };
        let level = total * total * self.degrees;
        let all = level + squares * self.w_inverse * self.usual;
        // Nothing at all agrees with itself.
        let is_told = all > 0.0;
        (
            value,
            if is_told { level } else { 1.0 },
            if is_told { all } else { 1.0 },
        )
    }
}

impl Column {
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
    fn put(&mut self, lane: usize, total: f64, time: f64, spread: f64) {
        self.total[lane] = total;
        self.time[lane] = time;
        self.spread[lane] = spread;
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]
mod tests {
    use super::*;
    use crate::forecast::forecast;
    use crate::window::Sample;
    use proptest::prelude::*;

    /// Samples of every size; spend without clicks is a window's own affair (see below).
    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let one = (
            1..60_000_u32,
            0..24_u32,
            0..3000_u32,
            0..900_000_u32,
            0..1000_u32,
        )
            .prop_map(|(gap, bits, clicks, milliconversions, cpc)| {
                let clicks = clicks << (bits / 2) >> 8;
                Sample {
                    tick: gap,
                    clicks,
                    milliconversions: if clicks > 0 { milliconversions } else { 0 },
                    spend_units: clicks.saturating_mul(cpc).min(1 << 30),
                }
            });
        prop::collection::vec(one, 0..150)
    }

    #[test]
    fn a_double_is_the_nearest_to_an_integer() {
        let mut integer = 1_u64;
        for _ in 0..10_000 {
            integer = integer
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            for shift in [0, 1, 10, 11, 31, 32, 33, 63] {
                let signed = i64::from_le_bytes(integer.to_le_bytes()) >> shift;
                let found = as_float(u64::from_le_bytes(signed.to_le_bytes()));
                assert_eq!(found.to_bits(), (signed as f64).to_bits(), "{signed}");
            }
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_the_forecasts(samples in samples(), start: u32, late in 0..100_000_u32) {
            let mut windows = Windows::with_slots(64, 1).unwrap();
            let mut tick = start;
            for sample in samples {
                tick = tick.wrapping_add(sample.tick);
                windows.push(0, Sample { tick, ..sample }).unwrap();
            }
            let due = Due { at_ms: 0, tick: tick.wrapping_add(late), horizon: 2000 };
            let mut block = Block::new(1);
            block.choose(&windows, 0, 1, &[0.0; LANES], &due);
            let wanted = forecast(&windows, 0, due.tick, due.horizon, 1);
            let Some((cpc, cvr)) = wanted.clamped_cpc_micros().zip(wanted.clamped_cvr()) else {
                prop_assert!(block.platform[0] < 0.0);
                return Ok(());
            };
            prop_assert!(block.platform[0] >= 0.0);
            // A window reaches back for 64 gaps of at most a minute, and is asked about soon after.
            let reach = 64.0 * 60_000.0 + 102_000.0;
            for (found, wanted) in [(block.cpc[0], cpc), (block.cvr[0], cvr)] {
                let level = wanted.value.abs() + wanted.slope_per_tick.abs() * reach;
                prop_assert!((found - wanted.value).abs() <= 1e-12 * level, "{found} {wanted:?}");
            }
            let parts = wanted.confidence;
            prop_assert!(block.confidence[0] <= parts.sample_size * parts.spread * (1.0 + 1e-6) + 1e-9);
        }

        #[test]
        fn confidence_is_the_forecasts_where_samples_come_evenly(
            count in 4..90_u32, gap in 1000..60_000_u32, missed in 0..40_u32,
            rates in prop::collection::vec((0..500_u32, 0..500_000_u32), 90),
        ) {
            let mut windows = Windows::with_slots(64, 1).unwrap();
            for (i, (milliconversions, spend_units)) in (0..count).zip(rates) {
                let sample = Sample { tick: i * gap, clicks: 40, milliconversions, spend_units };
                windows.push(0, sample).unwrap();
            }
            let tick = (count - 1 + missed) * gap;
            let due = Due { at_ms: 0, tick, horizon: 2000 };
            let mut block = Block::new(1);
            block.choose(&windows, 0, 1, &[0.0; LANES], &due);
            let wanted = forecast(&windows, 0, tick, 2000, 1).confidence.value;
            let found = block.confidence[0];
            prop_assert!((found - wanted).abs() <= 1e-9, "{found} {wanted}");
        }
    }
}
