//! Whether what a campaign asks for can hold together, as far as only its data can say.
//!
//! What a definition alone contradicts is refused or warned of before it is published
//! (`python/engine/domain/feasibility.py`). Here is the rest: a least bid above what a click may cost
//! for the goal, at the best CVR that a platform is known to have.

use crate::bid::{has_worth, worth_of};
use crate::definition::Definition;
use crate::guard;

/// Returns whether the goal cannot be met on any platform by bids that the guardrails allow: on each
/// that may be bid on, the least bid is above `cvr × worth`. `cvrs` are by platform, taken from above
/// (the end of their interval, or with optimism); `None` where too little is known to say, and then
/// nothing is said.
#[must_use]
pub fn is_min_bid_above_goal(
    definition: &Definition,
    cvrs: impl IntoIterator<Item = Option<f64>>,
) -> bool {
    if !has_worth(definition) {
        return false;
    }
    let (worth, _) = worth_of(definition);
    let mut is_any = false;
    for (index, (series, cvr)) in definition.series.iter().zip(cvrs).enumerate() {
        if !guard::is_open(definition, index) {
            continue;
        }
        is_any = true;
        let (low, _) = definition.bid_bounds(series);
        #[allow(clippy::cast_precision_loss)] // at most 2^53
        let is_above = cvr.is_some_and(|cvr| low as f64 > cvr * worth);
        if !is_above {
            return false;
        }
    }
    is_any
}
