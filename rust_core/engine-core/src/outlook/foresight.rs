//! What is expected of a series' next report, by whichever way of forecasting errs least on it.
//!
//! Each report judges what was said of it, then each way says what the next will show; between
//! reports nothing is computed. The ways are the window's level and line, a moving average, the
//! season, and the model that the price of money goes by; [`crate::outlook::choice`] chooses.
//!
//! A series is worth this memory only once there is something to choose by: until eight reports with
//! clicks are in its window it is forecast by its level, and keeps nothing.

use crate::bytes::{Reader, Writer, learned_amount};
use crate::forecast::{Confidence, Grounds, Reading};
use crate::outlook::choice::{Candidates, Choice, Chosen, Judge, Method};
use crate::outlook::condition::{Condition, Course};
use crate::outlook::season::Season;
use crate::regression::{Estimate, Line};
use crate::window::{Sample, Windows, since};

/// Reports with clicks in a window that make its series worth a choice.
const LEAST_REPORTS: u32 = 8;
/// A longer silence than so many reports' worth is of a platform that was not asked, and no lack of
/// traffic.
const MOST_SILENT: f64 = 8.0;
const HOUR_MS: f64 = 3_600_000.0;

/// Counts of some stretches of time.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Counts {
    pub(crate) clicks: f64,
    pub(crate) conversions: f64,
    pub(crate) spend_micros: f64,
}

/// What the model behind the price of money says of a series' next report.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Model {
    pub(crate) cpc_micros: Option<f64>,
    pub(crate) cvr: Option<f64>,
    pub(crate) clicks_an_hour: Option<f64>,
}

/// A series at a time, as its forecasts are made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) windows: &'a Windows,
    pub(crate) slot: usize,
    pub(crate) key: u64,
    pub(crate) at_ms: i64,
    pub(crate) tick: u32,
    pub(crate) tick_ms: u32,
    pub(crate) interval_ms: u32,
    pub(crate) unit_micros: u32,
    pub(crate) model: Model,
    /// The bid in force, which the model's answer is for.
    pub(crate) bid_micros: i64,
    /// Conversions per click so far, drawn to what is usual.
    pub(crate) usual_cvr: f64,
}

/// What is expected of a series' next report, as far as a decision asks: it stays until one comes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Glance {
    /// No number where nothing is forecast: a series keeps this, and an `Option` would take twice as much.
    pub(crate) cpc_micros: f64,
    pub(crate) cvr: f64,
    pub(crate) grounds: Grounds,
    pub(crate) condition: Condition,
    /// The bid in force, and whether the CPC is for that one alone.
    bid_micros: i64,
    is_of_bid: bool,
}

/// What is expected of a series' next report.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Prospect {
    pub(crate) cpc_micros: Option<Expected>,
    pub(crate) cvr: Option<Expected>,
    pub(crate) clicks_an_hour: Option<Expected>,
    pub(crate) condition: Condition,
    pub(crate) confidence: Confidence,
    pub(crate) samples: u32,
    pub(crate) clicks: u64,
}

/// A rate that the next report is expected to show: the chosen forecast with its 95 % prediction
/// interval for a report of the usual weight, and whose forecast it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The value and its interval; the slope is the window's line's.
    pub estimate: Estimate,
    /// Whose forecast it is.
    pub method: Method,
}

