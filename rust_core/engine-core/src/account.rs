//! Accounts: caps over several campaigns, and the fleet's kill switch.
//!
//! A book knows of an account only the **share** that whoever publishes has dealt to its partition;
//! the shares of all partitions add up to the account's caps at most (docs/decisions/0004). Over the
//! book's campaigns of the account, settled + reserved stays within the share, as it does within the
//! budget of one. A campaign that names an account whose share is not known here must not bid.

use crate::bytes::{Reader, Writer};
use crate::campaign::{Campaign, Series};
use crate::definition::MOST_MICROS;
use crate::error::CoreError;
use crate::money::Micros;
use crate::verdict::{Binding, Purse};
use std::collections::BTreeMap;

/// Bytes of an account's row.
pub const ACCOUNT_BYTES: usize = 48;
/// In the place of a cap where there is none.
pub const NO_CAP: i64 = -1;
/// The most accounts that a book keeps.
pub const MOST_ACCOUNTS: usize = 1 << 16;

/// A partition's share of an account's caps. `NO_CAP`: no such cap; 0 is a cap of nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Share {
    pub key: u64,
    pub total_cap_micros: i64,
    pub daily_cap_micros: i64,
    /// From `later_from_ms` on (0: never) in the place of `daily_cap_micros`.
    pub later_daily_cap_micros: i64,
    pub later_from_ms: i64,
    pub is_halted: bool,
}

impl Share {
    /// Returns the shares in rows.
    ///
    /// # Errors
    /// `CoreError::Rows` where the bytes are no whole rows, `CoreError::Definition` for the first
    /// field that is refused.
    pub fn parse_all(rows: &[u8]) -> Result<Vec<Self>, CoreError> {
        let found = rows.len() as u64;
        if !rows.len().is_multiple_of(ACCOUNT_BYTES) {
            return Err(CoreError::Rows {
                what: "accounts",
                wanted: found.div_ceil(ACCOUNT_BYTES as u64) * ACCOUNT_BYTES as u64,
                found,
            });
        }
        let mut reader = Reader::new(rows);
        let mut shares = Vec::with_capacity(rows.len() / ACCOUNT_BYTES);
        while let Some(read) = Self::read(&mut reader) {
            shares.push(read?);
        }
        Ok(shares)
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Result<Self, CoreError>> {
        let key = reader.u64()?;
        let mut amount = || reader.i64();
        let (total, daily, later, from) = (amount()?, amount()?, amount()?, amount()?);
        let is_halted = reader.u8()?;
        let rest = reader.take(7)?;
        let refuse = |field, wanted, found: i128| {
            Some(Err(CoreError::Definition {
                key,
                field,
                wanted,
                found,
            }))
        };
        if key == 0 {
            return refuse("account", "a key other than 0", 0);
        }
        for (field, found) in [
            ("total_cap_micros", total),
            ("daily_cap_micros", daily),
            ("later_daily_cap_micros", later),
        ] {
            if !(NO_CAP..=MOST_MICROS).contains(&found) {
                return refuse(field, "-1 to 2^53", found.into());
            }
        }
        if !(0..=MOST_MICROS).contains(&from) {
            return refuse("later_from_ms", "0 to 2^53", from.into());
        }
        if is_halted > 1 {
            return refuse("is_halted", "0 or 1", is_halted.into());
        }
        if let Some(&bad) = rest.iter().find(|&&byte| byte != 0) {
            return refuse("reserved", "0", bad.into());
        }
        Some(Ok(Self {
            key,
            total_cap_micros: total,
            daily_cap_micros: daily,
            later_daily_cap_micros: later,
            later_from_ms: from,
            is_halted: is_halted == 1,
        }))
    }

    fn write(&self, out: &mut Writer) {
        out.u64(self.key);
        out.i64(self.total_cap_micros);
        out.i64(self.daily_cap_micros);
        out.i64(self.later_daily_cap_micros);
        out.i64(self.later_from_ms);
        out.u8(u8::from(self.is_halted));
        out.put(&[0; 7]);
    }

    fn daily_cap(&self, at_ms: i64) -> i64 {
        if self.later_from_ms > 0 && at_ms >= self.later_from_ms {
            self.later_daily_cap_micros
        } else {
            self.daily_cap_micros
        }
    }
}

/// What campaigns that have left an account had spent, or might yet spend.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Left {
    all: Micros,
    /// Of that, in the day that ends then.
    today: Micros,
    day_ends_ms: i64,
}

