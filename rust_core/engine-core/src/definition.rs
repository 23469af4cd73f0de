//! What an advertiser asked for, as the core takes it: rows in, checked definitions out.
//!
//! `python/engine/core/rows.py` holds the same layout (`CAMPAIGN_ROW`, `SERIES_ROW`). Everything is
//! checked before anything changes, and what is refused is named with its value.

use crate::bytes::{Reader, Writer};
use crate::daypart::Week;
use crate::error::CoreError;

/// Bytes of a campaign's row.
pub const CAMPAIGN_BYTES: usize = 168;
/// Bytes of a series' row.
pub const SERIES_BYTES: usize = 40;
/// Where in a campaign's row the number of its series is.
pub(crate) const SERIES_COUNT_AT: usize = 106;
/// Money in a definition is at most this many micros: exact as f64, and in every JSON reader.
pub const MOST_MICROS: i64 = 1 << 53;
/// The most series a campaign may have, those it has dropped included.
pub const MOST_SERIES: usize = 256;
/// The coarsest unit of spend: a whole unit of currency.
pub const MOST_UNIT_MICROS: u32 = 1_000_000;

/// What to get the most of. Codes are the order of `domain.campaign.Strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Strategy {
    Dynamic,
    MaximiseConversions,
    TargetCpa,
    TargetRoas,
    MaximiseReach,
    EvenPacing,
}

/// The strategies by code.
pub const STRATEGIES: [(Strategy, &str); 6] = [
    (Strategy::Dynamic, "dynamic"),
    (Strategy::MaximiseConversions, "maximise-conversions"),
    (Strategy::TargetCpa, "target-cpa"),
    (Strategy::TargetRoas, "target-roas"),
    (Strategy::MaximiseReach, "maximise-reach"),
    (Strategy::EvenPacing, "even-pacing"),
];

/// A campaign's definition. Optional amounts are 0 where there is none.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Definition {
    pub key: u64,
    pub budget_micros: i64,
    pub starts_at_ms: i64,
    pub ends_at_ms: i64,
    pub conversion_value_micros: i64,
    pub target_cpa_micros: i64,
    pub target_roas: f64,
    pub target_reach: i64,
    pub daily_cap_micros: i64,
    pub min_bid_micros: i64,
    pub max_bid_micros: i64,
    pub max_change: f64,
    pub unit_micros: u32,
    pub calendar: u32,
    pub strategy: Strategy,
    pub is_active: bool,
    /// The largest change of a bid in a day, as a part of the day's first; 0: any.
    pub max_daily_change: f64,
    /// Below this confidence a bid does not rise; 0: at any.
    pub min_confidence: f64,
    /// The account's key; 0: none.
    pub account: u64,
    /// In these hours of the week there is no bid.
    pub blocked_hours: Week,
    /// A bid that has changed stays for so long.
    pub hold_ms: u32,
    pub series: Vec<SeriesBounds>,
}

/// One platform of a campaign, with bounds of its own. 0: the campaign's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct SeriesBounds {
    pub key: u64,
    pub min_bid_micros: i64,
    pub max_bid_micros: i64,
    pub daily_cap_micros: i64,
    /// No bid there, whatever it promises.
    pub is_blocked: bool,
}

impl Definition {
    /// Returns the definitions in campaign rows and the series rows that follow them in order.
    ///
    /// # Errors
    /// `CoreError::Rows` where the bytes are no whole rows or the counts disagree;
    /// `CoreError::Definition` for the first field that is refused.
    pub fn parse_all(campaigns: &[u8], series: &[u8]) -> Result<Vec<Self>, CoreError> {
        whole_rows("campaigns", campaigns, CAMPAIGN_BYTES)?;
        whole_rows("series", series, SERIES_BYTES)?;
        let mut rows = Reader::new(campaigns);
        let mut series_rows = Reader::new(series);
        let mut definitions = Vec::with_capacity(campaigns.len() / CAMPAIGN_BYTES);
        while rows.remaining() > 0 {
            definitions.push(Self::read(&mut rows, &mut series_rows)?);
        }
        if series_rows.remaining() > 0 {
            let wanted = (series.len() - series_rows.remaining()) as u64;
            return Err(CoreError::Rows {
                what: "series",
                wanted,
                found: series.len() as u64,
            });
        }
        Ok(definitions)
    }

