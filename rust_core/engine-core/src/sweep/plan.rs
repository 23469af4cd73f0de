//! What campaigns may spend by when, as columns, and what becomes of their best platforms by it.

use super::DECISION_BYTES;
use super::lanes::{Block, Due, LANES, Lane};
use crate::bytes::Reader;
use crate::definition::MOST_MICROS;
use crate::error::CoreError;
use crate::verdict::Binding;

/// Bytes of a plan: value of a conversion, greatest bid (0: none), budget, spent before (−1: as
/// counted), all in micros, and the flight's beginning and end in ms; each an `i64`.
pub const PLAN_BYTES: usize = 48;

/// The plans of all campaigns.
#[derive(Debug)]
pub(super) struct Plans {
    /// In units, as the next two.
    value: Vec<f64>,
    max_bid: Vec<f64>,
    budget: Vec<f64>,
    ends_at_ms: Vec<f64>,
    /// 1 / the flight's length in ms; 0: it has no plan.
    per_flight: Vec<f64>,
    /// Units that reports have shown.
    pub(super) spent: Vec<u64>,
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
        Self {
            value: vec![0.0; campaigns],
            max_bid: vec![0.0; campaigns],
            budget: vec![0.0; campaigns],
            ends_at_ms: vec![0.0; campaigns],
            per_flight: vec![0.0; campaigns],
            spent: vec![0; campaigns],
            unit_micros,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        48 * self.value.len()
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
        let room = self.value.len().saturating_sub(first);
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
    pub(super) fn values(&self, first: usize) -> Lane {
        lane(&self.value, first)
    }

    /// Writes the decisions of a block of campaigns, the first of them `first`.
    #[inline(always)]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "spend is below 2^53; a bid is cut to whole micros, the rest is for reading"
    )]
    pub(super) fn decide(
        &self,
        block: &Block,
        first: usize,
        due: &Due,
        rows: &mut [[u8; DECISION_BYTES]],
    ) {
        let mut spent = [0.0; LANES];
        for (place, &found) in spent
            .iter_mut()
            .zip(self.spent.get(first..).unwrap_or_default())
        {
            *place = found as f64;
        }
        let (value, max_bid) = (self.values(first), lane(&self.max_bid, first));
        let (budget, ends_at_ms) = (lane(&self.budget, first), lane(&self.ends_at_ms, first));
        let per_flight = lane(&self.per_flight, first);
        let at_ms = due.at_ms as f64;
        let (mut pacing, mut bid) = ([0.0; LANES], [0.0; LANES]);
        let mut binding = [0.0; LANES];
        for lane in 0..LANES {
            #[allow(clippy::indexing_slicing, reason = "each has LANES places")]
            {
                let flight_left = (ends_at_ms[lane] - at_ms) * per_flight[lane];
                let left = budget[lane] - spent[lane];
                let pace = left / (budget[lane] * flight_left);
                let pace = if pace < 1.0 { pace } else { 1.0 };
                let worth = block.cvr[lane] * value[lane] * pace;
                let is_capped = worth > max_bid[lane];
                let found = if is_capped { max_bid[lane] } else { worth };
                let (is_worth_it, is_running) = (block.score[lane] > 0.0, flight_left > 0.0);
                // Of those that hold, the last says why.
                let mut bound = Binding::None as u8;
                let mut hold = false;
                let mut note = |is_so: bool, why: Binding, holds: bool| {
                    bound = if is_so { why as u8 } else { bound };
                    hold |= is_so && holds;
                };
                note(pace < 1.0, Binding::Pacing, false);
                note(is_capped, Binding::MaxBid, false);
                note(!is_worth_it, Binding::PoorRoi, true);
                note(block.platform[lane] < 0.0, Binding::ThinData, true);
                note(left <= 0.0, Binding::Budget, true);
                note(flight_left > 1.0, Binding::NotStarted, true);
                note(!is_running, Binding::FlightOver, true);
                let is_open = is_running && left > 0.0;
                pacing[lane] = if is_open { pace } else { 0.0 };
                bid[lane] = if hold { 0.0 } else { found * self.unit_micros };
                binding[lane] = f64::from(bound);
            }
        }
        for (lane, row) in rows.iter_mut().enumerate().take(LANES) {
            #[allow(clippy::indexing_slicing, reason = "a lane is below LANES")]
            {
                let is_known = block.platform[lane] >= 0.0;
                let score = if is_known {
                    block.score[lane]
                } else {
                    f64::NAN
                };
                *row = row_of(
                    bid[lane] as i64,
                    [
                        (score * self.unit_micros) as f32,
                        (block.cpc[lane] * self.unit_micros) as f32,
                        block.cvr[lane] as f32,
                        block.confidence[lane] as f32,
                        pacing[lane] as f32,
                    ],
                    block.platform[lane] as i16,
                    binding[lane] as u8,
                );
            }
        }
    }
}

/// Returns a decision: bid, what it rests on, the best platform and what bound the bid.
#[inline(always)]
fn row_of(bid: i64, parts: [f32; 5], best: i16, binding: u8) -> [u8; DECISION_BYTES] {
    let mut row = [0; DECISION_BYTES];
    let (eights, _) = row.as_chunks_mut::<8>();
    let pair = |low: f32, high: f32| u64::from(low.to_bits()) | u64::from(high.to_bits()) << 32;
    let [score, cpc, cvr, confidence, pacing] = parts;
    let [best_low, best_high] = best.to_le_bytes();
    let last = u32::from_le_bytes([best_low, best_high, binding, 0]);
    let words = [
        u64::from_le_bytes(bid.to_le_bytes()),
        pair(score, cpc),
        pair(cvr, confidence),
        u64::from(pacing.to_bits()) | u64::from(last) << 32,
    ];
    for (place, word) in eights.iter_mut().zip(words) {
        *place = word.to_le_bytes();
    }
    row
}

/// Returns the numbers of a block of campaigns; there may be fewer than lanes.
#[inline(always)]
fn lane(column: &[f64], first: usize) -> Lane {
    let mut lane = [0.0; LANES];
    for (place, &found) in lane.iter_mut().zip(column.get(first..).unwrap_or_default()) {
        *place = found;
    }
    lane
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