/// The accounts of one book.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Accounts {
    /// Nobody bids, whatever the account.
    pub(crate) is_halted: bool,
    shares: BTreeMap<u64, Share>,
    left: BTreeMap<u64, Left>,
}

/// What one account's campaigns here come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) settled: Micros,
    pub(crate) reserved: Micros,
    pub(crate) today: Micros,
    /// What the campaigns that are still to be decided in this round could use.
    pub(crate) need: i128,
    /// What the platforms of these may still spend on the caps given last.
    to_decide: Micros,
    /// What those of the campaigns that are decided may, and what is reserved on platforms that
    /// campaigns have left.
    decided: Micros,
}

/// What an account leaves to one of its campaigns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// To have newly reserved.
    pub(crate) more: Micros,
    /// Where settled + reserved is beyond the account's caps: what its platforms may at most still
    /// spend on theirs.
    pub(crate) most: Option<Micros>,
}

impl Room {
    /// Leaves no more in a campaign's purse; returns whether the account leaves less than the campaign's
    /// own caps do. `given`: what is reserved on the platforms that the campaign has.
    pub(crate) fn bind(self, purse: &mut Purse, given: Micros) -> bool {
        let excess = self
            .most
            .map_or(Micros::ZERO, |most| given.left_after(most));
        let is_tighter = self.more < purse.room || excess > purse.excess;
        purse.room = purse.room.min(self.more);
        purse.excess = purse.excess.max(excess);
        is_tighter
    }
}

/// The accounts of a book while a round is decided.
#[derive(Debug, Default)]
pub(crate) struct Round {
    sums: BTreeMap<u64, Sums>,
}

