//! What bids bring and cost where only aggregates are seen: clicks and spend at the bids in force.
//!
//! Log clicks per opportunity and log CPC are lines over log bid, each a Bayesian weighted
//! regression: ridge towards the platform's prior, weights by clicks (the variance of a log rate of n
//! clicks is about 1/n), and forgetting, so that the prior holds where nothing was tried of late.
//! Both lines rise, and a CPC is at most the bid: so the curve has a hull like any landscape's, and
//! shares tables, curves and solution with those.

use crate::bytes::{Reader, Writer};
use crate::error::CoreError;
use crate::planner::checks;
use crate::planner::landscape::Landscape;
use crate::planner::lattice::{BASE, MONEY, POINTS, STEP};
use crate::real::{exp, ln};

/// What an observation leaves of those before it.
const MEMORY: f64 = 0.98;
/// Variances of a stretch's log rate and log CPC that no number of clicks takes away.
const RATE_NOISE: f64 = 0.01;
const CPC_NOISE: f64 = 0.0025;
/// Variance of one click's log cost.
const CLICK_NOISE: f64 = 0.25;
/// Clicks rise with the bid, at most with its fourth power.
const RATE_SLOPES: (f64, f64) = (0.05, 4.0);
/// CPC rises with the bid, at most as it does.
const CPC_SLOPES: (f64, f64) = (0.0, 1.0);
/// How far beyond the highest bid tried the lines are believed: twice.
const REACH: f64 = std::f64::consts::LN_2;

/// What is believed of a platform before a campaign has bid there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResponsePrior {
    /// A usual bid, units of money.
    pub bid: f64,
    /// Clicks per opportunity at that bid.
    pub click_rate: f64,
    /// CPC at that bid, units of money.
    pub cpc: f64,
    /// By which power clicks rise with the bid.
    pub click_slope: f64,
    /// By which power the CPC rises with the bid.
    pub cpc_slope: f64,
    /// How much it is believed: the inverse variance of each of these, in logarithms.
    pub weight: f64,
}

/// A monotone response of clicks and CPC to bids.
///
/// ```
/// use engine_core::planner::{ResponseCurve, ResponsePrior};
///
/// let prior = ResponsePrior {
///     bid: 0.5, click_rate: 0.02, cpc: 0.4, click_slope: 1.0, cpc_slope: 0.8, weight: 10.0,
/// };
/// let mut curve = ResponseCurve::new(&prior)?;
/// let before = curve.uncertainty(0.5);
/// for _ in 0..20 {
///     curve.observe(0.5, 1000.0, 50.0, 15.0)?;
/// }
/// assert!((curve.click_rate(0.5) - 0.05).abs() < 0.002);
/// assert!((curve.cpc(0.5) - 0.3).abs() < 0.01);
/// assert!(curve.uncertainty(0.5).0 < before.0);
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResponseCurve {
    prior: ResponsePrior,
    rate: Sums,
    cpc: Sums,
    /// The logarithm of the highest bid tried over the prior's.
    highest: f64,
}

/// Weighted sums of a regression over x = log(bid / prior bid).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Sums {
    w: f64,
    wx: f64,
    wxx: f64,
    wy: f64,
    wxy: f64,
}

impl Sums {
    fn add(&mut self, x: f64, y: f64, weight: f64) {
        for (sum, one) in [
            (&mut self.w, weight),
            (&mut self.wx, weight * x),
            (&mut self.wxx, weight * x * x),
            (&mut self.wy, weight * y),
            (&mut self.wxy, weight * x * y),
        ] {
            *sum = *sum * MEMORY + one;
        }
    }

    /// Returns level and slope, ridge towards a prior's, the slope held within bounds.
    #[allow(
        clippy::many_single_char_names,
        reason = "the sums of the normal equations"
    )]
    fn line(&self, level: f64, slope: f64, weight: f64, bounds: (f64, f64)) -> (f64, f64) {
        let (a, b, d) = (self.w + weight, self.wx, self.wxx + weight);
        let (p, q) = (self.wy + weight * level, self.wxy + weight * slope);
        let steep = (a * q - b * p) / (a * d - b * b);
        let steep = steep.clamp(bounds.0, bounds.1);
        // Where the slope is held the level is the best for that slope; elsewhere it is the line's.
        ((p - b * steep) / a, steep)
    }

    /// Returns the standard deviation of the line at x.
    fn deviation(&self, x: f64, weight: f64) -> f64 {
        let (a, b, d) = (self.w + weight, self.wx, self.wxx + weight);
        ((d - 2.0 * b * x + a * x * x) / (a * d - b * b))
            .max(0.0)
            .sqrt()
    }
}