/// The choice of forecasters of one series: 800 bytes, and a season of 8 kB where it lives for days.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Foresight {
    cpc: Choice,
    cvr: Choice,
    traffic: Choice,
    season: Season,
    condition: Condition,
    /// The newest sample that was learned from; `None` where the window was empty.
    newest: Option<u32>,
    /// Reported with no clicks since the last report with some.
    waiting: Counts,
    grounds: Grounds,
    /// The bid that the model's answer was for.
    bid_micros: i64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Self) {
        self.clicks = learned_amount(self.clicks + other.clicks);
        self.conversions = learned_amount(self.conversions + other.conversions);
        self.spend_micros = learned_amount(self.spend_micros + other.spend_micros);
    }

    fn add_sample(&mut self, sample: &Sample, unit_micros: u32) {
        self.clicks += f64::from(sample.clicks);
        self.conversions += f64::from(sample.milliconversions) / 1000.0;
        self.spend_micros += f64::from(sample.spend_units) * f64::from(unit_micros);
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for count in [self.clicks, self.conversions, self.spend_micros] {
            out.f64(count);
        }
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            clicks: reader.learned_amount()?,
            conversions: reader.learned_amount()?,
            spend_micros: reader.learned_amount()?,
        })
    }
}

impl View<'_> {
    fn read(&self) -> Reading {
        let interval_ticks = self.interval_ms.div_ceil(self.tick_ms);
        Reading::of(self.windows, self.slot, interval_ticks)
    }

    fn ms_of(&self, tick: u32) -> i64 {
        self.at_ms - i64::from(since(self.tick, tick)) * i64::from(self.tick_ms)
    }

    fn hours(&self, ticks: f64) -> f64 {
        ticks * f64::from(self.tick_ms) / HOUR_MS
    }

    /// Returns what each way says of the next report's CPC, CVR and clicks an hour.
    fn candidates(&self, reading: &Reading, season: Option<&Season>) -> [Candidates; 3] {
        let Reading { cpc, cvr, grounds } = reading;
        let next = grounds.newest.wrapping_add(grounds.cadence);
        let next_ms = self.ms_of(next);
        let says = season
            .map(|season| season.says(next_ms))
            .unwrap_or_default();
        let unit = f64::from(self.unit_micros);
        let of = |line: &Option<Line>, unit: f64, season, model| Candidates {
            level: line.map(|line| line.mean() * unit),
            line: line.map(|line| line.value_at(next) * unit),
            season,
            model,
        };
        // The first sample's stretch began about a cadence before it ended.
        let covered = f64::from(grounds.span) + f64::from(grounds.cadence);
        #[allow(
            clippy::cast_precision_loss,
            reason = "clicks of a window are below 2^38"
        )]
        let traffic = grounds.clicks as f64 / self.hours(covered);
        [
            of(cpc, unit, says.cpc_micros, self.model.cpc_micros),
            of(cvr, 1.0, says.cvr, self.model.cvr),
            Candidates {
                level: (grounds.samples > 0).then_some(traffic),
                model: self.model.clicks_an_hour,
                ..Candidates::default()
            },
        ]
    }

    /// Returns what is expected of a series, whether or not it is worth a choice yet.
    pub(crate) fn prospect(&self, foresight: Option<&Foresight>) -> Prospect {
        let reading = self.read();
        let [cpc, cvr, traffic] = match foresight {
            Some(foresight) => {
                [&foresight.cpc, &foresight.cvr, &foresight.traffic].map(Clone::clone)
            }
            None => self.young(&reading),
        };
        let next = reading.grounds.newest.wrapping_add(reading.grounds.cadence);
        let line = |line: Option<Line>, unit| line.map(|line| line.at(next).scaled(unit));
        let cpc_line = line(reading.cpc, f64::from(self.unit_micros));
        let cvr_line = line(reading.cvr, 1.0);
        Prospect {
            cpc_micros: cpc
                .predict()
                .map(|chosen| expected(&chosen, cpc_line, f64::INFINITY)),
            cvr: cvr.predict().map(|chosen| expected(&chosen, cvr_line, 1.0)),
            clicks_an_hour: traffic
                .predict()
                .map(|chosen| expected(&chosen, None, f64::INFINITY)),
            condition: foresight.map_or(Condition::Thin, |foresight| foresight.condition),
            confidence: reading.grounds.confidence(self.tick),
            samples: reading.grounds.samples,
            clicks: reading.grounds.clicks,
        }
    }

    /// Returns choices that nothing was learned by yet.
    fn young(&self, reading: &Reading) -> [Choice; 3] {
        let mut choices = [
            Choice::new(Judge::Absolute, Method::Level),
            Choice::new(Judge::Square, Method::Model),
            Choice::new(Judge::Square, Method::Level),
        ];
        for (choice, candidates) in choices.iter_mut().zip(self.candidates(reading, None)) {
            choice.prepare(&candidates);
        }
        choices
    }

    /// Returns what a decision asks of a series that is not worth a choice yet.
    pub(crate) fn glance(&self) -> Glance {
        let reading = self.read();
        let unit = f64::from(self.unit_micros);
        Glance {
            cpc_micros: reading.cpc.map_or(f64::NAN, |line| line.mean() * unit),
            cvr: reading.cvr.map_or(f64::NAN, |line| line.mean()),
            grounds: reading.grounds,
            condition: Condition::Thin,
            bid_micros: self.bid_micros,
            is_of_bid: false,
        }
    }
}

