//! A block of campaigns at a time, one a lane: the best platform of each.
//!
//! For each platform in turn the words of its headers are laid side by side, a plain loop over lanes
//! makes lines of them (see `moments`), and the better platform of each campaign is kept. No lane
//! looks at another, so the results depend neither on how many there are nor on who computes them.

#![allow(
    clippy::needless_range_loop,
    reason = "a loop over lanes reads as many arrays as it likes, and becomes vectors"
)]

use super::moments::{Due, Fraction, Line, Moments};
use crate::header::Header;
use crate::window::Windows;
use engine_memory::{lay_two, prefetch};

/// Campaigns in a block: their headers on four platforms and those of the next lie in the first cache.
pub(super) const LANES: usize = 32;

/// One number for each campaign of a block.
pub(super) type Lane = [f64; LANES];

/// The best platforms of a block of campaigns; `platform` is −1 where none has a forecast.
#[derive(Debug, Clone)]
pub(super) struct Block {
    platforms: usize,
    words: [[u64; LANES]; 8],
    lines: Lines,
    best: Lines,
    /// Of the best, the score times the whole of its confidence.
    score: Lane,
    pub(super) platform: Lane,
}

/// What the best platform promises: CPC in units, as is the score.
#[derive(Debug, Clone, Copy)]
pub(super) struct Best {
    pub(super) cpc: f64,
    pub(super) cvr: f64,
    pub(super) confidence: f64,
    pub(super) score: f64,
}

/// What windows say, one of each campaign; see [`Line`].
#[derive(Debug, Clone)]
struct Lines {
    cpc: Lane,
    cvr: Lane,
    part: Lane,
    whole: Lane,
}

const NOTHING: Lane = [0.0; LANES];

impl Block {
    pub(super) fn new(platforms: usize) -> Self {
        Self {
            platforms,
            words: [[0; LANES]; 8],
            lines: Lines::none(),
            best: Lines::none(),
            score: NOTHING,
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
        self.best = Lines::none();
        self.score = [-1.0; LANES];
        self.platform = [-1.0; LANES];
        let headers = windows.headers(slot, campaigns * self.platforms);
        let later = windows.headers(slot + LANES * self.platforms, LANES * self.platforms);
        let mut number = 0.0;
        for index in 0..self.platforms {
            self.lay(headers, later, index);
            if !self.lines.read(&self.words, due) {
                self.read_unsure(windows, slot + index, campaigns, due);
            }
            self.keep_better(number, values);
            number += 1.0;
        }
    }

    /// Lays the words of a platform's headers into their lanes, and asks for those of the next block.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
    fn lay(&mut self, headers: &[Header], later: &[Header], index: usize) {
        let platforms = self.platforms;
        for lane in (0..LANES).step_by(2) {
            let place = lane * platforms + index;
            prefetch(later, place);
            prefetch(later, place + platforms);
            let Some(one) = headers.get(place) else { break };
            let other = headers.get(place + platforms).unwrap_or(one);
            lay_two(&mut self.words, lane, one.words(), other.words());
        }
    }

    /// Reads lanes of which a header's sums do not tell all from their windows themselves.
    #[cold]
    #[inline(never)]
    fn read_unsure(&mut self, windows: &Windows, slot: usize, campaigns: usize, due: &Due) {
        for lane in 0..campaigns.min(LANES) {
            #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
            let words = self.words.each_ref().map(|word| word[lane]);
            if Moments::of_words(words, due).1 > 0 {
                let sums = windows.sums(slot + lane * self.platforms);
                let mut line = Moments::of_sums(&sums, due).line(due);
                let part = line.confidence.value(); // its own parts may be of any size
                line.confidence = Fraction { part, whole: 1.0 };
                self.lines.put(lane, line);
            }
        }
    }

    /// Keeps a platform where its score is above the best so far.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
    fn keep_better(&mut self, number: f64, values: &Lane) {
        let (lines, best) = (&self.lines, &mut self.best);
        for lane in 0..LANES {
            let score = lines.part[lane] * lines.gain(lane, values);
            // As fractions are compared; of none, the whole is 0 and the score below 0.
            let is_better = score * best.whole[lane] > self.score[lane] * lines.whole[lane];
            let keep = |place: &mut f64, found: f64| {
                *place = if is_better { found } else { *place };
            };
            keep(&mut best.cpc[lane], lines.cpc[lane]);
            keep(&mut best.cvr[lane], lines.cvr[lane]);
            keep(&mut best.part[lane], lines.part[lane]);
            keep(&mut best.whole[lane], lines.whole[lane]);
            keep(&mut self.platform[lane], number);
            keep(&mut self.score[lane], score);
        }
    }

    /// Returns what the best platform of a campaign promises; what is no number where there is none.
    #[inline(always)]
    pub(super) fn best(&self, lane: usize, values: &Lane) -> Best {
        let best = &self.best;
        #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
        let (cpc, cvr, part, whole) = (
            best.cpc[lane],
            best.cvr[lane],
            best.part[lane],
            best.whole[lane],
        );
        let confidence = Fraction { part, whole }.value();
        Best {
            cpc,
            cvr,
            confidence,
            score: confidence * best.gain(lane, values),
        }
    }
}

impl Lines {
    fn none() -> Self {
        Self {
            cpc: [f64::NAN; LANES],
            cvr: [f64::NAN; LANES],
            part: NOTHING,
            whole: NOTHING,
        }
    }

