//! Scenarios of the rest of a day: what past campaign-days would bring and cost from here on.
//!
//! One scenario is one past day of one campaign, its worths moved to the level of the campaign in
//! question, shrunk to the pool's: past campaigns are almost exchangeable, and many scenarios tell
//! more than few of one's own. Computed once for a flight; a decision only adds them up.

use crate::planner::history::History;
use crate::planner::landscape::{BidTable, Curves, Landscape};
use crate::planner::lattice::{BASE, Curve, POINTS, STEP, count, number};
use crate::planner::lessons::{Lessons, PriceLessons};
use crate::real::ln;

/// Scenarios at most; of more campaign-days, evenly spread ones are taken.
pub(crate) const MOST_SCENARIOS: usize = 128;
/// Past dayparts it takes to trust a campaign's own level half, against the pool's.
const LEVEL_SHRINK: f64 = 100.0;

/// Value and cost per opportunity of the traffic after each daypart but the last, by scenario.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Futures {
    dayparts: Vec<After>,
    scenarios: usize,
}

#[derive(Debug, Clone, PartialEq, Default)]
struct After {
    value: Vec<Curve>,
    cost: Vec<Curve>,
    mean: Curves,
}

impl Futures {
    /// Returns the one scenario of a day that nothing is known of: nothing after its only daypart.
    pub(crate) fn none() -> Self {
        Self {
            dayparts: Vec::new(),
            scenarios: 1,
        }
    }

    /// Returns the scenarios of a campaign with a target in units of money.
    pub(crate) fn of(history: &History, identity: u64, target: f64, first_price: bool) -> Self {
        let lessons = &*history.lessons;
        let Some(prices) = &lessons.prices else {
            return Self::none();
        };
        let scenarios = Scenarios::of(history, prices, identity, target, first_price);
        let parts = lessons.dayparts();
        let mut dayparts = vec![After::default(); parts.saturating_sub(1)];
        let mut taken = 0;
        for scenario in scenarios {
            taken += 1;
            for (daypart, after) in dayparts.iter_mut().enumerate() {
                let rest = lessons.share(lessons.end_of(daypart), lessons.profile.len());
                let mut curves = Curves::default();
                for (later, one) in scenario.iter().enumerate().skip(daypart + 1) {
                    let from = lessons.cuts.get(later).copied().unwrap_or(0);
                    let share = lessons.share(from, lessons.end_of(later));
                    curves.add(one, if rest > 0.0 { share / rest } else { 0.0 });
                }
                after.mean.add(&curves, 1.0);
                after.value.push(curves.value);
                after.cost.push(curves.cost);
            }
        }
        for after in &mut dayparts {
            after.mean.scale(1.0 / number(taken).max(1.0));
        }
        Self {
            dayparts,
            scenarios: taken.max(1),
        }
    }

    pub(crate) fn scenarios(&self) -> usize {
        self.scenarios
    }

    /// Returns the mean over scenarios of what comes after a daypart, per opportunity.
    pub(crate) fn mean(&self, daypart: usize) -> Option<&Curves> {
        self.dayparts.get(daypart).map(|after| &after.mean)
    }

    /// Returns value and cost of each scenario after a daypart, per opportunity.
    pub(crate) fn after(&self, daypart: usize) -> (&[Curve], &[Curve]) {
        let after = self.dayparts.get(daypart);
        after.map_or((&[], &[]), |after| (&after.value, &after.cost))
    }
}

/// The campaign-days to learn from, each as the curves of its dayparts.
struct Scenarios;

impl Scenarios {
    fn of<'a>(
        history: &'a History,
        prices: &'a PriceLessons,
        identity: u64,
        target: f64,
        first_price: bool,
    ) -> impl Iterator<Item = Vec<Curves>> + use<'a> {
        let lessons = &*history.lessons;
        let own = lessons.levels.get(&identity).copied();
        let own = own.unwrap_or_else(|| pool(lessons));
        let known = number(history.days.len() * lessons.dayparts());
        let trust = known / (known + LEVEL_SHRINK);
        let days = history.days.iter().zip(&prices.by_daypart);
        let known_prices = days.filter(|(_, by_daypart)| !by_daypart.is_empty());
        let all: usize = known_prices
            .clone()
            .map(|(day, _)| day.campaigns.len())
            .sum();
        let apart = all.div_ceil(MOST_SCENARIOS).max(1);
        let pairs = known_prices.flat_map(move |(day, by_daypart)| {
            let landscape = |grid| Landscape::of_prices(grid, &prices.rates, first_price);
            let tables: Vec<BidTable> = by_daypart
                .iter()
                .map(|grid| BidTable::new(&landscape(grid)))
                .collect();
            let tables = std::rc::Rc::new(tables);
            day.campaigns
                .iter()
                .map(move |campaign| (campaign, tables.clone()))
        });
        pairs.step_by(apart).map(move |(campaign, tables)| {
            let level = lessons
                .levels
                .get(&campaign.identity)
                .copied()
                .unwrap_or(own);
            let is_own = campaign.identity == identity;
            let moved = if is_own { 0.0 } else { trust * (own - level) };
            // The place of worth · target · e^moved, less that of the worth.
            let shift = (ln(target) + moved - BASE) / STEP;
            let parts = tables.iter().zip(lessons.cuts.windows(2));
            let curves = parts.map(|(table, stretch)| {
                let [from, to] = stretch else {
                    return Curves::default();
                };
                let worths = campaign.worths(*from, *to);
                let mut histogram = [0.0; POINTS];
                let one = 1.0 / number(worths.len()).max(1.0);
                for &worth in worths.iter().filter(|worth| **worth > 0.0) {
                    count(&mut histogram, ln(f64::from(worth)) / STEP + shift, one);
                }
                table.curves(&histogram)
            });
            curves.collect()
        })
    }
}

/// Returns the mean level of all campaigns.
fn pool(lessons: &Lessons) -> f64 {
    lessons.levels.values().sum::<f64>() / number(lessons.levels.len()).max(1.0)
}

/// Returns the order in which a platform draws the scenarios: another one for each platform, so that
/// the platforms of one scenario are different past days, and the same one every time.
pub(crate) fn drawing_order(scenarios: usize, platform: usize) -> Vec<u32> {
    let strides = [1, 5, 7, 11, 13, 17, 19, 23, 29, 31].into_iter();
    let coprime: Vec<usize> = strides
        .filter(|stride| gcd(*stride, scenarios) == 1)
        .collect();
    let stride = coprime
        .get(platform % coprime.len().max(1))
        .copied()
        .unwrap_or(1);
    let drawn = (0..scenarios).map(|index| (index * stride + 17 * platform) % scenarios.max(1));
    drawn
        .map(|index| u32::try_from(index).unwrap_or(0))
        .collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_platform_draws_every_scenario_once_in_an_order_of_its_own() {
        let orders: Vec<Vec<u32>> = (0..3).map(|platform| drawing_order(72, platform)).collect();
        for order in &orders {
            let mut sorted = order.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..72).collect::<Vec<u32>>());
        }
        assert!(orders.windows(2).all(|pair| pair.first() != pair.last()));
    }
}
