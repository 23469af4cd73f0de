//! The recount oracle: after every push, everything incremental equals what a slow, obvious
//! counterpart makes of the same samples.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a panic is how a test fails, and here floats are equal to the bit or wrong"
)]

mod oracle;

use engine_core::forecast::forecast;
use engine_core::regression::{Line, Series, fit};
use engine_core::window::{Pushed, REACH, Windows};
use oracle::{Dice, Exact, List, Report, relative_error, words, wrapped};

/// A window and its list, fed alike and compared after every push.
struct Pair {
    windows: Windows,
    slot: usize,
    list: List,
}

impl Pair {
    fn new(capacity: usize) -> Self {
        let mut windows = Windows::new(capacity).unwrap();
        windows.add(); // a neighbour that must stay empty
        let slot = windows.add();
        windows.add();
        Self {
            windows,
            slot,
            list: List::new(capacity),
        }
    }

    fn push(&mut self, report: Report) -> Pushed {
        let wanted = self.list.push(report);
        let found = self.windows.push(self.slot, report.sample()).unwrap();
        assert_eq!(found, wanted, "{report:?}");
        self.compare();
        found
    }

    fn compare(&self) {
        let samples = self.list.samples();
        assert!(self.windows.samples(self.slot).eq(samples.iter().copied()));
        let header = self.windows.header(self.slot).unwrap();
        assert_eq!(header.is_full(), samples.len() == self.windows.capacity());
        let recounted = words(
            &samples,
            header.head(),
            header.is_full(),
            header.reference(),
        );
        assert_eq!(*header.words(), recounted);
        assert_eq!(self.windows.recount(self.slot), Some(*header));
        self.windows.verify(self.slot).unwrap();
        assert!(self.windows.is_empty(0) && self.windows.is_empty(2));
    }

    fn line(&self, series: Series) -> Option<Line> {
        fit(&self.windows.sums(self.slot), series)
    }

    /// Compares the line with the one in fractions, at `at`.
    fn compare_line(&self, at: i64) {
        for series in [Series::Cpc, Series::Cvr] {
            let exact = Exact::of(&self.list.reports, series);
            let line = self.line(series);
            assert_eq!(line.is_some(), exact.is_some());
            if let (Some(line), Some(exact)) = (line, exact) {
                let estimate = line.at(wrapped(at));
                assert!(relative_error(estimate.value, &exact.at(at)) < 1e-15);
                assert!(relative_error(estimate.slope_per_tick, &exact.slope) < 1e-15);
            }
        }
    }
}

const EPOCH_MS: i64 = 1_790_000_000_123;

/// A feed with everything that feeds do: late, repeated and restated reports, holes, stretches
/// without clicks, seconds of enormous numbers, leaps, and the wrap of the tick.
fn unruly(dice: &mut Dice, at: &mut i64) -> Report {
    let mut report = Report {
        at: *at,
        clicks: dice.count(200),
        milliconversions: dice.count(9000),
        spend_units: dice.count(1_000_000),
    };
    match dice.below(64) {
        0..=5 => report.at -= i64::from(dice.count(200_000)), // late
        6 => report.at -= i64::from(dice.count(1 << 31)),     // very late
        7 => *at += i64::from(dice.count(1 << 29)),
        8 => *at += i64::from(dice.count(1 << 31)),
        9..=12 => report.clicks = 0,
        13 => {
            report.clicks = dice.count(1 << 31);
            report.milliconversions = dice.count(1 << 31);
            report.spend_units = dice.count(1 << 31);
        }
        14 => report.clicks = (1 << 31) - 1,
        15 => report.spend_units = (1 << 31) - 1,
        16 => (report.clicks, report.milliconversions, report.spend_units) = (0, 0, 0),
        _ => *at += 2000,
    }
    report
}

#[test]
fn a_header_equals_the_recount_after_every_push_at_every_capacity() {
    let mut dice = Dice(7);
    for capacity in 2..=127 {
        let mut pair = Pair::new(capacity);
        let mut at = EPOCH_MS;
        for _ in 0..3 * capacity {
            pair.push(unruly(&mut dice, &mut at));
        }
        pair.compare_line(at + 2000);
    }
}

#[test]
fn an_unruly_feed_is_counted_exactly_for_long() {
    let (mut dice, mut at, mut pair) = (Dice(11), EPOCH_MS, Pair::new(64));
    let mut outcomes = [0_u32; 3];
    for step in 0..8000 {
        let outcome = match pair.push(unruly(&mut dice, &mut at)) {
            Pushed::Accepted => 0,
            Pushed::Replaced { .. } => 1,
            Pushed::Late => 2,
        };
        outcomes[outcome] += 1;
        if step % 41 == 0 {
            pair.compare_line(at + i64::from(dice.count(1 << 20)));
        }
    }
    assert!(outcomes.iter().all(|&times| times > 100), "{outcomes:?}");
}

fn steady(step: i64) -> Report {
    Report {
        at: EPOCH_MS + 2000 * step,
        clicks: 100,
        milliconversions: 2000 + u32::try_from(step % 7).unwrap(),
        spend_units: 500_000 + u32::try_from(step % 11).unwrap(),
    }
}

