//! Asks for what a round will soon read, so that waits for memory overlap.
//!
//! A round passes over all of a book, and the first look at each line of it waits for memory: half of the
//! time of a round over silent campaigns. So each is asked for a few campaigns early, in the order in
//! which one leads to the next: the campaign, its lists, its series, and what series with news keep apart.

use crate::book::Book;
use crate::campaign::{Campaign, Series};
use engine_memory::{prefetch, prefetch_whole};

/// How many campaigns ahead each of them is asked for.
const CAMPAIGN: usize = 8;
const LISTS: usize = 6;
const SERIES: usize = 4;
const NEWS: usize = 2;
const SAMPLES: usize = 1;

impl Book {
    /// Asks for what the campaigns after one will need.
    pub(crate) fn look_ahead(&self, campaigns: &[Campaign], index: usize) {
        if let Some(campaign) = campaigns.get(index + CAMPAIGN) {
            prefetch_whole(campaign);
        }
        if let Some(campaign) = campaigns.get(index + LISTS) {
            prefetch(&campaign.series, 0);
            let bounds = &campaign.definition.series;
            (0..bounds.len())
                .step_by(2)
                .for_each(|place| prefetch(bounds, place));
        }
        for (_, series) in self.own(campaigns.get(index + SERIES)) {
            prefetch_whole(series);
        }
        let campaign = campaigns.get(index + NEWS);
        let mut has_news = false;
        for (slot, series) in self.own(campaign) {
            if series.is_heard {
                has_news = true;
                prefetch_whole(&*series.watch.learned);
                if let Some(foresight) = series.foresight.as_deref() {
                    prefetch_whole(foresight);
                }
                if let Some(header) = self.windows.header(slot) {
                    prefetch_whole(header);
                }
            }
        }
        if let Some(campaign) = campaign.filter(|_| has_news) {
            prefetch_whole(&*campaign.traffic);
        }
        for (slot, series) in self.own(campaigns.get(index + SAMPLES)) {
            if series.is_heard {
                let (older, newer) = self.windows.slices(slot);
                // Four samples are a line, and the newest four lines tell the cadence.
                for part in [older, newer] {
                    let last = part.len().saturating_sub(1);
                    (0..4).for_each(|line| prefetch(part, last.wrapping_sub(4 * line)));
                }
            }
        }
    }

    fn own<'a>(
        &'a self,
        campaign: Option<&'a Campaign>,
    ) -> impl Iterator<Item = (usize, &'a Series)> {
        let slots = campaign.into_iter().flat_map(|campaign| &campaign.series);
        slots.filter_map(|&slot| Some((slot, self.series.get(slot)?)))
    }
}
