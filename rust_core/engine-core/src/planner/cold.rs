//! Before any landscape is known: dual mirror descent on the budget and on the target.
//!
//! (Balseiro, Lu and Mirrokni 2023, with an entropic mirror map for the budget's price μ.)
//! μ ← μ·exp(−.02·clip((ρ − spend)/ρ, −3, 1)), ξ ← [ξ − .003·(target·V − spend)/ρ]₊, ρ the spend
//! that was planned; both relative to the target, so that the shadow price is (1 + ξ)/(μ + ξ).

use crate::real::exp;

const BUDGET_STEP: f64 = 0.02;
const TARGET_STEP: f64 = 0.003;
/// 1/μ at the start: bids are cautious until something is known.
const FIRST_SHADOW: f64 = 0.8;
const LEAST_SHADOW: f64 = 0.1;
const MOST_SHADOW: f64 = 1.5;
/// ρ is at least this part of the budget's even share.
const LEAST_SHARE: f64 = 0.01;

/// Dual prices of a campaign that knows no landscape.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ColdPrices {
    pub(crate) of_budget: f64,
    pub(crate) of_target: f64,
}

impl ColdPrices {
    pub(crate) const START: Self = Self {
        of_budget: 1.0 / FIRST_SHADOW,
        of_target: 0.0,
    };

    /// Returns the shadow price, relative to the target.
    pub(crate) fn shadow(self) -> f64 {
        let shadow = (1.0 + self.of_target) / (self.of_budget + self.of_target);
        shadow.clamp(LEAST_SHADOW, MOST_SHADOW)
    }

    /// Moves both prices by what a round brought; all in units of money.
    pub(crate) fn step(&mut self, planned: f64, even: f64, spent: f64, value: f64) {
        let planned = planned.max(LEAST_SHARE * even).max(f64::MIN_POSITIVE);
        let error = ((planned - spent) / planned).clamp(-3.0, 1.0);
        let of_budget = self.of_budget * exp(-BUDGET_STEP * error);
        self.of_budget = of_budget.clamp(1.0 / MOST_SHADOW, 1.0 / LEAST_SHADOW);
        let slack = ((value - spent) / planned).clamp(-30.0, 30.0);
        self.of_target = (self.of_target - TARGET_STEP * slack).clamp(0.0, 10.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spending_too_fast_lowers_the_shadow_price_and_too_slow_raises_it() {
        let (mut fast, mut slow) = (ColdPrices::START, ColdPrices::START);
        for _ in 0..20 {
            fast.step(1.0, 1.0, 3.0, 3.0);
            slow.step(1.0, 1.0, 0.0, 0.0);
        }
        assert!(fast.shadow() < 0.8 && slow.shadow() > 0.8);
        assert!(slow.shadow() <= MOST_SHADOW);
    }

    #[test]
    fn costly_conversions_lower_the_shadow_price_towards_the_target() {
        let mut prices = ColdPrices {
            of_budget: 1.0 / 1.4,
            of_target: 0.0,
        };
        for _ in 0..50 {
            prices.step(1.0, 1.0, 1.0, 0.5);
        }
        assert!(prices.shadow() < 1.4 && prices.shadow() > 1.0);
    }
}
