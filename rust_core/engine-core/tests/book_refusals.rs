//! What the book refuses, it names with its value, and stays as it was.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::{Report, START_MS, Wanted, frame, put};
use engine_core::book::{Book, Ingested};
use engine_core::error::CoreError;

fn refused(wanted: &Wanted) -> CoreError {
    let mut book = Book::new(8, 1, 2000).unwrap();
    put(&mut book, &[Wanted::new(1), Wanted::new(2)]);
    let before = book.snapshot();
    let (rows, series) = wanted.rows();
    let error = book.put(&rows, &series).unwrap_err();
    assert_eq!(book.snapshot(), before, "unchanged after {error}");
    error
}

#[test]
fn each_field_out_of_range_is_named_with_its_value() {
    let new = || Wanted::new(1);
    for (wanted, field, found) in [
        (Wanted::new(0), "campaign", 0),
        (Wanted { budget: 0, ..new() }, "budget_micros", 0),
        (
            Wanted {
                budget: -5,
                ..new()
            },
            "budget_micros",
            -5,
        ),
        (Wanted { value: -1, ..new() }, "conversion_value_micros", -1),
        (
            Wanted {
                daily_cap: -7,
                ..new()
            },
            "daily_cap_micros",
            -7,
        ),
        (
            Wanted {
                starts_ms: -3,
                ..new()
            },
            "starts_at_ms",
            -3,
        ),
        (
            Wanted {
                ends_ms: START_MS,
                ..new()
            },
            "ends_at_ms",
            START_MS,
        ),
        (
            Wanted {
                min_bid: 9,
                max_bid: 8,
                ..new()
            },
            "min_bid_micros",
            9,
        ),
        (Wanted { unit: 0, ..new() }, "unit_micros", 0),
        (
            Wanted {
                unit: 10_000,
                ..new()
            },
            "unit_micros",
            10_000,
        ), // another than before
        (
            Wanted {
                strategy: 6,
                ..new()
            },
            "strategy",
            6,
        ),
        (
            Wanted {
                is_active: 2,
                ..new()
            },
            "is_active",
            2,
        ),
        (
            Wanted {
                platforms: 0,
                ..new()
            },
            "series_count",
            0,
        ),
    ] {
        match refused(&wanted) {
            CoreError::Definition {
                field: named,
                found: kept,
                ..
            } => {
                assert_eq!((named, kept), (field, i128::from(found)));
            }
            other => panic!("{field}: {other}"),
        }
    }
}

