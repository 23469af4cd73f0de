//! Histories and planners as bytes, and back: a restart decides on as if there had been none.
//!
//! What is derived is not kept but drawn again from what is, so equal ones give equal bytes. Bytes
//! that are damaged, cut off or none are refused, and no length is believed before it is checked.

use crate::bytes::{Reader, Writer};
use crate::error::CoreError;
use crate::money::Micros;
use crate::planner::checks;
use crate::planner::history::{CampaignDay, Day, History, SlotSums};
use crate::planner::history::{MOST_CAMPAIGNS, MOST_DAYS};
use crate::planner::lattice::{Grid, POINTS};
use crate::planner::lessons::Lessons;
use crate::planner::platform::{Daypart, Platform, Slots};
use crate::planner::{ColdPrices, Goal, PacingBand, Place, Planner, Terms};
use crate::snapshot::checksum;
use std::sync::Arc;

const HISTORY: u64 = u64::from_le_bytes(*b"CEHISTOR");
const PLANNER: u64 = u64::from_le_bytes(*b"CEPLANNR");
const VERSION: u32 = 1;
const END_BYTES: usize = 8;

impl History {
    /// Returns the whole history, checksummed.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = begun(HISTORY);
        out.count(self.rounds);
        self.exposures
            .iter()
            .for_each(|exposure| out.f64(*exposure));
        out.count(self.days.len());
        self.days.iter().for_each(|day| day.write(&mut out));
        ended(out)
    }

    /// Returns the history that a snapshot was taken of.
    ///
    /// # Errors
    /// `CoreError::Snapshot` where the bytes are no whole, undamaged snapshot of this version, and
    /// the error of whatever no history would have taken.
    pub fn restore(snapshot: &[u8]) -> Result<Self, CoreError> {
        let mut reader = opened(snapshot, HISTORY)?;
        let read = (|| {
            let rounds = reader.u32()? as usize;
            let exposures = [reader.f64()?, reader.f64()?, reader.f64()?];
            let days = reader.u32()? as usize;
            Some((rounds, exposures, days))
        })();
        let (rounds, exposures, days) = read.ok_or(DAMAGED)?;
        let mut history = Self::new(rounds, exposures)?;
        checks::count("days", "0 to 60", days, 0..=MOST_DAYS)?;
        for _ in 0..days {
            history.days.push(Day::read(&mut reader, rounds)?);
        }
        finished(&reader)?;
        if days > 0 {
            history.lessons = Arc::new(Lessons::of(&history.days, rounds));
        }
        Ok(history)
    }
}

impl Planner {
    /// Returns what today has shown, checksummed; the history has a snapshot of its own.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = begun(PLANNER);
        out.count(self.lessons.profile.len());
        let terms = &self.terms;
        out.u8(match terms.goal {
            Goal::Hard => 0,
            Goal::Soft => 1,
            Goal::Budget => 2,
        });
        out.u8(u8::from(terms.first_price));
        out.u8(u8::from(terms.pacing.is_some()));
        let band = terms.pacing.unwrap_or(PacingBand {
            low: 0.0,
            high: 1.0,
            most: 1.0,
        });
        for number in [band.low, band.high, band.most] {
            out.f64(number);
        }
        for money in [terms.budget, terms.target, terms.unit] {
            out.i64(money.0);
        }
        out.u32(
            self.last_round
                .map_or(u32::MAX, |round| u32::try_from(round).unwrap_or(0)),
        );
        let (spent, value) = self.cold_seen;
        for number in [self.cold.of_budget, self.cold.of_target, spent, value] {
            out.f64(number);
        }
        out.count(self.platforms.len());
        for (platform, place) in self.platforms.iter().zip(&self.places) {
            out.u64(place.identity);
            platform.write(&mut out);
        }
        ended(out)
    }

    /// Returns the planner that a snapshot was taken of, with the history that it had.
    ///
    ///
    /// # Errors
    /// `CoreError::Snapshot` where the bytes are no whole, undamaged snapshot of this version, and
    /// the error of whatever no planner would have taken.
    pub fn restore(history: Option<&History>, snapshot: &[u8]) -> Result<Self, CoreError> {
        let mut reader = opened(snapshot, PLANNER)?;
        let (rounds, terms) = read_terms(&mut reader).ok_or(DAMAGED)?;
        let read = (|| {
            let last = reader.u32()?;
            let cold = ColdPrices {
                of_budget: amount(&mut reader)?,
                of_target: amount(&mut reader)?,
            };
            let seen = (amount(&mut reader)?, amount(&mut reader)?);
            Some((last, cold, seen, reader.u32()? as usize))
        })();
        let (last, cold, cold_seen, count) = read.ok_or(DAMAGED)?;
        let mut places = Vec::new();
        let mut states = Vec::new();
        checks::count("platforms", "1 to 64", count, 1..=super::MOST_PLATFORMS)?;
        for _ in 0..count {
            let identity = reader.u64().ok_or(DAMAGED)?;
            let state = State::read(&mut reader).ok_or(DAMAGED)?;
            let opportunities = state.expected;
            places.push(Place {
                identity,
                opportunities,
            });
            states.push(state);
        }
        finished(&reader)?;
        let mut planner = Self::new(history, rounds, &terms, &places)?;
        planner.last_round = (last != u32::MAX).then_some(last as usize);
        planner.cold = cold;
        planner.cold_seen = cold_seen;
        for (platform, state) in planner.platforms.iter_mut().zip(states) {
            state.put(platform);
        }
        Ok(planner)
    }
}

