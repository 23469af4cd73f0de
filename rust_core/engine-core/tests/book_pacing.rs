//! The loop closed with a small market: spend follows its plan over flights of any length.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss
)]

mod common;

use common::{INTERVAL_MS, Market, START_MS, Wanted, frame, put, read};
use engine_core::book::Book;

struct Run {
    /// Multiplier and spend of each round.
    rounds: Vec<(f64, f64)>,
    settled: i64,
    spent: i64,
}

/// Runs `rounds` of a flight of `flight_ms`, whose budget is `plan` a round. `supply`: what the
/// market would sell in a round at a bid of 1, in multiples of the plan; reports come a round late.
#[allow(clippy::cast_possible_truncation)]
fn run(flight_ms: i64, rounds: usize, plan: f64, supply: f64, power: f64) -> Run {
    let mut book = Book::new(64, 1, 2000).unwrap();
    let budget = (plan * flight_ms as f64 / INTERVAL_MS as f64) as i64;
    let wanted = Wanted {
        budget,
        ends_ms: START_MS + flight_ms,
        ..Wanted::new(1)
    };
    put(&mut book, &[wanted]);
    let mut market = Market::new(supply * plan / 2.0, power, 2);
    let (mut at_ms, mut late, mut seen) = (START_MS, Vec::new(), Vec::new());
    for sequence in 0..rounds as u64 {
        book.ingest(&frame(sequence, &late)).unwrap();
        let decided = read(&book.decide(at_ms).unwrap()).remove(0);
        assert!(decided.settled + decided.reserved <= budget);
        at_ms += INTERVAL_MS;
        let before: i64 = market.spent.iter().sum();
        late = market.sell(&decided.series, at_ms);
        let spent = market.spent.iter().sum::<i64>() - before;
        seen.push((decided.multiplier, spent as f64));
    }
    book.ingest(&frame(rounds as u64, &late)).unwrap();
    book.verify().unwrap();
    let settled = book.ledger()[0].settled.0;
    Run {
        rounds: seen,
        settled,
        spent: market.spent.iter().sum(),
    }
}

fn mean(rounds: &[(f64, f64)]) -> f64 {
    rounds.iter().map(|&(_, spent)| spent).sum::<f64>() / rounds.len() as f64
}

const PLAN: f64 = 20_000_000.0; // 20 a round: dozens of clicks
const FLIGHTS_MS: [i64; 4] = [30_000, 600_000, 86_400_000, 2_592_000_000];

#[test]
fn spend_keeps_to_its_plan_over_flights_of_any_length() {
    for flight_ms in FLIGHTS_MS {
        let rounds = usize::try_from(flight_ms / INTERVAL_MS).unwrap().min(400);
        for (supply, power) in [(1.0, 1.0), (3.0, 1.0), (10.0, 2.0), (30.0, 3.0)] {
            let run = run(flight_ms, rounds, PLAN, supply, power);
            let share = mean(&run.rounds[rounds / 2..]) / PLAN;
            let found = format!("flight {flight_ms}, supply {supply}, power {power}: {share}");
            assert!((0.7..1.3).contains(&share), "{found}");
            assert_eq!(run.settled, run.spent, "{found}");
        }
    }
}

#[test]
fn the_multiplier_settles_and_does_not_swing() {
    for (supply, power) in [(3.0, 1.0), (10.0, 2.0), (30.0, 3.0)] {
        let run = run(86_400_000, 300, PLAN, supply, power);
        let settled: Vec<f64> = run.rounds[100..]
            .iter()
            .map(|&(multiplier, _)| multiplier)
            .collect();
        let (least, most) = settled
            .iter()
            .fold((f64::MAX, 0.0_f64), |(a, b), &m| (a.min(m), b.max(m)));
        assert!(
            most / least < 1.35,
            "supply {supply}, power {power}: {least} to {most}"
        );
    }
}

#[test]
fn a_thin_budget_is_spent_in_lumps_and_still_on_plan() {
    // A click costs more than ten rounds' plan: the error of a single round says nothing.
    let run = run(86_400_000, 20_000, 40_000.0, 200.0, 1.0);
    let share = mean(&run.rounds) / 40_000.0;
    assert!((0.6..1.2).contains(&share), "{share}");
}

#[test]
fn a_market_that_sells_nothing_is_asked_for_more_and_never_for_a_jump() {
    let run = run(600_000, 40, PLAN, 0.0, 1.0);
    assert_eq!(run.spent, 0);
    for pair in run.rounds.windows(2) {
        assert!(pair[1].0 <= pair[0].0 * 1.25 && pair[1].0 >= pair[0].0 * 0.9);
    }
}

#[test]
fn the_budget_is_used_up_by_the_end_of_the_flight() {
    for flight_ms in [30_000, 600_000] {
        let rounds = usize::try_from(flight_ms / INTERVAL_MS).unwrap();
        let run = run(flight_ms, rounds, PLAN, 10.0, 1.0);
        let part = run.spent as f64 / (PLAN * rounds as f64);
        assert!((0.85..=1.0).contains(&part), "flight {flight_ms}: {part}");
    }
}