#[test]
fn ratios_must_be_numbers() {
    for found in [f64::NAN, f64::INFINITY, -1.0, 0.0] {
        let error = refused(&Wanted {
            max_change: found,
            ..Wanted::new(1)
        });
        assert!(
            matches!(
                error,
                CoreError::DefinitionRatio {
                    field: "max_change",
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().ends_with(&format!("was {found}")));
    }
}

#[test]
fn guardrails_must_be_within_what_they_can_mean() {
    let new = || Wanted::new(1);
    for (wanted, field) in [
        (
            Wanted {
                max_daily_change: -0.1,
                ..new()
            },
            "max_daily_change",
        ),
        (
            Wanted {
                max_daily_change: f64::NAN,
                ..new()
            },
            "max_daily_change",
        ),
        (
            Wanted {
                min_confidence: 1.1,
                ..new()
            },
            "min_confidence",
        ),
        (
            Wanted {
                blocked_hours: [0, 0, 1 << 40],
                ..new()
            },
            "blocked_hours",
        ),
    ] {
        let error = refused(&wanted);
        assert!(error.to_string().contains(field), "{error}");
    }
    let (rows, mut series) = new().rows();
    series[32] = 2;
    let error = Book::new(8, 1, 2000)
        .unwrap()
        .put(&rows, &series)
        .unwrap_err();
    assert!(error.to_string().contains("series.is_blocked"), "{error}");
}

#[test]
fn a_calendar_must_be_known() {
    let error = refused(&Wanted {
        calendar: 5,
        ..Wanted::new(1)
    });
    assert_eq!(
        error,
        CoreError::UnknownKey {
            what: "calendar",
            found: 5
        }
    );
}

#[test]
fn no_two_campaigns_or_series_share_a_key() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let (rows, series) = Wanted::new(1).rows();
    let twice = book.put(&rows.repeat(2), &series.repeat(2)).unwrap_err();
    assert_eq!(
        twice,
        CoreError::KeyTaken {
            what: "campaign",
            found: 1
        }
    );
    let (others, _) = Wanted::new(2).rows();
    let shared = book
        .put(&[rows.clone(), others.clone()].concat(), &series.repeat(2))
        .unwrap_err();
    assert_eq!(
        shared,
        CoreError::KeyTaken {
            what: "series",
            found: 1001
        }
    );
    book.put(&rows, &series).unwrap();
    let stolen = book.put(&others, &series).unwrap_err();
    assert_eq!(
        stolen,
        CoreError::KeyTaken {
            what: "series",
            found: 1001
        }
    );
    assert_eq!((book.campaigns(), book.series()), (1, 2));
}

#[test]
fn rows_must_be_whole_and_as_many_as_announced() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let (rows, series) = Wanted::new(1).rows();
    let rows_error = |what, wanted, found| CoreError::Rows {
        what,
        wanted,
        found,
    };
    assert_eq!(
        book.put(&rows[1..], &series).unwrap_err(),
        rows_error("campaigns", 168, 167)
    );
    assert_eq!(
        book.put(&rows, &series[..40]).unwrap_err(),
        rows_error("series", 40, 0)
    );
    let longer = [series.clone(), series].concat();
    assert_eq!(
        book.put(&rows, &longer).unwrap_err(),
        rows_error("series", 80, 160)
    );
}

#[test]
fn a_round_is_later_than_the_one_before() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    book.decide(5000).unwrap();
    let error = book.decide(5000).unwrap_err();
    assert_eq!(
        error,
        CoreError::RoundNotLater {
            before: 5000,
            found: 5000
        }
    );
    assert!(matches!(
        book.decide(-1),
        Err(CoreError::OutOfRange {
            what: "at_ms",
            found: -1,
            ..
        })
    ));
    book.decide(5001).unwrap();
}

#[test]
fn what_nobody_knows_is_named() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    assert_eq!(
        book.forecast(9, 0).unwrap_err(),
        CoreError::UnknownKey {
            what: "series",
            found: 9
        }
    );
    let error = book
        .raise_settled(8, engine_core::money::Micros(1))
        .unwrap_err();
    assert_eq!(
        error,
        CoreError::UnknownKey {
            what: "campaign",
            found: 8
        }
    );
    assert!(Book::new(1, 1, 2000).is_err() && Book::new(8, 0, 2000).is_err());
}

#[test]
fn a_bad_row_does_not_cost_its_neighbours() {
    let mut book = Book::new(8, 1, 2000).unwrap();
    let wanted = Wanted::new(1);
    put(&mut book, std::slice::from_ref(&wanted));
    let good = Report {
        series: wanted.series_key(1),
        tick: 4,
        clicks: 3,
        milliconversions: 0,
        spend: 500,
        impressions: 9,
    };
    let bad = Report {
        clicks: 1 << 31,
        ..good
    };
    let stray = Report { series: 12, ..good };
    let late = Report {
        tick: 4_u32.wrapping_sub(1 << 30),
        ..good
    };
    let counted = book
        .ingest(&frame(1, &[bad, good, stray, good, late]))
        .unwrap();
    let (accepted, replaced, late, unknown, refused) = (1, 1, 1, 1, 1);
    let wanted = Ingested {
        accepted,
        replaced,
        late,
        unknown,
        refused,
        is_duplicate: false,
    };
    assert_eq!(counted, wanted);
    let doubled = book.ingest(&frame(1, &[good])).unwrap();
    assert_eq!(
        doubled,
        Ingested {
            is_duplicate: true,
            ..Ingested::default()
        }
    );
}
