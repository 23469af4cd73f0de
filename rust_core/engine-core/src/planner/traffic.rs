//! The opportunities still to come: those of the daypart at its own level, then what the day owes.

use crate::planner::lessons::Lessons;
use crate::planner::platform::Platform;

/// Days that the expected opportunities of a day weigh.
const DAY_WEIGHT: f64 = 4.0;
/// The same for the traffic of a daypart.
const DAYPART_WEIGHT: f64 = 0.15;
/// The traffic after this daypart is held at this part of what the profile says, at least.
const LEAST_AFTER: f64 = 0.3;
const LEAST: f64 = 1e-12;

/// Opportunities of one platform: now, in the rest of the daypart, and after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Traffic {
    pub(crate) now: f64,
    pub(crate) daypart: f64,
    pub(crate) after: f64,
}

impl Traffic {
    /// Returns what is to come after a round of `now` opportunities that the platform has taken in.
    pub(crate) fn to_come(platform: &Platform, now: f64, round: usize, lessons: &Lessons) -> Self {
        let daypart = lessons.daypart(round);
        let start = lessons.cuts.get(daypart).copied().unwrap_or(0);
        let end = lessons.end_of(daypart);
        let here = lessons.share(start, round + 1);
        let rest = lessons.share(round + 1, end);
        let after = lessons.share(end, lessons.profile.len());
        let expected = platform.expected;
        let level = (platform.today.seen + DAYPART_WEIGHT * expected * here + LEAST)
            / (here * (1.0 + DAYPART_WEIGHT) + LEAST);
        let seen = platform.opportunities + now;
        let known = lessons.share(0, round + 1);
        let day = (expected * DAY_WEIGHT + seen) / (DAY_WEIGHT + known);
        let in_daypart = level * rest;
        Self {
            now,
            daypart: in_daypart,
            after: if after > 0.0 {
                (day - seen - in_daypart).max(LEAST_AFTER * day * after)
            } else {
                0.0
            },
        }
    }
}
