//! The hourly forecaster against the research prototype's figures, and what must hold on any feed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a panic is how a test fails, and restored floats are equal to the bit or wrong"
)]

mod oracle;

use engine_core::outlook::seasonal::{Heard, SeasonalForecaster};
use oracle::Dice;
use proptest::prelude::*;

const HORIZONS: [u32; 3] = [1, 6, 24];
const EPOCH: i64 = 470_000;
/// Forecasts of the prototype (in numpy, with an endless history) for `value` below; the hours of
/// `is_missing` were left out.
const GOLDEN: &str = include_str!("golden/seasonal.csv");

fn noise(hour: u64, salt: u64) -> u64 {
    ((hour * 7919 + salt * 104_729) * 2_654_435_761 % (1 << 32)) >> 22
}

/// A day's rhythm, a weekend, noise, a wandering level, a drift, and now and then a zero.
fn value(hour: u64, salt: u64) -> f64 {
    if hour % 97 == 13 {
        return 0.0;
    }
    let triangle = (hour % 24).min(24 - hour % 24);
    let weekend = if hour / 24 % 7 >= 5 { 60.0 } else { 0.0 };
    (200.0
        + (15 * triangle) as f64
        + weekend
        + noise(hour, salt) as f64 / 4.0
        + noise(hour / 11, salt + 7) as f64 / 8.0
        + hour as f64 / 10.0)
        / 1000.0
}

fn is_missing(hour: u64) -> bool {
    hour == 60 || (200..205).contains(&hour) || (400..431).contains(&hour)
}

fn pair(hour: u64) -> [f64; 2] {
    [value(hour, 1), value(hour, 2) * 8.0]
}

fn fed(hours: std::ops::Range<u64>) -> SeasonalForecaster {
    let mut forecaster = SeasonalForecaster::new(2, &HORIZONS, 0.001).unwrap();
    for hour in hours.filter(|&hour| !is_missing(hour)) {
        feed(&mut forecaster, hour);
    }
    forecaster
}

fn feed(forecaster: &mut SeasonalForecaster, hour: u64) {
    let heard = forecaster.update(EPOCH + hour.cast_signed(), &pair(hour));
    assert_eq!(heard, Ok(Heard::Accepted));
}

fn values(forecaster: &SeasonalForecaster) -> Vec<f64> {
    let series = 0..forecaster.series();
    let asked = series.flat_map(|series| forecaster.horizons().iter().map(move |&h| (series, h)));
    asked
        .map(|(series, horizon)| forecaster.forecast(series, horizon).unwrap().unwrap().value)
        .collect()
}

#[test]
fn forecasts_are_the_prototypes() {
    let mut forecaster = SeasonalForecaster::new(2, &HORIZONS, 0.001).unwrap();
    let mut hour = 0;
    let mut compared = 0;
    for line in GOLDEN.lines().skip(1) {
        let mut fields = line.split(',');
        let at: u64 = fields.next().unwrap().parse().unwrap();
        while hour <= at {
            if !is_missing(hour) {
                feed(&mut forecaster, hour);
            }
            hour += 1;
        }
        for (found, wanted) in values(&forecaster).iter().zip(fields) {
            let wanted: f64 = wanted.parse().unwrap();
            assert!(
                (found / wanted - 1.0).abs() < 1e-9,
                "hour {at}: {found} {wanted}"
            );
            compared += 1;
        }
    }
    assert_eq!(compared, 23 * 6);
}

#[test]
fn what_comes_later_changes_no_forecast() {
    let mut forecaster = fed(0..600);
    let before = values(&forecaster);
    let kept = forecaster.clone();
    feed(&mut forecaster, 600);
    assert_ne!(values(&forecaster), before);
    assert_eq!(values(&kept), before);
}

#[test]
fn a_snapshot_goes_on_to_the_bit() {
    for hours in [0, 1, 20, 26, 100, 430, 500] {
        let mut forecaster = fed(0..hours);
        let snapshot = forecaster.snapshot();
        let mut restored = SeasonalForecaster::restore(&snapshot).unwrap();
        assert_eq!(restored, forecaster);
        assert_eq!(restored.snapshot(), snapshot);
        for hour in hours..hours + 60 {
            feed(&mut forecaster, hour + 31);
            feed(&mut restored, hour + 31);
            assert_eq!(restored, forecaster);
        }
    }
}

#[test]
fn a_damaged_snapshot_is_refused_whatever_the_damage() {
    let snapshot = fed(0..100).snapshot();
    for length in (0..snapshot.len()).step_by(97) {
        assert!(SeasonalForecaster::restore(&snapshot[..length]).is_err());
    }
    for at in (0..snapshot.len()).step_by(61) {
        let mut damaged = snapshot.clone();
        damaged[at] ^= 0x10;
        let refused = SeasonalForecaster::restore(&damaged).unwrap_err();
        assert!(refused.to_string().starts_with("snapshot: "), "{refused}");
    }
}

