//! Days of a time zone, as the ascending instants at which they begin.
//!
//! The core knows no time zones: whoever fills the table does (23 and 25 hour days included). Before
//! the first midnight and after the last, days are taken to be 24 hours long. What the clocks on the
//! wall show follows from a second table: from when on they are how far ahead of UTC.

use crate::error::CoreError;
use std::collections::BTreeMap;

/// Milliseconds of a day without a change of clocks.
pub const DAY_MS: i64 = 86_400_000;
/// The most midnights in a calendar: over ten years.
pub const MOST_MIDNIGHTS: usize = 4096;
/// Hours of a week, which the hours of day-parts count through from Monday's first.
pub const WEEK_HOURS: u8 = 168;
const HOUR_MS: i64 = 3_600_000;
/// The first of January 1970 was a Thursday.
const EPOCH_HOUR: i64 = 3 * 24;

/// The midnights of one time zone, ascending, in epoch milliseconds.
///
/// ```
/// # use engine_core::calendar::Calendar;
/// let calendar = Calendar::new(vec![0, 82_800_000])?; // clocks went forward
/// assert_eq!(calendar.day(82_799_999), (0, 82_800_000));
/// assert_eq!(calendar.day(82_800_000), (82_800_000, 169_200_000));
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    midnights_ms: Vec<i64>,
    /// (from when, milliseconds ahead of UTC), ascending.
    offsets_ms: Vec<(i64, i64)>,
}

impl Calendar {
    /// Returns a calendar of these midnights.
    ///
    /// # Errors
    /// `CoreError::Calendar` where there are none or too many of them, or one is out of order.
    pub fn new(midnights_ms: Vec<i64>) -> Result<Self, CoreError> {
        let refuse = |wanted, found| Err(CoreError::Calendar { wanted, found });
        if midnights_ms.is_empty() || midnights_ms.len() > MOST_MIDNIGHTS {
            return refuse(
                "1 to 4096 midnights",
                i64::try_from(midnights_ms.len()).unwrap_or(i64::MAX),
            );
        }
        if let Some(&bad) = midnights_ms.iter().find(|at| at.unsigned_abs() > 1 << 53) {
            return refuse("midnights within 2^53 ms of the epoch", bad);
        }
        let descent = midnights_ms
            .iter()
            .zip(midnights_ms.iter().skip(1))
            .find(|(a, b)| a >= b);
        match descent {
            Some((_, &bad)) => refuse("ascending midnights", bad),
            None => Ok(Self {
                midnights_ms,
                offsets_ms: Vec::new(),
            }),
        }
    }

    /// Returns the calendar with clocks that are so far ahead of UTC from so on: pairs of an instant
    /// and milliseconds. The first also counts for the time before it. Without any, clocks show UTC.
    ///
    /// # Errors
    /// `CoreError::Calendar` where there are too many, one is out of order, or beyond a day.
    pub fn with_offsets(mut self, offsets_ms: Vec<(i64, i64)>) -> Result<Self, CoreError> {
        let refuse = |wanted, found| Err(CoreError::Calendar { wanted, found });
        if offsets_ms.len() > MOST_MIDNIGHTS {
            return refuse(
                "up to 4096 offsets",
                i64::try_from(offsets_ms.len()).unwrap_or(i64::MAX),
            );
        }
        let beyond = offsets_ms
            .iter()
            .find(|(_, offset)| offset.unsigned_abs() > DAY_MS.unsigned_abs());
        if let Some(&(_, bad)) = beyond {
            return refuse("offsets of at most a day", bad);
        }
        let descent = offsets_ms
            .iter()
            .zip(offsets_ms.iter().skip(1))
            .find(|(a, b)| a.0 >= b.0);
        if let Some((_, &(bad, _))) = descent {
            return refuse("ascending offsets", bad);
        }
        self.offsets_ms = offsets_ms;
        Ok(self)
    }

