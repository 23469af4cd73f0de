//! Forecasts of hourly series with a daily and weekly rhythm: CPC, CPM, CVR or traffic of a platform.
//!
//! Three experts forecast each series and horizon, in logarithms: a recursive regression of the
//! deviation from the hour's usual level (on its own history and the other series'), one of the level
//! itself, and the usual level with the part of today's deviation that tends to stay. They are
//! mixed by weights that fall with the eighth power of each one's running mean absolute error.
//!
//! On real hourly CPC and CPM of ad exchanges (NAB; horizons of 1, 6 and 24 hours) their mean
//! absolute error is .275 of that of a line through the last 24 hours, where the regression of lags
//! alone (`DECIDING.md`) has .329.

use crate::bytes::{Reader, Writer};
use crate::error::CoreError;
use crate::outlook::features::{
    HOURS, Hours, LEAST_INDEX, Now, OTHERS, Own, as_float, told_to_others,
};
use crate::outlook::lane::Lane;
use crate::real::{exp, ln};
use crate::snapshot::checksum;

pub use crate::outlook::lane::Expected;

/// A gap longer than this is no gap: the rhythm begins anew, what the regressions learned stays.
const LONGEST_GAP: i64 = 168;
/// The most that is taken for a value.
const MOST_VALUE: f64 = 1e15;
const MOST_SERIES: usize = 8;
const MOST_HORIZONS: usize = 8;
const LONGEST_HORIZON: u32 = 168;
const MAGIC: u64 = u64::from_le_bytes(*b"CESEASN\0");
const VERSION: u32 = 1;

/// What became of an hour's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// The newest hour so far. Hours left out before it were bridged.
    Accepted,
    /// A known hour was restated: later forecasts go by the new values.
    Replaced,
    /// The hour is older than the eight days kept, or than the first: nothing changed.
    Late,
}

/// Series of one platform, forecast together: each hour of the clock has one value of each.
///
/// For two series and three horizons an hour costs 15 µs, and all of it 28 KB, however long it lives.
/// Deterministic to the bit, and blind to what comes after.
///
/// ```
/// use engine_core::outlook::seasonal::{Heard, SeasonalForecaster};
///
/// let mut forecaster = SeasonalForecaster::new(1, &[1, 24], 0.001)?;
/// for hour in 0..240 {
///     let cpc = if hour % 24 < 8 { 0.40 } else { 0.80 };
///     assert_eq!(forecaster.update(480_000 + hour, &[cpc])?, Heard::Accepted);
/// }
/// let next = forecaster.forecast(0, 1)?.unwrap(); // of hour 240, a midnight: a cheap one
/// assert!((next.value - 0.40).abs() < 0.01 && next.low <= next.value && next.value <= next.high);
/// assert_eq!(forecaster.forecast(0, 6).unwrap_err().to_string(), "horizon must be one of those given, was 6");
/// # Ok::<(), engine_core::error::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SeasonalForecaster {
    least: f64,
    newest: i64,
    /// Hours since the rhythm began, bridged ones included; the newest has index `hours − 1`.
    hours: usize,
    horizons: Vec<u32>,
    series: Vec<Hours>,
    /// By series, then by horizon.
    lanes: Vec<Lane>,
}

