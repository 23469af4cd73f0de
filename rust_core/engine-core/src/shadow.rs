//! One price of money for a campaign: the multiplier under which what is left of the flight spends
//! what is left of the budget, or keeps to the goal, whichever asks for less.
//!
//! On every platform the last click bought then brings as much for its price as on any other: no
//! micro could be moved to bring more. That is the whole allocation; what each platform will spend
//! under the price follows from its response.

use crate::definition::Definition;
use crate::real::{exp, ln};
use crate::response::Curve;
use crate::verdict::Binding;

/// Halvings of the interval that the price is looked for in: it is then known to 1e-5.
const HALVINGS: u32 = 20;
/// From where the last price was, so many secants at most find where it is: the first as far away as this,
/// the last no farther than the other.
const SECANTS: u32 = 6;
const FIRST_STEP: f64 = 0.05;
const NEAR: f64 = 1e-6;
/// Prices that a soft goal looks at.
const LOOKS: u32 = 16;
/// A campaign that is over its goal already bids on at this part of what a click is worth: what it
/// knows of what it won is an estimate, and whoever buys nothing never learns better.
const LEAST_FOR_GOAL: f64 = 0.25;

/// A platform, as the price sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lane {
    pub(crate) curve: Curve,
    /// Logarithm of the bid at a multiplier of 1, and that bid.
    pub(crate) unit: f64,
    pub(crate) unit_bid: f64,
    /// Logarithms of the least and the most that may be bid.
    pub(crate) bounds: (f64, f64),
    /// What a click is expected to bring: conversions, impressions, or itself.
    pub(crate) brings: f64,
    /// Whether it may buy.
    pub(crate) is_open: bool,
}

/// What is left, and what the goal asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Terms {
    /// Micros, and the rounds of usual traffic that they are for.
    pub(crate) left: f64,
    pub(crate) rounds: f64,
    /// The same of the day; infinite micros where it has no cap.
    pub(crate) day_left: f64,
    pub(crate) day_rounds: f64,
    /// What was spent and won so far.
    pub(crate) spent: f64,
    pub(crate) won: f64,
    /// By how much more may have been won: a part of it.
    pub(crate) doubt: f64,
    /// What one conversion may cost on average; infinite: no matter.
    pub(crate) allowed: f64,
    /// Whether that may be passed where it pays: the score falls with the cube.
    pub(crate) is_soft: bool,
    /// Logarithms of the least and the highest multiplier.
    pub(crate) range: (f64, f64),
}

/// The price, and what held it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Solved {
    pub(crate) multiplier: f64,
    /// `None`: nothing held it but the highest multiplier.
    pub(crate) held_by: Option<Holds>,
}

/// What holds a price down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Budget,
    DailyCap,
    Goal,
}

impl Holds {
    /// Returns the number that a snapshot has for it, from 1.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Budget => 1,
            Self::DailyCap => 2,
            Self::Goal => 3,
        }
    }

    /// Returns what a snapshot's number means.
    pub(crate) fn of(code: u8) -> Option<Self> {
        [Self::Budget, Self::DailyCap, Self::Goal]
            .into_iter()
            .find(|holds| holds.code() == code)
    }

    pub(crate) fn binding(self, definition: &Definition) -> Binding {
        match self {
            Self::Budget => Binding::Pacing,
            Self::DailyCap => Binding::DailyCap,
            Self::Goal if definition.target_cpa_micros > 0 => Binding::TargetCpa,
            Self::Goal if definition.target_roas > 0.0 => Binding::TargetRoas,
            Self::Goal => Binding::PoorRoi,
        }
    }
}

impl Lane {
    /// Returns what a round of usual traffic brings and costs under a multiplier, by its logarithm.
    pub(crate) fn at(&self, multiplier: f64) -> (f64, f64) {
        if !self.is_open {
            return (0.0, 0.0);
        }
        let (clicks, spend) = self.curve.at(self.bid(multiplier));
        (clicks * self.brings, spend)
    }

    /// Returns what that costs, the same to the bit.
    pub(crate) fn spends(&self, multiplier: f64) -> f64 {
        if !self.is_open {
            return 0.0;
        }
        self.curve.spend_at(self.bid(multiplier))
    }

    /// Returns the logarithm of the bid.
    fn bid(&self, multiplier: f64) -> f64 {
        (self.unit + multiplier).clamp(self.bounds.0, self.bounds.1)
    }
}

pub(crate) fn totals(lanes: &[Lane], multiplier: f64) -> (f64, f64) {
    lanes.iter().fold((0.0, 0.0), |(won, spend), lane| {
        let (more, cost) = lane.at(multiplier);
        (won + more, spend + cost)
    })
}

fn spend(lanes: &[Lane], multiplier: f64) -> f64 {
    let lanes = lanes.iter().map(|lane| lane.spends(multiplier));
    lanes.fold(0.0, |sum, spend| sum + spend)
}

/// What a price comes to, and the most that it may.
type Claim = (f64, f64);

fn holds((found, most): Claim) -> bool {
    found <= most
}

