//! Reads ahead what a round will soon need, so that waits for memory overlap.
//!
//! A round passes over all of a book, and the first read of each line waits for memory: half of the time
//! of a round over silent campaigns. Reads that nothing depends on do not wait for one another, so what
//! is far is asked for some campaigns early: first the campaign, then its series, then what series with
//! news keep apart. What is read is of no account, but must look as if it were.

use crate::book::Book;
use crate::campaign::{Campaign, Series};
use std::hint::black_box;

/// How many campaigns ahead each of the three is asked for.
const CAMPAIGN: usize = 6;
const SERIES: usize = 4;
const NEWS: usize = 2;

impl Book {
    /// Reads ahead for the campaigns that follow one.
    pub(crate) fn touch_ahead(&self, campaigns: &[Campaign], index: usize) {
        let mut sum = campaigns.get(index + CAMPAIGN).map_or(0, Campaign::touch);
        for series in self.of(campaigns.get(index + SERIES)) {
            sum ^= series.touch();
        }
        if let Some(campaign) = campaigns.get(index + NEWS) {
            for &slot in &campaign.series {
                let heard = self.series.get(slot).filter(|one| one.is_heard);
                sum ^= heard.map_or(0, |one| self.touch_news(slot, one));
            }
        }
        black_box(sum);
    }

    fn of<'a>(&'a self, campaign: Option<&'a Campaign>) -> impl Iterator<Item = &'a Series> {
        let slots = campaign.into_iter().flat_map(|campaign| &campaign.series);
        slots.filter_map(|&slot| self.series.get(slot))
    }

    fn touch_news(&self, slot: usize, one: &Series) -> u64 {
        let foresight = one.foresight.as_deref();
        let (older, newer) = self.windows.slices(slot);
        let newest = newer.iter().rev().chain(older.iter().rev());
        // Four samples are a line, and four lines tell the cadence.
        let ticks = newest.step_by(4).take(4).map(|sample| sample.tick);
        let ticks = ticks.fold(0, |sum, tick| sum ^ u64::from(tick));
        one.watch.learned.touch() ^ foresight.map_or(0, |foresight| foresight.touch()) ^ ticks
    }
}

impl Campaign {
    /// Returns something of each of its lines, and of what it keeps apart but learned traffic.
    fn touch(&self) -> u64 {
        let definition = &self.definition;
        let bounds = definition.series.first().map_or(0, |series| series.key);
        let slot = self.series.first().map_or(0, |&slot| slot as u64);
        let money = [
            definition.budget_micros,
            definition.daily_cap_micros,
            definition.starts_at_ms,
            self.carried.0,
            self.rhythm.heard_at_ms,
            self.rhythm.settled.0,
            self.day_began_ms,
            self.day_opened.0,
        ];
        let rates = [
            self.pacing.multiplier,
            self.rhythm.every_rounds,
            definition.max_change,
            self.clock.map_or(0.0, |clock| clock.traffic),
            self.solved.map_or(0.0, |solved| solved.multiplier),
        ];
        let money = money
            .iter()
            .fold(0, |sum, amount| sum ^ amount.cast_unsigned());
        let told = self.told.map_or(0, |told| told.reserved.0.cast_unsigned());
        let common = self
            .common
            .map_or(0, |common| common.lag_ms.cast_unsigned());
        bounds ^ slot ^ money ^ of(&rates) ^ told ^ common
    }
}

impl Series {
    /// Returns something of each of its lines.
    fn touch(&self) -> u64 {
        let account = &self.account;
        let money = [
            account.settled,
            account.cap,
            account.day_opened,
            self.settled_before,
            self.told.1,
        ];
        let money = money
            .iter()
            .fold(0, |sum, amount| sum ^ amount.0.cast_unsigned());
        let glance = self
            .glance
            .as_ref()
            .map_or(0, |glance| glance.grounds.clicks);
        let proof = self.proof.map_or(0, |(_, frames)| frames);
        let rates = [self.recent_spend, self.basis.held_cvr, self.watch.lag_ms];
        self.key ^ account.clicks ^ money ^ glance ^ proof ^ of(&rates) ^ self.basis.touch()
    }
}

/// Returns numbers as one, for no purpose but to have read them.
pub(crate) fn of(numbers: &[f64]) -> u64 {
    numbers.iter().fold(0, |sum, number| sum ^ number.to_bits())
}
