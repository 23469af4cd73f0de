//! Times what a forecast costs beyond the window's line.
//!
//! `choice` is paid thrice by each series with each sample, so it is the one that counts in a round; an
//! hour of `seasonal` is paid by each series that lives for days, once an hour.

#![allow(
    missing_docs,
    clippy::expect_used,
    reason = "criterion's macros have no docs, and a panic is how a benchmark of nonsense ends"
)]

use criterion::{Criterion, criterion_group, criterion_main};
use engine_core::outlook::choice::{Candidates, Choice, Judge, Method};
use engine_core::outlook::seasonal::SeasonalForecaster;
use std::hint::black_box;

fn value(hour: u32) -> f64 {
    0.3 + 0.02 * f64::from(hour % 24) + 0.001 * f64::from(hour * 7919 % 97)
}

fn outlook(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("outlook");

    let mut forecaster = SeasonalForecaster::new(2, &[1, 6, 24], 0.001).expect("legal");
    let mut hour = 0;
    group.bench_function(
        "seasonal: an hour of two series, three horizons",
        |bencher| {
            bencher.iter(|| {
                hour += 1;
                let values = [value(hour), 8.0 * value(hour + 5)];
                forecaster.update(i64::from(hour), black_box(&values))
            });
        },
    );

    let mut choice = Choice::new(Judge::Absolute, Method::Level);
    let mut step = 0;
    group.bench_function("choice: a sample, prepared and predicted", |bencher| {
        bencher.iter(|| {
            step += 1;
            choice.observe(black_box(value(step)), 40.0);
            choice.prepare(&Candidates {
                level: Some(0.5),
                line: Some(value(step + 3)),
                model: Some(0.4),
                season: None,
            });
            choice.predict()
        });
    });

    group.finish();
}

criterion_group!(benches, outlook);
criterion_main!(benches);
