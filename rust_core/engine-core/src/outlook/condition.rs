//! The market's condition: what a price is up to, as people are told.

use crate::regression::Line;

/// Fewer samples or clicks than these are thin (as `bid`).
const THIN_SAMPLES: u32 = 3;
const THIN_CLICKS: f64 = 30.0;
/// A move is one where it is this many times its standard error, and this share of the level: chance
/// makes the first in one window of twenty, and the second keeps what is certain but small out.
const SURE: f64 = 2.0;
const LEAST_MOVE: f64 = 0.05;
/// Where samples scatter around their trend by this share of the level, the market is volatile.
const WILD: f64 = 0.5;
/// What has been entered is left at this share of its threshold, so that nothing flickers.
const LEFT_AT: f64 = 0.7;

/// What a market is up to. The codes are those that decisions carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Condition {
    /// Nothing stands out.
    Normal,
    /// The price rises, and not by chance.
    Rising,
    /// The price falls, and not by chance.
    Falling,
    /// Samples scatter by half their level and more.
    Volatile,
    /// Too little is known to tell.
    #[default]
    Thin,
}

/// Names of conditions by code.
pub const CONDITIONS: [&str; 5] = ["NORMAL", "RISING", "FALLING", "VOLATILE", "THIN"];

/// What a window says of a price's course. Shares are of the price's level.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Course {
    /// How many samples have clicks, and how many clicks they have.
    pub samples: u32,
    /// Clicks, together.
    pub clicks: f64,
    /// How far the trend went over the window, as a share.
    pub moved: f64,
    /// The standard error of that.
    pub error: f64,
    /// How far a usual sample lies from the trend, as a share: its standard deviation.
    pub spread: f64,
}

impl Course {
    /// Returns the course that a line took through a window of so many ticks, or `None` where the
    /// line has no level or leaves nothing to judge by.
    #[must_use]
    pub fn of(line: &Line, samples: u32, clicks: u64, span_ticks: u32) -> Option<Self> {
        let (level, spread) = (line.mean(), line.deviation()?);
        let span = f64::from(span_ticks);
        #[allow(clippy::cast_precision_loss, reason = "compared with 30")]
        let clicks = clicks as f64;
        (level > 0.0).then(|| Self {
            samples,
            clicks,
            moved: line.slope_per_tick() * span / level,
            error: line.slope_error_per_tick().unwrap_or(f64::INFINITY) * span / level,
            spread: spread / level,
        })
    }
}

const ALL: [Condition; 5] = [
    Condition::Normal,
    Condition::Rising,
    Condition::Falling,
    Condition::Volatile,
    Condition::Thin,
];

impl Condition {
    /// Returns the condition of a code, or `None` where none has it.
    pub(crate) fn of(code: u8) -> Option<Self> {
        ALL.get(usize::from(code)).copied()
    }

    /// Returns the condition that follows, given the one so far: thin, else volatile, else rising or
    /// falling, else normal. What has been entered is left at 70 % of its threshold.
    ///
    /// | condition | is entered where |
    /// |---|---|
    /// | thin | fewer than 3 samples with clicks or 30 clicks |
    /// | volatile | a usual sample lies half the level from the trend |
    /// | rising, falling | the trend is 2 standard errors and 5 % of the level over the window |
    ///
    /// ```
    /// use engine_core::outlook::condition::{Condition, Course};
    ///
    /// let steady = Course { samples: 60, clicks: 900.0, moved: 0.01, error: 0.02, spread: 0.1 };
    /// let normal = Condition::Thin.next(Some(&steady));
    /// assert_eq!(normal, Condition::Normal);
    /// let rising = normal.next(Some(&Course { moved: 0.2, ..steady }));
    /// assert_eq!(rising, Condition::Rising);
    /// assert_eq!(rising.next(None), Condition::Thin);
    /// ```
    #[must_use]
    pub fn next(self, course: Option<&Course>) -> Self {
        let Some(course) = course else {
            return Self::Thin;
        };
        let at = |state: Self| if self == state { LEFT_AT } else { 1.0 };
        // Thin is the other way round: it is left above its threshold.
        let enough = if self == Self::Thin {
            1.0 / LEFT_AT
        } else {
            1.0
        };
        if course.samples < THIN_SAMPLES || course.clicks < THIN_CLICKS * enough {
            return Self::Thin;
        }
        if course.spread >= WILD * at(Self::Volatile) {
            return Self::Volatile;
        }
        let is_move = |state: Self, moved: f64| {
            moved >= LEAST_MOVE * at(state) && moved >= SURE * at(state) * course.error
        };
        if is_move(Self::Rising, course.moved) {
            Self::Rising
        } else if is_move(Self::Falling, -course.moved) {
            Self::Falling
        } else {
            Self::Normal
        }
    }
}
