//! Times whole frames into a book: key lookup, window, receipt and ledger for each row. `CORE.md`'s
//! figure for the window alone is in `window.rs`; the difference is what knowing the money costs.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may stop where its set-up is wrong"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_core::book::Book;
use std::hint::black_box;

const PLATFORMS: u64 = 4;
const ROWS: u64 = 256;
const START_MS: i64 = 1_700_000_000_000;

fn campaign(key: u64) -> (Vec<u8>, Vec<u8>) {
    let mut row = key.to_le_bytes().to_vec();
    for amount in [1 << 50, START_MS, START_MS + 86_400_000, 20_000_000, 0] {
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
        let mut row = series_key(key, platform).to_le_bytes().to_vec();
        row.resize(40, 0);
        row
    });
    (row, series.collect())
}

/// Keys as hashes have them: in no order.
fn series_key(campaign: u64, platform: u64) -> u64 {
    (campaign * PLATFORMS + platform).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1
}

fn frame(sequence: u64, campaigns: u64) -> Vec<u8> {
    let mut bytes = b"CEF1\x03\x00\x01\x00".to_vec();
    bytes.extend(1_u64.to_le_bytes());
    bytes.extend(sequence.to_le_bytes());
    bytes.extend(u32::try_from(ROWS).unwrap_or(0).to_le_bytes());
    bytes.extend(100_u32.to_le_bytes());
    for row in 0..ROWS {
        let place = (sequence * ROWS + row) * 7919 % (campaigns * PLATFORMS);
        bytes.extend(series_key(1 + place / PLATFORMS, place % PLATFORMS).to_le_bytes());
        bytes.extend(500_u32.to_le_bytes());
        bytes.extend([7, 0, 0, 0]);
        let turn = (sequence * ROWS + row) / (campaigns * PLATFORMS);
        let tick = u32::try_from(turn * 2000 % (1 << 31)).unwrap_or(0);
        for count in [tick, 40, 1000, 200_000] {
            bytes.extend(u32::to_le_bytes(count));
        }
    }
    bytes
}

fn ingest(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(ROWS));
    for campaigns in [1_000, 25_000] {
        let rows: (Vec<_>, Vec<_>) = (1..=campaigns).map(campaign).unzip();
        let mut book = Book::new(64, 1, 2000).expect("a legal book");
        book.put(&rows.0.concat(), &rows.1.concat())
            .expect("legal campaigns");
        let mut next = 0_u64;
        group.bench_function(format!("{campaigns} campaigns"), |bencher| {
            bencher.iter_batched(
                || {
                    // A frame counts once, so each run is handed one with a new sequence.
                    next += 1;
                    frame(next, campaigns)
                },
                |frame| black_box(book.ingest(&frame)),
                criterion::BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
