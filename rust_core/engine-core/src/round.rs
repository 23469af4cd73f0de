//! A round: every campaign decided once, in ascending order of key, and the rows that say so.
//!
//! `python/engine/core/rows.py` holds the same layout (`DECISION_ROW`, `SERIES_DECISION_ROW`). The
//! cost is proportional to the campaigns: each series' forecast comes from its window's sums.

use crate::account;
use crate::bid::most_multiplier;
use crate::book::Book;
use crate::bytes::{Writer, learned_amount};
use crate::campaign::{Campaign, Series, Told};
use crate::decide;
use crate::definition::{Definition, MOST_MICROS};
use crate::error::CoreError;
use crate::guard;
use crate::money::Micros;
use crate::outlook::condition::Condition;
use crate::plan::{Now, Plan, click_micros, reason_to_hold};
use crate::price::{Money, View};
use crate::shadow::solve;
use crate::verdict::{Action, Binding, Outlook, Verdict};
use crate::watch::Seen;
use crate::window::{REACH, since};
use crate::worth::Rates;
use std::ops::Range;

/// Bytes of a campaign's decision.
pub const DECISION_BYTES: usize = 48;
/// Bytes of a series' part of it.
pub const SERIES_DECISION_BYTES: usize = 72;

/// A round after a pause plans for at most so many missed ones.
const MOST_ROUNDS: f64 = 30.0;
/// A sample this far ahead of its round is of a clock that is wrong: its window begins anew.
const FUTURE_MS: u32 = 600_000;
/// A change of a bid below this part of it is not worth reporting.
const RESOLUTION: f64 = 0.001;

