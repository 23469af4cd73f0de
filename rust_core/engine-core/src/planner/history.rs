//! What past days teach: traffic, dayparts, prices, slot rates and the levels of campaigns.
//!
//! A day is reduced to sums when it is added, and what all days teach is drawn from those: a day
//! more is cheap, and the oldest of [`MOST_DAYS`] makes room for it. Worths alone are kept one by
//! one, as scenarios of the rest of a day need their whole distribution.

use crate::error::CoreError;
use crate::planner::checks;
use crate::planner::landscape::{SLOT_BINS, SlotRates};
use crate::planner::lattice::{Grid, POINTS, STEP, coordinate, count};
use crate::real::{exp, ln};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Rounds of a day at most: one a minute.
pub const MOST_ROUNDS: usize = 1440;
/// Days remembered; one more, and the oldest is forgotten.
pub const MOST_DAYS: usize = 60;
/// Campaigns of a day at most.
pub const MOST_CAMPAIGNS: usize = 1024;

/// A new daypart begins where the levels of past campaign-days correlate by less, from round to
/// round.
const SAME_DAYPART: f64 = 0.7;
const LEAST_LEVEL: f64 = 1e-6;
const LEAST_WEIGHT: f64 = 1e-12;
/// Auctions that a campaign-day adds to the slot rates, about.
const SLOT_SAMPLES: usize = 6000;
/// The golden ratio's fraction: its multiples fill an interval evenly.
const GOLDEN: f64 = 0.618_033_988_7;

/// One campaign's past day: its opportunities in the order of time.
#[derive(Debug, Clone, Copy)]
pub struct PastCampaign<'a> {
    /// Who it was; the same campaign has the same identity on other days.
    pub identity: u64,
    /// Forecast conversions of an exposure (or value over the target), one an opportunity.
    pub worths: &'a [f32],
    /// The three highest competing bids, highest first, units of money: three an opportunity, or
    /// none at all where they are not known.
    pub prices: &'a [f64],
    /// Where rounds begin in these, and at the end their number: one more than rounds.
    pub bounds: &'a [u32],
}

/// Past days, and what they teach.
///
/// ```
/// use engine_core::planner::{History, PastCampaign};
///
/// let mut history = History::new(2, [1.0, 0.8, 0.48])?;
/// let prices = [0.5, 0.4, 0.3, 0.6, 0.5, 0.2, 0.5, 0.2, 0.1];
/// let day = PastCampaign { identity: 7, worths: &[0.01, 0.02, 0.01], prices: &prices, bounds: &[0, 2, 3] };
/// history.add_day(&[day])?;
/// assert_eq!(history.days(), 1);
/// assert_eq!(history.profile(), [2.0 / 3.0, 1.0 / 3.0]);
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct History {
    pub(crate) rounds: usize,
    pub(crate) exposures: [f64; 3],
    pub(crate) days: Vec<Day>,
    pub(crate) lessons: Arc<Lessons>,
}

impl History {
    /// Returns an empty history. `exposures`: how likely a bid is exposed on the first, second and
    /// third slot, above the first, second and third price.
    ///
    /// # Errors
    /// `CoreError` for no rounds or more than [`MOST_ROUNDS`], and for exposures outside 0 to 1.
    pub fn new(rounds: usize, exposures: [f64; 3]) -> Result<Self, CoreError> {
        checks::count("rounds", "1 to 1440", rounds, 1..=MOST_ROUNDS)?;
        for exposure in exposures {
            checks::number("exposures", "0 to 1", exposure, 0.0..=1.0)?;
        }
        Ok(Self {
            rounds,
            exposures,
            days: Vec::new(),
            lessons: Arc::new(Lessons::none(rounds)),
        })
    }

