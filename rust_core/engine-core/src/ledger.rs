//! The ledger of one series: what its reports have shown, and what its platform may still spend.
//!
//! Spend is known late, so a platform is given a **cap**: what it may have spent in total, ever,
//! before it must stop. What a platform may still spend is reserved: `reserved = max(cap − settled,
//! 0)`. New caps come out of `budget − settled − reserved`, so that settled + reserved stays within
//! the budget whatever reports are still to come, unless a platform passes its cap; that is booked,
//! and leaves less room for everybody.
//!
//! A cap may be lowered, so that money does not stay with a platform that cannot spend it. The
//! higher cap is then **held**: reserved as before, for the platform may not have heard yet, and may
//! have spent by it what it has not reported. It is released by evidence alone: a report of a
//! stretch that ends after the lower cap was surely in force, from a producer of whom no earlier
//! frame is missing. What was spent by the higher cap is then settled, and from there on the platform
//! has kept to the lower one. Silence is no evidence, and neither is a report that overtook others.
//!
//! Settled spend is exact: a report's spend is `spend_units × unit + spend_rest_micros`. A window's
//! 16-byte sample has no room for the rest, so the ledger keeps a rest beside each sample in the
//! window: the two are its receipt. A restated report replaces its receipt and settles the difference;
//! a report older than the window has no receipt to replace, so its spend is added.

use crate::bytes::{Reader, Writer};
use crate::money::Micros;
use crate::verdict::Outlook;
use crate::window::since;

pub use crate::receipts::{Receipt, Rest};

/// Settled spend never passes this: a row that would take it further is refused.
pub const MOST_SETTLED: i64 = 1 << 60;
/// How long after the record of a lower cap a platform may still go by the higher one, and by how
/// much its clock may be ahead.
pub const APPLY_DELAY_MS: i64 = 10_000;
/// A producer that begins anew has sent, or given up, its forerunner's frames by then.
pub const TAKE_OVER_MS: i64 = 60_000;
/// The most caps held at a time: while there are as many, the cap is not lowered.
pub const MOST_HELD: usize = 8;

/// A cap that a lower one has superseded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// What the platform may have spent by then, in total.
    pub cap: Micros,
    /// From when on, for sure, the lower cap was in force. `None` until the round after: the record
    /// that lowers it may be stored long after its round was due.
    pub until_ms: Option<i64>,
    /// How many frames the book had counted.
    pub frames: u64,
}

/// What a report proves of the stretches before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// Everything that ended by then is reported.
    pub reported_ms: i64,
    /// How many frames the book had counted when it first heard of the report's producer.
    pub began: u64,
}

/// The account of one series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Spend that reports have shown.
    pub settled: Micros,
    /// What the platform may have spent in total, ever, before it must stop.
    pub cap: Micros,
    /// Caps above `cap` that the platform may still have gone by, the oldest and highest first.
    pub held: Vec<Held>,
    /// The part of `settled` that no receipt can change any more.
    pub passed: Micros,
    /// Of `settled`, what is of days before this one: a report counts to the day that its stretch
    /// ends in, however late it comes.
    pub day_opened: Micros,
    /// The tick at which the day began; `None` before the first round.
    pub day_tick: Option<u32>,
    /// Times shown, in total.
    pub impressions: u64,
    /// The part of `impressions` that no receipt can change any more.
    pub passed_impressions: u64,
    /// Clicks, in total.
    pub clicks: u64,
    /// Conversions in thousandths, in total.
    pub milliconversions: u64,
}

/// Returns what stays on offer to a platform whose part of what is reserved is to be `part`. Without a
/// bid it needs nothing. Where it has far more than its part, because it does not spend, the rest is
/// taken back, so that others may have it; not while the plan itself wants less for a moment.
#[must_use]
pub fn kept(outlook: &Outlook, has_bid: bool, part: i64, is_due: bool) -> Micros {
    if !has_bid {
        return Micros::ZERO;
    }
    let most = Micros(part.max(0).saturating_mul(3));
    if is_due {
        outlook.reserved.min(most)
    } else {
        outlook.reserved
    }
}