/// From here on a price of money is rather trusted than not.
const HALF_TRUST: f64 = 0.5;

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
            let stopped = self.stopped(campaign);
            let is_changed = self.tell(campaign, &verdict, settled, reserved);
            let first = series.bytes.len() / SERIES_DECISION_BYTES;
            self.write_offers(&mut series, campaign, &verdict);
            self.write_stopped(&mut series, &stopped);
            let rows = first..series.bytes.len() / SERIES_DECISION_BYTES;
            write_decision(
                &mut decisions,
                campaign,
                &verdict,
                (settled, reserved),
                rows,
                is_changed,
            );
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
        let mut outlooks: Vec<Outlook> = campaign
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
            campaign.solved = None;
            let even = Plan::new(&campaign.definition, now, settled, today, day_ends);
            let money = self.money(campaign, settled, today, day_ends, &even);
            let view = campaign.view(&self.series, now, &money);
            look(&mut outlooks, &view, campaign.pacing.multiplier, 0.0);
            let verdict = decide::hold(&campaign.definition, &outlooks, binding);
            self.apply(campaign, &verdict, settled, now.at_ms);
            return verdict;
        }
        let plan = Plan::new(&campaign.definition, now, settled, today, day_ends);
        campaign.follow_reports(now, is_heard, settled);
        let is_stale = campaign.is_stale(now);
        let money = self.money(campaign, settled, today, day_ends, &plan);
        let view = campaign.view(&self.series, now, &money);
        let trust = if is_stale { 0.0 } else { view.trust };
        if is_stale {
            campaign.solved = None;
            campaign.pacing.relax();
        } else {
            let click = click_micros(&campaign.definition, &outlooks);
            campaign.pace(&plan, now, is_heard, (settled, open), click, trust);
            if is_heard || campaign.is_silent(now) || campaign.solved.is_none() {
                campaign.solved = Some(solve(&view.lanes, &view.terms));
            }
            if let Some(solved) = campaign.solved {
                let most = most_multiplier(&campaign.definition);
                let pacing = &mut campaign.pacing;
                pacing.steer(solved.multiplier, trust, now.rounds, most);
            }
        }
        let multiplier = campaign.pacing.multiplier;
        look(&mut outlooks, &view, multiplier, view.traffic);
        let definition = &campaign.definition;
        let every_rounds = campaign.rhythm.every_rounds;
        let mut purse = plan.purse(definition, now, (settled, reserved), today, every_rounds);
        let is_account_bound = room.is_some_and(|room| room < purse.room);
        purse.room = room.map_or(purse.room, |room| room.min(purse.room));
        purse.trust = trust;
        let limit = view.limit(definition, purse.ahead);
        purse.most = limit.most;
        if trust >= HALF_TRUST {
            purse.is_due = limit.is_due;
        }
        purse.held_by = campaign
            .solved
            .and_then(|solved| solved.held_by)
            .map(|held_by| held_by.binding(definition));
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
        self.learn(campaign, now);
        let mut is_changed: Vec<bool> = Vec::with_capacity(campaign.series.len());
        let future = FUTURE_MS / self.tick_ms;
        for slot in campaign.slots() {
            let newest = self.windows.newest_tick(slot);
            let is_emptied = newest.is_some_and(|newest| {
                let ahead = since(newest, now.tick);
                ahead.unsigned_abs() >= REACH || i64::from(ahead) > i64::from(future)
            });
            if is_emptied {
                self.empty(slot);
            }
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            is_changed.push(series.is_heard || is_emptied);
            is_heard |= std::mem::take(&mut series.is_heard);
            let settled = series.account.settled;
            #[allow(clippy::cast_precision_loss)]
            let spent = settled.saturating_sub(series.settled_before).0 as f64;
            series.recent_spend = learned_amount(series.recent_spend * 0.8 + spent);
            series.settled_before = settled;
            if is_new_day {
                series.trail.begin_day(series.bid_micros);
            }
            if is_new_day && !is_first {
                let receipts = self.rests.receipts(&self.windows, slot);
                series
                    .account
                    .begin_day(day_tick, receipts, series.unit_micros);
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
        self.foresee(campaign, now, &is_changed);
        is_heard
    }

    /// Learns from what was heard since the round before.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn learn(&mut self, campaign: &mut Campaign, now: &Now) {
        let definition = &campaign.definition;
        let mut seen = Seen {
            at_ms: now.at_ms,
            interval_ms: now.interval_ms,
            rounds: now.rounds,
            heard_ms: None,
            every_rounds: campaign.rhythm.every_rounds,
            traffic: campaign.traffic.profile().at(now.at_ms),
            flight_ms: (definition.ends_at_ms - definition.starts_at_ms).max(1) as f64,
        };
        // What the campaign's series have together is only asked for where one of them has news.
        let mut rates: Option<Rates> = None;
        for index in 0..campaign.series.len() + campaign.dropped.len() {
            let Some(slot) = campaign.slots().nth(index) else {
                continue;
            };
            let newest = self.windows.newest_tick(slot);
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            seen.heard_ms = newest
                .filter(|_| series.is_heard)
                .map(|newest| f64::from(since(now.tick, newest).max(0)) * f64::from(self.tick_ms));
            let lag_ms = series.watch.lag_ms as i64;
            let Some(ended) = series.watch.count(&series.account, &seen) else {
                continue;
            };
            let rates = *rates.get_or_insert_with(|| campaign.rates(&self.series).0);
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            let taught = series.watch.learn(&series.account, &seen, ended, &rates);
            campaign.delays.learn(&taught.likely);
            if taught.usual > 0.0 {
                let at_ms = now.at_ms - lag_ms;
                campaign.traffic.learn(at_ms, taught.clicks, taught.usual);
            }
        }
    }

    pub(crate) fn money(
        &self,
        campaign: &Campaign,
        settled: Micros,
        today: Micros,
        day_ends: i64,
        plan: &Plan,
    ) -> Money {
        let dropped = campaign.dropped.iter();
        let dropped = dropped.filter_map(|&slot| self.series.get(slot));
        Money {
            settled,
            lost: dropped.fold(Micros::ZERO, |sum, series| {
                sum.saturating_add(series.account.reserved())
            }),
            today,
            day_ends,
            a_round: plan.a_round,
        }
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
        let glance = self.glance(slot, at_ms);
        let series = self.series.get(slot);
        let account = series
            .map(|series| series.account.clone())
            .unwrap_or_default();
        Outlook {
            cpc_micros: glance.cpc_micros,
            cvr: glance.cvr,
            confidence: glance.confidence,
            clicks: glance.clicks,
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
            held_cvr: 0.0,
            hoped_cvr: 0.0,
            unit_bid: 0.0,
            planned: 0.0,
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
            series.watch.note_bid(at_ms, offer.bid_micros);
        }
        for &slot in &campaign.dropped {
            if let Some(series) = self.series.get_mut(slot) {
                series.account.allot(Micros::ZERO, Micros::ZERO, frames);
            }
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
        for series in campaign.slots().filter_map(|slot| self.series.get(slot)) {
            let (bid, cap) = series.told;
            is_changed |= cap != series.account.cap || is_beyond_resolution(bid, series.bid_micros);
        }
        if is_changed {
            campaign.told = Some(told);
            for slot in campaign.slots() {
                if let Some(series) = self.series.get_mut(slot) {
                    series.told = (series.bid_micros, series.account.cap);
                }
            }
        }
        is_changed
    }

    /// Returns the slots of platforms that the campaign has dropped and that have to be told so, or may
    /// yet have to be told again: what they may spend by a cap given before is not proven over.
    fn stopped(&self, campaign: &Campaign) -> Vec<usize> {
        let is_owed = |series: &Series| {
            series.account.reserved() > Micros::ZERO || series.told != (0, series.account.cap)
        };
        let dropped = campaign.dropped.iter().copied();
        dropped
            .filter(|&slot| self.series.get(slot).is_some_and(is_owed))
            .collect()
    }

    fn write_stopped(&self, out: &mut Writer, stopped: &[usize]) {
        for series in stopped.iter().filter_map(|&slot| self.series.get(slot)) {
            out.u64(series.key);
            out.i64(0);
            out.i64(series.account.cap.0);
            for _ in 0..3 {
                out.f64(f64::NAN); // nothing is forecast for it
            }
            out.f64(0.0);
            out.f64(0.0);
            out.u8(Binding::Dropped as u8);
            out.u8(Condition::Thin as u8);
            out.put(&[0; 6]);
        }
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
            out.f64(offer.planned_micros);
            out.u8(offer.bound_by as u8);
            out.u8(series.map_or(Condition::Thin, Series::condition) as u8);
            out.put(&[0; 6]);
        }
    }
}

/// Writes what the price of money says of each platform into what is known of it.
fn look(outlooks: &mut [Outlook], view: &View, multiplier: f64, traffic: f64) {
    let spends = view.spends(multiplier);
    let parts = view.unit_bids().zip(&view.held).zip(spends);
    for (outlook, ((unit_bid, held), spend)) in outlooks.iter_mut().zip(parts) {
        outlook.unit_bid = unit_bid;
        (outlook.held_cvr, outlook.hoped_cvr) = (held.mean, held.hoped);
        outlook.planned = spend * traffic;
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
    rows: Range<usize>,
    is_changed: bool,
) {
    out.u64(campaign.definition.key);
    out.i64(settled.0);
    out.i64(reserved.0);
    out.f64(campaign.pacing.multiplier);
    out.count(rows.start);
    out.u16(u16::try_from(rows.len()).unwrap_or(u16::MAX));
    out.i16(best_index(verdict));
    out.u8(verdict.action as u8);
    out.u8(verdict.binding as u8);
    out.u8(u8::from(is_changed));
    out.put(&[0; 5]);
}
