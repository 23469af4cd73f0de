//! The season of one series: its samples by the hour, told to a seasonal forecaster once there is a
//! day of them.
//!
//! A series is told apart from its like by its own hours, so they need not begin when the clock's do:
//! each begins them at a time of its own, and a book of many series has the work spread over the
//! hour. Until a day of hours with enough clicks is full they are kept as pairs of numbers, and so a
//! young or small series pays for no forecaster (8 kB).

use crate::bytes::{Reader, Writer};
use crate::outlook::foresight::Counts;
use crate::outlook::seasonal::SeasonalForecaster;

const HOUR_MS: i64 = 3_600_000;
/// An hour with fewer clicks says too little: it is bridged.
const LEAST_CLICKS: f64 = 10.0;
/// Hours that a forecaster is begun with.
const DAY: usize = 24;
/// An hour's CVR is drawn to the usual one by so many conversions: logarithms take no 0.
const PRIOR_CONVERSIONS: f64 = 3.0;
const LEAST: f64 = 1e-6;
const MOST: f64 = 1e15;
const CPC: usize = 0;
const CVR: usize = 1;

/// The hours of a series, and the forecaster that they taught.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Season {
    /// When its hours begin, in milliseconds after the clock's.
    phase_ms: i64,
    /// The hour that fills, by its number; what it has so far, and whether it was told.
    hour: i64,
    open: Counts,
    is_told: bool,
    knows: Knows,
}

#[derive(Debug, Clone, PartialEq)]
enum Knows {
    /// Hours by number, with their CPC and CVR.
    Few(Vec<(i64, [f32; 2])>),
    Enough(Box<SeasonalForecaster>),
}

/// What the season says of the next sample.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Seasonal {
    pub(crate) cpc_micros: Option<f64>,
    pub(crate) cvr: Option<f64>,
}

impl Season {
    /// Returns the season of a series before its first sample.
    pub(crate) fn new(key: u64) -> Self {
        Self {
            phase_ms: i64::try_from(key % 3600).unwrap_or(0) * 1000,
            hour: i64::MIN,
            open: Counts::default(),
            is_told: false,
            knows: Knows::Few(Vec::new()),
        }
    }

    /// Counts in what was reported for a stretch that ended at a time; the next will end at another.
    /// `usual_cvr`: what hours with few conversions are drawn to.
    pub(crate) fn count(&mut self, at_ms: i64, next_ms: i64, new: &Counts, usual_cvr: f64) {
        let hour = self.hour_of(at_ms);
        if hour < self.hour {
            return; // told, and gone
        }
        if hour > self.hour {
            self.close(usual_cvr);
            (self.hour, self.open, self.is_told) = (hour, Counts::default(), false);
        }
        self.open.add(new);
        // An hour is over when the next sample is of another; one more of it then restates it.
        if self.is_told || self.hour_of(next_ms) > hour {
            self.tell(usual_cvr);
        }
    }

    /// Returns what it says of a sample whose stretch ends at a time: nothing before there are hours
    /// enough, nor of any hour but the one after the newest told.
    pub(crate) fn says(&self, next_ms: i64) -> Seasonal {
        let Knows::Enough(forecaster) = &self.knows else {
            return Seasonal::default();
        };
        let newest = forecaster.newest_hour();
        if newest.map(|newest| newest + 1) != Some(self.hour_of(next_ms)) {
            return Seasonal::default();
        }
        let value = |series| {
            let expected = forecaster.forecast(series, 1).ok().flatten()?;
            Some(expected.value)
        };
        Seasonal {
            cpc_micros: value(CPC),
            cvr: value(CVR),
        }
    }

    #[cfg(test)]
    pub(crate) fn is_known(&self) -> bool {
        matches!(self.knows, Knows::Enough(_))
    }

    /// A stretch belongs to the hour that it ends in, its last instant included.
    fn hour_of(&self, at_ms: i64) -> i64 {
        (at_ms - self.phase_ms - 1).div_euclid(HOUR_MS)
    }

    fn close(&mut self, usual_cvr: f64) {
        if !self.is_told {
            self.tell(usual_cvr);
        }
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "seven digits of a rate are enough"
    )]
    fn tell(&mut self, usual_cvr: f64) {
        let open = &self.open;
        if open.clicks < LEAST_CLICKS {
            return;
        }
        self.is_told = true;
        let cpc = (open.spend_micros / open.clicks).min(MOST);
        let usual = usual_cvr.clamp(LEAST, 1.0);
        let cvr =
            (open.conversions + PRIOR_CONVERSIONS) / (open.clicks + PRIOR_CONVERSIONS / usual);
        let told = (self.hour, [cpc as f32, cvr as f32]);
        match &mut self.knows {
            Knows::Enough(forecaster) => say(forecaster, &told),
            Knows::Few(hours) => {
                if hours.last().is_some_and(|&(hour, _)| hour == told.0) {
                    hours.pop();
                }
                hours.push(told);
                if hours.len() >= DAY
                    && let Ok(mut forecaster) = SeasonalForecaster::new(2, &[1], LEAST)
                {
                    for told in hours.iter() {
                        say(&mut forecaster, told);
                    }
                    self.knows = Knows::Enough(Box::new(forecaster));
                }
            }
        }
    }

    /// Returns how many bytes its hours, or its forecaster, take.
    pub(crate) fn bytes_apart(&self) -> usize {
        match &self.knows {
            Knows::Few(hours) => size_of_val::<[_]>(hours),
            Knows::Enough(forecaster) => forecaster.bytes(),
        }
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.i64(self.hour);
        self.open.write(out);
        out.u8(u8::from(self.is_told));
        match &self.knows {
            Knows::Few(hours) => {
                out.u8(u8::try_from(hours.len()).unwrap_or(0));
                for &(hour, [cpc, cvr]) in hours {
                    out.i64(hour);
                    out.f64(cpc.into());
                    out.f64(cvr.into());
                }
            }
            Knows::Enough(forecaster) => {
                let snapshot = forecaster.snapshot();
                out.u8(u8::MAX);
                out.count(snapshot.len());
                out.put(&snapshot);
            }
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "written from these")]
    pub(crate) fn read(reader: &mut Reader<'_>, key: u64) -> Option<Self> {
        let mut read = Self::new(key);
        read.hour = reader.i64()?;
        read.open = Counts::read(reader)?;
        read.is_told = reader.u8()? == 1;
        match usize::from(reader.u8()?) {
            count @ 0..DAY => {
                let mut hours = Vec::with_capacity(count);
                for _ in 0..count {
                    let hour = reader.i64()?;
                    let mut rate = || reader.f64().filter(|found| (0.0..=MOST).contains(found));
                    hours.push((hour, [rate()? as f32, rate()? as f32]));
                }
                read.knows = Knows::Few(hours);
            }
            255 => {
                let length = reader.u32()? as usize;
                let restored = SeasonalForecaster::restore(reader.take(length)?).ok()?;
                if restored.series() != 2 || restored.horizons() != [1] {
                    return None;
                }
                read.knows = Knows::Enough(Box::new(restored));
            }
            _ => return None,
        }
        Some(read)
    }
}

/// Tells an hour. A value beyond what a forecaster takes leaves it as it was.
fn say(forecaster: &mut SeasonalForecaster, &(hour, rates): &(i64, [f32; 2])) {
    let _ = forecaster.update(hour, &rates.map(f64::from));
}
