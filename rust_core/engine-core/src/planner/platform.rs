//! What one platform has shown a campaign of today: prices, worths, traffic, spend, own wins.

use crate::error::CoreError;
use crate::money::Micros;
use crate::planner::checks;
use crate::planner::futures::{Futures, drawing_order};
use crate::planner::landscape::{BidTable, Curves, Landscape, NO_BID, SLOT_BINS, SlotRates};
use crate::planner::lattice::{
    BASE, Grid, POINTS, STEP, coordinate, count, mean_place, moved, number, split,
};
use crate::planner::lessons::{Lessons, PriceLessons};
use crate::planner::traffic::Traffic;
use crate::real::{exp, ln};
use std::sync::Arc;

/// Pseudo-auctions of the history's slot rates, per bin.
const SLOT_PRIOR: f64 = 200.0;
/// The same where there is no history.
const COLD_SLOT_PRIOR: f64 = 8.0;
/// Pseudo-opportunities of the history's prices of the same round.
const PRICE_PRIOR: f64 = 60.0;
/// What a round leaves of the rounds' prices before it, re-centred.
const PRICE_MEMORY: f64 = 0.6;
/// The next move of the mean log price is .84 of the profile's, less .09 of the deviation from it.
const DRIFT_OF_PROFILE: f64 = 0.84;
const DRIFT_BACK: f64 = 0.09;

/// The opportunities of a round on one platform, one by one or as classes of equal worth.
#[derive(Debug, Clone, Copy)]
pub struct Opportunities<'a> {
    /// Forecast conversions of an exposure (or value over the target).
    pub worths: &'a [f64],
    /// Standard deviations of those, where stated.
    pub sigmas: Option<&'a [f64]>,
    /// How many opportunities each worth stands for; 1 where not stated.
    pub counts: Option<&'a [f64]>,
}

impl Opportunities<'_> {
    pub(crate) fn check(&self) -> Result<(), CoreError> {
        for &worth in self.worths {
            checks::number("worths", "0 to 1e6", worth, 0.0..=1e6)?;
        }
        for (what, numbers) in [("sigmas", self.sigmas), ("counts", self.counts)] {
            let Some(numbers) = numbers else { continue };
            checks::length(what, self.worths.len(), numbers.len())?;
            for &found in numbers {
                checks::number(what, "0 to 1e12", found, 0.0..=1e12)?;
            }
        }
        Ok(())
    }

    /// Returns how many opportunities there are.
    pub(crate) fn total(&self) -> f64 {
        self.counts
            .map_or_else(|| number(self.worths.len()), |counts| counts.iter().sum())
    }

    /// Returns how many opportunities each worth stands for.
    fn weights(&self) -> impl Iterator<Item = f64> {
        let counts = self.counts.unwrap_or_default().iter().copied();
        counts.chain(std::iter::repeat(1.0))
    }
}

/// What became of a round's opportunities on one platform: arrays of one length, one an opportunity.
#[derive(Debug, Clone, Copy)]
pub struct Outcomes<'a> {
    /// The least price to beat, units of money; 0 where it was not told.
    pub prices: &'a [f64],
    /// The worths that the round was decided with.
    pub worths: &'a [f64],
    /// Own bids, units of money.
    pub bids: &'a [f64],
    /// What an exposure costs, where won; units of money.
    pub paid: &'a [f64],
    /// Whether the bid won a slot.
    pub won: &'a [u8],
    /// Whether the slot was seen, and so paid for.
    pub exposed: &'a [u8],
    /// What all of it cost.
    pub cost: Micros,
}

impl Outcomes<'_> {
    pub(crate) fn check(&self) -> Result<(), CoreError> {
        let opportunities = self.prices.len();
        for (what, numbers) in [
            ("prices", self.prices),
            ("worths", self.worths),
            ("bids", self.bids),
            ("paid", self.paid),
        ] {
            checks::length(what, opportunities, numbers.len())?;
            for &found in numbers {
                checks::number(what, "0 to 1e9", found, 0.0..=1e9)?;
            }
        }
        checks::length("won", opportunities, self.won.len())?;
        checks::length("exposed", opportunities, self.exposed.len())?;
        checks::spend("cost_micros", self.cost)
    }
}