    /// Reads one campaign and its series.
    pub(crate) fn read(rows: &mut Reader<'_>, series: &mut Reader<'_>) -> Result<Self, CoreError> {
        let found = rows.remaining() as u64;
        let short = CoreError::Rows {
            what: "campaigns",
            wanted: CAMPAIGN_BYTES as u64,
            found,
        };
        let (mut definition, codes) = Self::read_row(rows).ok_or(short)?;
        let Codes {
            strategy,
            is_active,
            count,
            blocked_hours,
            reserved,
        } = codes;
        let key = definition.key;
        let refuse = |field, wanted, found| {
            Err(CoreError::Definition {
                key,
                field,
                wanted,
                found,
            })
        };
        match STRATEGIES.get(usize::from(strategy)) {
            Some(&(known, _)) => definition.strategy = known,
            None => return refuse("strategy", "0 to 5", i128::from(strategy)),
        }
        if is_active > 1 {
            return refuse("is_active", "0 or 1", i128::from(is_active));
        }
        if reserved != 0 {
            return refuse("reserved", "0", i128::from(reserved));
        }
        match Week::of_words(blocked_hours) {
            Some(week) => definition.blocked_hours = week,
            None => return refuse("blocked_hours", "hours 0 to 167", 168),
        }
        definition.is_active = is_active == 1;
        for _ in 0..count {
            let found = series.remaining() as u64;
            let short = CoreError::Rows {
                what: "series",
                wanted: SERIES_BYTES as u64,
                found,
            };
            let (mut bounds, is_blocked) = SeriesBounds::read(series).ok_or(short)?;
            if is_blocked > 1 {
                return refuse("series.is_blocked", "0 or 1", i128::from(is_blocked));
            }
            bounds.is_blocked = is_blocked == 1;
            definition.series.push(bounds);
        }
        definition.check()?;
        Ok(definition)
    }

    fn read_row(rows: &mut Reader<'_>) -> Option<(Self, Codes)> {
        let mut definition = Self {
            key: rows.u64()?,
            budget_micros: rows.i64()?,
            starts_at_ms: rows.i64()?,
            ends_at_ms: rows.i64()?,
            conversion_value_micros: rows.i64()?,
            target_cpa_micros: rows.i64()?,
            target_roas: rows.f64()?,
            target_reach: rows.i64()?,
            daily_cap_micros: rows.i64()?,
            min_bid_micros: rows.i64()?,
            max_bid_micros: rows.i64()?,
            max_change: rows.f64()?,
            unit_micros: rows.u32()?,
            calendar: rows.u32()?,
            strategy: Strategy::Dynamic,
            is_active: false,
            max_daily_change: 0.0,
            min_confidence: 0.0,
            account: 0,
            blocked_hours: Week::default(),
            hold_ms: 0,
            series: Vec::new(),
        };
        let (strategy, is_active, count) = (rows.u8()?, rows.u8()?, rows.u16()?);
        definition.hold_ms = rows.u32()?;
        definition.max_daily_change = rows.f64()?;
        definition.min_confidence = rows.f64()?;
        definition.account = rows.u64()?;
        let blocked_hours = [rows.u64()?, rows.u64()?, rows.u64()?];
        let codes = Codes {
            strategy,
            is_active,
            count,
            blocked_hours,
            reserved: rows.u64()?,
        };
        Some((definition, codes))
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.u64(self.key);
        for amount in [
            self.budget_micros,
            self.starts_at_ms,
            self.ends_at_ms,
            self.conversion_value_micros,
            self.target_cpa_micros,
        ] {
            out.i64(amount);
        }
        out.f64(self.target_roas);
        for amount in [
            self.target_reach,
            self.daily_cap_micros,
            self.min_bid_micros,
            self.max_bid_micros,
        ] {
            out.i64(amount);
        }
        out.f64(self.max_change);
        out.u32(self.unit_micros);
        out.u32(self.calendar);
        out.u8(self.strategy as u8);
        out.u8(u8::from(self.is_active));
        out.u16(u16::try_from(self.series.len() as i128).unwrap_or(u16::MAX));
        out.u32(self.hold_ms);
        out.f64(self.max_daily_change);
        out.f64(self.min_confidence);
        out.u64(self.account);
        self.blocked_hours
            .words()
            .iter()
            .for_each(|&word| out.u64(word));
        out.u64(0);
        for series in &self.series {
            series.write(out);
        }
    }

