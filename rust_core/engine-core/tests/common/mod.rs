//! Builders for tests of the book: definitions, frames and decisions as they cross the border.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::indexing_slicing
)]

use engine_core::book::Book;
use engine_core::round::{DECISION_BYTES, Round, SERIES_DECISION_BYTES};

pub const START_MS: i64 = 1_700_000_000_000;
pub const INTERVAL_MS: i64 = 2000;
pub const UNIT_MICROS: u32 = 100;

/// A campaign row, with as many series as `platforms` says.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub key: u64,
    pub budget: i64,
    pub starts_ms: i64,
    pub ends_ms: i64,
    pub value: i64,
    pub daily_cap: i64,
    pub min_bid: i64,
    pub max_bid: i64,
    pub max_change: f64,
    pub unit: u32,
    pub calendar: u32,
    pub strategy: u8,
    pub is_active: u8,
    pub platforms: u64,
    pub cpa: i64,
    pub roas: f64,
    pub reach: i64,
    pub hold_ms: u32,
    pub max_daily_change: f64,
    pub min_confidence: f64,
    pub account: u64,
    pub blocked_hours: [u64; 3],
    /// Numbers of platforms.
    pub blocked: Vec<u64>,
}

impl Wanted {
    pub fn new(key: u64) -> Self {
        Self {
            key,
            budget: 1_000_000_000,
            starts_ms: START_MS,
            ends_ms: START_MS + 600_000,
            value: 20_000_000,
            daily_cap: 0,
            min_bid: 10_000,
            max_bid: 100_000_000,
            max_change: 0.5,
            unit: UNIT_MICROS,
            calendar: 0,
            strategy: 0,
            is_active: 1,
            platforms: 2,
            cpa: 0,
            roas: 0.0,
            reach: 0,
            hold_ms: 0,
            max_daily_change: 0.0,
            min_confidence: 0.0,
            account: 0,
            blocked_hours: [0; 3],
            blocked: Vec::new(),
        }
    }

    pub fn series_key(&self, platform: u64) -> u64 {
        self.key * 1000 + platform
    }

    pub fn rows(&self) -> (Vec<u8>, Vec<u8>) {
        let mut row = Vec::new();
        row.extend(self.key.to_le_bytes());
        for amount in [
            self.budget,
            self.starts_ms,
            self.ends_ms,
            self.value,
            self.cpa,
        ] {
            row.extend(amount.to_le_bytes());
        }
        row.extend(self.roas.to_le_bytes());
        for amount in [self.reach, self.daily_cap, self.min_bid, self.max_bid] {
            row.extend(amount.to_le_bytes());
        }
        row.extend(self.max_change.to_le_bytes());
        row.extend(self.unit.to_le_bytes());
        row.extend(self.calendar.to_le_bytes());
        row.extend([self.strategy, self.is_active]);
        row.extend(u16::try_from(self.platforms).unwrap().to_le_bytes());
        row.extend(self.hold_ms.to_le_bytes());
        row.extend(self.max_daily_change.to_le_bytes());
        row.extend(self.min_confidence.to_le_bytes());
        row.extend(self.account.to_le_bytes());
        for word in self.blocked_hours {
            row.extend(word.to_le_bytes());
        }
        row.extend([0; 8]);
        let mut series = Vec::new();
        for platform in 1..=self.platforms {
            series.extend(self.series_key(platform).to_le_bytes());
            series.extend([0; 24]);
            series.extend(u64::from(self.blocked.contains(&platform)).to_le_bytes());
        }
        (row, series)
    }
}

/// A partition's share of an account: key, total cap, daily cap (-1: none), and whether it is halted.
pub fn put_account(book: &mut Book, key: u64, total: i64, daily: i64, is_halted: bool) {
    let mut row = key.to_le_bytes().to_vec();
    for amount in [total, daily, -1, 0] {
        row.extend(amount.to_le_bytes());
    }
    row.extend([u8::from(is_halted), 0, 0, 0, 0, 0, 0, 0]);
    book.put_accounts(&row).unwrap();
}