    /// Returns the calendar whose days are those of UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            midnights_ms: vec![0],
            offsets_ms: Vec::new(),
        }
    }

    /// Returns the day that holds an instant: when it began, and when the next begins.
    #[must_use]
    pub fn day(&self, at_ms: i64) -> (i64, i64) {
        let after = self
            .midnights_ms
            .partition_point(|&midnight| midnight <= at_ms);
        let began = after
            .checked_sub(1)
            .and_then(|before| self.midnights_ms.get(before));
        match (began, self.midnights_ms.get(after)) {
            (Some(&began), Some(&ends)) => (began, ends),
            (Some(&anchor), None) | (None, Some(&anchor)) => {
                let began = at_ms.saturating_sub(at_ms.saturating_sub(anchor).rem_euclid(DAY_MS));
                (began, began.saturating_add(DAY_MS))
            }
            (None, None) => (at_ms, at_ms.saturating_add(DAY_MS)), // no calendar is empty
        }
    }

    /// Returns the hour of the week that the clocks show: 0 is Monday's first, 167 Sunday's last. An
    /// hour that clocks skip is in no day; one that they show twice is twice itself.
    ///
    /// ```
    /// # use engine_core::calendar::Calendar;
    /// let berlin = Calendar::utc().with_offsets(vec![(0, 3_600_000), (1_774_746_000_000, 7_200_000)])?;
    /// assert_eq!(berlin.hour_of_week(1_774_746_000_000 - 1), 6 * 24 + 1); // Sunday, 01:59:59
    /// assert_eq!(berlin.hour_of_week(1_774_746_000_000), 6 * 24 + 3); // and then 03:00
    /// # Ok::<(), engine_core::error::CoreError>(())
    /// ```
    #[must_use]
    pub fn hour_of_week(&self, at_ms: i64) -> u8 {
        let after = self.offsets_ms.partition_point(|&(from, _)| from <= at_ms);
        let offset = self.offsets_ms.get(after.saturating_sub(1));
        let local = at_ms.saturating_add(offset.map_or(0, |&(_, offset)| offset));
        let hours = local.div_euclid(HOUR_MS) + EPOCH_HOUR;
        u8::try_from(hours.rem_euclid(i64::from(WEEK_HOURS))).unwrap_or(0)
    }

    /// Returns from when on clocks are how far ahead of UTC.
    #[must_use]
    pub fn offsets_ms(&self) -> &[(i64, i64)] {
        &self.offsets_ms
    }

    /// Returns the midnights.
    #[must_use]
    pub fn midnights_ms(&self) -> &[i64] {
        &self.midnights_ms
    }
}

/// A day as a campaign has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Day {
    pub(crate) began_ms: i64,
    pub(crate) ends_ms: i64,
    pub(crate) hour_of_week: u8,
}

/// What day it is in each calendar of a book, at one instant.
#[derive(Debug)]
pub(crate) struct Days {
    at_ms: i64,
    /// Ascending by calendar.
    days: Vec<(u32, Day)>,
}

impl Days {
    pub(crate) fn at(calendars: &BTreeMap<u32, Calendar>, at_ms: i64) -> Self {
        let day = |(&number, calendar): (&u32, &Calendar)| {
            let (began_ms, ends_ms) = calendar.day(at_ms);
            let hour_of_week = calendar.hour_of_week(at_ms);
            let day = Day {
                began_ms,
                ends_ms,
                hour_of_week,
            };
            (number, day)
        };
        Self {
            at_ms,
            days: calendars.iter().map(day).collect(),
        }
    }

    /// Returns the day of a calendar; of one that was never set, an instant.
    pub(crate) fn of(&self, calendar: u32) -> Day {
        let place = self
            .days
            .binary_search_by_key(&calendar, |&(number, _)| number);
        let found = place.ok().and_then(|place| self.days.get(place));
        let nothing = Day {
            began_ms: self.at_ms,
            ends_ms: self.at_ms,
            hour_of_week: 0,
        };
        found.map_or(nothing, |&(_, day)| day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_beyond_the_table_are_24_hours_long() {
        let calendar = Calendar::new(vec![1_000, 1_000 + DAY_MS]).unwrap();
        assert_eq!(calendar.day(999), (1_000 - DAY_MS, 1_000));
        assert_eq!(
            calendar.day(1_000 + 5 * DAY_MS),
            (1_000 + 5 * DAY_MS, 1_000 + 6 * DAY_MS)
        );
    }

    #[test]
    fn offsets_out_of_order_or_beyond_a_day_are_refused() {
        let refused = |offsets| Calendar::utc().with_offsets(offsets).unwrap_err();
        assert_eq!(
            refused(vec![(5, 0), (5, 1)]),
            CoreError::Calendar {
                wanted: "ascending offsets",
                found: 5
            }
        );
        assert_eq!(
            refused(vec![(0, DAY_MS + 1)]),
            CoreError::Calendar {
                wanted: "offsets of at most a day",
                found: DAY_MS + 1
            }
        );
    }

    #[test]
    fn a_week_has_168_hours_from_monday_on() {
        let monday = 4 * DAY_MS; // 1970-01-05
        let hours: Vec<u8> = (0..168)
            .map(|hour| Calendar::utc().hour_of_week(monday + hour * HOUR_MS))
            .collect();
        assert_eq!(hours, (0..WEEK_HOURS).collect::<Vec<u8>>());
        assert_eq!(Calendar::utc().hour_of_week(monday - 1), 167);
    }

    #[test]
    fn midnights_out_of_order_are_refused_with_the_first_such() {
        let found = Calendar::new(vec![1, 5, 5]).unwrap_err();
        assert_eq!(
            found,
            CoreError::Calendar {
                wanted: "ascending midnights",
                found: 5
            }
        );
    }

    #[test]
    fn utc_days_begin_at_multiples_of_24_hours() {
        assert_eq!(
            Calendar::utc().day(DAY_MS * 20_000 + 7),
            (DAY_MS * 20_000, DAY_MS * 20_001)
        );
    }
}
