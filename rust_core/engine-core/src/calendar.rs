//! Days of a time zone, as the ascending instants at which they begin.
//!
//! The core knows no time zones: whoever fills the table does (23 and 25 hour days included). Before
//! the first midnight and after the last, days are taken to be 24 hours long.

use crate::error::CoreError;

/// Milliseconds of a day without a change of clocks.
pub const DAY_MS: i64 = 86_400_000;
/// The most midnights in a calendar: over ten years.
pub const MOST_MIDNIGHTS: usize = 4096;

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
            None => Ok(Self { midnights_ms }),
        }
    }

    /// Returns the calendar whose days are those of UTC.
    #[must_use]
    pub fn utc() -> Self {
        Self {
            midnights_ms: vec![0],
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

    /// Returns the midnights.
    #[must_use]
    pub fn midnights_ms(&self) -> &[i64] {
        &self.midnights_ms
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
