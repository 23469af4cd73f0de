//! When: what a campaign should spend by now, what it may have reserved, and when it must not bid.

use crate::bid::most_multiplier;
use crate::bytes::learned_amount;
use crate::campaign::Campaign;
use crate::definition::{Definition, Strategy};
use crate::money::Micros;
use crate::pacing::Evidence;
use crate::verdict::{Binding, Outlook, Purse};

/// Bids, and nothing was heard for so many rounds (or four times as long as reports usually take):
/// forecasts are stale.
const STALE_ROUNDS: f64 = 15.0;
/// No report for so many rounds, or times as long as usual, is a report of no spend.
const SILENT_ROUNDS: f64 = 3.0;
/// Allotments reach this many rounds beyond the next report: it is on its way while more is spent.
const ROUNDS_AHEAD: f64 = 2.0;
/// But in a short flight no further than this part of it: all of it might be spent at once.
const PART_AHEAD: f64 = 0.1;

/// The time of a round, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at_ms: i64,
    pub(crate) tick: u32,
    /// Rounds since the one before.
    pub(crate) rounds: f64,
    pub(crate) interval_ms: f64,
}

impl Now {
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn rounds_since(&self, at_ms: i64) -> f64 {
        (self.at_ms - at_ms).max(0) as f64 / self.interval_ms
    }
}

/// What a campaign should spend, in micros, from now on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// In one round: what is left, spread over the rounds that are left.
    pub(crate) a_round: f64,
    /// 1 % of the budget's share of a round.
    floor: f64,
    /// By now, had the flight's plan been kept from its beginning.
    due: f64,
    /// A round's share of the whole budget.
    share: f64,
    left: f64,
    flight_rounds: f64,
}

#[allow(clippy::cast_precision_loss)] // money and times are at most 2^53 here
impl Plan {
    pub(crate) fn new(
        definition: &Definition,
        now: &Now,
        settled: Micros,
        today: Micros,
        day_ends: i64,
    ) -> Self {
        let budget = definition.budget_micros as f64;
        let left = Micros(definition.budget_micros).left_after(settled).0 as f64;
        let flight_ms = (definition.ends_at_ms - definition.starts_at_ms).max(1) as f64;
        let passed_ms = (now.at_ms - definition.starts_at_ms) as f64;
        let left_ms = ((definition.ends_at_ms - now.at_ms) as f64).max(now.interval_ms);
        let mut a_round = left * now.interval_ms / left_ms;
        if definition.daily_cap_micros > 0 {
            let today_left = Micros(definition.daily_cap_micros).left_after(today).0 as f64;
            let day_ms = ((day_ends - now.at_ms) as f64).max(now.interval_ms);
            a_round = a_round.min(today_left * now.interval_ms / day_ms);
        }
        let share = budget * (now.interval_ms / flight_ms).min(1.0);
        Self {
            a_round,
            floor: 0.01 * share,
            due: budget * (passed_ms / flight_ms).clamp(0.0, 1.0),
            share,
            left,
            flight_rounds: flight_ms / now.interval_ms,
        }
    }

    pub(crate) fn purse(
        &self,
        definition: &Definition,
        now: &Now,
        (settled, reserved): (Micros, Micros),
        today: Micros,
        every_rounds: f64,
    ) -> Purse {
        let room =
            Micros(definition.budget_micros).saturating_sub(settled.saturating_add(reserved));
        let day_room = if definition.daily_cap_micros == 0 {
            Micros::MAX
        } else {
            Micros(definition.daily_cap_micros).saturating_sub(today.saturating_add(reserved))
        };
        let least_room = room.min(day_room);
        let least = 1.0 + every_rounds;
        let ahead = (ROUNDS_AHEAD + every_rounds)
            .min((PART_AHEAD * self.flight_rounds).max(least))
            .max(now.rounds);
        let most = if definition.strategy == Strategy::EvenPacing {
            1.2
        } else {
            2.0
        };
        // Ahead of the plan nothing more is allotted than a probe; far behind, no more than `most`
        // times the pace that still spends the budget by the end.
        let due = self.due + ahead * self.share - settled.0 as f64;
        let pace = ahead * self.a_round;
        let wanted = due.min(most * pace).max(0.01 * pace).min(self.left);
        let is_due = due > 0.01 * pace;
        Purse {
            room: least_room.max(Micros::ZERO),
            excess: Micros::ZERO.left_after(least_room),
            is_day_bound: day_room < room,
            wanted,
            is_planned: is_due,
            is_due,
            trust: 0.0,
            ahead,
            most: f64::INFINITY,
            left: self.left,
            held_by: None,
        }
    }
}

