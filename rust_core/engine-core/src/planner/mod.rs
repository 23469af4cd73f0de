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
//! | [`history`] | what do past days teach? |
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
mod platform;
mod saved;
mod solve;
mod traffic;

pub use history::{History, MOST_CAMPAIGNS, MOST_DAYS, MOST_ROUNDS, PastCampaign};
pub use lattice::{Curve, POINTS, SHADOWS};
pub use platform::{Opportunities, Outcomes};
pub use solve::Goal;

use crate::error::CoreError;
use crate::money::Micros;
use cold::ColdPrices;
use futures::Futures;
use history::{Lessons, number};
use landscape::Curves;
use lattice::{SHADOW_PRICES, read_at, shadow_place};
use platform::{Platform, Prospect};
use solve::{Scenarios, Share};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Platforms of a campaign at most.
pub const MOST_PLATFORMS: usize = 64;

/// The standard deviation of a platform's error of a day's worths, in units of its stated sigma.
const SIGMA_SCALE: f64 = 0.3;
/// Sigma over worth, where it is not stated.
const SIGMA_DEFAULT: f64 = 0.15;
/// A hard goal is planned for 1.05·(1 − z·sd) of the target: spent over it, nothing counts.
const TOLERANCE: f64 = 1.05;
const RISK: f64 = 1.4;
const LEAST_RISK: f64 = 0.005;
const PLAN: (f64, f64) = (0.90, 1.03);

/// The band that even pacing keeps a round's planned spend within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PacingBand {
    /// The least planned spend, relative to the round's share of traffic.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// How far the shadow price may be moved for it, as a factor.
    pub most: f64,
}

/// What a flight was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// What it is meant to reach.
    pub goal: Goal,
    /// Whether a win costs the bid itself.
    pub first_price: bool,
    /// Where spend should be even.
    pub pacing: Option<PacingBand>,
    /// What the day may spend.
    pub budget: Micros,
    /// The target CPA, or what a conversion is worth.
    pub target: Micros,
    /// Micros of one unit of money, in which prices and bids are told. The lattice covers 5.5e-4 to
    /// 4.3 units: prices to beat should lie within.
    pub unit: Micros,
}

/// A platform of a campaign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Who the campaign is, in the history of this platform.
    pub identity: u64,
    /// The opportunities that a day is expected to bring.
    pub opportunities: f64,
}

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

    /// Returns each platform's day as expected over all scenarios.
    fn expected_days(&self, prospects: &[Prospect], daypart: usize) -> Vec<Curves> {
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
    fn solved(
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
    fn cold_step(&mut self, round: usize, spent: f64) {
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
    fn allocate(
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

impl Plan {
    fn nothing() -> Self {
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

impl Terms {
    fn check(&self) -> Result<(), CoreError> {
        checks::money("budget_micros", self.budget)?;
        checks::money("target_micros", self.target)?;
        checks::money("unit_micros", self.unit)?;
        if let Some(band) = &self.pacing {
            checks::number("pacing low", "0 to 1", band.low, 0.0..=1.0)?;
            checks::number("pacing high", "1 to 100", band.high, 1.0..=100.0)?;
            checks::number("pacing most", "1 to 10", band.most, 1.0..=10.0)?;
        }
        Ok(())
    }

    /// Returns money in units.
    #[allow(clippy::cast_precision_loss)] // below 2^53, as checked
    pub(crate) fn units(&self, money: Micros) -> f64 {
        money.0 as f64 / self.unit.0 as f64
    }

    /// Returns units as money, rounded down.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // saturates
    fn micros(&self, units: f64) -> Micros {
        Micros((units * self.unit.0 as f64).floor() as i64)
    }

    pub(crate) fn budget(&self) -> f64 {
        self.units(self.budget)
    }

    pub(crate) fn target(&self) -> f64 {
        self.units(self.target)
    }
}
