//! The shadow price that ends the day best, over all scenarios of the rest of it.
//!
//! In each scenario it is the m at which the budget, or the target, just binds: the Lagrangian of the
//! knapsack max V s.t. C ≤ B, C ≤ target·V. At the optimum now, multipliers are the mean of the
//! scenarios' (they are martingales): the objective is a·V − b·C, with (a, b) = (1, 1/m) where the
//! budget binds, (1 + u, u), u = 1/(m − 1), where the target does, and the gradient of V·r^−3 where
//! a soft goal is overrun; m = E[a] / E[b].

use crate::planner::landscape::Curves;
use crate::planner::lattice::{Curve, SHADOW_PRICES, SHADOWS, number, shadow_at};

/// A soft goal is planned with V·min(1, target/CPA)³: exponent 2 is too greedy, 4 too timid.
const SOFT_EXPONENT: f64 = 3.0;
/// A soft goal is overrun where the CPA is that much above the target.
const OVERRUN: f64 = 1.03;
/// Below it a multiplier of the target says nothing.
const LEAST_SHADOW_OF_TARGET: f64 = 1.02;
const LEAST: f64 = 1e-12;
/// From this index on (1.22 × target) more spend takes a day further over its target, always: each
/// step of the shadow price buys at that price, and plans are made for 1.03 × target at most.
const RISING: usize = 50;
const LAST: usize = SHADOWS - 1;

/// What a flight is meant to reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The most conversions at a CPA of at most the target (and 5 % more).
    Hard,
    /// The most of conversions · min(1, target/CPA)².
    Soft,
    /// The most conversions for the budget; the target is what a conversion is worth, for scale.
    Budget,
}

impl Goal {
    /// Names by code.
    pub const NAMES: [&str; 3] = ["hard", "soft", "budget"];

    /// Returns the goal of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let goals = [Self::Hard, Self::Soft, Self::Budget];
        let mut named = Self::NAMES.into_iter().zip(goals);
        named.find_map(|(known, goal)| (known == name).then_some(goal))
    }
}

/// A platform's share in the scenarios.
pub(crate) struct Share<'a> {
    /// Opportunities after this daypart.
    pub(crate) opportunities: f64,
    pub(crate) value: &'a [Curve],
    pub(crate) cost: &'a [Curve],
    pub(crate) order: &'a [u32],
}

/// What a day will have brought and cost at its end, for each scenario and shadow price.
pub(crate) struct Scenarios<'a> {
    /// What all scenarios have in common: spent and won, and the rest of the daypart.
    pub(crate) base: Curves,
    pub(crate) shares: Vec<Share<'a>>,
    pub(crate) count: usize,
}

/// What binds, and the shadow price that follows, relative to the target.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Solution {
    pub(crate) shadow: f64,
    /// The share of scenarios in which the budget binds.
    pub(crate) budget_binds: f64,
    /// The share in which the target does. In the others all that is for sale will be bought.
    pub(crate) target_binds: f64,
}

/// A scenario's multipliers.
struct Multipliers {
    of_value: f64,
    of_cost: f64,
    binds: Binds,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Binds {
    Budget,
    Target,
    Neither,
}

/// One scenario: what it adds to the base, platform by platform.
struct Scenario<'a, 's> {
    base: &'s Curves,
    later: &'s [(f64, &'a Curve, &'a Curve)],
}

impl Scenario<'_, '_> {
    fn value(&self, index: usize) -> f64 {
        let later = self
            .later
            .iter()
            .map(|(weight, value, _)| weight * at(value, index));
        at(&self.base.value, index) + later.sum::<f64>()
    }

    fn cost(&self, index: usize) -> f64 {
        let later = self
            .later
            .iter()
            .map(|(weight, _, cost)| weight * at(cost, index));
        at(&self.base.cost, index) + later.sum::<f64>()
    }
}

fn at(curve: &Curve, index: usize) -> f64 {
    curve.get(index).copied().unwrap_or(0.0)
}

impl Scenarios<'_> {
    /// Returns the shadow price for a budget in units of money and a planned CPA relative to the
    /// target.
    pub(crate) fn solve(&self, goal: Goal, budget: f64, plan: f64) -> Solution {
        let (mut of_value, mut of_cost) = (0.0, 0.0);
        let (mut by_budget, mut by_target) = (0_usize, 0_usize);
        let mut later = Vec::with_capacity(self.shares.len());
        for index in 0..self.count {
            later.clear();
            later.extend(self.shares.iter().filter_map(|share| {
                let drawn = *share.order.get(index)? as usize;
                Some((
                    share.opportunities,
                    share.value.get(drawn)?,
                    share.cost.get(drawn)?,
                ))
            }));
            let scenario = Scenario {
                base: &self.base,
                later: &later,
            };
            let multipliers = scenario.multipliers(goal, budget, plan);
            of_value += multipliers.of_value;
            of_cost += multipliers.of_cost;
            match multipliers.binds {
                Binds::Budget => by_budget += 1,
                Binds::Target => by_target += 1,
                Binds::Neither => {}
            }
        }
        Solution {
            shadow: of_value / of_cost.max(LEAST),
            budget_binds: number(by_budget) / number(self.count).max(1.0),
            target_binds: number(by_target) / number(self.count).max(1.0),
        }
    }
}