impl Campaign {
    /// Follows how often reports come.
    pub(crate) fn follow_reports(&mut self, now: &Now, is_heard: bool, settled: Micros) {
        let rhythm = &mut self.rhythm;
        if !rhythm.is_bidding {
            rhythm.is_bidding = true;
            rhythm.heard_at_ms = now.at_ms;
            (rhythm.planned, rhythm.rounds, rhythm.settled) = (0.0, 0.0, settled);
        } else if is_heard {
            let gap = now.rounds_since(rhythm.heard_at_ms).clamp(1.0, 10_000.0);
            rhythm.every_rounds += 0.2 * (gap - rhythm.every_rounds);
            rhythm.heard_at_ms = now.at_ms;
        }
    }

    pub(crate) fn is_stale(&self, now: &Now) -> bool {
        let silent = now.rounds_since(self.rhythm.heard_at_ms);
        silent > STALE_ROUNDS.max(4.0 * self.rhythm.every_rounds)
    }

    /// Returns whether no report came for so long that it says that nothing was spent.
    pub(crate) fn is_silent(&self, now: &Now) -> bool {
        let rhythm = &self.rhythm;
        now.rounds_since(rhythm.heard_at_ms) >= SILENT_ROUNDS.max(2.0 * rhythm.every_rounds)
    }

    /// Moves the multiplier, where there are reports, or where none came for so long that it says
    /// that nothing was spent.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn pace(
        &mut self,
        plan: &Plan,
        now: &Now,
        is_heard: bool,
        (settled, reserved): (Micros, Micros),
        outlooks: &[Outlook],
        trust: f64,
    ) {
        let is_silent = self.is_silent(now);
        let rhythm = &mut self.rhythm;
        if (is_heard || is_silent) && rhythm.rounds > 0.0 {
            let spent = settled.saturating_sub(rhythm.settled);
            let is_cap_used = spent > Micros::ZERO
                && rhythm.reserved > Micros::ZERO
                && reserved.0 as f64 <= 0.15 * rhythm.reserved.0 as f64;
            self.pacing.step(&Evidence {
                planned_micros: rhythm.planned,
                spent_micros: spent.0 as f64,
                floor_micros: plan.floor * rhythm.rounds,
                rounds: rhythm.rounds,
                click_micros: click_micros(&self.definition, outlooks),
                is_cap_used,
                can_rise: rhythm.can_rise,
                can_fall: rhythm.can_fall,
                most: most_multiplier(&self.definition),
                trust,
            });
            (rhythm.planned, rhythm.rounds, rhythm.settled) = (0.0, 0.0, settled);
        }
        rhythm.planned = learned_amount(rhythm.planned + plan.a_round * now.rounds);
        rhythm.rounds = learned_amount(rhythm.rounds + now.rounds);
    }
}

/// Returns why a campaign must not bid, if so: by its life, its flight, its goal and its money.
pub(crate) fn reason_to_hold(
    definition: &Definition,
    at_ms: i64,
    outlooks: &[Outlook],
    settled: Micros,
    today: Micros,
) -> Option<Binding> {
    let shown = || {
        let shown = outlooks.iter().map(|outlook| outlook.all_impressions);
        shown.fold(0, u64::saturating_add)
    };
    let bounds = definition
        .series
        .iter()
        .map(|series| definition.bid_bounds(series).0);
    let cheapest = Micros(bounds.min().unwrap_or(1)); // with less than that nothing can be bought
    let day_cap = if definition.daily_cap_micros == 0 {
        i64::MAX
    } else {
        definition.daily_cap_micros
    };
    let target_reach = u64::try_from(definition.target_reach).unwrap_or(0);
    if !definition.is_active {
        Some(Binding::NotActive)
    } else if at_ms < definition.starts_at_ms {
        Some(Binding::NotStarted)
    } else if at_ms >= definition.ends_at_ms {
        Some(Binding::FlightOver)
    } else if target_reach > 0 && shown() >= target_reach {
        Some(Binding::TargetReach)
    } else if Micros(definition.budget_micros).left_after(settled) < cheapest {
        Some(Binding::Budget)
    } else if Micros(day_cap).left_after(today) < cheapest {
        Some(Binding::DailyCap)
    } else {
        None
    }
}

/// Returns what a click costs, about: as it did so far, else as is bid.
#[allow(clippy::cast_precision_loss)]
fn click_micros(definition: &Definition, outlooks: &[Outlook]) -> f64 {
    let clicks: u64 = outlooks
        .iter()
        .fold(0, |sum, outlook| sum.saturating_add(outlook.all_clicks));
    if clicks > 0 {
        let settled: f64 = outlooks
            .iter()
            .map(|outlook| outlook.settled.0 as f64)
            .sum();
        return settled / clicks as f64;
    }
    let bids = outlooks
        .iter()
        .map(|outlook| outlook.last_bid)
        .max()
        .unwrap_or(0);
    bids.max(definition.min_bid_micros) as f64
}
