//! What campaigns may spend by when, as columns, and what becomes of their best platforms by it.

use super::DECISION_BYTES;
use super::lanes::{Block, LANES, Lane};
use super::moments::{Due, integer};
use crate::bytes::Reader;
use crate::definition::MOST_MICROS;
use crate::error::CoreError;
use crate::verdict::Binding;

/// Bytes of a plan: value of a conversion, greatest bid (0: none), budget, spent before (−1: as
/// counted), all in micros, and the flight's beginning and end in ms; each an `i64`.
pub const PLAN_BYTES: usize = 48;

/// Micros added before a bid is cut to whole ones: a product that is whole on paper is often a last bit
/// short of it.
const FORGIVEN: f64 = 0.001;

/// The plans of all campaigns.
#[derive(Debug)]
pub(super) struct Plans {
    campaigns: usize,
    // Columns, in whole blocks.
    /// In units, as the next two.
    value: Vec<f64>,
    max_bid: Vec<f64>,
    budget: Vec<f64>,
    ends_at_ms: Vec<f64>,
    /// 1 / the flight's length in ms; 0: it has no plan.
    per_flight: Vec<f64>,
    /// Units that reports have shown.
    spent: Vec<u64>,
    unit_micros: f64,
}

/// One plan as a row says it.
struct Plan {
    value: i64,
    max_bid: i64,
    budget: i64,
    spent: i64,
    starts_at_ms: i64,
    ends_at_ms: i64,
}

impl Plans {
    pub(super) fn new(campaigns: usize, unit_micros: f64) -> Self {
        let room = campaigns.next_multiple_of(LANES);
        Self {
            campaigns,
            value: vec![0.0; room],
            max_bid: vec![0.0; room],
            budget: vec![0.0; room],
            ends_at_ms: vec![0.0; room],
            per_flight: vec![0.0; room],
            spent: vec![0; room],
            unit_micros,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        48 * self.value.len()
    }

    pub(super) fn spent(&self, campaign: usize) -> Option<u64> {
        let spent = self.spent.get(campaign).copied();
        spent.filter(|_| campaign < self.campaigns)
    }

    /// Returns the units that reports have shown, campaign by campaign.
    pub(super) fn spent_mut(&mut self) -> &mut [u64] {
        &mut self.spent
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "amounts and times are at most 2^53"
    )]
    pub(super) fn set(
        &mut self,
        first: usize,
        rows: &[u8],
        unit_micros: u32,
    ) -> Result<(), CoreError> {
        let room = self.campaigns.saturating_sub(first);
        let count = rows.len() / PLAN_BYTES;
        if count * PLAN_BYTES != rows.len() || count > room {
            return Err(CoreError::Rows {
                what: "sweep plans",
                wanted: (count.min(room) * PLAN_BYTES) as u64,
                found: rows.len() as u64,
            });
        }
        let numbered = || (first..).zip(rows.chunks_exact(PLAN_BYTES));
        for (campaign, row) in numbered() {
            Plan::read(row).map_or(Ok(()), |plan| plan.check(campaign))?;
        }
        let units = |micros: i64| micros as f64 / self.unit_micros;
        for (campaign, row) in numbered() {
            let Some(plan) = Plan::read(row) else {
                continue;
            };
            let max_bid = if plan.max_bid == 0 {
                f64::INFINITY
            } else {
                units(plan.max_bid)
            };
            for (column, number) in [
                (&mut self.value, units(plan.value)),
                (&mut self.max_bid, max_bid),
                (&mut self.budget, units(plan.budget)),
                (&mut self.ends_at_ms, plan.ends_at_ms as f64),
                (
                    &mut self.per_flight,
                    1.0 / (plan.ends_at_ms - plan.starts_at_ms) as f64,
                ),
            ] {
                if let Some(place) = column.get_mut(campaign) {
                    *place = number;
                }
            }
            if let (Ok(spent), Some(place)) =
                (u64::try_from(plan.spent), self.spent.get_mut(campaign))
            {
                *place = spent.div_ceil(u64::from(unit_micros));
            }
        }
        Ok(())
    }

    /// Returns what a conversion is worth to the campaigns from `first` on, in units.
    #[inline(always)]
    pub(super) fn values(&self, first: usize) -> Option<&Lane> {
        lane(&self.value, first)
    }

