//! The bid on one platform: what a click is held to be worth, times the pacing multiplier, in bounds.

use crate::definition::{Definition, MOST_MICROS, Strategy};
use crate::verdict::{Outlook, Standing};

/// The CVR that a campaign without any clicks is held to have, and the clicks that this weighs.
const PRIOR_CVR: f64 = 0.02;
const PRIOR_CLICKS: f64 = 50.0;
/// The clicks that the campaign's pooled CVR weighs against a platform's own.
const POOL_CLICKS: f64 = 100.0;
/// Pacing may bid this far above what a click is worth, never further.
pub(crate) const MOST_MULTIPLIER: f64 = 1.5;
/// Where clicks have no worth, the multiplier alone finds the bid: it may go far.
pub(crate) const MOST_WITHOUT_WORTH: f64 = 1000.0;
/// The bounds whose geometric mean is the start bid of a campaign that names neither worth nor bounds.
const USUAL_BIDS: (i64, i64) = (10_000, 100_000_000);

/// Returns what one conversion may cost (`worth`) and what it brings (`value`); 0: unknown.
#[allow(clippy::cast_precision_loss)] // at most 2^53
pub(crate) fn worth_of(definition: &Definition) -> (f64, f64) {
    let roas = if definition.target_roas > 0.0 {
        definition.target_roas
    } else {
        1.0
    };
    let (brings, cpa) = (
        definition.conversion_value_micros as f64 / roas,
        definition.target_cpa_micros as f64,
    );
    let value = if brings > 0.0 { brings } else { cpa };
    let worth = if cpa > 0.0 && cpa < value { cpa } else { value };
    (worth, value)
}

/// Returns the highest multiplier that the goal allows.
pub(crate) fn most_multiplier(definition: &Definition) -> f64 {
    if has_worth(definition) {
        MOST_MULTIPLIER
    } else {
        MOST_WITHOUT_WORTH
    }
}

pub(crate) fn has_worth(definition: &Definition) -> bool {
    definition.strategy != Strategy::MaximiseReach && worth_of(definition).0 > 0.0
}

/// What a campaign's platforms together say about CVR. Conversions are few and come late, so what one
/// platform's window says is drawn to the campaign's level, and that to a prior (Beta–Gamma
/// shrinkage), and all is taken one standard deviation above the mean: who bids on the mean of a
/// handful of clicks that have not converted yet stops winning, and never learns better.
pub(crate) struct Pool {
    /// Mean of the campaign.
    mean: f64,
    /// How far above the mean to go, as a factor.
    optimism: f64,
}

#[allow(clippy::cast_precision_loss)]
impl Pool {
    pub(crate) fn of(outlooks: &[Outlook]) -> Self {
        let clicks: f64 = outlooks
            .iter()
            .map(|outlook| outlook.all_clicks as f64)
            .sum();
        let conversions: f64 = outlooks.iter().map(|outlook| outlook.all_conversions).sum();
        let shape = conversions + PRIOR_CVR * PRIOR_CLICKS;
        Self {
            mean: shape / (clicks + PRIOR_CLICKS),
            optimism: 1.0 + 1.0 / shape.sqrt(),
        }
    }

    /// Returns the CVR to bid with: a platform's own forecast weighs as its clicks, and as far as it
    /// can be trusted.
    pub(crate) fn cvr(&self, outlook: &Outlook) -> f64 {
        let weight = outlook.clicks as f64 * outlook.confidence.clamp(0.0, 1.0);
        let own = outlook
            .cvr
            .filter(|cvr| cvr.is_finite())
            .unwrap_or(self.mean)
            .clamp(0.0, 1.0);
        let mean = (own * weight + self.mean * POOL_CLICKS) / (weight + POOL_CLICKS);
        (mean * self.optimism).min(1.0)
    }
}

/// Returns the bid before bounds: what a click is held to be worth, times the multiplier.
pub(crate) fn wanted_bid(
    definition: &Definition,
    outlook: &Outlook,
    index: usize,
    pool: &Pool,
    multiplier: f64,
    standing: Standing,
    is_stale: bool,
) -> f64 {
    if !has_worth(definition) {
        return start_bid(definition, index) * multiplier;
    }
    let (worth, _) = worth_of(definition);
    // Above worth only where the platform is known to be good.
    let is_bold = standing == Standing::Good && !is_stale;
    let multiplier = if is_bold {
        multiplier
    } else {
        multiplier.min(1.0)
    };
    pool.cvr(outlook) * worth * multiplier
}

/// Returns the bid to start from where clicks have no worth: the geometric mean of the bounds.
#[allow(clippy::cast_precision_loss)]
fn start_bid(definition: &Definition, index: usize) -> f64 {
    let (low, high) = bounds(definition, index);
    let low = if low > 1 { low } else { USUAL_BIDS.0.min(high) };
    let high = if high < MOST_MICROS {
        high
    } else {
        USUAL_BIDS.1.max(low)
    };
    (low as f64 * high as f64).sqrt()
}

pub(crate) fn bounds(definition: &Definition, index: usize) -> (i64, i64) {
    definition
        .series
        .get(index)
        .map_or((1, 1), |series| definition.bid_bounds(series))
}
