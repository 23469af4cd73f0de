//! Caps that fall: what is held, and what evidence releases. The platforms here keep to the newest
//! cap that has reached them, and reports of what they spent come late, twice and out of order.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{INTERVAL_MS, Report, START_MS, Wanted, frame, put, read, tick};
use engine_core::book::Book;
use engine_core::ledger::{APPLY_DELAY_MS, Account, Evidence, MOST_HELD, TAKE_OVER_MS};
use engine_core::money::Micros;
use proptest::prelude::*;

const BUDGET: i64 = 60_000_000;
/// How far a platform's clock is ahead of the engine's.
const SKEW_MS: i64 = 3_000;

/// A platform that spends up to the newest cap it knows, and knows it late.
#[derive(Debug, Default)]
struct Platform {
    spent: i64,
    /// When caps reach it, and what they are.
    coming: Vec<(i64, i64)>,
    cap: i64,
    /// What it spent since its last report.
    unreported: i64,
}

impl Platform {
    fn tell(&mut self, at_ms: i64, cap: i64) {
        self.coming.push((at_ms, cap));
    }

    /// Spends what it can of `wish`, at an instant.
    fn spend(&mut self, at_ms: i64, wish: i64) {
        let mut known = self.coming.iter().filter(|(from, _)| *from <= at_ms);
        self.cap = known.next_back().map_or(self.cap, |&(_, cap)| cap);
        self.coming.retain(|(from, _)| *from > at_ms);
        let sold = wish.min(self.cap - self.spent).max(0);
        self.spent += sold;
        self.unreported += sold;
    }
}

#[derive(Debug, Clone)]
struct Step {
    wishes: [i64; 2],
    /// How long the record of the round takes to be stored, and then to reach a platform.
    stored_ms: i64,
    told_ms: [i64; 2],
    /// Rounds until the frame of this one arrives, and whether it comes twice.
    late: usize,
    is_doubled: bool,
    is_active: bool,
    budget: i64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let wish = || prop_oneof![2 => Just(0_i64), 3 => 0_i64..6_000_000, 1 => Just(60_000_000_i64)];
    let step = (
        [wish(), wish()],
        prop_oneof![4 => Just(0_i64), 1 => 0_i64..40_000],
        [
            0_i64..APPLY_DELAY_MS - SKEW_MS,
            0_i64..APPLY_DELAY_MS - SKEW_MS,
        ],
        prop_oneof![3 => Just(0_usize), 2 => 0_usize..4, 1 => 0_usize..30],
        any::<bool>(),
        prop_oneof![6 => Just(true), 1 => Just(false)],
        prop_oneof![8 => Just(BUDGET), 1 => BUDGET..2 * BUDGET],
    )
        .prop_map(
            |(wishes, stored_ms, told_ms, late, is_doubled, is_active, budget)| Step {
                wishes,
                stored_ms,
                told_ms,
                late,
                is_doubled,
                is_active,
                budget,
            },
        );
    prop::collection::vec(step, 1..90)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn what_is_truly_spent_is_settled_or_reserved_whatever_is_released(steps in steps()) {
        let mut book = Book::new(8, 1, 2000).unwrap();
        let mut wanted = Wanted { budget: BUDGET, ends_ms: START_MS + 300_000, ..Wanted::new(1) };
        put(&mut book, std::slice::from_ref(&wanted));
        let mut platforms = [Platform::default(), Platform::default()];
        let mut held: Vec<(usize, u64, Vec<u8>, bool)> = Vec::new();
        let mut now_ms = START_MS;
        for (number, step) in steps.iter().enumerate() {
            if (step.is_active, step.budget) != (wanted.is_active == 1, wanted.budget) {
                wanted.is_active = u8::from(step.is_active);
                wanted.budget = wanted.budget.max(step.budget); // one that falls is beyond its caps
                put(&mut book, std::slice::from_ref(&wanted));
            }
            // A round is due up to an interval before it runs.
            let decided = read(&book.decide(now_ms - now_ms % INTERVAL_MS).unwrap()).remove(0);
            let spent: i64 = platforms.iter().map(|platform| platform.spent).sum();
            prop_assert!(decided.settled + decided.reserved <= wanted.budget, "{decided:?}");
            prop_assert!(spent <= decided.settled + decided.reserved, "{spent}: {decided:?}");
            let stored_at = now_ms + step.stored_ms;
            for ((platform, told), delay) in platforms.iter_mut().zip(&decided.series).zip(step.told_ms) {
                platform.tell(stored_at + delay, told.cap);
            }
            let next_ms = stored_at.max(now_ms + INTERVAL_MS);
            for (platform, wish) in platforms.iter_mut().zip(step.wishes) {
                for part in 0..4 {
                    platform.spend(now_ms + (next_ms - now_ms) * part / 4, wish / 4);
                }
            }
            now_ms = next_ms;
            let reports: Vec<Report> = platforms.iter_mut().zip(&decided.series).map(|(platform, told)| Report {
                series: told.key, tick: tick(now_ms + SKEW_MS), clicks: 5, milliconversions: 200,
                spend: std::mem::take(&mut platform.unreported), impressions: 9,
            }).collect();
            let sequence = number as u64 + 1;
            held.push((number + step.late, sequence, frame(sequence, &reports), step.is_doubled));
            held.sort_by_key(|&(due, sequence, ..)| (due, std::cmp::Reverse(sequence)));
            while held.first().is_some_and(|&(due, ..)| due <= number) {
                let (_, _, bytes, is_doubled) = held.remove(0);
                book.ingest(&bytes).unwrap();
                if is_doubled {
                    prop_assert!(book.ingest(&bytes).unwrap().is_duplicate);
                }
            }
            if number % 5 == 0 {
                book = Book::restore(&book.snapshot()).unwrap();
            }
            book.verify().unwrap();
        }
        for (_, _, bytes, _) in held {
            book.ingest(&bytes).unwrap();
        }
        let spent: i64 = platforms.iter().map(|platform| platform.spent).sum();
        prop_assert_eq!(book.ledger()[0].settled, Micros(spent), "every micro once");
    }
}

