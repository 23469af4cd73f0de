//! Forecasts of a window, and how far its data can be trusted.
//!
//! Nothing here but the four operations and square roots, which IEEE 754 defines to the bit: the
//! same window gives the same forecast on every machine.

use crate::bytes::{Reader, Writer};
use crate::regression::{Line, fit_both};
use crate::window::{Windows, since};

pub use crate::regression::Estimate;

/// What a window says about a time ahead.
///
/// ```
/// use engine_core::forecast::forecast;
/// use engine_core::window::{Sample, Windows};
///
/// let mut windows = Windows::new(64)?;
/// let slot = windows.add();
/// for i in 0..64 {
///     let sample = Sample { tick: i * 2000, clicks: 40, milliconversions: 1000, spend_units: 200_000 };
///     windows.push(slot, sample)?;
/// }
/// let forecast = forecast(&windows, slot, 63 * 2000, 2000, 100);
/// assert_eq!(forecast.cpc_micros.unwrap().value, 500_000.0);
/// assert_eq!(forecast.cvr.unwrap().value, 0.025);
/// assert!(forecast.confidence.value > 0.8);
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Cost per click in micros; `None` while no sample has clicks.
    pub cpc_micros: Option<Estimate>,
    /// Conversions per click, a fraction; `None` while no sample has clicks.
    pub cvr: Option<Estimate>,
    /// How far the data can be trusted.
    pub confidence: Confidence,
    /// How many samples the window holds.
    pub samples: u32,
    /// How many clicks they have together.
    pub clicks: u64,
}

impl Forecast {
    /// Returns the forecast CPC, in micros, held at 0 and above: a falling line goes below.
    #[must_use]
    pub fn clamped_cpc_micros(&self) -> Option<Estimate> {
        self.cpc_micros.map(|line| line.clamped(0.0, f64::INFINITY))
    }

    /// Returns the forecast CVR held at 0 to 1.
    #[must_use]
    pub fn clamped_cvr(&self) -> Option<Estimate> {
        self.cvr.map(|line| line.clamped(0.0, 1.0))
    }
}

/// How far a window's data can be trusted, 0 to 1, from its quality and never from its message.
///
/// Each part is the share of trust that one kind of flaw leaves; flaws multiply, as a stale
/// window is not mended by being long.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Confidence {
    /// The product of the parts.
    pub value: f64,
    /// Is there enough? Z(samples; 3) · Z(clicks; 30) · (1 + Z(conversions; 10)) / 2, where
    /// Z(n; k) = n / (n + k) is the credibility of n observations against prior knowledge worth k
    /// (Bühlmann 1967). CPC needs no conversions, so half remains without.
    pub sample_size: f64,
    /// Is it fresh? 1 up to one cadence (the usual time between samples) after the newest sample,
    /// then 1 / (1 + (missed / 8)²) for the cadences missed: half when eight reports are missing.
    pub age: f64,
    /// Does it agree with itself? 1 / (1 + v²) of the residuals' coefficient of variation v,
    /// the mean of CPC's and CVR's; 0 while no residual can be told.
    pub spread: f64,
    /// Is it whole? Samples found against those that the cadence makes expect between the oldest
    /// and the newest.
    pub completeness: f64,
}

/// Returns what a window says about `horizon_ticks` after `at_tick`, with spend units worth
/// `unit_micros`.
#[must_use]
pub fn forecast(
    windows: &Windows,
    slot: usize,
    at_tick: u32,
    horizon_ticks: u32,
    unit_micros: u32,
) -> Forecast {
    let reading = Reading::of(windows, slot, horizon_ticks);
    let due = at_tick.wrapping_add(horizon_ticks);
    let grounds = &reading.grounds;
    Forecast {
        cpc_micros: reading
            .cpc
            .map(|line| line.at(due).scaled(f64::from(unit_micros))),
        cvr: reading.cvr.map(|line| line.at(due)),
        confidence: grounds.confidence(at_tick),
        samples: grounds.samples,
        clicks: grounds.clicks,
    }
}

/// A window read once: its lines, and what its confidence rests on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reading {
    pub(crate) cpc: Option<Line>,
    pub(crate) cvr: Option<Line>,
    pub(crate) grounds: Grounds,
}

/// What the confidence of a window rests on, but for its age: it stays until a sample comes.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Grounds {
    sample_size: f64,
    spread: f64,
    completeness: f64,
    pub(crate) clicks: u64,
    pub(crate) samples: u32,
    /// The time of the newest sample, and from the oldest to it.
    pub(crate) newest: u32,
    pub(crate) span: u32,
    /// The usual time between samples.
    pub(crate) cadence: u32,
}

