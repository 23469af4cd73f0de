//! CVR from few conversions and from late ones: shrinkage, trend, delay curve.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    reason = "a panic is how a test fails, and restored floats are equal to the bit or wrong"
)]

mod oracle;

use engine_core::outlook::delay::{Corrected, Delay, DelayPrior, LEAST_SHARE};
use engine_core::outlook::shrinkage::{Pool, Prior, moved, trend};
use oracle::Dice;
use proptest::prelude::*;

fn chance(dice: &mut Dice) -> f64 {
    (dice.below(1 << 40) as f64 + 0.5) / (1_u64 << 40) as f64
}

/// Returns the share of a Beta distribution below x, by summing its density on a fine grid of the
/// logit: slow, and right to 1e-4.
fn beta_below(x: f64, alpha: f64, beta: f64) -> f64 {
    let density = |logit: f64| {
        let p = 1.0 / (1.0 + (-logit).exp());
        (alpha * p.ln() + beta * (1.0 - p).ln(), p)
    };
    let grid: Vec<(f64, f64)> = (-60_000..10_000)
        .map(|step| density(f64::from(step) / 1000.0))
        .collect();
    let most = grid.iter().map(|(log, _)| *log).fold(f64::MIN, f64::max);
    let (mut below, mut all) = (0.0, 0.0);
    for (log, p) in grid {
        let mass = (log - most).exp();
        all += mass;
        below += if p <= x { mass } else { 0.0 };
    }
    below / all
}

#[test]
fn an_interval_holds_what_the_posterior_gives_19_of_20() {
    for (mean, strength, clicks, conversions) in [
        (0.02, 100.0, 0.0, 0.0),
        (0.02, 100.0, 500.0, 4.0),
        (0.02, 50.0, 30.0, 3.0),
        (0.05, 400.0, 10_000.0, 700.0),
        (0.3, 40.0, 100.0, 35.0),
        (0.001, 300.0, 200.0, 0.0),
    ] {
        let shrunk = Prior { mean, strength }.with(clicks, conversions);
        let (alpha, beta) = (
            mean * strength + conversions,
            (1.0 - mean) * strength + clicks - conversions,
        );
        let below = beta_below(shrunk.low, alpha, beta);
        let above = 1.0 - beta_below(shrunk.high, alpha, beta);
        assert!((shrunk.mean - alpha / (alpha + beta)).abs() < 1e-12);
        assert!((0.0..0.04).contains(&below), "{mean} {clicks}: {below}");
        assert!((0.01..0.045).contains(&above), "{mean} {clicks}: {above}");
    }
}

#[test]
fn shrunk_rates_lie_nearer_the_truth_than_raw_ones_and_than_the_pool() {
    let mut dice = Dice(8);
    let (mut raw, mut pooled, mut shrunk) = (0.0, 0.0, 0.0);
    for _ in 0..300 {
        let series: Vec<(f64, f64, f64)> = (0..30)
            .map(|_| {
                let truth = 0.03 * (0.3 + 1.4 * chance(&mut dice));
                let clicks = 20 + dice.below(600);
                let conversions = (0..clicks).filter(|_| chance(&mut dice) < truth).count();
                (truth, clicks as f64, conversions as f64)
            })
            .collect();
        let mut pool = Pool::default();
        for (_, clicks, conversions) in &series {
            pool.add(*clicks, *conversions);
        }
        let prior = pool.prior(&Prior::default());
        for (truth, clicks, conversions) in series {
            raw += (conversions / clicks - truth).powi(2);
            pooled += (prior.mean - truth).powi(2);
            shrunk += (prior.with(clicks, conversions).mean - truth).powi(2);
        }
    }
    assert!(
        shrunk < 0.9 * raw && shrunk < 0.9 * pooled,
        "{shrunk} {raw} {pooled}"
    );
}

