//! The planner of a flight: one shadow price per campaign, solved again every round.
//!
//! When, where and how much all fall out of one number, m: what the last conversion may cost. A bid
//! is the largest whose marginal cost per conversion is at most m, on every platform; planned spend
//! per platform, `C_k(m)`, is the allocation (equal marginal return); and m is what the landscapes of
//! this round, against scenarios of the rest of the day, leave of budget and target.
//!
//! | part | question |
//! |---|---|
//! | [`lattice`] | where is an amount of money, in logarithms? |
//! | [`landscape`] | what do bids bring and cost, and which bid does a worth deserve? |
//! | [`history`], [`lessons`] | what is kept of past days, and what do they teach? |
//! | [`futures`] | what may the rest of the day bring? |
//! | [`platform`], [`traffic`] | what has a platform shown of today, and what is to come? |
//! | [`solve`] | which shadow price ends the day best? |
//! | [`cold`] | which one before anything is known? |
//!
//! Nothing but the four operations, square roots and [`crate::real`]: the same calls give the same
//! plans, to the bit, on every machine.

mod checks;
mod cold;
mod futures;
mod history;
mod landscape;
mod lattice;
mod lessons;
mod plan;
mod platform;
mod saved;
mod solve;
mod steps;
mod terms;
mod traffic;

pub use history::{History, MOST_CAMPAIGNS, MOST_DAYS, MOST_ROUNDS, PastCampaign};
pub use lattice::{Curve, POINTS, SHADOWS};
pub use plan::{BOUNDS, Bound, Plan};
pub use platform::{Opportunities, Outcomes};
pub use solve::Goal;
pub use terms::{PacingBand, Place, Terms};

use crate::error::CoreError;
use crate::money::Micros;
use cold::ColdPrices;
use futures::Futures;
use landscape::Curves;
use lattice::SHADOW_PRICES;
use lessons::Lessons;
use platform::{Platform, Prospect};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Platforms of a campaign at most.
pub const MOST_PLATFORMS: usize = 64;

/// One campaign's day on all its platforms.
///
/// ```
/// use engine_core::money::Micros;
/// use engine_core::planner::{Goal, Opportunities, Place, Planner, Terms};
///
/// let terms = Terms {
///     goal: Goal::Hard,
///     first_price: false,
///     pacing: None,
///     budget: Micros(100_000_000),
///     target: Micros(20_000_000),
///     unit: Micros(1_000_000),
/// };
/// let place = Place { identity: 1, opportunities: 10_000.0 };
/// let mut planner = Planner::new(None, 48, &terms, &[place])?;
/// let worths = [0.001, 0.02];
/// let now = Opportunities { worths: &worths, sigmas: None, counts: None };
/// let plan = planner.decide(0, &[now])?;
/// assert_eq!(plan.shadow_price, 16.0); // nothing is known yet: .8 of the target
/// assert!(plan.bids[0].iter().zip(worths).all(|(bid, worth)| (bid - 16.0 * worth).abs() < 1e-12));
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Planner {
    lessons: Arc<Lessons>,
    terms: Terms,
    places: Vec<Place>,
    platforms: Vec<Platform>,
    cold: ColdPrices,
    /// Spend and value when the cold prices moved last, units of money.
    cold_seen: (f64, f64),
    last_round: Option<usize>,
}

impl Planner {
    /// Returns the planner of a day of so many rounds, which must be the history's.
    ///
    /// # Errors
    /// `CoreError` for the first number that is out of range.
    pub fn new(
        history: Option<&History>,
        rounds: usize,
        terms: &Terms,
        places: &[Place],
    ) -> Result<Self, CoreError> {
        checks::count("rounds", "1 to 1440", rounds, 1..=MOST_ROUNDS)?;
        checks::count("platforms", "1 to 64", places.len(), 1..=MOST_PLATFORMS)?;
        terms.check()?;
        for place in places {
            checks::number(
                "opportunities",
                "0 to 1e15",
                place.opportunities,
                0.0..=1e15,
            )?;
        }
        if let Some(history) = history {
            let wanted = history.rounds();
            checks::count("rounds", "the history's", rounds, wanted..=wanted)?;
        }
        let none = || Arc::new(Lessons::none(rounds));
        let lessons = history.map_or_else(none, |history| history.lessons.clone());
        let mut known: BTreeMap<u64, Arc<Futures>> = BTreeMap::new();
        let platforms = places.iter().enumerate().map(|(index, place)| {
            let futures = known.entry(place.identity).or_insert_with(|| {
                Arc::new(history.map_or_else(Futures::none, |history| {
                    Futures::of(history, place.identity, terms.target(), terms.first_price)
                }))
            });
            Platform::new(place.opportunities, &lessons, futures.clone(), index)
        });
        Ok(Self {
            platforms: platforms.collect(),
            lessons: lessons.clone(),
            terms: *terms,
            places: places.to_vec(),
            cold: ColdPrices::START,
            cold_seen: (0.0, 0.0),
            last_round: None,
        })
    }

