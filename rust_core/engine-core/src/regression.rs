//! Click-weighted least squares over a window, from its exact sums.
//!
//! A rate y/w (spend or conversions per click) has a variance that goes as 1/w, so weights w are
//! the efficient ones, and they make every sum an integer: Σ w·(y/w) = Σ y. With the same clicks
//! in each sample this is ordinary least squares.
//!
//! Each quantity is one quotient of two integers that are computed exactly and rounded once:
//! values and slopes are within 5 units of 2^-53 of the true ones, whatever cancels.

use crate::header::{Column, SPREAD_BITS, Sums, since};
use crate::wide::{cross, narrow_cross, nearest};

/// Which of the two rates of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Cost per click, in spend units.
    Cpc,
    /// Conversions per click, a fraction.
    Cvr,
}

/// A forecast value with its 95 % prediction interval: where the rate of a sample with as many
/// clicks as the window's usual one will lie.
///
/// The ends are infinite where the window gives no grounds for an interval (samples with clicks
/// at fewer than two times leave no residual to judge by).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value of the line.
    pub value: f64,
    /// The lower end of the interval.
    pub low: f64,
    /// The upper end of the interval.
    pub high: f64,
    /// The line's slope, for each tick.
    pub slope_per_tick: f64,
}

impl Estimate {
    /// Returns the slope for each second, given the length of a tick.
    #[must_use]
    pub fn slope_per_second(&self, tick_ms: u32) -> f64 {
        self.slope_per_tick * (1000.0 / f64::from(tick_ms))
    }

    /// Returns the estimate in another unit, `factor` of which make one of this.
    #[must_use]
    pub fn scaled(&self, factor: f64) -> Self {
        Self {
            value: self.value * factor,
            low: self.low * factor,
            high: self.high * factor,
            slope_per_tick: self.slope_per_tick * factor,
        }
    }

    /// Returns the estimate with value and interval held within what the rate can be. The slope
    /// stays the line's.
    #[must_use]
    pub fn clamped(&self, least: f64, most: f64) -> Self {
        Self {
            value: self.value.max(least).min(most),
            low: self.low.max(least).min(most),
            high: self.high.max(least).min(most),
            slope_per_tick: self.slope_per_tick,
        }
    }
}

/// A fitted line: a rate as a linear function of time.
///
/// With fewer than three samples that have clicks, or all of them at one time, a slope would be
/// noise: the line is then level, at Σ y / Σ w.
///
/// ```
/// use engine_core::regression::{Series, fit};
/// use engine_core::window::{Sample, Windows};
///
/// let mut windows = Windows::new(8)?;
/// let slot = windows.add();
/// for tick in 0..5 {
///     let spend_units = 10 * (500 + 3 * tick); // a CPC of 500 units, rising by 3 a tick
///     windows.push(slot, Sample { tick, clicks: 10, milliconversions: 200, spend_units })?;
/// }
/// let line = fit(&windows.sums(slot), Series::Cpc).unwrap();
/// assert_eq!(line.at(10).value, 530.0);
/// assert_eq!(line.at(10).slope_per_tick, 3.0);
/// let cvr = fit(&windows.sums(slot), Series::Cvr).unwrap();
/// assert_eq!(cvr.at(10).value, 0.02);
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    reference: u32,
    clicks: i128,
    clicks_time: i128,
    clicks_time2: i128,
    total: i128,
    time: i128,
    /// Σ w · Σ w·t² − (Σ w·t)², and 0 for a level line.
    determinant: f64,
    slope: f64,
    variance: Option<f64>,
    quantile: f64,
    usual_clicks: f64,
    /// How many of the sums' units make one of the rate's.
    unit: f64,
}

/// Σ w·(x − t) and Σ w·t·(t − x): the sums as seen from a time x.
struct Moments {
    distance: i128,
    moment: i128,
}

/// Returns the line of one rate through a window, or `None` where no sample has clicks.
#[must_use]
pub fn fit(sums: &Sums, series: Series) -> Option<Line> {
    (sums.clicks != 0).then(|| line_of(sums, Times::of(sums), series))
}