const DAMAGED: CoreError = CoreError::Snapshot {
    part: "state",
    wanted: 1,
    found: 0,
};

fn begun(magic: u64) -> Writer {
    let mut out = Writer::default();
    out.u64(magic);
    out.u32(VERSION);
    out
}

fn ended(mut out: Writer) -> Vec<u8> {
    out.u64(checksum(&out.bytes));
    out.bytes
}

fn opened(snapshot: &[u8], magic: u64) -> Result<Reader<'_>, CoreError> {
    let refuse = |part, wanted, found| CoreError::Snapshot {
        part,
        wanted,
        found,
    };
    let length = snapshot.len() as u64;
    let body = snapshot.len().checked_sub(END_BYTES);
    let (body, end) = body
        .and_then(|body| snapshot.split_at_checked(body))
        .ok_or(refuse("length", 20, length))?;
    let mut reader = Reader::new(body);
    let header = (|| Some((reader.u64()?, reader.u32()?)))();
    let (found, version) = header.ok_or(refuse("length", 20, length))?;
    if found != magic {
        return Err(refuse("magic", magic, found));
    }
    if version != VERSION {
        return Err(refuse("version", VERSION.into(), version.into()));
    }
    let found = Reader::new(end).u64().unwrap_or_default();
    if checksum(body) != found {
        return Err(refuse("checksum", checksum(body), found));
    }
    Ok(reader)
}

fn finished(reader: &Reader<'_>) -> Result<(), CoreError> {
    match reader.remaining() as u64 {
        0 => Ok(()),
        found => Err(CoreError::Snapshot {
            part: "bytes after the state",
            wanted: 0,
            found,
        }),
    }
}

/// Reads a number that is finite and not negative.
fn amount(reader: &mut Reader<'_>) -> Option<f64> {
    reader.f64().filter(|found| (0.0..=1e18).contains(found))
}

fn read_array<const N: usize>(reader: &mut Reader<'_>) -> Option<[f64; N]> {
    let mut array = [0.0; N];
    for number in &mut array {
        *number = amount(reader)?;
    }
    Some(array)
}

impl Day {
    fn write(&self, out: &mut Writer) {
        self.traffic.iter().for_each(|traffic| out.u32(*traffic));
        let slots = [&self.slots.auctions, &self.slots.exposure, &self.slots.cost];
        slots
            .into_iter()
            .flatten()
            .for_each(|number| out.f64(*number));
        out.u8(u8::from(!self.prices.is_empty()));
        self.prices
            .iter()
            .flatten()
            .for_each(|share| out.f64(*share));
        out.count(self.campaigns.len());
        for campaign in &self.campaigns {
            out.u64(campaign.identity);
            campaign.bounds.iter().for_each(|bound| out.u32(*bound));
            campaign
                .worths
                .iter()
                .for_each(|worth| out.u32(worth.to_bits()));
        }
    }