    /// Adds a past day, the newest.
    ///
    /// # Errors
    /// `CoreError` for the first number that no day can have; the history is then as it was.
    pub fn add_day(&mut self, campaigns: &[PastCampaign<'_>]) -> Result<(), CoreError> {
        let day = Day::new(campaigns, self.rounds, &self.exposures)?;
        if self.days.len() >= MOST_DAYS {
            self.days.remove(0);
        }
        self.days.push(day);
        self.lessons = Arc::new(Lessons::of(&self.days, self.rounds));
        Ok(())
    }

    /// Returns how many days are remembered.
    #[must_use]
    pub fn days(&self) -> usize {
        self.days.len()
    }

    /// Returns how many rounds a day has.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Returns each round's share of a day's traffic; even shares while no day is known.
    #[must_use]
    pub fn profile(&self) -> &[f64] {
        &self.lessons.profile
    }

    /// Returns the mean opportunities of a campaign's day, 0 while no day is known.
    #[must_use]
    pub fn opportunities(&self) -> f64 {
        self.lessons.opportunities
    }

    /// Returns the rounds at which dayparts begin, and at the end the number of rounds.
    #[must_use]
    pub fn dayparts(&self) -> &[usize] {
        &self.lessons.cuts
    }
}

/// What is kept of a past day.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Day {
    /// Opportunities of each round, of the day's first campaign.
    pub(crate) traffic: Vec<u32>,
    pub(crate) slots: SlotSums,
    /// Histograms of the least price to beat, by round; none where the day has no prices.
    pub(crate) prices: Vec<Grid>,
    pub(crate) campaigns: Vec<CampaignDay>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CampaignDay {
    pub(crate) identity: u64,
    pub(crate) worths: Vec<f32>,
    pub(crate) bounds: Vec<u32>,
}

/// Sums of what bids just so far above the least price would have brought and cost.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct SlotSums {
    pub(crate) auctions: [f64; SLOT_BINS],
    pub(crate) exposure: [f64; SLOT_BINS],
    pub(crate) cost: [f64; SLOT_BINS],
}

impl Day {
    fn new(
        campaigns: &[PastCampaign<'_>],
        rounds: usize,
        exposures: &[f64; 3],
    ) -> Result<Self, CoreError> {
        checks::count(
            "campaigns",
            "1 to 1024",
            campaigns.len(),
            1..=MOST_CAMPAIGNS,
        )?;
        let mut identities = BTreeSet::new();
        for campaign in campaigns {
            campaign.check(rounds)?;
            if !identities.insert(campaign.identity) {
                return Err(CoreError::KeyTaken {
                    what: "campaign",
                    found: campaign.identity,
                });
            }
        }
        let mut slots = SlotSums::default();
        for campaign in campaigns {
            slots.add(campaign.prices, exposures);
        }
        let has_prices = campaigns.iter().any(|campaign| !campaign.prices.is_empty());
        let prices = 0..if has_prices { rounds } else { 0 };
        let first = campaigns
            .first()
            .map_or(&[][..], |campaign| campaign.bounds);
        Ok(Self {
            traffic: widths(first).collect(),
            slots,
            prices: prices.map(|round| prices_of(campaigns, round)).collect(),
            campaigns: campaigns.iter().map(CampaignDay::of).collect(),
        })
    }
}

impl PastCampaign<'_> {
    fn check(&self, rounds: usize) -> Result<(), CoreError> {
        let worths = self.worths.len();
        checks::length("bounds", rounds + 1, self.bounds.len())?;
        if !self.prices.is_empty() {
            checks::length("prices", 3 * worths, self.prices.len())?;
        }
        checks::bounds(self.bounds, worths)?;
        for &worth in self.worths {
            checks::number("worths", "0 to 1e6", f64::from(worth), 0.0..=1e6)?;
        }
        for &price in self.prices {
            checks::number("prices", "1e-9 to 1e9", price, 1e-9..=1e9)?;
        }
        Ok(())
    }

    /// Returns the least prices to beat of a round.
    fn least_prices(&self, round: usize) -> impl Iterator<Item = f64> {
        let (start, end) = self.bounds.get(round..).map_or((0, 0), |rest| match rest {
            [start, end, ..] => (*start as usize, *end as usize),
            _ => (0, 0),
        });
        let prices = self.prices.get(3 * start..3 * end).unwrap_or_default();
        prices
            .chunks_exact(3)
            .filter_map(|three| three.last().copied())
    }
}

