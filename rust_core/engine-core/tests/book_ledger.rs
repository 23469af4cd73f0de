//! The ledger under any sequence of frames: late, doubled, restated, out of order, over-delivered.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{INTERVAL_MS, Report, START_MS, UNIT_MICROS, Wanted, frame, put, read};
use engine_core::book::Book;
use engine_core::money::Micros;
use proptest::prelude::*;
use std::collections::{BTreeMap, HashSet};

const WINDOW: usize = 4;

/// The obvious ledger: every report kept for ever.
#[derive(Default)]
struct Recount {
    frames: HashSet<u64>,
    series: BTreeMap<u64, (BTreeMap<u32, i64>, i64)>, // in the window by tick, passed
}

impl Recount {
    fn count(&mut self, sequence: u64, reports: &[Report]) {
        if !self.frames.insert(sequence) {
            return;
        }
        for report in reports {
            let (window, passed) = self.series.entry(report.series).or_default();
            let oldest = window.keys().next().copied();
            let is_new = !window.contains_key(&report.tick);
            if is_new && window.len() == WINDOW && oldest.is_some_and(|oldest| report.tick < oldest)
            {
                *passed += report.spend; // late
                continue;
            }
            window.insert(report.tick, report.spend);
            if window.len() > WINDOW {
                *passed += window.pop_first().unwrap().1;
            }
        }
    }

    fn settled(&self) -> i64 {
        self.series
            .values()
            .map(|(window, passed)| window.values().sum::<i64>() + passed)
            .sum()
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// A frame, of a sequence that may have been before.
    Frame(u64, Vec<(u64, u32, i64)>),
    Decide,
    Budget(i64),
    Restore,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let row = (1_u64..3, 0_u32..12, 0_i64..20_000_000);
    let step = prop_oneof![
        4 => (0_u64..60, prop::collection::vec(row, 0..6)).prop_map(|(s, rows)| Step::Frame(s, rows)),
        3 => Just(Step::Decide),
        1 => (1_i64..200_000_000).prop_map(Step::Budget),
        1 => Just(Step::Restore),
    ];
    prop::collection::vec(step, 1..60)
}

proptest! {
    #[test]
    fn settled_is_what_an_obvious_recount_says_and_no_round_gives_beyond_the_budget(steps in steps()) {
        let mut book = Book::new(WINDOW, 1, 2000).unwrap();
        let mut wanted = Wanted { budget: 100_000_000, ..Wanted::new(1) };
        put(&mut book, std::slice::from_ref(&wanted));
        let (mut recount, mut at_ms) = (Recount::default(), START_MS);
        for step in steps {
            match step {
                Step::Frame(sequence, rows) => {
                    let reports: Vec<Report> = rows.iter().map(|&(platform, tick, spend)| Report {
                        series: wanted.series_key(platform),
                        tick: common::tick(START_MS) + tick * 2000,
                        clicks: 10, milliconversions: 500, spend, impressions: 100,
                    }).collect();
                    recount.count(sequence, &reports);
                    book.ingest(&frame(sequence, &reports)).unwrap();
                }
                Step::Decide => {
                    let before = book.ledger()[0];
                    let decided = read(&book.decide(at_ms).unwrap()).remove(0);
                    at_ms += INTERVAL_MS;
                    let committed = decided.settled + decided.reserved;
                    prop_assert!(
                        committed <= wanted.budget || committed <= before.settled.0 + before.reserved.0,
                        "caps were given beyond the budget: {decided:?}"
                    );
                    for told in &decided.series {
                        prop_assert!(told.bid >= 0 && told.cap >= 0);
                    }
                }
                Step::Budget(budget) => {
                    wanted.budget = budget;
                    put(&mut book, std::slice::from_ref(&wanted));
                }
                Step::Restore => book = Book::restore(&book.snapshot()).unwrap(),
            }
            book.verify().unwrap();
            prop_assert_eq!(book.ledger()[0].settled.0, recount.settled());
        }
    }

    #[test]
    fn what_stays_within_its_caps_stays_within_the_budget(
        wishes in prop::collection::vec((0_i64..50_000_000, 0_i64..50_000_000, any::<bool>()), 1..60),
        daily_cap in prop_oneof![Just(0_i64), 1_000_000_i64..90_000_000],
    ) {
        let mut book = Book::new(WINDOW, 1, 2000).unwrap();
        let wanted = Wanted { budget: 100_000_000, daily_cap, ..Wanted::new(1) };
        put(&mut book, std::slice::from_ref(&wanted));
        let (mut at_ms, mut spent, mut held) = (START_MS, [0_i64; 2], Vec::new());
        for (sequence, (first, second, is_held)) in (0..).zip(wishes) {
            let decided = read(&book.decide(at_ms).unwrap()).remove(0);
            at_ms += INTERVAL_MS;
            prop_assert!(decided.settled + decided.reserved <= wanted.budget);
            if daily_cap > 0 {
                prop_assert!(decided.settled + decided.reserved <= daily_cap, "{decided:?}");
            }
            for ((told, spent), wish) in decided.series.iter().zip(&mut spent).zip([first, second]) {
                let sold = wish.min((told.cap - *spent).max(0));
                *spent += sold;
                held.push(Report {
                    series: told.key, tick: common::tick(at_ms), clicks: 5,
                    milliconversions: 0, spend: sold, impressions: 9,
                });
            }
            // Reports may come late, but come they do, and in any order.
            if !is_held {
                held.reverse();
                book.ingest(&frame(sequence, &std::mem::take(&mut held))).unwrap();
            }
            book.verify().unwrap();
        }
        prop_assert!(spent.iter().sum::<i64>() <= wanted.budget);
    }
}

#[test]
fn a_restated_report_settles_the_difference_to_the_micro() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted::new(1);
    put(&mut book, std::slice::from_ref(&wanted));
    let report = |spend| Report {
        series: wanted.series_key(1),
        tick: 9,
        clicks: 3,
        milliconversions: 0,
        spend,
        impressions: 7,
    };
    for (sequence, spend) in [(1, 1_234_567), (2, 1_234_501), (3, 99), (4, 1_000_000)] {
        book.ingest(&frame(sequence, &[report(spend)])).unwrap();
        assert_eq!(book.ledger()[0].settled, Micros(spend));
        book.verify().unwrap();
    }
}