/// Returns 1/ρ − 1 by Kleinman's formula from a list, in the order of the paper.
fn strength_recounted(members: &[(f64, f64)]) -> f64 {
    let members: Vec<(f64, f64)> = members.iter().copied().filter(|(n, _)| *n > 0.0).collect();
    let all: f64 = members.iter().map(|(n, _)| n).sum();
    let rate = members.iter().map(|(_, c)| c).sum::<f64>() / all;
    let others = members.len() as f64 - 1.0;
    let spread: f64 = members
        .iter()
        .map(|(n, c)| n * (c / n - rate).powi(2))
        .sum();
    let size: f64 = members.iter().map(|(n, _)| n * (1.0 - n / all)).sum();
    let chance = rate * (1.0 - rate);
    let found = (spread - chance * others) / (chance * (size - others));
    let found = (others >= 1.0 && chance > 0.0 && size > others).then_some(found.clamp(0.0, 1.0));
    let (found, weight) = (found.unwrap_or(0.0), found.map_or(0.0, |_| others));
    let mixed = (weight * found + 4.0 / 101.0) / (weight + 4.0);
    (1.0 / mixed - 1.0).clamp(10.0, 10_000.0)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_pools_strength_equals_the_recount(
        members in proptest::collection::vec((0_u32..5000, 0.0..0.2_f64), 0..30),
    ) {
        let members: Vec<(f64, f64)> = members
            .into_iter()
            .map(|(clicks, rate)| (f64::from(clicks), (f64::from(clicks) * rate).floor()))
            .collect();
        let mut pool = Pool::default();
        for &(clicks, conversions) in &members {
            pool.add(clicks, conversions);
        }
        let prior = pool.prior(&Prior::default());
        prop_assert!(prior.mean > 0.0 && prior.mean < 1.0);
        let wanted = strength_recounted(&members);
        prop_assert!((prior.strength / wanted - 1.0).abs() < 1e-6, "{} {wanted}", prior.strength);
    }

    #[test]
    fn a_shrunk_rate_lies_between_prior_and_data_and_rises_with_conversions(
        mean in 1e-4..0.5_f64,
        strength in 1.0..5000.0,
        clicks in 0.0..1e5_f64,
        rate in 0.0..1.0_f64,
    ) {
        let prior = Prior { mean, strength };
        let found = prior.with(clicks, rate * clicks);
        let (least, most) = (mean.min(rate), mean.max(rate));
        if clicks > 0.0 {
            prop_assert!(least - 1e-12 <= found.mean && found.mean <= most + 1e-12);
        }
        prop_assert!(0.0 <= found.low && found.low <= found.mean);
        prop_assert!(found.mean <= found.high && found.high <= 1.0);
        prop_assert_eq!(found.effective_clicks, strength + clicks);
        let more = prior.with(clicks + 1.0, rate * clicks + 1.0);
        prop_assert!(more.mean > found.mean);
        let none = prior.with(clicks + 1.0, rate * clicks);
        prop_assert!(none.mean < found.mean);
    }

    #[test]
    fn nonsense_counts_give_a_sane_rate(numbers in proptest::array::uniform4(any::<f64>())) {
        let [mean, strength, clicks, conversions] = numbers;
        let mut pool = Pool::default();
        pool.add(clicks, conversions);
        pool.add(conversions, clicks);
        for prior in [Prior { mean, strength }, pool.prior(&Prior::default())] {
            let found = prior.with(clicks, conversions);
            if mean.is_nan() || strength.is_nan() {
                continue;
            }
            prop_assert!(0.0 <= found.low && found.low <= found.mean && found.mean <= found.high);
            prop_assert!(found.high <= 1.0 && found.effective_clicks.is_finite());
        }
    }

    #[test]
    fn a_trend_is_bounded_odd_and_follows_the_conversions(
        clicks in 1.0..1e5_f64,
        first in 0.0..1.0_f64,
        second in 0.0..1.0_f64,
        cvr in 0.0..1.0_f64,
    ) {
        let (older, recent) = ((clicks, first * clicks), (clicks, second * clicks));
        let found = trend(older, recent);
        prop_assert!(found.abs() <= std::f64::consts::LN_2 + 1e-15);
        prop_assert!((found + trend(recent, older)).abs() < 1e-12);
        prop_assert!(found * (second - first) >= 0.0);
        let after = moved(cvr, found);
        prop_assert!(after > 0.0 && after < 1.0);
        prop_assert!((after - cvr) * found >= -1e-5);
    }

    #[test]
    fn a_delay_curve_never_falls_with_age_whatever_it_was_taught(
        half in 0.0..1e7,
        weight in 0.0..100.0,
        taught in proptest::collection::vec(
            (0.0..1e6, 0.0..100.0, 0.0..1e7, 0.0..100.0, any::<bool>()),
            0..60,
        ),
        nonsense in proptest::array::uniform4(any::<f64>()),
    ) {
        let mut delay = Delay::new(DelayPrior::HalfAfter(half), weight);
        let [a, b, c, d] = nonsense;
        delay.restated((a, b), (c, d));
        for (young, first, old, last, is_restated) in taught {
            if is_restated {
                delay.restated((young, first), (old, last));
            } else {
                delay.matured((young, first), old);
            }
            let mut before = LEAST_SHARE;
            for step in 0..60 {
                let share = delay.share(1.4_f64.powi(step) - 1.0);
                prop_assert!((before..=1.0).contains(&share), "{share} {before}");
                before = share;
            }
            prop_assert_eq!(before, 1.0);
            let bytes = delay.to_bytes();
            prop_assert_eq!(bytes.len(), Delay::BYTES);
            prop_assert_eq!(Delay::from_bytes(&bytes), Some(delay));
        }
        prop_assert!(delay.share(f64::NAN) >= LEAST_SHARE && delay.share(-1.0) >= LEAST_SHARE);
    }
}

