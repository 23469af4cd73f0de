//! The arithmetic of a sweep, for a block of campaigns at a time: one campaign a lane.
//!
//! Three stages, each a plain loop that the compiler makes vectors of: sums are moved to their
//! window's middle and become doubles; these become lines, forecasts and scores; the best platform
//! of each campaign is kept. No lane looks at another, so the results depend neither on how many
//! there are nor on who computes them.

use crate::header::{Header, Sums, since};
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
    moments: Vec<Moments>,
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
            moments: vec![moments; platforms],
            score: NOTHING,
            cpc: NOTHING,
            cvr: NOTHING,
            confidence: NOTHING,
            platform: NOTHING,
        }
    }

    /// Reads the headers of so many campaigns, the first of them at `slot`.
    #[inline(always)]
    pub(super) fn read(&mut self, windows: &Windows, slot: usize, campaigns: usize, due: &Due) {
        let count = (campaigns * self.platforms).min(LANES * self.platforms);
        let headers = windows.headers(slot, count);
        for (lane, headers) in headers.chunks_exact(self.platforms).enumerate() {
            for (index, (header, moments)) in headers.iter().zip(&mut self.moments).enumerate() {
                if !moments.read_header(lane, header, due) {
                    let sums = windows.sums(slot + lane * self.platforms + index);
                    moments.read_sums(lane, &sums, due);
                }
            }
        }
    }

    /// Finds the platform with the highest score for each campaign, given what a conversion is worth
    /// to it, in units.
    #[inline(always)]
    pub(super) fn choose(&mut self, values: &Lane, due: &Due) {
        self.score = [f64::NEG_INFINITY; LANES];
        self.platform = [-1.0; LANES];
        self.cpc = [f64::NAN; LANES];
        self.cvr = [f64::NAN; LANES];
        self.confidence = NOTHING;
        let horizon = f64::from(due.horizon);
        let mut index = 0.0;
        for moments in &self.moments {
            let lines = moments.lines(horizon);
            for lane in 0..LANES {
                #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
                {
                    let (cpc, cvr) = (lines.cpc[lane], lines.cvr[lane]);
                    let confidence = lines.confidence[lane];
                    let score = confidence * (cvr * values[lane] - cpc);
                    let is_better = moments.clicks[lane] > 0.0 && score > self.score[lane];
                    let keep = |place: &mut f64, found: f64| {
                        *place = if is_better { found } else { *place };
                    };
                    keep(&mut self.cpc[lane], cpc);
                    keep(&mut self.cvr[lane], cvr);
                    keep(&mut self.confidence[lane], confidence);
                    keep(&mut self.platform[lane], index);
                    keep(&mut self.score[lane], score);
                }
            }
            index += 1.0;
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
    /// Moves a header's sums to the middle of their times, m = Σ w·t / Σ w. That is exact modulo
    /// 2^64 whatever m is, and near the middle the results are short. Returns whether they are right:
    /// of samples that 64 bits cannot speak for they are not.
    #[inline(always)]
    #[allow(
        clippy::cast_precision_loss,
        reason = "rounding once, here, is the purpose"
    )]
    fn read_header(&mut self, lane: usize, header: &Header, due: &Due) -> bool {
        let sums = header.short_sums();
        let w = sums.clicks;
        let middle = sums.clicks_time as f64 / if w > 0 { w as f64 } else { 1.0 };
        let rounded = (middle + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits());
        let m = i64::from_le_bytes(rounded.to_le_bytes());
        let clicks_time = sums.clicks_time.wrapping_sub(m.wrapping_mul(w));
        let clicks_time2 = sums
            .clicks_time2
            .wrapping_sub(m.wrapping_mul(sums.clicks_time.wrapping_add(clicks_time)));
        let now = i64::from(since(due.tick, header.reference())) - m;
        #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
        {
            self.weighted[lane] = f64::from(header.weighted());
            self.clicks[lane] = w as f64;
            self.clicks_time[lane] = clicks_time as f64;
            self.clicks_time2[lane] = clicks_time2 as f64;
            self.now[lane] = now as f64;
        }
        let (total, time) = (sums.spend, sums.spend_time);
        let time = time.wrapping_sub(m.wrapping_mul(total));
        self.spend
            .put(lane, total as f64, time as f64, sums.spend_spread as f64);
        let (total, time) = (sums.milliconversions, sums.milliconversions_time);
        let time = time.wrapping_sub(m.wrapping_mul(total));
        let spread = sums.milliconversions_spread as f64;
        self.milliconversions
            .put(lane, total as f64, time as f64, spread);
        let squares = clicks_time2 | sums.spend_spread | sums.milliconversions_spread;
        header.wild() == 0 && squares >= 0
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
