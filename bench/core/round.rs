//! Times a whole round: forecast, pacing, bids and ledger of every campaign of a book. It is what
//! decides how many campaigns fit into the two seconds between rounds.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may stop where its set-up is wrong"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine_core::book::Book;
use std::hint::black_box;
use std::time::{Duration, Instant};

const PLATFORMS: u64 = 4;
const START_MS: i64 = 1_700_000_000_000;

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
        let noise = u32::try_from(key * 31 % 17).unwrap_or(0);
        for count in [tick, 40 + noise, 1000 + noise, 200_000] {
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

/// Fills every window, so that a round pays for its forecasts.
fn reported(book: &mut Book, campaigns: u64) {
    for turn in 0..64 {
        let at_ms = START_MS - 128_000 + i64::try_from(turn).unwrap_or(0) * 2000;
        book.ingest(&frame(turn, 1..=campaigns, at_ms))
            .expect("a legal frame");
    }
}

/// Rounds two seconds apart, of whose campaigns none, one in ten or all were heard from since.
fn round(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("round");
    for (campaigns, one_in) in [(1_000_u64, 1), (10_000, 0), (10_000, 10), (10_000, 1)] {
        let rows: (Vec<_>, Vec<_>) = (1..=campaigns).map(campaign).unzip();
        let mut book = Book::new(64, 1, 2000).expect("a legal book");
        book.put(&rows.0.concat(), &rows.1.concat())
            .expect("legal campaigns");
        reported(&mut book, campaigns);
        let (mut at_ms, mut sequence) = (START_MS, 64);
        group.throughput(Throughput::Elements(campaigns));
        let name = format!("{campaigns}, heard: 1 in {one_in}");
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter_custom(|rounds| {
                let mut spent = Duration::ZERO;
                for _ in 0..rounds {
                    at_ms += 2000;
                    sequence += 1;
                    if one_in > 0 {
                        let heard = (1..=campaigns).filter(|key| key % one_in == sequence % one_in);
                        book.ingest(&frame(sequence, heard, at_ms - 1000))
                            .expect("a legal frame");
                    }
                    let begun = Instant::now();
                    black_box(book.decide(at_ms)).expect("a later round");
                    spent += begun.elapsed();
                }
                spent
            });
        });
    }
    group.finish();
}

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot");
    let rows: (Vec<_>, Vec<_>) = (1..=1000).map(campaign).unzip();
    let mut book = Book::new(64, 1, 2000).expect("a legal book");
    book.put(&rows.0.concat(), &rows.1.concat())
        .expect("legal campaigns");
    reported(&mut book, 1000);
    let bytes = book.snapshot();
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("take", |bencher| bencher.iter(|| book.snapshot()));
    group.bench_function("restore", |bencher| bencher.iter(|| Book::restore(&bytes)));
    group.finish();
}

criterion_group!(benches, round, snapshot);
criterion_main!(benches);