/// Returns the highest multiplier in a range, as a logarithm, under which a claim holds that holds for
/// every lower one; `None` where it holds in all of it. It is the same to the bit whatever the guess.
pub(crate) fn highest(
    (low, high): (f64, f64),
    guess: Option<f64>,
    claim: impl Fn(f64) -> Claim,
) -> Option<f64> {
    if holds(claim(high)) {
        return None;
    }
    if let Some(near) = guess.and_then(|guess| near(guess.clamp(low, high), &claim)) {
        // Halving would have come to the same ends if the claim holds at one of them and not at the other.
        let (below, above) = halved((low, high), |middle| middle <= near);
        let is_below = below <= low || holds(claim(below));
        if is_below && (above >= high || !holds(claim(above))) {
            return Some(below);
        }
    }
    Some(halved((low, high), |middle| holds(claim(middle))).0)
}

/// Returns the last interval of those that the range is halved into, given whether to go on above a middle.
fn halved(mut range: (f64, f64), is_above: impl Fn(f64) -> bool) -> (f64, f64) {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(range.0, range.1);
        if is_above(middle) {
            range.0 = middle;
        } else {
            range.1 = middle;
        }
    }
    range
}

/// Returns about where a claim begins to fail, found by secants from a guess; `None` where they lead nowhere.
fn near(guess: f64, claim: &impl Fn(f64) -> Claim) -> Option<f64> {
    // Close to a line in the price, and between -1 and 1 far from it.
    let excess = |price: f64| {
        let (found, most) = claim(price);
        (found - most) / (found + most)
    };
    let (mut before, mut at) = ((guess, excess(guess)), guess);
    at -= FIRST_STEP.min(before.1.abs()).copysign(before.1);
    for _ in 0..SECANTS {
        let here = excess(at);
        let step = here * (at - before.0) / (here - before.1);
        before = (at, here);
        at -= step.clamp(-1.0, 1.0);
        if step.abs() < NEAR {
            break;
        }
    }
    at.is_finite().then_some(at)
}

/// Returns the price. `before`: the one solved for last.
pub(crate) fn solve(lanes: &[Lane], terms: &Terms, before: Option<Solved>) -> Solved {
    let guess = before.map(|before| ln(before.multiplier));
    let mut found = Solved {
        multiplier: terms.range.1,
        held_by: None,
    };
    let mut lower = |price: Option<f64>, holds: Holds| {
        if let Some(price) = price.filter(|&price| price < found.multiplier) {
            found = Solved {
                multiplier: price,
                held_by: Some(holds),
            };
        }
    };
    let spends_within = |left: f64, rounds: f64| {
        highest(terms.range, guess, |price| {
            (spend(lanes, price) * rounds, left)
        })
    };
    lower(spends_within(terms.left, terms.rounds), Holds::Budget);
    if terms.day_left.is_finite() {
        lower(
            spends_within(terms.day_left, terms.day_rounds),
            Holds::DailyCap,
        );
    }
    if terms.allowed.is_finite() {
        let keeps = |price| {
            let (won, spend) = totals(lanes, price);
            let won = terms.won * (1.0 + terms.doubt) + won * terms.rounds;
            (terms.spent + spend * terms.rounds, terms.allowed * won)
        };
        let (low, high) = terms.range;
        let least = ln(LEAST_FOR_GOAL).clamp(low, high);
        let price = highest((least, high), guess, keeps);
        let price = if terms.is_soft {
            price.map(|price| softened(lanes, terms, price, found.multiplier))
        } else {
            price
        };
        if let Some(price) = price.filter(|&price| price < found.multiplier) {
            found = Solved {
                multiplier: price,
                held_by: Some(Holds::Goal),
            };
        }
    }
    Solved {
        multiplier: exp(found.multiplier),
        ..found
    }
}

