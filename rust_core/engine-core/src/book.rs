//! The book: all campaigns of a partition, with their windows, forecasts, pacing and ledger.
//!
//! A round is a pure function of the calls before it and its time: same calls, same bytes. Each call
//! checks everything, then changes; a refused one leaves the book as it was.

use crate::account::{Accounts, MOST_ACCOUNTS, Share};
use crate::calendar::Calendar;
use crate::campaign::{Campaign, Series};
use crate::definition::{Definition, MOST_SERIES};
use crate::error::CoreError;
use crate::frame::{Frame, Row};
use crate::ledger::MOST_SETTLED;
use crate::money::Micros;
use crate::producers::Producers;
use crate::receipts::{Keeper, Receipt, Rest, Rests};
use crate::table::KeyTable;
use crate::window::{Pushed, Windows, since};
use engine_memory::prefetch;
use std::collections::BTreeMap;
use std::slice::from_ref;

/// The most calendars that a book keeps: more than there are time zones and years to plan for.
pub const MOST_CALENDARS: usize = 4096;

/// How many rows ahead the samples of a series are asked for, and half of how many its account is.
const AHEAD: usize = 12;

/// All campaigns of a partition.
///
/// ```
/// use engine_core::book::Book;
///
/// let mut book = Book::new(64, 1, 2000)?;
/// let round = book.decide(1_700_000_000_000)?;
/// assert!(round.decisions.is_empty());
/// assert!(book.decide(1_700_000_000_000).is_err(), "no round twice");
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Book {
    pub(crate) tick_ms: u32,
    pub(crate) interval_ms: u32,
    pub(crate) windows: Windows,
    pub(crate) rests: Rests,
    /// By slot, as the windows are. A free slot's key is 0.
    pub(crate) series: Vec<Series>,
    pub(crate) free: Vec<usize>,
    /// Slot by series key.
    pub(crate) slots: KeyTable,
    /// Ascending by key.
    pub(crate) campaigns: Vec<Campaign>,
    pub(crate) calendars: BTreeMap<u32, Calendar>,
    pub(crate) accounts: Accounts,
    pub(crate) producers: Producers,
    pub(crate) decided_at_ms: Option<i64>,
}

/// What became of the rows of a frame: the five counts add up to the frame's.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ingested {
    /// New samples.
    pub accepted: u32,
    /// Rows that restated an earlier report, the same one again included.
    pub replaced: u32,
    /// Rows older than their window: their spend is settled, the window unchanged.
    pub late: u32,
    /// Rows of series that no campaign here has.
    pub unknown: u32,
    /// Rows out of range.
    pub refused: u32,
    /// Whether the frame had been ingested before: nothing was counted.
    pub is_duplicate: bool,
}

/// One campaign's line of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LedgerLine {
    /// The campaign's key.
    pub campaign: u64,
    /// What reports have shown.
    pub settled: Micros,
    /// What platforms may still spend on caps given.
    pub reserved: Micros,
}

impl Book {
    /// Returns an empty book of windows of up to `window` samples, whose times are counted in ticks
    /// of `tick_ms`, and whose rounds come every `interval_ms`.
    ///
    /// # Errors
    /// `CoreError::Capacity`, or `CoreError::OutOfRange` for the two times.
    pub fn new(window: usize, tick_ms: u32, interval_ms: u32) -> Result<Self, CoreError> {
        let refuse = |what, wanted, found| {
            Err(CoreError::OutOfRange {
                what,
                wanted,
                found: i128::from(found),
            })
        };
        if !(1..=60_000).contains(&tick_ms) {
            return refuse("tick_ms", "1 to 60000", tick_ms);
        }
        if !(1..=86_400_000).contains(&interval_ms) {
            return refuse("interval_ms", "1 to 86400000", interval_ms);
        }
        Ok(Self {
            tick_ms,
            interval_ms,
            windows: Windows::new(window)?,
            rests: Rests::default(),
            series: Vec::new(),
            free: Vec::new(),
            slots: KeyTable::default(),
            campaigns: Vec::new(),
            calendars: BTreeMap::from([(0, Calendar::utc())]),
            accounts: Accounts::default(),
            producers: Producers::default(),
            decided_at_ms: None,
        })
    }

