//! A round: every campaign decided once, in ascending order of key, and the rows that say so.
//!
//! `python/engine/core/rows.py` holds the same layout (`DECISION_ROW`, `SERIES_DECISION_ROW`). The
//! cost is proportional to the campaigns: each series' forecast comes from its window's sums.

use crate::book::Book;
use crate::bytes::Writer;
use crate::campaign::{Campaign, Told};
use crate::decide::{self, Action, Binding, Outlook, Purse, Verdict};
use crate::definition::{Definition, MOST_MICROS, Strategy};
use crate::error::CoreError;
use crate::money::Micros;
use crate::pacing::Evidence;
use crate::window::since;

/// Bytes of a campaign's decision.
pub const DECISION_BYTES: usize = 48;
/// Bytes of a series' part of it.
pub const SERIES_DECISION_BYTES: usize = 56;

/// Bids, and nothing was heard for so many rounds (or four times as long as reports usually take):
/// forecasts are stale.
const STALE_ROUNDS: f64 = 15.0;
/// No report for so many rounds, or times as long as usual, is a report of no spend.
const SILENT_ROUNDS: f64 = 3.0;
/// A round after a pause plans for at most so many missed ones.
const MOST_ROUNDS: f64 = 30.0;
/// Allotments reach this many rounds beyond the next report: it is on its way while more is spent.
const ROUNDS_AHEAD: f64 = 2.0;
/// A sample this far ahead of its round is of a clock that is wrong: its window begins anew.
const FUTURE_MS: u32 = 600_000;
/// A change of a bid below this part of it is not worth reporting.
const RESOLUTION: f64 = 0.001;

/// The decisions of one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Rows of `DECISION_BYTES`.
    pub decisions: Vec<u8>,
    /// Rows of `SERIES_DECISION_BYTES`.
    pub series: Vec<u8>,
    /// Over all campaigns.
    pub settled: Micros,
    /// Over all campaigns.
    pub reserved: Micros,
}

/// The time of a round, and what follows from it.
#[derive(Debug, Clone, Copy)]
struct Now {
    at_ms: i64,
    tick: u32,
    /// Rounds since the one before.
    rounds: f64,
    interval_ms: f64,
}

impl Book {
    /// Decides the round due at a time.
    ///
    /// # Errors
    /// `CoreError::RoundNotLater` unless it is later than the round before, and
    /// `CoreError::OutOfRange` unless it is 0 to 2^53.
    #[allow(clippy::cast_precision_loss)]
    pub fn decide(&mut self, at_ms: i64) -> Result<Round, CoreError> {
        if !(0..=MOST_MICROS).contains(&at_ms) {
            let (what, wanted, found) = ("at_ms", "0 to 2^53", i128::from(at_ms));
            return Err(CoreError::OutOfRange {
                what,
                wanted,
                found,
            });
        }
        if let Some(before) = self.decided_at_ms.filter(|&before| at_ms <= before) {
            return Err(CoreError::RoundNotLater {
                before,
                found: at_ms,
            });
        }
        let interval_ms = f64::from(self.interval_ms);
        let passed_ms = self
            .decided_at_ms
            .map_or(interval_ms, |before| (at_ms - before) as f64);
        let rounds = (passed_ms / interval_ms).round().clamp(1.0, MOST_ROUNDS);
        let now = Now {
            at_ms,
            tick: self.tick(at_ms),
            rounds,
            interval_ms,
        };
        let mut campaigns = std::mem::take(&mut self.campaigns);
        let mut decisions = Writer::with_capacity(campaigns.len() * DECISION_BYTES);
        let mut series = Writer::with_capacity(self.slots.len() * SERIES_DECISION_BYTES);
        let mut totals = (Micros::ZERO, Micros::ZERO);
        for campaign in &mut campaigns {
            let verdict = self.decide_one(campaign, &now);
            let (settled, reserved) = campaign.totals(&self.series);
            totals = (
                totals.0.saturating_add(settled),
                totals.1.saturating_add(reserved),
            );
            let is_changed = self.tell(campaign, &verdict, settled, reserved);
            let first = series.bytes.len() / SERIES_DECISION_BYTES;
            write_decision(
                &mut decisions,
                campaign,
                &verdict,
                (settled, reserved),
                first,
                is_changed,
            );
            self.write_offers(&mut series, campaign, &verdict);
        }
        self.campaigns = campaigns;
        self.decided_at_ms = Some(at_ms);
        let (settled, reserved) = totals;
        Ok(Round {
            decisions: decisions.bytes,
            series: series.bytes,
            settled,
            reserved,
        })
    }

