//! A round: every campaign decided once, in ascending order of key, and the rows that say so.
//!
//! `python/engine/core/rows.py` holds the same layout (`DECISION_ROW`, `SERIES_DECISION_ROW`). The
//! cost is proportional to the campaigns: each series' forecast comes from its window's sums.

use crate::account;
use crate::book::Book;
use crate::bytes::Writer;
use crate::campaign::{Campaign, Told};
use crate::decide;
use crate::definition::{Definition, MOST_MICROS};
use crate::error::CoreError;
use crate::guard;
use crate::money::Micros;
use crate::plan::{Now, Plan, click_micros, reason_to_hold};
use crate::verdict::{Action, Binding, Outlook, Verdict};
use crate::window::since;

/// Bytes of a campaign's decision.
pub const DECISION_BYTES: usize = 48;
/// Bytes of a series' part of it.
pub const SERIES_DECISION_BYTES: usize = 64;

/// A round after a pause plans for at most so many missed ones.
const MOST_ROUNDS: f64 = 30.0;
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
        let heard: Vec<bool> = campaigns
            .iter_mut()
            .map(|campaign| self.begin(campaign, &now))
            .collect();
        let mut accounts = self.count_accounts(&campaigns, at_ms);
        let mut decisions = Writer::with_capacity(campaigns.len() * DECISION_BYTES);
        let mut series = Writer::with_capacity(self.slots.len() * SERIES_DECISION_BYTES);
        let mut totals = (Micros::ZERO, Micros::ZERO);
        for (campaign, &is_heard) in campaigns.iter_mut().zip(&heard) {
            let verdict = self.decide_one(campaign, &now, is_heard, &mut accounts);
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

    /// Adds up what each account's campaigns have spent and reserved, before any is decided.
    fn count_accounts(&self, campaigns: &[Campaign], at_ms: i64) -> account::Round {
        let mut accounts = account::Round::default();
        for campaign in campaigns.iter().filter(|one| one.definition.account != 0) {
            let totals = campaign.totals(&self.series);
            accounts.count(campaign, totals, campaign.today(&self.series), at_ms);
        }
        accounts
    }

    fn decide_one(
        &mut self,
        campaign: &mut Campaign,
        now: &Now,
        is_heard: bool,
        accounts: &mut account::Round,
    ) -> Verdict {
        let (settled, before) = campaign.totals(&self.series);
        let room = accounts.room(&self.accounts, campaign, settled, now.at_ms);
        let verdict = self.decide_within(campaign, now, is_heard, room);
        let (_, reserved) = campaign.totals(&self.series);
        accounts.decided(campaign, settled, before, reserved, now.at_ms);
        verdict
    }

    /// Decides a campaign that may newly have at most `room` reserved (`None`: it has no account).
    fn decide_within(
        &mut self,
        campaign: &mut Campaign,
        now: &Now,
        is_heard: bool,
        room: Option<Micros>,
    ) -> Verdict {
        let outlooks: Vec<Outlook> = campaign
            .series
            .iter()
            .map(|&slot| self.outlook(&campaign.definition, slot, now.at_ms))
            .collect();
        let (settled, reserved) = campaign.totals(&self.series);
        let (_, day_ends) = self.day(campaign.definition.calendar, now.at_ms);
        let today = campaign.today(&self.series);
        let definition = &campaign.definition;
        let is_halted = self.accounts.is_halted(definition.account);
        let hour = self.hour_of_week(definition.calendar, now.at_ms);
        let gate = guard::gate(definition, is_halted, hour);
        let open: Micros = outlooks.iter().fold(Micros::ZERO, |sum, outlook| {
            sum.saturating_add(outlook.reserved)
        });
        // Without an account's money nothing new can be given, and nothing given is left to spend.
        let is_broke = room.is_some_and(|room| room <= Micros::ZERO) && open <= Micros::ZERO;
        let holds = gate
            .filter(|&found| found == Binding::Halted)
            .or_else(|| reason_to_hold(definition, now.at_ms, &outlooks, settled, today))
            .or(gate)
            .or_else(|| is_broke.then_some(Binding::AccountCap));
        if let Some(binding) = holds {
            campaign.rhythm.is_bidding = false;
            let verdict = decide::hold(&campaign.definition, &outlooks, binding);
            self.apply(campaign, &verdict, settled, now.at_ms);
            return verdict;
        }
        let plan = Plan::new(&campaign.definition, now, settled, today, day_ends);
        campaign.follow_reports(now, is_heard, settled);
        let is_stale = campaign.is_stale(now);
        if is_stale {
            campaign.pacing.relax();
        } else {
            let click = click_micros(&campaign.definition, &outlooks);
            campaign.pace(&plan, now, is_heard, (settled, open), click);
        }
        let definition = &campaign.definition;
        let every_rounds = campaign.rhythm.every_rounds;
        let mut purse = plan.purse(definition, now, (settled, reserved), today, every_rounds);
        let is_account_bound = room.is_some_and(|room| room < purse.room);
        purse.room = room.map_or(purse.room, |room| room.min(purse.room));
        let multiplier = campaign.pacing.multiplier;
        let mut verdict = decide::decide(definition, &outlooks, multiplier, &purse, is_stale);
        verdict.binding = account::reason(verdict.binding, is_account_bound);
        self.apply(campaign, &verdict, settled, now.at_ms);
        verdict
    }

    /// Opens the round for a campaign's series; returns whether one of them was heard from.
    fn begin(&mut self, campaign: &mut Campaign, now: &Now) -> bool {
        let mut is_heard = false;
        let (day_began, _) = self.day(campaign.definition.calendar, now.at_ms);
        let is_new_day = day_began > campaign.day_began_ms;
        // What is settled before the first round is held to be of its day: a cap is the more certain.
        let is_first = campaign.day_began_ms == i64::MIN;
        if is_new_day {
            campaign.day_began_ms = day_began;
            campaign.day_opened = if is_first {
                Micros::ZERO
            } else {
                campaign.carried
            };
        }
        let day_tick = self.tick(day_began);
        let future = FUTURE_MS / self.tick_ms;
        for slot in campaign.slots() {
            self.windows.expire(slot, now.tick);
            let newest = self.windows.newest_tick(slot);
            if newest.is_some_and(|newest| i64::from(since(newest, now.tick)) > i64::from(future)) {
                self.windows.clear(slot);
            }
            let held = self.windows.len(slot);
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            series.keep_receipts(held);
            is_heard |= std::mem::take(&mut series.is_heard);
            let settled = series.account.settled;
            #[allow(clippy::cast_precision_loss)]
            let spent = settled.saturating_sub(series.settled_before).0 as f64;
            series.recent_spend = (series.recent_spend * 0.8 + spent).max(0.0);
            series.settled_before = settled;
            if is_new_day {
                series.trail.begin_day(series.bid_micros);
            }
            if is_new_day && !is_first {
                series.account.begin_day(day_tick);
            } else {
                series.account.day_tick = Some(day_tick);
            }
            if let Some(evidence) = series.take_evidence(now.at_ms, now.tick, self.tick_ms) {
                series.account.release(evidence);
            }
            series
                .account
                .date_held(now.at_ms, i64::from(self.interval_ms));
        }
        is_heard
    }

    pub(crate) fn day(&self, calendar: u32, at_ms: i64) -> (i64, i64) {
        self.calendars
            .get(&calendar)
            .map_or((at_ms, at_ms), |calendar| calendar.day(at_ms))
    }

    fn hour_of_week(&self, calendar: u32, at_ms: i64) -> u8 {
        self.calendars
            .get(&calendar)
            .map_or(0, |calendar| calendar.hour_of_week(at_ms))
    }

    #[allow(clippy::cast_precision_loss)]
    fn outlook(&self, definition: &Definition, slot: usize, at_ms: i64) -> Outlook {
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
            reserved: account.open(),
            held: account.reserved().left_after(account.open()),
            today: account.today(),
            recent_spend: series.map_or(0.0, |series| series.recent_spend),
            last_bid: series.map_or(0, |series| series.bid_micros),
            day_bid: series.map_or(0, |series| series.trail.day_bid),
            is_bid_held: series.is_some_and(|series| series.trail.is_held(definition, at_ms)),
        }
    }

    /// Puts bids in force and gives the caps out. The sum of what is reserved stays within the room
    /// that the purse had, because `decide` split no more than that.
    fn apply(&mut self, campaign: &mut Campaign, verdict: &Verdict, settled: Micros, at_ms: i64) {
        let frames = self.producers.frames();
        let (mut can_rise, mut can_fall) = (false, false);
        let mut open = Micros::ZERO;
        for (&slot, offer) in campaign.series.iter().zip(&verdict.offers) {
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            series.account.allot(offer.allotment, Micros::MAX, frames);
            open = open.saturating_add(series.account.open());
            let rises = offer.bid_micros > series.bid_micros && series.bid_micros > 0;
            let is_held = offer.bound_by.keeps_bid();
            can_rise |= offer.bound_by != Binding::MaxBid && !(is_held && rises);
            can_fall |= offer.bound_by != Binding::MinBid && (rises || !is_held);
            let before = series.bid_micros;
            series.trail.note(before, offer.bid_micros, at_ms);
            series.bid_micros = offer.bid_micros;
        }
        let rhythm = &mut campaign.rhythm;
        (rhythm.can_rise, rhythm.can_fall) = (can_rise, can_fall);
        rhythm.reserved = open;
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
            out.u8(offer.bound_by as u8);
            out.put(&[0; 7]);
        }
    }
}

fn best_index(verdict: &Verdict) -> i16 {
    verdict
        .best
        .and_then(|best| i16::try_from(best).ok())
        .unwrap_or(-1)
}

#[allow(clippy::cast_precision_loss)]
fn is_beyond_resolution(before: i64, now: i64) -> bool {
    now.abs_diff(before) as f64 > RESOLUTION * before as f64
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