#[test]
fn a_burst_of_ten_outliers_leaves_nothing_behind() {
    let mut pair = Pair::new(64);
    let mut step = 0;
    for outliers in [0..0, 100..110, 0..0] {
        for _ in 0..300 {
            let mut report = steady(step);
            if outliers.contains(&(step % 300)) {
                report.spend_units = 1_000_000_000;
                report.milliconversions = 1_000_000_000;
            }
            pair.push(report);
            if step % 3 == 0 {
                pair.compare_line(report.at + 2000);
            }
            step += 1;
        }
    }
    // Nor does it differ, in any bit, from a window that never saw them.
    let mut fresh = Pair::new(64);
    for report in pair.list.reports.clone() {
        fresh.push(report);
    }
    let due = wrapped(EPOCH_MS + 2000 * step);
    assert_eq!(
        forecast(&pair.windows, 1, due, 2000, 100),
        forecast(&fresh.windows, 1, due, 2000, 100)
    );
}

#[test]
fn the_wrap_of_the_tick_is_not_seen() {
    let mut pair = Pair::new(16);
    let mut unmoved = Pair::new(16);
    for step in 0..64 {
        let mut report = steady(step);
        let far = report;
        report.at = (1_i64 << 32) - 40_000 + 2000 * step; // wraps at step 20
        pair.push(report);
        unmoved.push(far);
        pair.compare_line(report.at + 2000);
        let found = pair
            .line(Series::Cpc)
            .map(|line| line.at(wrapped(report.at + 500)));
        let wanted = unmoved
            .line(Series::Cpc)
            .map(|line| line.at(wrapped(far.at + 500)));
        assert_eq!(found, wanted);
    }
}

#[test]
fn gaps_up_to_the_reach_are_kept_and_longer_ones_begin_anew() {
    let reach = i64::from(REACH);
    for (gap, kept) in [
        (1, 9),
        (reach / 2, 9),
        (reach - 8, 9),
        (reach - 7, 8),
        (reach - 1, 2),
        (reach, 1),
    ] {
        let mut pair = Pair::new(16);
        for at in 0..8 {
            pair.push(Report { at, ..steady(0) });
        }
        pair.push(Report {
            at: 7 + gap, // from the eight samples at 0 to 7
            ..steady(0)
        });
        pair.compare_line(7 + gap);
        assert_eq!(pair.windows.len(1), kept, "gap {gap}");
    }
    let mut pair = Pair::new(16);
    pair.push(Report { at: 0, ..steady(0) });
    pair.push(Report {
        at: reach,
        ..steady(0)
    });
    assert_eq!(pair.windows.len(1), 1);
    assert_eq!(pair.push(Report { at: 0, ..steady(0) }), Pushed::Late);
    assert_eq!(pair.push(Report { at: 1, ..steady(0) }), Pushed::Accepted);
}

#[test]
fn the_reference_follows_once_a_turn_so_a_steady_feed_never_needs_its_ring() {
    let mut pair = Pair::new(64);
    let mut moves = 0;
    let mut reference = None;
    for step in 0..64 * 40 {
        pair.push(steady(step)); // every 2 s, in ticks of 1 ms
        let header = pair.windows.header(1).unwrap();
        assert_eq!(header.wild(), 0);
        moves += u32::from(reference.replace(header.reference()) != Some(header.reference()));
    }
    assert_eq!(moves, 41); // with the one of the first sample
}

#[test]
fn the_largest_counts_over_the_longest_reach_are_still_exact() {
    let largest = (1 << 31) - 1;
    let mut pair = Pair::new(127);
    for step in 0..127 {
        pair.push(Report {
            at: EPOCH_MS + step * (i64::from(REACH) / 127),
            clicks: largest,
            milliconversions: if step % 2 == 0 { largest } else { 1 },
            spend_units: if step % 3 == 0 { largest } else { 1 },
        });
    }
    assert_eq!(pair.windows.header(1).unwrap().wild(), 127);
    for ahead in [0, 1, 1 << 20, (1 << 30) - 1] {
        pair.compare_line(EPOCH_MS + i64::from(REACH) + ahead);
    }
}

#[test]
fn spend_and_conversions_without_clicks_count() {
    let mut pair = Pair::new(8);
    for (step, clicks) in [(0, 2), (1, 0), (2, 0), (3, 2), (4, 0), (5, 1)] {
        pair.push(Report {
            clicks,
            spend_units: 10,
            milliconversions: 100,
            ..steady(step)
        });
        pair.compare_line(EPOCH_MS + 2000 * step);
    }
    let line = pair.line(Series::Cpc).unwrap();
    assert_eq!(line.mean(), 60.0 / 5.0);
    let exact = Exact::of(&pair.list.reports, Series::Cpc).unwrap();
    let found = line.deviation().unwrap().powi(2) * (5.0 / 3.0);
    assert!((found / oracle::to_float(&exact.squares) - 1.0).abs() < 1e-6);
}

#[test]
fn many_windows_fed_in_turn_do_not_mix() {
    let mut dice = Dice(3);
    let mut windows = Windows::new(5).unwrap();
    let mut lists: Vec<List> = Vec::new();
    for _ in 0..50 {
        windows.add();
        lists.push(List::new(5));
    }
    let mut times = [EPOCH_MS; 50];
    for _ in 0..5000 {
        let slot = usize::try_from(dice.below(50)).unwrap();
        let report = unruly(&mut dice, &mut times[slot]);
        assert_eq!(
            windows.push(slot, report.sample()).unwrap(),
            lists[slot].push(report)
        );
    }
    for (slot, list) in lists.iter().enumerate() {
        windows.verify(slot).unwrap();
        assert!(windows.samples(slot).eq(list.samples()));
    }
}
