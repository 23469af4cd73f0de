//! Snapshots: the whole state of a book as bytes, and back.
//!
//! `restore(snapshot())` decides to the bit as the book would have. A snapshot is a magic, a version,
//! a length, the state and a checksum over all of it; slots are not part of it, so equal books give
//! equal bytes, however their memory came about. Bytes that are none, or damaged, or cut off, are
//! refused: lengths are checked against what is there before anything is set aside for them, and what
//! was read is recounted before anybody decides with it.

use crate::account::Accounts;
use crate::book::Book;
use crate::bytes::{Reader, Writer};
use crate::campaign::{Campaign, Rhythm, Series, Told};
use crate::definition::{CAMPAIGN_BYTES, Definition, SERIES_BYTES, SERIES_COUNT_AT};
use crate::error::CoreError;
use crate::guard::Trail;
use crate::ledger::Account;
use crate::money::Micros;
use crate::outlook::foresight::Foresight;
use crate::pacing::Pacing;
use crate::producers::Producers;
use crate::receipts::Rest;
use crate::shadow::{Holds, Solved};
use crate::traffic::Traffic;
use crate::watch::Watch;
use crate::window::Sample;
use crate::worth::Delays;
use engine_memory::reserve_huge;

const MAGIC: u64 = u64::from_le_bytes(*b"CEBOOK\0\0");
const VERSION: u32 = 6;
const HEADER_BYTES: usize = 20;
const LENGTH_AT: std::ops::Range<usize> = 12..20;
const CHECKSUM_BYTES: usize = 8;
/// No series takes less: what is set aside for so many is there.
const LEAST_SERIES_BYTES: usize = 128;

impl Book {
    /// Returns the length of a tick of its samples' times.
    #[must_use]
    pub fn tick_ms(&self) -> u32 {
        self.tick_ms
    }