impl Accounts {
    pub(crate) fn put(&mut self, shares: Vec<Share>) {
        for share in shares {
            self.shares.insert(share.key, share);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shares.len()
    }

    pub(crate) fn has(&self, key: u64) -> bool {
        self.shares.contains_key(&key)
    }

    /// Keeps what a campaign that leaves its account has spent there, and may yet spend.
    pub(crate) fn leave(&mut self, key: u64, all: Micros, today: Micros, day_ends_ms: i64) {
        if key == 0 {
            return;
        }
        let left = self.left.entry(key).or_default();
        left.all = left.all.saturating_add(all);
        left.today = left.today.saturating_add(today);
        left.day_ends_ms = left.day_ends_ms.max(day_ends_ms);
    }

    /// Returns whether a campaign's account, or everybody, is halted.
    pub(crate) fn is_halted(&self, key: u64) -> bool {
        self.is_halted || self.shares.get(&key).is_some_and(|share| share.is_halted)
    }

    /// Returns what an account's campaigns may still have spent here, in all, by what is settled.
    /// `None`: no share is known here.
    fn left(&self, key: u64, sums: &Sums, at_ms: i64) -> Option<Micros> {
        let share = self.shares.get(&key)?;
        let left = self.left.get(&key).copied().unwrap_or_default();
        let most = |cap: i64| Micros(if cap == NO_CAP { i64::MAX } else { cap });
        let all = sums.settled.saturating_add(left.all);
        let left_today = if at_ms < left.day_ends_ms {
            left.today
        } else {
            Micros::ZERO
        };
        let today = sums.today.saturating_add(left_today);
        let total = most(share.total_cap_micros).left_after(all);
        Some(total.min(most(share.daily_cap(at_ms)).left_after(today)))
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.u8(u8::from(self.is_halted));
        out.count(self.shares.len());
        for share in self.shares.values() {
            share.write(out);
        }
        out.count(self.left.len());
        for (&key, left) in &self.left {
            out.u64(key);
            out.i64(left.all.0);
            out.i64(left.today.0);
            out.i64(left.day_ends_ms);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Result<Self, CoreError>> {
        let mut accounts = Self {
            is_halted: reader.u8()? == 1,
            ..Self::default()
        };
        for _ in 0..reader.u32()? {
            match Share::read(reader)? {
                Ok(share) => accounts.shares.insert(share.key, share),
                Err(error) => return Some(Err(error)),
            };
        }
        for _ in 0..reader.u32()? {
            let key = reader.u64()?;
            let amount = |found: Option<i64>| found.filter(|&found| found >= 0).map(Micros);
            let left = Left {
                all: amount(reader.i64())?,
                today: amount(reader.i64())?,
                day_ends_ms: reader.i64()?,
            };
            accounts.left.insert(key, left);
        }
        Some(Ok(accounts))
    }
}

impl Round {
    /// Counts a campaign in, before any is decided.
    pub(crate) fn count(&mut self, campaign: &Campaign, series: &[Series], at_ms: i64) {
        let definition = &campaign.definition;
        if definition.account == 0 {
            return;
        }
        let (settled, reserved) = campaign.totals(series);
        let sums = self.sums.entry(definition.account).or_default();
        sums.settled = sums.settled.saturating_add(settled);
        sums.reserved = sums.reserved.saturating_add(reserved);
        sums.today = sums.today.saturating_add(campaign.today(series));
        let (open, lost) = campaign.open(series);
        sums.to_decide = sums.to_decide.saturating_add(open);
        sums.decided = sums.decided.saturating_add(lost);
        sums.need += need(campaign, settled, at_ms);
    }

    /// Returns what is left to a campaign. It may newly have reserved its part of what the account
    /// has left, by what it could use against what those that follow it in this round could. Where
    /// nothing is left, because a cap was lowered or a platform has passed its own, it keeps its part
    /// of the caps that the account still allows, by those it has. `None` where it has no account.
    pub(crate) fn room(
        &self,
        accounts: &Accounts,
        campaign: &Campaign,
        (settled, open): (Micros, Micros),
        at_ms: i64,
    ) -> Option<Room> {
        let key = campaign.definition.account;
        if key == 0 {
            return None;
        }
        let part = |of: Micros, its: i128, all: i128| {
            let part = i128::from(of.0) * its / all.max(1);
            Micros(i64::try_from(part).unwrap_or(0).clamp(0, of.0))
        };
        let sums = self.sums.get(&key).copied().unwrap_or_default();
        let left = accounts.left(key, &sums, at_ms);
        let room = left.unwrap_or_default().left_after(sums.reserved);
        let beyond = left.filter(|&left| left < sums.reserved);
        Some(Room {
            more: part(room, need(campaign, settled, at_ms), sums.need),
            most: beyond.map(|left| {
                let all = i128::from(sums.to_decide.0);
                part(left.left_after(sums.decided), i128::from(open.0), all)
            }),
        })
    }

    /// Counts what a campaign was given, which may have had `open` until then.
    pub(crate) fn decided(
        &mut self,
        campaign: &Campaign,
        (settled, open): (Micros, Micros),
        (before, now): (Micros, Micros),
        at_ms: i64,
    ) {
        if let Some(sums) = self.sums.get_mut(&campaign.definition.account) {
            sums.reserved = sums.reserved.saturating_sub(before).saturating_add(now);
            sums.need -= need(campaign, settled, at_ms);
            sums.to_decide = sums.to_decide.left_after(open);
            sums.decided = sums.decided.saturating_add(campaign.rhythm.reserved);
        }
    }
}

/// Returns what a campaign could use of its account: what is left of its budget, while it may bid.
fn need(campaign: &Campaign, settled: Micros, at_ms: i64) -> i128 {
    let definition = &campaign.definition;
    let is_in_flight = (definition.starts_at_ms..definition.ends_at_ms).contains(&at_ms);
    if definition.is_active && is_in_flight {
        i128::from(Micros(definition.budget_micros).left_after(settled).0)
    } else {
        0
    }
}

/// Returns the reason to name for want of money: the account's where that was the tighter.
pub(crate) fn reason(binding: Binding, is_account_bound: bool) -> Binding {
    match binding {
        Binding::Budget | Binding::DailyCap if is_account_bound => Binding::AccountCap,
        other => other,
    }
}