#[test]
fn spend_beyond_a_cap_is_booked_and_stops_new_caps() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted {
        budget: 10_000_000,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    let before = read(&book.decide(START_MS).unwrap()).remove(0);
    let over = Report {
        series: wanted.series_key(1),
        tick: common::tick(START_MS),
        clicks: 30,
        milliconversions: 0,
        spend: 25_000_000,
        impressions: 300,
    };
    book.ingest(&frame(1, &[over])).unwrap();
    let after = read(&book.decide(START_MS + INTERVAL_MS).unwrap()).remove(0);
    assert_eq!(
        (after.settled, after.action, after.binding),
        (25_000_000, 0, 4),
        "HOLD for BUDGET"
    );
    assert_eq!(after.series[0].cap, before.series[0].cap);
    assert!(after.series.iter().all(|told| told.bid == 0));
}

#[test]
fn a_series_that_is_dropped_stays_in_the_ledger_and_comes_back_with_it() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted {
        platforms: 2,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    book.decide(START_MS).unwrap();
    let report = |tick, spend| Report {
        series: wanted.series_key(2),
        tick,
        clicks: 3,
        milliconversions: 0,
        spend,
        impressions: 7,
    };
    book.ingest(&frame(1, &[report(1, 300_000)])).unwrap();
    let full = book.ledger()[0];
    put(
        &mut book,
        &[Wanted {
            platforms: 1,
            ..wanted.clone()
        }],
    );
    assert_eq!(
        book.ledger()[0],
        full,
        "what it may still spend stays reserved"
    );
    let counted = book.ingest(&frame(2, &[report(2, 100_000)])).unwrap();
    assert_eq!((counted.accepted, counted.unknown), (1, 0));
    assert_eq!(book.ledger()[0].settled, Micros(400_000));
    put(&mut book, std::slice::from_ref(&wanted));
    let decided = read(&book.decide(START_MS + INTERVAL_MS).unwrap()).remove(0);
    assert!(decided.series[1].cap >= 400_000);
    assert_eq!(decided.settled, 400_000);
    book.verify().unwrap();
}