impl SeasonalForecaster {
    /// Returns how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        let series: usize = self.series.iter().map(Hours::bytes).sum();
        let lanes: usize = self.lanes.iter().map(Lane::bytes).sum();
        size_of::<Self>() + size_of_val::<[u32]>(&self.horizons) + series + lanes
    }

    /// Returns a forecaster of 1 to 8 series for 1 to 8 horizons of 1 to 168 hours. Values below
    /// `least` count as `least`: logarithms need something.
    ///
    /// # Errors
    /// `CoreError::OutOfRange`, or `RealOutOfRange` for `least`, where one is none of these.
    pub fn new(series: usize, horizons: &[u32], least: f64) -> Result<Self, CoreError> {
        let refused = |what, wanted, found| CoreError::OutOfRange {
            what,
            wanted,
            found,
        };
        if !(1..=MOST_SERIES).contains(&series) {
            return Err(refused("series", "1 to 8", series as i128));
        }
        if !(1..=MOST_HORIZONS).contains(&horizons.len()) {
            let found = horizons.len() as i128;
            return Err(refused("the number of horizons", "1 to 8", found));
        }
        for (index, &horizon) in horizons.iter().enumerate() {
            let is_new = !horizons.iter().take(index).any(|known| *known == horizon);
            if !is_new || !(1..=LONGEST_HORIZON).contains(&horizon) {
                let wanted = "1 to 168 hours, each once";
                return Err(refused("horizon", wanted, horizon.into()));
            }
        }
        if !(1e-15..=MOST_VALUE).contains(&least) {
            return Err(CoreError::RealOutOfRange {
                what: "least",
                wanted: "1e-15 to 1e15",
                found: least,
            });
        }
        let lanes = (0..series).flat_map(|_| horizons.iter());
        Ok(Self {
            least,
            newest: 0,
            hours: 0,
            horizons: horizons.to_vec(),
            series: vec![Hours::new(); series],
            lanes: lanes
                .map(|&horizon| Lane::new(horizon, series > 1))
                .collect(),
        })
    }

    /// Counts the values of an hour of the clock in, one for each series.
    ///
    /// The newest hour may be said again as it fills: forecasts follow, though the regressions have
    /// learned from what was said first. The same again changes nothing.
    ///
    /// # Errors
    /// `CoreError::OutOfRange` for another number of values, `RealOutOfRange` for one that is no
    /// number or above 10^15. Nothing has changed then.
    pub fn update(&mut self, hour: i64, values: &[f64]) -> Result<Heard, CoreError> {
        let logs = self.logs(values)?;
        let ahead = hour.saturating_sub(self.newest);
        if self.hours > 0 && ahead <= 0 {
            return Ok(self.restate(ahead.unsigned_abs(), &logs));
        }
        if self.hours == 0 || ahead > LONGEST_GAP {
            self.hours = 0;
            self.lanes.iter_mut().for_each(Lane::forget_forecasts);
        } else {
            for _ in 1..ahead {
                let bridged = self.series.iter().map(|series| series.bridge(self.hours));
                let bridged: Vec<f64> = bridged.collect();
                self.append(&bridged, false);
            }
        }
        self.append(&logs, true);
        self.newest = hour;
        Ok(Heard::Accepted)
    }

    /// Returns what is expected of a series so many hours after the newest, or `None` before the
    /// first hour. In the first day it is the newest value itself.
    ///
    /// # Errors
    /// `CoreError::OutOfRange` for a series or a horizon that this forecaster was not made for.
    pub fn forecast(&self, series: usize, horizon: u32) -> Result<Option<Expected>, CoreError> {
        let refused = |what, wanted, found| CoreError::OutOfRange {
            what,
            wanted,
            found,
        };
        let hours = self.series.get(series);
        let hours = hours.ok_or_else(|| refused("series", "one of those", series as i128))?;
        let at = self.horizons.iter().position(|&known| known == horizon);
        let at = at.ok_or_else(|| refused("horizon", "one of those given", horizon.into()))?;
        let Some(index) = self.hours.checked_sub(1) else {
            return Ok(None);
        };
        let lane = self.lanes.get(series * self.horizons.len() + at);
        let expected = lane.and_then(|lane| lane.expected(index));
        Ok(Some(expected.unwrap_or_else(|| Expected {
            value: exp(hours.at(index)),
            low: 0.0,
            high: f64::INFINITY,
        })))
    }

    /// Returns how many series are forecast.
    #[must_use]
    pub fn series(&self) -> usize {
        self.series.len()
    }

    /// Returns the horizons, in hours, as given.
    #[must_use]
    pub fn horizons(&self) -> &[u32] {
        &self.horizons
    }

    /// Returns the newest hour, or `None` before the first.
    #[must_use]
    pub fn newest_hour(&self) -> Option<i64> {
        (self.hours > 0).then_some(self.newest)
    }

    fn logs(&self, values: &[f64]) -> Result<Vec<f64>, CoreError> {
        if values.len() != self.series.len() {
            return Err(CoreError::OutOfRange {
                what: "the number of values",
                wanted: "one for each series",
                found: values.len() as i128,
            });
        }
        let log = |&value: &f64| {
            if !value.is_finite() || value > MOST_VALUE {
                return Err(CoreError::RealOutOfRange {
                    what: "a value",
                    wanted: "a number of at most 1e15",
                    found: value,
                });
            }
            Ok(ln(value.max(self.least)))
        };
        values.iter().map(log).collect()
    }

    fn restate(&mut self, back: u64, logs: &[f64]) -> Heard {
        let back = usize::try_from(back).unwrap_or(usize::MAX);
        let index = (self.hours - 1).checked_sub(back);
        let Some(index) = index.filter(|_| back < HOURS) else {
            return Heard::Late;
        };
        let is_same = |(hours, log): (&Hours, &f64)| hours.at(index).to_bits() == log.to_bits();
        if self.series.iter().zip(logs).all(is_same) {
            return Heard::Replaced;
        }
        for (hours, &log) in self.series.iter_mut().zip(logs) {
            hours.set(index, log);
        }
        self.look_ahead();
        Heard::Replaced
    }

    fn append(&mut self, logs: &[f64], is_seen: bool) {
        let index = self.hours;
        let lanes = self.lanes.chunks_exact_mut(self.horizons.len());
        for ((hours, &log), lanes) in self.series.iter_mut().zip(logs).zip(lanes) {
            hours.set(index, log);
            for lane in lanes {
                lane.judge(index, log, is_seen);
            }
        }
        self.hours += 1;
        self.look_ahead();
    }

    /// Forecasts all horizons from the newest hour.
    fn look_ahead(&mut self) {
        let index = self.hours - 1;
        if index < LEAST_INDEX {
            return;
        }
        let now: Vec<Now> = self.series.iter().map(|hours| hours.now(index)).collect();
        for (at, &horizon) in self.horizons.iter().enumerate() {
            let horizon = horizon as usize;
            let series = self.series.iter().zip(&now);
            let own: Vec<Own> = series
                .map(|(hours, now)| hours.ahead(now, index, horizon))
                .collect();
            let told = now.iter().zip(&own);
            let told: Vec<[f64; OTHERS]> =
                told.map(|(now, own)| told_to_others(now, own)).collect();
            for (series, (now, own)) in now.iter().zip(&own).enumerate() {
                if let Some(lane) = self.lanes.get_mut(series * self.horizons.len() + at) {
                    lane.issue(index, own, mean_of_others(&told, series), now.above);
                }
            }
        }
    }
}