/// Returns the price between the one that keeps to the goal and the one that money allows which has
/// the most of what is won · min(1, allowed · won / spend)³.
fn softened(lanes: &[Lane], terms: &Terms, kept: f64, most: f64) -> f64 {
    let mut best = (kept, f64::MIN);
    for look in 0..=LOOKS {
        let price = kept + (most - kept).max(0.0) * f64::from(look) / f64::from(LOOKS);
        let (won, spend) = totals(lanes, price);
        let won = terms.won + won * terms.rounds;
        let spend = (terms.spent + spend * terms.rounds).max(1.0);
        let kept = (terms.allowed * won / spend).min(1.0);
        let score = won * kept * kept * kept;
        if score > best.1 {
            best = (price, score);
        }
    }
    best.0
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::response::Response;
    use proptest::prelude::*;

    pub(crate) fn lane(usual_bid: f64, brings: f64) -> Lane {
        Lane {
            curve: Response::default().curve(usual_bid, 20.0),
            unit: ln(brings * 20_000_000.0),
            unit_bid: brings * 20_000_000.0,
            bounds: (0.0, 30.0),
            brings,
            is_open: true,
        }
    }

    pub(crate) fn terms(left: f64) -> Terms {
        Terms {
            left,
            rounds: 100.0,
            day_left: f64::INFINITY,
            day_rounds: 1.0,
            spent: 0.0,
            won: 0.0,
            doubt: 0.0,
            allowed: 20_000_000.0,
            is_soft: false,
            range: (ln(0.01), ln(1.5)),
        }
    }

    #[test]
    fn the_rest_of_the_flight_spends_the_rest_of_the_budget() {
        let lanes = [lane(13.0, 0.03), lane(14.0, 0.02)];
        for left in [1e7, 1e8, 3e8] {
            let solved = solve(&lanes, &terms(left), None);
            assert_eq!(solved.held_by, Some(Holds::Budget));
            let spend = totals(&lanes, ln(solved.multiplier)).1 * 100.0;
            assert!((spend / left - 1.0).abs() < 1e-3, "{spend} of {left}");
        }
        assert_eq!(solve(&lanes, &terms(1e15), None).held_by, None);
    }

    #[test]
    fn no_split_of_the_same_money_brings_more() {
        let lanes = [lane(13.0, 0.03), lane(13.3, 0.03), lane(12.5, 0.02)];
        let price = ln(solve(&lanes, &terms(2e8), None).multiplier);
        let (won, spend) = totals(&lanes, price);
        for (up, down) in [(0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)] {
            for move_by in [0.02, 0.1] {
                // One platform bids more, another less, until the spend is what it was.
                let others: f64 = (0..3)
                    .filter(|&k| k != up && k != down)
                    .map(|k| lanes[k].at(price).1)
                    .sum();
                let risen = lanes[up].at(price + move_by);
                let fallen = highest((price - 3.0, price + 3.0), None, |less| {
                    (others + risen.1 + lanes[down].at(less).1, spend)
                });
                let fallen = lanes[down].at(fallen.unwrap());
                let rest: f64 = (0..3)
                    .filter(|&k| k != up && k != down)
                    .map(|k| lanes[k].at(price).0)
                    .sum();
                let moved = risen.0 + fallen.0 + rest;
                assert!(moved <= won * 1.0005, "{up} {down}: {moved} for {won}");
            }
        }
    }

    #[test]
    fn a_goal_that_costs_too_much_is_kept_and_a_soft_one_is_passed_a_little() {
        let lanes = [lane(13.0, 0.03), lane(14.0, 0.02)];
        let mut terms = terms(1e15);
        terms.allowed = 12_000_000.0;
        let hard = solve(&lanes, &terms, None);
        assert_eq!(hard.held_by, Some(Holds::Goal));
        let (won, spend) = totals(&lanes, ln(hard.multiplier));
        assert!((spend / won / 12_000_000.0 - 1.0).abs() < 1e-3);
        terms.is_soft = true;
        let soft = solve(&lanes, &terms, None);
        assert!(soft.multiplier >= hard.multiplier && soft.multiplier < 1.3 * hard.multiplier);
    }

    proptest! {
        #[test]
        fn a_price_keeps_within_what_is_left_and_to_the_goal(
            platforms in prop::collection::vec((8.0..18.0_f64, 0.001..0.3_f64, any::<bool>()), 1..6),
            (left, day_left) in (0.0..1e10_f64, 0.0..1e10_f64),
            (rounds, day_rounds) in (0.1..1e6_f64, 0.1..1e6_f64),
            (spent, won, doubt) in (0.0..1e10_f64, 0.0..1e4_f64, 0.0..1.0_f64),
            (allowed, is_soft) in (1e5..1e9_f64, any::<bool>()),
        ) {
            let lanes: Vec<Lane> = platforms
                .iter()
                .map(|&(bid, brings, is_open)| Lane { is_open, ..lane(bid, brings) })
                .collect();
            let terms = Terms {
                left, rounds, day_left, day_rounds, spent, won, doubt, allowed, is_soft,
                ..terms(left)
            };
            let solved = solve(&lanes, &terms, None);
            for guess in [0.01, 0.3, solved.multiplier, 1.1 * solved.multiplier] {
                let guess = Solved { multiplier: guess, held_by: None };
                prop_assert_eq!(solve(&lanes, &terms, Some(guess)), solved);
            }
            let price = ln(solved.multiplier);
            let (low, high) = terms.range;
            prop_assert!(low - 1e-9 <= price && price <= high + 1e-9);
            let is_least = price < low + 1e-6;
            let (more, spend) = totals(&lanes, price);
            prop_assert!(is_least || spend * rounds <= left * 1.0001 + 1e-6, "{solved:?}");
            prop_assert!(is_least || spend * day_rounds <= day_left * 1.0001 + 1e-6, "{solved:?}");
            let is_kept = spent + spend * rounds
                <= allowed * (won * (1.0 + doubt) + more * rounds) * 1.0001 + 1e-6;
            let is_learning = price <= ln(LEAST_FOR_GOAL) + 1e-6;
            prop_assert!(is_soft || is_kept || is_learning, "{solved:?}");
        }

        #[test]
        fn more_to_spend_never_lowers_the_price(left in 0.0..1e10_f64, more in 0.0..1e10_f64) {
            let lanes = [lane(13.0, 0.03), lane(14.0, 0.02)];
            let (less, more) = (solve(&lanes, &terms(left), None), solve(&lanes, &terms(left + more), None));
            prop_assert!(more.multiplier >= less.multiplier);
        }
    }
}