#[test]
fn a_platform_that_is_dropped_is_told_to_stop_until_its_cap_is_proven_over() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let both = Wanted {
        platforms: 2,
        ..Wanted::new(1)
    };
    let one = Wanted {
        platforms: 1,
        ..both.clone()
    };
    put(&mut book, std::slice::from_ref(&both));
    let before = read(&book.decide(START_MS).unwrap()).remove(0);
    assert!(before.series[1].cap > 0);
    put(&mut book, std::slice::from_ref(&one));
    let mut at_ms = START_MS;
    let mut told = Vec::new();
    for round in 1..12_u64 {
        at_ms += INTERVAL_MS;
        let quiet = Report {
            series: both.series_key(2),
            tick: common::tick(at_ms - 10),
            clicks: 0,
            milliconversions: 0,
            spend: 0,
            impressions: 1,
        };
        book.ingest(&frame(round, &[quiet])).unwrap();
        let after = read(&book.decide(at_ms).unwrap()).remove(0);
        told.push(
            after
                .series
                .get(1)
                .map(|dropped| (dropped.bid, dropped.cap)),
        );
    }
    assert_eq!(told[0], Some((0, 0)), "told at once");
    assert_eq!(told[10], None, "and no more once reports have proven it");
    let again = Book::restore(&book.snapshot()).unwrap();
    assert_eq!(again.ledger(), book.ledger());
}

#[test]
fn what_the_chain_has_recorded_is_held_to_be_spent() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted {
        budget: 10_000_000,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    book.raise_cap(wanted.series_key(1), Micros(3_000_000))
        .unwrap();
    book.raise_cap(wanted.series_key(2), Micros(1_000_000))
        .unwrap();
    book.raise_settled(1, Micros(3_500_000)).unwrap();
    let line = book.ledger()[0];
    assert_eq!(
        (line.settled, line.reserved),
        (Micros(4_000_000), Micros::ZERO)
    );
    book.raise_settled(1, Micros(5_000_000)).unwrap();
    assert_eq!(book.ledger()[0].settled, Micros(5_000_000));
    let decided = read(&book.decide(START_MS).unwrap()).remove(0);
    assert!(
        decided.series[0].cap > 3_000_000,
        "room above what was spent"
    );
    assert!(decided.settled + decided.reserved <= 10_000_000);
    book.verify().unwrap();
}

#[test]
fn a_daily_cap_holds_until_midnight_and_not_longer() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let midnight = START_MS + 60_000;
    book.set_calendar(7, vec![midnight - 86_400_000, midnight], Vec::new())
        .unwrap();
    let wanted = Wanted {
        daily_cap: 5_000_000,
        calendar: 7,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    let (mut spent, mut at_ms, mut actions) = ([0_i64; 2], START_MS, Vec::new());
    for sequence in 0..60 {
        let decided = read(&book.decide(at_ms).unwrap()).remove(0);
        actions.push((at_ms, decided.action, decided.binding));
        at_ms += INTERVAL_MS;
        let mut reports = Vec::new();
        for (told, spent) in decided.series.iter().zip(&mut spent) {
            let sold = if told.bid > 0 {
                (told.cap - *spent).max(0)
            } else {
                0
            };
            *spent += sold;
            reports.push(Report {
                series: told.key,
                tick: common::tick(at_ms),
                clicks: 5,
                milliconversions: 250,
                spend: sold,
                impressions: 10,
            });
        }
        book.ingest(&frame(sequence, &reports)).unwrap();
        let all: i64 = spent.iter().sum();
        let days = if at_ms <= midnight { 1 } else { 2 };
        assert!(all <= days * 5_000_000, "{all} at {}", at_ms - START_MS);
    }
    assert!(
        actions
            .iter()
            .any(|&(_, action, binding)| (action, binding) == (0, 5)),
        "held"
    );
    assert!(
        actions
            .iter()
            .any(|&(at_ms, action, _)| at_ms >= midnight && action == 1),
        "and bid again"
    );
    assert_eq!(UNIT_MICROS, 100);
}