#[test]
fn its_memory_does_not_grow() {
    let mut forecaster = fed(0..500);
    let length = forecaster.snapshot().len();
    for hour in 500..5000 {
        feed(&mut forecaster, hour);
    }
    assert_eq!(forecaster.snapshot().len(), length);
    assert!(length < 30_000, "{length}");
}

#[test]
fn an_hour_said_again_changes_nothing_and_a_restated_one_counts_once() {
    let mut forecaster = fed(0..300);
    let before = forecaster.clone();
    let hour = EPOCH + 280;
    let again = forecaster.update(hour, &pair(280)).unwrap();
    assert_eq!((again, &forecaster), (Heard::Replaced, &before));

    let restated = [1.9, 19.0];
    assert_eq!(forecaster.update(hour, &restated), Ok(Heard::Replaced));
    assert_ne!(values(&forecaster), values(&before));
    let once = forecaster.clone();
    assert_eq!(forecaster.update(hour, &restated), Ok(Heard::Replaced));
    assert_eq!(forecaster, once);
    // Said back, all is as it was: nothing had been added.
    assert_eq!(forecaster.update(hour, &pair(280)), Ok(Heard::Replaced));
    assert_eq!(forecaster, before);
}

#[test]
fn an_hour_before_the_eight_days_or_the_first_is_late() {
    let mut forecaster = fed(0..300);
    let before = forecaster.clone();
    for hour in [300 - 193, 0, -1, -1_000_000, i64::MIN] {
        let heard = forecaster.update(EPOCH.saturating_add(hour), &[9.0, 9.0]);
        assert_eq!(heard, Ok(Heard::Late), "{hour}");
        assert_eq!(forecaster, before);
    }
    let heard = forecaster.update(EPOCH + 300 - 192, &[9.0, 9.0]);
    assert_eq!(heard, Ok(Heard::Replaced));
    let mut young = fed(5..8);
    assert_eq!(young.update(EPOCH + 4, &[9.0, 9.0]), Ok(Heard::Late));
}

#[test]
fn after_a_week_of_silence_the_rhythm_begins_anew_and_nothing_else_is_lost() {
    let mut forecaster = fed(0..600);
    let newest = values(&forecaster);
    feed(&mut forecaster, 600 + 168); // a gap of 168 hours is one too many
    let [first, second] = pair(768);
    for (found, wanted) in values(&forecaster)
        .iter()
        .zip([first, first, first, second])
    {
        assert!((found / wanted - 1.0).abs() < 1e-12); // in its first day: the newest value
    }
    assert_ne!(values(&forecaster), newest);
    for hour in 769..840 {
        feed(&mut forecaster, hour);
    }
    let fresh = fed(768..840);
    let off = |forecaster: &SeasonalForecaster| -> f64 {
        let wanted = [841 - 1, 846 - 1, 864 - 1].map(|hour| value(hour, 1));
        let found = values(forecaster);
        wanted.iter().zip(found).map(|(w, f)| (w - f).abs()).sum()
    };
    assert!(
        off(&forecaster) < off(&fresh),
        "what the regressions learned is worth something"
    );
}

#[test]
fn a_week_without_reports_is_still_bridged() {
    let mut forecaster = fed(0..600);
    feed(&mut forecaster, 599 + 168);
    let [first, _] = pair(767);
    assert!((values(&forecaster)[0] / first - 1.0).abs() > 1e-6);
}

#[test]
fn what_was_forecast_before_a_long_silence_is_not_judged_by_what_comes_after() {
    // What has been learned stands in the bytes after the hours, and before the checksum.
    let learned = |forecaster: &SeasonalForecaster| {
        let bytes = forecaster.snapshot();
        bytes[56 + 2 * 192 * 8..bytes.len() - 8].to_vec()
    };
    let mut forecaster = fed(0..600);
    feed(&mut forecaster, 1000);
    let before = learned(&forecaster);
    for hour in 1001..1024 {
        feed(&mut forecaster, hour);
        assert_eq!(learned(&forecaster), before, "{hour}");
    }
}

#[test]
fn the_other_series_is_of_use() {
    // The second leads the first by an hour.
    let mut together = SeasonalForecaster::new(2, &[1], 0.001).unwrap();
    let mut alone = SeasonalForecaster::new(1, &[1], 0.001).unwrap();
    let (mut off_together, mut off_alone) = (0.0, 0.0);
    for hour in 1..1500 {
        let (own, next) = (1.0 + value(hour / 3, 5), 1.0 + value((hour + 1) / 3, 5));
        if hour > 700 {
            let said = |forecaster: &SeasonalForecaster| forecaster.forecast(0, 1).unwrap();
            off_together += (said(&together).unwrap().value - own).abs();
            off_alone += (said(&alone).unwrap().value - own).abs();
        }
        together.update(hour.cast_signed(), &[own, next]).unwrap();
        alone.update(hour.cast_signed(), &[own]).unwrap();
    }
    assert!(off_together < 0.8 * off_alone, "{off_together} {off_alone}");
}

