//! The book's forecasts: what each series' forecasters are told in a round, and what is said of them.
//!
//! What is shown is what decisions go by: one CVR, the one held by `worth`, and the CPC that `outlook`
//! chose.

use crate::book::Book;
use crate::campaign::{Campaign, Series};
use crate::error::CoreError;
use crate::forecast::Confidence;
use crate::outlook::condition::Condition;
use crate::outlook::foresight::{Expected, Foresight, Glance, Model, View};
use crate::plan::Now;
use crate::real::ln;
use crate::regression::Estimate;
use crate::worth::{self, Conversions, Held};

const HOUR_MS: f64 = 3_600_000.0;
/// Conversions and clicks that a series is held to begin with, where hours with few are drawn to what
/// is usual.
const USUAL: (f64, f64) = (1.0, 50.0);

/// What is forecast of a series: its next report, and what a click of it is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Forecast {
    /// Cost per click in micros; `None` while no sample has clicks and no answer to a bid is known.
    pub cpc_micros: Option<Expected>,
    /// Conversions per click that decisions go by, late ones included; the interval is where the rate
    /// itself lies with 95 %, not where a report will.
    pub cvr: Estimate,
    /// Conversions per click that the next report is expected to show.
    pub reported_cvr: Option<Expected>,
    /// Conversions per click of the window, from however few: for people to compare with.
    pub raw_cvr: Option<f64>,
    /// Clicks an hour at the bid in force.
    pub clicks_an_hour: Option<Expected>,
    /// What the market is up to.
    pub condition: Condition,
    /// How far the window can be trusted.
    pub confidence: Confidence,
    /// How many samples the window holds.
    pub samples: u32,
    /// How many clicks they have together.
    pub clicks: u64,
    /// How many conversions the CVR rests on, those that it began with included: its relative standard
    /// deviation is 1 / √ of it.
    pub conversions: f64,
}

impl Book {
    /// Returns what is forecast for a series as of a time, all that was ingested counted in.
    ///
    /// # Errors
    /// `CoreError::UnknownKey`.
    pub fn forecast(&self, series: u64, at_ms: i64) -> Result<Forecast, CoreError> {
        let unknown = || CoreError::UnknownKey {
            what: "series",
            found: series,
        };
        let slot = self.slots.get(series).ok_or_else(unknown)?;
        let one = self.series.get(slot).ok_or_else(unknown)?;
        let campaign = self.find(one.campaign).ok_or_else(unknown)?;
        let held = self.held_now(campaign, slot);
        let traffic = campaign.traffic.at(at_ms);
        let view = self.forecast_view(slot, one, at_ms, Some(held.mean), traffic);
        let mut foresight = one.foresight.clone();
        if one.is_heard {
            answer(&mut foresight, &view);
            hear(&mut foresight, &view);
        } else if let Some(foresight) = &mut foresight {
            // The CPC stays the one that was decided by.
            foresight.answer_clicks(&view.model);
        }
        let prospect = view.prospect(foresight.as_deref());
        let (low, high) = held.interval();
        let sums = self.windows.sums(slot);
        #[allow(
            clippy::cast_precision_loss,
            reason = "sums of a window are below 2^53"
        )]
        let raw_cvr = (sums.clicks > 0)
            .then(|| sums.milliconversions.total as f64 / 1000.0 / sums.clicks as f64);
        Ok(Forecast {
            cpc_micros: prospect.cpc_micros,
            cvr: Estimate {
                value: held.mean,
                low,
                high,
                slope_per_tick: 0.0,
            },
            reported_cvr: prospect.cvr,
            raw_cvr,
            clicks_an_hour: prospect.clicks_an_hour,
            condition: prospect.condition,
            confidence: prospect.confidence,
            samples: prospect.samples,
            clicks: prospect.clicks,
            conversions: held.shape,
        })
    }

    /// Returns what is held of a series' CVR, as the next round will have learned it.
    fn held_now(&self, campaign: &Campaign, slot: usize) -> Held {
        let mut relatives = Vec::new();
        let rates = campaign.rates(&self.series, &mut relatives);
        let place = campaign.series.iter().position(|&own| own == slot);
        let relative = place.and_then(|place| relatives.get(place));
        let conversions = self
            .series
            .get(slot)
            .map_or_else(Conversions::default, |one| {
                one.watch.conversions_now(&one.account, &rates)
            });
        let relative = relative.copied().unwrap_or(1.0);
        let weights = campaign.delays.weights();
        worth::held(&conversions, relative, &rates, &weights)
    }

    /// Lets the forecasters of a series learn from what came since the round before.
    /// `cvr`: what is held of its CVR.
    pub(crate) fn hear(&mut self, slot: usize, now: &Now, cvr: f64, traffic: f64) {
        self.with_foresight(slot, |book, one, foresight| {
            let view = book.forecast_view(slot, one, now.at_ms, Some(cvr), traffic);
            hear(foresight, &view);
        });
    }

    /// Tells the forecasters of a series what its platform is expected to answer to the bid in force, where
    /// that has changed.
    pub(crate) fn answer(&mut self, slot: usize, now: &Now, traffic: f64) {
        self.with_foresight(slot, |book, one, foresight| {
            let view = book.forecast_view(slot, one, now.at_ms, None, traffic);
            answer(foresight, &view);
        });
    }

    fn with_foresight(
        &mut self,
        slot: usize,
        change: impl FnOnce(&Self, &Series, &mut Option<Box<Foresight>>),
    ) {
        let one = self.series.get_mut(slot);
        let mut foresight = one.and_then(|one| one.foresight.take());
        if let Some(one) = self.series.get(slot) {
            change(self, one, &mut foresight);
        }
        if let Some(one) = self.series.get_mut(slot) {
            one.foresight = foresight;
        }
    }

    /// Returns what a decision asks of a series, found from nothing.
    pub(crate) fn glance(&self, slot: usize, at_ms: i64) -> Glance {
        let foresight = self
            .series
            .get(slot)
            .and_then(|one| one.foresight.as_deref());
        match foresight {
            Some(foresight) => foresight.glance(),
            None => self.bare_view(slot, at_ms).glance(),
        }
    }

    /// Returns the view of a series without what its campaign says.
    fn bare_view(&self, slot: usize, at_ms: i64) -> View<'_> {
        let one = self.series.get(slot);
        View {
            windows: &self.windows,
            slot,
            key: one.map_or(0, |one| one.key),
            at_ms,
            tick: self.tick(at_ms),
            tick_ms: self.tick_ms,
            interval_ms: self.interval_ms,
            unit_micros: one.map_or(1, |one| one.unit_micros),
            model: Model::default(),
            bid_micros: one.map_or(0, |one| one.bid_micros),
            usual_cvr: 0.0,
        }
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "counts and bids are at most 2^53"
    )]
    fn forecast_view(
        &self,
        slot: usize,
        one: &Series,
        at_ms: i64,
        cvr: Option<f64>,
        traffic: f64,
    ) -> View<'_> {
        let account = &one.account;
        let conversions = account.milliconversions as f64 / 1000.0;
        let mut view = self.bare_view(slot, at_ms);
        view.usual_cvr = (conversions + USUAL.0) / (account.clicks as f64 + USUAL.1);
        view.model.cvr = cvr;
        let curve = one
            .watch
            .learned
            .response
            .own()
            .filter(|_| one.bid_micros > 0);
        if let Some(curve) = curve {
            let (clicks, spend) = curve.at(ln(one.bid_micros as f64));
            let rounds_an_hour = HOUR_MS / f64::from(self.interval_ms);
            view.model.clicks_an_hour = Some(clicks * traffic * rounds_an_hour);
            view.model.cpc_micros = (clicks > 0.0).then(|| spend / clicks);
        }
        view
    }
}

