//! Same calls, same bytes: twice, from a snapshot at any point, and however frames were cut.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod common;

use common::{INTERVAL_MS, Market, Report, START_MS, Wanted, frame, put, read};
use engine_core::book::Book;
use engine_core::round::Round;

const CAMPAIGNS: u64 = 40;

fn campaigns() -> Vec<Wanted> {
    let varied = |key| Wanted {
        budget: 50_000_000 * i64::try_from(key).unwrap(),
        strategy: u8::try_from(key % 6).unwrap(),
        platforms: 1 + key % 4,
        daily_cap: if key % 5 == 0 { 30_000_000 } else { 0 },
        value: if key % 7 == 0 { 0 } else { 20_000_000 },
        ..Wanted::new(key)
    };
    (1..=CAMPAIGNS).map(varied).collect()
}

/// Runs the loop, and hands each round to `each` before its frames come in.
fn run(rounds: usize, mut each: impl FnMut(&mut Book, &Round)) {
    let mut book = Book::new(16, 1, 2000).unwrap();
    put(&mut book, &campaigns());
    let mut markets: Vec<Market> = campaigns()
        .iter()
        .map(|one| Market::new(1e7, 1.5, usize::try_from(one.platforms).unwrap()))
        .collect();
    let mut at_ms = START_MS;
    for sequence in 0..rounds as u64 {
        let round = book.decide(at_ms).unwrap();
        each(&mut book, &round);
        at_ms += INTERVAL_MS;
        let decided = read(&round);
        let sold = decided.iter().zip(&mut markets);
        let reports: Vec<Report> = sold
            .flat_map(|(decided, market)| market.sell(&decided.series, at_ms))
            .collect();
        book.ingest(&frame(sequence, &reports)).unwrap();
    }
}

#[test]
fn two_runs_give_the_same_bytes() {
    let mut first = Vec::new();
    run(60, |_, round| first.push(round.clone()));
    let mut index = 0;
    run(60, |_, round| {
        assert_eq!(&first[index], round);
        index += 1;
    });
    assert!(
        first
            .iter()
            .any(|round| read(round).iter().any(|one| one.action == 1))
    );
}

#[test]
fn a_book_restored_at_any_point_has_the_same_future() {
    let mut whole = Vec::new();
    run(60, |_, round| whole.push(round.clone()));
    for restart in [1, 7, 30, 59] {
        let mut index = 0;
        run(60, |book, round| {
            assert_eq!(
                &whole[index], round,
                "restored before round {restart}, in round {index}"
            );
            index += 1;
            if index == restart {
                let snapshot = book.snapshot();
                let restored = Book::restore(&snapshot).unwrap();
                assert_eq!(restored.snapshot(), snapshot);
                *book = restored;
            }
        });
    }
}

#[test]
fn a_frame_of_many_rows_is_as_many_frames_of_one() {
    let reports: Vec<Report> = (0..500)
        .map(|index| Report {
            series: (1 + index % CAMPAIGNS) * 1000 + 1,
            tick: u32::try_from(index / CAMPAIGNS * 2000 + index % 3).unwrap(),
            clicks: u32::try_from(index % 17).unwrap(),
            milliconversions: u32::try_from(index % 5 * 1000).unwrap(),
            spend: i64::try_from(index * 12_345 % 1_000_007).unwrap(),
            impressions: 100,
        })
        .collect();
    let rows = |book: &mut Book, size: usize| {
        for (sequence, part) in (0..).zip(reports.chunks(size)) {
            book.ingest(&frame(sequence, part)).unwrap();
        }
        let round = book.decide(START_MS).unwrap();
        let windows: Vec<_> = campaigns()
            .iter()
            .map(|one| format!("{:?}", book.forecast(one.series_key(1), START_MS).unwrap()))
            .collect();
        (round, windows)
    };
    let mut found = [500, 64, 1].map(|size| {
        let mut book = Book::new(8, 1, 2000).unwrap();
        put(&mut book, &campaigns());
        let found = rows(&mut book, size);
        book.verify().unwrap();
        found
    });
    found.rotate_left(1);
    assert_eq!(found[0], found[1]);
    assert_eq!(found[1], found[2]);
}

#[test]
fn the_order_of_putting_campaigns_does_not_show() {
    let decide = |order: &[Wanted]| {
        let mut book = Book::new(8, 1, 2000).unwrap();
        for one in order {
            put(&mut book, std::slice::from_ref(one));
        }
        book.decide(START_MS).unwrap()
    };
    let mut order = campaigns();
    let forwards = decide(&order);
    order.reverse();
    assert_eq!(forwards, decide(&order));
    let keys: Vec<u64> = read(&forwards).iter().map(|one| one.campaign).collect();
    assert!(keys.is_sorted());
}
