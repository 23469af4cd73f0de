//! The book's forecasts: against a slow recount of all that was said and came, and what must hold.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a panic is how a test fails, and what is kept is equal to the bit or wrong"
)]

mod common;
mod oracle;

use common::{Report, START_MS, UNIT_MICROS, Wanted, frame, put, read, tick};
use engine_core::book::Book;
use engine_core::foresee::Forecast;
use engine_core::outlook::choice::Method;
use engine_core::outlook::condition::Condition;
use engine_core::outlook::seasonal::SeasonalForecaster;
use oracle::Dice;
use proptest::prelude::*;

const HOUR_MS: i64 = 3_600_000;
const UNIT: f64 = UNIT_MICROS as f64;
const WINDOW: usize = 16;

/// A campaign that does not bid: there is no answer to a bid then, and what is said is the window's.
fn silent() -> Wanted {
    let mut wanted = Wanted::new(1);
    (wanted.is_active, wanted.platforms) = (0, 1);
    wanted
}

fn book_of(wanted: &Wanted) -> Book {
    let mut book = Book::new(WINDOW, 1, 2000).unwrap();
    put(&mut book, std::slice::from_ref(wanted));
    book
}

fn report(at_ms: i64, clicks: u32, milliconversions: u32, units: u32) -> Report {
    Report {
        series: 1001,
        tick: tick(at_ms),
        clicks,
        milliconversions,
        spend: i64::from(units) * i64::from(UNIT_MICROS),
        impressions: 10 * clicks,
    }
}

/// One sample of the slow side: time, clicks, conversions, spend in micros.
#[derive(Debug, Clone, Copy)]
struct Seen {
    at_ms: i64,
    clicks: f64,
    conversions: f64,
    spend: f64,
}

/// What was said of one rate before an observation, what came, and its weight.
struct Judged {
    said: [Option<f64>; 5],
    actual: f64,
    weight: f64,
}

/// A rate's choice, recounted from the list of all that was said and came.
struct Slow {
    is_square: bool,
    in_use: usize,
    judged: Vec<Judged>,
    said: [Option<f64>; 5],
}

impl Slow {
    fn new(is_square: bool, in_use: usize) -> Self {
        Self {
            is_square,
            in_use,
            judged: Vec::new(),
            said: [None; 5],
        }
    }

    fn faded(&self, kept: f64, of: impl Fn(&Judged) -> Option<f64>) -> f64 {
        let ages = (0..self.judged.len()).rev();
        let terms = self.judged.iter().zip(ages);
        terms
            .filter_map(|(one, age)| Some(kept.powi(i32::try_from(age).unwrap()) * of(one)?))
            .sum()
    }

    /// Faded by what was judged since: a method that said nothing keeps its losses as they were.
    fn loss(&self, method: usize) -> Option<(f64, f64)> {
        let (mut loss, mut weights) = (0.0, 0.0);
        for one in &self.judged {
            if let Some(said) = one.said[method] {
                let error = (one.actual - said).abs();
                let term = if self.is_square { error * error } else { error };
                loss = 0.99 * loss + one.weight * term;
                weights = 0.99 * weights + one.weight;
            }
        }
        (weights > 0.0).then(|| (loss / weights, weights))
    }

    fn observe(&mut self, actual: f64, weight: f64) {
        let said = std::mem::take(&mut self.said);
        self.judged.push(Judged {
            said,
            actual,
            weight,
        });
        let average = self.faded(0.75, |one| Some(one.weight * one.actual))
            / self.faded(0.75, |one| Some(one.weight));
        self.said[2] = Some(average);
        let events = self.faded(0.99, |one| Some(one.weight * one.actual));
        if self.is_square && events < 10.0 {
            return;
        }
        let usual = self.faded(0.99, |one| Some(one.weight)) / self.faded(0.99, |_| Some(1.0));
        let tried = |method: usize| self.loss(method).filter(|&(_, seen)| seen >= 8.0 * usual);
        let mut best: Option<(usize, f64)> = None;
        for method in 0..5 {
            if let Some((loss, _)) = tried(method)
                && best.is_none_or(|(_, least)| loss < least)
            {
                best = Some((method, loss));
            }
        }
        if let Some((best, least)) = best
            && tried(self.in_use).is_none_or(|(loss, _)| least < 0.9 * loss)
        {
            self.in_use = best;
        }
    }