    /// Returns how many campaigns there are.
    #[must_use]
    pub fn campaigns(&self) -> usize {
        self.campaigns.len()
    }

    /// Returns how many series there are, those that their campaigns dropped included.
    #[must_use]
    pub fn series(&self) -> usize {
        self.slots.len()
    }

    /// Sets when the days of a time zone begin, and from when on its clocks are how far ahead of UTC
    /// (pairs of an instant and milliseconds). Calendar 0 is UTC's until it is set.
    ///
    /// # Errors
    /// `CoreError::Calendar` where there is no midnight, one is out of order, or there are too many.
    pub fn set_calendar(
        &mut self,
        calendar: u32,
        midnights_ms: Vec<i64>,
        offsets_ms: Vec<(i64, i64)>,
    ) -> Result<(), CoreError> {
        let table = Calendar::new(midnights_ms)?.with_offsets(offsets_ms)?;
        if self.calendars.len() >= MOST_CALENDARS && !self.calendars.contains_key(&calendar) {
            let found = i64::from(calendar);
            return Err(CoreError::Calendar {
                wanted: "a number among the first 4096",
                found,
            });
        }
        self.calendars.insert(calendar, table);
        Ok(())
    }

    /// Adds or replaces this partition's shares of accounts' caps.
    ///
    /// # Errors
    /// `CoreError::Rows`, `Definition`, or `OutOfRange` where there are too many.
    pub fn put_accounts(&mut self, rows: &[u8]) -> Result<(), CoreError> {
        let shares = Share::parse_all(rows)?;
        let new = shares.iter().filter(|share| !self.accounts.has(share.key));
        let all = self.accounts.len() + new.count();
        if all > MOST_ACCOUNTS {
            return Err(CoreError::OutOfRange {
                what: "accounts",
                wanted: "at most 65536",
                found: all as i128,
            });
        }
        self.accounts.put(shares);
        Ok(())
    }

    /// Halts all campaigns from the next round on, or lets them go on.
    pub fn set_halted(&mut self, is_halted: bool) {
        self.accounts.is_halted = is_halted;
    }

    /// Adds or replaces campaigns. One replaced keeps the windows, ledger and pacing of the series it
    /// still has; those it drops bid no more, but their reports and reservations still count.
    ///
    /// # Errors
    /// `CoreError::Rows`, `Definition`, `DefinitionRatio`, or `KeyTaken` where two campaigns or series
    /// have one key; `UnknownKey` for a calendar that was not set.
    pub fn put(&mut self, campaigns: &[u8], series: &[u8]) -> Result<(), CoreError> {
        let definitions = Definition::parse_all(campaigns, series)?;
        self.check_put(&definitions)?;
        let known = self.campaigns.len();
        for definition in definitions {
            let found = self.campaigns.get(..known).unwrap_or_default();
            match found.binary_search_by_key(&definition.key, |known| known.definition.key) {
                Ok(index) => self.replace(index, definition),
                Err(_) => self.add(definition),
            }
        }
        self.campaigns
            .sort_unstable_by_key(|campaign| campaign.definition.key);
        Ok(())
    }

    fn check_put(&self, definitions: &[Definition]) -> Result<(), CoreError> {
        let campaigns = definitions.iter().map(|definition| definition.key);
        no_key_twice("campaign", campaigns.collect())?;
        let series = definitions.iter().flat_map(|definition| &definition.series);
        no_key_twice("series", series.map(|series| series.key).collect())?;
        definitions
            .iter()
            .try_for_each(|definition| self.check_one(definition))
    }