/// What a platform is expected to bring from now on.
#[derive(Debug, Clone)]
pub(crate) struct Prospect {
    /// This round.
    pub(crate) now: Curves,
    /// Spent and won, this round, and the rest of the daypart.
    pub(crate) base: Curves,
    pub(crate) traffic: Traffic,
}

/// What one platform has shown of today.
#[derive(Debug, Clone)]
pub(crate) struct Platform {
    pub(crate) expected: f64,
    pub(crate) opportunities: f64,
    pub(crate) cost: f64,
    /// Forecast conversions of exposures.
    pub(crate) conversions: f64,
    pub(crate) worth_sum: f64,
    pub(crate) sigma_sum: f64,
    pub(crate) slots: Slots,
    pub(crate) today: Daypart,
    pub(crate) futures: Arc<Futures>,
    pub(crate) order: Vec<u32>,
    /// The bids of the newest round; none while no landscape is known.
    table: Option<BidTable>,
    places: Vec<f64>,
}

/// Own wins by how far the bid was above the price to beat, with the prior's.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Slots {
    pub(crate) wins: [f64; SLOT_BINS],
    pub(crate) exposure: [f64; SLOT_BINS],
    pub(crate) cost: [f64; SLOT_BINS],
}

/// Prices and worths of the daypart: what the one before had shown tells nothing any more.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Daypart {
    pub(crate) index: Option<u32>,
    pub(crate) prices: Grid,
    pub(crate) priced: f64,
    pub(crate) level: f64,
    pub(crate) worths: Grid,
    pub(crate) seen: f64,
}

impl Daypart {
    pub(crate) fn new(index: Option<u32>) -> Self {
        Self {
            index,
            prices: [0.0; POINTS],
            priced: 0.0,
            level: 0.0,
            worths: [0.0; POINTS],
            seen: 0.0,
        }
    }
}

impl Slots {
    /// Returns the history's rates as a prior. Without one: a bid within half a step of the price to
    /// beat wins every other time, one above always, and pays the price.
    pub(crate) fn new(prices: Option<&PriceLessons>) -> Self {
        let (weight, rates) = if let Some(lessons) = prices {
            (SLOT_PRIOR, lessons.rates.clone())
        } else {
            let mut exposure = [1.0; SLOT_BINS];
            if let Some(first) = exposure.first_mut() {
                *first = 0.5;
            }
            (
                COLD_SLOT_PRIOR,
                SlotRates {
                    exposure,
                    cost: exposure,
                },
            )
        };
        Self {
            wins: [weight; SLOT_BINS],
            exposure: rates.exposure.map(|rate| rate * weight),
            cost: rates.cost.map(|rate| rate * weight),
        }
    }

    fn rates(&self) -> SlotRates {
        let rising = |sums: &[f64; SLOT_BINS]| {
            let mut highest = 0.0;
            let mut rates = [0.0; SLOT_BINS];
            for (rate, (sum, wins)) in rates.iter_mut().zip(sums.iter().zip(&self.wins)) {
                highest = f64::max(highest, sum / wins);
                *rate = highest;
            }
            rates
        };
        SlotRates {
            exposure: rising(&self.exposure),
            cost: rising(&self.cost),
        }
    }

    fn note(&mut self, bid: f64, price: f64, paid: Option<f64>) {
        let (bin, _) = split((ln(bid / price) / STEP).round_ties_even().max(0.0));
        let bin = bin.min(SLOT_BINS - 1);
        let sums = (
            self.wins.get_mut(bin),
            self.exposure.get_mut(bin),
            self.cost.get_mut(bin),
        );
        if let (Some(wins), Some(exposure), Some(cost)) = sums {
            *wins += 1.0;
            if let Some(paid) = paid {
                *exposure += 1.0;
                *cost += paid / price;
            }
        }
    }
}