    fn predict(&self) -> Option<(usize, f64)> {
        if let Some(value) = self.said[self.in_use] {
            return Some((self.in_use, value));
        }
        let of = |method: usize| self.loss(method).map_or(f64::INFINITY, |(loss, _)| loss);
        let mut best: Option<usize> = None;
        for method in (0..5).filter(|&method| self.said[method].is_some()) {
            if best.is_none_or(|best| of(method) < of(best)) {
                best = Some(method);
            }
        }
        best.map(|method| (method, self.said[method].unwrap()))
    }
}

/// A click-weighted line through a list, by the textbook; level where there is no slope to tell.
fn line(seen: &[Seen], at_ms: i64, of: impl Fn(&Seen) -> f64) -> Option<f64> {
    let weights: f64 = seen.iter().map(|one| one.clicks).sum();
    if weights == 0.0 {
        return None;
    }
    let mean = seen.iter().map(&of).sum::<f64>() / weights;
    let weighted = seen.iter().filter(|one| one.clicks > 0.0).count();
    let time = |one: &Seen| (one.at_ms - START_MS) as f64;
    let middle = seen.iter().map(|one| one.clicks * time(one)).sum::<f64>() / weights;
    let moment: f64 = seen
        .iter()
        .map(|one| one.clicks * (time(one) - middle).powi(2))
        .sum();
    if weighted < 3 || moment == 0.0 {
        return Some(mean);
    }
    let rise: f64 = seen.iter().map(|one| of(one) * (time(one) - middle)).sum();
    Some(mean + rise / moment * ((at_ms - START_MS) as f64 - middle))
}

/// All of a series, kept as lists.
struct SlowSeries {
    window: Vec<Seen>,
    choices: Option<[Slow; 3]>,
    newest: Option<i64>,
    waiting: [f64; 3],
}

impl SlowSeries {
    fn new() -> Self {
        Self {
            window: Vec::new(),
            choices: None,
            newest: None,
            waiting: [0.0; 3],
        }
    }

    fn push(&mut self, seen: Seen) {
        if let Some(same) = self.window.iter_mut().find(|one| one.at_ms == seen.at_ms) {
            *same = seen;
            return;
        }
        if self.window.len() == WINDOW {
            if seen.at_ms < self.window[0].at_ms {
                return;
            }
            self.window.remove(0);
        }
        self.window.push(seen);
        self.window.sort_by_key(|one| one.at_ms);
    }

    fn cadence(&self) -> i64 {
        let gaps = self
            .window
            .windows(2)
            .map(|two| two[1].at_ms - two[0].at_ms);
        let mut gaps: Vec<i64> = gaps.rev().take(15).collect();
        gaps.sort_unstable();
        gaps.get(gaps.len().saturating_sub(1) / 2)
            .copied()
            .unwrap_or(2000)
    }

    fn said(&self, held: f64) -> [[Option<f64>; 5]; 3] {
        let (newest, cadence) = (self.window.last().unwrap().at_ms, self.cadence());
        let next = newest + cadence;
        let clicks: f64 = self.window.iter().map(|one| one.clicks).sum();
        let mean = |sum: f64| (clicks > 0.0).then(|| sum / clicks);
        let spend: f64 = self.window.iter().map(|one| one.spend).sum();
        let conversions: f64 = self.window.iter().map(|one| one.conversions).sum();
        let hours = (newest - self.window[0].at_ms + cadence) as f64 / HOUR_MS as f64;
        let at_least_0 = |said: Option<f64>| said.map(|said| said.max(0.0));
        let cpc = line(&self.window, next, |one| one.spend);
        let cvr = line(&self.window, next, |one| one.conversions);
        [
            [mean(spend), at_least_0(cpc), None, None, None],
            [mean(conversions), at_least_0(cvr), None, None, Some(held)],
            [Some(clicks / hours), None, None, None, None],
        ]
    }

