//! When there is how much to buy: the hours of the day and the days of the week, and the rest of a
//! flight in rounds of usual traffic.
//!
//! Learned from clicks against what the bids in force should have won at usual traffic, by hour and
//! by day, and drawn to 1 while little is known. Days and hours are UTC's: a profile needs only to
//! repeat. It is part of the book, so past days outlive a restart.

use crate::bytes::{Reader, Writer};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * DAY_MS;
/// From the Monday before the epoch to the epoch.
const MONDAY_MS: i64 = 3 * DAY_MS;
const HOURS: usize = 24;
const DAYS: usize = 7;
/// Clicks that hold a factor at 1.
const PRIOR_CLICKS: f64 = 30.0;
/// A factor is that of about the newest so many clicks.
const CLICKS_KEPT: f64 = 600.0;
/// How far from usual an hour, or a day, may be.
const FACTORS: (f64, f64) = (0.1, 5.0);

/// The profile of a campaign's traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Traffic {
    hours: [Factor; HOURS],
    days: [Factor; DAYS],
}

/// What it says of each hour of the day and each day of the week, relative to usual.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Profile {
    hours: [f64; HOURS],
    days: [f64; DAYS],
    /// Hours of usual traffic before each hour of a day, and before each day of a week.
    before_hours: [f64; HOURS],
    before_days: [f64; DAYS],
    a_week: f64,
}

/// A campaign's traffic about a time. Within an hour traffic is steady, so all that is asked for moves in
/// a line, and this stays for as long as no hour, no day and no more reports come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Clock {
    until_ms: i64,
    /// Of the time, relative to usual.
    pub(crate) traffic: f64,
    /// The hour that the newest reports are of: when it began, and its traffic.
    hour_ms: i64,
    rate: f64,
    /// Hours of usual traffic from the flight's beginning to then, and from then to the ends of the day and
    /// of the flight.
    passed: f64,
    day: f64,
    flight: f64,
}

/// What a clock goes by.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_field_names, reason = "units belong to names")]
pub(crate) struct Times {
    pub(crate) at_ms: i64,
    /// How old reports are.
    pub(crate) lag_ms: i64,
    pub(crate) starts_at_ms: i64,
    pub(crate) day_ends_ms: i64,
    pub(crate) ends_at_ms: i64,
}

/// Rounds of usual traffic since the flight began, and to the ends of the day and of the flight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rounds {
    pub(crate) passed: f64,
    pub(crate) day: f64,
    pub(crate) flight: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Factor {
    found: f64,
    expected: f64,
}

impl Factor {
    /// Returns the factor, given what all of its kind found together for what was expected.
    fn value(&self, all: f64) -> f64 {
        let value = (self.found + PRIOR_CLICKS * all) / ((self.expected + PRIOR_CLICKS) * all);
        value.clamp(FACTORS.0, FACTORS.1)
    }

    fn learn(&mut self, found: f64, expected: f64) {
        self.found += found;
        self.expected += expected;
        let most = self.found.max(self.expected);
        if most > CLICKS_KEPT {
            self.found *= CLICKS_KEPT / most;
            self.expected *= CLICKS_KEPT / most;
        }
    }
}

impl Default for Traffic {
    fn default() -> Self {
        Self {
            hours: [Factor::default(); HOURS],
            days: [Factor::default(); DAYS],
        }
    }
}

/// Returns the hour of the day and the day of the week. The epoch began on a Thursday.
fn place(at_ms: i64) -> (usize, usize) {
    let hour = at_ms.div_euclid(HOUR_MS);
    let (of_day, day) = (hour.rem_euclid(24), (hour.div_euclid(24) + 3).rem_euclid(7));
    (
        usize::try_from(of_day).unwrap_or(0),
        usize::try_from(day).unwrap_or(0),
    )
}

fn hour_began(at_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(HOUR_MS)
}

#[allow(clippy::cast_precision_loss)] // at most 2^53
fn hours_of(ms: i64) -> f64 {
    ms as f64 / HOUR_MS as f64
}

/// Returns what all factors found for what was expected: an expectation that is wrong at all times
/// says nothing of any.
fn together(factors: &[Factor]) -> f64 {
    let (mut found, mut expected) = (PRIOR_CLICKS, PRIOR_CLICKS);
    for factor in factors {
        found += factor.found;
        expected += factor.expected;
    }
    found / expected
}

impl Traffic {
    /// Returns the traffic of a time, relative to usual.
    pub(crate) fn at(&self, at_ms: i64) -> f64 {
        let (hour, day) = place(at_ms);
        let of = |factors: &[Factor], at: usize| {
            let factor = factors.get(at);
            factor.map_or(1.0, |factor| factor.value(together(factors)))
        };
        of(&self.hours, hour) * of(&self.days, day)
    }

