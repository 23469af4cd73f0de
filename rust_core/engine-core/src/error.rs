//! What the core refuses, and why. Every variant keeps the value that was found.

use std::fmt;

/// A refused input. The object that refused it is as it was before the call.
///
/// ```
/// use engine_core::error::CoreError;
/// use engine_core::window::Windows;
///
/// let refused = Windows::new(0).unwrap_err();
/// assert_eq!(refused, CoreError::Capacity { found: 0 });
/// assert_eq!(refused.to_string(), "capacity must be 2 to 127, was 0");
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum CoreError {
    /// A window holds 2 to 127 samples.
    Capacity {
        /// The capacity asked for.
        found: usize,
    },
    /// A number was outside its range.
    OutOfRange {
        /// The name of the number.
        what: &'static str,
        /// The range, in words that follow "must be".
        wanted: &'static str,
        /// The number.
        found: i128,
    },
    /// A number was infinite or no number.
    NotFinite {
        /// The name of the number.
        what: &'static str,
        /// The number.
        found: f64,
    },
    /// A number with a fraction was outside its range.
    RealOutOfRange {
        /// The name of the number.
        what: &'static str,
        /// The range, in words that follow "must be".
        wanted: &'static str,
        /// The number.
        found: f64,
    },
    /// There is no such window.
    UnknownSlot {
        /// How many windows there are.
        slots: usize,
        /// The slot asked for.
        found: usize,
    },
    /// A header is not what a recount of its ring gives: the memory or the code is broken.
    HeaderDiffers {
        /// The slot of the window.
        slot: usize,
        /// Which of the header's eight words differs first.
        word: usize,
        /// The word as recounted.
        wanted: u64,
        /// The word as kept.
        found: u64,
    },
    /// A frame is malformed as a whole.
    Frame {
        /// The part of its header.
        field: &'static str,
        /// What it must be.
        wanted: u64,
        /// What it was.
        found: u64,
    },
    /// Bytes are no whole rows, or not as many as were announced.
    Rows {
        /// Which rows.
        what: &'static str,
        /// The bytes that there must be.
        wanted: u64,
        /// The bytes that there were.
        found: u64,
    },
    /// A field of a definition is refused.
    Definition {
        /// The campaign's or series' key.
        key: u64,
        /// The field.
        field: &'static str,
        /// The range, in words that follow "must be".
        wanted: &'static str,
        /// The value.
        found: i128,
    },
    /// A ratio of a definition is refused.
    DefinitionRatio {
        /// The campaign's key.
        key: u64,
        /// The field.
        field: &'static str,
        /// The range, in words that follow "must be".
        wanted: &'static str,
        /// The value.
        found: f64,
    },
    /// A key is there twice, or belongs to another campaign.
    KeyTaken {
        /// Whose key: a campaign's or a series'.
        what: &'static str,
        /// The key.
        found: u64,
    },
    /// There is no campaign or series of that key.
    UnknownKey {
        /// Whose key: a campaign's or a series'.
        what: &'static str,
        /// The key.
        found: u64,
    },
    /// A calendar is refused.
    Calendar {
        /// What it must be, in words that follow "a calendar must have".
        wanted: &'static str,
        /// The value.
        found: i64,
    },
    /// A round must be later than the one before.
    RoundNotLater {
        /// The round before, epoch milliseconds.
        before: i64,
        /// The time asked for.
        found: i64,
    },
    /// A snapshot is damaged, cut off, or none.
    Snapshot {
        /// The part that is wrong.
        part: &'static str,
        /// What it must be.
        wanted: u64,
        /// What it was.
        found: u64,
    },
    /// A kept number is not what a recount gives: the memory or the code is broken.
    CountDiffers {
        /// The number.
        what: &'static str,
        /// The key of the campaign or series that it belongs to.
        key: u64,
        /// The number as recounted.
        wanted: i128,
        /// The number as kept.
        found: i128,
    },
}

impl fmt::Display for CoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { found } => write!(f, "capacity must be 2 to 127, was {found}"),
            Self::OutOfRange {
                what,
                wanted,
                found,
            } => write!(f, "{what} must be {wanted}, was {found}"),
            Self::RealOutOfRange {
                what,
                wanted,
                found,
            } => write!(f, "{what} must be {wanted}, was {found}"),
            Self::NotFinite { what, found } => write!(f, "{what} must be finite, was {found}"),
            Self::UnknownSlot { slots, found } => {
                write!(f, "slot must be below {slots}, was {found}")
            }
            Self::HeaderDiffers {
                slot,
                word,
                wanted,
                found,
            } => write!(
                f,
                "word {word} of the header of slot {slot} must be {wanted:#018x} by recount, \
                 was {found:#018x}"
            ),
            Self::Frame {
                field,
                wanted,
                found,
            } => {
                write!(f, "frame: {field} must be {wanted}, was {found}")
            }
            Self::Rows {
                what,
                wanted,
                found,
            } => {
                write!(
                    f,
                    "{what} must be rows of {wanted} bytes in all, was {found}"
                )
            }
            Self::Definition {
                key,
                field,
                wanted,
                found,
            } => {
                write!(f, "{key:#018x}: {field} must be {wanted}, was {found}")
            }
            Self::DefinitionRatio {
                key,
                field,
                wanted,
                found,
            } => {
                write!(f, "{key:#018x}: {field} must be {wanted}, was {found}")
            }
            Self::KeyTaken { what, found } => {
                write!(
                    f,
                    "each {what} must have a key of its own, {found:#018x} is taken"
                )
            }
            Self::UnknownKey { what, found } => {
                write!(f, "{what} must be one of this book, was {found:#018x}")
            }
            Self::Calendar { wanted, found } => {
                write!(f, "a calendar must have {wanted}, was {found}")
            }
            Self::RoundNotLater { before, found } => {
                write!(
                    f,
                    "at_ms must be later than the round before, {before}, was {found}"
                )
            }
            Self::Snapshot {
                part,
                wanted,
                found,
            } => {
                write!(f, "snapshot: {part} must be {wanted}, was {found}")
            }
            Self::CountDiffers {
                what,
                key,
                wanted,
                found,
            } => {
                write!(
                    f,
                    "{key:#018x}: {what} must be {wanted} by recount, was {found}"
                )
            }
        }
    }
}

impl std::error::Error for CoreError {}
