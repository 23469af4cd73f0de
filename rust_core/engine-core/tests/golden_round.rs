//! Two long stories of a book, told to the bit: whatever makes a round cheaper must leave every decision as
//! it was.
//!
//! The stories have what a book meets: frames that are late, restated or of a time to come, silences, days
//! and changed clocks, halts, accounts, definitions replaced and removed, platforms that charge what is
//! bid, seasons, restarts. A change of arithmetic that is meant records them anew: the test prints what
//! it found.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_possible_wrap
)]

mod common;

use common::{Decided, Report, START_MS, Wanted, frame, put, put_account, read};
use engine_core::book::Book;
use engine_core::money::Micros;
use std::collections::BTreeMap;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const BERLIN: u32 = 3;

/// Numbers that look random and are always the same.
struct Noise(u64);

impl Noise {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) % most
    }

    fn part(&mut self) -> f64 {
        self.below(1 << 20) as f64 / f64::from(1 << 20)
    }

    fn is_one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }
}

/// All that a book said, in a number.
struct Hash(u64);

impl Hash {
    fn take(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            let mixed = (self.0 ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.0 = mixed ^ mixed >> 29;
        }
    }
}

/// A platform of the story: what it sells, of which some conversions come late.
#[derive(Clone)]
struct Seller {
    mid: f64,
    depth: f64,
    cvr: f64,
    is_first: bool,
    spent: i64,
    owed: f64,
    clicks: f64,
    newest: Option<Report>,
}

impl Seller {
    fn new(noise: &mut Noise) -> Self {
        Self {
            mid: 100_000.0 + 2_000_000.0 * noise.part(),
            depth: 0.5 + 12.0 * noise.part() * noise.part(),
            cvr: 0.005 + 0.1 * noise.part(),
            is_first: noise.is_one_in(3),
            spent: 0,
            owed: 0.0,
            clicks: 0.0,
            newest: None,
        }
    }

    fn sell(&mut self, series: u64, bid: i64, cap: i64, rounds: f64, tick: u32) -> Report {
        let bid = bid as f64;
        let share = bid * bid / (bid * bid + self.mid * self.mid);
        self.clicks += self.depth * share * rounds;
        let cpc = if self.is_first {
            bid
        } else {
            bid * (1.0 - 0.6 * share)
        };
        let left = (cap - self.spent).max(0) as f64;
        let clicks = self.clicks.min(left / cpc.max(1.0)).floor().max(0.0);
        self.clicks = (self.clicks - clicks).clamp(0.0, 3.0);
        let spend = (clicks * cpc) as i64;
        self.spent += spend;
        self.owed += clicks * self.cvr;
        let converted = self.owed * 0.4;
        self.owed -= converted;
        Report {
            series,
            tick,
            clicks: clicks as u32,
            milliconversions: (converted * 1000.0) as u32,
            spend,
            impressions: clicks as u32 * 40 + 7,
        }
    }
}

struct Story {
    noise: Noise,
    book: Book,
    sellers: BTreeMap<u64, Seller>,
    told: Vec<Decided>,
    decisions: Hash,
    fronts: Hash,
    states: Hash,
    at_ms: i64,
    sequence: u64,
}

impl Story {
    fn new(seed: u64, window: usize, tick_ms: u32, interval_ms: u32) -> Self {
        let mut book = Book::new(window, tick_ms, interval_ms).unwrap();
        // 29 October 2023 has 25 hours in Berlin, 31 March 2024 has 23.
        let (october, march) = (1_698_541_200_000_i64, 1_711_846_800_000);
        let midnights = (-40..400).map(|day| {
            let summer = 1_698_530_400_000 + day * DAY_MS;
            let is_winter = day > 0 && day < 155;
            summer + if is_winter { HOUR_MS } else { 0 }
        });
        let offsets = vec![(0, 2 * HOUR_MS), (october, HOUR_MS), (march, 2 * HOUR_MS)];
        book.set_calendar(BERLIN, midnights.collect(), offsets)
            .unwrap();
        put_account(&mut book, 5, 900_000_000, 60_000_000, false);
        put_account(&mut book, 6, -1, 40_000_000, false);
        Self {
            noise: Noise(seed),
            book,
            sellers: BTreeMap::new(),
            told: Vec::new(),
            decisions: Hash(seed),
            fronts: Hash(seed),
            states: Hash(seed),
            at_ms: START_MS,
            sequence: 0,
        }
    }

