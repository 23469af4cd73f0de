//! The bid on one platform: what a click is held to be worth, times the pacing multiplier, in bounds.

use crate::definition::{Definition, MOST_MICROS, Strategy};
use crate::verdict::{Outlook, Standing};

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

/// Returns the bid before bounds: what a click is held to be worth, times the multiplier.
pub(crate) fn wanted_bid(
    has_worth: bool,
    outlook: &Outlook,
    multiplier: f64,
    trust: f64,
    standing: Standing,
    is_stale: bool,
) -> f64 {
    if !has_worth {
        return outlook.unit_bid * multiplier;
    }
    // Above worth only where the platform is known to be good, or the price is.
    let is_bold = standing == Standing::Good && !is_stale;
    let most = 1.0 + (MOST_MULTIPLIER - 1.0) * if is_bold { 1.0 } else { trust };
    outlook.unit_bid * multiplier.min(most)
}

/// Returns the bid to start from where clicks have no worth: the geometric mean of the bounds.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn start_bid(definition: &Definition, index: usize) -> f64 {
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
