//! The steps of a decision: what the day is expected to bring, the shadow price, and what it means on
//! each platform.

use crate::planner::Planner;
use crate::planner::landscape::Curves;
use crate::planner::lattice::{Curve, SHADOW_PRICES, SHADOWS, number, read_at, shadow_place};
use crate::planner::plan::{Bound, Plan};
use crate::planner::platform::{Opportunities, Platform, Prospect};
use crate::planner::solve::{Goal, Scenarios, Share};
use crate::planner::terms::PacingBand;

/// The standard deviation of a platform's error of a day's worths, in units of its stated sigma.
const SIGMA_SCALE: f64 = 0.3;
/// Sigma over worth, where it is not stated.
const SIGMA_DEFAULT: f64 = 0.15;
/// A hard goal is planned for 1.05·(1 − z·sd) of the target: spent over it, nothing counts.
const TOLERANCE: f64 = 1.05;
const RISK: f64 = 1.4;
const LEAST_RISK: f64 = 0.005;
const PLAN: (f64, f64) = (0.90, 1.03);

impl Planner {
    /// Returns each platform's day as expected over all scenarios.
    pub(super) fn expected_days(&self, prospects: &[Prospect], daypart: usize) -> Vec<Curves> {
        let platforms = self.platforms.iter().zip(prospects);
        let day = |(platform, prospect): (&Platform, &Prospect)| {
            let mut day = prospect.base;
            if let Some(mean) = platform.futures.mean(daypart) {
                day.add(mean, prospect.traffic.after);
            }
            day
        };
        platforms.map(day).collect()
    }

    /// Returns the shadow price of the landscapes, relative to the target, and notes what bound it.
    pub(super) fn solved(
        &self,
        prospects: &[Prospect],
        daypart: usize,
        whole: &Curves,
        spent: f64,
        plan: &mut Plan,
    ) -> f64 {
        let mut base = Curves::default();
        for prospect in prospects {
            base.add(&prospect.base, 1.0);
        }
        let shares = self
            .platforms
            .iter()
            .zip(prospects)
            .map(|(platform, prospect)| {
                let (value, cost) = platform.futures.after(daypart);
                Share {
                    opportunities: prospect.traffic.after,
                    value,
                    cost,
                    order: &platform.order,
                }
            });
        let count = self
            .platforms
            .iter()
            .map(|platform| platform.futures.scenarios())
            .min();
        let scenarios = Scenarios {
            base,
            shares: shares.filter(|share| share.opportunities > 0.0).collect(),
            count: count.unwrap_or(1),
        };
        let goal = self.terms.goal;
        let solution = scenarios.solve(goal, self.terms.budget(), self.planned_cpa());
        let (budget, target) = (solution.budget_binds, solution.target_binds);
        let neither = 1.0 - budget - target;
        (plan.bound, plan.probability) = if neither > budget.max(target) {
            (Bound::Nothing, neither)
        } else if budget >= target {
            (Bound::Budget, budget)
        } else {
            (Bound::Target, target)
        };
        let Some(band) = &self.terms.pacing else {
            return solution.shadow;
        };
        let paced = self.paced(solution.shadow, band, prospects, whole, spent);
        if paced.to_bits() != solution.shadow.to_bits() {
            (plan.bound, plan.probability) = (Bound::Pacing, 1.0);
        }
        paced
    }

    /// Returns the CPA to plan with, relative to the target: the tolerance, less a margin for the
    /// error of the worths (known from their stated sigmas; platforms err independently).
    fn planned_cpa(&self) -> f64 {
        if self.terms.goal != Goal::Hard {
            return 1.0;
        }
        let (mut total, mut variance) = (0.0, 0.0);
        for platform in &self.platforms {
            let sd = SIGMA_SCALE
                * if platform.worth_sum > 0.0 {
                    (platform.sigma_sum / platform.worth_sum.max(1e-12)).min(1.0)
                } else {
                    SIGMA_DEFAULT
                };
            let weight = platform.conversions + 1e-3 * self.terms.budget() / self.terms.target();
            total += weight;
            variance += (weight * sd) * (weight * sd);
        }
        let sd = (variance / (total * total) + LEAST_RISK * LEAST_RISK).sqrt();
        (TOLERANCE * (1.0 - RISK * sd)).clamp(PLAN.0, PLAN.1)
    }