    fn wanted(&mut self, key: u64, flight_ms: i64) -> Wanted {
        let noise = &mut self.noise;
        let strategy = noise.below(6) as u8;
        let has_value = strategy != 4 && !noise.is_one_in(4);
        let mut maybe = |many: u64, amount: i64| if noise.is_one_in(many) { amount } else { 0 };
        let (cpa, hold_ms) = (maybe(3, 15_000_000), maybe(6, 20_000) as u32);
        let (cap, reach) = (maybe(4, 25_000_000), maybe(12, 200_000));
        let account = maybe(4, 5) as u64;
        let noise = &mut self.noise;
        let flight_ms = flight_ms * if noise.is_one_in(2) { 1 } else { 40 };
        let late = noise.below(12) as i64 - 8;
        let starts_ms = self.at_ms + late.max(0) * flight_ms / 600;
        Wanted {
            budget: 3_000_000 + (noise.part() * noise.part() * 3e9) as i64,
            starts_ms,
            ends_ms: starts_ms + 1 + (flight_ms as f64 * (0.2 + noise.part())) as i64,
            value: if has_value { 20_000_000 } else { 0 },
            daily_cap: cap,
            min_bid: if noise.is_one_in(3) { 0 } else { 20_000 },
            max_bid: if noise.is_one_in(3) { 0 } else { 8_000_000 },
            max_change: if noise.is_one_in(4) { 0.1 } else { 0.5 },
            calendar: if noise.is_one_in(2) { BERLIN } else { 0 },
            strategy,
            is_active: u8::from(!noise.is_one_in(12)),
            platforms: 1 + noise.below(6),
            cpa: if strategy == 2 { 18_000_000 } else { cpa },
            roas: if strategy == 3 { 1.5 } else { 0.0 },
            reach,
            hold_ms,
            max_daily_change: if noise.is_one_in(8) { 0.8 } else { 0.0 },
            min_confidence: if noise.is_one_in(8) { 0.2 } else { 0.0 },
            account: if account > 0 { 5 + noise.below(3) } else { 0 },
            blocked_hours: if noise.is_one_in(6) {
                [0xFF00, 0, 0xF]
            } else {
                [0; 3]
            },
            blocked: if noise.is_one_in(6) {
                vec![1]
            } else {
                Vec::new()
            },
            ..Wanted::new(key)
        }
    }

    fn put(&mut self, key: u64, flight_ms: i64) {
        let wanted = self.wanted(key, flight_ms);
        for platform in 1..=wanted.platforms {
            let noise = &mut self.noise;
            let seller = self.sellers.entry(wanted.series_key(platform));
            seller.or_insert_with(|| Seller::new(noise));
        }
        put(&mut self.book, &[wanted]);
    }

    /// Something that happens between rounds, or nothing.
    fn happen(&mut self, campaigns: u64, flight_ms: i64) {
        let key = 1 + self.noise.below(campaigns);
        match self.noise.below(60) {
            0 | 1 | 9 | 10 => self.put(key, flight_ms),
            2 => {
                self.book.remove(key);
            }
            3 => self.book.set_halted(self.noise.is_one_in(8)),
            4 => {
                let settled = Micros(self.noise.below(9_000_000) as i64);
                let _ = self.book.raise_settled(key, settled);
            }
            5 => {
                let cap = Micros(self.noise.below(9_000_000) as i64);
                let _ = self.book.raise_cap(key * 1000 + 1, cap);
            }
            6 => {
                let cap = self.noise.below(300_000_000) as i64;
                let is_halted = self.noise.is_one_in(4);
                put_account(&mut self.book, 5, 1_000_000_000, cap, is_halted);
            }
            7 | 8 => self.book = Book::restore(&self.book.snapshot()).unwrap(),
            _ => {}
        }
    }

    /// Reports of what was told last, in frames: some kept back, restated, late, or of a wrong clock.
    fn report(&mut self, rounds: f64, one_in: u64, tick_ms: i64) {
        let now = common::tick(self.at_ms / tick_ms);
        let mut reports = Vec::new();
        for decided in &self.told {
            if !self.noise.is_one_in(one_in) {
                continue;
            }
            for told in &decided.series {
                let Some(seller) = self.sellers.get_mut(&told.key) else {
                    continue;
                };
                let lag = self.noise.below(3) as u32;
                let tick = match self.noise.below(400) {
                    0 => now.wrapping_add(700_000),
                    1 => now.wrapping_sub(1_000_000),
                    2 => seller.newest.map_or(now, |newest| newest.tick),
                    _ => now.wrapping_sub(lag),
                };
                let mut report = seller.sell(told.key, told.bid, told.cap, rounds, tick);
                match (self.noise.below(40), seller.newest) {
                    (0, Some(before)) => {
                        report = Report {
                            clicks: before.clicks + 1,
                            ..before
                        }; // restated
                    }
                    (1, _) => report.clicks = 0, // spend without clicks
                    _ => seller.newest = Some(report),
                }
                reports.push(report);
            }
        }
        let cut = 1 + self.noise.below(60) as usize;
        for part in reports.chunks(cut) {
            self.sequence += 1 + u64::from(self.noise.is_one_in(30)); // a frame lost
            let mut frame = frame(self.sequence, part);
            frame[6..8].copy_from_slice(&(tick_ms as u16).to_le_bytes());
            self.book.ingest(&frame).unwrap();
        }
    }