impl Platform {
    pub(crate) fn new(
        expected: f64,
        lessons: &Lessons,
        futures: Arc<Futures>,
        index: usize,
    ) -> Self {
        let order = drawing_order(futures.scenarios(), index);
        Self {
            expected,
            opportunities: 0.0,
            cost: 0.0,
            conversions: 0.0,
            worth_sum: 0.0,
            sigma_sum: 0.0,
            slots: Slots::new(lessons.prices.as_ref()),
            today: Daypart::new(None),
            futures,
            order,
            table: None,
            places: Vec::new(),
        }
    }

    /// Takes in a round's opportunities; returns what is expected of it and of the daypart's rest.
    pub(crate) fn prospect(
        &mut self,
        round: usize,
        found: &Opportunities<'_>,
        target: f64,
        first_price: bool,
        lessons: &Lessons,
    ) -> Prospect {
        let daypart = u32::try_from(lessons.daypart(round)).unwrap_or(u32::MAX);
        if self.today.index != Some(daypart) {
            self.today = Daypart::new(Some(daypart));
        }
        let total = found.total();
        self.places.clear();
        self.places
            .extend(found.worths.iter().map(|worth| coordinate(worth * target)));
        let mut worths = [0.0; POINTS];
        for ((&place, weight), worth) in self.places.iter().zip(found.weights()).zip(found.worths) {
            if *worth > 0.0 {
                count(&mut worths, place, weight);
            }
        }
        let today = &mut self.today;
        today
            .worths
            .iter_mut()
            .zip(&worths)
            .for_each(|(sum, one)| *sum += one);
        today.seen += total;
        if let Some(sigmas) = found.sigmas {
            for ((worth, sigma), count) in found.worths.iter().zip(sigmas).zip(found.weights()) {
                if *worth > 0.0 {
                    self.worth_sum += worth * count;
                    self.sigma_sum += sigma * count;
                }
            }
        }
        let (prices, deviation) = self.prices_of(round, lessons);
        let landscape = |prices| Landscape::of_prices(&prices, &self.slots.rates(), first_price);
        self.table = prices.map(|prices| BidTable::new(&landscape(prices)));
        let traffic = Traffic::to_come(self, total, round, lessons);
        let now = self
            .table
            .as_ref()
            .map_or_else(Curves::default, |table| table.curves(&worths));
        let mut base = Curves::constant(self.conversions * target, self.cost);
        base.add(&now, 1.0);
        self.add_rest(&mut base, &traffic, round, deviation, lessons);
        Prospect { now, base, traffic }
    }

    /// Returns the distribution of this round's prices (the daypart's, moved as they drift; the
    /// history's where nothing was seen; none where neither) and the deviation of their mean from
    /// the history's.
    fn prices_of(&self, round: usize, lessons: &Lessons) -> (Option<Grid>, f64) {
        let today = &self.today;
        let past = lessons.prices.as_ref();
        let prior = past.and_then(|past| past.by_round.get(round));
        if today.priced <= 0.0 {
            return (prior.copied(), 0.0);
        }
        // The level last seen stands for the round before this one.
        let (mut deviation, mut distance) = (0.0, 0.0);
        if let Some(past) = past {
            let before = past.mean.get(round.saturating_sub(1)).copied();
            deviation = today.level - before.unwrap_or(today.level);
            (distance, _) = past.drift(round, deviation);
            deviation += distance;
        }
        let mut prices = moved(&today.prices, distance);
        let weight = if prior.is_some() { PRICE_PRIOR } else { 0.0 };
        for (index, share) in prices.iter_mut().enumerate() {
            let past = prior
                .and_then(|prior| prior.get(index))
                .copied()
                .unwrap_or(0.0);
            *share = (*share + weight * past) / (today.priced + weight);
        }
        (Some(prices), deviation)
    }

