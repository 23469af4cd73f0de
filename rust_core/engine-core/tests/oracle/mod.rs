//! Slow, obvious counterparts of the windows: lists, 128-bit sums and fractions of big integers.

#![allow(dead_code, reason = "each test crate uses its share")]

use engine_core::regression::Series;
use engine_core::window::{Pushed, REACH, Sample, since};
use num_bigint::BigInt;
use num_rational::BigRational;

/// A feed's random numbers: Steele and Vigna's `SplitMix64`, for its period and its brevity.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.roll() % bound
    }

    /// Returns a number below `bound` as a count.
    pub(crate) fn count(&mut self, bound: u32) -> u32 {
        u32::try_from(self.below(u64::from(bound))).unwrap()
    }
}

/// A sample with its time as it really is, before it wraps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) at: i64,
    pub(crate) clicks: u32,
    pub(crate) milliconversions: u32,
    pub(crate) spend_units: u32,
}

impl Report {
    pub(crate) fn sample(&self) -> Sample {
        Sample {
            tick: wrapped(self.at),
            clicks: self.clicks,
            milliconversions: self.milliconversions,
            spend_units: self.spend_units,
        }
    }
}

/// Returns a time modulo 2^32.
pub(crate) fn wrapped(at: i64) -> u32 {
    u32::try_from(at.rem_euclid(1 << 32)).unwrap()
}

/// A window as a sorted list.
#[derive(Debug, Clone)]
pub(crate) struct List {
    capacity: usize,
    pub(crate) reports: Vec<Report>,
}

impl List {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            reports: Vec::new(),
        }
    }

    /// Does what `Windows::push` should, and says what it should.
    pub(crate) fn push(&mut self, report: Report) -> Pushed {
        let reach = i64::from(REACH);
        let newest = self.reports.last().map_or(report.at, |last| last.at);
        if newest - report.at >= reach {
            return Pushed::Late;
        }
        self.reports.retain(|kept| report.at - kept.at < reach);
        if let Some(same) = self.reports.iter_mut().find(|kept| kept.at == report.at) {
            let before = same.sample();
            *same = report;
            return Pushed::Replaced { before };
        }
        if self.reports.len() == self.capacity {
            if report.at < self.reports[0].at {
                return Pushed::Late;
            }
            self.reports.remove(0);
        }
        self.reports.push(report);
        self.reports.sort_by_key(|kept| kept.at);
        Pushed::Accepted
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        self.reports.iter().map(Report::sample).collect()
    }
}

/// Returns the eight words that the table at `Header` promises, from wide integers.
pub(crate) fn words(samples: &[Sample], head: usize, is_full: bool, reference: u32) -> [u64; 8] {
    let mut sums = [0_i128; 11];
    for sample in samples {
        let t = i128::from(since(sample.tick, reference));
        let [w, c, s] =
            [sample.clicks, sample.milliconversions, sample.spend_units].map(i128::from);
        let is_small = w < 1 << 22 && c < 1 << 21 && s < 1 << 24;
        let spread = |y: i128| {
            if is_small && w > 0 {
                (2 * y * y * 65536 + w) / (2 * w)
            } else {
                0
            }
        };
        let is_large = [spread(s), spread(c), w * t * t]
            .iter()
            .any(|part| *part >= 1 << 57);
        let is_wild = !is_small || is_large || (w == 0 && c + s > 0);
        let parts = [
            w * t * t,
            w * t,
            c * t,
            s * t,
            spread(s),
            spread(c),
            i128::from(w > 0),
            w,
            c,
            i128::from(is_wild),
            s,
        ];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += part;
        }
    }
    let [wtt, wt, ct, st, ss, cc, weighted, w, c, wild, s] = sums;
    let place = (head as i128) << 7 | i128::from(is_full) << 14 | i128::from(reference >> 14) << 15;
    [
        wtt,
        wt,
        ct,
        st,
        ss,
        cc,
        weighted + (w << 7) + (c << 36),
        wild + place + (s << 33),
    ]
    .map(|word| u64::try_from(word.rem_euclid(1 << 64)).unwrap())
}

