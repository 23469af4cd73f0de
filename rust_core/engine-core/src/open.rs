//! What comes before a campaign is decided: days that begin, windows that are over, and what was heard.
//!
//! Here is found what stays until the next report, a series' forecast (`glance`) and what its price goes
//! by (`basis`, and `common` of its campaign). They follow from the book, so no snapshot has them: a book
//! that was restored finds them again, the same to the bit.

use crate::book::Book;
use crate::bytes::learned_amount;
use crate::campaign::{Campaign, Series};
use crate::ledger::Receipt;
use crate::money::Micros;
use crate::outlook::foresight::Glance;
use crate::plan::Now;
use crate::price::Common;
use crate::verdict::Desk;
use crate::watch::Seen;
use crate::window::{REACH, since};
use crate::worth::Rates;

/// A sample this far ahead of its round is of a clock that is wrong: its window begins anew.
const FUTURE_MS: u32 = 600_000;

impl Book {
    /// Opens the round for a campaign's series; returns whether one of them was heard from.
    pub(crate) fn open(
        &mut self,
        campaign: &mut Campaign,
        now: &Now,
        (day_began_ms, day_ends_ms): (i64, i64),
        desk: &mut Desk,
    ) -> bool {
        let is_taught = self.learn(campaign, now, desk);
        let day = Day {
            tick: self.tick(day_began_ms),
            is_new: day_began_ms > campaign.day_began_ms,
            // What is settled before the first round is held to be of its day: a cap is the more certain.
            is_first: campaign.day_began_ms == i64::MIN,
        };
        if day.is_new {
            campaign.day_began_ms = day_began_ms;
            campaign.day_opened = if day.is_first {
                Micros::ZERO
            } else {
                campaign.carried
            };
        }
        let mut is_heard = false;
        desk.changed.clear();
        for slot in campaign.slots() {
            let is_emptied = self.expire(slot, now);
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            let is_changed = series.is_heard || is_emptied;
            if is_changed {
                series.glance = None;
            }
            desk.changed.push(is_changed);
            is_heard |= std::mem::take(&mut series.is_heard);
            let receipts = || self.rests.receipts(&self.windows, slot);
            series.open(now, &day, self.tick_ms, receipts);
        }
        if is_heard || is_taught {
            (campaign.common, campaign.clock) = (None, None);
        }
        let common = self.prepared(campaign, desk);
        let clock = campaign.clock_at(&common, now.at_ms, day_ends_ms);
        campaign.clock = Some(clock);
        self.foresee_all(campaign, now, clock.traffic, &desk.changed);
        is_heard
    }

    /// Empties a window that is over, or of a clock that is wrong; returns whether it did.
    fn expire(&mut self, slot: usize, now: &Now) -> bool {
        let Some(series) = self.series.get(slot) else {
            return false;
        };
        // What was found of a window last holds until something is heard.
        let known = series.glance.as_ref().filter(|_| !series.is_heard);
        let newest = match known {
            Some(glance) => glance.newest(),
            None => self.windows.newest_tick(slot),
        };
        let future = i64::from(FUTURE_MS / self.tick_ms);
        let is_over = newest.is_some_and(|newest| {
            let ahead = since(newest, now.tick);
            ahead.unsigned_abs() >= REACH || i64::from(ahead) > future
        });
        if is_over {
            self.empty(slot);
        }
        is_over
    }

    /// Returns what the price of a campaign goes by until something more is learned.
    pub(crate) fn prepared(&mut self, campaign: &mut Campaign, desk: &mut Desk) -> Common {
        if let Some(common) = campaign.common {
            return common;
        }
        let common = campaign.common(&self.series, desk);
        for (&slot, basis) in campaign.series.iter().zip(&desk.bases) {
            if let Some(series) = self.series.get_mut(slot) {
                series.basis = *basis;
            }
        }
        *campaign.common.insert(common)
    }

