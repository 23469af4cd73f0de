//! Times taking and restoring the snapshot of 100,000 windows: what a whole fleet's worth of
//! take-overs would cost at once. A worker does it partition by partition.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a benchmark may stop where its set-up is wrong"
)]

#[path = "../../rust_core/engine-core/tests/common/mod.rs"]
mod common;

use common::{Report, START_MS, Wanted, frame, put, tick};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine_core::book::Book;
use std::hint::black_box;

const WINDOWS: u64 = 100_000;
const PLATFORMS: u64 = 4;
const CAMPAIGNS: u64 = WINDOWS / PLATFORMS;

/// Returns a book of 100,000 windows with so many samples in each, after a round.
fn book(samples: u64) -> Book {
    let mut book = Book::new(64, 1, 2000).expect("a legal book");
    let wanted: Vec<Wanted> = (1..=CAMPAIGNS)
        .map(|key| Wanted {
            platforms: PLATFORMS,
            ..Wanted::new(key)
        })
        .collect();
    put(&mut book, &wanted);
    for turn in 0..samples {
        let at_ms = START_MS + i64::try_from(turn).expect("few") * 2000;
        let reports: Vec<Report> = wanted
            .iter()
            .flat_map(|one| (1..=PLATFORMS).map(|platform| one.series_key(platform)))
            .map(|series| Report {
                series,
                tick: tick(at_ms),
                clicks: 40 + u32::try_from(series % 17).expect("small"),
                milliconversions: 1500,
                spend: 200_000,
                impressions: 500,
            })
            .collect();
        book.ingest(&frame(turn, &reports)).expect("a legal frame");
    }
    book.decide(START_MS + i64::try_from(samples).expect("few") * 2000)
        .expect("a later round");
    book
}

fn snapshot(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("snapshot of 100,000 windows");
    group.sample_size(10);
    for samples in [8, 64] {
        let book = book(samples);
        let bytes = book.snapshot();
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(BenchmarkId::new("take", samples), |bencher| {
            bencher.iter(|| black_box(book.snapshot()));
        });
        group.bench_function(BenchmarkId::new("restore", samples), |bencher| {
            bencher.iter(|| black_box(Book::restore(&bytes)).expect("a whole snapshot"));
        });
    }
    group.finish();
}

criterion_group!(benches, snapshot);
criterion_main!(benches);
