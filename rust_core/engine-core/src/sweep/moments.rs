//! What a sweep makes of one window: its sums moved to the middle of their times, as doubles, and of
//! these the lines of CPC and CVR.
//!
//! All of it is arithmetic without branches for a single window, written so that a loop over many
//! becomes vectors: short integers become doubles in two operations, and few things are divided.

use crate::header::{ShortSums, Sums, since};
use crate::wide::nearest;

/// When a sweep decides, and for when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) at_ms: i64,
    pub(super) tick: u32,
    /// In ticks.
    pub(super) horizon: f64,
    /// 1 / the horizon, of at least a tick.
    per_horizon: f64,
}

impl Due {
    pub(super) fn new(at_ms: i64, tick: u32, horizon: u32) -> Self {
        Self {
            at_ms,
            tick,
            horizon: f64::from(horizon),
            per_horizon: 1.0 / f64::from(horizon.max(1)),
        }
    }
}

/// Sums of a window with times counted from its middle, to the nearest tick: the integers of the
/// header, still exact, rounded once.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moments {
    /// How many samples have clicks; Σ w, 1 / Σ w (or 1), Σ w·t, Σ w·t².
    weighted: f64,
    clicks: f64,
    clicks_inverse: f64,
    clicks_time: f64,
    clicks_time2: f64,
    spend: Column,
    milliconversions: Column,
    /// The time now, after the middle.
    now: f64,
}

/// Σ y, Σ y·t and Σ y²/w.
#[derive(Debug, Clone, Copy)]
struct Column {
    total: f64,
    time: f64,
    spread: f64,
}

/// What a platform's window says of the time that is due, CPC in units.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) cpc: f64,
    pub(super) cvr: f64,
    pub(super) confidence: Fraction,
}

/// A number of which only the best platform's is divided out. Its parts are below 2^420 where 64 bits
/// speak for the sums, so that two such numbers times what a click may bring can be compared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fraction {
    /// Not a number where nothing can be said.
    pub(super) part: f64,
    /// Above 0.
    pub(super) whole: f64,
}

impl Fraction {
    #[inline(always)]
    pub(super) fn value(self) -> f64 {
        self.part / self.whole
    }
}

/// Of a spread sum's unit, 2^-16.
const SPREAD_UNIT: f64 = 1.0 / 65_536.0;

impl Moments {
    /// Moves a header's sums to the middle of their times, m = Σ w·t / Σ w. That is exact modulo 2^64
    /// whatever m is, and near the middle the results are short. Returns beside them a number that is
    /// not 0 where 64 bits cannot speak for the sums.
    #[inline(always)]
    pub(super) fn of_words(words: [u64; 8], due: &Due) -> (Self, u64) {
        let sums = ShortSums::of(words);
        let clicks = short(sums.clicks);
        let clicks_inverse = 1.0 / at_least_one(clicks);
        let middle = float(sums.clicks_time) * clicks_inverse;
        let m = integer(middle);
        let moved = |sum: u64, total: u64| sum.wrapping_sub(m.wrapping_mul(total));
        let clicks_time = moved(sums.clicks_time, sums.clicks);
        let both = sums.clicks_time.wrapping_add(clicks_time);
        let clicks_time2 = moved(sums.clicks_time2, both);
        // As `since` has it: the difference of 32 bits, read as signed.
        let age = u64::from(due.tick).wrapping_sub(sums.reference) & 0xffff_ffff;
        let age = (age ^ 0x8000_0000).wrapping_sub(0x8000_0000);
        let column = |total, time, spread| Column {
            total: short(total),
            time: float(moved(time, total)),
            spread: float(spread),
        };
        let conversions = sums.milliconversions;
        let (time, spread) = (sums.milliconversions_time, sums.milliconversions_spread);
        let moments = Self {
            weighted: short(sums.weighted),
            clicks,
            clicks_inverse,
            clicks_time: short(clicks_time), // at most half of the clicks, either way
            clicks_time2: float(clicks_time2),
            spend: column(sums.spend, sums.spend_time, sums.spend_spread),
            milliconversions: column(conversions, time, spread),
            now: short(age.wrapping_sub(m)),
        };
        let signs = clicks_time2 | sums.spend_spread | spread;
        (moments, sums.wild | signs >> 63)
    }

    /// Does the same with sums of any size.
    pub(super) fn of_sums(sums: &Sums, due: &Due) -> Self {
        let w = sums.clicks;
        let m = if w > 0 {
            (sums.clicks_time + w / 2).div_euclid(w)
        } else {
            0
        };
        let clicks_time = sums.clicks_time - m * w;
        let column = |y: &crate::header::Column| Column {
            total: nearest(y.total),
            time: nearest(y.time - m * y.total),
            spread: nearest(y.spread),
        };
        Self {
            weighted: f64::from(sums.weighted),
            clicks: nearest(w),
            clicks_inverse: 1.0 / nearest(w.max(1)),
            clicks_time: nearest(clicks_time),
            clicks_time2: nearest(sums.clicks_time2 - m * (sums.clicks_time + clicks_time)),
            spend: column(&sums.spend),
            milliconversions: column(&sums.milliconversions),
            now: nearest(i128::from(since(due.tick, sums.reference)) - m),
        }
    }