/// Returns the histogram of a round's least prices, of all campaigns; its shares sum to 1 at most.
fn prices_of(campaigns: &[PastCampaign<'_>], round: usize) -> Grid {
    let mut histogram = [0.0; POINTS];
    let mut prices = 0.0;
    for price in campaigns
        .iter()
        .flat_map(|campaign| campaign.least_prices(round))
    {
        count(&mut histogram, coordinate(price), 1.0);
        prices += 1.0;
    }
    if prices > 0.0 {
        for share in &mut histogram {
            *share /= prices;
        }
    }
    histogram
}

fn widths(bounds: &[u32]) -> impl Iterator<Item = u32> {
    bounds.windows(2).map(|pair| match pair {
        [start, end] => end.saturating_sub(*start),
        _ => 0,
    })
}

impl CampaignDay {
    fn of(campaign: &PastCampaign<'_>) -> Self {
        Self {
            identity: campaign.identity,
            worths: campaign.worths.to_vec(),
            bounds: campaign.bounds.to_vec(),
        }
    }

    /// Returns the worths of a stretch of rounds.
    pub(crate) fn worths(&self, from: usize, to: usize) -> &[f32] {
        let at = |round: usize| self.bounds.get(round).map_or(0, |bound| *bound as usize);
        self.worths.get(at(from)..at(to)).unwrap_or_default()
    }

    /// Returns the logarithm of the mean worth of each round, no number where it had none.
    fn levels(&self, rounds: usize) -> Vec<f64> {
        let level = |round| {
            let worths = self.worths(round, round + 1);
            let sum: f64 = worths.iter().copied().map(f64::from).sum();
            match number(worths.len()) {
                0.0 => f64::NAN,
                count => ln((sum / count).max(LEAST_LEVEL)),
            }
        };
        (0..rounds).map(level).collect()
    }
}

impl Default for SlotSums {
    fn default() -> Self {
        Self {
            auctions: [0.0; SLOT_BINS],
            exposure: [0.0; SLOT_BINS],
            cost: [0.0; SLOT_BINS],
        }
    }
}

impl SlotSums {
    /// Bids in each auction (of some, evenly spread) at one bin above the least price, each bin in
    /// turn and evenly within it, and adds what that would have brought and cost.
    fn add(&mut self, prices: &[f64], exposures: &[f64; 3]) {
        let apart = (prices.len() / 3 / SLOT_SAMPLES).max(1);
        let mut index = 0_u32;
        for auction in prices.chunks_exact(3).step_by(apart) {
            let [_, _, least] = auction else { continue };
            let bin = index as usize % SLOT_BINS;
            let within = (f64::from(index) * GOLDEN).fract() - 0.5;
            let bid = least * exp(STEP * (number(bin) + within));
            index += 1;
            let slot = auction
                .iter()
                .zip(exposures)
                .find(|(price, _)| bid > **price);
            let sums = (
                self.auctions.get_mut(bin),
                self.exposure.get_mut(bin),
                self.cost.get_mut(bin),
            );
            if let (Some(auctions), Some(exposure_sum), Some(cost)) = sums {
                *auctions += 1.0;
                if let Some((price, exposure)) = slot {
                    *exposure_sum += exposure;
                    *cost += exposure * price / least;
                }
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        let add = |(sum, one): (&mut f64, &f64)| *sum += one;
        self.auctions.iter_mut().zip(&other.auctions).for_each(add);
        self.exposure.iter_mut().zip(&other.exposure).for_each(add);
        self.cost.iter_mut().zip(&other.cost).for_each(add);
    }

    /// Returns the rates, none of which falls with the bid.
    pub(crate) fn rates(&self) -> SlotRates {
        let rising = |sums: &[f64; SLOT_BINS]| {
            let mut rates = [0.0; SLOT_BINS];
            let mut highest = 0.0;
            for (rate, (sum, auctions)) in rates.iter_mut().zip(sums.iter().zip(&self.auctions)) {
                if *auctions > 0.0 {
                    highest = f64::max(highest, sum / auctions);
                }
                *rate = highest;
            }
            rates
        };
        SlotRates {
            exposure: rising(&self.exposure),
            cost: rising(&self.cost),
        }
    }
}

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

/// Returns a count as a number; exact below 2^53.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn number(count: usize) -> f64 {
    count as f64
}
