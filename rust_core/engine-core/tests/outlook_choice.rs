//! The choice among forecasters, its interval, and the market's condition.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a panic is how a test fails, and restored floats are equal to the bit or wrong"
)]

mod oracle;

use engine_core::outlook::choice::{Candidates, Choice, Chosen, Judge, Method};
use engine_core::outlook::condition::{CONDITIONS, Condition, Course};
use engine_core::outlook::margin::Margin;
use engine_core::regression::{Series, fit};
use engine_core::window::{Sample, Windows};
use oracle::{Dice, Exact, Report, to_float};
use proptest::prelude::*;

const METHODS: [Method; 5] = [
    Method::Level,
    Method::Line,
    Method::Average,
    Method::Season,
    Method::Model,
];

/// Returns a number from −1 to 1, triangular.
fn noise(dice: &mut Dice) -> f64 {
    (dice.below(1000) as f64 + dice.below(1000) as f64) / 999.0 - 1.0
}

/// A window and the choice beside it, as a series keeps them.
struct Beside {
    windows: Windows,
    choice: Choice,
    tick: u32,
}

impl Beside {
    fn new(judge: Judge) -> Self {
        let mut windows = Windows::new(64).unwrap();
        windows.add();
        Self {
            windows,
            choice: Choice::new(judge, Method::Level),
            tick: 0,
        }
    }

    fn sample(&mut self, series: Series, clicks: u32, count: u32) {
        let rate = f64::from(count) / f64::from(clicks);
        let (spend_units, milliconversions) = match series {
            Series::Cpc => (count, 0),
            Series::Cvr => (0, count * 1000),
        };
        self.choice.observe(rate, f64::from(clicks));
        self.tick += 2000;
        let sample = Sample {
            tick: self.tick,
            clicks,
            milliconversions,
            spend_units,
        };
        self.windows.push(0, sample).unwrap();
        let line = fit(&self.windows.sums(0), series).unwrap();
        self.choice.prepare(&Candidates {
            level: Some(line.mean()),
            line: Some(line.at(self.tick + 2000).value),
            ..Candidates::default()
        });
    }
}

/// Feeds CPCs made by a rule, and returns the method in use after each.
fn methods(rule: impl Fn(u32) -> f64, seed: u64) -> Vec<Method> {
    let (mut dice, mut beside) = (Dice(seed), Beside::new(Judge::Absolute));
    let steps = 0..600;
    steps
        .map(|step| {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let spend = (rule(step) * (1.0 + 0.1 * noise(&mut dice)) * 50.0) as u32;
            beside.sample(Series::Cpc, 50, spend);
            beside.choice.predict().unwrap().method
        })
        .collect()
}

fn share(methods: &[Method], of: Method) -> f64 {
    let late = &methods[100..];
    late.iter().filter(|&&method| method == of).count() as f64 / late.len() as f64
}

#[test]
fn each_course_is_given_to_the_method_that_errs_least_on_it() {
    let steady = methods(|_| 5000.0, 1);
    assert!(share(&steady, Method::Level) > 0.9);
    let rising = methods(|step| 5000.0 + 100.0 * f64::from(step), 2);
    assert!(share(&rising, Method::Line) > 0.9);
    // Jumps to a new level every 20 samples: a window of 64 is always of yesterday.
    let jumping = methods(|step| 5000.0 * f64::from(1 + step / 20 * 7919 % 5), 3);
    assert!(share(&jumping, Method::Average) > 0.9);
}

#[test]
fn methods_of_equal_worth_are_not_swapped_back_and_forth() {
    for seed in 0..20 {
        let steady = methods(|_| 5000.0, seed);
        let swaps = steady.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(swaps <= 4, "seed {seed}: {swaps}");
    }
}