impl Glance {
    /// Returns the time of the newest sample, or `None` of an empty window.
    pub(crate) fn newest(&self) -> Option<u32> {
        (self.grounds.samples > 0).then_some(self.grounds.newest)
    }

    /// Returns whether it holds while a bid is in force.
    pub(crate) fn is_for(&self, bid_micros: i64) -> bool {
        !self.is_of_bid || self.bid_micros == bid_micros
    }
}

/// Returns what was chosen, with the interval of its own errors; before there are any, with the one
/// that the window's line gives.
fn expected(chosen: &Chosen, line: Option<Estimate>, most: f64) -> Expected {
    let Chosen {
        value,
        mut low,
        mut high,
        method,
    } = *chosen;
    if high.is_infinite()
        && let Some(line) = line
    {
        let half = (line.high - line.low) / 2.0;
        (low, high) = ((value - half).max(0.0), value + half);
    }
    Expected {
        estimate: Estimate {
            value: value.min(most),
            low: low.min(most),
            high: high.min(most),
            slope_per_tick: line.map_or(0.0, |line| line.slope_per_tick),
        },
        method,
    }
}

impl Foresight {
    /// Returns the choice of a series that has become worth one, or `None` where it has not.
    pub(crate) fn begin(view: &View<'_>) -> Option<Self> {
        let reading = view.read();
        let reports = view.windows.header(view.slot)?.weighted();
        if reports < LEAST_REPORTS {
            return None;
        }
        let [cpc, cvr, traffic] = view.young(&reading);
        let mut new = Self {
            cpc,
            cvr,
            traffic,
            season: Season::new(view.key),
            condition: Condition::Thin,
            newest: Some(reading.grounds.newest),
            waiting: Counts::default(),
            grounds: reading.grounds,
            bid_micros: view.bid_micros,
        };
        new.condition = new.condition.next(course(view, &reading).as_ref());
        Some(new)
    }

    /// Learns from the samples that came since it last did, and says what comes next.
    pub(crate) fn learn(&mut self, view: &View<'_>) {
        let reading = view.read();
        self.judge(view, &reading.grounds);
        let all = view.candidates(&reading, Some(&self.season));
        for (choice, candidates) in self.choices().into_iter().zip(all) {
            choice.prepare(&candidates);
        }
        self.condition = self.condition.next(course(view, &reading).as_ref());
        self.grounds = reading.grounds;
        self.bid_micros = view.bid_micros;
    }

    /// Takes the model's answer to another bid; what is held of CVR knows no bids.
    pub(crate) fn answer(&mut self, model: &Model, bid_micros: i64) {
        self.cpc.prepare_model(model.cpc_micros);
        self.answer_clicks(model);
        self.bid_micros = bid_micros;
    }

    /// Takes the model's answer of clicks alone.
    pub(crate) fn answer_clicks(&mut self, model: &Model) {
        self.traffic.prepare_model(model.clicks_an_hour);
    }