impl Scenario<'_, '_> {
    fn multipliers(&self, goal: Goal, budget: f64, plan: f64) -> Multipliers {
        let top = shadow_at(number(LAST));
        let of_budget = self.shadow_of_budget(budget);
        let (of_target, overrun) = match goal {
            Goal::Hard => (self.shadow_of_target(plan), None),
            Goal::Soft => self.shadow_of_soft_target(),
            Goal::Budget => (top, None),
        };
        if of_budget <= of_target {
            return Multipliers {
                of_value: 1.0,
                of_cost: 1.0 / of_budget,
                binds: if of_budget < top {
                    Binds::Budget
                } else {
                    Binds::Neither
                },
            };
        }
        let (of_value, of_cost) = if let Some(ratio) = overrun {
            let cube = 1.0 / (ratio * ratio * ratio);
            ((1.0 + SOFT_EXPONENT) * cube, SOFT_EXPONENT * cube / ratio)
        } else {
            let u = 1.0 / (of_target.max(LEAST_SHADOW_OF_TARGET) - 1.0);
            (1.0 + u, u)
        };
        Multipliers {
            of_value,
            of_cost,
            binds: if of_target < top {
                Binds::Target
            } else {
                Binds::Neither
            },
        }
    }

    /// Returns the shadow price at which the budget is spent.
    fn shadow_of_budget(&self, budget: f64) -> f64 {
        let affordable = partition(0, SHADOWS, |index| self.cost(index) <= budget);
        let index = affordable.saturating_sub(1).min(LAST - 1);
        crossing(index, self.cost(index), self.cost(index + 1), budget)
    }

    /// Returns the last index at which the day's CPA is as planned, or 0 where it never is.
    fn last_within(&self, plan: f64) -> usize {
        let within = |index: usize| self.over(index, plan) <= 0.0;
        if within(RISING) {
            partition(RISING + 1, SHADOWS, within) - 1
        } else {
            (0..RISING).rev().find(|&index| within(index)).unwrap_or(0)
        }
    }

    /// Returns by how much a day's cost is over the planned CPA.
    fn over(&self, index: usize, plan: f64) -> f64 {
        self.cost(index) - plan * self.value(index)
    }

    /// Returns the highest shadow price at which the day's CPA is as planned.
    fn shadow_of_target(&self, plan: f64) -> f64 {
        let last = self.last_within(plan);
        if last >= LAST {
            return shadow_at(number(LAST));
        }
        crossing(last, self.over(last, plan), self.over(last + 1, plan), 0.0)
    }

    /// Returns the shadow price that maximises V·min(1, target/CPA)³, and how far the CPA is then
    /// over the target, where it is.
    fn shadow_of_soft_target(&self) -> (f64, Option<f64>) {
        let score = |index: usize| {
            let (value, cost) = (self.value(index), self.cost(index));
            let within = (value / cost).min(1.0); // 1 where neither is anything
            value * (within * within * within)
        };
        // Below the last index within the target V is lower, and the score with it: start there.
        let last = self.last_within(1.0);
        let start = if self.over(last, 1.0) <= 0.0 { last } else { 0 };
        let (mut best, mut highest) = (start, score(start));
        for index in start + 1..SHADOWS {
            let found = score(index);
            if found > highest {
                (best, highest) = (index, found);
            }
        }
        // Of equals the lowest: there the last spend buys nothing.
        while best > 0 && score(best - 1) >= highest {
            best -= 1;
        }
        let ratio = (self.cost(best) / self.value(best).max(1e-9)).max(1.0);
        (at(&SHADOW_PRICES, best), (ratio > OVERRUN).then_some(ratio))
    }
}

/// Returns the first index from `low` below `high` that a claim does not hold for, or `high`; the
/// claim holds up to some index and not beyond.
fn partition(low: usize, high: usize, claim: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (low, high);
    while low < high {
        let middle = usize::midpoint(low, high);
        if claim(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Returns the shadow price between two neighbours at which a line between them is at a limit.
fn crossing(index: usize, here: f64, there: f64, limit: f64) -> f64 {
    let part = (limit - here) / (there - here).max(LEAST);
    shadow_at(number(index) + part.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_where_the_claim_ends() {
        for end in 0..=20 {
            assert_eq!(partition(0, 20, |index| index < end), end);
        }
    }
}
