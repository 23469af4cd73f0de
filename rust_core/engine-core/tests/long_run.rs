//! Exactness does not wear off: a window against fractions after very many updates.
//!
//! A million by default; `LONG_RUN=100000000 cargo test --release --test long_run` takes the figure
//! that the documentation states.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a panic is how a test fails, and here floats are equal to the bit or wrong"
)]

mod oracle;

use engine_core::regression::{Series, fit};
use engine_core::window::{Pushed, Windows};
use oracle::{Dice, Exact, List, Report, relative_error, to_float, wrapped};

const EPOCH_MS: i64 = 1_790_000_000_123;

/// Returns how many updates to make.
fn updates() -> u64 {
    std::env::var("LONG_RUN").map_or(1_000_000, |asked| asked.parse().unwrap())
}

/// The largest relative errors seen against fractions.
#[derive(Debug, Default, Clone, Copy)]
struct Worst {
    value: f64,
    slope: f64,
    interval: f64,
    checks: u32,
}

/// Feeds one window and compares it with fractions now and then; the feed moves a report on.
fn run(cadence_ms: i64, mut feed: impl FnMut(&mut Dice, &mut Report)) -> Worst {
    const CHECKS: u64 = 500;
    let updates = updates();
    let (mut windows, mut list) = (Windows::new(64).unwrap(), List::new(64));
    let slot = windows.add();
    let mut dice = Dice(1);
    let mut report = Report {
        at: EPOCH_MS,
        clicks: 0,
        milliconversions: 0,
        spend_units: 0,
    };
    let mut worst = Worst::default();
    for step in 0..updates {
        report.at += cadence_ms;
        feed(&mut dice, &mut report);
        let pushed = windows.push(slot, report.sample()).unwrap();
        debug_assert_eq!(pushed, Pushed::Accepted);
        // The list is slow: it follows only where a comparison is near.
        let due = step % (updates / CHECKS).max(1);
        if due + 300 >= updates / CHECKS {
            list.push(report);
        }
        if due + 1 == updates / CHECKS {
            assert!(windows.samples(slot).eq(list.samples()));
            assert_eq!(windows.recount(slot).as_ref(), windows.header(slot));
            compare(&windows, &list, report.at + cadence_ms, &mut worst);
        }
    }
    assert!(worst.checks >= 2 * 500);
    worst
}

fn compare(windows: &Windows, list: &List, due: i64, worst: &mut Worst) {
    for series in [Series::Cpc, Series::Cvr] {
        let line = fit(&windows.sums(0), series).unwrap();
        let exact = Exact::of(&list.reports, series).unwrap();
        let estimate = line.at(wrapped(due));
        let value = relative_error(estimate.value, &exact.at(due));
        let slope = relative_error(estimate.slope_per_tick, &exact.slope);
        // t for 62 degrees of freedom, to the digits of a table.
        let half = 1.998_971_517_033_379 * to_float(&exact.variance(due).unwrap()).sqrt();
        let interval = ((estimate.high - estimate.low) / 2.0 / half - 1.0).abs();
        worst.value = worst.value.max(value);
        worst.slope = worst.slope.max(slope);
        worst.interval = worst.interval.max(interval);
        worst.checks += 1;
    }
}

#[test]
fn a_steady_feed_stays_exact() {
    let worst = run(2000, |dice, report| {
        report.clicks = 80 + dice.count(40);
        report.milliconversions = report.clicks * 20 + dice.count(900);
        report.spend_units = report.clicks * 5000 + dice.count(50_000);
    });
    eprintln!("steady: {worst:?}");
    assert!(
        worst.value < 1e-15 && worst.slope < 1e-15 && worst.interval < 1e-7,
        "{worst:?}"
    );
}

#[test]
fn a_feed_with_spikes_and_gaps_stays_exact() {
    let worst = run(2000, |dice, report| {
        report.clicks = 1 + dice.count(40);
        report.milliconversions = dice.count(9000);
        report.spend_units = report.clicks * 5000 + dice.count(50_000);
        match dice.below(10_000) {
            0 => report.at += 86_400_000,
            1 => report.spend_units = 2_000_000_000,
            2 => report.clicks = 2_000_000_000,
            3..=6 => report.at += i64::from(dice.count(600_000)),
            _ => {}
        }
    });
    eprintln!("spikes: {worst:?}");
    assert!(
        worst.value < 1e-15 && worst.slope < 1e-15 && worst.interval < 1e-7,
        "{worst:?}"
    );
}

#[test]
fn a_feed_almost_without_noise_stays_exact() {
    let mut step = 0;
    let worst = run(60_000, |dice, report| {
        step += 1;
        report.clicks = 1000;
        report.milliconversions = 20_000 + dice.count(2);
        report.spend_units = 5_000_000 + step % 1000 + dice.count(4);
    });
    eprintln!("low noise: {worst:?}");
    // Noise of half a milliconversion in 20,000: the interval feels the 2^-16 of the spread sums.
    assert!(
        worst.value < 1e-15 && worst.slope < 1e-15 && worst.interval < 0.05,
        "{worst:?}"
    );
}
