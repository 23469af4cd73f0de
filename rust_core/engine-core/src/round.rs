//! A round: every campaign decided once, in ascending order of key, and the rows that say so.
//!
//! What cannot have changed is not computed: forecasts and what a price goes by are found where
//! something was heard or defined anew, and kept until then (`open`). What depends on time and money is
//! stepped in each round: the plan, the pacing, the bids and the caps.

use crate::account::{self, Room};
use crate::bid::most_multiplier;
use crate::book::Book;
use crate::calendar::Days;
use crate::campaign::Campaign;
use crate::decide;
use crate::definition::{Definition, MOST_MICROS};
use crate::error::CoreError;
use crate::guard;
use crate::money::Micros;
use crate::plan::{Now, Plan, reason_to_hold};
use crate::price::{Money, View};
use crate::shadow::solve;
use crate::told::Rows;
use crate::traffic::Rounds;
use crate::verdict::{Action, Binding, Desk, Outlook, Verdict};

pub use crate::told::{DECISION_BYTES, SERIES_DECISION_BYTES};

/// A round after a pause plans for at most so many missed ones.
const MOST_ROUNDS: f64 = 30.0;
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

/// What a campaign's series come to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) settled: Micros,
    reserved: Micros,
    pub(crate) today: Micros,
    /// What the platforms it has may still spend on the caps given last.
    open: Micros,
    /// What is reserved on platforms that it has left.
    lost: Micros,
}

impl Sums {
    pub(crate) fn money(&self, plan: &Plan, rounds: Rounds, traffic: f64) -> Money {
        Money {
            settled: self.settled,
            lost: self.lost,
            today: self.today,
            rounds,
            traffic,
            a_round: plan.a_round,
        }
    }
}

/// The round of one campaign.
struct Turn<'a> {
    now: &'a Now,
    day_ends_ms: i64,
    hour_of_week: u8,
    is_heard: bool,
}

impl Book {
    /// Decides the round due at a time.
    ///
    /// # Errors
    /// `CoreError::RoundNotLater` unless it is later than the round before, and
    /// `CoreError::OutOfRange` unless it is 0 to 2^53.
    pub fn decide(&mut self, at_ms: i64) -> Result<Round, CoreError> {
        let now = self.now(at_ms)?;
        let days = Days::at(&self.calendars, at_ms);
        let mut campaigns = std::mem::take(&mut self.campaigns);
        let mut desk = Desk::default();
        // What is left of an account depends on all of its campaigns, so those are opened before any
        // is decided; another's round is all its own.
        let mut accounts = account::Round::default();
        let mut heard = Vec::new();
        for campaign in campaigns
            .iter_mut()
            .filter(|one| one.definition.account != 0)
        {
            let day = days.of(campaign.definition.calendar);
            heard.push(self.open(campaign, &now, (day.began_ms, day.ends_ms), &mut desk));
            accounts.count(campaign, &self.series, at_ms);
        }
        let mut heard = heard.into_iter();
        let mut rows = Rows::with_room(campaigns.len(), self.slots.len());
        for index in 0..campaigns.len() {
            self.look_ahead(&campaigns, index);
            let Some(campaign) = campaigns.get_mut(index) else {
                continue;
            };
            let day = days.of(campaign.definition.calendar);
            let is_heard = if campaign.definition.account == 0 {
                self.open(campaign, &now, (day.began_ms, day.ends_ms), &mut desk)
            } else {
                heard.next().unwrap_or(false)
            };
            let turn = Turn {
                now: &now,
                day_ends_ms: day.ends_ms,
                hour_of_week: day.hour_of_week,
                is_heard,
            };
            let sums = self.look_over(campaign, &now, &mut desk);
            let spent = (sums.settled, sums.open);
            let room = accounts.room(&self.accounts, campaign, spent, at_ms);
            let verdict = self.decide_within(campaign, &turn, &sums, room, &mut desk);
            let reserved = self.apply(campaign, &verdict, &sums, at_ms, &desk);
            accounts.decided(campaign, spent, (sums.reserved, reserved), at_ms);
            let totals = (sums.settled, reserved);
            rows.write(campaign, &mut self.series, &verdict, &desk.offers, totals);
        }
        self.campaigns = campaigns;
        self.decided_at_ms = Some(at_ms);
        Ok(rows.done())
    }