    fn decide_one(&mut self, campaign: &mut Campaign, now: &Now) -> Verdict {
        let is_heard = self.begin(campaign, now);
        let outlooks: Vec<Outlook> = campaign
            .series
            .iter()
            .map(|&slot| self.outlook(slot, now.at_ms))
            .collect();
        let (settled, reserved) = campaign.totals(&self.series);
        let (day_began, day_ends) = self.day(campaign.definition.calendar, now.at_ms);
        if day_began > campaign.day_began_ms {
            if campaign.day_began_ms != i64::MIN {
                campaign.day_opened = settled;
            }
            campaign.day_began_ms = day_began;
        }
        let today = settled.left_after(campaign.day_opened);
        let holds = reason_to_hold(&campaign.definition, now.at_ms, &outlooks, settled, today);
        if let Some(binding) = holds {
            campaign.rhythm.is_bidding = false;
            let verdict = decide::hold(&campaign.definition, &outlooks, binding);
            self.apply(campaign, &verdict, settled);
            return verdict;
        }
        let plan = Plan::new(&campaign.definition, now, settled, today, day_ends);
        campaign.follow_reports(now, is_heard, settled);
        let is_stale = campaign.is_stale(now);
        if is_stale {
            campaign.pacing.relax();
        } else {
            let click = click_micros(&campaign.definition, &outlooks);
            campaign.pace(&plan, now, is_heard, (settled, reserved), click);
        }
        let definition = &campaign.definition;
        let every_rounds = campaign.rhythm.every_rounds;
        let purse = plan.purse(definition, now, (settled, reserved), today, every_rounds);
        let multiplier = campaign.pacing.multiplier;
        let verdict = decide::decide(definition, &outlooks, multiplier, &purse, is_stale);
        self.apply(campaign, &verdict, settled);
        verdict
    }

    /// Opens the round for a campaign's series; returns whether one of them was heard from.
    fn begin(&mut self, campaign: &Campaign, now: &Now) -> bool {
        let mut is_heard = false;
        let (day_began, _) = self.day(campaign.definition.calendar, now.at_ms);
        // What is settled before the first round is held to be of its day: a cap is the more certain.
        let is_new_day = day_began > campaign.day_began_ms && campaign.day_began_ms != i64::MIN;
        let future = FUTURE_MS / self.tick_ms;
        for slot in campaign.slots() {
            self.windows.expire(slot, now.tick);
            let newest = self.windows.newest_tick(slot);
            if newest.is_some_and(|newest| i64::from(since(newest, now.tick)) > i64::from(future)) {
                self.windows.clear(slot);
            }
            let oldest = self.windows.oldest_tick(slot);
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            series.forget_receipts_before(oldest);
            is_heard |= std::mem::take(&mut series.is_heard);
            let settled = series.account.settled;
            #[allow(clippy::cast_precision_loss)]
            let spent = settled.saturating_sub(series.settled_before).0 as f64;
            series.recent_spend = (series.recent_spend * 0.8 + spent).max(0.0);
            series.settled_before = settled;
            if is_new_day {
                series.account.day_opened = settled;
            }
        }
        is_heard
    }

    fn day(&self, calendar: u32, at_ms: i64) -> (i64, i64) {
        self.calendars
            .get(&calendar)
            .map_or((at_ms, at_ms), |calendar| calendar.day(at_ms))
    }