    /// Returns the whole state, checksummed.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::with_capacity(self.snapshot_room());
        out.u64(MAGIC);
        out.u32(VERSION);
        out.u64(0);
        self.write(&mut out);
        let length = (out.bytes.len() - HEADER_BYTES) as u64;
        if let Some(place) = out.bytes.get_mut(LENGTH_AT) {
            place.copy_from_slice(&length.to_le_bytes());
        }
        out.u64(checksum(&out.bytes));
        out.bytes
    }

    /// Returns more bytes than a snapshot nearly ever has: memory that is moved while it grows costs
    /// as much as what is written into it, and what is never written to costs nothing.
    fn snapshot_room(&self) -> usize {
        let samples: usize = (0..self.series.len())
            .map(|slot| self.windows.len(slot))
            .sum();
        4096 + 2048 * (self.campaigns.len() + self.slots.len()) + 22 * samples
    }

    /// Returns the book that a snapshot was taken of.
    ///
    /// # Errors
    /// `CoreError::Snapshot` where the bytes are no whole, undamaged snapshot of this version, and
    /// the error of whatever its state holds that no book would have taken.
    pub fn restore(snapshot: &[u8]) -> Result<Self, CoreError> {
        let refuse = |part, wanted, found| CoreError::Snapshot {
            part,
            wanted,
            found,
        };
        let length = snapshot.len() as u64;
        let least = (HEADER_BYTES + CHECKSUM_BYTES) as u64;
        let mut reader = Reader::new(snapshot);
        let header = (|| Some((reader.u64()?, reader.u32()?, reader.u64()?)))();
        let (magic, version, found) = header.ok_or(refuse("length", least, length))?;
        if magic != MAGIC {
            return Err(refuse("magic", MAGIC, magic));
        }
        if version != VERSION {
            return Err(refuse("version", u64::from(VERSION), u64::from(version)));
        }
        if length.checked_sub(least) != Some(found) {
            return Err(refuse("length", length.saturating_sub(least), found));
        }
        let (body, end) = snapshot.split_at(snapshot.len() - CHECKSUM_BYTES);
        let found = Reader::new(end).u64().unwrap_or_default();
        if checksum(body) != found {
            return Err(refuse("checksum", checksum(body), found));
        }
        let mut reader = Reader::new(body);
        reader.take(HEADER_BYTES);
        let left = |reader: &Reader<'_>| reader.remaining() as u64;
        let book = Self::read(&mut reader);
        let book = book.unwrap_or_else(|| Err(refuse("state", 1, 0)))?;
        if reader.remaining() > 0 {
            return Err(refuse("bytes after the state", 0, left(&reader)));
        }
        book.verify_ledger()?; // the headers are recounts already
        Ok(book)
    }

    /// Recounts every window from its ring, and the ledger from its parts.
    ///
    /// # Errors
    /// `CoreError::HeaderDiffers` or `CoreError::CountDiffers` for the first difference.
    pub fn verify(&self) -> Result<(), CoreError> {
        let slots = self.campaigns.iter().flat_map(Campaign::slots);
        slots
            .into_iter()
            .try_for_each(|slot| self.windows.verify(slot))?;
        self.verify_ledger()
    }

    fn verify_ledger(&self) -> Result<(), CoreError> {
        let differ = |what, key, wanted: i128, found: i128| {
            if wanted == found {
                return Ok(());
            }
            Err(CoreError::CountDiffers {
                what,
                key,
                wanted,
                found,
            })
        };
        let mut counted = 0;
        for campaign in &self.campaigns {
            let definition = &campaign.definition;
            for slot in campaign.slots() {
                counted += 1;
                let Some(series) = self.series.get(slot) else {
                    continue;
                };
                let key = series.key;
                let known = self.slots.get(key).map_or(-1, |slot| slot as i128);
                differ("slot", key, slot as i128, known)?;
                differ(
                    "campaign",
                    key,
                    definition.key.into(),
                    series.campaign.into(),
                )?;
                differ(
                    "unit_micros",
                    key,
                    definition.unit_micros.into(),
                    series.unit_micros.into(),
                )?;
                let receipts = self.rests.receipts(&self.windows, slot);
                let (settled, impressions) = series.account.recount(receipts, series.unit_micros);
                differ(
                    "settled_micros",
                    key,
                    settled.into(),
                    series.account.settled.0.into(),
                )?;
                differ(
                    "impressions",
                    key,
                    impressions.into(),
                    series.account.impressions.into(),
                )?;
            }
        }
        differ("series", 0, counted, self.slots.len() as i128)
    }

    fn write(&self, out: &mut Writer) {
        out.u32(u32::try_from(self.windows.capacity()).unwrap_or(0));
        out.u32(self.tick_ms);
        out.u32(self.interval_ms);
        out.count(self.slots.len());
        out.i64(self.decided_at_ms.unwrap_or(-1));
        out.count(self.calendars.len());
        for (&number, calendar) in &self.calendars {
            out.u32(number);
            out.count(calendar.midnights_ms().len());
            calendar
                .midnights_ms()
                .iter()
                .for_each(|&midnight| out.i64(midnight));
            out.count(calendar.offsets_ms().len());
            for &(from_ms, offset_ms) in calendar.offsets_ms() {
                out.i64(from_ms);
                out.i64(offset_ms);
            }
        }
        self.accounts.write(out);
        self.producers.write(out);
        out.count(self.campaigns.len());
        for campaign in &self.campaigns {
            campaign.definition.write(out);
            campaign.write(out);
            out.count(campaign.dropped.len());
            for slot in campaign.slots() {
                self.write_series(out, slot);
            }
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Result<Self, CoreError>> {
        let (window, tick_ms, interval_ms) = (reader.u32()?, reader.u32()?, reader.u32()?);
        let mut book = match Self::new(window as usize, tick_ms, interval_ms) {
            Ok(book) => book,
            Err(error) => return Some(Err(error)),
        };
        let series = reader.u32()? as usize;
        book.reserve(series.min(reader.remaining() / LEAST_SERIES_BYTES));
        let decided_at_ms = reader.i64()?;
        book.decided_at_ms = (decided_at_ms >= 0).then_some(decided_at_ms);
        for _ in 0..reader.u32()? {
            let (number, count) = (reader.u32()?, reader.u32()? as usize);
            let midnights = reader.take(count.checked_mul(8)?)?;
            let mut midnights = Reader::new(midnights);
            let midnights: Option<Vec<i64>> = (0..count).map(|_| midnights.i64()).collect();
            let count = reader.u32()? as usize;
            let offsets = reader.take(count.checked_mul(16)?)?;
            let mut offsets = Reader::new(offsets);
            let offsets: Option<Vec<(i64, i64)>> = (0..count)
                .map(|_| Some((offsets.i64()?, offsets.i64()?)))
                .collect();
            if let Err(error) = book.set_calendar(number, midnights?, offsets?) {
                return Some(Err(error));
            }
        }
        book.accounts = match Accounts::read(reader)? {
            Ok(accounts) => accounts,
            Err(error) => return Some(Err(error)),
        };
        book.producers = Producers::read(reader)?;
        for _ in 0..reader.u32()? {
            if let Err(error) = book.read_campaign(reader)? {
                return Some(Err(error));
            }
        }
        (book.slots.len() == series).then_some(Ok(book))
    }

    /// Sets aside what so many more series will take, at once: grown into, it is moved again and again.
    fn reserve(&mut self, series: usize) {
        reserve_huge(&mut self.series, series);
        self.windows.reserve(series);
        self.rests.reserve(series * self.windows.capacity());
    }

    fn read_campaign(&mut self, reader: &mut Reader<'_>) -> Option<Result<(), CoreError>> {
        let row = reader.take(CAMPAIGN_BYTES)?;
        let count = Reader::new(row.get(SERIES_COUNT_AT..)?).u16()?;
        let series = reader.take(usize::from(count) * SERIES_BYTES)?;
        let definition = match Definition::read(&mut Reader::new(row), &mut Reader::new(series)) {
            Ok(definition) => definition,
            Err(error) => return Some(Err(error)),
        };
        if self
            .campaigns
            .last()
            .is_some_and(|last| last.definition.key >= definition.key)
            || !self.calendars.contains_key(&definition.calendar)
        {
            return None;
        }
        let wanted = definition.series.iter().map(|series| series.key);
        let wanted: Vec<u64> = wanted.collect();
        let mut campaign = Campaign::new(definition);
        campaign.read(reader)?;
        let dropped = reader.u32()? as usize;
        for index in 0..wanted.len() + dropped {
            let slot = match self.read_series(reader, &campaign.definition)? {
                Ok(slot) => slot,
                Err(error) => return Some(Err(error)),
            };
            match wanted.get(index) {
                Some(&key) if self.series.get(slot)?.key == key => campaign.series.push(slot),
                Some(_) => return None,
                None => campaign.dropped.push(slot),
            }
        }
        self.campaigns.push(campaign);
        Some(Ok(()))
    }

    fn write_series(&self, out: &mut Writer, slot: usize) {
        let Some((series, header)) = self.series.get(slot).zip(self.windows.header(slot)) else {
            return;
        };
        out.u64(series.key);
        series.account.write(out);
        out.u8(u8::from(series.is_heard));
        let (tick, began) = series.proof.unwrap_or_default();
        out.u8(u8::from(series.proof.is_some()));
        out.u32(tick);
        out.u64(began);
        out.i64(series.bid_micros);
        series.trail.write(out);
        out.i64(series.settled_before.0);
        out.f64(series.recent_spend);
        out.i64(series.told.0);
        out.i64(series.told.1.0);
        series.watch.write(out);
        out.u8(u8::from(series.foresight.is_some()));
        if let Some(foresight) = &series.foresight {
            foresight.write(out);
        }
        out.count(header.head());
        out.u32(header.reference());
        out.count(self.windows.len(slot));
        let (older, newer) = self.windows.slices(slot);
        out.all(older, |sample| sample.to_bytes());
        out.all(newer, |sample| sample.to_bytes());
        let (older, newer) = self.rests.slices(&self.windows, slot);
        out.all(older, |rest| rest.to_bytes());
        out.all(newer, |rest| rest.to_bytes());
    }

    fn read_series(
        &mut self,
        reader: &mut Reader<'_>,
        definition: &Definition,
    ) -> Option<Result<usize, CoreError>> {
        let key = reader.u64()?;
        if key == 0 || self.slots.get(key).is_some() {
            return None;
        }
        let series = Series {
            key,
            campaign: definition.key,
            unit_micros: definition.unit_micros,
            account: Account::read(reader)?,
            is_heard: reader.u8()? == 1,
            proof: {
                let (is_there, tick, began) = (reader.u8()? == 1, reader.u32()?, reader.u64()?);
                is_there.then_some((tick, began))
            },
            bid_micros: reader.i64().filter(|&bid| bid >= 0)?,
            trail: Trail::read(reader)?,
            settled_before: Micros(reader.i64()?),
            recent_spend: reader.learned_amount()?,
            told: (
                reader.i64().filter(|&bid| bid >= 0)?,
                Micros(reader.i64().filter(|&cap| cap >= 0)?),
            ),
            watch: Watch::read(reader)?,
            foresight: match reader.u8()? {
                0 => None,
                _ => Some(Box::new(Foresight::read(reader, key)?)),
            },
            ..Series::default()
        };
        let (head, reference, count) = (
            reader.u32()? as usize,
            reader.u32()?,
            reader.u32()? as usize,
        );
        let (samples, _) = reader.take(count.checked_mul(16)?)?.as_chunks();
        let (rests, _) = reader.take(count.checked_mul(6)?)?.as_chunks();
        let samples: Vec<Sample> = samples
            .iter()
            .map(|&bytes| Sample::from_bytes(bytes))
            .collect();
        let rests = rests.iter().map(|&bytes| Rest::from_bytes(bytes));
        let slot = self.add_series(series);
        let restored = self.windows.restore_slot(slot, &samples, head, reference);
        self.rests.restore_slot(&self.windows, slot, rests);
        Some(restored.map(|()| slot))
    }
}

impl Campaign {
    fn write(&self, out: &mut Writer) {
        let rhythm = &self.rhythm;
        out.i64(self.carried.0);
        self.pacing.write(out);
        out.i64(rhythm.heard_at_ms);
        out.f64(rhythm.every_rounds);
        out.f64(rhythm.planned);
        out.f64(rhythm.rounds);
        out.i64(rhythm.settled.0);
        out.i64(rhythm.reserved.0);
        for flag in [rhythm.is_bidding, rhythm.can_rise, rhythm.can_fall] {
            out.u8(u8::from(flag));
        }
        out.i64(self.day_began_ms);
        out.i64(self.day_opened.0);
        out.u8(u8::from(self.told.is_some()));
        let told = self.told.unwrap_or(Told::nothing());
        out.u8(told.action);
        out.u8(told.binding);
        out.i16(told.best);
        out.i64(told.settled.0);
        out.i64(told.reserved.0);
        self.traffic.write(out);
        self.delays.write(out);
        let (multiplier, held_by) = self.solved.map_or((0.0, 0), |solved| {
            (solved.multiplier, 1 + solved.held_by.map_or(0, Holds::code))
        });
        out.f64(multiplier);
        out.u8(held_by);
    }

    fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let amount = |found: Option<i64>| found.filter(|&found| found >= 0).map(Micros);
        self.carried = amount(reader.i64())?;
        self.pacing = Pacing::read(reader)?;
        self.rhythm = Rhythm {
            heard_at_ms: amount(reader.i64())?.0,
            every_rounds: reader.learned_amount()?,
            planned: reader.learned_amount()?,
            rounds: reader.learned_amount()?,
            settled: amount(reader.i64())?,
            reserved: amount(reader.i64())?,
            is_bidding: reader.u8()? == 1,
            can_rise: reader.u8()? == 1,
            can_fall: reader.u8()? == 1,
        };
        self.day_began_ms = reader.i64()?;
        self.day_opened = amount(reader.i64())?;
        let is_told = reader.u8()? == 1;
        let told = Told {
            action: reader.u8()?,
            binding: reader.u8()?,
            best: reader.i16()?,
            settled: Micros(reader.i64()?),
            reserved: Micros(reader.i64()?),
        };
        self.told = is_told.then_some(told);
        *self.traffic = Traffic::read(reader)?;
        self.delays = Delays::read(reader)?;
        let multiplier = reader.f64().filter(|found| (0.0..=1e6).contains(found))?;
        let held_by = reader.u8()?;
        self.solved = match held_by {
            0 => None,
            1 => Some(Solved {
                multiplier,
                held_by: None,
            }),
            code => Some(Solved {
                multiplier,
                held_by: Some(Holds::of(code - 1)?),
            }),
        };
        Some(())
    }
}

/// Returns a 64-bit checksum: FNV-1a over words of eight bytes in four lanes, word by word in turn (one
/// lane would wait for its own multiplication), which are then summed up the same way; each step is
/// folded so that the upper bits reach the lower. It finds damage; it is no signature.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, word: u64| {
        let mixed = (sum ^ word).wrapping_mul(0x0000_0100_0000_01B3);
        mixed ^ mixed >> 29
    };
    let start = 0xCBF2_9CE4_8422_2325 ^ bytes.len() as u64;
    let mut lanes = [start, !start, start.rotate_left(32), !start.rotate_left(32)];
    let (fours, rest) = bytes.as_chunks::<32>();
    for four in fours {
        let (words, _) = four.as_chunks::<8>();
        for (lane, &word) in lanes.iter_mut().zip(words) {
            *lane = step(*lane, u64::from_le_bytes(word));
        }
    }
    let (words, rest) = rest.as_chunks::<8>();
    let mut last = [0; 8];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    let ends = words
        .iter()
        .chain([&last])
        .map(|&word| u64::from_le_bytes(word));
    lanes.into_iter().chain(ends).fold(start, step)
}