    #[allow(clippy::cast_precision_loss)]
    fn now(&self, at_ms: i64) -> Result<Now, CoreError> {
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
        Ok(Now {
            at_ms,
            tick: self.tick(at_ms),
            rounds: (passed_ms / interval_ms).round().clamp(1.0, MOST_ROUNDS),
            interval_ms,
        })
    }

    /// Lays what is known of a campaign's platforms on the desk, and adds it up.
    pub(crate) fn look_over(&self, campaign: &Campaign, now: &Now, desk: &mut Desk) -> Sums {
        let mut sums = Sums {
            settled: campaign.carried,
            reserved: Micros::ZERO,
            today: campaign.carried.left_after(campaign.day_opened),
            open: Micros::ZERO,
            lost: Micros::ZERO,
        };
        desk.outlooks.clear();
        for &slot in &campaign.series {
            let outlook = self.outlook(&campaign.definition, slot, now);
            sums.settled = sums.settled.saturating_add(outlook.settled);
            sums.today = sums.today.saturating_add(outlook.today);
            sums.open = sums.open.saturating_add(outlook.reserved);
            let reserved = outlook.reserved.saturating_add(outlook.held);
            sums.reserved = sums.reserved.saturating_add(reserved);
            desk.outlooks.push(outlook);
        }
        for series in campaign
            .dropped
            .iter()
            .filter_map(|&slot| self.series.get(slot))
        {
            let account = &series.account;
            sums.settled = sums.settled.saturating_add(account.settled);
            sums.today = sums.today.saturating_add(account.today());
            sums.reserved = sums.reserved.saturating_add(account.reserved());
            sums.lost = sums.lost.saturating_add(account.reserved());
        }
        sums
    }

    /// Decides a campaign to which its account leaves `room` (`None`: it has no account).
    fn decide_within(
        &mut self,
        campaign: &mut Campaign,
        turn: &Turn<'_>,
        sums: &Sums,
        room: Option<Room>,
        desk: &mut Desk,
    ) -> Verdict {
        let now = turn.now;
        if let Some(binding) = self.reason_not_to_bid(campaign, turn, sums, room, &desk.outlooks) {
            campaign.rhythm.is_bidding = false;
            campaign.solved = None;
            return decide::hold(&campaign.definition, desk, binding);
        }
        let (settled, today) = (sums.settled, sums.today);
        let plan = Plan::new(&campaign.definition, now, settled, today, turn.day_ends_ms);
        campaign.follow_reports(now, turn.is_heard, settled);
        let common = self.prepared(campaign, desk);
        let times = campaign.times(&common, now.at_ms, turn.day_ends_ms);
        let clock = campaign.clock_at(&common, now.at_ms, turn.day_ends_ms);
        let rounds = clock.rounds(&times, now.interval_ms);
        let money = sums.money(&plan, rounds, clock.traffic);
        let own = campaign.series.iter();
        let bases = own.filter_map(|&slot| self.series.get(slot).map(|one| &one.basis));
        let lanes = std::mem::take(&mut desk.lanes);
        let view = View::new(campaign, &common, bases, &money, lanes);
        let is_stale = campaign.is_stale(now);
        let trust = if is_stale { 0.0 } else { view.trust };
        if is_stale {
            campaign.solved = None;
            campaign.pacing.relax();
        } else {
            let spent = (settled, sums.open);
            campaign.pace(&plan, now, turn.is_heard, spent, &desk.outlooks, trust);
            campaign.follow_price(now, turn.is_heard, &view, trust);
        }
        let multiplier = campaign.pacing.multiplier;
        view.look(&mut desk.outlooks, multiplier);
        let definition = &campaign.definition;
        let every_rounds = campaign.rhythm.every_rounds;
        let reserved = (settled, sums.reserved);
        let mut purse = plan.purse(definition, now, reserved, today, every_rounds);
        let given = sums.reserved.left_after(sums.lost);
        let is_account_bound = room.is_some_and(|room| room.bind(&mut purse, given));
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
        desk.lanes = view.lanes;
        let mut verdict = decide::decide(definition, desk, multiplier, &purse, is_stale);
        verdict.binding = account::reason(verdict.binding, is_account_bound);
        verdict
    }

