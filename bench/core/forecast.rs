//! Times the reading side of a window: a round asks each series of each campaign for one forecast,
//! so this is what a round costs before anything is decided.
//!
//! `from the ring` is the same with one sample that the header's sums cannot speak for, which
//! makes each forecast recount 64 samples: the price of staying exact where integers would wrap.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "criterion's macros have no docs, and a panic is how a benchmark of nonsense ends"
)]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine_core::forecast::forecast;
use engine_core::regression::{Series, fit};
use engine_core::window::{Sample, Windows};
use std::hint::black_box;

const SLOTS: usize = 4_000;

/// Returns full windows; where `wild`, one sample of each is beyond what sums of 64 bits bear.
fn windows(wild: bool) -> Windows {
    let mut windows = Windows::new(64).expect("a legal capacity");
    for _ in 0..SLOTS {
        let slot = windows.add();
        for tick in (0..70).map(|i| i * 2000) {
            let noise = tick / 2000 * 7919 % 97;
            let clicks = if wild && tick == 100_000 {
                1 << 30
            } else {
                50 + noise
            };
            let sample = Sample {
                tick,
                clicks,
                milliconversions: 1000 + 13 * noise,
                spend_units: 250_000 + 1009 * noise,
            };
            let _ = windows.push(slot, sample);
        }
    }
    windows
}

fn sweep(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("forecast");
    group.throughput(Throughput::Elements(SLOTS as u64));
    for (name, wild) in [("from the header", false), ("from the ring", true)] {
        let windows = windows(wild);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                for slot in 0..SLOTS {
                    black_box(forecast(&windows, slot, 140_000, 2000, 100));
                }
            });
        });
    }
    // Its parts, to see which of them a change has moved.
    let windows = windows(false);
    group.bench_function("sums alone", |bencher| {
        bencher.iter(|| {
            for slot in 0..SLOTS {
                black_box(windows.sums(slot));
            }
        });
    });
    group.bench_function("sums, fits and lines", |bencher| {
        bencher.iter(|| {
            for slot in 0..SLOTS {
                let sums = windows.sums(slot);
                for series in [Series::Cpc, Series::Cvr] {
                    black_box(fit(&sums, series).map(|line| line.at(140_000)));
                }
            }
        });
    });
    group.finish();
}

criterion_group!(benches, sweep);
criterion_main!(benches);