    fn profile(&self) -> Profile {
        let (all_hours, all_days) = (together(&self.hours), together(&self.days));
        let hours = self.hours.map(|hour| hour.value(all_hours));
        let days = self.days.map(|day| day.value(all_days));
        let mut profile = Profile {
            hours,
            days,
            before_hours: [0.0; HOURS],
            before_days: [0.0; DAYS],
            a_week: 0.0,
        };
        let mut a_day = 0.0;
        for (before, hour) in profile.before_hours.iter_mut().zip(hours) {
            *before = a_day;
            a_day += hour;
        }
        for (before, day) in profile.before_days.iter_mut().zip(days) {
            *before = profile.a_week;
            profile.a_week += day * a_day;
        }
        profile
    }

    /// Learns from clicks at a time, and what was to be expected of the bids in force at usual traffic.
    pub(crate) fn learn(&mut self, at_ms: i64, clicks: f64, usual: f64) {
        let (hours, days) = (together(&self.hours), together(&self.days));
        let (hour, day) = place(at_ms);
        let Some((hour, day)) = self.hours.get_mut(hour).zip(self.days.get_mut(day)) else {
            return;
        };
        // Each explains what the other leaves.
        let (of_hour, of_day) = (hour.value(hours), day.value(days));
        hour.learn(clicks, usual * of_day);
        day.learn(clicks, usual * of_hour);
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for factor in self.hours.iter().chain(&self.days) {
            out.f64(factor.found);
            out.f64(factor.expected);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut amount = || reader.f64().filter(|found| (0.0..=1e9).contains(found));
        let mut read = Self::default();
        for factor in read.hours.iter_mut().chain(&mut read.days) {
            factor.found = amount()?;
            factor.expected = amount()?;
        }
        Some(read)
    }
}

impl Profile {
    fn at(&self, at_ms: i64) -> f64 {
        let (hour, day) = place(at_ms);
        of(&self.hours, hour) * of(&self.days, day)
    }

    /// Returns how many hours of usual traffic lie between two times; fewer than 0 where the second is
    /// earlier.
    #[allow(clippy::cast_precision_loss)] // times are at most 2^53 here
    fn hours(&self, from_ms: i64, to_ms: i64) -> f64 {
        let week = |at_ms: i64| (at_ms + MONDAY_MS).div_euclid(WEEK_MS);
        let weeks = week(to_ms) - week(from_ms);
        weeks as f64 * self.a_week + self.of_week(to_ms) - self.of_week(from_ms)
    }

    /// Returns hours of usual traffic from the beginning of its week to a time.
    fn of_week(&self, at_ms: i64) -> f64 {
        let (hour, day) = place(at_ms);
        let part = hours_of(at_ms.rem_euclid(HOUR_MS));
        let of_day = of(&self.before_hours, hour) + of(&self.hours, hour) * part;
        of(&self.before_days, day) + of(&self.days, day) * of_day
    }
}

fn of(factors: &[f64], at: usize) -> f64 {
    factors.get(at).copied().unwrap_or(1.0)
}

impl Clock {
    pub(crate) fn new(traffic: &Traffic, times: &Times) -> Self {
        let profile = traffic.profile();
        let from_ms = times.newest_ms();
        let hour_ms = hour_began(from_ms);
        let end_ms = (hour_began(times.at_ms) + HOUR_MS).min(hour_ms + HOUR_MS + times.lag_ms);
        Self {
            until_ms: end_ms.min(times.day_ends_ms),
            traffic: profile.at(times.at_ms),
            hour_ms,
            rate: profile.at(from_ms),
            passed: profile.hours(times.starts_at_ms, hour_ms),
            day: profile.hours(hour_ms, times.day_ends_ms.min(times.ends_at_ms)),
            flight: profile.hours(hour_ms, times.ends_at_ms),
        }
    }

    /// Returns whether it shows a time that is not before the one that it was made for.
    pub(crate) fn shows(&self, at_ms: i64) -> bool {
        at_ms < self.until_ms
    }