    /// Returns what a click is expected to bring beyond its price.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
    fn gain(&self, lane: usize, values: &Lane) -> f64 {
        self.cvr[lane] * values[lane] - self.cpc[lane]
    }

    /// Returns whether the words were enough for all lanes.
    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
    fn read(&mut self, words: &[[u64; LANES]; 8], due: &Due) -> bool {
        let mut unsure = 0;
        for lane in 0..LANES {
            let (moments, doubt) = Moments::of_words(words.each_ref().map(|word| word[lane]), due);
            self.put(lane, moments.line(due));
            unsure |= doubt;
        }
        unsure == 0
    }

    #[inline(always)]
    #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
    fn put(&mut self, lane: usize, found: Line) {
        let Line {
            cpc,
            cvr,
            confidence,
        } = found;
        self.cpc[lane] = cpc;
        self.cvr[lane] = cvr;
        self.part[lane] = confidence.part;
        self.whole[lane] = confidence.whole;
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

    proptest! {
        #[test]
        fn lines_are_those_of_the_forecasts(samples in samples(), start: u32, late in 0..100_000_u32) {
            let mut windows = Windows::with_slots(64, 1).unwrap();
            let mut tick = start;
            for sample in samples {
                tick = tick.wrapping_add(sample.tick);
                windows.push(0, Sample { tick, ..sample }).unwrap();
            }
            let due = Due::new(0, tick.wrapping_add(late), 2000);
            let mut block = Block::new(1);
            block.choose(&windows, 0, 1, &[0.0; LANES], &due);
            let found = block.best(0, &[0.0; LANES]);
            let wanted = forecast(&windows, 0, due.tick, 2000, 1);
            let Some((cpc, cvr)) = wanted.clamped_cpc_micros().zip(wanted.clamped_cvr()) else {
                prop_assert!(block.platform[0] < 0.0);
                return Ok(());
            };
            prop_assert!(block.platform[0] >= 0.0);
            // A window reaches back for 64 gaps of at most a minute, and is asked about soon after.
            let reach = 64.0 * 60_000.0 + 102_000.0;
            for (found, wanted) in [(found.cpc, cpc), (found.cvr, cvr)] {
                let level = wanted.value.abs() + wanted.slope_per_tick.abs() * reach;
                prop_assert!((found - wanted.value).abs() <= 1e-12 * level, "{found} {wanted:?}");
            }
            let parts = wanted.confidence;
            prop_assert!(found.confidence <= parts.sample_size * parts.spread * (1.0 + 1e-6) + 1e-9);
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
            let due = Due::new(0, tick, 2000);
            let mut block = Block::new(1);
            block.choose(&windows, 0, 1, &[0.0; LANES], &due);
            let found = block.best(0, &[0.0; LANES]);
            let wanted = forecast(&windows, 0, tick, 2000, 1).confidence.value;
            let found = found.confidence;
            prop_assert!((found - wanted).abs() <= 1e-6, "{found} {wanted}");
        }
    }
}