/// Returns the lines of both rates, CPC's first.
pub(crate) fn fit_both(sums: &Sums) -> Option<(Line, Line)> {
    (sums.clicks != 0).then(|| {
        let times = Times::of(sums);
        let of = |series| line_of(sums, times, series);
        (of(Series::Cpc), of(Series::Cvr))
    })
}

fn line_of(sums: &Sums, times: Times, series: Series) -> Line {
    let (column, unit) = match series {
        Series::Cpc => (&sums.spend, 1.0),
        Series::Cvr => (&sums.milliconversions, 1000.0),
    };
    let spread = Spread::of(sums, times, column);
    Line {
        reference: sums.reference,
        clicks: sums.clicks,
        clicks_time: sums.clicks_time,
        clicks_time2: sums.clicks_time2,
        total: column.total,
        time: column.time,
        determinant: times.determinant,
        slope: spread.slope / unit,
        variance: spread.variance,
        quantile: student_975(spread.degrees),
        usual_clicks: nearest(sums.clicks) / f64::from(sums.weighted),
        unit,
    }
}

impl Line {
    /// Returns the value at a time, which may lie before, in or after the window.
    ///
    /// The interval is the textbook one for a new observation of weight w₀ (the mean clicks of a
    /// sample): half its width is t₀.₉₇₅(ν)·σ·√(1/w₀ + 1/Σw + (x−x̄)²/Σw(t−t̄)²), with σ² the weighted
    /// residuals' mean square on ν degrees of freedom (Draper & Smith, Applied Regression
    /// Analysis, 3rd ed., 3.1 and 9.2).
    #[must_use]
    pub fn at(&self, tick: u32) -> Estimate {
        let clicks = nearest(self.clicks);
        let leverage = if self.determinant > 0.0 {
            let off = nearest(self.seen_from(tick).distance);
            off / clicks * (off / self.determinant)
        } else {
            0.0
        };
        let value = self.value_at(tick);
        let half = self.variance.map_or(f64::INFINITY, |variance| {
            let parts = 1.0 / self.usual_clicks + 1.0 / clicks + leverage;
            self.quantile * (variance * parts).sqrt() / self.unit
        });
        Estimate {
            value,
            low: value - half,
            high: value + half,
            slope_per_tick: self.slope,
        }
    }

    /// Returns the value at a time, without an interval.
    pub(crate) fn value_at(&self, tick: u32) -> f64 {
        if self.determinant > 0.0 {
            let Moments { distance, moment } = self.seen_from(tick);
            cross(self.total, moment, self.time, -distance) / (self.determinant * self.unit)
        } else {
            nearest(self.total) / (nearest(self.clicks) * self.unit)
        }
    }

    fn seen_from(&self, tick: u32) -> Moments {
        let ahead = i128::from(since(tick, self.reference));
        Moments {
            distance: ahead * self.clicks - self.clicks_time,
            moment: self.clicks_time2 - ahead * self.clicks_time,
        }
    }

    /// Returns the standard deviation of a usual sample's rate around the line, or `None` where no
    /// degree of freedom is left to tell it.
    #[must_use]
    pub fn deviation(&self) -> Option<f64> {
        let variance = self.variance?;
        Some((variance / self.usual_clicks).sqrt() / self.unit)
    }

    /// Returns the slope, for each tick.
    #[must_use]
    pub fn slope_per_tick(&self) -> f64 {
        self.slope
    }

    /// Returns the slope's standard error: σ / √Σw(t−t̄)². `None` where the line is level, or no
    /// degree of freedom is left to tell it.
    #[must_use]
    pub fn slope_error_per_tick(&self) -> Option<f64> {
        let variance = self.variance.filter(|_| self.determinant > 0.0)?;
        let moment = self.determinant / nearest(self.clicks);
        Some((variance / moment).sqrt() / self.unit)
    }

    /// Returns the mean rate of the window: Σ y / Σ w.
    #[must_use]
    pub fn mean(&self) -> f64 {
        nearest(self.total) / (nearest(self.clicks) * self.unit)
    }
}

