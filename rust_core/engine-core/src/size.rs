//! How much memory a book takes for its campaigns, by what is in use: windows with their rests, what lies
//! beside them, and what is kept apart. Room for more, and what an allocator adds to each piece, are not
//! counted.

use crate::book::Book;
use crate::campaign::{Campaign, Series};
use crate::definition::SeriesBounds;
use crate::header::Header;
use crate::outlook::foresight::Foresight;
use crate::receipts::Rest;
use crate::sample::Sample;
use crate::traffic::Traffic;
use crate::watch::Learned;

impl Book {
    /// Returns how many bytes its campaigns take, with all that is known of their series.
    ///
    /// ```
    /// use engine_core::book::Book;
    ///
    /// assert_eq!(Book::new(64, 1, 2000)?.bytes(), 0);
    /// # Ok::<(), engine_core::error::CoreError>(())
    /// ```
    #[must_use]
    pub fn bytes(&self) -> usize {
        let report = size_of::<Sample>() + size_of::<Rest>();
        let window = size_of::<Header>() + self.windows.capacity() * report;
        let windows = self.windows.slots() * window;
        let series: usize = self.series.iter().map(Series::bytes).sum();
        let campaigns: usize = self.campaigns.iter().map(Campaign::bytes).sum();
        windows + series + campaigns + self.slots.bytes()
    }
}

impl Series {
    fn bytes(&self) -> usize {
        let foresight = self.foresight.as_deref().map_or(0, Foresight::bytes);
        size_of::<Self>() + size_of::<Learned>() + foresight
    }
}

impl Campaign {
    fn bytes(&self) -> usize {
        let bounds = size_of_val::<[SeriesBounds]>(&self.definition.series);
        let slots = size_of_val::<[usize]>(&self.series) + size_of_val::<[usize]>(&self.dropped);
        size_of::<Self>() + size_of::<Traffic>() + bounds + slots
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::outlook::seasonal::SeasonalForecaster;

    #[test]
    fn a_young_series_takes_two_kilobytes_and_little_apart() {
        // Its window with the rests of 64 reports, and itself; its campaign is another's.
        let report = size_of::<Sample>() + size_of::<Rest>();
        let young = size_of::<Header>() + 64 * report + size_of::<Series>();
        assert!(young <= 2000, "{young}");
        assert_eq!(size_of::<Series>(), 8 * 64);
        // What lies apart: what was learned, and its part of its campaign, here with four platforms.
        let campaign = size_of::<Campaign>() + size_of::<Traffic>();
        let apart = size_of::<Learned>() + campaign / 4;
        assert!(apart <= 600, "{apart}");
        assert!(size_of::<Foresight>() <= 800, "{}", size_of::<Foresight>());
        assert!(size_of::<SeasonalForecaster>() <= 200);
    }
}