    /// Hears what came since the round before.
    fn round(&mut self, held: f64) {
        let Some(last) = self.window.last().copied() else {
            return;
        };
        let said = self.said(held);
        let cadence = self.cadence() as f64;
        if let Some(choices) = &mut self.choices {
            let known = self.newest.unwrap();
            let new: Vec<Seen> = self
                .window
                .iter()
                .filter(|one| one.at_ms > known)
                .copied()
                .collect();
            if !new.is_empty() {
                let sum = |of: fn(&Seen) -> f64| new.iter().map(of).sum::<f64>();
                let passed = (last.at_ms - known) as f64;
                let hours = passed.min(8.0 * new.len() as f64 * cadence) / HOUR_MS as f64;
                choices[2].observe(sum(|one| one.clicks) / hours, hours);
                self.waiting[0] += sum(|one| one.clicks);
                self.waiting[1] += sum(|one| one.conversions);
                self.waiting[2] += sum(|one| one.spend);
                if self.waiting[0] > 0.0 {
                    let [clicks, conversions, spend] = std::mem::take(&mut self.waiting);
                    choices[0].observe(spend / clicks, clicks);
                    choices[1].observe(conversions / clicks, clicks);
                }
            }
        } else if self.window.iter().filter(|one| one.clicks > 0.0).count() >= 8 {
            self.choices = Some([Slow::new(false, 0), Slow::new(true, 4), Slow::new(true, 0)]);
        }
        self.newest = Some(last.at_ms);
        for (choice, said) in self.choices.iter_mut().flatten().zip(said) {
            for (place, said) in choice.said.iter_mut().zip(said) {
                if place.is_none() || said.is_some() {
                    *place = said;
                }
            }
        }
    }
}

fn close(found: f64, wanted: f64) -> bool {
    (found - wanted).abs() <= 1e-6 * (wanted.abs() + 1e-3)
}

const METHODS: [Method; 5] = [
    Method::Level,
    Method::Line,
    Method::Average,
    Method::Season,
    Method::Model,
];

/// A market of many moods: steady, rising, jumping, sparse.
fn mood(dice: &mut Dice, mood: u64, step: i64) -> (u32, u32, u32) {
    let cpc = match mood {
        0 => 5000.0,
        1 => 5000.0 + 40.0 * step as f64,
        2 => 3000.0 * (1 + step / 12 % 4) as f64,
        _ => 5000.0 + 2000.0 * (step as f64 / 9.0).sin(),
    };
    let clicks = if mood == 3 {
        dice.count(3)
    } else {
        20 + dice.count(20)
    };
    let noise = 0.8 + dice.below(400) as f64 / 1000.0;
    let spend = (cpc * noise * f64::from(clicks)) as u32;
    let conversions = (0..clicks).filter(|_| dice.below(25) == 0).count();
    (clicks, 1000 * u32::try_from(conversions).unwrap(), spend)
}