/// The line through a window in fractions: the textbook's formulas, in two passes.
pub(crate) struct Exact {
    pub(crate) mean_at: BigRational,
    pub(crate) mean: BigRational,
    pub(crate) slope: BigRational,
    /// Σ w·(t − mean)².
    pub(crate) moment: BigRational,
    pub(crate) weight: BigRational,
    pub(crate) weighted: usize,
    /// Σ w·residual².
    pub(crate) squares: BigRational,
}

pub(crate) fn whole(number: i64) -> BigRational {
    BigRational::from_integer(BigInt::from(number))
}

impl Exact {
    /// Returns the line, of spend units or of conversions, or `None` without clicks.
    pub(crate) fn of(reports: &[Report], series: Series) -> Option<Self> {
        let rows: Vec<(BigRational, BigRational, BigRational)> = reports
            .iter()
            .map(|report| {
                let count = match series {
                    Series::Cpc => whole(i64::from(report.spend_units)),
                    Series::Cvr => whole(i64::from(report.milliconversions)) / whole(1000),
                };
                (whole(report.at), whole(i64::from(report.clicks)), count)
            })
            .collect();
        let zero = whole(0);
        let weight: BigRational = rows.iter().map(|(_, w, _)| w).sum();
        if weight == zero {
            return None;
        }
        let weighted = rows.iter().filter(|(_, w, _)| *w > zero).count();
        let mean_at = rows.iter().map(|(t, w, _)| t * w).sum::<BigRational>() / &weight;
        let mean = rows.iter().map(|(_, _, y)| y).sum::<BigRational>() / &weight;
        let moment: BigRational = rows.iter().map(|(t, w, _)| w * (t - &mean_at).pow(2)).sum();
        let rise: BigRational = rows
            .iter()
            .map(|(t, w, y)| (t - &mean_at) * (y - w * &mean))
            .sum();
        let is_level = weighted < 3 || moment == zero;
        let slope = if is_level { whole(0) } else { rise / &moment };
        let squares = rows
            .iter()
            .map(|(t, w, y)| {
                let line = &mean + &slope * (t - &mean_at);
                if *w > zero {
                    (y - w * line).pow(2) / w
                } else {
                    y.pow(2)
                }
            })
            .sum();
        Some(Self {
            mean_at,
            mean,
            slope,
            moment: if is_level { whole(0) } else { moment },
            weight,
            weighted,
            squares,
        })
    }

    pub(crate) fn at(&self, at: i64) -> BigRational {
        &self.mean + &self.slope * (whole(at) - &self.mean_at)
    }

    /// Returns the square of the interval's half width without the factor t(ν), or `None` without
    /// a degree of freedom.
    pub(crate) fn variance(&self, at: i64) -> Option<BigRational> {
        let is_level = self.moment == whole(0);
        let degrees = self.weighted.checked_sub(if is_level { 1 } else { 2 })?;
        if degrees == 0 {
            return None;
        }
        let degrees = whole(i64::try_from(degrees).unwrap());
        let samples = whole(i64::try_from(self.weighted).unwrap());
        let mut parts = samples / &self.weight + whole(1) / &self.weight;
        if !is_level {
            parts += (whole(at) - &self.mean_at).pow(2) / &self.moment;
        }
        Some(&self.squares / degrees * parts)
    }
}

/// Returns |found − exact| / |exact|, and |found| where the exact value is 0.
pub(crate) fn relative_error(found: f64, exact: &BigRational) -> f64 {
    let found = BigRational::from_float(found).expect("a finite number");
    let off = &found - exact;
    let ratio = if *exact == whole(0) { off } else { off / exact };
    to_float(&ratio).abs()
}

/// Returns the double nearest to a fraction, or nearly so.
pub(crate) fn to_float(fraction: &BigRational) -> f64 {
    use num_traits::ToPrimitive;
    fraction.to_f64().unwrap()
}