    fn hashes(&self) -> [u64; 3] {
        [self.decisions.0, self.fronts.0, self.states.0]
    }

    fn decide(&mut self, is_state_told: bool) {
        let round = self.book.decide(self.at_ms).unwrap();
        self.decisions.take(&round.decisions);
        self.decisions.take(&round.series);
        self.decisions.take(&round.settled.0.to_le_bytes());
        self.decisions.take(&round.reserved.0.to_le_bytes());
        self.told = read(&round);
        if is_state_told {
            self.states.take(&self.book.snapshot());
            for decided in &self.told {
                let forecasts = decided.series.iter();
                let forecasts = forecasts.map(|told| self.book.forecast(told.key, self.at_ms + 1));
                let text = format!("{:?}", forecasts.collect::<Vec<_>>());
                self.decisions.take(text.as_bytes());
                let front = self.book.pareto(decided.campaign, self.at_ms + 1);
                self.fronts.take(format!("{front:?}").as_bytes());
            }
        }
    }
}

fn actions(story: &Story) -> [usize; 3] {
    let mut found = [0; 3];
    for decided in &story.told {
        found[usize::from(decided.action)] += 1;
    }
    found
}

/// Rounds every two seconds or so, over some days by way of a few longer pauses.
fn a_busy_story() -> ([u64; 3], [usize; 3]) {
    let mut story = Story::new(11, 24, 1, 2000);
    let (campaigns, flight_ms) = (40, 3_000_000);
    for key in 1..=campaigns {
        story.put(key, flight_ms);
    }
    let mut all = [0; 3];
    for turn in 0..1600_u64 {
        let pause = match story.noise.below(120) {
            0 => 40_000 + story.noise.below(100_000) as i64,
            1 if turn % 7 == 0 => HOUR_MS + story.noise.below(40_000_000) as i64,
            2 => 2001,
            _ => 2000,
        };
        story.at_ms += pause;
        let rounds = (pause as f64 / 2000.0).min(30.0);
        // Stretches in which all, few or none report.
        match turn / 50 % 4 {
            0 | 2 => story.report(rounds, 1 + turn / 50 % 3, 1),
            1 => story.report(rounds, 10, 1),
            _ if turn % 16 == 0 => story.report(rounds, 2, 1),
            _ => {}
        }
        story.happen(campaigns, flight_ms);
        story.decide(turn % 25 == 0);
        for (sum, found) in all.iter_mut().zip(actions(&story)) {
            *sum += found;
        }
    }
    story.book.verify().unwrap();
    (story.hashes(), all)
}

/// Rounds every quarter of an hour over three weeks and a change of clocks, so that seasons are known.
fn a_slow_story() -> ([u64; 3], [usize; 3]) {
    let mut story = Story::new(12, 64, 1000, 900_000);
    story.at_ms = 1_710_500_000_000;
    let (campaigns, flight_ms) = (8, 20 * DAY_MS);
    for key in 1..=campaigns {
        story.put(key, flight_ms);
    }
    let mut all = [0; 3];
    for turn in 0..2000_u64 {
        story.at_ms += 900_000;
        if !story.noise.is_one_in(9) {
            // Nights are quiet.
            let hour = story.at_ms / HOUR_MS % 24;
            let rounds = if hour < 6 { 2.0 } else { 9.0 };
            let one_in = 1 + story.noise.below(2);
            story.report(rounds, one_in, 1000);
        }
        if story.noise.is_one_in(6) {
            story.happen(campaigns, flight_ms);
        }
        story.decide(turn % 50 == 0);
        for (sum, found) in all.iter_mut().zip(actions(&story)) {
            *sum += found;
        }
    }
    story.book.verify().unwrap();
    (story.hashes(), all)
}

/// What the stories come to: decisions and forecasts; fronts; snapshots, whose layout may change alone.
const BUSY: [u64; 3] = [
    0x4EC6_0DF3_C8A0_365E,
    0x4F0F_EB0E_A429_A409,
    0x004D_E5B3_4A1C_0C71,
];
const SLOW: [u64; 3] = [
    0xEAA4_A754_8634_2A37,
    0x529A_9E7F_605F_82D1,
    0xD9EB_FD5E_C991_933B,
];

#[test]
fn a_busy_story_is_decided_as_it_was() {
    let (found, actions) = a_busy_story();
    assert!(actions.iter().all(|&count| count > 1500), "{actions:?}");
    assert_eq!(found, BUSY, "found {found:#018X?}");
}

#[test]
fn a_slow_story_is_decided_as_it_was() {
    let (found, actions) = a_slow_story();
    assert!(actions[0] > 1000 && actions[1] > 3000, "{actions:?}");
    assert_eq!(found, SLOW, "found {found:#018X?}");
}