#[test]
fn what_is_forecast_is_what_a_slow_recount_of_all_that_was_said_and_came_chooses() {
    let mut chosen = [[0_usize; 5]; 3];
    for seed in 0..24_u64 {
        let (mut dice, mut book, mut slow) = (Dice(seed), book_of(&silent()), SlowSeries::new());
        let mut all: Vec<i64> = Vec::new();
        for step in 0..160_i64 {
            let at_ms = START_MS + 2000 * step;
            let mut reports = Vec::new();
            for part in 0..dice.below(4).cast_signed() {
                // One in nine restates, or comes late.
                let is_old = dice.below(9) == 0 && !all.is_empty();
                let ended = if is_old {
                    all[all.len() - 1 - dice.below(all.len().min(12) as u64) as usize]
                        - 250 * dice.below(2).cast_signed()
                } else {
                    at_ms - 1500 + 500 * part
                };
                all.push(ended);
                let (clicks, conversions, units) = mood(&mut dice, seed % 4, step);
                reports.push(report(ended, clicks, conversions, units));
                slow.push(Seen {
                    at_ms: ended,
                    clicks: f64::from(clicks),
                    conversions: f64::from(conversions) / 1000.0,
                    spend: f64::from(units) * UNIT,
                });
            }
            let is_heard = !reports.is_empty();
            if is_heard {
                book.ingest(&frame(u64::try_from(step).unwrap(), &reports))
                    .unwrap();
            }
            let early = book.forecast(1001, at_ms).unwrap();
            book.decide(at_ms).unwrap();
            let found = book.forecast(1001, at_ms).unwrap();
            // What is held of CVR learns the time that passed in the round itself.
            assert_eq!(
                (
                    early.cpc_micros,
                    early.clicks_an_hour,
                    early.condition,
                    early.confidence
                ),
                (
                    found.cpc_micros,
                    found.clicks_an_hour,
                    found.condition,
                    found.confidence
                ),
                "seed {seed}, step {step}: before and after the round"
            );
            if is_heard {
                slow.round(found.cvr.value);
            }
            let Some(choices) = &slow.choices else {
                continue;
            };
            let rates = [found.cpc_micros, found.reported_cvr, found.clicks_an_hour];
            for (rate, (choice, found)) in choices.iter().zip(rates).enumerate() {
                let (method, value) = choice.predict().unwrap();
                let found = found.unwrap();
                let place = format!("seed {seed}, step {step}, rate {rate}: {found:?} {value}");
                assert_eq!(found.method, METHODS[method], "{place}");
                assert!(close(found.estimate.value, value), "{place}");
                chosen[rate][method] += 1;
            }
        }
        book.verify().unwrap();
    }
    // Each way was chosen now and then, or the recount proves little.
    assert!(chosen[0][..3].iter().all(|&times| times > 20), "{chosen:?}");
    assert!(chosen[1][4] > 20 && chosen[2][2] > 20, "{chosen:?}");
}

#[test]
fn one_click_that_converted_is_thin_and_no_hundred_percent() {
    let mut wanted = Wanted::new(1);
    wanted.platforms = 1;
    let mut book = book_of(&wanted);
    book.decide(START_MS).unwrap();
    book.ingest(&frame(1, &[report(START_MS + 1000, 1, 1000, 5000)]))
        .unwrap();
    let decided = read(&book.decide(START_MS + 2000).unwrap());
    let found = book.forecast(1001, START_MS + 2000).unwrap();
    assert_eq!(
        (found.raw_cvr, found.condition),
        (Some(1.0), Condition::Thin)
    );
    assert!((0.02..0.08).contains(&found.cvr.value), "{found:?}");
    assert!(found.cvr.low < 0.01 && found.cvr.high > 0.06, "{found:?}");
    assert_eq!(found.reported_cvr.unwrap().estimate.value, found.cvr.value);
    assert_eq!(
        decided[0].series[0].cvr, found.cvr.value,
        "what is shown is what is decided by"
    );
    assert_eq!(
        decided[0].series[0].cpc,
        found.cpc_micros.unwrap().estimate.value
    );
    assert!(found.confidence.value < 0.01);
}

#[test]
fn the_forecast_of_a_bidding_campaign_is_that_of_its_decision() {
    let mut wanted = Wanted::new(1);
    (wanted.platforms, wanted.budget) = (2, 100_000_000_000);
    let mut book = book_of(&wanted);
    let mut dice = Dice(5);
    for step in 1..60 {
        let at_ms = START_MS + 2000 * step;
        let (clicks, conversions, units) = mood(&mut dice, 2, step);
        let one = report(at_ms - 500, clicks, conversions, units);
        let other = Report {
            series: 1002,
            clicks: clicks + 3,
            ..one
        };
        book.ingest(&frame(u64::try_from(step).unwrap(), &[one, other]))
            .unwrap();
        let decided = read(&book.decide(at_ms).unwrap());
        for told in &decided[0].series {
            let found = book.forecast(told.key, at_ms).unwrap();
            assert_eq!(told.cpc, found.cpc_micros.unwrap().estimate.value);
            assert_eq!(told.cvr, found.cvr.value);
            assert!(found.clicks_an_hour.unwrap().estimate.value > 0.0);
        }
    }
}