#[test]
fn the_season_is_used_where_hours_are_known_and_left_where_they_are_not() {
    let mut choice = Choice::new(Judge::Absolute, Method::Level);
    let wave = |step: u32| if step % 24 < 12 { 1.0 } else { 3.0 };
    for step in 0..200 {
        choice.observe(wave(step), 10.0);
        choice.prepare(&Candidates {
            level: Some(2.0),
            line: Some(2.0),
            season: Some(wave(step + 1)),
            model: None,
        });
    }
    let chosen = choice.predict().unwrap();
    assert_eq!((chosen.method, chosen.value), (Method::Season, wave(200)));
    assert!(
        choice.relative_loss(Method::Season).is_none(),
        "it never erred"
    );
    choice.prepare(&Candidates {
        level: Some(2.0),
        ..Candidates::default()
    });
    assert_ne!(choice.predict().unwrap().method, Method::Season);
    // Nor does silence for a while make it forgotten.
    choice.observe(wave(200), 10.0);
    choice.prepare(&Candidates {
        season: Some(1.0),
        ..Candidates::default()
    });
    assert_eq!(choice.predict().unwrap().method, Method::Season);
}

#[test]
fn a_cvr_of_sparse_conversions_is_given_to_the_level_where_squares_judge() {
    // One conversion in 40 clicks, samples of 2 clicks: nineteen of twenty show none. The moving
    // average soon says 0, which absolute errors reward and squares punish.
    let run = |judge| {
        let (mut dice, mut beside) = (Dice(9), Beside::new(judge));
        let (mut said, mut came, mut level) = (0.0, 0.0, 0.0);
        for step in 0..8000 {
            let conversions = u32::from(dice.below(20) == 0);
            if step >= 200 {
                let chosen = beside.choice.predict().unwrap();
                level += f64::from(u8::from(chosen.method == Method::Level)) / 7800.0;
                said += 2.0 * chosen.value;
                came += f64::from(conversions);
            }
            beside.sample(Series::Cvr, 2, conversions);
        }
        (said / came, level)
    };
    let (bias, level) = run(Judge::Square);
    assert!(
        (0.97..1.03).contains(&bias) && level > 0.9,
        "{bias} {level}"
    );
    let (bias, level) = run(Judge::Absolute);
    assert!(bias > 1.05 && level < 0.7, "{bias} {level}");
}

#[test]
fn its_interval_holds_19_of_20_samples_of_the_usual_weight() {
    let (mut dice, mut beside) = (Dice(4), Beside::new(Judge::Absolute));
    let (mut inside, mut count) = (0.0, 0.0);
    for step in 0..8000_u32 {
        let wild = if step / 500 % 2 == 0 { 0.05 } else { 0.2 };
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let spend = (250_000.0 * (1.0 + wild * noise(&mut dice))) as u32;
        if let Some(Chosen { low, high, .. }) = beside.choice.predict().filter(|_| step > 200) {
            let actual = f64::from(spend) / 50.0;
            inside += f64::from(u8::from((low..=high).contains(&actual)));
            count += 1.0;
        }
        beside.sample(Series::Cpc, 50, spend);
    }
    assert!(
        (0.94..0.96).contains(&(inside / count)),
        "{}",
        inside / count
    );
}

#[test]
fn it_is_small_and_prepared_anew_as_often_as_one_likes() {
    assert!(size_of::<Choice>() <= 192);
    let (mut dice, mut beside) = (Dice(6), Beside::new(Judge::Absolute));
    for _ in 0..100 {
        beside.sample(Series::Cpc, 50, 200_000 + dice.count(9000));
    }
    let before = beside.choice;
    let candidates = Candidates {
        level: Some(1.0),
        line: Some(2.0),
        season: Some(3.0),
        model: Some(4.0),
    };
    beside.choice.prepare(&candidates);
    let once = beside.choice;
    beside.choice.prepare(&candidates);
    assert_eq!(beside.choice, once);
    assert_eq!(
        before.relative_loss(Method::Line),
        once.relative_loss(Method::Line)
    );
}

#[test]
fn a_margin_misses_one_in_twenty_whatever_the_errors() {
    let shapes: [fn(f64) -> f64; 4] = [
        |u| u,                                  // even
        |u| -(1.0 - u).max(1e-9).ln(),          // exponential
        |u| (1.0 / (1.0 - u).max(1e-4)).sqrt(), // heavy: no variance
        |u| if u < 0.9 { 0.001 } else { u },    // mostly nothing
    ];
    for (index, shape) in shapes.into_iter().enumerate() {
        let (mut dice, mut margin, mut misses) = (Dice(index as u64), Margin::default(), 0.0);
        for step in 0..21_000 {
            let error = shape(dice.below(100_000) as f64 / 100_000.0);
            if step >= 1000 && error > margin.half() {
                misses += 1.0;
            }
            margin.observe(error, margin.half());
        }
        let share = misses / 20_000.0;
        assert!((0.045..0.055).contains(&share), "{index}: {share}");
    }
}