#[test]
fn its_intervals_hold_what_they_promise_though_the_noise_changes() {
    let mut dice = Dice(5);
    let mut forecaster = SeasonalForecaster::new(1, &[1, 6], 0.001).unwrap();
    let mut said: Vec<[(f64, f64); 2]> = Vec::new();
    let mut inside = [0_u32; 2];
    for hour in 0..6000_usize {
        let scale = if hour / 700 % 2 == 0 { 0.1 } else { 0.3 }; // the noise triples, and falls back
        let mean: f64 = (0..4).map(|_| dice.below(1000) as f64 / 1000.0 - 0.5).sum();
        let usual = 0.3 + 0.02 * (hour % 24) as f64;
        let actual = usual * (1.0 + scale * mean);
        forecaster
            .update(hour.cast_signed() as i64, &[actual])
            .unwrap();
        for (inside, (at, horizon)) in inside.iter_mut().zip([1, 6].into_iter().enumerate()) {
            if hour >= 500 {
                let (low, high) = said[hour - horizon][at];
                *inside += u32::from((low..=high).contains(&actual));
            }
        }
        said.push([1, 6].map(|horizon| {
            let expected = forecaster.forecast(0, horizon).unwrap().unwrap();
            assert!(expected.low <= expected.value && expected.value <= expected.high);
            (expected.low, expected.high)
        }));
    }
    for inside in inside {
        let share = f64::from(inside) / 5500.0;
        assert!((0.93..0.97).contains(&share), "{share}");
    }
}

#[test]
fn nonsense_is_refused_and_changes_nothing() {
    let refusal = |series, horizons: &[u32], least| {
        let refused = SeasonalForecaster::new(series, horizons, least);
        refused.unwrap_err().to_string()
    };
    assert_eq!(refusal(0, &[1], 0.1), "series must be 1 to 8, was 0");
    assert_eq!(
        refusal(1, &[], 0.1),
        "the number of horizons must be 1 to 8, was 0"
    );
    assert_eq!(
        refusal(1, &[3, 3], 0.1),
        "horizon must be 1 to 168 hours, each once, was 3"
    );
    assert_eq!(
        refusal(1, &[169], 0.1),
        "horizon must be 1 to 168 hours, each once, was 169"
    );
    assert_eq!(refusal(1, &[1], 0.0), "least must be 1e-15 to 1e15, was 0");
    assert!(refusal(1, &[1], f64::NAN).ends_with("was NaN"));

    let mut forecaster = fed(0..100);
    let before = forecaster.clone();
    for values in [
        &[1.0][..],
        &[1.0, f64::NAN],
        &[f64::INFINITY, 1.0],
        &[1.0, 2e15],
    ] {
        assert!(forecaster.update(EPOCH + 100, values).is_err());
        assert_eq!(forecaster, before);
    }
    assert!(forecaster.forecast(2, 1).is_err());
    assert!(forecaster.forecast(0, 2).is_err());
    assert_eq!(fed(0..0).forecast(0, 1), Ok(None));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_feed_is_forecast_by_finite_numbers_the_same_each_time(
        seed in any::<u64>(),
        series in 1..4_usize,
        horizons in proptest::sample::subsequence(vec![1, 2, 23, 24, 25, 48, 168], 1..4),
    ) {
        let mut dice = Dice(seed);
        let mut forecaster = SeasonalForecaster::new(series, &horizons, 1e-6).unwrap();
        let mut twin = forecaster.clone();
        let mut hour = 0_i64;
        for step in 0..700 {
            hour += match dice.below(40) {
                0 => dice.count(200).into(),
                1 => -i64::from(dice.count(250)),
                _ => 1,
            };
            let values: Vec<f64> = (0..series)
                .map(|_| match dice.below(30) {
                    0 => 1e15,
                    1 => -1.0,
                    2 => 1e-300,
                    _ => dice.below(1000) as f64,
                })
                .collect();
            forecaster.update(hour, &values).unwrap();
            twin.update(hour, &values).unwrap();
            if step % 100 == 50 {
                twin = SeasonalForecaster::restore(&twin.snapshot()).unwrap();
            }
            for series in 0..series {
                for &horizon in &horizons {
                    let expected = forecaster.forecast(series, horizon).unwrap().unwrap();
                    prop_assert!(expected.value.is_finite() && expected.value > 0.0);
                    prop_assert!(0.0 <= expected.low && expected.low <= expected.value);
                    prop_assert!(expected.value <= expected.high);
                }
            }
        }
        prop_assert_eq!(forecaster, twin);
    }
}