/// Returns a lag drawn from the hyperbolic law: half come within `half`, a quarter after three times.
fn lag(dice: &mut Dice, half: f64) -> f64 {
    let u = chance(dice);
    half * u / (1.0 - u)
}

#[test]
fn restatements_teach_the_curve_that_made_them() {
    let (mut dice, half) = (Dice(21), 1800.0);
    let mut delay = Delay::new(DelayPrior::AtOnce, 5.0);
    let week = 7.0 * 86_400.0;
    for _ in 0..3000 {
        let lags: Vec<f64> = (0..4).map(|_| lag(&mut dice, half)).collect();
        let known = |age: f64| lags.iter().filter(|lag| **lag <= age).count() as f64;
        // First said after a minute or so, then at ages that double or so.
        let mut age = 30.0 + 60.0 * chance(&mut dice);
        while age < week {
            let next = age * (1.5 + chance(&mut dice));
            if known(next) > known(age) {
                delay.restated((age, known(age)), (next, known(next)));
            } else {
                delay.matured((age, known(age)), next);
            }
            age = next;
        }
    }
    let all = week * 2.0 / (week * 2.0 + half);
    for age in [60.0, 600.0, 1800.0, 5400.0, 20_000.0, 86_400.0] {
        let (found, wanted) = (delay.share(age), age / (age + half) / all);
        assert!(
            (found - wanted.max(LEAST_SHARE)).abs() < 0.04,
            "{age}: {found} {wanted}"
        );
    }
}

#[test]
fn the_same_restatement_twice_teaches_nothing_the_second_time() {
    let mut delay = Delay::new(DelayPrior::AtOnce, 20.0);
    delay.restated((60.0, 2.0), (3600.0, 5.0));
    let once = delay;
    delay.restated((3600.0, 5.0), (7200.0, 5.0)); // the message came again, later
    assert_eq!(delay, once);
}

#[test]
fn a_platform_that_reports_at_once_is_never_corrected() {
    let mut delay = Delay::new(DelayPrior::AtOnce, 20.0);
    for _ in 0..1000 {
        delay.matured((10.0, 3.0), 128.0);
    }
    assert_eq!(delay.share(0.0), 1.0);
    let mut wrong = Delay::new(DelayPrior::HalfAfter(1000.0), 20.0);
    let before = wrong.share(10.0);
    for _ in 0..1000 {
        wrong.matured((10.0, 3.0), 1e6);
    }
    assert!(
        before < 0.1 && wrong.share(10.0) > 0.9,
        "{}",
        wrong.share(10.0)
    );
}

#[test]
fn conversions_that_were_taken_back_do_not_turn_the_curve() {
    let mut delay = Delay::new(DelayPrior::HalfAfter(600.0), 20.0);
    let before = delay.share(60.0);
    delay.restated((60.0, 9.0), (86_400.0, 4.0));
    assert!(delay.share(60.0) >= before && delay.share(60.0) <= 1.0);
}

#[test]
fn a_recent_cvr_is_corrected_to_what_it_will_be() {
    let (mut dice, half, cvr) = (Dice(3), 3600.0, 0.05);
    let delay = Delay::new(DelayPrior::HalfAfter(half), 20.0);
    let (mut corrected, mut raw) = (Corrected::default(), (0.0, 0.0));
    for stretch in 0..600 {
        let age = 30.0 * f64::from(stretch);
        let clicks = 400;
        let converted = (0..clicks).filter(|_| chance(&mut dice) < cvr).count();
        let seen = (0..converted)
            .filter(|_| lag(&mut dice, half) <= age)
            .count();
        corrected.add(&delay, f64::from(clicks), seen as f64, age);
        raw = (raw.0 + f64::from(clicks), raw.1 + seen as f64);
    }
    let found = corrected.rate().unwrap();
    assert!((found / cvr - 1.0).abs() < 0.03, "{found}");
    assert!(raw.1 / raw.0 < 0.75 * cvr);
    assert_eq!(Corrected::default().rate(), None);
}

#[test]
fn a_conversion_of_a_click_of_this_second_is_not_worth_a_hundred() {
    let delay = Delay::new(DelayPrior::HalfAfter(1e6), 20.0);
    let mut corrected = Corrected::default();
    corrected.add(&delay, 100.0, 1.0, 0.0);
    assert!((corrected.rate().unwrap() - 0.01 / LEAST_SHARE).abs() < 1e-12);
}