    #[allow(clippy::cast_precision_loss)]
    fn outlook(&self, slot: usize, at_ms: i64) -> Outlook {
        let forecast = self.forecast_slot(slot, at_ms);
        let series = self.series.get(slot);
        let account = series
            .map(|series| series.account.clone())
            .unwrap_or_default();
        Outlook {
            cpc_micros: forecast.clamped_cpc_micros().map(|estimate| estimate.value),
            cvr: forecast.clamped_cvr().map(|estimate| estimate.value),
            confidence: forecast.confidence.value,
            clicks: forecast.clicks,
            all_clicks: account.clicks,
            all_conversions: account.milliconversions as f64 / 1000.0,
            all_impressions: account.impressions,
            settled: account.settled,
            reserved: account.reserved(),
            today: account.today(),
            recent_spend: series.map_or(0.0, |series| series.recent_spend),
            last_bid: series.map_or(0, |series| series.bid_micros),
        }
    }

    /// Puts bids in force and gives the caps out. The sum of what is reserved stays within the room
    /// that the purse had, because `decide` split no more than that.
    fn apply(&mut self, campaign: &mut Campaign, verdict: &Verdict, settled: Micros) {
        let (mut can_rise, mut can_fall) = (false, false);
        for (&slot, offer) in campaign.series.iter().zip(&verdict.offers) {
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            if offer.allotment > Micros::ZERO {
                series.account.grant(offer.allotment, Micros::MAX);
            }
            let rises = offer.bid_micros > series.bid_micros && series.bid_micros > 0;
            let is_held = offer.bound_by == Binding::MaxChange;
            can_rise |= offer.bound_by != Binding::MaxBid && !(is_held && rises);
            can_fall |= offer.bound_by != Binding::MinBid && (rises || !is_held);
            series.bid_micros = offer.bid_micros;
        }
        let (_, reserved) = campaign.totals(&self.series);
        let rhythm = &mut campaign.rhythm;
        (rhythm.can_rise, rhythm.can_fall) = (can_rise, can_fall);
        rhythm.reserved = reserved;
        if verdict.action == Action::Hold {
            (rhythm.planned, rhythm.rounds, rhythm.settled) = (0.0, 0.0, settled);
        }
    }

    /// Notes what is reported; returns whether it differs from what was last reported changed.
    fn tell(
        &mut self,
        campaign: &mut Campaign,
        verdict: &Verdict,
        settled: Micros,
        reserved: Micros,
    ) -> bool {
        let told = Told::new(
            verdict.action,
            verdict.binding,
            best_index(verdict),
            settled,
            reserved,
        );
        let mut is_changed = campaign.told != Some(told);
        for &slot in &campaign.series {
            let Some(series) = self.series.get(slot) else {
                continue;
            };
            let (bid, cap) = series.told;
            is_changed |= cap != series.account.cap || is_beyond_resolution(bid, series.bid_micros);
        }
        if is_changed {
            campaign.told = Some(told);
            for &slot in &campaign.series {
                if let Some(series) = self.series.get_mut(slot) {
                    series.told = (series.bid_micros, series.account.cap);
                }
            }
        }
        is_changed
    }

    fn write_offers(&self, out: &mut Writer, campaign: &Campaign, verdict: &Verdict) {
        for (&slot, offer) in campaign.series.iter().zip(&verdict.offers) {
            let series = self.series.get(slot);
            out.u64(series.map_or(0, |series| series.key));
            out.i64(offer.bid_micros);
            out.i64(series.map_or(0, |series| series.account.cap.0));
            out.f64(offer.cpc_micros);
            out.f64(offer.cvr);
            out.f64(offer.roi_micros);
            out.f64(offer.confidence);
        }
    }
}

