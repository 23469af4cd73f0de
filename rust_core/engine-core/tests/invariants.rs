//! What holds for all inputs, tried on random ones.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a panic is how a test fails, and here floats are equal to the bit or wrong"
)]

mod oracle;

use engine_core::error::CoreError;
use engine_core::forecast::{Confidence, Forecast, forecast};
use engine_core::regression::{Series, fit};
use engine_core::window::{Pushed, REACH, Sample, Windows};
use oracle::{Exact, Report, relative_error, to_float};
use proptest::prelude::*;

const EPOCH_MS: i64 = 1_790_000_000_123;

fn report() -> impl Strategy<Value = Report> {
    (
        0..400_000_i64,
        0..3000_u32,
        0..900_000_u32,
        0..9_000_000_u32,
    )
        .prop_map(|(age, clicks, milliconversions, spend_units)| Report {
            at: EPOCH_MS + age,
            clicks,
            milliconversions,
            spend_units,
        })
}

/// Any four words at all.
fn anything() -> impl Strategy<Value = Sample> {
    any::<[u32; 4]>().prop_map(|[tick, clicks, milliconversions, spend_units]| Sample {
        tick,
        clicks,
        milliconversions,
        spend_units,
    })
}

fn filled(capacity: usize, reports: &[Report]) -> Windows {
    let mut windows = Windows::new(capacity).unwrap();
    windows.add();
    for report in reports {
        windows.push(0, report.sample()).unwrap();
    }
    windows
}

/// Returns a steady feed: the same rates each `cadence` ticks.
fn steady(samples: u32, cadence: u32, clicks: u32, milliconversions: u32) -> Windows {
    let mut windows = Windows::new(127).unwrap();
    windows.add();
    for i in 0..samples {
        let sample = Sample {
            tick: i * cadence,
            clicks,
            milliconversions,
            spend_units: clicks * 50,
        };
        windows.push(0, sample).unwrap();
    }
    windows
}

fn parts(confidence: &Confidence) -> [f64; 5] {
    let Confidence {
        value,
        sample_size,
        age,
        spread,
        completeness,
    } = *confidence;
    [value, sample_size, age, spread, completeness]
}

/// Returns everything in a forecast as bits.
fn bits(forecast: &Forecast) -> Vec<u64> {
    let estimates = [forecast.cpc_micros, forecast.cvr];
    let lines = estimates
        .iter()
        .flatten()
        .flat_map(|line| [line.value, line.low, line.high, line.slope_per_tick]);
    lines
        .chain(parts(&forecast.confidence))
        .map(f64::to_bits)
        .collect()
}