/// How far apart the times of a window are: what the lines of both rates have in common.
#[derive(Clone, Copy)]
struct Times {
    /// Σ w · Σ w·t² − (Σ w·t)², where 128 bits hold it.
    exact: Option<i128>,
    /// The same, and 0 for level lines.
    determinant: f64,
}

impl Times {
    fn of(sums: &Sums) -> Self {
        let (w, wt, wtt) = (sums.clicks, sums.clicks_time, sums.clicks_time2);
        let exact = narrow_cross(w, wtt, wt, wt);
        let determinant = match exact {
            _ if sums.weighted < 3 => 0.0,
            Some(exact) => nearest(exact),
            None => cross(w, wtt, wt, wt),
        };
        Self { exact, determinant }
    }
}

/// The slope, and what is left beside the line.
struct Spread {
    slope: f64,
    degrees: u32,
    /// Of one click's worth; `None` without a degree of freedom.
    variance: Option<f64>,
}

impl Spread {
    fn of(sums: &Sums, times: Times, column: &Column) -> Self {
        let (w, wt, wtt) = (sums.clicks, sums.clicks_time, sums.clicks_time2);
        let Times { exact, determinant } = times;
        let is_level = determinant <= 0.0;
        // Σw·Σyt − Σwt·Σy: at most 2^38 · 2^76, so it fits.
        let rise = if is_level {
            0
        } else {
            w * column.time - wt * column.total
        };
        let slope = if is_level {
            0.0
        } else {
            nearest(rise) / determinant
        };
        let degrees = sums.weighted.saturating_sub(if is_level { 1 } else { 2 });
        let scale = 1_i128 << SPREAD_BITS;
        // Σw · Σw(y/w − mean)², in 2^-16: at most 2^85 · 2^38.
        let around_mean = column.spread * w - column.total * column.total * scale;
        let squares = if is_level {
            nearest(around_mean) / (nearest(w) * nearest(scale))
        } else {
            let numerator = if let Some(exact) = exact {
                cross(around_mean, exact, rise, rise * scale)
            } else {
                // Beyond 128 bits the difference is taken of doubles: the spread then lacks what
                // is below 2^-50 of the spread around the mean.
                let rise = nearest(rise);
                nearest(around_mean) * determinant - rise * rise * nearest(scale)
            };
            numerator / determinant / (nearest(w) * nearest(scale))
        };
        // A loose y stands where the line expects none: as a residual against nothing its square is
        // y², but the formula above has made it y² − 2·y·(line there).
        let loose = if column.loose == 0 {
            0.0
        } else {
            let at_reference = if is_level {
                nearest(column.total) / nearest(w)
            } else {
                cross(column.total, wtt, column.time, wt) / determinant
            };
            2.0 * (at_reference * nearest(column.loose) + slope * nearest(column.loose_time))
        };
        let squares = squares + loose;
        Self {
            slope,
            degrees,
            variance: (degrees > 0).then(|| squares.max(0.0) / f64::from(degrees)),
        }
    }
}

/// Returns the 97.5 % quantile of Student's t distribution, to a relative error below 3e-6.
///
/// Exact values for up to 10 degrees of freedom, then the expansion of Cornish and Fisher
/// (Abramowitz & Stegun, Handbook of Mathematical Functions, 26.7.5) with its polynomials
/// evaluated at z = 1.959963984540054.
fn student_975(degrees: u32) -> f64 {
    const EXACT: [f64; 11] = [
        f64::INFINITY,
        12.706_204_736_174_705,
        4.302_652_729_749_464,
        3.182_446_305_283_71,
        2.776_445_105_197_794_4,
        2.570_581_835_636_316,
        2.446_911_851_144_97,
        2.364_624_251_592_785,
        2.306_004_135_204_166_7,
        2.262_157_162_798_205_5,
        2.228_138_851_986_275,
    ];
    if let Some(&exact) = EXACT.get(degrees as usize) {
        return exact;
    }
    let r = 1.0 / f64::from(degrees);
    let terms = 2.372_271_230_298_562
        + r * (2.822_498_615_739_611 + r * (2.555_849_679_507_722 + r * 1.589_534_053_393_822));
    1.959_963_984_540_054 + r * terms
}
