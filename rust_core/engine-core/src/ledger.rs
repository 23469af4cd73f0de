//! The ledger of one series: what its reports have shown, and what its platform may still spend.
//!
//! Spend is known late, so a platform is given a **cap**: what it may have spent in total, ever,
//! before it must stop. Caps only rise. What a platform may still spend on its cap is reserved:
//! `reserved = max(cap − settled, 0)`. New caps come out of `budget − settled − reserved`, so that
//! settled + reserved stays within the budget whatever reports are still to come, unless a platform
//! passes its cap; that is booked, and leaves less room for everybody.
//!
//! Settled spend is exact: a report's spend is `spend_units × unit + spend_rest_micros`. A window's
//! 16-byte sample has no room for the rest, so the ledger keeps a receipt of its own for each sample
//! in the window. A restated report replaces its receipt and settles the difference; a report older
//! than the window has no receipt to replace, so its spend is added.

use crate::bytes::{Reader, Writer};
use crate::frame::Row;
use crate::money::Micros;
use crate::window::since;
use std::collections::VecDeque;

/// Settled spend never passes this: a row that would take it further is refused.
pub const MOST_SETTLED: i64 = 1 << 60;

/// What a report said that its window does not keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The sample's tick.
    pub tick: u32,
    /// Times shown.
    pub impressions: u32,
    /// Spend in whole units.
    pub spend_units: u32,
    /// Spend below one unit.
    pub spend_rest_micros: u16,
}

impl Receipt {
    /// Returns the receipt for a row.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        Self {
            tick: row.sample.tick,
            impressions: row.impressions,
            spend_units: row.sample.spend_units,
            spend_rest_micros: row.spend_rest_micros,
        }
    }

    /// Returns the exact spend: below 2^31 units of at most a million micros, so it cannot overflow.
    #[must_use]
    pub fn spend_micros(&self, unit_micros: u32) -> i64 {
        i64::from(self.spend_units) * i64::from(unit_micros) + i64::from(self.spend_rest_micros)
    }
}

/// The receipts of the samples in one window, ascending by tick.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipts {
    receipts: VecDeque<Receipt>,
}

impl Receipts {
    /// Returns how many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.receipts.len()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.receipts.is_empty()
    }

    /// Iterates them, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Receipt> {
        self.receipts.iter()
    }

    /// Returns the index of the first receipt whose tick is not before `tick`.
    fn index(&self, tick: u32) -> usize {
        self.receipts
            .partition_point(|receipt| since(receipt.tick, tick) < 0)
    }

    /// Puts a receipt in the place of the one of the same tick; returns that.
    pub fn replace(&mut self, receipt: Receipt) -> Option<Receipt> {
        let index = self.index(receipt.tick);
        let found = self
            .receipts
            .get_mut(index)
            .filter(|found| found.tick == receipt.tick)?;
        Some(std::mem::replace(found, receipt))
    }

    /// Adds a receipt for a tick that has none.
    pub fn add(&mut self, receipt: Receipt) {
        self.receipts.insert(self.index(receipt.tick), receipt);
    }

    /// Takes out the oldest receipt where its sample has left the window, which now begins at
    /// `oldest_tick` (`None`: is empty).
    pub fn leave(&mut self, oldest_tick: Option<u32>) -> Option<Receipt> {
        let first = self.receipts.front()?;
        if Some(first.tick) == oldest_tick {
            return None;
        }
        self.receipts.pop_front()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.count(self.len());
        for receipt in self.iter() {
            out.u32(receipt.tick);
            out.u32(receipt.impressions);
            out.u32(receipt.spend_units);
            out.u16(receipt.spend_rest_micros);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>, capacity: usize) -> Option<Self> {
        let count = reader.u32()? as usize;
        if count > capacity {
            return None;
        }
        let mut receipts: VecDeque<Receipt> = VecDeque::with_capacity(count);
        for _ in 0..count {
            let receipt = Receipt {
                tick: reader.u32()?,
                impressions: reader.u32()?,
                spend_units: reader.u32()?,
                spend_rest_micros: reader.u16()?,
            };
            receipts.push_back(receipt);
        }
        Some(Self { receipts })
    }
}

/// The account of one series.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Spend that reports have shown.
    pub settled: Micros,
    /// What the platform may have spent in total, ever, before it must stop. Never falls.
    pub cap: Micros,
    /// The part of `settled` that no receipt can change any more.
    pub passed: Micros,
    /// `settled` when the day began.
    pub day_opened: Micros,
    /// Times shown, in total.
    pub impressions: u64,
    /// The part of `impressions` that no receipt can change any more.
    pub passed_impressions: u64,
    /// Clicks, in total.
    pub clicks: u64,
    /// Conversions in thousandths, in total.
    pub milliconversions: u64,
}

impl Account {
    /// Returns what the platform may still spend on the cap it has.
    #[must_use]
    pub fn reserved(&self) -> Micros {
        self.cap.left_after(self.settled)
    }

    /// Returns the spend of the day.
    #[must_use]
    pub fn today(&self) -> Micros {
        self.settled.left_after(self.day_opened)
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
        self.impressions = (self.impressions + u64::from(new.impressions))
            .saturating_sub(u64::from(old.impressions));
        if !is_kept {
            self.pass(new, unit_micros);
        }
    }

    /// Notes that a receipt has left the window.
    pub fn pass(&mut self, receipt: Receipt, unit_micros: u32) {
        self.passed = self
            .passed
            .saturating_add(Micros(receipt.spend_micros(unit_micros)));
        self.passed_impressions += u64::from(receipt.impressions);
    }

    /// Counts clicks and conversions, in the place of those of the sample replaced.
    pub fn count(&mut self, new: (u32, u32), before: (u32, u32)) {
        self.clicks = (self.clicks + u64::from(new.0)).saturating_sub(u64::from(before.0));
        self.milliconversions =
            (self.milliconversions + u64::from(new.1)).saturating_sub(u64::from(before.1));
    }

    /// Raises the cap so that at most `wanted` is reserved, out of `room`; returns what it took.
    pub fn grant(&mut self, wanted: Micros, room: Micros) -> Micros {
        let before = self.reserved();
        let granted = Micros(wanted.left_after(before).0.min(room.0.max(0)));
        if granted > Micros::ZERO {
            self.cap = self.settled.saturating_add(before).saturating_add(granted);
        }
        granted
    }

    /// Takes over a cap from the chain: everything up to it is held to be spent.
    pub fn take_over(&mut self, cap: Micros) {
        let missing = cap.left_after(self.settled);
        if cap > self.cap {
            self.cap = cap;
            self.settled = self.settled.saturating_add(missing);
            self.passed = self.passed.saturating_add(missing);
        }
    }

    /// Returns settled spend and impressions recounted from the receipts.
    #[must_use]
    pub fn recount(&self, receipts: &Receipts, unit_micros: u32) -> (i64, u64) {
        receipts.iter().fold(
            (self.passed.0, self.passed_impressions),
            |(spend, shown), receipt| {
                (
                    spend + receipt.spend_micros(unit_micros),
                    shown + u64::from(receipt.impressions),
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
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut amount = || reader.i64().filter(|&found| found >= 0).map(Micros);
        Some(Self {
            settled: amount()?,
            cap: amount()?,
            passed: amount()?,
            day_opened: amount()?,
            impressions: reader.u64()?,
            passed_impressions: reader.u64()?,
            clicks: reader.u64()?,
            milliconversions: reader.u64()?,
        })
    }
}