/// The losses as a slow, obvious counterpart keeps them: all errors, listed.
fn recounted(errors: &[(f64, f64)]) -> Option<f64> {
    let weights = (0..errors.len())
        .rev()
        .map(|age| 0.99_f64.powi(i32::try_from(age).unwrap()));
    let (mut loss, mut weight) = (0.0, 0.0);
    for ((error, clicks), kept) in errors.iter().zip(weights) {
        loss += kept * clicks * error;
        weight += kept * clicks;
    }
    (weight > 0.0).then(|| loss / weight)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn losses_equal_the_recount(seed in any::<u64>()) {
        let (mut dice, mut choice) = (Dice(seed), Choice::new(Judge::Absolute, Method::Level));
        let mut errors: [Vec<(f64, f64)>; 5] = Default::default();
        let mut said: [Option<f64>; 5] = [None; 5];
        for _ in 0..200 {
            let (actual, weight) = (dice.below(1000) as f64, 1.0 + dice.below(50) as f64);
            for (errors, said) in errors.iter_mut().zip(said) {
                errors.extend(said.map(|said| ((actual - said).abs(), weight)));
            }
            choice.observe(actual, weight);
            let mut say = || (dice.below(4) > 0).then(|| dice.below(1000) as f64);
            let candidates = Candidates { level: say(), line: say(), season: say(), model: say() };
            choice.prepare(&candidates);
            said = [candidates.level, candidates.line, None, candidates.season, candidates.model];
            // The moving average is its own; what it said is seen where it is chosen.
            if let Some(in_use) = METHODS.iter().find(|&&m| choice.relative_loss(m) == Some(1.0)) {
                if *in_use == Method::Average {
                    continue;
                }
                let base = recounted(&errors[*in_use as usize]).unwrap();
                for method in [Method::Level, Method::Line, Method::Season, Method::Model] {
                    let wanted = recounted(&errors[method as usize]).map(|loss| loss / base);
                    let found = choice.relative_loss(method);
                    prop_assert_eq!(found.is_some(), wanted.is_some());
                    if let (Some(found), Some(wanted)) = (found, wanted) {
                        prop_assert!((found - wanted).abs() < 1e-9 * (1.0 + wanted));
                    }
                }
            }
        }
    }

    #[test]
    fn any_feed_gives_sane_intervals_and_survives_its_bytes(
        feed in proptest::collection::vec(
            (any::<f64>(), any::<f64>(), proptest::option::of(any::<f64>()), 0.0..9.0),
            0..80,
        ),
        squares in any::<bool>(),
    ) {
        let mut choice = Choice::new(if squares { Judge::Square } else { Judge::Absolute }, Method::Level);
        for (actual, weight, said, sane) in feed {
            choice.observe(actual.abs(), weight);
            choice.observe(sane, 1.0 + sane);
            choice.prepare(&Candidates { level: said, line: Some(actual), season: Some(sane), model: said });
            let chosen = choice.predict().unwrap();
            prop_assert!(chosen.value.is_finite() && chosen.value >= 0.0);
            prop_assert!(0.0 <= chosen.low && chosen.low <= chosen.value);
            prop_assert!(chosen.value <= chosen.high);
            let bytes = choice.to_bytes();
            prop_assert_eq!(bytes.len(), Choice::BYTES);
            let restored = Choice::from_bytes(&bytes).unwrap();
            prop_assert_eq!(restored.to_bytes(), bytes);
            prop_assert_eq!(restored.predict(), choice.predict());
            choice = restored;
        }
    }

    #[test]
    fn bytes_that_are_no_choice_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(read) = Choice::from_bytes(&bytes) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn any_course_has_a_condition(
        samples in 0..100_u32,
        numbers in proptest::array::uniform4(any::<f64>()),
        before in 0..5_usize,
    ) {
        let all = [
            Condition::Normal, Condition::Rising, Condition::Falling, Condition::Volatile,
            Condition::Thin,
        ];
        let [clicks, moved, error, spread] = numbers;
        let course = Course { samples, clicks, moved, error, spread };
        let next = all[before].next(Some(&course));
        prop_assert!(CONDITIONS.get(next as usize).is_some());
        // What follows from the same course twice stays.
        prop_assert_eq!(next.next(Some(&course)), next);
    }
}

