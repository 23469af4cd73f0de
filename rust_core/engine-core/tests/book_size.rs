//! How much memory campaigns take: so much each, whatever their number.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Report, START_MS, Wanted, frame, put, tick};
use engine_core::book::Book;

const PLATFORMS: u64 = 4;

/// Returns how many bytes a campaign-platform takes after so many reports, in a book of such campaigns.
fn bytes_a_series(campaigns: u64, reports: u64) -> usize {
    let mut book = Book::new(64, 1, 2000).unwrap();
    let wanted: Vec<Wanted> = (1..=campaigns)
        .map(|key| Wanted {
            platforms: PLATFORMS,
            ..Wanted::new(key)
        })
        .collect();
    put(&mut book, &wanted);
    for turn in 1..=reports {
        let at_ms = START_MS + i64::try_from(turn).unwrap() * 2000;
        let keys = wanted.iter();
        let keys = keys.flat_map(|one| (1..=PLATFORMS).map(|platform| one.series_key(platform)));
        let told = keys.map(|series| Report {
            series,
            tick: tick(at_ms),
            clicks: 40,
            milliconversions: 1500,
            spend: 200_000,
            impressions: 500,
        });
        book.ingest(&frame(turn, &told.collect::<Vec<_>>()))
            .unwrap();
        book.decide(at_ms).unwrap();
    }
    book.bytes() / book.series()
}

#[test]
fn campaigns_take_as_much_each_however_many_they_are() {
    // Four times as many fill the table of keys as well.
    for reports in [0, 12] {
        assert_eq!(bytes_a_series(8, reports), bytes_a_series(32, reports));
    }
}

#[test]
fn a_series_takes_three_kilobytes_and_one_more_once_it_is_worth_a_choice_of_forecasts() {
    let (young, grown) = (bytes_a_series(64, 4), bytes_a_series(64, 12));
    assert!(young <= 2800, "{young}");
    assert!(young < grown && grown <= 3600, "{grown}");
}
