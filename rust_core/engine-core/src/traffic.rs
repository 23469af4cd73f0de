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
pub(crate) struct Profile {
    hours: [f64; HOURS],
    days: [f64; DAYS],
    /// All hours together.
    a_day: f64,
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
    /// Returns the profile, made ready to be asked often.
    pub(crate) fn profile(&self) -> Profile {
        let (all_hours, all_days) = (together(&self.hours), together(&self.days));
        let hours = self.hours.map(|hour| hour.value(all_hours));
        let days = self.days.map(|day| day.value(all_days));
        Profile {
            hours,
            days,
            a_day: hours.iter().sum(),
        }
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
    /// Returns the traffic of a time, relative to usual.
    pub(crate) fn at(&self, at_ms: i64) -> f64 {
        let (hour, day) = place(at_ms);
        let of = |factors: &[f64], at: usize| factors.get(at).copied().unwrap_or(1.0);
        of(&self.hours, hour) * of(&self.days, day)
    }

    /// Returns how many rounds of usual traffic lie between two times.
    #[allow(clippy::cast_precision_loss)] // times are at most 2^53 here
    pub(crate) fn rounds(&self, from_ms: i64, to_ms: i64, interval_ms: f64) -> f64 {
        if to_ms <= from_ms {
            return 0.0;
        }
        let weeks = (to_ms - from_ms) / WEEK_MS;
        let mut hours = weeks as f64 * self.a_day * self.days.iter().sum::<f64>();
        let mut at = from_ms + weeks * WEEK_MS;
        while at < to_ms {
            let next = ((at.div_euclid(DAY_MS) + 1) * DAY_MS).min(to_ms);
            let (_, day) = place(at);
            let part = self.part_of_day(at.rem_euclid(DAY_MS), next - at);
            hours += self.days.get(day).copied().unwrap_or(1.0) * part;
            at = next;
        }
        hours * HOUR_MS as f64 / interval_ms
    }

    /// Returns hours of usual traffic in some milliseconds from a time of the day on.
    #[allow(clippy::cast_precision_loss)]
    fn part_of_day(&self, from_ms: i64, ms: i64) -> f64 {
        if ms == DAY_MS {
            return self.a_day;
        }
        let mut sum = 0.0;
        let mut began = 0;
        for hour in self.hours {
            let inside = (from_ms + ms).min(began + HOUR_MS) - from_ms.max(began);
            sum += hour * inside.max(0) as f64;
            began += HOUR_MS;
        }
        sum / HOUR_MS as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn without_knowledge_all_hours_are_alike() {
        let rounds = Traffic::default()
            .profile()
            .rounds(1_234, 1_234 + 30 * DAY_MS, 2000.0);
        assert!((rounds - 30.0 * 43_200.0).abs() < 1e-6);
        assert!(Traffic::default().profile().rounds(5, 5, 2000.0).abs() < 1e-12);
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
        let by_hour: f64 = (0..336)
            .map(|hour| traffic.at(hour * HOUR_MS) * 1800.0)
            .sum();
        let at_once = traffic.rounds(0, 336 * HOUR_MS, 2000.0);
        assert!((by_hour / at_once - 1.0).abs() < 1e-9);
    }

    proptest! {
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
            let rounds = |from, to| profile.rounds(from, to, 2000.0);
            let (both, end) = (rounds(from, from + first + second), from + first + second);
            let parts = rounds(from, from + first) + rounds(from + first, end);
            prop_assert!((both - parts).abs() <= 1e-9 * both.max(1.0), "{both} {parts}");
            let factor = profile.at(from);
            prop_assert!((0.01..=25.0).contains(&factor), "{factor}");
            let mut out = Writer::default();
            traffic.write(&mut out);
            prop_assert_eq!(Traffic::read(&mut Reader::new(&out.bytes)), Some(traffic));
        }
    }
}