proptest! {
    #[test]
    fn a_line_is_the_exact_one(reports in prop::collection::vec(report(), 1..60), ahead in 0..100_000_i64) {
        let windows = filled(127, &reports);
        let mut kept: Vec<Report> = Vec::new();
        for report in &reports {
            kept.retain(|other| other.at != report.at);
            kept.push(*report);
        }
        let due = EPOCH_MS + 400_000 + ahead;
        for series in [Series::Cpc, Series::Cvr] {
            let line = fit(&windows.sums(0), series);
            let exact = Exact::of(&kept, series);
            prop_assert_eq!(line.is_some(), exact.is_some());
            let (Some(line), Some(exact)) = (line, exact) else { continue };
            let estimate = line.at(oracle::wrapped(due));
            prop_assert!(relative_error(estimate.value, &exact.at(due)) < 1e-15);
            prop_assert!(relative_error(estimate.slope_per_tick, &exact.slope) < 1e-15);
            // The interval's quantile is proved elsewhere: ratios of widths need none.
            let now = line.at(oracle::wrapped(EPOCH_MS));
            match (exact.variance(due), exact.variance(EPOCH_MS)) {
                (Some(later), Some(early)) if to_float(&early) > 1e-12 => {
                    let found = (estimate.high - estimate.low) / (now.high - now.low);
                    let wanted = to_float(&(later / early)).sqrt();
                    prop_assert!((found / wanted - 1.0).abs() < 1e-6, "{} {}", found, wanted);
                }
                (None, _) => prop_assert!(estimate.low == f64::NEG_INFINITY),
                _ => {}
            }
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_matter(
        reports in prop::collection::vec(report(), 1..80),
        keys in prop::collection::vec(any::<u64>(), 80),
        capacity in 2..=127_usize,
    ) {
        let mut unique: Vec<Report> = Vec::new();
        for report in reports {
            if unique.iter().all(|other| other.at != report.at) {
                unique.push(report);
            }
        }
        let mut shuffled: Vec<(u64, Report)> = keys.into_iter().zip(unique.iter().copied()).collect();
        shuffled.sort_by_key(|(key, _)| *key);
        let shuffled: Vec<Report> = shuffled.into_iter().map(|(_, report)| report).collect();
        let (one, other) = (filled(capacity, &unique), filled(capacity, &shuffled));
        prop_assert!(one.samples(0).eq(other.samples(0)));
        let due = oracle::wrapped(EPOCH_MS + 500_000);
        prop_assert_eq!(
            bits(&forecast(&one, 0, due, 2000, 100)),
            bits(&forecast(&other, 0, due, 2000, 100))
        );
    }

    #[test]
    fn nothing_panics_and_every_header_is_its_recount(
        samples in prop::collection::vec(anything(), 0..300),
        capacity in 2..=127_usize,
        at in any::<u32>(),
        horizon in any::<u32>(),
        unit in any::<u32>(),
    ) {
        let mut windows = Windows::new(capacity).unwrap();
        windows.add();
        for sample in samples {
            let before = windows.clone();
            let mut sample = sample;
            if sample.spend_units.is_multiple_of(3) {
                sample.clicks >>= 1;
                sample.milliconversions >>= 1;
                sample.spend_units >>= 1;
            }
            match windows.push(0, sample) {
                Ok(Pushed::Late) | Err(CoreError::OutOfRange { .. }) => {
                    prop_assert!(windows == before);
                }
                Ok(Pushed::Accepted | Pushed::Replaced { .. }) => {
                    prop_assert!(windows.samples(0).any(|kept| kept == sample));
                }
                Err(other) => prop_assert!(false, "{other}"),
            }
            windows.verify(0).unwrap();
            let newest = windows.newest_tick(0).unwrap_or(0);
            let ages: Vec<u32> = windows.samples(0).map(|kept| newest.wrapping_sub(kept.tick)).collect();
            prop_assert!(ages.iter().all(|age| *age < REACH));
            prop_assert!(ages.is_sorted_by(|one, next| one > next));
            let forecast = forecast(&windows, 0, at, horizon, unit);
            for part in parts(&forecast.confidence) {
                prop_assert!((0.0..=1.0).contains(&part));
            }
            for line in [forecast.cpc_micros, forecast.cvr].into_iter().flatten() {
                prop_assert!(line.value.is_finite() && line.slope_per_tick.is_finite());
                prop_assert!(line.low <= line.value && line.value <= line.high);
            }
        }
    }

    #[test]
    fn a_restored_window_goes_on_as_if_never_stored(
        before in prop::collection::vec(report(), 0..200),
        after in prop::collection::vec(report(), 0..80),
        capacity in 2..=64_usize,
    ) {
        let mut windows = filled(capacity, &before);
        let stored: Vec<Sample> = windows.samples(0).collect();
        let header = *windows.header(0).unwrap();
        let mut restored = Windows::new(capacity).unwrap();
        restored.add();
        restored.restore_slot(0, &stored, header.head(), header.reference()).unwrap();
        prop_assert!(restored == windows);
        for report in after {
            let outcomes = [&mut windows, &mut restored].map(|each| each.push(0, report.sample()));
            prop_assert_eq!(&outcomes[0], &outcomes[1]);
            prop_assert!(restored == windows);
        }
    }

    #[test]
    fn what_could_not_have_been_stored_is_not_restored(
        samples in prop::collection::vec(anything(), 0..12),
        head in 0..12_usize,
        reference in any::<u32>(),
    ) {
        let mut windows = Windows::new(8).unwrap();
        windows.add();
        let before = windows.clone();
        if windows.restore_slot(0, &samples, head, reference).is_ok() {
            prop_assert!(windows.samples(0).eq(samples));
            windows.verify(0).unwrap();
        } else {
            prop_assert!(windows == before);
        }
    }

    #[test]
    fn the_same_report_again_changes_nothing(reports in prop::collection::vec(report(), 1..80)) {
        let mut windows = filled(16, &reports);
        let before = windows.clone();
        let newest = windows.samples(0).last().unwrap();
        prop_assert_eq!(windows.push(0, newest), Ok(Pushed::Replaced { before: newest }));
        prop_assert!(windows == before);
    }

    #[test]
    fn more_data_is_trusted_more(samples in 3..126_u32, clicks in 1..10_000_u32) {
        let fewer = forecast(&steady(samples, 2000, clicks, 900), 0, samples * 2000, 2000, 100);
        let more = forecast(&steady(samples + 1, 2000, clicks, 900), 0, (samples + 1) * 2000, 2000, 100);
        prop_assert!(more.confidence.sample_size > fewer.confidence.sample_size);
        prop_assert!(more.confidence.value > fewer.confidence.value);
        let clickier = forecast(&steady(samples, 2000, clicks + 1, 900), 0, samples * 2000, 2000, 100);
        prop_assert!(clickier.confidence.sample_size > fewer.confidence.sample_size);
    }

    #[test]
    fn older_data_is_trusted_less(late in 0..10_000_000_u32, later in 1..1_000_000_u32) {
        let windows = steady(64, 2000, 40, 800);
        let now = 63 * 2000 + late;
        let fresh = forecast(&windows, 0, now, 2000, 100).confidence;
        let stale = forecast(&windows, 0, now + later, 2000, 100).confidence;
        prop_assert!(stale.age <= fresh.age && stale.value <= fresh.value);
        prop_assert!(late < 2000 || stale.age < fresh.age);
    }

    #[test]
    fn holes_are_trusted_less(hole in 1..1000_u32) {
        let whole = steady(40, 2000, 40, 800);
        let mut windows = whole.clone();
        let mut holed = Windows::new(127).unwrap();
        holed.add();
        for (i, mut sample) in whole.samples(0).enumerate() {
            sample.tick += if i < 20 { 0 } else { hole * 2000 };
            holed.push(0, sample).unwrap();
        }
        let now = holed.newest_tick(0).unwrap();
        let found = forecast(&holed, 0, now, 2000, 100).confidence;
        let wanted = 40.0 / (40.0 + f64::from(hole));
        prop_assert!((found.completeness - wanted).abs() < 1e-12);
        windows.clear(0);
        prop_assert!(windows.is_empty(0));
    }

    #[test]
    fn noisier_data_is_trusted_less(noise in 1..20_000_u32, more in 1..5000_u32) {
        let with = |noise: u32| {
            let mut windows = Windows::new(64).unwrap();
            windows.add();
            for tick in 0..64 {
                let off = if tick % 2 == 0 { noise } else { 0 };
                let sample = Sample {
                    tick,
                    clicks: 100,
                    milliconversions: 3000,
                    spend_units: 50_000 + off - noise / 2,
                };
                windows.push(0, sample).unwrap();
            }
            forecast(&windows, 0, 63, 1, 100)
        };
        let (calm, wild) = (with(noise), with(noise + more));
        prop_assert!(wild.confidence.spread <= calm.confidence.spread);
        let width = |forecast: &Forecast| forecast.cpc_micros.map(|line| line.high - line.low);
        prop_assert!(width(&wild) > width(&calm));
    }
}

#[test]
fn there_is_no_answer_before_the_first_click() {
    let mut windows = Windows::new(4).unwrap();
    let slot = windows.add();
    assert_eq!(forecast(&windows, slot, 0, 1, 1).cpc_micros, None);
    windows
        .push(
            slot,
            Sample {
                spend_units: 9,
                ..Sample::default()
            },
        )
        .unwrap();
    let forecast = forecast(&windows, slot, 0, 1, 1);
    assert_eq!((forecast.cpc_micros, forecast.cvr), (None, None));
    assert_eq!((forecast.samples, forecast.clicks), (1, 0));
    assert_eq!(forecast.confidence.value, 0.0);
}

#[test]
fn with_fewer_than_three_samples_or_one_time_the_line_is_level() {
    let mut windows = Windows::new(4).unwrap();
    let slot = windows.add();
    for (tick, clicks, spend_units) in [(0, 10, 100), (9, 30, 500), (5, 0, 0)] {
        let sample = Sample {
            tick,
            clicks,
            milliconversions: 0,
            spend_units,
        };
        windows.push(slot, sample).unwrap();
        let line = fit(&windows.sums(slot), Series::Cpc).unwrap().at(99);
        assert_eq!(line.slope_per_tick, 0.0);
        assert_eq!(line.high.is_infinite(), tick == 0); // one sample has no spread
    }
    assert_eq!(
        fit(&windows.sums(slot), Series::Cpc).unwrap().at(99).value,
        15.0
    );
}

#[test]
fn intervals_are_the_textbooks_for_equal_clicks() {
    // Weisberg, Applied Linear Regression: by hand for x = 0..4, y = 1, 3, 2, 5, 4.
    let mut windows = Windows::new(8).unwrap();
    let slot = windows.add();
    for (tick, spend_units) in (0..).zip([1, 3, 2, 5, 4]) {
        let sample = Sample {
            tick,
            clicks: 1,
            milliconversions: 0,
            spend_units,
        };
        windows.push(slot, sample).unwrap();
    }
    let line = fit(&windows.sums(slot), Series::Cpc).unwrap().at(5);
    let half = 3.182_446_305_284_263 * (1.2_f64 * (1.0 + 0.2 + 0.9)).sqrt(); // s² = 3.6 / 3
    assert_eq!((line.value, line.slope_per_tick), (5.4, 0.8));
    assert!((line.high - 5.4 - half).abs() < 1e-9);
    assert!((5.4 - line.low - half).abs() < 1e-9);
}

#[test]
fn a_forecast_may_fall_below_zero_and_its_clamped_form_may_not() {
    let mut windows = Windows::new(8).unwrap();
    let slot = windows.add();
    for tick in 0..5 {
        let spend_units = 40 - 10 * tick;
        let sample = Sample {
            tick,
            clicks: 1,
            milliconversions: spend_units * 25,
            spend_units,
        };
        windows.push(slot, sample).unwrap();
    }
    let forecast = forecast(&windows, slot, 4, 2, 100);
    assert_eq!(forecast.cpc_micros.unwrap().value, -2000.0);
    assert_eq!(forecast.clamped_cpc_micros().unwrap().value, 0.0);
    assert_eq!(forecast.clamped_cvr().unwrap().value, 0.0);
    assert_eq!(forecast.clamped_cvr().unwrap().slope_per_tick, -0.25);
}

#[test]
fn refusals_carry_what_was_found() {
    for capacity in [0, 1, 128, usize::MAX] {
        let refused = Windows::new(capacity).unwrap_err();
        assert_eq!(refused, CoreError::Capacity { found: capacity });
    }
    let mut windows = Windows::new(4).unwrap();
    let refused = windows.push(3, Sample::default()).unwrap_err();
    assert_eq!(refused.to_string(), "slot must be below 0, was 3");
    let slot = windows.add();
    let large = Sample {
        milliconversions: 1 << 31,
        ..Sample::default()
    };
    let refused = windows.push(slot, large).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "milliconversions must be below 2^31, was 2147483648"
    );
    assert!(windows.is_empty(slot));
    assert_eq!(
        (windows.len(99), windows.newest_tick(99), windows.header(99)),
        (0, None, None)
    );
}

#[test]
fn a_window_far_in_the_past_expires() {
    let mut windows = Windows::new(4).unwrap();
    let slot = windows.add();
    windows
        .push(
            slot,
            Sample {
                tick: 7,
                ..Sample::default()
            },
        )
        .unwrap();
    assert!(!windows.expire(slot, 7) && !windows.expire(slot, 6 + REACH));
    assert!(windows.expire(slot, 7 + REACH) && windows.is_empty(slot));
    assert!(!windows.expire(slot, 7 + REACH));
}
