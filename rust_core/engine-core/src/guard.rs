//! Guardrails: when a campaign must not bid at all, and what becomes of a bid that it wants.
//!
//! A bid passes them in this order, the later ones the stronger: the floor on confidence, the hold
//! time, the largest change in a round, the largest change in a day, the least and the most. The
//! bound that moved it last is the one that is named.

use crate::bid::bounds;
use crate::bytes::{Reader, Writer};
use crate::definition::Definition;
use crate::verdict::Binding;

/// What is kept of a platform's bids for its guardrails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trail {
    /// The round that last changed the bid.
    pub changed_at_ms: i64,
    /// The bid that the day began with, or the first in it; 0: none yet.
    pub day_bid: i64,
}

/// What the guardrails go by when a platform's bid is decided.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Facts {
    /// The bid in force; 0: none.
    pub last_bid: i64,
    /// The bid that the day began with; 0: none yet.
    pub day_bid: i64,
    /// Whether the bid in force is younger than the hold time.
    pub is_held: bool,
    /// Of the forecast, 0 to 1.
    pub confidence: f64,
    /// What the campaign would bid knowing nothing of the platform.
    pub fallback: f64,
}

impl Trail {
    /// Notes the bid that a round put in force.
    pub(crate) fn note(&mut self, before: i64, now: i64, at_ms: i64) {
        if now != before {
            self.changed_at_ms = at_ms;
        }
        if self.day_bid == 0 {
            self.day_bid = now;
        }
    }

    /// Begins a day with the bid in force.
    pub(crate) fn begin_day(&mut self, bid: i64) {
        self.day_bid = bid;
    }

    pub(crate) fn is_held(&self, definition: &Definition, at_ms: i64) -> bool {
        at_ms - self.changed_at_ms < i64::from(definition.hold_ms)
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.i64(self.changed_at_ms);
        out.i64(self.day_bid);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            changed_at_ms: reader.i64().filter(|&at| at >= 0)?,
            day_bid: reader.i64().filter(|&bid| bid >= 0)?,
        })
    }
}

/// Returns why a campaign must not bid now, whatever its money and its forecasts say.
/// `hour`: of the week, by the campaign's clocks.
#[must_use]
pub fn gate(definition: &Definition, is_halted: bool, hour: u8) -> Option<Binding> {
    if is_halted {
        Some(Binding::Halted)
    } else if definition.series.iter().all(|series| series.is_blocked) {
        Some(Binding::Blocked)
    } else if definition.blocked_hours.has(hour) {
        Some(Binding::DayPart)
    } else {
        None
    }
}

/// Returns whether a campaign may bid on one of its platforms.
#[must_use]
pub fn is_open(definition: &Definition, index: usize) -> bool {
    let series = definition.series.get(index);
    series.is_some_and(|series| !series.is_blocked)
}

/// Returns a bid that keeps every guardrail, and the one that held it. No bid (0) is none of its
/// concern: it is always allowed.
#[must_use]
#[allow(clippy::cast_possible_truncation)] // clamped to what an i64 holds
pub fn guarded_bid(
    definition: &Definition,
    index: usize,
    facts: &Facts,
    wanted: f64,
) -> (i64, Binding) {
    let (low, high) = bounds(definition, index);
    let mut bound_by = Binding::None;
    let mut bid = if wanted.is_finite() {
        whole(wanted)
    } else {
        low
    };
    let mut hold = |bid: &mut i64, to: i64, by: Binding| {
        if *bid != to {
            (*bid, bound_by) = (to, by);
        }
    };
    let last = facts.last_bid;
    if facts.confidence < definition.min_confidence {
        let most = if last > 0 {
            last
        } else {
            whole(facts.fallback)
        };
        let to = bid.min(most);
        hold(&mut bid, to, Binding::Confidence);
    }
    if last > 0 && bid != last {
        if facts.is_held {
            hold(&mut bid, last, Binding::HoldTime);
        }
        let to = within(bid, last, definition.max_change);
        hold(&mut bid, to, Binding::MaxChange);
    }
    if definition.max_daily_change > 0.0 && facts.day_bid > 0 {
        let to = within(bid, facts.day_bid, definition.max_daily_change);
        hold(&mut bid, to, Binding::DailyChange);
    }
    if bid < low {
        (low, Binding::MinBid)
    } else if bid > high {
        (high, Binding::MaxBid)
    } else {
        (bid, bound_by)
    }
}

/// Returns the whole number nearest to an amount, halves up, from 0 to 1e15.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn whole(amount: f64) -> i64 {
    let amount = amount.clamp(0.0, 1e15);
    let below = amount as i64;
    below + i64::from(amount - below as f64 >= 0.5)
}

/// Returns the bid nearest to `bid` that is at most `change` (a part of it) from `from`.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
fn within(bid: i64, from: i64, change: f64) -> i64 {
    let most = (from as f64 * change).clamp(1.0, 1e15) as i64;
    bid.clamp(from.saturating_sub(most), from.saturating_add(most))
}

#[cfg(test)]
mod tests {
    use super::whole;

    #[test]
    #[allow(clippy::cast_possible_truncation, reason = "in range")]
    fn a_bid_is_the_nearest_whole_amount_and_halves_go_up() {
        let just_less = 0.5 - f64::EPSILON / 4.0;
        let ends = [f64::NAN, -3.0, 0.0, just_less, 1e15 - 0.5, 1e15, 1e18];
        let steps = (0..4000).map(|step| f64::from(step) * 0.125);
        let large = (0..4000).map(|step| 4.0e12 + f64::from(step) * 0.125);
        for amount in ends.into_iter().chain(steps).chain(large) {
            let rounded = amount.clamp(0.0, 1e15).round() as i64;
            assert_eq!(whole(amount), rounded, "{amount}");
        }
    }
}