#[test]
fn a_budget_or_daily_cap_that_is_lowered_takes_back_the_caps_given_beyond_it() {
    for is_daily in [false, true] {
        let mut book = Book::new(8, 1, 2000).unwrap();
        let mut wanted = Wanted::new(1);
        put(&mut book, std::slice::from_ref(&wanted));
        let before = read(&book.decide(START_MS).unwrap()).remove(0);
        assert!(before.reserved > 0);
        let most = before.reserved / 3;
        if is_daily {
            wanted.daily_cap = most;
        } else {
            wanted.budget = most;
        }
        put(&mut book, std::slice::from_ref(&wanted));
        let after = read(&book.decide(START_MS + INTERVAL_MS).unwrap()).remove(0);
        let caps: i64 = after.series.iter().map(|told| told.cap).sum();
        assert!(caps <= most, "platforms were left with {caps} of {most}");
        assert_eq!(after.reserved, before.reserved, "they may have spent it");
        assert_eq!(after.binding, if is_daily { 5 } else { 4 });
    }
}

#[test]
fn a_platform_that_passes_its_cap_takes_from_the_caps_of_the_others() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted {
        budget: 10_000_000,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    let before = read(&book.decide(START_MS).unwrap()).remove(0);
    let spend = wanted.budget - before.series[1].cap / 2;
    let over = Report {
        series: wanted.series_key(1),
        tick: common::tick(START_MS),
        clicks: 30,
        milliconversions: 0,
        spend,
        impressions: 300,
    };
    book.ingest(&frame(1, &[over])).unwrap();
    let after = read(&book.decide(START_MS + INTERVAL_MS).unwrap()).remove(0);
    assert!(spend + after.series[1].cap <= wanted.budget, "{after:?}");
}

#[test]
fn what_is_reported_of_a_day_before_its_first_round_counts_to_that_day() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let midnight = START_MS + INTERVAL_MS;
    book.set_calendar(7, vec![midnight - 86_400_000, midnight], Vec::new())
        .unwrap();
    let wanted = Wanted {
        daily_cap: 5_000_000,
        calendar: 7,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    let eve = read(&book.decide(START_MS).unwrap()).remove(0);
    let (old, new) = (eve.series[0].cap / 2, eve.series[0].cap / 4);
    let report = |at_ms, spend| Report {
        series: wanted.series_key(1),
        tick: common::tick(at_ms),
        clicks: 5,
        milliconversions: 250,
        spend,
        impressions: 10,
    };
    let spent = [report(midnight, old), report(midnight + 60_000, new)];
    book.ingest(&frame(1, &spent)).unwrap();
    // Nobody decided for a while: the platform went on by the cap it had.
    let mut at_ms = midnight + 120_000;
    let mut most = 0;
    for _ in 0..30 {
        let decided = read(&book.decide(at_ms).unwrap()).remove(0);
        most = most.max(decided.settled + decided.reserved - old);
        at_ms += INTERVAL_MS;
        let caps = decided.series.iter().zip([old + new, 0]);
        let rest: Vec<Report> = caps
            .map(|(told, before)| Report {
                series: told.key,
                ..report(at_ms, (told.cap - before).max(0))
            })
            .collect();
        // Each restates the rest of the day as one report, at one time.
        let whole: Vec<Report> = rest
            .into_iter()
            .map(|one| Report {
                tick: common::tick(midnight + 110_000),
                ..one
            })
            .collect();
        book.ingest(&frame(u64::try_from(at_ms).unwrap(), &whole))
            .unwrap();
    }
    assert!(most <= wanted.daily_cap, "{most} of {}", wanted.daily_cap);
}
