//! How far forecasts have erred, and so how wide an interval must be to hold 95 % of what comes.

use crate::bytes::{Reader, Writer};

/// The share of observations that may fall outside.
const MISSES: f64 = 0.05;
/// What the mean error keeps of its weight with each observation: a memory of 50.
const KEPT: f64 = 0.98;
/// How far one miss widens the interval. A hit narrows it by a nineteenth of that, so that 5 % of
/// misses leave it where it is.
const STEP: f64 = 0.1;
/// The reach, in mean errors, to begin with: ln 20, which is right for Laplace's distribution and
/// wide for Gauss's (2.46).
const FIRST_REACH: f64 = 3.0;
const REACHES: (f64, f64) = (1.0, 30.0);
/// Errors seen before there is an interval at all.
const LEAST_SEEN: f64 = 2.5;

/// The half width of a 95 % interval, learned from the errors of forecasts that were made.
///
/// The half width is `reach` running mean errors, and the reach itself learns: a miss widens it, a
/// hit narrows it. Whatever the errors' distribution, and however it drifts, the share of misses
/// goes to 5 % (Gibbs & Candès, "Adaptive conformal inference under distribution shift", 2021,
/// their update (2), here on the width's logarithm).
///
/// ```
/// use engine_core::outlook::margin::Margin;
///
/// let mut margin = Margin::default();
/// assert_eq!(margin.half(), f64::INFINITY); // nothing to judge by yet
/// for error in [1.0, -2.0, 3.0] {
///     margin.observe(error, margin.half());
/// }
/// assert!((5.0..7.0).contains(&margin.half()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margin {
    /// Σ λ^age·|error|, and Σ λ^age.
    total: f64,
    seen: f64,
    reach: f64,
}

impl Default for Margin {
    fn default() -> Self {
        Self {
            total: 0.0,
            seen: 0.0,
            reach: FIRST_REACH,
        }
    }
}

impl Margin {
    /// Returns the half width of the interval; infinite while fewer than three errors are known.
    #[must_use]
    pub fn half(&self) -> f64 {
        if self.seen < LEAST_SEEN {
            return f64::INFINITY;
        }
        self.reach * (self.total / self.seen)
    }

    /// Learns the error of a forecast, and whether the half width said with it was enough. That is
    /// the one of then: with many steps between forecast and outcome it has changed since. An error
    /// that is no number, or infinite, is passed over.
    pub fn observe(&mut self, error: f64, half: f64) {
        if !error.is_finite() {
            return;
        }
        let error = error.abs().min(1e100);
        if half.is_finite() {
            let missed = if error > half { 1.0 } else { 0.0 };
            let reach = self.reach * (1.0 + STEP * (missed - MISSES));
            self.reach = reach.clamp(REACHES.0, REACHES.1);
        }
        self.total = KEPT * self.total + error;
        self.seen = KEPT * self.seen + 1.0;
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.f64(self.total);
        out.f64(self.seen);
        out.f64(self.reach);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut within = |least, most| {
            let found = reader.f64()?;
            (least..=most).contains(&found).then_some(found)
        };
        Some(Self {
            total: within(0.0, 1e102)?,
            seen: within(0.0, 51.0)?,
            reach: within(REACHES.0, REACHES.1)?,
        })
    }
}