impl Reading {
    /// Reads a window. A single sample has no cadence: `otherwise` stands in.
    pub(crate) fn of(windows: &Windows, slot: usize, otherwise: u32) -> Self {
        let sums = windows.sums(slot);
        let (cpc, cvr) = fit_both(&sums).unzip();
        let clicks = u64::try_from(sums.clicks).unwrap_or(0);
        let conversions = u64::try_from(sums.milliconversions.total).unwrap_or(0);
        let rhythm = Rhythm::of(windows, slot, otherwise);
        let sample_size = credibility(f64::from(sums.weighted), 3.0)
            * credibility(as_float(clicks), 30.0)
            * f64::midpoint(1.0, credibility(as_float(conversions) / 1000.0, 10.0));
        let grounds = Grounds {
            sample_size,
            spread: f64::midpoint(agreement(cpc.as_ref()), agreement(cvr.as_ref())),
            completeness: rhythm.completeness(),
            clicks,
            samples: rhythm.samples,
            newest: rhythm.newest,
            span: rhythm.span,
            cadence: rhythm.cadence,
        };
        Self { cpc, cvr, grounds }
    }
}

impl Grounds {
    /// Returns how far the window can be trusted at a time.
    pub(crate) fn confidence(&self, at_tick: u32) -> Confidence {
        let age = self.freshness(at_tick);
        Confidence {
            value: self.sample_size * age * self.spread * self.completeness,
            sample_size: self.sample_size,
            age,
            spread: self.spread,
            completeness: self.completeness,
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for part in [self.sample_size, self.spread, self.completeness] {
            out.f64(part);
        }
        out.u64(self.clicks);
        for part in [self.samples, self.newest, self.span, self.cadence] {
            out.u32(part);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut share = || reader.f64().filter(|found| (0.0..=1.0).contains(found));
        Some(Self {
            sample_size: share()?,
            spread: share()?,
            completeness: share()?,
            clicks: reader.u64()?,
            samples: reader.u32()?,
            newest: reader.u32()?,
            span: reader.u32()?,
            cadence: reader.u32().filter(|&cadence| cadence > 0)?,
        })
    }

    fn freshness(&self, at_tick: u32) -> f64 {
        if self.samples == 0 {
            return 0.0;
        }
        // Reports of the future are fresh: the clocks differ.
        let age = since(at_tick, self.newest).max(0);
        let missed = (f64::from(age) / f64::from(self.cadence) - 1.0).max(0.0) / 8.0;
        1.0 / (1.0 + missed * missed)
    }
}

/// When samples came, and how often they usually do.
struct Rhythm {
    samples: u32,
    newest: u32,
    span: u32,
    cadence: u32,
}

/// How many of the newest gaps tell the cadence: enough that a few holes do not move their
/// median, and few enough to lie in four cache lines.
const GAPS: usize = 15;

impl Rhythm {
    /// Reads the rhythm of a window. A single sample has none: `otherwise` stands in.
    fn of(windows: &Windows, slot: usize, otherwise: u32) -> Self {
        let newest = windows.newest_tick(slot).unwrap_or(0);
        let oldest = windows.oldest_tick(slot).unwrap_or(0);
        let mut gaps = [u32::MAX; GAPS];
        let mut later = newest;
        let mut found = 0;
        for (gap, sample) in gaps.iter_mut().zip(windows.samples(slot).rev().skip(1)) {
            *gap = later.wrapping_sub(sample.tick);
            later = sample.tick;
            found += 1;
        }
        gaps.sort_unstable();
        // The lower of the middle two: a cadence is rather hidden by holes than made up.
        let median = gaps.get(usize::saturating_sub(found, 1) / 2).copied();
        Self {
            samples: u32::try_from(windows.len(slot)).unwrap_or(u32::MAX),
            newest,
            span: newest.wrapping_sub(oldest),
            cadence: if found == 0 {
                otherwise
            } else {
                median.unwrap_or(otherwise)
            }
            .max(1),
        }
    }

    fn completeness(&self) -> f64 {
        if self.samples == 0 {
            return 0.0;
        }
        let expected = f64::from(self.span) / f64::from(self.cadence) + 1.0;
        (f64::from(self.samples) / expected).min(1.0)
    }
}

/// Returns Bühlmann's credibility of `found` observations against a prior worth `prior`.
fn credibility(found: f64, prior: f64) -> f64 {
    found / (found + prior)
}

/// Returns 1 where the residuals are nothing against the mean rate, towards 0 where they exceed it.
fn agreement(line: Option<&Line>) -> f64 {
    let Some((line, deviation)) = line.and_then(|line| Some((line, line.deviation()?))) else {
        return 0.0;
    };
    let (level, noise) = (line.mean() * line.mean(), deviation * deviation);
    if noise > 0.0 {
        level / (level + noise)
    } else {
        1.0
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "sums of a window are below 2^38"
)]
const fn as_float(count: u64) -> f64 {
    count as f64
}