    /// Returns CPC and CVR at the time due, and how far they can be trusted now.
    #[inline(always)]
    pub(super) fn line(&self, due: &Due) -> Line {
        let (n, w, wt) = (self.weighted, self.clicks, self.clicks_time);
        let determinant = w * self.clicks_time2 - wt * wt;
        // As `regression::fit` has it: two points make no line worth following.
        let is_sloped = n > 2.5 && determinant > 0.0;
        let fixed = Fixed {
            w,
            wt,
            w_inverse: self.clicks_inverse,
            d_inverse: 1.0
                / if is_sloped {
                    determinant
                } else {
                    f64::INFINITY
                },
            // w times the ticks from the mean time to the one that is due.
            off: w * (self.now + due.horizon) - wt,
            // n·w / ν, as the residuals' mean square is to be of a usual sample's clicks.
            usual: n * w,
            degrees: n - if is_sloped { 2.0 } else { 1.0 },
        };
        let (cpc, cpc_level, cpc_all) = fixed.line(&self.spend);
        let (cvr, cvr_level, cvr_all) = fixed.line(&self.milliconversions);
        let cvr = not_negative(cvr * 0.001);

        // `forecast::Confidence`: size · age · spread, over one denominator.
        let c = self.milliconversions.total * 0.001;
        let size = (n * w * (c + 5.0), (n + 3.0) * (w + 30.0) * (c + 10.0));
        let spread = (
            0.5 * (cpc_level * cvr_all + cvr_level * cpc_all),
            cpc_all * cvr_all,
        );
        let behind = not_negative(w * self.now - wt);
        // Evenly spaced, n samples have a variance of c²·(n² − 1) / 12 and the newest is
        // c·(n − 1) / 2 after the mean. Cadences missed, 8 of which halve the trust:
        let square = behind * behind * ((n * n - 1.0) * fixed.d_inverse * (1.0 / 12.0));
        let (evenly, unknown) = (root(square), behind * fixed.w_inverse * due.per_horizon);
        let cadences = if is_sloped { evenly } else { unknown };
        let missed = not_negative(0.125 * (cadences - 0.5 * (n + 1.0)));
        let age = 1.0 + missed * missed;
        // No degree of freedom is left to tell a spread by.
        let part = if fixed.degrees > 0.5 {
            size.0 * spread.0
        } else {
            0.0
        };
        Line {
            cpc: not_negative(cpc),
            cvr: if cvr < 1.0 { cvr } else { 1.0 },
            confidence: Fraction {
                part: if w > 0.0 { part } else { f64::NAN },
                whole: size.1 * (spread.1 * age),
            },
        }
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
    fn line(&self, y: &Column) -> (f64, f64, f64) {
        let rise = self.w * y.time - self.wt * y.total;
        let slope = rise * self.d_inverse;
        let value = (y.total + slope * self.off) * self.w_inverse;
        let square = y.total * y.total;
        // w times the sum of squares beside the line.
        let squares = not_negative(self.w * (y.spread * SPREAD_UNIT) - square - rise * slope);
        let level = square * self.degrees;
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

/// 1.5 · 2^52: a double near it has its integer in its lowest bits.
const MAGIC: f64 = 6_755_399_441_055_744.0;

/// Returns an integer of −2^51 to 2^51, in two's complement, as a double.
#[inline(always)]
fn short(integer: u64) -> f64 {
    f64::from_bits(MAGIC.to_bits().wrapping_add(integer)) - MAGIC
}

/// Returns the integer nearest to a number of −2^51 to 2^51, in two's complement.
#[inline(always)]
pub(super) fn integer(number: f64) -> u64 {
    (number + MAGIC).to_bits().wrapping_sub(MAGIC.to_bits())
}

/// Returns the double nearest to an integer, read as two's complement: what `as f64` gives, in
/// operations that every vector has. The upper half is taken as so many 2^32 beside 2^84, the lower
/// as so many 1 beside 2^52; their sum is rounded once.
#[inline(always)]
fn float(integer: u64) -> f64 {
    const LOW: u64 = 0x4330_0000_0000_0000; // 2^52
    const HIGH: u64 = 0x4530_0000_8000_0000; // 2^84 + 2^63
    const BOTH: f64 = f64::from_bits(0x4530_0000_8010_0000); // 2^84 + 2^63 + 2^52
    let low = f64::from_bits(integer & 0xffff_ffff | LOW);
    let high = f64::from_bits(integer >> 32 ^ HIGH);
    (high - BOTH) + low
}

/// Returns a square root to 24 bits, a fourth of the work of one to 53: of what only a confidence
/// rests on. What is beyond 1e36 is as good as that.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "to 24 bits is what is wanted"
)]
fn root(square: f64) -> f64 {
    const MOST: f64 = 1e36; // as `f32` has it still
    f64::from((if square < MOST { square } else { MOST } as f32).sqrt())
}

/// As `max` is, but for what is no number: one operation instead of three.
#[inline(always)]
fn not_negative(number: f64) -> f64 {
    if number > 0.0 { number } else { 0.0 }
}

#[inline(always)]
fn at_least_one(number: f64) -> f64 {
    if number > 1.0 { number } else { 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(clippy::cast_precision_loss, reason = "what it does is what is wanted")]
    fn a_double_is_the_nearest_to_an_integer() {
        let mut integer = 1_u64;
        for _ in 0..10_000 {
            integer = integer
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            for shift in [0, 1, 10, 11, 13, 31, 32, 33, 63] {
                let signed = i64::from_le_bytes(integer.to_le_bytes()) >> shift;
                let word = u64::from_le_bytes(signed.to_le_bytes());
                let wanted = (signed as f64).to_bits();
                assert_eq!(float(word).to_bits(), wanted, "{signed}");
                if shift > 12 {
                    assert_eq!(short(word).to_bits(), wanted, "{signed}");
                }
            }
        }
    }
}