    #[cfg(test)]
    pub(crate) fn has_season(&self) -> bool {
        self.season.is_known()
    }

    pub(crate) fn bid_micros(&self) -> i64 {
        self.bid_micros
    }

    pub(crate) fn glance(&self) -> Glance {
        let cpc = self.cpc.predict();
        let is_of_bid = cpc.is_some_and(|chosen| chosen.method == Method::Model);
        Glance {
            cpc_micros: cpc.map_or(f64::NAN, |chosen| chosen.value),
            cvr: self.cvr.predict().map_or(f64::NAN, |chosen| chosen.value),
            grounds: self.grounds,
            condition: self.condition,
            bid_micros: self.bid_micros,
            is_of_bid,
        }
    }

    fn choices(&mut self) -> [&mut Choice; 3] {
        [&mut self.cpc, &mut self.cvr, &mut self.traffic]
    }

    /// Judges what was said by the samples that have come since. A restated one was judged before.
    fn judge(&mut self, view: &View<'_>, grounds: &Grounds) {
        if grounds.samples == 0 {
            self.newest = None;
            return;
        }
        // A window that began anew, its clock set back, has nothing of before.
        let known = self
            .newest
            .filter(|&known| since(grounds.newest, known) >= 0);
        self.newest = Some(grounds.newest);
        let Some(known) = known else {
            return;
        };
        let mut new = Counts::default();
        let mut reports = 0.0;
        for sample in view.windows.samples(view.slot).rev() {
            if since(sample.tick, known) <= 0 {
                break;
            }
            new.add_sample(&sample, view.unit_micros);
            reports += 1.0;
        }
        if reports == 0.0 {
            return;
        }
        let usual = reports * f64::from(grounds.cadence);
        let passed = f64::from(since(grounds.newest, known)).min(MOST_SILENT * usual);
        let hours = view.hours(passed);
        self.traffic.observe(new.clicks / hours, hours);
        self.waiting.add(&new);
        if self.waiting.clicks > 0.0 {
            let came = std::mem::take(&mut self.waiting);
            self.cpc
                .observe(came.spend_micros / came.clicks, came.clicks);
            self.cvr
                .observe(came.conversions / came.clicks, came.clicks);
            let next = grounds.newest.wrapping_add(grounds.cadence);
            let (at_ms, next_ms) = (view.ms_of(grounds.newest), view.ms_of(next));
            self.season.count(at_ms, next_ms, &came, view.usual_cvr);
        }
    }

    /// Returns how many bytes it takes, its season's included.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.season.bytes_apart()
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        for choice in [&self.cpc, &self.cvr, &self.traffic] {
            choice.write(out);
        }
        self.season.write(out);
        out.u8(self.condition as u8);
        out.u8(u8::from(self.newest.is_some()));
        out.u32(self.newest.unwrap_or(0));
        self.waiting.write(out);
        self.grounds.write(out);
        out.i64(self.bid_micros);
    }

    pub(crate) fn read(reader: &mut Reader<'_>, key: u64) -> Option<Self> {
        Some(Self {
            cpc: Choice::read(reader)?,
            cvr: Choice::read(reader)?,
            traffic: Choice::read(reader)?,
            season: Season::read(reader, key)?,
            condition: Condition::of(reader.u8()?)?,
            newest: {
                let (is_there, tick) = (reader.u8()? == 1, reader.u32()?);
                is_there.then_some(tick)
            },
            waiting: Counts::read(reader)?,
            grounds: Grounds::read(reader)?,
            bid_micros: reader.i64().filter(|&bid| bid >= 0)?,
        })
    }
}

/// Returns the course of a window's CPC.
fn course(view: &View<'_>, reading: &Reading) -> Option<Course> {
    let weighted = view.windows.header(view.slot)?.weighted();
    let grounds = &reading.grounds;
    Course::of(
        reading.cpc.as_ref()?,
        weighted,
        grounds.clicks,
        grounds.span,
    )
}