    /// Returns the rounds before and after the newest reports.
    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn rounds(&self, times: &Times, interval_ms: f64) -> Rounds {
        let from_ms = times.newest_ms();
        let gone = self.rate * hours_of(from_ms - self.hour_ms);
        let an_hour = HOUR_MS as f64 / interval_ms;
        let until = |to_ms: i64, hours: f64| {
            if to_ms > from_ms {
                (hours - gone).max(0.0) * an_hour
            } else {
                0.0
            }
        };
        Rounds {
            passed: (self.passed + gone).max(0.0) * an_hour,
            day: until(times.day_ends_ms.min(times.ends_at_ms), self.day),
            flight: until(times.ends_at_ms, self.flight),
        }
    }
}

impl Times {
    /// Returns the time of the newest reports, in the flight.
    fn newest_ms(&self) -> i64 {
        (self.at_ms - self.lag_ms).max(self.starts_at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_knowledge_all_hours_are_alike() {
        let hours = |from, to| Traffic::default().profile().hours(from, to);
        assert!((hours(1_234, 1_234 + 30 * DAY_MS) - 30.0 * 24.0).abs() < 1e-9);
        assert!(hours(5, 5).abs() < 1e-12);
    }

    #[test]
    fn nights_and_weekends_are_learned() {
        let mut traffic = Traffic::default();
        for hour in 0..24 * 28 {
            let at = hour * HOUR_MS;
            let (of_day, day) = place(at);
            let night = if of_day < 6 { 0.2 } else { 1.2666 };
            let weekend = if day >= 5 { 0.5 } else { 1.2 };
            traffic.learn(at, 100.0 * night * weekend, 100.0);
        }
        let traffic = traffic.profile();
        let monday = 4 * DAY_MS;
        let night = traffic.at(monday + 3 * HOUR_MS) / traffic.at(monday + 12 * HOUR_MS);
        assert!((0.12..0.25).contains(&night), "{night}");
        let saturday =
            traffic.at(monday + 5 * DAY_MS + 12 * HOUR_MS) / traffic.at(monday + 12 * HOUR_MS);
        assert!((0.35..0.55).contains(&saturday), "{saturday}");
        let by_hour: f64 = (0..336).map(|hour| traffic.at(hour * HOUR_MS)).sum();
        let at_once = traffic.hours(0, 336 * HOUR_MS);
        assert!((by_hour / at_once - 1.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_clock_shows_until_its_hour_ends_what_one_of_then_does(
            learned in prop::collection::vec((0..168_i64, 0.0..500.0_f64, 0.0..500.0_f64), 0..50),
            (at_ms, lag_ms) in (0..10_i64.pow(12), 0..2 * HOUR_MS),
            (starts, day_ends, ends) in (-WEEK_MS..HOUR_MS, 1..DAY_MS, 1..4 * WEEK_MS),
            later in 0..HOUR_MS,
        ) {
            let mut traffic = Traffic::default();
            for (hour, clicks, usual) in learned {
                traffic.learn(hour * HOUR_MS, clicks, usual);
            }
            let mut times = Times {
                at_ms,
                lag_ms,
                starts_at_ms: at_ms + starts,
                day_ends_ms: at_ms + day_ends,
                ends_at_ms: at_ms + ends,
            };
            let clock = Clock::new(&traffic, &times);
            times.at_ms += later;
            let rounds = clock.rounds(&times, 2000.0);
            if clock.shows(times.at_ms) {
                let of_then = Clock::new(&traffic, &times);
                prop_assert_eq!(clock, of_then);
            }
            let profile = traffic.profile();
            let from = times.newest_ms();
            if clock.shows(times.at_ms) {
                let passed = profile.hours(times.starts_at_ms, from) * 1800.0;
                prop_assert!((rounds.passed - passed).abs() <= 1e-6, "{rounds:?} {passed}");
                let left = profile.hours(from, times.ends_at_ms).max(0.0) * 1800.0;
                prop_assert!((rounds.flight - left).abs() <= 1e-6, "{rounds:?} {left}");
                prop_assert!(rounds.day <= rounds.flight + 1e-6);
            }
        }

        #[test]
        fn the_rounds_of_two_stretches_are_those_of_both(
            learned in prop::collection::vec((0..168_i64, 0.0..500.0_f64, 0.0..500.0_f64), 0..200),
            (from, first, second) in (0..10_i64.pow(12), 0..10_i64.pow(9), 0..10_i64.pow(9)),
        ) {
            let mut traffic = Traffic::default();
            for (hour, clicks, usual) in learned {
                traffic.learn(hour * HOUR_MS, clicks, usual);
            }
            let profile = traffic.profile();
            let (both, end) = (profile.hours(from, from + first + second), from + first + second);
            let parts = profile.hours(from, from + first) + profile.hours(from + first, end);
            prop_assert!((both - parts).abs() <= 1e-9 * both.max(1.0), "{both} {parts}");
            prop_assert!((both + profile.hours(end, from)).abs() <= 1e-9 * both.max(1.0));
            let factor = profile.at(from);
            prop_assert_eq!(factor.to_bits(), traffic.at(from).to_bits());
            prop_assert!((0.01..=25.0).contains(&factor), "{factor}");
            let mut out = Writer::default();
            traffic.write(&mut out);
            prop_assert_eq!(Traffic::read(&mut Reader::new(&out.bytes)), Some(traffic));
        }
    }
}
