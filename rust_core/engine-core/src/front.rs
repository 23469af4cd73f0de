//! The front of a campaign: what its landscapes allow for how much, where it stands, and its waste.

use crate::book::Book;
use crate::error::CoreError;
use crate::plan::{Now, Plan};
use crate::price::View;
use crate::real::{exp, ln};
use crate::shadow::{Lane, Terms, highest, totals};
use crate::traffic::Clock;
use crate::verdict::Desk;

/// Points of a front.
const POINTS: u32 = 33;

/// A point of a front: what the whole flight would have cost and brought by its end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// What bids go as.
    pub multiplier: f64,
    /// Spend of the whole flight, in micros.
    pub spend_micros: f64,
    /// What it brings: conversions; impressions where the goal is reach; clicks where they have no
    /// worth.
    pub brings: f64,
}

/// What a campaign's landscapes allow over the rest of its flight, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Front {
    /// Ascending by multiplier: the cheapest way to each result, whatever the budget.
    pub points: Vec<Point>,
    /// Where it is going under its present multiplier, within its budget.
    pub stands: Point,
    /// Of what was spent, what lies above the cheapest that would have brought the same; 0 to 1.
    pub waste: f64,
    /// How far the landscapes are known, 0 to 1.
    pub confidence: f64,
}

impl Book {
    /// Returns a campaign's front at a time, by what its platforms have answered so far.
    ///
    /// # Errors
    /// `CoreError::UnknownKey`.
    pub fn pareto(&self, campaign: u64, at_ms: i64) -> Result<Front, CoreError> {
        let index = self.index(campaign)?;
        let found = self.campaigns.get(index).ok_or(CoreError::UnknownKey {
            what: "campaign",
            found: campaign,
        })?;
        let now = Now {
            at_ms,
            tick: self.tick(at_ms),
            rounds: 1.0,
            interval_ms: f64::from(self.interval_ms),
        };
        let mut desk = Desk::default();
        let sums = self.look_over(found, &now, &mut desk);
        let (_, day_ends) = self.day(found.definition.calendar, at_ms);
        let (settled, today) = (sums.settled, sums.today);
        let plan = Plan::new(&found.definition, &now, settled, today, day_ends);
        let common = found.common(&self.series, &mut desk);
        let times = found.times(&common, at_ms, day_ends);
        let clock = Clock::new(&found.traffic, &times);
        let money = sums.money(&plan, clock.rounds(&times, now.interval_ms), clock.traffic);
        let view = View::new(found, &common, desk.bases.iter(), &money, desk.lanes);
        Ok(front(&view, found.pacing.multiplier))
    }
}

fn front(view: &View, multiplier: f64) -> Front {
    let (lanes, terms) = (&view.lanes, &view.terms);
    let (low, high) = terms.range;
    let step = (high - low) / f64::from(POINTS - 1);
    let points = (0..POINTS).map(|index| {
        let price = low + step * f64::from(index);
        point(lanes, terms, price, f64::INFINITY)
    });
    Front {
        points: points.collect(),
        stands: point(lanes, terms, ln(multiplier).clamp(low, high), terms.left),
        waste: waste(lanes, terms, view.passed),
        confidence: view.trust,
    }
}

/// Returns what a price comes to by the end, with so much to spend from now on.
fn point(lanes: &[Lane], terms: &Terms, price: f64, left: f64) -> Point {
    let (won, spend) = totals(lanes, price);
    let (won, spend) = (won * terms.rounds, spend * terms.rounds);
    let part = if spend > left { left / spend } else { 1.0 };
    Point {
        multiplier: exp(price),
        spend_micros: terms.spent + spend * part,
        brings: terms.won + won * part,
    }
}

/// Returns the part of what was spent that one price throughout, for as much, would have saved.
fn waste(lanes: &[Lane], terms: &Terms, passed: f64) -> f64 {
    if terms.spent <= 0.0 || passed <= 0.0 {
        return 0.0;
    }
    let (most, _) = totals(lanes, terms.range.1);
    if most * passed < terms.won {
        return 0.0; // nothing that is believed would have brought as much
    }
    let cheapest = highest(terms.range, None, |price| {
        (totals(lanes, price).0 * passed, terms.won)
    });
    let cheapest = totals(lanes, cheapest.unwrap_or(terms.range.1)).1 * passed;
    (1.0 - cheapest / terms.spent).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shadow::tests::{lane, terms};

    #[test]
    fn a_front_rises_and_what_was_bought_dearly_is_waste() {
        let lanes = vec![lane(13.0, 0.03), lane(14.0, 0.02)];
        let (won, spend) = totals(&lanes, ln(0.5));
        let view = View {
            terms: Terms {
                spent: spend * 50.0 * 1.25,
                won: won * 50.0,
                ..terms(1e12)
            },
            lanes,
            trust: 0.5,
            passed: 50.0,
            traffic: 1.0,
        };
        let front = front(&view, 0.5);
        for (one, next) in front.points.iter().zip(front.points.iter().skip(1)) {
            assert!(next.spend_micros >= one.spend_micros && next.brings >= one.brings);
        }
        assert!((front.waste - 0.2).abs() < 1e-3, "{}", front.waste);
        let to_come = front.stands.spend_micros - view.terms.spent;
        assert!((to_come - spend * 100.0).abs() < 1.0);
        assert!((front.stands.brings - won * 150.0).abs() < 1e-6 * won);
    }

    #[test]
    fn what_landscapes_cannot_bring_is_not_called_waste() {
        let lanes = [lane(13.0, 0.03)];
        let most = totals(&lanes, terms(1e12).range.1).0;
        let dear = Terms {
            spent: 1e9,
            won: most * 50.0 * 1.01,
            ..terms(1e12)
        };
        assert!(waste(&lanes, &dear, 50.0) < 1e-12);
        assert!(waste(&[], &dear, 50.0) < 1e-12);
    }

    #[test]
    fn a_campaign_stands_within_its_budget_whatever_its_multiplier() {
        let lanes = [lane(13.0, 0.03)];
        let terms = terms(1e6);
        let stands = point(&lanes, &terms, ln(1.5), terms.left);
        assert!((stands.spend_micros - 1e6).abs() < 1.0, "{stands:?}");
        assert!(stands.brings < point(&lanes, &terms, ln(1.5), f64::INFINITY).brings);
    }
}