pub fn put(book: &mut Book, wanted: &[Wanted]) {
    let rows: (Vec<Vec<u8>>, Vec<Vec<u8>>) = wanted.iter().map(Wanted::rows).unzip();
    book.put(&rows.0.concat(), &rows.1.concat()).unwrap();
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Report {
    pub series: u64,
    pub tick: u32,
    pub clicks: u32,
    pub milliconversions: u32,
    pub spend: i64,
    pub impressions: u32,
}

pub fn frame(sequence: u64, reports: &[Report]) -> Vec<u8> {
    let mut bytes = b"CEF1".to_vec();
    bytes.extend(3_u16.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(77_u64.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(u32::try_from(reports.len()).unwrap().to_le_bytes());
    bytes.extend(UNIT_MICROS.to_le_bytes());
    for report in reports {
        let unit = i64::from(UNIT_MICROS);
        bytes.extend(report.series.to_le_bytes());
        bytes.extend(report.impressions.to_le_bytes());
        bytes.extend(u16::try_from(report.spend % unit).unwrap().to_le_bytes());
        bytes.extend([0, 0]);
        bytes.extend(report.tick.to_le_bytes());
        bytes.extend(report.clicks.to_le_bytes());
        bytes.extend(report.milliconversions.to_le_bytes());
        bytes.extend(u32::try_from(report.spend / unit).unwrap().to_le_bytes());
    }
    bytes
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub fn tick(at_ms: i64) -> u32 {
    at_ms as u32
}

#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    pub campaign: u64,
    pub settled: i64,
    pub reserved: i64,
    pub multiplier: f64,
    pub action: u8,
    pub binding: u8,
    pub best: i16,
    pub is_changed: bool,
    pub series: Vec<Told>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub key: u64,
    pub bid: i64,
    pub cap: i64,
    pub cpc: f64,
    pub cvr: f64,
    pub roi: f64,
    pub planned: f64,
    pub bound_by: u8,
}

fn eight(row: &[u8], at: usize) -> [u8; 8] {
    row[at..at + 8].try_into().unwrap()
}

pub fn read(round: &Round) -> Vec<Decided> {
    let series: Vec<Told> = round
        .series
        .chunks_exact(SERIES_DECISION_BYTES)
        .map(|row| Told {
            key: u64::from_le_bytes(eight(row, 0)),
            bid: i64::from_le_bytes(eight(row, 8)),
            cap: i64::from_le_bytes(eight(row, 16)),
            cpc: f64::from_le_bytes(eight(row, 24)),
            cvr: f64::from_le_bytes(eight(row, 32)),
            roi: f64::from_le_bytes(eight(row, 40)),
            planned: f64::from_le_bytes(eight(row, 56)),
            bound_by: row[64],
        })
        .collect();
    let rows = round.decisions.chunks_exact(DECISION_BYTES);
    rows.map(|row| {
        let first = u32::from_le_bytes(row[32..36].try_into().unwrap()) as usize;
        let count = usize::from(u16::from_le_bytes(row[36..38].try_into().unwrap()));
        Decided {
            campaign: u64::from_le_bytes(eight(row, 0)),
            settled: i64::from_le_bytes(eight(row, 8)),
            reserved: i64::from_le_bytes(eight(row, 16)),
            multiplier: f64::from_le_bytes(eight(row, 24)),
            best: i16::from_le_bytes(row[38..40].try_into().unwrap()),
            action: row[40],
            binding: row[41],
            is_changed: row[42] == 1,
            series: series[first..first + count].to_vec(),
        }
    })
    .collect()
}

/// A market in a line: what a platform sells in a round rises as a power of the bid, up to the cap.
#[derive(Debug, Clone)]
pub struct Market {
    /// What is spent in a round at a bid of one currency unit.
    pub depth: f64,
    pub power: f64,
    pub cvr: f64,
    pub spent: Vec<i64>,
}

impl Market {
    pub fn new(depth: f64, power: f64, platforms: usize) -> Self {
        Self {
            depth,
            power,
            cvr: 0.05,
            spent: vec![0; platforms],
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    pub fn sell(&mut self, told: &[Told], at_ms: i64) -> Vec<Report> {
        let mut reports = Vec::new();
        for (told, spent) in told.iter().zip(&mut self.spent) {
            let bid = told.bid as f64 / 1e6;
            let cpc = (0.7 * told.bid as f64) as i64;
            let demand = (self.depth * bid.powf(self.power)) as i64;
            let sold = demand.min((told.cap - *spent).max(0));
            if told.bid == 0 || cpc == 0 {
                continue;
            }
            let clicks = sold / cpc;
            let spend = clicks * cpc;
            *spent += spend;
            reports.push(Report {
                series: told.key,
                tick: tick(at_ms),
                clicks: clicks as u32,
                milliconversions: (clicks as f64 * self.cvr * 1000.0) as u32,
                spend,
                impressions: (clicks * 50) as u32,
            });
        }
        reports
    }
}