    /// Writes the decisions of a block of campaigns, the first of them `first`.
    #[inline(always)]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "spend is below 2^53; a bid is cut to whole micros, the rest is for reading"
    )]
    pub(super) fn decide(
        &self,
        block: &Block,
        first: usize,
        due: &Due,
        rows: &mut [[u8; DECISION_BYTES]],
    ) {
        let columns = [
            &self.value,
            &self.max_bid,
            &self.budget,
            &self.ends_at_ms,
            &self.per_flight,
        ];
        let [
            Some(value),
            Some(max_bid),
            Some(budget),
            Some(ends_at_ms),
            Some(per_flight),
        ] = columns.map(|column| lane(column, first))
        else {
            return;
        };
        let Some(spent) = lane(&self.spent, first) else {
            return;
        };
        let at_ms = due.at_ms as f64;
        let mut bids = [0.0; LANES];
        let mut words = [[0; LANES]; 3];
        for lane in 0..LANES {
            let best = block.best(lane, value);
            #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
            {
                let platform = block.platform[lane];
                let is_known = platform >= 0.0;
                let flight_left = (ends_at_ms[lane] - at_ms) * per_flight[lane];
                let left = budget[lane] - spent[lane] as f64;
                let pace = left / (budget[lane] * flight_left);
                let pace = if pace < 1.0 { pace } else { 1.0 };
                let worth = best.cvr * value[lane] * pace;
                let is_capped = worth > max_bid[lane];
                let found = if is_capped { max_bid[lane] } else { worth };
                let (is_worth_it, is_running) = (best.score > 0.0, flight_left > 0.0);
                // Of those that hold, the last says why.
                let mut bound = Binding::None as u64;
                let mut hold = false;
                let mut note = |is_so: bool, why: Binding, holds: bool| {
                    bound = if is_so { why as u64 } else { bound };
                    hold |= is_so && holds;
                };
                note(pace < 1.0, Binding::Pacing, false);
                note(is_capped, Binding::MaxBid, false);
                note(!is_worth_it, Binding::PoorRoi, true);
                note(!is_known, Binding::ThinData, true);
                note(left <= 0.0, Binding::Budget, true);
                note(flight_left > 1.0, Binding::NotStarted, true);
                note(!is_running, Binding::FlightOver, true);
                let is_open = is_running && left > 0.0;
                let pacing = if is_open { pace } else { 0.0 };
                let confidence = if is_known { best.confidence } else { 0.0 };
                let score = if is_known { best.score } else { f64::NAN };
                let (score, cpc) = (score * self.unit_micros, best.cpc * self.unit_micros);
                bids[lane] = if hold {
                    0.0
                } else {
                    found * self.unit_micros + FORGIVEN
                };
                let last = integer(platform) & 0xffff | bound << 16;
                for (column, (low, high)) in words.iter_mut().zip([
                    (shown(score), shown(cpc)),
                    (shown(best.cvr), shown(confidence)),
                    (shown(pacing), last),
                ]) {
                    column[lane] = low | high << 32;
                }
            }
        }
        for (lane, row) in rows.iter_mut().enumerate().take(LANES) {
            #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
            let rest = words.each_ref().map(|column| column[lane].to_le_bytes());
            #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
            let bid = (bids[lane] as i64).to_le_bytes();
            for (place, word) in row
                .as_chunks_mut()
                .0
                .iter_mut()
                .zip([&bid].into_iter().chain(&rest))
            {
                *place = *word;
            }
        }
    }
}

/// Returns the bits of a number as it is shown.
#[inline(always)]
#[allow(
    clippy::cast_possible_truncation,
    reason = "24 bits are enough to read"
)]
fn shown(number: f64) -> u64 {
    u64::from((number as f32).to_bits())
}

/// Returns the numbers of a block of campaigns.
#[inline(always)]
fn lane<T>(column: &[T], first: usize) -> Option<&[T; LANES]> {
    column.get(first..)?.first_chunk()
}

impl Plan {
    fn read(row: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(row);
        Some(Self {
            value: reader.i64()?,
            max_bid: reader.i64()?,
            budget: reader.i64()?,
            spent: reader.i64()?,
            starts_at_ms: reader.i64()?,
            ends_at_ms: reader.i64()?,
        })
    }

    fn check(&self, campaign: usize) -> Result<(), CoreError> {
        let fields = [
            ("value_micros", self.value, 0),
            ("max_bid_micros", self.max_bid, 0),
            ("budget_micros", self.budget, 0),
            ("spent_micros", self.spent, -1),
            ("starts_at_ms", self.starts_at_ms, 0),
            ("ends_at_ms", self.ends_at_ms, 0),
        ];
        let key = campaign as u64;
        for (field, found, least) in fields {
            if !(least..=MOST_MICROS).contains(&found) {
                return Err(CoreError::Definition {
                    key,
                    field,
                    wanted: if least < 0 { "-1 to 2^53" } else { "0 to 2^53" },
                    found: found.into(),
                });
            }
        }
        if self.ends_at_ms <= self.starts_at_ms {
            return Err(CoreError::Definition {
                key,
                field: "ends_at_ms",
                wanted: "after starts_at_ms",
                found: self.ends_at_ms.into(),
            });
        }
        Ok(())
    }
}
