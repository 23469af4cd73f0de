//! The last eight days of a series by the hour, and what of them tells about later hours.

use crate::bytes::{Reader, Writer};

/// Eight days: the eldest hour that a feature looks at lies 179 hours back.
pub(crate) const HOURS: usize = 192;
const DAY: usize = 24;
const WEEK: usize = 168;
/// Features are told from here: yesterday must be known.
pub(crate) const LEAST_INDEX: usize = 25;
/// Days that tell an hour's usual level.
const DAYS: usize = 7;
/// What an hour weighs in the recent mean, against the one after it.
const RECENT: f64 = 0.75;
/// Hours that tell how far today differs from its usual levels, and their weights' decay.
const TODAY: usize = 12;
const TODAY_DECAY: f64 = 0.8;
/// Before this index an hour has no usual level to differ from.
const FIRST_USUAL: usize = 48;

/// How many numbers of its own history a forecast goes by; of others', fewer.
pub(crate) const OWN: usize = 11;
pub(crate) const OTHERS: usize = 3;

/// The logarithms of the last eight days, a ring by index: hour i lies at i mod 192.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Hours {
    logs: Vec<f64>,
}

/// What the hours up to one index say, whatever the horizon.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    last: f64,
    before: f64,
    day: f64,
    week: f64,
    /// Usual level of this hour of the day, from the days before.
    usual: f64,
    recent: f64,
    /// How far today lies above the usual levels of its hours.
    pub(crate) above: f64,
}

/// What they say of one hour ahead: a constant, nine levels, and the usual level of that hour of the
/// day, which is also the base that deviations are taken from.
pub(crate) type Own = [f64; OWN];

impl Hours {
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val::<[f64]>(&self.logs)
    }

    pub(crate) fn new() -> Self {
        Self {
            logs: vec![0.0; HOURS],
        }
    }

    /// Returns the logarithm at an index that the ring still holds.
    pub(crate) fn at(&self, index: usize) -> f64 {
        self.logs.get(index % HOURS).copied().unwrap_or(0.0)
    }

    pub(crate) fn set(&mut self, index: usize, log: f64) {
        if let Some(place) = self.logs.get_mut(index % HOURS) {
            *place = log;
        }
    }

    /// Returns what bridges a missing hour: the middle of the hour before and the same of yesterday.
    pub(crate) fn bridge(&self, index: usize) -> f64 {
        let before = self.at(index.saturating_sub(1));
        match index.checked_sub(DAY) {
            Some(yesterday) => f64::midpoint(before, self.at(yesterday)),
            None => before,
        }
    }

    /// Returns what is known at `index`, at least 25.
    pub(crate) fn now(&self, index: usize) -> Now {
        let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
        for back in 0..DAY.min(index + 1) {
            sum += weight * self.at(index - back);
            weights += weight;
            weight *= RECENT;
        }
        Now {
            last: self.at(index),
            before: self.at(index.saturating_sub(1)),
            day: self.mean_back(index, DAY),
            week: self.mean_back(index, WEEK),
            usual: self.usual(index.saturating_sub(DAY)),
            recent: sum / weights,
            above: self.above(index),
        }
    }

    /// Returns the features for the hour `horizon` after `index`: 1 to 168 hours.
    pub(crate) fn ahead(&self, now: &Now, index: usize, horizon: usize) -> Own {
        // The newest hour known that is a whole number of days before the one asked for.
        let same_hour = index + horizon - DAY * horizon.div_ceil(DAY);
        let week_ago = (index + horizon).checked_sub(WEEK).unwrap_or(same_hour);
        [
            1.0,
            now.last,
            now.before,
            self.at(same_hour),
            now.day,
            now.week,
            self.middle(same_hour),
            now.usual,
            self.at(week_ago),
            now.recent,
            self.usual(same_hour),
        ]
    }

    /// Returns how far today lies above the usual levels of its hours, the latest counting most.
    fn above(&self, index: usize) -> f64 {
        let (mut sum, mut weights, mut weight) = (0.0, 0.0, 1.0);
        for hour in (FIRST_USUAL..=index).rev().take(TODAY) {
            sum += weight * (self.at(hour) - self.usual(hour - DAY));
            weights += weight;
            weight *= TODAY_DECAY;
        }
        if weights > 0.0 { sum / weights } else { 0.0 }
    }

    fn mean_back(&self, index: usize, most: usize) -> f64 {
        let count = most.min(index + 1);
        let sum: f64 = (0..count).map(|back| self.at(index - back)).sum();
        sum / as_float(count)
    }

    /// Returns the level of an hour of the day: the mean of up to seven days back from `index`.
    fn usual(&self, index: usize) -> f64 {
        let (mut sum, mut count) = (0.0, 0);
        for log in self.days(index) {
            sum += log;
            count += 1;
        }
        sum / as_float(count)
    }

    /// Returns the median of the same days.
    fn middle(&self, index: usize) -> f64 {
        let mut days = [f64::INFINITY; DAYS];
        let mut count = 0;
        for (place, log) in days.iter_mut().zip(self.days(index)) {
            *place = log;
            count += 1;
        }
        days.sort_by(f64::total_cmp);
        let at = |index: usize| days.get(index).copied().unwrap_or(0.0);
        f64::midpoint(at(usize::saturating_sub(count, 1) / 2), at(count / 2))
    }

    fn days(&self, index: usize) -> impl Iterator<Item = f64> {
        (0..DAYS)
            .map_while(move |day| index.checked_sub(day * DAY))
            .map(|index| self.at(index))
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        self.logs.iter().for_each(|&log| out.f64(log));
    }

    pub(crate) fn read(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        for log in &mut self.logs {
            *log = reader.f64().filter(|found| found.abs() <= 1e3)?;
        }
        Some(())
    }
}

/// Returns an hour's own features as deviations from its usual level, followed by the others'.
pub(crate) fn deviations(own: &Own, others: &[f64]) -> Vec<f64> {
    let [one, levels @ .., base] = own;
    let levels = levels.iter().map(|level| level - base);
    std::iter::once(*one)
        .chain(levels)
        .chain(others.iter().copied())
        .collect()
}

/// Returns of another series what tells about this one: newest, recent and usual level as deviations.
pub(crate) fn told_to_others(now: &Now, own: &Own) -> [f64; OTHERS] {
    let [.., base] = own;
    [now.last - base, now.recent - base, now.usual - base]
}

#[allow(clippy::cast_precision_loss, reason = "at most 168")]
pub(crate) fn as_float(count: usize) -> f64 {
    count as f64
}