impl Account {
    /// Returns what the platform may have spent, or may yet spend, beyond what is settled.
    #[must_use]
    pub fn reserved(&self) -> Micros {
        let held = self.held.first().map_or(Micros::ZERO, |held| held.cap);
        self.cap.max(held).left_after(self.settled)
    }

    /// Returns what the platform may still spend on the cap it was given last.
    #[must_use]
    pub fn open(&self) -> Micros {
        self.cap.left_after(self.settled)
    }

    /// Returns whether more was spent than any cap allowed: the platform does not stop at its cap, as
    /// one does not that is told of caps now and then.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        let held = self.held.first().map_or(Micros::ZERO, |held| held.cap);
        self.settled > self.cap.max(held)
    }

    /// Returns the spend of the day.
    #[must_use]
    pub fn today(&self) -> Micros {
        self.settled.left_after(self.day_opened)
    }

    /// Begins a day: what is settled so far was spent before it, but for reports of the day itself that
    /// came before its first round. After an outage over midnight those are of hours.
    pub fn begin_day(
        &mut self,
        tick: u32,
        receipts: impl Iterator<Item = Receipt>,
        unit_micros: u32,
    ) {
        let already = receipts
            .filter(|receipt| since(receipt.sample.tick, tick) > 0)
            .fold(Micros::ZERO, |sum, receipt| {
                sum.saturating_add(Micros(receipt.spend_micros(unit_micros)))
            });
        self.day_opened = self.settled.left_after(already);
        self.day_tick = Some(tick);
    }

    /// Returns whether one more report of `spend` still fits.
    #[must_use]
    pub fn has_room_for(&self, spend: i64) -> bool {
        self.settled.0 <= MOST_SETTLED - spend
    }

    /// Settles a report. `before` is the receipt it replaces; its own may be replaced later only
    /// where it `is_kept`.
    pub fn settle(
        &mut self,
        new: Receipt,
        before: Option<Receipt>,
        unit_micros: u32,
        is_kept: bool,
    ) {
        let spend = Micros(new.spend_micros(unit_micros));
        let old = before.unwrap_or_default();
        self.settled = self
            .settled
            .saturating_add(spend)
            .left_after(Micros(old.spend_micros(unit_micros)));
        if self
            .day_tick
            .is_some_and(|day| since(new.sample.tick, day) <= 0)
        {
            self.day_opened = self
                .day_opened
                .saturating_add(spend)
                .left_after(Micros(old.spend_micros(unit_micros)));
        }
        self.impressions = replaced(
            self.impressions,
            new.rest.impressions(),
            old.rest.impressions(),
        );
        if !is_kept {
            self.pass(new, unit_micros);
        }
    }

    /// Notes that a receipt has left the window.
    pub fn pass(&mut self, receipt: Receipt, unit_micros: u32) {
        self.passed = self
            .passed
            .saturating_add(Micros(receipt.spend_micros(unit_micros)));
        self.passed_impressions = replaced(self.passed_impressions, receipt.rest.impressions(), 0);
    }

    /// Counts clicks and conversions, in the place of those of the sample replaced.
    pub fn count(&mut self, new: (u32, u32), before: (u32, u32)) {
        self.clicks = replaced(self.clicks, new.0, before.0);
        self.milliconversions = replaced(self.milliconversions, new.1, before.1);
    }

    /// Sets the cap so that the platform may still spend `wanted` on it, of which at most `room` is
    /// newly reserved; returns what is. `frames`: how many the book has counted.
    pub fn allot(&mut self, wanted: Micros, room: Micros, frames: u64) -> Micros {
        let open = self.open();
        if wanted < open {
            self.lower(self.settled.saturating_add(wanted), frames);
            return Micros::ZERO;
        }
        let before = self.reserved();
        let most = before.saturating_add(Micros(room.0.max(0)));
        let wanted = wanted.min(most);
        if wanted > open {
            self.cap = self.settled.saturating_add(wanted);
            // A cap is in force again that is no lower: what was held is reserved by it.
            while self.held.last().is_some_and(|held| held.cap <= self.cap) {
                self.held.pop();
            }
        }
        self.reserved().left_after(before)
    }

    fn lower(&mut self, cap: Micros, frames: u64) {
        if self.held.len() >= MOST_HELD {
            return; // as it is: reserved, and no worse
        }
        self.held.push(Held {
            cap: self.cap,
            until_ms: None,
            frames,
        });
        self.cap = cap;
    }

    /// Lets go of the caps that evidence has proven over.
    pub fn release(&mut self, evidence: Evidence) {
        let is_over = |held: &Held| {
            held.until_ms.is_some_and(|until_ms| {
                let is_same_producer = evidence.began <= held.frames;
                let grace_ms = if is_same_producer { 0 } else { TAKE_OVER_MS };
                evidence.reported_ms >= until_ms.saturating_add(grace_ms)
            })
        };
        while self.held.first().is_some_and(is_over) {
            self.held.remove(0);
        }
    }

    /// Notes that a round begins: what the round before lowered is stored by now, and in force after
    /// the delay. A round may be due up to an interval before it runs.
    pub fn date_held(&mut self, at_ms: i64, interval_ms: i64) {
        for held in &mut self.held {
            if held.until_ms.is_none() {
                held.until_ms = Some(
                    at_ms
                        .saturating_add(interval_ms)
                        .saturating_add(APPLY_DELAY_MS),
                );
            }
        }
    }

    /// Takes over a cap from the chain: everything up to it is held to be spent, by caps that were
    /// held and are below it too.
    pub fn take_over(&mut self, cap: Micros) {
        let missing = cap.left_after(self.settled);
        if cap > self.cap {
            self.cap = cap;
            self.held.retain(|held| held.cap > cap);
            self.settled = self.settled.saturating_add(missing);
            self.passed = self.passed.saturating_add(missing);
        }
    }

    /// Returns settled spend and impressions recounted from the receipts.
    #[must_use]
    pub fn recount(&self, receipts: impl Iterator<Item = Receipt>, unit_micros: u32) -> (i64, u64) {
        receipts.fold(
            (self.passed.0, self.passed_impressions),
            |(spend, shown), receipt| {
                (
                    spend.saturating_add(receipt.spend_micros(unit_micros)),
                    shown.saturating_add(u64::from(receipt.rest.impressions())),
                )
            },
        )
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for amount in [self.settled, self.cap, self.passed, self.day_opened] {
            out.i64(amount.0);
        }
        for count in [
            self.impressions,
            self.passed_impressions,
            self.clicks,
            self.milliconversions,
        ] {
            out.u64(count);
        }
        out.u8(u8::from(self.day_tick.is_some()));
        out.u32(self.day_tick.unwrap_or(0));
        out.count(self.held.len());
        for held in &self.held {
            out.i64(held.cap.0);
            out.i64(held.until_ms.unwrap_or(-1));
            out.u64(held.frames);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut amount = || reader.i64().filter(|&found| found >= 0).map(Micros);
        let mut account = Self {
            settled: amount()?,
            cap: amount()?,
            passed: amount()?,
            day_opened: amount()?,
            day_tick: None,
            impressions: reader.u64()?,
            passed_impressions: reader.u64()?,
            clicks: reader.u64()?,
            milliconversions: reader.u64()?,
            held: Vec::new(),
        };
        let (has_day, day_tick) = (reader.u8()? == 1, reader.u32()?);
        account.day_tick = has_day.then_some(day_tick);
        let count = reader.u32()? as usize;
        if count > MOST_HELD {
            return None;
        }
        for _ in 0..count {
            let held = Held {
                cap: Micros(reader.i64().filter(|&found| found >= 0)?),
                until_ms: reader.i64().map(|found| (found >= 0).then_some(found))?,
                frames: reader.u64()?,
            };
            let last = account.held.last();
            if held.cap <= account.cap || last.is_some_and(|last| last.cap <= held.cap) {
                return None;
            }
            account.held.push(held);
        }
        Some(account)
    }
}

/// Returns a count with a new report's in the place of an earlier one's.
fn replaced(count: u64, new: u32, before: u32) -> u64 {
    count
        .saturating_add(new.into())
        .saturating_sub(before.into())
}