fn answer(foresight: &mut Option<Box<Foresight>>, view: &View<'_>) {
    if let Some(foresight) = foresight
        && foresight.bid_micros() != view.bid_micros
    {
        foresight.answer(&view.model, view.bid_micros);
    }
}

fn hear(foresight: &mut Option<Box<Foresight>>, view: &View<'_>) {
    match foresight {
        Some(foresight) => foresight.learn(view),
        None => *foresight = Foresight::begin(view).map(Box::new),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;
    use crate::window::{Sample, Windows};

    fn view(windows: &Windows, tick: u32) -> View<'_> {
        View {
            windows,
            slot: 0,
            key: 7,
            at_ms: 1_700_000_000_000 + i64::from(tick),
            tick,
            tick_ms: 1,
            interval_ms: 2000,
            unit_micros: 100,
            model: Model::default(),
            bid_micros: 0,
            usual_cvr: 0.02,
        }
    }

    #[test]
    fn a_series_of_few_reports_keeps_no_forecaster_and_one_of_less_than_a_day_no_season() {
        let mut windows = Windows::new(64).unwrap();
        windows.add();
        let mut foresight = None;
        let mut lacks = Vec::new();
        for hour in 1..=60 {
            let sample = Sample {
                tick: hour * 3_600_000,
                clicks: 20,
                milliconversions: 1000,
                spend_units: 9000 + hour,
            };
            windows.push(0, sample).unwrap();
            hear(&mut foresight, &view(&windows, sample.tick));
            lacks.push(match &foresight {
                None => "a choice",
                Some(foresight) if foresight.has_season() => "nothing",
                Some(_) => "a season",
            });
        }
        assert!(lacks[..7].iter().all(|&lack| lack == "a choice"));
        assert!(lacks[7..31].iter().all(|&lack| lack == "a season"));
        assert!(lacks[31..].iter().all(|&lack| lack == "nothing"));
    }
}