    /// Decides a round, later than the one before: all platforms at once, under one shadow price.
    ///
    /// # Errors
    /// `CoreError` for the first number that is out of range; the planner is then as it was.
    pub fn decide(&mut self, round: usize, found: &[Opportunities<'_>]) -> Result<Plan, CoreError> {
        let rounds = self.lessons.profile.len();
        checks::count(
            "round",
            "one of the day, not yet decided",
            round,
            self.next()..=rounds - 1,
        )?;
        checks::length("platforms", self.platforms.len(), found.len())?;
        found.iter().try_for_each(Opportunities::check)?;
        self.last_round = Some(round);
        let target = self.terms.target();
        let lessons = &*self.lessons;
        let first_price = self.terms.first_price;
        let platforms = self.platforms.iter_mut().zip(found);
        let prospects: Vec<Prospect> = platforms
            .map(|(platform, found)| platform.prospect(round, found, target, first_price, lessons))
            .collect();
        let daypart = lessons.daypart(round);
        let spent: f64 = self.platforms.iter().map(|platform| platform.cost).sum();
        let mut plan = Plan {
            shadow_prices: SHADOW_PRICES.map(|shadow| shadow * target),
            ..Plan::nothing()
        };
        let days = self.expected_days(&prospects, daypart);
        let mut whole = Curves::default();
        for day in &days {
            whole.add(day, 1.0);
        }
        plan.conversions = whole.value.map(|value| value / target);
        plan.spend = whole.cost;
        let shadow = if spent >= self.terms.budget() {
            plan.bound = Bound::Spent;
            None
        } else if self.platforms.iter().any(Platform::has_landscape) {
            Some(self.solved(&prospects, daypart, &whole, spent, &mut plan))
        } else {
            self.cold_step(round, spent);
            Some(self.cold.shadow())
        };
        plan.shadow_price = shadow.unwrap_or(0.0) * target;
        self.allocate(&mut plan, found, &prospects, &days, shadow);
        Ok(plan)
    }

    /// Takes in what became of a round on a platform.
    ///
    /// # Errors
    /// `CoreError` for the first number that is out of range; the planner is then as it was.
    pub fn observe(
        &mut self,
        round: usize,
        platform: usize,
        outcomes: &Outcomes<'_>,
    ) -> Result<(), CoreError> {
        let rounds = self.lessons.profile.len();
        checks::count("round", "one of the day", round, 0..=rounds - 1)?;
        outcomes.check()?;
        let cost = self.terms.units(outcomes.cost);
        self.platform(platform)?.observe(outcomes, cost);
        Ok(())
    }

    /// Sets what a platform has brought so far today, where reports tell totals and restate them:
    /// opportunities, conversions (forecast, or seen) and spend.
    ///
    /// # Errors
    /// `CoreError` for the first number that is out of range; the planner is then as it was.
    pub fn restate(
        &mut self,
        platform: usize,
        opportunities: f64,
        conversions: f64,
        spend: Micros,
    ) -> Result<(), CoreError> {
        checks::number("opportunities", "0 to 1e15", opportunities, 0.0..=1e15)?;
        checks::number("conversions", "0 to 1e15", conversions, 0.0..=1e15)?;
        checks::spend("spend_micros", spend)?;
        let cost = self.terms.units(spend);
        let platform = self.platform(platform)?;
        platform.opportunities = opportunities;
        platform.conversions = conversions;
        platform.cost = cost;
        Ok(())
    }

    /// Sets what the day may spend, spend so far included.
    ///
    /// # Errors
    /// `CoreError` for money that is not above 0.
    pub fn set_budget(&mut self, budget: Micros) -> Result<(), CoreError> {
        checks::money("budget_micros", budget)?;
        self.terms.budget = budget;
        Ok(())
    }

    /// Returns what the flight was asked for.
    #[must_use]
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Returns how many platforms there are.
    #[must_use]
    pub fn platforms(&self) -> usize {
        self.platforms.len()
    }

    fn platform(&mut self, index: usize) -> Result<&mut Platform, CoreError> {
        let slots = self.platforms.len();
        let platform = self.platforms.get_mut(index);
        platform.ok_or(CoreError::UnknownSlot {
            slots,
            found: index,
        })
    }

    fn next(&self) -> usize {
        self.last_round.map_or(0, |round| round + 1)
    }
}