    /// Lets the forecasters of a campaign's series learn where windows changed, and finds what is forecast.
    /// A bid that changed is only followed where the forecast is for the bid; what will be judged by the
    /// next report is told then.
    fn foresee_all(&mut self, campaign: &Campaign, now: &Now, traffic: f64, changed: &[bool]) {
        for (&slot, &is_changed) in campaign.series.iter().zip(changed) {
            let Some(series) = self.series.get(slot) else {
                continue;
            };
            let bid = series.bid_micros;
            let is_known = |glance: &Glance| glance.is_for(bid);
            if is_changed {
                let cvr = series.basis.held_cvr;
                self.hear(slot, now, cvr, traffic);
            } else if series.glance.as_ref().is_some_and(is_known) {
                continue;
            } else {
                let glance = self.glance(slot, now.at_ms);
                if !is_known(&glance) {
                    self.answer(slot, now, traffic);
                }
            }
            let glance = self.glance(slot, now.at_ms);
            if let Some(series) = self.series.get_mut(slot) {
                series.glance = Some(glance);
            }
        }
    }

    /// Learns from what was heard since the round before; returns whether anything was.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
    fn learn(&mut self, campaign: &mut Campaign, now: &Now, desk: &mut Desk) -> bool {
        let definition = &campaign.definition;
        let clock = campaign.clock.filter(|clock| clock.shows(now.at_ms));
        let mut seen = Seen {
            at_ms: now.at_ms,
            interval_ms: now.interval_ms,
            rounds: now.rounds,
            heard_ms: None,
            every_rounds: campaign.rhythm.every_rounds,
            traffic: clock.map_or_else(|| campaign.traffic.at(now.at_ms), |clock| clock.traffic),
            flight_ms: (definition.ends_at_ms - definition.starts_at_ms).max(1) as f64,
        };
        // What the campaign's series have together is only asked for where one of them has news.
        let mut rates: Option<Rates> = campaign.common.map(|common| common.rates);
        let mut is_taught = false;
        for index in 0..campaign.series.len() + campaign.dropped.len() {
            let Some(slot) = campaign.slot(index) else {
                continue;
            };
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            let newest = if series.is_heard {
                self.windows.newest_tick(slot)
            } else {
                None
            };
            seen.heard_ms = newest
                .map(|newest| f64::from(since(now.tick, newest).max(0)) * f64::from(self.tick_ms));
            let lag_ms = series.watch.lag_ms as i64;
            let Some(ended) = series.watch.count(&series.account, &seen) else {
                continue;
            };
            let rates =
                *rates.get_or_insert_with(|| campaign.rates(&self.series, &mut desk.relatives));
            if seen.heard_ms.is_some() && index < campaign.series.len() {
                // As it was expected before anything of this report was learned.
                self.answer(slot, now, seen.traffic);
            }
            let Some(series) = self.series.get_mut(slot) else {
                continue;
            };
            let taught = series.watch.learn(&series.account, &seen, ended, &rates);
            is_taught = true;
            campaign.delays.learn(&taught.likely);
            if taught.usual > 0.0 {
                let at_ms = now.at_ms - lag_ms;
                campaign.traffic.learn(at_ms, taught.clicks, taught.usual);
            }
        }
        is_taught
    }
}

/// The day of a round, as a campaign's calendar has it.
struct Day {
    tick: u32,
    is_new: bool,
    is_first: bool,
}

impl Series {
    /// `receipts`: of what is in its window.
    fn open<R: Iterator<Item = Receipt>>(
        &mut self,
        now: &Now,
        day: &Day,
        tick_ms: u32,
        receipts: impl FnOnce() -> R,
    ) {
        let settled = self.account.settled;
        #[allow(clippy::cast_precision_loss)]
        let spent = settled.saturating_sub(self.settled_before).0 as f64;
        self.recent_spend = learned_amount(self.recent_spend * 0.8 + spent);
        self.settled_before = settled;
        if day.is_new {
            self.trail.begin_day(self.bid_micros);
        }
        if day.is_new && !day.is_first {
            let unit_micros = self.unit_micros;
            self.account.begin_day(day.tick, receipts(), unit_micros);
        } else {
            self.account.day_tick = Some(day.tick);
        }
        if let Some(evidence) = self.take_evidence(now.at_ms, now.tick, tick_ms) {
            self.account.release(evidence);
        }
        #[allow(clippy::cast_possible_truncation)] // it was an integer
        self.account.date_held(now.at_ms, now.interval_ms as i64);
    }
}