/// Returns the condition of a window of CPCs made by a rule.
fn condition(clicks: u32, samples: u32, rule: impl Fn(u32, f64) -> f64) -> Condition {
    let mut dice = Dice(2);
    let mut windows = Windows::new(64).unwrap();
    let slot = windows.add();
    for step in 0..samples {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let spend_units = (f64::from(clicks) * rule(step, noise(&mut dice))) as u32;
        let tick = step * 2000;
        let sample = Sample {
            tick,
            clicks,
            milliconversions: 0,
            spend_units,
        };
        windows.push(slot, sample).unwrap();
    }
    let sums = windows.sums(slot);
    let line = fit(&sums, Series::Cpc).unwrap();
    let (clicks, span) = (u64::from(clicks * samples), 2000 * (samples - 1));
    Condition::Thin.next(Course::of(&line, samples, clicks, span).as_ref())
}

#[test]
fn a_window_has_the_condition_that_a_person_would_see_in_it() {
    let steady = |_: u32, noise: f64| 5000.0 * (1.0 + 0.1 * noise);
    assert_eq!(condition(40, 60, steady), Condition::Normal);
    let rising = |step: u32, noise: f64| 5000.0 * (1.0 + 0.005 * f64::from(step) + 0.1 * noise);
    assert_eq!(condition(40, 60, rising), Condition::Rising);
    let falling = |step: u32, noise: f64| 5000.0 * (1.0 - 0.005 * f64::from(step) + 0.1 * noise);
    assert_eq!(condition(40, 60, falling), Condition::Falling);
    let sure_but_small = |step: u32, _: f64| 5000.0 * (1.0 + 0.0004 * f64::from(step));
    assert_eq!(condition(40, 60, sure_but_small), Condition::Normal);
    let wild = |_: u32, noise: f64| 5000.0 * (1.0 + noise).max(0.0).powi(3);
    assert_eq!(condition(40, 60, wild), Condition::Volatile);
    assert_eq!(condition(1, 20, steady), Condition::Thin);
    assert_eq!(condition(4000, 2, steady), Condition::Thin);
}

#[test]
fn the_error_of_a_slope_is_the_textbooks() {
    let mut dice = Dice(12);
    let mut windows = Windows::new(64).unwrap();
    let slot = windows.add();
    let reports: Vec<Report> = (0..40)
        .map(|step| Report {
            at: 2000 * step,
            clicks: 1 + dice.count(50),
            milliconversions: dice.count(9000),
            spend_units: dice.count(90_000),
        })
        .collect();
    for report in &reports {
        windows.push(slot, report.sample()).unwrap();
    }
    for series in [Series::Cpc, Series::Cvr] {
        let exact = Exact::of(&reports, series).unwrap();
        let squares = to_float(&(&exact.squares / &exact.moment)) / 38.0;
        let line = fit(&windows.sums(slot), series).unwrap();
        let found = line.slope_error_per_tick().unwrap();
        assert!((found / squares.sqrt() - 1.0).abs() < 1e-6, "{found}");
        assert!((line.slope_per_tick() / to_float(&exact.slope) - 1.0).abs() < 1e-12);
    }
}

#[test]
fn a_condition_entered_is_not_left_at_once() {
    let course = |moved| Course {
        samples: 60,
        clicks: 900.0,
        moved,
        error: 0.02,
        spread: 0.1,
    };
    let rising = Condition::Normal.next(Some(&course(0.06)));
    assert_eq!(rising, Condition::Rising);
    assert_eq!(
        Condition::Normal.next(Some(&course(0.04))),
        Condition::Normal
    );
    assert_eq!(rising.next(Some(&course(0.04))), Condition::Rising);
    assert_eq!(rising.next(Some(&course(0.03))), Condition::Normal);
}