impl ResponseCurve {
    /// Returns the curve of a prior.
    ///
    /// # Errors
    /// `CoreError` for the first number that is out of range.
    pub fn new(prior: &ResponsePrior) -> Result<Self, CoreError> {
        checks::number("bid", "1e-9 to 1e9", prior.bid, 1e-9..=1e9)?;
        checks::number("click_rate", "1e-9 to 1", prior.click_rate, 1e-9..=1.0)?;
        checks::number("cpc", "1e-9 to 1e9", prior.cpc, 1e-9..=1e9)?;
        let (low, high) = RATE_SLOPES;
        checks::number("click_slope", "0.05 to 4", prior.click_slope, low..=high)?;
        checks::number("cpc_slope", "0 to 1", prior.cpc_slope, 0.0..=1.0)?;
        checks::number("weight", "0.001 to 1e6", prior.weight, 1e-3..=1e6)?;
        Ok(Self {
            prior: *prior,
            rate: Sums::default(),
            cpc: Sums::default(),
            highest: 0.0,
        })
    }

    /// Counts in what a bid brought over a stretch of time; no opportunities tell nothing.
    ///
    /// # Errors
    /// `CoreError` for the first number that is out of range; the curve is then as it was.
    pub fn observe(
        &mut self,
        bid: f64,
        opportunities: f64,
        clicks: f64,
        spend: f64,
    ) -> Result<(), CoreError> {
        checks::number("bid", "1e-9 to 1e9", bid, 1e-9..=1e9)?;
        checks::number("opportunities", "0 to 1e15", opportunities, 0.0..=1e15)?;
        checks::number(
            "clicks",
            "0 to the opportunities",
            clicks,
            0.0..=opportunities,
        )?;
        checks::number("spend", "0 to 1e15", spend, 0.0..=1e15)?;
        if opportunities <= 0.0 {
            return Ok(());
        }
        let x = ln(bid / self.prior.bid);
        self.highest = self.highest.max(x);
        // Half a click more keeps the logarithm of none finite, and weighs next to nothing.
        let counted = clicks + 0.5;
        let rate = ln(counted / opportunities).min(0.0);
        self.rate.add(x, rate, 1.0 / (1.0 / counted + RATE_NOISE));
        if clicks > 0.0 && spend > 0.0 {
            let weight = 1.0 / (CLICK_NOISE / clicks + CPC_NOISE);
            self.cpc.add(x, ln(spend / clicks), weight);
        }
        Ok(())
    }

    /// Returns expected clicks per opportunity at a bid in units of money.
    #[must_use]
    pub fn click_rate(&self, bid: f64) -> f64 {
        let x = ln(bid / self.prior.bid).min(self.highest + REACH);
        let (level, slope) = self.rate_line();
        exp(level + slope * x).min(1.0)
    }

    /// Returns the expected CPC at a bid, both in units of money; at most the bid.
    #[must_use]
    pub fn cpc(&self, bid: f64) -> f64 {
        let x = ln(bid / self.prior.bid).min(self.highest + REACH);
        let (level, slope) = self.cpc_line();
        exp(level + slope * x).min(bid)
    }

    /// Returns the standard deviations of the logarithms of click rate and CPC at a bid: how much a
    /// small deliberate move of the bid would teach.
    #[must_use]
    pub fn uncertainty(&self, bid: f64) -> (f64, f64) {
        let x = ln(bid / self.prior.bid);
        let weight = self.prior.weight;
        (
            self.rate.deviation(x, weight),
            self.cpc.deviation(x, weight),
        )
    }

    /// Returns expected clicks and cost of one opportunity at every bid of the lattice. The worth to
    /// decide with is then that of a click: CVR, times value over target.
    #[must_use]
    pub fn landscape(&self) -> Landscape {
        let (rate_level, rate_slope) = self.rate_line();
        let (cpc_level, cpc_slope) = self.cpc_line();
        let mut exposure = [0.0; POINTS];
        let mut cost = [0.0; POINTS];
        let mut x = BASE - ln(self.prior.bid);
        for ((exposure, cost), bid) in exposure.iter_mut().zip(&mut cost).zip(&*MONEY) {
            let held = x.min(self.highest + REACH);
            *exposure = exp(rate_level + rate_slope * held).min(1.0);
            *cost = *exposure * exp(cpc_level + cpc_slope * held).min(*bid);
            x += STEP;
        }
        Landscape { exposure, cost }
    }

