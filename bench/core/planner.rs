//! Times a decision with full landscapes, half-way through a day: for each platform a landscape of
//! 180 bids, its hull, value and cost over 87 shadow prices, and 72 scenarios of the rest of the day;
//! then one shadow price over all of them, the allocation and the bids.
//!
//! A round pays this once per campaign, so it decides how many campaigns a core can plan. `1000 bids`
//! prices each opportunity of a busy round (a logarithm and an exponential each); `64 classes` has
//! them grouped by worth, and is what the decision itself costs. The last line is one JSON object: that of
//! three platforms, beside reading once the landscapes of all its scenarios.

#![allow(
    missing_docs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "criterion's macros have no docs, and a panic is how a benchmark of nonsense ends"
)]

#[path = "floor.rs"]
mod floor;

use criterion::{BatchSize, Criterion, criterion_group};
use engine_core::money::Micros;
use engine_core::planner::{
    Goal, History, Opportunities, Outcomes, PastCampaign, Place, Planner, SHADOWS, Terms,
};
use std::hint::black_box;

const ROUNDS: usize = 48;
const HALF_WAY: usize = 20;
/// Of the decision that is told in one line.
const PLATFORMS: usize = 3;
const SCENARIOS: usize = 72;

/// A sequence that looks random and is always the same: numbers from 0 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_F42D_4C95_7F2D)
            .wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Returns the worths of a stretch of one level.
    fn worths(&mut self, count: usize, level: f64) -> Vec<f64> {
        (0..count)
            .map(|_| level * (0.2 + 1.6 * self.next()))
            .collect()
    }
}

fn history() -> History {
    let mut noise = Noise(1);
    let mut history = History::new(ROUNDS, [1.0, 0.8, 0.48]).expect("legal");
    for _ in 0..6 {
        let days: Vec<(Vec<f32>, Vec<f64>)> = (0..12)
            .map(|_| {
                let levels: Vec<f64> = (0..6).map(|_| 0.001 + 0.009 * noise.next()).collect();
                let worths = (0..ROUNDS).flat_map(|round| noise.worths(260, levels[round / 8]));
                let worths: Vec<f32> = worths.map(|worth| worth as f32).collect();
                let prices = (0..worths.len()).flat_map(|_| {
                    let least = 0.02 + 0.5 * noise.next() * noise.next();
                    [least * 1.7, least * 1.3, least]
                });
                let prices = prices.collect();
                (worths, prices)
            })
            .collect();
        let bounds: Vec<u32> = (0..=ROUNDS as u32).map(|round| round * 260).collect();
        let day = days
            .iter()
            .zip(0..)
            .map(|((worths, prices), identity)| PastCampaign {
                identity,
                worths,
                prices,
                bounds: &bounds,
            });
        history
            .add_day(&day.collect::<Vec<_>>())
            .expect("a legal day");
    }
    history
}

/// Returns a planner that has decided and observed the rounds before half-way.
fn planner(history: &History, platforms: u64, goal: Goal) -> Planner {
    let terms = Terms {
        goal,
        first_price: false,
        pacing: None,
        budget: Micros(2_000_000_000 * platforms.cast_signed()),
        target: Micros(60_000_000),
        unit: Micros(1_000_000),
    };
    let place = |identity| Place {
        identity,
        opportunities: 50_000.0,
    };
    let places: Vec<Place> = (0..platforms).map(place).collect();
    let mut planner = Planner::new(Some(history), ROUNDS, &terms, &places).expect("legal");
    let mut noise = Noise(2);
    for round in 0..HALF_WAY {
        let worths: Vec<Vec<f64>> = (0..platforms).map(|_| noise.worths(1000, 0.004)).collect();
        let plan = planner
            .decide(round, &opportunities(&worths))
            .expect("legal");
        for (platform, bids) in plan.bids.iter().enumerate() {
            let prices: Vec<f64> = bids
                .iter()
                .map(|_| 0.02 + 0.5 * noise.next() * noise.next())
                .collect();
            let won: Vec<u8> = bids
                .iter()
                .zip(&prices)
                .map(|(bid, price)| u8::from(bid > price))
                .collect();
            let paid = prices.iter().zip(&won).filter(|(_, won)| **won != 0);
            let cost: f64 = paid.map(|(price, _)| price).sum();
            let outcomes = Outcomes {
                prices: &prices,
                worths: &worths[platform],
                bids,
                paid: &prices,
                won: &won,
                exposed: &won,
                cost: Micros((cost * 1e6) as i64),
            };
            planner.observe(round, platform, &outcomes).expect("legal");
        }
    }
    planner
}