    /// Returns the shadow price that keeps this round's planned spend within the band around its
    /// share, by traffic, of the planned remaining spend.
    fn paced(
        &self,
        shadow: f64,
        band: &PacingBand,
        prospects: &[Prospect],
        whole: &Curves,
        spent: f64,
    ) -> f64 {
        let mut now = Curves::default();
        let (mut opportunities, mut left) = (0.0, 0.0);
        for prospect in prospects {
            now.add(&prospect.now, 1.0);
            opportunities += prospect.traffic.now;
            left += prospect.traffic.daypart + prospect.traffic.after;
        }
        let planned = read_at(&whole.cost, shadow_place(shadow)).min(self.terms.budget());
        let share = opportunities / f64::max(opportunities + left, 1.0);
        let wanted = (planned - spent).max(0.0) * share;
        let within = |limit: f64| now.cost.partition_point(|cost| *cost <= limit);
        let below = |limit: f64| now.cost.partition_point(|cost| *cost < limit);
        let price = |index: usize| SHADOW_PRICES.get(index.min(SHADOWS - 1)).copied();
        let high = price(within(band.high * wanted).saturating_sub(1)).unwrap_or(shadow);
        let low = price(below(band.low * wanted)).unwrap_or(shadow);
        let most = shadow * band.most;
        shadow
            .min(high)
            .max(low.min(most))
            .min(most)
            .max(shadow / band.most)
    }

    /// Moves the cold prices by what was spent since they moved last.
    pub(super) fn cold_step(&mut self, round: usize, spent: f64) {
        let value: f64 = self
            .platforms
            .iter()
            .map(|platform| platform.conversions)
            .sum();
        let value = value * self.terms.target();
        let (spent_before, value_before) = self.cold_seen;
        self.cold_seen = (spent, value);
        if round == 0
            || self
                .platforms
                .iter()
                .all(|platform| platform.opportunities <= 0.0)
        {
            return;
        }
        let rounds = self.lessons.profile.len();
        let left = self.terms.budget() - spent_before;
        let before = self.lessons.share(round - 1, round);
        let planned = left * before / self.lessons.share(round - 1, rounds).max(1e-9);
        let even = self.terms.budget() / number(rounds);
        let spent = (spent - spent_before).max(0.0);
        self.cold
            .step(planned, even, spent, (value - value_before).max(0.0));
    }

    /// Fills in what a shadow price means on each platform.
    pub(super) fn allocate(
        &self,
        plan: &mut Plan,
        found: &[Opportunities<'_>],
        prospects: &[Prospect],
        days: &[Curves],
        shadow: Option<f64>,
    ) {
        let target = self.terms.target();
        for (platform, found) in self.platforms.iter().zip(found) {
            plan.bids.push(match shadow {
                Some(shadow) => platform.bids(found.worths, shadow, target),
                None => vec![0.0; found.worths.len()],
            });
        }
        let place = shadow.map(shadow_place);
        let platforms = self.platforms.iter().zip(prospects.iter().zip(days));
        for (platform, (prospect, day)) in platforms {
            let read = |curve: &Curve, held| place.map_or(held, |place| read_at(curve, place));
            plan.round_spend
                .push(self.terms.micros(read(&prospect.now.cost, 0.0)));
            plan.day_spend
                .push(self.terms.micros(read(&day.cost, platform.cost)));
            plan.day_conversions += read(&day.value, platform.conversions * target) / target;
        }
    }
}