    fn rate_line(&self) -> (f64, f64) {
        let prior = &self.prior;
        let level = ln(prior.click_rate);
        self.rate
            .line(level, prior.click_slope, prior.weight, RATE_SLOPES)
    }

    fn cpc_line(&self) -> (f64, f64) {
        let prior = &self.prior;
        self.cpc
            .line(ln(prior.cpc), prior.cpc_slope, prior.weight, CPC_SLOPES)
    }

    #[allow(dead_code, reason = "for the snapshot of whoever keeps curves")]
    pub(crate) fn write(&self, out: &mut Writer) {
        let prior = &self.prior;
        for number in [
            prior.bid,
            prior.click_rate,
            prior.cpc,
            prior.click_slope,
            prior.cpc_slope,
            prior.weight,
            self.highest,
        ] {
            out.f64(number);
        }
        for sums in [&self.rate, &self.cpc] {
            for number in [sums.w, sums.wx, sums.wxx, sums.wy, sums.wxy] {
                out.f64(number);
            }
        }
    }

    #[allow(dead_code, reason = "for the snapshot of whoever keeps curves")]
    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Result<Self, CoreError>> {
        let prior = ResponsePrior {
            bid: reader.f64()?,
            click_rate: reader.f64()?,
            cpc: reader.f64()?,
            click_slope: reader.f64()?,
            cpc_slope: reader.f64()?,
            weight: reader.f64()?,
        };
        let mut number = || reader.f64().filter(|found| found.abs() <= 1e15);
        let highest = number()?;
        let mut sums = || {
            Some(Sums {
                w: number().filter(|found| *found >= 0.0)?,
                wx: number()?,
                wxx: number().filter(|found| *found >= 0.0)?,
                wy: number()?,
                wxy: number()?,
            })
        };
        let (rate, cpc) = (sums()?, sums()?);
        Some(Self::new(&prior).map(|curve| Self {
            rate,
            cpc,
            highest,
            ..curve
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRIOR: ResponsePrior = ResponsePrior {
        bid: 0.5,
        click_rate: 0.02,
        cpc: 0.4,
        click_slope: 1.0,
        cpc_slope: 0.8,
        weight: 10.0,
    };

    #[test]
    fn a_curve_finds_the_powers_that_clicks_and_cpc_follow() -> Result<(), CoreError> {
        let mut curve = ResponseCurve::new(&PRIOR)?;
        for step in 0..400_u32 {
            let bid: f64 = 0.3 + 0.02 * f64::from(step % 40);
            let clicks = 1e6 * 0.01 * bid.powf(0.5);
            curve.observe(bid, 1e6, clicks, clicks * 0.35 * bid.powf(0.6))?;
        }
        for bid in [0.35, 0.6, 1.0] {
            assert!((curve.click_rate(bid) / (0.01 * bid.powf(0.5)) - 1.0).abs() < 0.02);
            assert!((curve.cpc(bid) / (0.35 * bid.powf(0.6)) - 1.0).abs() < 0.02);
        }
        Ok(())
    }

    #[test]
    fn neither_clicks_nor_cost_fall_with_the_bid_whatever_was_seen() -> Result<(), CoreError> {
        let mut curve = ResponseCurve::new(&PRIOR)?;
        for (bid, clicks, spend) in [(0.2, 90.0, 20.0), (2.0, 3.0, 0.1), (0.9, 0.0, 0.0)] {
            for _ in 0..50 {
                curve.observe(bid, 1000.0, clicks, spend)?;
            }
        }
        let landscape = curve.landscape();
        assert!(landscape.exposure().is_sorted() && landscape.cost().is_sorted());
        let money = landscape
            .exposure()
            .iter()
            .zip(landscape.cost())
            .zip(&*MONEY);
        assert!(
            money
                .clone()
                .all(|((clicks, cost), bid)| *cost <= clicks * bid * 1.000_001)
        );
        Ok(())
    }

    #[test]
    fn a_curve_survives_being_written_and_read() -> Result<(), CoreError> {
        let mut curve = ResponseCurve::new(&PRIOR)?;
        curve.observe(0.7, 1000.0, 30.0, 12.0)?;
        let mut out = Writer::default();
        curve.write(&mut out);
        assert_eq!(
            ResponseCurve::read(&mut Reader::new(&out.bytes)),
            Some(Ok(curve))
        );
        Ok(())
    }
}
