//! Times a whole round: forecasts, prices, pacing, bids and ledger of every campaign of a book. It is what
//! decides how many campaigns fit into the time between rounds.
//!
//! Rounds of which all, one in ten or none were heard from, and the floor, take turns, so that a busy
//! machine is busy for all of them; what counts is the least of each, in time on a core. The floor
//! reads and writes once, in order, about as many bytes as the book keeps for its decisions. The last
//! line is one JSON object, which also tells how many bytes all state of a campaign-platform takes.
//!
//! `ROUND_CAMPAIGNS` names the sizes: `10000,100000` unless it is set; a million takes 8 GB.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark may stop where its set-up is wrong, and says what it found"
)]

use engine_core::book::Book;
use std::hint::black_box;
use std::time::Instant;

const PLATFORMS: u64 = 4;
const START_MS: i64 = 1_700_000_000_000;
const TURNS: u32 = 9;
/// What a campaign of four platforms keeps between rounds, without windows' rings and receipts.
const STATE_BYTES: usize = 4 * 1024;

fn campaign(key: u64) -> (Vec<u8>, Vec<u8>) {
    let mut row = key.to_le_bytes().to_vec();
    for amount in [1 << 50, START_MS, START_MS + 86_400_000_000, 20_000_000, 0] {
        row.extend(i64::to_le_bytes(amount));
    }
    row.extend(0.0_f64.to_le_bytes());
    for amount in [0, 0, 10_000, 100_000_000] {
        row.extend(i64::to_le_bytes(amount));
    }
    row.extend(0.5_f64.to_le_bytes());
    row.extend(100_u32.to_le_bytes());
    row.extend([0, 0, 0, 0, 0, 1, 4, 0]); // calendar, strategy, active, series
    row.resize(row.len() + 60, 0); // neither hold time, floor, account nor blocked hours
    let series = (0..PLATFORMS).flat_map(|platform| {
        let mut row = (key * PLATFORMS + platform).to_le_bytes().to_vec();
        row.resize(40, 0);
        row
    });
    (row, series.collect())
}

/// A frame of one sample of each series of some campaigns.
fn frame(sequence: u64, campaigns: impl Iterator<Item = u64>, at_ms: i64) -> Vec<u8> {
    let mut rows = Vec::new();
    for key in campaigns.flat_map(|campaign| campaign * PLATFORMS..(campaign + 1) * PLATFORMS) {
        rows.extend(key.to_le_bytes());
        rows.extend(500_u32.to_le_bytes());
        rows.extend([7, 0, 0, 0]);
        let tick = u32::try_from(at_ms.rem_euclid(1 << 32)).unwrap_or(0);
        let noise = u32::try_from((key * 31 + sequence * 7) % 17).unwrap_or(0);
        for count in [tick, 40 + noise, 1000 + 30 * noise, 200_000 + 900 * noise] {
            rows.extend(u32::to_le_bytes(count));
        }
    }
    let mut frame = b"CEF1\x03\x00\x01\x00".to_vec();
    frame.extend(1_u64.to_le_bytes());
    frame.extend(u64::to_le_bytes(sequence));
    frame.extend(u32::try_from(rows.len() / 32).unwrap_or(0).to_le_bytes());
    frame.extend(100_u32.to_le_bytes());
    frame.extend(rows);
    frame
}

/// A book under way: its windows are full and its bids in force.
struct Running {
    book: Book,
    campaigns: u64,
    at_ms: i64,
    sequence: u64,
}

impl Running {
    fn new(campaigns: u64) -> Self {
        let rows: (Vec<_>, Vec<_>) = (1..=campaigns).map(campaign).unzip();
        let mut book = Book::new(64, 1, 2000).expect("a legal book");
        book.put(&rows.0.concat(), &rows.1.concat())
            .expect("legal campaigns");
        let mut running = Self {
            book,
            campaigns,
            at_ms: START_MS - 128_000,
            sequence: 0,
        };
        for turn in 0..64 {
            running.hear(1);
            if turn >= 60 {
                running.decide();
            }
        }
        running
    }

    /// Lets two seconds pass, in which one campaign in so many reports; with 0 none does.
    fn hear(&mut self, one_in: u64) {
        self.at_ms += 2000;
        self.sequence += 1;
        if one_in > 0 {
            let turn = self.sequence % one_in;
            let heard = (1..=self.campaigns).filter(|key| key % one_in == turn);
            self.book
                .ingest(&frame(self.sequence, heard, self.at_ms - 1000))
                .expect("a legal frame");
        }
    }

    /// Decides a round; returns how many seconds it took.
    fn decide(&mut self) -> f64 {
        seconds(|| {
            black_box(self.book.decide(self.at_ms)).expect("a later round");
        })
    }
}

/// What is shorter is timed by the clock on the wall, of which the least is kept: some kernels count a
/// thread's time in ticks of four milliseconds.
const SHORT_S: f64 = 0.2;

/// Returns how many seconds this thread was on a core for a piece of work, where the kernel tells: other
/// processes' turns are not this one's cost.
fn seconds(work: impl FnOnce()) -> f64 {
    let (began, since) = (on_core(), Instant::now());
    work();
    let passed = since.elapsed().as_secs_f64();
    match (began, on_core()) {
        (Some(began), Some(ended)) if passed > SHORT_S => passed.min(ended - began),
        _ => passed,
    }
}

/// Returns the seconds that this thread has been on a core so far.
fn on_core() -> Option<f64> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(told.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// Reads and writes every word once; returns how many seconds it took.
fn stream(words: &mut [u64]) -> f64 {
    seconds(|| {
        for word in words.iter_mut() {
            *word = word.wrapping_add(1);
        }
        black_box(words);
    })
}

fn main() {
    let wanted = std::env::var("ROUND_CAMPAIGNS").unwrap_or_else(|_| "10000,100000".into());
    let sizes = wanted
        .split(',')
        .filter_map(|size| size.trim().parse().ok());
    let mut told = String::new();
    for campaigns in sizes {
        let mut running = Running::new(campaigns);
        let words = STATE_BYTES / 8 * usize::try_from(campaigns).expect("a size");
        let mut words = vec![0_u64; words];
        stream(&mut words);
        let heard = [("none", 0), ("one in ten", 10), ("all", 1)];
        let mut least = [f64::INFINITY; 4];
        for _ in 0..TURNS {
            for ((_, one_in), least) in heard.iter().zip(&mut least) {
                running.hear(*one_in);
                *least = least.min(running.decide());
            }
            let [.., floor] = &mut least;
            *floor = floor.min(stream(&mut words));
        }
        let [none, tenth, all, floor] = least.map(|seconds| seconds * 1e3);
        for (name, ms) in [
            ("none", none),
            ("one in ten", tenth),
            ("all", all),
            ("floor", floor),
        ] {
            let each = ms * 1e6 / campaigns as f64;
            let times = ms / floor;
            println!(
                "{campaigns:>8} campaigns × 4, heard from: {name:<10} {ms:>9.2} ms {each:>8.0} ns each {times:>7.1} × floor"
            );
        }
        let bytes = running.book.bytes() / running.book.series();
        println!("{campaigns:>8} campaigns × 4: {bytes} bytes a campaign-platform");
        told = format!(
            "{{\"campaigns\": {campaigns}, \"round_ms_none\": {none:.2}, \"round_ms_changed10\": {tenth:.2}, \"round_ms_all\": {all:.2}, \"round_floor_ms\": {floor:.2}, \"bytes_per_slot_all\": {bytes}}}"
        );
    }
    println!("{told}");
}