fn opportunities(worths: &[Vec<f64>]) -> Vec<Opportunities<'_>> {
    let of = worths.iter().map(|worths| Opportunities {
        worths,
        sigmas: None,
        counts: None,
    });
    of.collect()
}

fn decide(criterion: &mut Criterion) {
    let history = history();
    let mut group = criterion.benchmark_group("planner");
    for platforms in [1, 3] {
        for (name, goal) in [("hard", Goal::Hard), ("soft", Goal::Soft)] {
            let planner = planner(&history, platforms, goal);
            for (size, count) in [("64 classes", 64), ("1000 bids", 1000)] {
                let mut noise = Noise(3);
                let worths: Vec<Vec<f64>> =
                    (0..platforms).map(|_| noise.worths(count, 0.004)).collect();
                let found = opportunities(&worths);
                group.bench_function(format!("decide {platforms} {name} {size}"), |bencher| {
                    bencher.iter_batched_ref(
                        || planner.clone(),
                        |planner| black_box(planner.decide(HALF_WAY, &found)),
                        BatchSize::SmallInput,
                    );
                });
            }
        }
    }
    let terms = *planner(&history, 1, Goal::Hard).terms();
    let place = Place {
        identity: 3,
        opportunities: 50_000.0,
    };
    group.sample_size(10);
    group.bench_function("scenarios of a campaign, once a day", |bencher| {
        bencher.iter(|| black_box(Planner::new(Some(&history), ROUNDS, &terms, &[place])));
    });
    group.finish();
}

/// Times one decision over three platforms, in turn with reading once all that it looks for its price in:
/// what each scenario is worth and costs, at each shadow price, on each platform. Prints a line of JSON.
fn beside_reading() {
    const TURNS: usize = 60;
    const EACH: usize = 20;
    let history = history();
    let before = planner(&history, PLATFORMS as u64, Goal::Hard);
    let mut noise = Noise(3);
    let worths: Vec<Vec<f64>> = (0..PLATFORMS).map(|_| noise.worths(64, 0.004)).collect();
    let found = opportunities(&worths);
    let curves = vec![[1.0; SHADOWS]; 2 * PLATFORMS * SCENARIOS];
    let times: Vec<[f64; 2]> = (0..TURNS)
        .map(|_| {
            let mut planners = vec![before.clone(); EACH];
            let decided = floor::time(|| {
                for planner in &mut planners {
                    black_box(planner.decide(HALF_WAY, &found)).expect("legal");
                }
            });
            let read = floor::time(|| {
                for _ in 0..EACH {
                    black_box(sums(&curves));
                }
            });
            [decided, read].map(|time| floor::ns_each(time, EACH) / 1e3)
        })
        .collect();
    let [solve, read] = floor::undisturbed(&times);
    println!("{{\"solve_us\": {solve:.2}, \"solve_read_us\": {read:.2}}}");
}

/// Adds curves up, a shadow price each for itself.
fn sums(curves: &[[f64; SHADOWS]]) -> [f64; SHADOWS] {
    let mut sums = [0.0; SHADOWS];
    for curve in black_box(curves) {
        for (sum, found) in sums.iter_mut().zip(curve) {
            *sum += found;
        }
    }
    sums
}

criterion_group!(benches, decide);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    beside_reading();
}