    fn check_one(&self, definition: &Definition) -> Result<(), CoreError> {
        let key = definition.key;
        for series in &definition.series {
            let owner = self.find_series(series.key).map(|found| found.campaign);
            if owner.is_some_and(|owner| owner != key) {
                return Err(CoreError::KeyTaken {
                    what: "series",
                    found: series.key,
                });
            }
        }
        if !self.calendars.contains_key(&definition.calendar) {
            let found = u64::from(definition.calendar);
            return Err(CoreError::UnknownKey {
                what: "calendar",
                found,
            });
        }
        let Some(before) = self.find(key) else {
            return Ok(());
        };
        let refuse = |field, wanted, found| {
            Err(CoreError::Definition {
                key,
                field,
                wanted,
                found,
            })
        };
        if definition.unit_micros != before.definition.unit_micros {
            // Receipts count in units: another currency is another campaign.
            let found = i128::from(definition.unit_micros);
            return refuse("unit_micros", "what it was before", found);
        }
        let is_kept = |key: u64| definition.series.iter().any(|series| series.key == key);
        let held = before.slots().filter_map(|slot| self.series.get(slot));
        let dropped = held.filter(|series| !is_kept(series.key)).count();
        let all = definition.series.len() + dropped;
        if all > MOST_SERIES {
            return refuse(
                "series_count",
                "1 to 256 with those dropped before",
                all as i128,
            );
        }
        Ok(())
    }

    fn add(&mut self, definition: Definition) {
        let mut campaign = Campaign::new(definition);
        campaign.series = self.slots_for(&campaign.definition);
        self.campaigns.push(campaign);
    }

    fn replace(&mut self, index: usize, definition: Definition) {
        self.leave_account(index, definition.account);
        let slots = self.slots_for(&definition);
        let Some(campaign) = self.campaigns.get_mut(index) else {
            return;
        };
        let mut dropped: Vec<usize> = campaign
            .slots()
            .filter(|slot| !slots.contains(slot))
            .collect();
        dropped.sort_unstable_by_key(|&slot| self.series.get(slot).map(|series| series.key));
        for &slot in &dropped {
            if let Some(series) = self.series.get_mut(slot) {
                series.bid_micros = 0;
            }
        }
        // The first round with the new definition reports it, whatever it decides.
        campaign.told = None;
        campaign.solved = None;
        (campaign.common, campaign.clock) = (None, None);
        campaign.series = slots;
        campaign.dropped = dropped;
        campaign.definition = definition;
    }

    /// Keeps a campaign's spend with its account, where it changes to another one.
    fn leave_account(&mut self, index: usize, next: u64) {
        let Some(campaign) = self.campaigns.get(index) else {
            return;
        };
        let definition = &campaign.definition;
        if definition.account == next {
            return;
        }
        let (settled, reserved) = campaign.totals(&self.series);
        let today = campaign.today(&self.series).saturating_add(reserved);
        let (_, day_ends_ms) = self.day(definition.calendar, self.decided_at_ms.unwrap_or(0));
        let all = settled.saturating_add(reserved);
        let account = definition.account;
        self.accounts.leave(account, all, today, day_ends_ms);
    }

    /// Returns the slots of a definition's series, in order; new ones for those not known.
    fn slots_for(&mut self, definition: &Definition) -> Vec<usize> {
        let mut slots = Vec::with_capacity(definition.series.len());
        for series in &definition.series {
            let known = self.slots.get(series.key);
            slots.push(known.unwrap_or_else(|| {
                self.add_series(Series::new(
                    series.key,
                    definition.key,
                    definition.unit_micros,
                ))
            }));
        }
        slots
    }

    pub(crate) fn add_series(&mut self, series: Series) -> usize {
        let key = series.key;
        let slot = if let Some(slot) = self.free.pop() {
            if let Some(place) = self.series.get_mut(slot) {
                *place = series;
            }
            slot
        } else {
            self.series.push(series);
            let slot = self.windows.add();
            self.rests.resize(&self.windows);
            slot
        };
        self.slots.insert(key, slot);
        slot
    }

    /// Forgets a campaign with all it had; returns whether there was one.
    pub fn remove(&mut self, campaign: u64) -> bool {
        let Ok(index) = self.index(campaign) else {
            return false;
        };
        self.leave_account(index, 0);
        let campaign = self.campaigns.remove(index);
        for slot in campaign.slots() {
            self.windows.clear(slot); // what it spent is with the account now
            if let Some(series) = self.series.get_mut(slot) {
                self.slots.remove(series.key);
                *series = Series::default();
            }
            self.free.push(slot);
        }
        true
    }