#[test]
fn nothing_but_the_age_changes_while_nothing_is_heard() {
    let mut book = book_of(&silent());
    let mut dice = Dice(3);
    for step in 1..30 {
        let (clicks, conversions, units) = mood(&mut dice, 1, step);
        let came = report(START_MS + 2000 * step, clicks, conversions, units);
        book.ingest(&frame(u64::try_from(step).unwrap(), &[came]))
            .unwrap();
        book.decide(START_MS + 2000 * step).unwrap();
    }
    let before = book.forecast(1001, START_MS + 60_000).unwrap();
    for round in 30..200 {
        book.decide(START_MS + 2000 * round).unwrap();
    }
    let after = book.forecast(1001, START_MS + 400_000).unwrap();
    assert!(after.confidence.age < 0.2 * before.confidence.age);
    // Conversions that do not come are news of what is held of CVR, and of nothing else.
    assert!(after.cvr.value < before.cvr.value);
    let aged = Forecast {
        confidence: before.confidence,
        cvr: before.cvr,
        ..after
    };
    assert_eq!(aged, before);
}

#[test]
fn a_course_is_named() {
    let run = |rule: fn(i64) -> f64| {
        let (mut book, mut dice) = (book_of(&silent()), Dice(8));
        for step in 1..40 {
            let noise = 0.98 + dice.below(40) as f64 / 1000.0;
            let units = (rule(step) * noise * 50.0) as u32;
            let came = report(START_MS + 2000 * step, 50, 1000, units);
            book.ingest(&frame(u64::try_from(step).unwrap(), &[came]))
                .unwrap();
            book.decide(START_MS + 2000 * step).unwrap();
        }
        book.forecast(1001, START_MS + 80_000).unwrap().condition
    };
    assert_eq!(run(|_| 5000.0), Condition::Normal);
    assert_eq!(run(|step| 3000.0 + 100.0 * step as f64), Condition::Rising);
    assert_eq!(run(|step| 9000.0 - 100.0 * step as f64), Condition::Falling);
    assert_eq!(
        run(|step| if step % 2 == 0 { 2000.0 } else { 9000.0 }),
        Condition::Volatile
    );
}

/// CPC of an hour: cheap nights, dear days, a little noise.
fn daily(hour: i64, dice: &mut Dice) -> f64 {
    let wave = 5000.0 + 3000.0 * (hour as f64 * std::f64::consts::TAU / 24.0).sin();
    wave * (0.97 + dice.below(60) as f64 / 1000.0)
}

/// Twenty days of hourly reports, and what was forecast of CPC before each.
fn twenty_days(mut each: impl FnMut(&mut Book, i64, f64, &Forecast)) {
    let mut wanted = silent();
    wanted.ends_ms = START_MS + 40 * 24 * HOUR_MS;
    let (mut book, mut dice) = (book_of(&wanted), Dice(11));
    for hour in 1..=480_i64 {
        let at_ms = START_MS + hour * HOUR_MS;
        let units = (40.0 * daily(hour, &mut dice)) as u32;
        let said = book.forecast(1001, at_ms).unwrap();
        each(&mut book, hour, f64::from(units) * UNIT / 40.0, &said);
        let came = report(at_ms, 40, 1000, units);
        book.ingest(&frame(u64::try_from(hour).unwrap(), &[came]))
            .unwrap();
        book.decide(at_ms + 1000).unwrap();
    }
    book.verify().unwrap();
}