/// Two platforms of which one never sells; returns what the other spends of the budget.
fn spend_beside_a_platform_that_does_not(is_silent: bool) -> i64 {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted {
        budget: BUDGET,
        ends_ms: START_MS + 200_000,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    let (mut at_ms, mut spent) = (START_MS, 0);
    for sequence in 1..=100 {
        let decided = read(&book.decide(at_ms).unwrap()).remove(0);
        at_ms += INTERVAL_MS;
        let sold = (decided.series[1].cap - spent).min(2_000_000);
        spent += sold;
        let report = |platform, spend: i64| Report {
            series: wanted.series_key(platform),
            tick: tick(at_ms),
            clicks: u32::try_from(spend / 100_000).unwrap(),
            milliconversions: u32::try_from(spend / 3_000).unwrap(),
            spend,
            impressions: 10,
        };
        let mut reports = vec![report(2, sold)];
        if !is_silent {
            reports.push(report(1, 0));
        }
        book.ingest(&frame(sequence, &reports)).unwrap();
    }
    spent
}

#[test]
fn a_platform_that_reports_no_spend_strands_no_budget() {
    let (spent, silent) = (
        spend_beside_a_platform_that_does_not(false),
        spend_beside_a_platform_that_does_not(true),
    );
    assert!(spent >= BUDGET * 97 / 100, "{spent}");
    assert!(silent <= spent, "silence is no evidence: {silent} {spent}");
}

fn account(cap: i64) -> Account {
    let mut account = Account::default();
    account.allot(Micros(cap), Micros::MAX, 0);
    account
}

fn evidence(reported_ms: i64, began: u64) -> Evidence {
    Evidence { reported_ms, began }
}

#[test]
fn a_lowered_cap_stays_reserved_until_a_report_of_after_it_came_into_force() {
    let mut account = account(10);
    account.allot(Micros(4), Micros::MAX, 7);
    assert_eq!((account.cap, account.reserved()), (Micros(4), Micros(10)));
    account.release(evidence(i64::MAX, 7));
    assert_eq!(
        account.reserved(),
        Micros(10),
        "its record may not be stored yet"
    );
    account.date_held(100_000, 2_000);
    let over_ms = 100_000 + 2_000 + APPLY_DELAY_MS;
    account.release(evidence(over_ms - 1, 7));
    assert_eq!(
        account.reserved(),
        Micros(10),
        "it may not have come into force yet"
    );
    account.release(evidence(over_ms, 8));
    assert_eq!(
        account.reserved(),
        Micros(10),
        "another producer's frames may be on their way"
    );
    let mut later = account.clone();
    later.release(evidence(over_ms + TAKE_OVER_MS, 8));
    account.release(evidence(over_ms, 7));
    assert_eq!(
        (account.reserved(), later.reserved()),
        (Micros(4), Micros(4))
    );
}

#[test]
fn a_cap_that_rises_again_is_reserved_once() {
    let mut account = account(10);
    account.allot(Micros(4), Micros::MAX, 0);
    assert_eq!(
        account.allot(Micros(9), Micros::ZERO, 0),
        Micros::ZERO,
        "held for it"
    );
    assert_eq!((account.cap, account.reserved()), (Micros(9), Micros(10)));
    assert_eq!(
        account.allot(Micros(20), Micros(3), 0),
        Micros(3),
        "no more than the room"
    );
    assert_eq!((account.cap, account.reserved()), (Micros(13), Micros(13)));
    assert!(account.held.is_empty());
}

#[test]
fn caps_fall_only_so_often_before_one_is_released() {
    let mut account = account(1_000);
    for wanted in (0..900).rev() {
        account.allot(Micros(wanted), Micros::MAX, 0);
    }
    assert_eq!(account.held.len(), MOST_HELD);
    assert_eq!(account.cap, Micros(900 - i64::try_from(MOST_HELD).unwrap()));
    assert_eq!(account.reserved(), Micros(1_000));
}

#[test]
fn a_report_of_a_time_to_come_releases_nothing() {
    for (ahead_ms, is_released) in [
        (0, true),
        (APPLY_DELAY_MS, true),
        (APPLY_DELAY_MS + 3_000, false),
    ] {
        let mut book = Book::new(8, 1, 2000).unwrap();
        let mut wanted = Wanted::new(1);
        put(&mut book, std::slice::from_ref(&wanted));
        book.decide(START_MS).unwrap();
        wanted.is_active = 0;
        put(&mut book, std::slice::from_ref(&wanted));
        book.decide(START_MS + 2_000).unwrap();
        book.decide(START_MS + 4_000).unwrap();
        let at_ms = START_MS + 100_000;
        let report = |platform| Report {
            series: platform,
            tick: tick(at_ms + ahead_ms),
            clicks: 0,
            milliconversions: 0,
            spend: 0,
            impressions: 0,
        };
        let reports = [report(wanted.series_key(1)), report(wanted.series_key(2))];
        book.ingest(&frame(1, &reports)).unwrap();
        let told = read(&book.decide(at_ms).unwrap()).remove(0);
        assert_eq!(told.reserved == 0, is_released, "{ahead_ms}: {told:?}");
    }
}

#[test]
fn a_report_that_overtook_others_releases_nothing() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let mut wanted = Wanted {
        budget: BUDGET,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    let series = wanted.series_key(1);
    let report = |at_ms, spend| Report {
        series,
        tick: tick(at_ms),
        clicks: 5,
        milliconversions: 0,
        spend,
        impressions: 9,
    };
    let given = read(&book.decide(START_MS).unwrap()).remove(0);
    let cap = given.series[0].cap;
    wanted.is_active = 0;
    put(&mut book, std::slice::from_ref(&wanted));
    let mut at_ms = START_MS + INTERVAL_MS;
    let paused = read(&book.decide(at_ms).unwrap()).remove(0);
    assert_eq!(paused.series[0].cap, 0, "the cap falls to what is settled");
    assert_eq!(
        paused.reserved, given.reserved,
        "and what was given is held"
    );
    at_ms += INTERVAL_MS;
    book.decide(at_ms).unwrap();
    at_ms += 60_000;
    book.ingest(&frame(2, &[report(at_ms, 0)])).unwrap();
    at_ms += INTERVAL_MS;
    let early = read(&book.decide(at_ms).unwrap()).remove(0);
    assert_eq!(early.reserved, given.reserved, "the first frame is missing");
    // It held what was spent before the pause was heard of.
    book.ingest(&frame(1, &[report(START_MS + 9_000, cap)]))
        .unwrap();
    book.ingest(&frame(3, &[report(at_ms, 0)])).unwrap();
    at_ms += INTERVAL_MS;
    let told = read(&book.decide(at_ms).unwrap()).remove(0);
    assert_eq!(told.settled, cap);
    assert_eq!(
        told.reserved,
        given.reserved - cap,
        "only the other platform's"
    );
}

#[test]
fn what_is_held_for_a_platform_can_be_offered_to_it_again() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted {
        budget: 10_000_000,
        min_bid: 1_200_000, // a few clicks are half the budget
        ends_ms: START_MS + 6_000,
        ..Wanted::new(1)
    };
    put(&mut book, std::slice::from_ref(&wanted));
    let caps = |book: &mut Book, at_ms| {
        let decided = read(&book.decide(at_ms).unwrap()).remove(0);
        assert!(decided.settled + decided.reserved <= wanted.budget);
        let caps: i64 = decided.series.iter().map(|told| told.cap).sum();
        (caps, decided.reserved)
    };
    let (given, reserved) = caps(&mut book, START_MS);
    assert!(
        reserved > wanted.budget * 3 / 5,
        "too little to show it: {reserved}"
    );
    book.set_halted(true);
    assert_eq!(caps(&mut book, START_MS + INTERVAL_MS), (0, reserved));
    book.set_halted(false);
    let (again, _) = caps(&mut book, START_MS + 2 * INTERVAL_MS);
    assert!(again >= given, "{again} of {given}");
}
