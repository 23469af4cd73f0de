//! What the planner refuses, in one place: the value that was found is in the error.

use crate::error::CoreError;
use crate::money::Micros;
use std::ops::RangeInclusive;

/// Refuses a number outside its range; no number is in none.
pub(crate) fn number(
    what: &'static str,
    wanted: &'static str,
    found: f64,
    range: RangeInclusive<f64>,
) -> Result<(), CoreError> {
    if range.contains(&found) {
        return Ok(());
    }
    Err(CoreError::RealOutOfRange {
        what,
        wanted,
        found,
    })
}

/// Refuses a count outside its range.
pub(crate) fn count(
    what: &'static str,
    wanted: &'static str,
    found: usize,
    range: RangeInclusive<usize>,
) -> Result<(), CoreError> {
    if range.contains(&found) {
        return Ok(());
    }
    Err(out_of_range(what, wanted, found as u64))
}

/// Refuses money that is not above 0, or beyond what a float holds to the micro.
pub(crate) fn money(what: &'static str, found: Micros) -> Result<(), CoreError> {
    if (1..=LARGEST_MICROS).contains(&found.0) {
        return Ok(());
    }
    Err(CoreError::OutOfRange {
        what,
        wanted: "1 to 1e15 micros",
        found: found.0.into(),
    })
}

/// Refuses spend below 0, or beyond what a float holds to the micro.
pub(crate) fn spend(what: &'static str, found: Micros) -> Result<(), CoreError> {
    if (0..=LARGEST_MICROS).contains(&found.0) {
        return Ok(());
    }
    Err(CoreError::OutOfRange {
        what,
        wanted: "0 to 1e15 micros",
        found: found.0.into(),
    })
}

const LARGEST_MICROS: i64 = 1_000_000_000_000_000;

/// Refuses an array of another length.
pub(crate) fn length(what: &'static str, wanted: usize, found: usize) -> Result<(), CoreError> {
    if wanted == found {
        return Ok(());
    }
    Err(CoreError::Rows {
        what,
        wanted: wanted as u64,
        found: found as u64,
    })
}

/// Refuses bounds that do not rise from 0 to a number of opportunities.
pub(crate) fn bounds(bounds: &[u32], opportunities: usize) -> Result<(), CoreError> {
    let (what, wanted) = ("bounds", "rising, from 0 to the number of opportunities");
    let first = bounds.first().copied().unwrap_or(0);
    let last = bounds.last().copied().unwrap_or(0);
    if first != 0 {
        return Err(out_of_range(what, wanted, first.into()));
    }
    if last as usize != opportunities {
        return Err(out_of_range(what, wanted, last.into()));
    }
    let fall = bounds.windows(2).find(|pair| !pair.is_sorted());
    match fall.and_then(<[u32]>::last) {
        Some(&found) => Err(out_of_range(what, wanted, found.into())),
        None => Ok(()),
    }
}

fn out_of_range(what: &'static str, wanted: &'static str, found: u64) -> CoreError {
    CoreError::OutOfRange {
        what,
        wanted,
        found: found.into(),
    }
}
