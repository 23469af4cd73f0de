//! Day-parts: the hours of the week in which a campaign must not bid, by the clocks of its time zone.

use crate::calendar::WEEK_HOURS;

/// A set of hours of the week: 0 is Monday's first, 167 Sunday's last.
///
/// ```
/// use engine_core::daypart::Week;
///
/// let nights = Week::of_hours(0..6); // Monday, midnight to six
/// assert!(nights.has(5) && !nights.has(6) && !nights.is_whole());
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Week {
    words: [u64; 3],
}

impl Week {
    /// Returns the set of these hours; those that no week has are left out.
    #[must_use]
    pub fn of_hours(hours: impl IntoIterator<Item = u8>) -> Self {
        let mut week = Self::default();
        for hour in hours.into_iter().filter(|&hour| hour < WEEK_HOURS) {
            if let Some(word) = week.words.get_mut(usize::from(hour / 64)) {
                *word |= 1 << (hour % 64);
            }
        }
        week
    }

    /// Returns the set that a row holds; `None` where it has hours that no week has.
    #[must_use]
    pub fn of_words(words: [u64; 3]) -> Option<Self> {
        let beyond = u32::from(WEEK_HOURS) - 128;
        (words.get(2).is_some_and(|last| last >> beyond == 0)).then_some(Self { words })
    }

    /// Returns the set as a row holds it: hour h is bit h % 64 of word h / 64.
    #[must_use]
    pub fn words(&self) -> [u64; 3] {
        self.words
    }

    /// Returns whether an hour is in the set.
    #[must_use]
    pub fn has(&self, hour: u8) -> bool {
        let word = self.words.get(usize::from(hour / 64));
        word.is_some_and(|word| word >> (hour % 64) & 1 == 1)
    }

    /// Returns whether every hour is in the set.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let hours: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        hours == u32::from(WEEK_HOURS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_the_hours_it_was_made_of_and_no_others() {
        for hour in 0..=u8::MAX {
            let week = Week::of_hours([hour]);
            for other in 0..WEEK_HOURS {
                assert_eq!(week.has(other), hour == other, "{hour} {other}");
            }
            assert_eq!(Week::of_words(week.words()), Some(week));
        }
        assert!(Week::of_hours(0..WEEK_HOURS).is_whole());
        assert!(!Week::of_hours(1..WEEK_HOURS).is_whole());
    }

    #[test]
    fn words_with_a_169th_hour_are_refused() {
        assert_eq!(Week::of_words([0, 0, 1 << 40]), None);
        assert!(Week::of_words([0, 0, 1 << 39]).is_some());
    }
}
