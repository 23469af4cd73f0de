//! Times the closed-form sweep and its ticks: a batch of one sample for every campaign-platform in
//! random order, then a decision for every campaign, beside what memory alone allows.
//!
//! Prints one line of JSON for each size: 10,000 and 100,000 campaigns on four platforms, and a million
//! (5 GB) where `ENGINE_BENCH_LARGE=1`. `ENGINE_BENCH_CAMPAIGNS=100000` runs that size alone.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a benchmark prints, and may stop where its set-up is wrong"
)]

mod floor;

use engine_core::sweep::{DECISION_BYTES, Layout, Sweep};
use floor::{Dice, Stream, TwoLines, ns_each, time, undisturbed};
use std::hint::black_box;

const PLATFORMS: usize = 4;
const WINDOW: usize = 64;
/// Rows of a batch: as large as a service's, and small enough to be timed without a disturbance.
const BATCH: usize = 16_384;

fn plans(campaigns: usize) -> Vec<u8> {
    let plan: Vec<u8> = [20_000_000, 2_000_000, 1 << 50, 0, 0, 2_592_000_000]
        .into_iter()
        .flat_map(i64::to_le_bytes)
        .collect();
    plan.repeat(campaigns)
}

/// Writes one sample for each slot of `order` over `rows`.
fn fill(rows: &mut [[u8; 32]], order: &[usize], turn: usize) {
    for (row, &slot) in rows.iter_mut().zip(order) {
        let noise = u32::try_from(slot * 31 + turn * 17).unwrap_or(0) % 97;
        let tick = u32::try_from(turn * 2000 + slot % 1000).unwrap_or(0);
        let words = [tick, 50 + noise, 1000 + 13 * noise, 250_000 + 1009 * noise];
        row[..8].copy_from_slice(&(slot as u64).to_le_bytes());
        for (place, word) in row[16..].chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }
}

fn run(campaigns: usize, threads: usize) {
    let slots = campaigns * PLATFORMS;
    let mut sweep = Sweep::new(Layout {
        campaigns,
        platforms: PLATFORMS,
        window: WINDOW,
        tick_ms: 1,
        unit_micros: 100,
        threads,
    })
    .expect("a legal layout");
    sweep.set_plans(0, &plans(campaigns)).expect("legal plans");
    let order = Dice::new(1).shuffled(slots);
    let mut rows = vec![[0; 32]; slots];
    // Each slot's ring is full, and no two neighbours are at the same place of theirs.
    for turn in 0..WINDOW + 8 {
        fill(&mut rows, &order, turn);
        let from = if turn < 64 { turn * slots / 128 } else { 0 };
        sweep
            .ingest(rows[from..].as_flattened())
            .expect("whole rows");
    }
    let mut out = vec![0; campaigns * DECISION_BYTES];
    let mut lines = TwoLines::new(slots, WINDOW);
    let mut stream = Stream::new(campaigns, PLATFORMS);
    let rounds = (4_000_000 / slots).clamp(4, 40);
    let (mut pushes, mut sweeps) = (Vec::new(), Vec::new());
    for turn in (WINDOW + 8..).take(rounds) {
        fill(&mut rows, &order, turn);
        let at_ms = i64::try_from(turn * 2000).expect("few");
        for (rows, order) in rows.chunks(BATCH).zip(order.chunks(BATCH)) {
            let floor = time(|| lines.update(order, turn));
            let core = time(|| {
                black_box(sweep.ingest(rows.as_flattened()).expect("whole rows"));
            });
            pushes.push([floor, core].map(|found| ns_each(found, rows.len())));
        }
        let floor = time(|| stream.sweep());
        let core = time(|| sweep.decide(at_ms, 2000, &mut out).expect("a legal call"));
        sweeps.push([floor, core].map(|found| ns_each(found, slots)));
    }
    let [lines, ingest] = undisturbed(&pushes);
    let [stream, decide] = undisturbed(&sweeps);
    println!(
        "{{\"bench\": \"sweep\", \"campaigns\": {campaigns}, \"threads\": {threads}, \
         \"ingest_ns\": {ingest:.2}, \"ingest_floor_ns\": {lines:.2}, \
         \"ingest_floor_ratio\": {:.3}, \"ingest_samples_per_s\": {:.0}, \
         \"sweep_ns\": {decide:.2}, \"sweep_floor_ns\": {stream:.2}, \
         \"sweep_floor_ratio\": {:.3}, \"tick_ms\": {:.2}, \"bytes_per_slot\": {:.1}}}",
        lines / ingest,
        1e9 / ingest,
        stream / decide,
        (ingest + decide) * slots as f64 / 1e6,
        sweep.bytes() as f64 / slots as f64,
    );
}

fn main() {
    let sizes = match std::env::var("ENGINE_BENCH_CAMPAIGNS") {
        Ok(found) => vec![found.parse().expect("a number of campaigns")],
        Err(_) if std::env::var("ENGINE_BENCH_LARGE").is_ok() => vec![10_000, 100_000, 1_000_000],
        Err(_) => vec![10_000, 100_000],
    };
    for campaigns in sizes {
        for threads in [1, 2] {
            run(campaigns, threads);
        }
    }
}