impl Campaign {
    /// Follows how often reports come.
    fn follow_reports(&mut self, now: &Now, is_heard: bool, settled: Micros) {
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

    fn is_stale(&self, now: &Now) -> bool {
        let silent = now.rounds_since(self.rhythm.heard_at_ms);
        silent > STALE_ROUNDS.max(4.0 * self.rhythm.every_rounds)
    }

    /// Moves the multiplier, where there are reports, or where none came for so long that it says
    /// that nothing was spent.
    #[allow(clippy::cast_precision_loss)]
    fn pace(
        &mut self,
        plan: &Plan,
        now: &Now,
        is_heard: bool,
        (settled, reserved): (Micros, Micros),
        click_micros: f64,
    ) {
        let rhythm = &mut self.rhythm;
        let is_silent =
            now.rounds_since(rhythm.heard_at_ms) >= SILENT_ROUNDS.max(2.0 * rhythm.every_rounds);
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
                click_micros,
                is_cap_used,
                can_rise: rhythm.can_rise,
                can_fall: rhythm.can_fall,
                most: decide::most_multiplier(&self.definition),
            });
            (rhythm.planned, rhythm.rounds, rhythm.settled) = (0.0, 0.0, settled);
        }
        rhythm.planned += plan.a_round * now.rounds;
        rhythm.rounds += now.rounds;
    }
}

impl Now {
    #[allow(clippy::cast_precision_loss)]
    fn rounds_since(&self, at_ms: i64) -> f64 {
        (self.at_ms - at_ms).max(0) as f64 / self.interval_ms
    }
}

/// What a campaign should spend, in micros, from now on.
#[derive(Debug, Clone, Copy)]
struct Plan {
    /// In one round: what is left, spread over the rounds that are left.
    a_round: f64,
    /// 1 % of the budget's share of a round.
    floor: f64,
    /// By now, had the flight's plan been kept from its beginning.
    due: f64,
    /// A round's share of the whole budget.
    share: f64,
    left: f64,
}

#[allow(clippy::cast_precision_loss)] // money and times are at most 2^53 here
impl Plan {
    fn new(
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
        }
    }

    fn purse(
        &self,
        definition: &Definition,
        now: &Now,
        (settled, reserved): (Micros, Micros),
        today: Micros,
        every_rounds: f64,
    ) -> Purse {
        let room = Micros(definition.budget_micros).left_after(settled.saturating_add(reserved));
        let day_room = if definition.daily_cap_micros == 0 {
            Micros::MAX
        } else {
            Micros(definition.daily_cap_micros).left_after(today.saturating_add(reserved))
        };
        let ahead = (ROUNDS_AHEAD + every_rounds).max(now.rounds);
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
            room: room.min(day_room),
            is_day_bound: day_room < room,
            wanted,
            is_due,
        }
    }
}

/// Returns why a campaign must not bid, if so.
fn reason_to_hold(
    definition: &Definition,
    at_ms: i64,
    outlooks: &[Outlook],
    settled: Micros,
    today: Micros,
) -> Option<Binding> {
    let shown: u64 = outlooks.iter().fold(0, |sum, outlook| {
        sum.saturating_add(outlook.all_impressions)
    });
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
    } else if target_reach > 0 && shown >= target_reach {
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

fn best_index(verdict: &Verdict) -> i16 {
    verdict
        .best
        .and_then(|best| i16::try_from(best).ok())
        .unwrap_or(-1)
}

#[allow(clippy::cast_precision_loss)]
fn is_beyond_resolution(before: i64, now: i64) -> bool {
    (now - before).unsigned_abs() as f64 > RESOLUTION * before as f64
}

fn write_decision(
    out: &mut Writer,
    campaign: &Campaign,
    verdict: &Verdict,
    (settled, reserved): (Micros, Micros),
    first: usize,
    is_changed: bool,
) {
    out.u64(campaign.definition.key);
    out.i64(settled.0);
    out.i64(reserved.0);
    out.f64(campaign.pacing.multiplier);
    out.count(first);
    out.u16(u16::try_from(verdict.offers.len()).unwrap_or(u16::MAX));
    out.i16(best_index(verdict));
    out.u8(verdict.action as u8);
    out.u8(verdict.binding as u8);
    out.u8(u8::from(is_changed));
    out.put(&[0; 5]);
}
