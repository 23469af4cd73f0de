//! What is planned, and what bound it.

use crate::money::Micros;
use crate::planner::lattice::{Curve, SHADOWS};

/// What bound a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The budget will be spent.
    Budget,
    /// The CPA would pass its target.
    Target,
    /// The pacing band.
    Pacing,
    /// No landscape is known yet: dual mirror descent.
    Cold,
    /// The budget is spent: nothing is bid.
    Spent,
    /// Neither: all that is for sale will be bought.
    Nothing,
}

/// Names by code.
pub const BOUNDS: [&str; 6] = [
    "budget",
    "target-cpa",
    "pacing",
    "no-landscape",
    "spent",
    "nothing",
];

impl Bound {
    /// Returns its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        let [budget, target, pacing, cold, spent, nothing] = BOUNDS;
        match self {
            Self::Budget => budget,
            Self::Target => target,
            Self::Pacing => pacing,
            Self::Cold => cold,
            Self::Spent => spent,
            Self::Nothing => nothing,
        }
    }
}

/// What is planned for a round, and until the end of the day.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// m: what the last conversion may cost, units of money.
    pub shadow_price: f64,
    /// What bound it.
    pub bound: Bound,
    /// In how many scenarios that is so, as a share; 1 where scenarios have no part in it.
    pub probability: f64,
    /// Bids for each platform's opportunities, units of money; 0: no bid.
    pub bids: Vec<Vec<f64>>,
    /// The allocation: planned spend of this round by platform.
    pub round_spend: Vec<Micros>,
    /// Planned spend of the day by platform, what is spent included.
    pub day_spend: Vec<Micros>,
    /// Conversions expected of the day, those expected of exposures so far included.
    pub day_conversions: f64,
    /// The shadow prices of the curves, units of money.
    pub shadow_prices: Curve,
    /// Expected conversions of the day at each shadow price: with `spend`, the Pareto front.
    pub conversions: Curve,
    /// Expected spend of the day at each shadow price, units of money.
    pub spend: Curve,
}

impl Plan {
    pub(super) fn nothing() -> Self {
        Self {
            shadow_price: 0.0,
            bound: Bound::Cold,
            probability: 1.0,
            bids: Vec::new(),
            round_spend: Vec::new(),
            day_spend: Vec::new(),
            day_conversions: 0.0,
            shadow_prices: [0.0; SHADOWS],
            conversions: [0.0; SHADOWS],
            spend: [0.0; SHADOWS],
        }
    }
}