    fn read(reader: &mut Reader<'_>, rounds: usize) -> Result<Self, CoreError> {
        let read = (|| {
            let traffic = (0..rounds)
                .map(|_| reader.u32())
                .collect::<Option<Vec<u32>>>()?;
            let slots = SlotSums {
                auctions: read_array(reader)?,
                exposure: read_array(reader)?,
                cost: read_array(reader)?,
            };
            let grids = if reader.u8()? == 0 { 0 } else { rounds };
            let prices: Option<Vec<Grid>> =
                (0..grids).map(|_| read_array::<POINTS>(reader)).collect();
            Some((traffic, slots, prices?, reader.u32()? as usize))
        })();
        let (traffic, slots, prices, count) = read.ok_or(DAMAGED)?;
        checks::count("campaigns", "1 to 1024", count, 1..=MOST_CAMPAIGNS)?;
        let mut campaigns = Vec::new();
        for _ in 0..count {
            let identity = reader.u64().ok_or(DAMAGED)?;
            let bounds = (0..=rounds)
                .map(|_| reader.u32())
                .collect::<Option<Vec<u32>>>();
            let bounds = bounds.ok_or(DAMAGED)?;
            let worths = bounds.last().copied().unwrap_or(0) as usize;
            checks::bounds(&bounds, worths)?;
            let bytes = worths.checked_mul(4).and_then(|bytes| reader.take(bytes));
            let mut words = Reader::new(bytes.ok_or(DAMAGED)?);
            let words = std::iter::from_fn(|| words.u32());
            let worths: Vec<f32> = words.map(f32::from_bits).collect();
            for worth in &worths {
                checks::number("worths", "0 to 1e6", f64::from(*worth), 0.0..=1e6)?;
            }
            campaigns.push(CampaignDay {
                identity,
                worths,
                bounds,
            });
        }
        Ok(Self {
            traffic,
            slots,
            prices,
            campaigns,
        })
    }
}

fn read_terms(reader: &mut Reader<'_>) -> Option<(usize, Terms)> {
    let rounds = reader.u32()? as usize;
    let goal = match reader.u8()? {
        0 => Goal::Hard,
        1 => Goal::Soft,
        2 => Goal::Budget,
        _ => return None,
    };
    let first_price = reader.u8()? != 0;
    let is_paced = reader.u8()? != 0;
    let band = PacingBand {
        low: reader.f64()?,
        high: reader.f64()?,
        most: reader.f64()?,
    };
    let terms = Terms {
        goal,
        first_price,
        pacing: is_paced.then_some(band),
        budget: Micros(reader.i64()?),
        target: Micros(reader.i64()?),
        unit: Micros(reader.i64()?),
    };
    Some((rounds, terms))
}

/// What is kept of a platform.
struct State {
    expected: f64,
    opportunities: f64,
    cost: f64,
    conversions: f64,
    worth_sum: f64,
    sigma_sum: f64,
    slots: Slots,
    today: Daypart,
}

impl Platform {
    fn write(&self, out: &mut Writer) {
        for number in [
            self.expected,
            self.opportunities,
            self.cost,
            self.conversions,
            self.worth_sum,
            self.sigma_sum,
        ] {
            out.f64(number);
        }
        let slots = [&self.slots.wins, &self.slots.exposure, &self.slots.cost];
        slots
            .into_iter()
            .flatten()
            .for_each(|number| out.f64(*number));
        let today = &self.today;
        out.u32(today.index.unwrap_or(u32::MAX));
        for number in [today.priced, today.level, today.seen] {
            out.f64(number);
        }
        today
            .prices
            .iter()
            .chain(&today.worths)
            .for_each(|number| out.f64(*number));
    }
}

impl State {
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            expected: amount(reader)?,
            opportunities: amount(reader)?,
            cost: amount(reader)?,
            conversions: amount(reader)?,
            worth_sum: amount(reader)?,
            sigma_sum: amount(reader)?,
            slots: Slots {
                wins: read_array(reader)?,
                exposure: read_array(reader)?,
                cost: read_array(reader)?,
            },
            today: {
                let index = reader.u32()?;
                Daypart {
                    index: (index != u32::MAX).then_some(index),
                    priced: amount(reader)?,
                    level: amount(reader)?,
                    seen: amount(reader)?,
                    prices: read_array(reader)?,
                    worths: read_array(reader)?,
                }
            },
        })
    }

    fn put(self, platform: &mut Platform) {
        platform.opportunities = self.opportunities;
        platform.cost = self.cost;
        platform.conversions = self.conversions;
        platform.worth_sum = self.worth_sum;
        platform.sigma_sum = self.sigma_sum;
        platform.slots = self.slots;
        platform.today = self.today;
    }
}