/// Returns the mean of what all series but one tell.
fn mean_of_others(told: &[[f64; OTHERS]], but: usize) -> [f64; OTHERS] {
    let mut mean = [0.0; OTHERS];
    let count = as_float(told.len().saturating_sub(1).max(1));
    let others = told.iter().enumerate().filter(|(index, _)| *index != but);
    for (_, told) in others {
        for (mean, told) in mean.iter_mut().zip(told) {
            *mean += told / count;
        }
    }
    mean
}

/// The state as bytes, and back.
impl SeasonalForecaster {
    /// Returns the whole state, checksummed.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        let mut out = Writer::default();
        out.u64(MAGIC);
        out.u32(VERSION);
        out.f64(self.least);
        out.count(self.series.len());
        out.count(self.horizons.len());
        self.horizons.iter().for_each(|&horizon| out.u32(horizon));
        out.i64(self.newest);
        out.u64(self.hours as u64);
        self.series.iter().for_each(|hours| hours.write(&mut out));
        self.lanes.iter().for_each(|lane| lane.write(&mut out));
        out.u64(checksum(&out.bytes));
        out.bytes
    }

    /// Returns the forecaster that a snapshot was taken of: it goes on to the bit as that would have.
    ///
    /// # Errors
    /// `CoreError::Snapshot` where the bytes are no whole, undamaged snapshot of this version.
    pub fn restore(snapshot: &[u8]) -> Result<Self, CoreError> {
        let refuse = |part, wanted, found| CoreError::Snapshot {
            part,
            wanted,
            found,
        };
        let length = snapshot.len() as u64;
        let Some((body, end)) = snapshot.split_last_chunk::<8>() else {
            return Err(refuse("length", 8, length));
        };
        let mut reader = Reader::new(body);
        let magic = reader.u64().unwrap_or_default();
        if magic != MAGIC {
            return Err(refuse("magic", MAGIC, magic));
        }
        let version = reader.u32().unwrap_or_default();
        if version != VERSION {
            return Err(refuse("version", VERSION.into(), version.into()));
        }
        let found = u64::from_le_bytes(*end);
        if found != checksum(body) {
            return Err(refuse("checksum", checksum(body), found));
        }
        let restored = Self::read(&mut reader).ok_or_else(|| refuse("state", 1, 0))?;
        match reader.remaining() {
            0 => Ok(restored),
            left => Err(refuse("bytes after the state", 0, left as u64)),
        }
    }

    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let least = reader.f64()?;
        let (series, horizons) = (reader.u32()? as usize, reader.u32()? as usize);
        if horizons > MOST_HORIZONS {
            return None;
        }
        let horizons: Option<Vec<u32>> = (0..horizons).map(|_| reader.u32()).collect();
        let mut read = Self::new(series, &horizons?, least).ok()?;
        read.newest = reader.i64()?;
        let hours = reader.u64().filter(|hours| *hours < 1 << 48)?;
        read.hours = usize::try_from(hours).ok()?;
        for hours in &mut read.series {
            hours.read(reader)?;
        }
        for lane in &mut read.lanes {
            lane.read(reader)?;
        }
        Some(read)
    }
}
