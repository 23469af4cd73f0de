//! Times the ingest path: every sample of every campaign and platform goes through
//! `Windows::push`, tens of millions a second at the design's limit, so it is what decides how
//! many campaigns one core can carry.
//!
//! Figures depend on the machine and on what else it does; compare them within one run. `floor`
//! is the unavoidable part: one random header line and one random ring line, read and written.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "criterion's macros have no docs, and a panic is how a benchmark of nonsense ends"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine_core::window::{Sample, Windows};
use std::hint::black_box;

const BATCH: usize = 65_536;
const CAPACITY: usize = 64;

/// Returns slots in random order: campaigns do not report in the order of their memory.
fn slots(count: usize) -> Vec<usize> {
    let mut state = 1_u64;
    let roll = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap_or(0) % count
    };
    std::iter::repeat_with(roll).take(BATCH).collect()
}

fn sample(tick: u32, slot: usize) -> Sample {
    let noise = u32::try_from(slot % 97).unwrap_or(0);
    Sample {
        tick,
        clicks: 50 + noise,
        milliconversions: 1000 + 13 * noise,
        spend_units: 250_000 + 1009 * noise,
    }
}

/// Returns full windows, so that every push also takes the oldest sample out.
fn full(count: usize) -> Windows {
    let mut windows = Windows::new(CAPACITY).expect("a legal capacity");
    for _ in 0..count {
        let slot = windows.add();
        for i in 0..70 + u32::try_from(slot % 64).unwrap_or(0) {
            let _ = windows.push(slot, sample(i * 2000, slot));
        }
    }
    windows
}

fn push(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.sample_size(20);
    // 4,000 slots lie in the cache and show the arithmetic; 400,000 (100,000 campaigns on four
    // platforms) do not, and show the memory.
    for count in [4_000, 400_000] {
        let slots = slots(count);
        let mut windows = full(count);
        let mut tick = 1_000_000;
        group.bench_function(format!("in order, {count} slots"), |bencher| {
            bencher.iter(|| {
                for &slot in &slots {
                    tick += 1; // strictly later, whichever slot it is
                    black_box(windows.push(slot, sample(tick, slot)).is_ok());
                }
            });
        });
        group.bench_function(format!("asked for ahead, {count} slots"), |bencher| {
            bencher.iter(|| {
                tick += 1;
                let read = |&slot: &usize| (slot, sample(tick, slot));
                windows.push_all(&slots, read, |_, _, pushed| {
                    black_box(pushed.is_ok());
                });
            });
        });
        drop(windows);

        let mut headers = vec![[0_u64; 8]; count];
        let mut rings = vec![[0_u32; 4]; count * CAPACITY];
        group.bench_function(format!("floor, {count} slots"), |bencher| {
            bencher.iter(|| {
                for &slot in &slots {
                    let header = &mut headers[slot];
                    let place = usize::try_from(header[7] % CAPACITY as u64).unwrap_or(0);
                    let ring = &mut rings[slot * CAPACITY + place];
                    for (word, part) in header.iter_mut().zip(ring.iter()) {
                        *word = word.wrapping_add(u64::from(*part));
                    }
                    header[7] += 1;
                    *ring = [tick, 1, 2, 3];
                }
                black_box(&mut headers);
            });
        });
    }
    group.finish();
}

/// Times what is off the straight path: restatements (a scan for the same tick) and samples a few
/// places behind the newest (a shift); feeds with delay do this all day.
fn behind(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("push behind the newest");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.sample_size(20);
    let slots = slots(4_000);
    let windows = full(4_000);
    for back in [1_usize, 8, 60] {
        let rows: Vec<(usize, Sample)> = slots
            .iter()
            .filter_map(|&slot| Some((slot, windows.samples(slot).rev().nth(back)?)))
            .collect();
        let mut windows = windows.clone();
        group.bench_function(format!("restated, {back} back"), |bencher| {
            bencher.iter(|| {
                for &(slot, sample) in &rows {
                    black_box(windows.push(slot, sample).is_ok());
                }
            });
        });
    }
    group.finish();
}

/// Times a recount, which a restored snapshot and every `verify` cost for each series.
fn recount(criterion: &mut Criterion) {
    let windows = full(4_000);
    let mut slot = 0;
    criterion.bench_function("recount, 64 samples", |bencher| {
        bencher.iter_batched(
            || {
                slot = (slot + 1) % 4_000;
                slot
            },
            |slot| black_box(windows.recount(slot)),
            BatchSize::SmallInput,
        );
    });
}

criterion_group!(benches, push, behind, recount);
criterion_main!(benches);