    /// Counts a whole frame in; a frame that was counted before changes nothing.
    ///
    /// # Errors
    /// `CoreError::Frame` where it is malformed as a whole.
    pub fn ingest(&mut self, frame: &[u8]) -> Result<Ingested, CoreError> {
        let frame = Frame::parse(frame, self.tick_ms)?;
        if !self
            .producers
            .note(frame.producer, frame.partition, frame.sequence)
        {
            return Ok(Ingested {
                is_duplicate: true,
                ..Ingested::default()
            });
        }
        let mut ingested = Ingested::default();
        let whole_since = self.producers.whole_since(frame.producer, frame.partition);
        let slots = self.slots_of(&frame);
        for &slot in slots.iter().take(2 * AHEAD) {
            self.fetch_state(slot);
        }
        for &slot in slots.iter().take(AHEAD) {
            self.fetch_samples(slot);
        }
        for (index, (row, &slot)) in frame.rows().zip(&slots).enumerate() {
            if let Some(&later) = slots.get(index + 2 * AHEAD) {
                self.fetch_state(later);
            }
            if let Some(&later) = slots.get(index + AHEAD) {
                self.fetch_samples(later);
            }
            self.count(&row, slot, frame.unit_micros, whole_since, &mut ingested);
        }
        Ok(ingested)
    }

    /// Returns the slot of each row of a frame, one that does not exist where no campaign here has
    /// the series. Each look-up misses the cache: they are asked for ahead too.
    fn slots_of(&self, frame: &Frame<'_>) -> Vec<usize> {
        let mut ahead = frame.rows().skip(AHEAD);
        let slot = |row: Row| {
            if let Some(later) = ahead.next() {
                self.slots.fetch(later.series);
            }
            self.slots.get(row.series).unwrap_or(usize::MAX)
        };
        frame.rows().map(slot).collect()
    }

    /// Asks for the header of a series' window and for its account.
    fn fetch_state(&self, slot: usize) {
        self.windows.fetch_header(slot);
        if let Some(series) = self.series.get(slot) {
            let account = &series.account;
            prefetch(from_ref(&account.settled), 0);
            prefetch(from_ref(&account.milliconversions), 0);
            prefetch(from_ref(&series.proof), 0);
        }
    }

    /// Asks for what a report changes in the window of a series.
    fn fetch_samples(&self, slot: usize) {
        self.windows.fetch_samples(slot);
        self.rests.fetch(&self.windows, slot);
    }

    fn count(
        &mut self,
        row: &Row,
        slot: usize,
        unit_micros: u32,
        whole_since: Option<u64>,
        ingested: &mut Ingested,
    ) {
        let Some(series) = self.series.get_mut(slot) else {
            ingested.unknown += 1;
            return;
        };
        let new = row.receipt();
        let is_in_range = unit_micros == series.unit_micros
            && row.is_in_range(unit_micros)
            && series.account.has_room_for(new.spend_micros(unit_micros));
        if !is_in_range {
            ingested.refused += 1;
            return;
        }
        let mut keeper = Keeper {
            ring: self.rests.ring_mut(&self.windows, slot),
            account: &mut series.account,
            unit_micros,
            rest: new.rest,
        };
        let Ok(pushed) = self.windows.push_with(slot, row.sample, &mut keeper) else {
            ingested.refused += 1;
            return;
        };
        let overwritten = keeper.rest;
        series.is_heard = true;
        series.note_proof(row.sample.tick, whole_since);
        let (mut before, mut is_kept) = (None, true);
        match pushed {
            Pushed::Accepted => ingested.accepted += 1,
            Pushed::Replaced { before: sample } => {
                ingested.replaced += 1;
                let rest = overwritten;
                before = Some(Receipt { sample, rest });
            }
            Pushed::Late => {
                ingested.late += 1;
                is_kept = false;
            }
        }
        series.account.settle(new, before, unit_micros, is_kept);
        let old = before.unwrap_or_default().sample;
        series.account.count(
            (row.sample.clicks, row.sample.milliconversions),
            (old.clicks, old.milliconversions),
        );
    }

    /// Lets go of all that a series' window holds; what that spent stays settled.
    pub(crate) fn empty(&mut self, slot: usize) {
        if let Some(series) = self.series.get_mut(slot) {
            let mut keeper = Keeper {
                ring: self.rests.ring_mut(&self.windows, slot),
                account: &mut series.account,
                unit_micros: series.unit_micros,
                rest: Rest::default(),
            };
            self.windows.clear_with(slot, &mut keeper);
        }
    }

