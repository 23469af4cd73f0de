//! What past days teach: traffic, dayparts, prices, slot rates and the levels of campaigns.

use crate::planner::history::{Day, SlotSums};
use crate::planner::landscape::SlotRates;
use crate::planner::lattice::{Grid, POINTS, number};
use std::collections::BTreeMap;

/// A new daypart begins where the levels of past campaign-days correlate by less, from round to
/// round.
const SAME_DAYPART: f64 = 0.7;
const LEAST_WEIGHT: f64 = 1e-12;

/// What all days together teach.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lessons {
    pub(crate) opportunities: f64,
    pub(crate) profile: Vec<f64>,
    /// Rounds at which dayparts begin, and the number of rounds.
    pub(crate) cuts: Vec<usize>,
    /// The mean logarithm of each campaign's worths.
    pub(crate) levels: BTreeMap<u64, f64>,
    pub(crate) prices: Option<PriceLessons>,
}

/// What all days together teach about prices to beat.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PriceLessons {
    pub(crate) rates: SlotRates,
    /// The histogram of each round.
    pub(crate) by_round: Vec<Grid>,
    /// The mean place on the lattice of each round.
    pub(crate) mean: Vec<f64>,
    /// The histogram of each day's dayparts; no grids for a day without prices.
    pub(crate) by_daypart: Vec<Vec<Grid>>,
}

impl Lessons {
    /// Returns what is held true before any day is known: even traffic, one daypart, no prices.
    pub(crate) fn none(rounds: usize) -> Self {
        Self {
            opportunities: 0.0,
            profile: vec![1.0 / number(rounds).max(1.0); rounds],
            cuts: vec![0, rounds],
            levels: BTreeMap::new(),
            prices: None,
        }
    }

    pub(crate) fn of(days: &[Day], rounds: usize) -> Self {
        let mut lessons = Self::none(rounds);
        lessons.learn_traffic(days);
        let deviations = lessons.learn_levels(days, rounds);
        if days.iter().any(|day| !day.prices.is_empty()) {
            // Without prices there are no scenarios, and today speaks for all of the day.
            lessons.cuts = dayparts(&deviations, rounds);
            lessons.prices = Some(PriceLessons::of(days, &lessons.cuts));
        }
        lessons
    }

    /// Returns the daypart of a round.
    pub(crate) fn daypart(&self, round: usize) -> usize {
        self.cuts
            .partition_point(|cut| *cut <= round)
            .saturating_sub(1)
    }

    /// Returns where a daypart ends.
    pub(crate) fn end_of(&self, daypart: usize) -> usize {
        self.cuts
            .get(daypart + 1)
            .copied()
            .unwrap_or(self.profile.len())
    }

    /// Returns how many dayparts there are.
    pub(crate) fn dayparts(&self) -> usize {
        self.cuts.len().saturating_sub(1)
    }

    /// Returns the share of a day's traffic that a stretch of rounds has.
    pub(crate) fn share(&self, from: usize, to: usize) -> f64 {
        self.profile.get(from..to).unwrap_or_default().iter().sum()
    }

    fn learn_traffic(&mut self, days: &[Day]) {
        let totals = days
            .iter()
            .map(|day| day.traffic.iter().copied().map(f64::from).sum::<f64>());
        let totals: Vec<f64> = totals.collect();
        let with_traffic = totals.iter().filter(|total| **total > 0.0).count();
        if with_traffic == 0 {
            return;
        }
        self.opportunities = totals.iter().sum::<f64>() / number(with_traffic);
        self.profile.fill(0.0);
        for (day, total) in days.iter().zip(totals).filter(|(_, total)| *total > 0.0) {
            for (share, traffic) in self.profile.iter_mut().zip(&day.traffic) {
                *share += f64::from(*traffic) / total;
            }
        }
        self.profile
            .iter_mut()
            .for_each(|share| *share /= number(with_traffic));
    }

    /// Learns the campaigns' levels; returns how far each campaign-day's rounds were from them.
    fn learn_levels(&mut self, days: &[Day], rounds: usize) -> Vec<Vec<f64>> {
        let campaigns = days.iter().flat_map(|day| &day.campaigns);
        let mut levels: Vec<(u64, Vec<f64>)> = campaigns
            .map(|campaign| (campaign.identity, campaign.levels(rounds)))
            .collect();
        let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for (identity, rounds) in &levels {
            let (sum, count) = sums.entry(*identity).or_default();
            for level in rounds.iter().filter(|level| !level.is_nan()) {
                *sum += level;
                *count += 1.0;
            }
        }
        let seen = sums.iter().filter(|(_, (_, count))| *count > 0.0);
        self.levels = seen
            .map(|(identity, (sum, count))| (*identity, sum / count))
            .collect();
        for (identity, rounds) in &mut levels {
            let own = self.levels.get(identity).copied().unwrap_or(f64::NAN);
            for level in rounds {
                *level -= own;
                if level.is_nan() {
                    *level = 0.0;
                }
            }
        }
        levels.into_iter().map(|(_, rounds)| rounds).collect()
    }
}