    fn check(&self) -> Result<(), CoreError> {
        let key = self.key;
        let refuse = |field, wanted, found| {
            Err(CoreError::Definition {
                key,
                field,
                wanted,
                found,
            })
        };
        let refuse_ratio = |field, wanted, found| {
            Err(CoreError::DefinitionRatio {
                key,
                field,
                wanted,
                found,
            })
        };
        if key == 0 {
            return refuse("campaign", "a key other than 0", 0);
        }
        if !(1..=MOST_MICROS).contains(&self.budget_micros) {
            return refuse("budget_micros", "1 to 2^53", i128::from(self.budget_micros));
        }
        for (field, found) in [
            ("conversion_value_micros", self.conversion_value_micros),
            ("target_cpa_micros", self.target_cpa_micros),
            ("target_reach", self.target_reach),
            ("daily_cap_micros", self.daily_cap_micros),
            ("min_bid_micros", self.min_bid_micros),
            ("max_bid_micros", self.max_bid_micros),
            ("starts_at_ms", self.starts_at_ms),
        ] {
            if !(0..=MOST_MICROS).contains(&found) {
                return refuse(field, "0 to 2^53", i128::from(found));
            }
        }
        if !(self.starts_at_ms + 1..=MOST_MICROS).contains(&self.ends_at_ms) {
            return refuse(
                "ends_at_ms",
                "after starts_at_ms, to 2^53",
                i128::from(self.ends_at_ms),
            );
        }
        if !(0.0..=1e6).contains(&self.target_roas) {
            return refuse_ratio("target_roas", "0 to 1e6", self.target_roas);
        }
        if !(self.max_change > 0.0 && self.max_change <= 1e6) {
            return refuse_ratio("max_change", "above 0, to 1e6", self.max_change);
        }
        if !(0.0..=1e6).contains(&self.max_daily_change) {
            return refuse_ratio("max_daily_change", "0 to 1e6", self.max_daily_change);
        }
        if !(0.0..=1.0).contains(&self.min_confidence) {
            return refuse_ratio("min_confidence", "0 to 1", self.min_confidence);
        }
        if !(1..=MOST_UNIT_MICROS).contains(&self.unit_micros) {
            return refuse("unit_micros", "1 to 1000000", i128::from(self.unit_micros));
        }
        if self.series.is_empty() || self.series.len() > MOST_SERIES {
            return refuse("series_count", "1 to 256", self.series.len() as i128);
        }
        if self.max_bid_micros != 0 && self.min_bid_micros > self.max_bid_micros {
            return refuse(
                "min_bid_micros",
                "at most max_bid_micros",
                i128::from(self.min_bid_micros),
            );
        }
        self.series
            .iter()
            .try_for_each(|series| self.check_series(series))
    }

    fn check_series(&self, series: &SeriesBounds) -> Result<(), CoreError> {
        let key = series.key;
        let refuse = |field, wanted, found| {
            Err(CoreError::Definition {
                key,
                field,
                wanted,
                found,
            })
        };
        if key == 0 {
            return refuse("series", "a key other than 0", 0);
        }
        for (field, found) in [
            ("series.min_bid_micros", series.min_bid_micros),
            ("series.max_bid_micros", series.max_bid_micros),
            ("series.daily_cap_micros", series.daily_cap_micros),
        ] {
            if !(0..=MOST_MICROS).contains(&found) {
                return refuse(field, "0 to 2^53", i128::from(found));
            }
        }
        let (low, high) = self.bid_bounds(series);
        if low > high {
            return refuse(
                "series.min_bid_micros",
                "at most every max_bid_micros",
                i128::from(low),
            );
        }
        Ok(())
    }

    /// Returns the least and the most that may be bid on a platform: the tighter of its own and
    /// the campaign's. The least is at least one micro, for 0 is no bid.
    #[must_use]
    pub fn bid_bounds(&self, series: &SeriesBounds) -> (i64, i64) {
        let most = |bound: i64| if bound == 0 { MOST_MICROS } else { bound };
        let low = self.min_bid_micros.max(series.min_bid_micros).max(1);
        (
            low,
            most(self.max_bid_micros).min(most(series.max_bid_micros)),
        )
    }
}

/// The fields of a row that are to be understood yet.
struct Codes {
    strategy: u8,
    is_active: u8,
    count: u16,
    blocked_hours: [u64; 3],
    reserved: u64,
}

impl SeriesBounds {
    fn read(rows: &mut Reader<'_>) -> Option<(Self, u64)> {
        let bounds = Self {
            key: rows.u64()?,
            min_bid_micros: rows.i64()?,
            max_bid_micros: rows.i64()?,
            daily_cap_micros: rows.i64()?,
            is_blocked: false,
        };
        Some((bounds, rows.u64()?))
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.u64(self.key);
        out.i64(self.min_bid_micros);
        out.i64(self.max_bid_micros);
        out.i64(self.daily_cap_micros);
        out.u64(u64::from(self.is_blocked));
    }
}

fn whole_rows(what: &'static str, bytes: &[u8], row: usize) -> Result<(), CoreError> {
    let found = bytes.len() as u64;
    if bytes.len().is_multiple_of(row) {
        return Ok(());
    }
    Err(CoreError::Rows {
        what,
        wanted: found.div_ceil(row as u64) * row as u64,
        found,
    })
}