    fn reason_not_to_bid(
        &self,
        campaign: &Campaign,
        turn: &Turn<'_>,
        sums: &Sums,
        room: Option<Room>,
        outlooks: &[Outlook],
    ) -> Option<Binding> {
        let definition = &campaign.definition;
        let is_halted = self.accounts.is_halted(definition.account);
        let gate = guard::gate(definition, is_halted, turn.hour_of_week);
        // Without an account's money nothing new can be given, and nothing given is left to spend.
        let is_broke = room.is_some_and(|room| {
            let kept = room.most.map_or(sums.open, |most| most.min(sums.open));
            room.more <= Micros::ZERO && kept <= Micros::ZERO
        });
        let (at_ms, settled) = (turn.now.at_ms, sums.settled);
        gate.filter(|&found| found == Binding::Halted)
            .or_else(|| reason_to_hold(definition, at_ms, outlooks, settled, sums.today))
            .or(gate)
            .or_else(|| is_broke.then_some(Binding::AccountCap))
    }

    #[allow(clippy::cast_precision_loss)]
    fn outlook(&self, definition: &Definition, slot: usize, now: &Now) -> Outlook {
        let Some(series) = self.series.get(slot) else {
            return Outlook {
                cpc_micros: f64::NAN,
                cvr: f64::NAN,
                ..Outlook::default()
            };
        };
        let found;
        let glance = if let Some(glance) = &series.glance {
            glance
        } else {
            found = self.glance(slot, now.at_ms);
            &found
        };
        let account = &series.account;
        let open = account.open();
        Outlook {
            cpc_micros: glance.cpc_micros,
            cvr: glance.cvr,
            confidence: glance.grounds.confidence(now.tick).value,
            clicks: glance.grounds.clicks,
            all_clicks: account.clicks,
            all_impressions: account.impressions,
            settled: account.settled,
            reserved: open,
            held: account.reserved().left_after(open),
            today: account.today(),
            recent_spend: series.recent_spend,
            last_bid: series.bid_micros,
            day_bid: series.trail.day_bid,
            is_bid_held: series.trail.is_held(definition, now.at_ms),
            held_cvr: series.basis.held_cvr,
            hoped_cvr: series.basis.hoped_cvr,
            unit_bid: 0.0,
            planned: 0.0,
        }
    }

    /// Puts bids in force and gives the caps out; returns what is then reserved. With that, settled
    /// spend stays within the room that the purse had, because `decide` split no more than that.
    fn apply(
        &mut self,
        campaign: &mut Campaign,
        verdict: &Verdict,
        sums: &Sums,
        at_ms: i64,
        desk: &Desk,
    ) -> Micros {
        let frames = self.producers.frames();
        let (mut can_rise, mut can_fall) = (false, false);
        let (mut open, mut reserved) = (Micros::ZERO, Micros::ZERO);
        let platforms = desk.offers.iter().zip(&desk.outlooks);
        for (&slot, (offer, outlook)) in campaign.series.iter().zip(platforms) {
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            if offer.allotment != outlook.reserved {
                series.account.allot(offer.allotment, Micros::MAX, frames);
            }
            open = open.saturating_add(series.account.open());
            reserved = reserved.saturating_add(series.account.reserved());
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
                reserved = reserved.saturating_add(series.account.reserved());
            }
        }
        let rhythm = &mut campaign.rhythm;
        (rhythm.can_rise, rhythm.can_fall) = (can_rise, can_fall);
        rhythm.reserved = open;
        if verdict.action == Action::Hold {
            (rhythm.planned, rhythm.rounds, rhythm.settled) = (0.0, 0.0, sums.settled);
        }
        reserved
    }
}

impl Campaign {
    /// Solves for the price of money where there is news, and moves the multiplier towards it.
    fn follow_price(&mut self, now: &Now, is_heard: bool, view: &View, trust: f64) {
        if is_heard || self.is_silent(now) || self.solved.is_none() {
            self.solved = Some(solve(&view.lanes, &view.terms, self.solved));
        }
        if let Some(solved) = self.solved {
            let most = most_multiplier(&self.definition);
            let pacing = &mut self.pacing;
            pacing.steer(solved.multiplier, trust, now.rounds, most);
        }
    }
}