/// Returns where dayparts begin: a level lasts within one, and tells nothing about the next.
fn dayparts(deviations: &[Vec<f64>], rounds: usize) -> Vec<usize> {
    let at = |round: usize| {
        deviations
            .iter()
            .filter_map(move |day| day.get(round).copied())
    };
    let starts = (1..rounds).filter(|&round| correlation(at(round - 1), at(round)) < SAME_DAYPART);
    [0].into_iter().chain(starts).chain([rounds]).collect()
}

/// Returns Pearson's correlation; no number for constants.
fn correlation<I: Iterator<Item = f64> + Clone>(x: I, y: I) -> f64 {
    let count = number(x.clone().count());
    let mean_x = x.clone().sum::<f64>() / count;
    let mean_y = y.clone().sum::<f64>() / count;
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in x.zip(y) {
        xx += (x - mean_x) * (x - mean_x);
        yy += (y - mean_y) * (y - mean_y);
        xy += (x - mean_x) * (y - mean_y);
    }
    xy / (xx.sqrt() * yy.sqrt())
}

impl PriceLessons {
    fn of(days: &[Day], cuts: &[usize]) -> Self {
        let mut slots = SlotSums::default();
        for day in days {
            slots.merge(&day.slots);
        }
        let by_daypart: Vec<Vec<Grid>> = days.iter().map(|day| day.by_daypart(cuts)).collect();
        let mut by_round = Vec::new();
        let mut mean = Vec::new();
        for (daypart, stretch) in cuts.windows(2).enumerate() {
            let [from, to] = stretch else { continue };
            for round in *from..*to {
                let priced = || days.iter().filter_map(move |day| day.prices_at(round));
                let weights: f64 = priced().map(|(_, traffic)| traffic).sum();
                by_round.push(if weights > 0.0 {
                    average(priced())
                } else {
                    let whole = by_daypart.iter().filter_map(|parts| parts.get(daypart));
                    average(whole.map(|grid| (grid, 1.0)))
                });
                let places = priced().map(|(grid, traffic)| {
                    let weight = if traffic > 0.0 { 1.0 } else { 0.0 };
                    let place = |(index, share): (usize, &f64)| number(index) * share;
                    let sum: f64 = grid.iter().enumerate().map(place).sum();
                    (sum, weight + LEAST_WEIGHT)
                });
                let (sum, weight) = places.fold((0.0, 0.0), |(sum, weights), (place, weight)| {
                    (sum + place * weight, weights + weight)
                });
                mean.push(if weight > 0.0 { sum / weight } else { 0.0 });
            }
        }
        Self {
            rates: slots.rates(),
            by_round,
            mean,
            by_daypart,
        }
    }
}

impl Day {
    fn prices_at(&self, round: usize) -> Option<(&Grid, f64)> {
        let traffic = self.traffic.get(round).copied().map_or(0.0, f64::from);
        self.prices.get(round).map(|grid| (grid, traffic))
    }

    fn by_daypart(&self, cuts: &[usize]) -> Vec<Grid> {
        if self.prices.is_empty() {
            return Vec::new();
        }
        let stretches = cuts.windows(2).filter_map(|pair| match pair {
            [from, to] => Some(*from..*to),
            _ => None,
        });
        let weighted = |round| {
            let (grid, traffic) = self.prices_at(round)?;
            Some((grid, traffic + LEAST_WEIGHT))
        };
        stretches
            .map(|rounds| average(rounds.filter_map(weighted)))
            .collect()
    }
}

fn average<'a>(grids: impl Iterator<Item = (&'a Grid, f64)>) -> Grid {
    let mut sum = [0.0; POINTS];
    let mut weights = 0.0;
    for (grid, weight) in grids {
        sum.iter_mut()
            .zip(grid)
            .for_each(|(sum, share)| *sum += share * weight);
        weights += weight;
    }
    if weights > 0.0 {
        for share in &mut sum {
            *share /= weights;
        }
    }
    sum
}
