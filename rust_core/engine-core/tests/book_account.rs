//! An account's caps when they are lowered, under any sequence of caps, sales and reports.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{Decided, INTERVAL_MS, Report, START_MS, Wanted, frame, put, put_account, read};
use engine_core::book::Book;
use engine_core::verdict::BINDINGS;
use proptest::prelude::*;
use std::collections::BTreeMap;

const ACCOUNT: u64 = 9;
/// Longer than a platform may go by the cap that it had before.
const ROUND_MS: i64 = 15_000;

fn campaigns() -> Vec<Wanted> {
    let one = |key| Wanted {
        account: ACCOUNT,
        ends_ms: START_MS + 3_600_000,
        ..Wanted::new(key)
    };
    (1..=3).map(one).collect()
}

fn reserved(decided: &[Decided]) -> i64 {
    decided.iter().map(|one| one.reserved).sum()
}

fn report(series: u64, at_ms: i64, spend: i64) -> Report {
    Report {
        series,
        tick: common::tick(at_ms),
        clicks: 5,
        milliconversions: 100,
        spend,
        impressions: 9,
    }
}

#[test]
fn an_account_s_cap_that_is_lowered_takes_back_the_caps_given_beyond_it() {
    for is_daily in [false, true] {
        let mut book = Book::new(8, 1, 2000).unwrap();
        put_account(&mut book, ACCOUNT, -1, -1, false);
        put(&mut book, &campaigns());
        let before = read(&book.decide(START_MS).unwrap());
        let most = reserved(&before) / 3;
        assert!(most > 0);
        let (total, daily) = if is_daily { (-1, most) } else { (most, -1) };
        put_account(&mut book, ACCOUNT, total, daily, false);
        let after = read(&book.decide(START_MS + INTERVAL_MS).unwrap());
        let told = after.iter().flat_map(|one| &one.series);
        let caps: i64 = told.clone().map(|told| told.cap).sum();
        assert!(caps <= most, "platforms were left with {caps} of {most}");
        assert!(told.clone().all(|told| told.cap > 0), "each keeps its part");
        assert_eq!(
            reserved(&after),
            reserved(&before),
            "they may have spent it"
        );
        for one in &after {
            assert_eq!(BINDINGS[usize::from(one.binding)], "ACCOUNT_CAP");
        }
        let late_ms = START_MS + 120_000;
        let silent: Vec<Report> = told.map(|told| report(told.key, late_ms, 0)).collect();
        book.decide(START_MS + 2 * INTERVAL_MS).unwrap();
        book.ingest(&frame(1, &silent)).unwrap();
        let proven = read(&book.decide(late_ms).unwrap());
        assert!(reserved(&proven) <= most, "reports released the rest");
    }
}

#[test]
fn a_campaign_of_an_account_that_is_lowered_below_its_spend_stops() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    put_account(&mut book, ACCOUNT, -1, -1, false);
    put(&mut book, &campaigns());
    let before = read(&book.decide(START_MS).unwrap());
    let told = &before[0].series[0];
    let spent = report(told.key, START_MS + 1, told.cap / 2);
    book.ingest(&frame(1, &[spent])).unwrap();
    put_account(&mut book, ACCOUNT, told.cap / 3, -1, false);
    for one in read(&book.decide(START_MS + INTERVAL_MS).unwrap()) {
        assert_eq!(
            (one.action, BINDINGS[usize::from(one.binding)]),
            (0, "ACCOUNT_CAP")
        );
        assert!(one.series.iter().all(|told| told.bid == 0));
    }
}

/// What happens around a round.
#[derive(Debug)]
struct Happening {
    /// New caps of the account, total and daily.
    caps: Option<(i64, i64)>,
    /// What each platform would sell.
    wishes: Vec<i64>,
    is_restored: bool,
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    let cap = || prop_oneof![Just(-1_i64), 0_i64..400_000_000];
    let caps = prop_oneof![2 => Just(None), 1 => (cap(), cap()).prop_map(Some)];
    let wishes = prop::collection::vec(0_i64..30_000_000, 6);
    let one = (caps, wishes, any::<bool>()).prop_map(|(caps, wishes, is_restored)| Happening {
        caps,
        wishes,
        is_restored,
    });
    prop::collection::vec(one, 1..40)
}

proptest! {
    #[test]
    fn what_platforms_may_still_spend_comes_down_to_a_lowered_cap_at_the_next_round(
        happenings in happenings(),
    ) {
        let mut book = Book::new(8, 1, 2000).unwrap();
        put(&mut book, &campaigns());
        put_account(&mut book, ACCOUNT, -1, -1, false);
        let frames = happenings.len() as u64 + 1;
        let (mut total, mut daily, mut at_ms) = (-1, -1, START_MS);
        let mut settled = BTreeMap::<u64, i64>::new();
        for (number, happening) in (1..).zip(happenings) {
            if let Some(caps) = happening.caps {
                (total, daily) = caps;
                put_account(&mut book, ACCOUNT, total, daily, false);
            }
            if happening.is_restored {
                book = Book::restore(&book.snapshot()).unwrap();
            }
            let before: i64 = book.ledger().iter().map(|one| one.reserved.0).sum();
            let decided = read(&book.decide(at_ms).unwrap());
            let spent: i64 = settled.values().sum();
            let most = [total, daily].into_iter().filter(|&cap| cap >= 0).min();
            let left = most.map_or(i64::MAX, |most| (most - spent).max(0));
            let told = || decided.iter().flat_map(|one| &one.series);
            let already = |key| settled.get(&key).copied().unwrap_or(0);
            let open: i64 = told().map(|told| (told.cap - already(told.key)).max(0)).sum();
            prop_assert!(open <= left, "platforms may still spend {open} of {left}");
            prop_assert!(reserved(&decided) <= before.max(left), "more was given");

            // All report all they sold, so the caps they had before are proven over.
            at_ms += ROUND_MS;
            let reports: Vec<Report> = told().zip(happening.wishes).map(|(told, wish)| {
                let sold = wish.min((told.cap - already(told.key)).max(0));
                report(told.key, at_ms, sold)
            }).collect();
            for report in &reports {
                *settled.entry(report.series).or_default() += report.spend;
            }
            book.ingest(&frame(number, &reports)).unwrap();
        }
        // Once nobody lowers it any more, so does what is reserved.
        let spent: i64 = settled.values().sum();
        let most = [total, daily].into_iter().filter(|&cap| cap >= 0).min();
        for number in 0..4 {
            book.decide(at_ms).unwrap();
            at_ms += ROUND_MS;
            let silent: Vec<Report> = settled.keys().map(|&key| report(key, at_ms, 0)).collect();
            book.ingest(&frame(frames + number, &silent)).unwrap();
        }
        let decided = read(&book.decide(at_ms).unwrap());
        let left = most.map_or(i64::MAX, |most| (most - spent).max(0));
        prop_assert!(reserved(&decided) <= left, "{} of {left} stays reserved", reserved(&decided));
    }
}