    /// Adds what the daypart's rest will bring: the worths seen in it so far, at prices that drift.
    fn add_rest(
        &self,
        base: &mut Curves,
        traffic: &Traffic,
        round: usize,
        deviation: f64,
        lessons: &Lessons,
    ) {
        let (Some(table), true) = (&self.table, self.today.seen > 0.0) else {
            return;
        };
        if traffic.daypart <= 0.0 {
            return;
        }
        let seen = 1.0 / self.today.seen;
        let rest = table.curves(&self.today.worths.map(|count| count * seen));
        let end = lessons.end_of(lessons.daypart(round));
        let share = lessons.share(round + 1, end);
        let (mut deviation, mut distance) = (deviation, 0.0);
        for to in round + 1..end {
            if let Some(past) = lessons.prices.as_ref() {
                let (drift, profile) = past.drift(to, deviation);
                distance += drift;
                deviation += drift - profile;
            }
            let opportunities = traffic.daypart * lessons.share(to, to + 1) / share;
            let dearer = exp(STEP * distance);
            base.add_moved(&rest, distance, opportunities, opportunities * dearer);
        }
    }

    /// Returns the bids at a shadow price, relative to the target: φ(worth · shadow price),
    /// interpolated in logarithms between the points of the lattice.
    pub(crate) fn bids(&self, worths: &[f64], shadow: f64, target: f64) -> Vec<f64> {
        let Some(table) = &self.table else {
            // Nothing is known of prices: the bid that is right where the second price is paid.
            return worths.iter().map(|worth| worth * shadow * target).collect();
        };
        let shift = ln(shadow) / STEP;
        let mut bids: Vec<f64> = self
            .places
            .iter()
            .map(|place| table.place_of(place + shift))
            .collect();
        // Apart from the look-ups, so that it becomes vector code.
        for (bid, worth) in bids.iter_mut().zip(worths) {
            let money = exp(BASE + STEP * *bid);
            *bid = if *bid > NO_BID && *worth > 0.0 {
                money
            } else {
                0.0
            };
        }
        bids
    }

    /// Whether anything is known of prices.
    pub(crate) fn has_landscape(&self) -> bool {
        self.table.is_some()
    }

    /// Takes in what became of a round.
    pub(crate) fn observe(&mut self, outcomes: &Outcomes<'_>, cost: f64) {
        self.opportunities += number(outcomes.prices.len());
        self.cost += cost;
        let own = outcomes
            .bids
            .iter()
            .zip(outcomes.paid)
            .zip(outcomes.won)
            .zip(outcomes.exposed);
        let auctions = outcomes.prices.iter().zip(outcomes.worths);
        for ((price, worth), (((bid, paid), won), exposed)) in auctions.zip(own) {
            if *exposed != 0 {
                self.conversions += worth;
            }
            if *won != 0 && *worth > 0.0 && *price > 0.0 && *bid > 0.0 {
                self.slots
                    .note(*bid, *price, (*exposed != 0).then_some(*paid));
            }
        }
        let mut prices = [0.0; POINTS];
        let mut told = 0.0;
        for price in outcomes.prices.iter().filter(|price| **price > 0.0) {
            count(&mut prices, coordinate(*price), 1.0);
            told += 1.0;
        }
        if told == 0.0 {
            return;
        }
        let level = mean_place(&prices);
        let today = &mut self.today;
        if today.priced > 0.0 {
            // The shape of older rounds is kept, at the level of the newest.
            today.prices = moved(&today.prices, level - today.level);
        }
        for (sum, one) in today.prices.iter_mut().zip(&prices) {
            *sum = *sum * PRICE_MEMORY + one;
        }
        today.priced = today.priced * PRICE_MEMORY + told;
        today.level = level;
    }
}

impl PriceLessons {
    /// Returns how far the history's mean price moved into a round, in lattice steps.
    fn mean_move(&self, round: usize) -> f64 {
        match self.mean.get(round.saturating_sub(1)..=round) {
            Some(&[before, after]) => after - before,
            _ => 0.0,
        }
    }

    /// Returns how far prices will move into a round, from a deviation from the history's mean, and
    /// how far the history's moved.
    fn drift(&self, round: usize, deviation: f64) -> (f64, f64) {
        let profile = self.mean_move(round);
        (DRIFT_OF_PROFILE * profile - DRIFT_BACK * deviation, profile)
    }
}