#[test]
fn a_daily_rhythm_is_learned_and_used_where_it_errs_less_than_the_window() {
    let (mut error, mut naive, mut last, mut season) = (0.0, 0.0, 0.0, 0);
    twenty_days(|_, hour, came, said| {
        if hour > 240 {
            let cpc = said.cpc_micros.unwrap();
            error += (cpc.estimate.value - came).abs();
            naive += (last - came).abs();
            season += usize::from(cpc.method == Method::Season);
        }
        last = came;
    });
    assert!(season > 230, "{season} of 240");
    assert!(error < 0.5 * naive, "{error} {naive}");
}

#[test]
fn the_season_is_that_of_a_forecaster_told_the_same_hours() {
    let mut forecaster = SeasonalForecaster::new(2, &[1], 1e-6).unwrap();
    let (mut clicks, mut conversions, mut compared) = (0.0, 0.0, 0);
    twenty_days(|_, hour, came, said| {
        let cpc = said.cpc_micros;
        if let Some(cpc) = cpc.filter(|cpc| cpc.method == Method::Season) {
            let wanted = forecaster.forecast(0, 1).unwrap().unwrap().value;
            assert_eq!(cpc.estimate.value, wanted, "hour {hour}");
            compared += 1;
        }
        clicks += 40.0;
        conversions += 1.0;
        // Three conversions at the usual rate so far hold an hour's.
        let usual: f64 = (conversions + 1.0) / (clicks + 50.0);
        let cvr = (1.0 + 3.0) / (40.0 + 3.0 / usual);
        // The first eight reports make the series worth a choice; hours count from the next on.
        if hour > 8 {
            let told = [came, cvr].map(|rate| f64::from(rate as f32));
            forecaster.update(hour, &told).unwrap();
        }
    });
    assert!(compared > 350, "{compared}");
}

#[test]
fn a_book_restored_with_its_seasons_goes_on_to_the_bit() {
    let mut whole = Vec::new();
    twenty_days(|_, _, _, said| whole.push(*said));
    let mut index = 0;
    twenty_days(|book, hour, _, said| {
        assert_eq!(*said, whole[index], "hour {hour}");
        index += 1;
        // Before there is a choice, in the first day of hours, and long after.
        if [3, 20, 30, 33, 34, 200].contains(&hour) {
            let snapshot = book.snapshot();
            *book = Book::restore(&snapshot).unwrap();
            assert_eq!(book.snapshot(), snapshot);
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_reports_give_sane_forecasts_and_survive_a_restart(
        feed in proptest::collection::vec(
            (0..40_000_i64, 0..5_u32, 0..9_u32, 0..2_000_000_u32, 1..30_000_i64),
            1..120,
        ),
        is_active in 0..2_u8,
    ) {
        let mut wanted = silent();
        wanted.is_active = is_active;
        let mut book = book_of(&wanted);
        let mut at_ms = START_MS;
        for (sequence, (back, clicks, conversions, units, step)) in (0..).zip(feed) {
            at_ms += step;
            let came = report(at_ms - back, clicks, 1000 * conversions, units);
            book.ingest(&frame(sequence, &[came])).unwrap();
            book.decide(at_ms).unwrap();
            let found = book.forecast(1001, at_ms).unwrap();
            prop_assert!(0.0 < found.cvr.value && found.cvr.value <= 1.0);
            prop_assert!(found.cvr.low <= found.cvr.value && found.cvr.value <= found.cvr.high);
            for rate in [found.cpc_micros, found.reported_cvr, found.clicks_an_hour] {
                let Some(rate) = rate.map(|rate| rate.estimate) else { continue };
                prop_assert!(rate.value.is_finite() && rate.value >= 0.0);
                prop_assert!(rate.low >= 0.0 && rate.low <= rate.value && rate.value <= rate.high);
            }
            if let Some(cvr) = found.reported_cvr {
                prop_assert!(cvr.estimate.high <= 1.0);
            }
            prop_assert!((0.0..=1.0).contains(&found.confidence.value));
        }
        let snapshot = book.snapshot();
        let restored = Book::restore(&snapshot).unwrap();
        prop_assert_eq!(restored.snapshot(), snapshot);
        prop_assert_eq!(restored.forecast(1001, at_ms), book.forecast(1001, at_ms));
    }
}