    /// Returns the day that holds an instant: when it began, and when the next begins.
    pub(crate) fn day(&self, calendar: u32, at_ms: i64) -> (i64, i64) {
        self.calendars
            .get(&calendar)
            .map_or((at_ms, at_ms), |calendar| calendar.day(at_ms))
    }

    /// Returns the tick of an instant, modulo 2^32.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo is what is meant
    pub(crate) fn tick(&self, at_ms: i64) -> u32 {
        at_ms.div_euclid(i64::from(self.tick_ms)) as u32
    }

    /// Returns every campaign's line of the ledger, ascending by key.
    #[must_use]
    pub fn ledger(&self) -> Vec<LedgerLine> {
        let line = |campaign: &Campaign| {
            let (settled, reserved) = campaign.totals(&self.series);
            LedgerLine {
                campaign: campaign.definition.key,
                settled,
                reserved,
            }
        };
        self.campaigns.iter().map(line).collect()
    }

    /// Raises a campaign's settled spend to at least an amount that the chain has recorded.
    ///
    /// # Errors
    /// `CoreError::UnknownKey`, or `OutOfRange` for the amount.
    pub fn raise_settled(&mut self, campaign: u64, settled: Micros) -> Result<(), CoreError> {
        check_amount("settled_micros", settled)?;
        let index = self.index(campaign)?;
        if let Some(campaign) = self.campaigns.get_mut(index) {
            let (known, _) = campaign.totals(&self.series);
            campaign.carried = campaign.carried.saturating_add(settled.left_after(known));
        }
        Ok(())
    }

    /// Raises a series' cap to at least what the chain has recorded as given. Everything up to it is
    /// held to be spent, for nothing here knows better: what the platform did spend of it is in
    /// reports that are no more.
    ///
    /// # Errors
    /// `CoreError::UnknownKey`, or `OutOfRange` for the amount.
    pub fn raise_cap(&mut self, series: u64, cap: Micros) -> Result<(), CoreError> {
        check_amount("cap_micros", cap)?;
        let slot = self
            .slots
            .get(series)
            .and_then(|slot| self.series.get_mut(slot));
        let found = slot.ok_or(CoreError::UnknownKey {
            what: "series",
            found: series,
        })?;
        found.account.take_over(cap);
        Ok(())
    }

    pub(crate) fn index(&self, campaign: u64) -> Result<usize, CoreError> {
        let found = self
            .campaigns
            .binary_search_by_key(&campaign, |known| known.definition.key);
        found.map_err(|_| CoreError::UnknownKey {
            what: "campaign",
            found: campaign,
        })
    }

    pub(crate) fn find(&self, campaign: u64) -> Option<&Campaign> {
        self.campaigns.get(self.index(campaign).ok()?)
    }

    pub(crate) fn find_series(&self, key: u64) -> Option<&Series> {
        self.series.get(self.slots.get(key)?)
    }
}

impl Series {
    /// Notes what a report proves: the newest tick of those whose producers are whole.
    fn note_proof(&mut self, tick: u32, whole_since: Option<u64>) {
        let Some(began) = whole_since else {
            return;
        };
        if self.proof.is_none_or(|(newest, _)| since(tick, newest) > 0) {
            self.proof = Some((tick, began));
        }
    }
}

fn check_amount(what: &'static str, amount: Micros) -> Result<(), CoreError> {
    if (0..=MOST_SETTLED).contains(&amount.0) {
        return Ok(());
    }
    Err(CoreError::OutOfRange {
        what,
        wanted: "0 to 2^60",
        found: i128::from(amount.0),
    })
}

fn no_key_twice(what: &'static str, mut keys: Vec<u64>) -> Result<(), CoreError> {
    keys.sort_unstable();
    let twice = keys.iter().zip(keys.iter().skip(1)).find(|(a, b)| a == b);
    twice.map_or(Ok(()), |(&found, _)| {
        Err(CoreError::KeyTaken { what, found })
    })
}
