//! What a round says of campaigns and their platforms: rows of bytes, and whether they say anything new.
//!
//! `python/engine/core/rows.py` holds the same layout (`DECISION_ROW`, `SERIES_DECISION_ROW`).

use crate::bytes::Writer;
use crate::campaign::{Campaign, Series, Told};
use crate::money::Micros;
use crate::outlook::condition::Condition;
use crate::round::Round;
use crate::verdict::{Binding, Offer, Verdict};
use std::ops::Range;

/// Bytes of a campaign's decision.
pub const DECISION_BYTES: usize = 48;
/// Bytes of a series' part of it.
pub const SERIES_DECISION_BYTES: usize = 72;

/// A change of a bid below this part of it is not worth reporting.
const RESOLUTION: f64 = 0.001;

/// The rows of a round while it is written.
pub(crate) struct Rows {
    decisions: Writer,
    series: Writer,
    settled: Micros,
    reserved: Micros,
}

impl Rows {
    pub(crate) fn with_room(campaigns: usize, series: usize) -> Self {
        Self {
            decisions: Writer::with_capacity(campaigns * DECISION_BYTES),
            series: Writer::with_capacity(series * SERIES_DECISION_BYTES),
            settled: Micros::ZERO,
            reserved: Micros::ZERO,
        }
    }

    pub(crate) fn done(self) -> Round {
        Round {
            decisions: self.decisions.bytes,
            series: self.series.bytes,
            settled: self.settled,
            reserved: self.reserved,
        }
    }

    /// Writes a campaign's decision, and notes it as told where it says anything new.
    pub(crate) fn write(
        &mut self,
        campaign: &mut Campaign,
        series: &mut [Series],
        verdict: &Verdict,
        offers: &[Offer],
        (settled, reserved): (Micros, Micros),
    ) {
        self.settled = self.settled.saturating_add(settled);
        self.reserved = self.reserved.saturating_add(reserved);
        let first = self.series.bytes.len() / SERIES_DECISION_BYTES;
        for (&slot, offer) in campaign.series.iter().zip(offers) {
            if let Some(series) = series.get(slot) {
                write_offer(&mut self.series, series, offer);
            }
        }
        let dropped = campaign.dropped.iter().filter_map(|&slot| series.get(slot));
        for series in dropped.filter(|series| is_owed(series)) {
            write_stopped(&mut self.series, series);
        }
        let rows = first..self.series.bytes.len() / SERIES_DECISION_BYTES;
        let best = best_index(verdict);
        let told = Told::new(verdict.action, verdict.binding, best, settled, reserved);
        let is_changed = tell(campaign, series, told);
        let totals = (settled, reserved);
        write_decision(
            &mut self.decisions,
            campaign,
            verdict,
            totals,
            rows,
            is_changed,
        );
    }
}

/// Notes what is reported; returns whether it differs from what was last reported changed.
fn tell(campaign: &mut Campaign, series: &mut [Series], told: Told) -> bool {
    let mut is_changed = campaign.told != Some(told);
    for series in campaign.slots().filter_map(|slot| series.get(slot)) {
        let (bid, cap) = series.told;
        is_changed |= cap != series.account.cap || is_beyond_resolution(bid, series.bid_micros);
    }
    if is_changed {
        campaign.told = Some(told);
        for slot in campaign.slots() {
            if let Some(series) = series.get_mut(slot) {
                series.told = (series.bid_micros, series.account.cap);
            }
        }
    }
    is_changed
}

#[allow(clippy::cast_precision_loss)]
fn is_beyond_resolution(before: i64, now: i64) -> bool {
    now.abs_diff(before) as f64 > RESOLUTION * before as f64
}

/// Returns whether a platform that was dropped has to be told so, or may yet have to be told again: what
/// it may spend by a cap given before is not proven over.
fn is_owed(series: &Series) -> bool {
    series.account.reserved() > Micros::ZERO || series.told != (0, series.account.cap)
}

fn best_index(verdict: &Verdict) -> i16 {
    verdict
        .best
        .and_then(|best| i16::try_from(best).ok())
        .unwrap_or(-1)
}

fn write_decision(
    out: &mut Writer,
    campaign: &Campaign,
    verdict: &Verdict,
    (settled, reserved): (Micros, Micros),
    rows: Range<usize>,
    is_changed: bool,
) {
    let [first_0, first_1, first_2, first_3] =
        u32::try_from(rows.start).unwrap_or(u32::MAX).to_le_bytes();
    let [count_0, count_1] = u16::try_from(rows.len()).unwrap_or(u16::MAX).to_le_bytes();
    let [best_0, best_1] = best_index(verdict).to_le_bytes();
    let (action, binding) = (verdict.action as u8, verdict.binding as u8);
    out.words([
        campaign.definition.key.to_le_bytes(),
        settled.0.to_le_bytes(),
        reserved.0.to_le_bytes(),
        campaign.pacing.multiplier.to_le_bytes(),
        [
            first_0, first_1, first_2, first_3, count_0, count_1, best_0, best_1,
        ],
        [action, binding, u8::from(is_changed), 0, 0, 0, 0, 0],
    ]);
}

fn write_offer(out: &mut Writer, series: &Series, offer: &Offer) {
    out.words([
        series.key.to_le_bytes(),
        offer.bid_micros.to_le_bytes(),
        series.account.cap.0.to_le_bytes(),
        offer.cpc_micros.to_le_bytes(),
        offer.cvr.to_le_bytes(),
        offer.roi_micros.to_le_bytes(),
        offer.confidence.to_le_bytes(),
        offer.planned_micros.to_le_bytes(),
        codes(offer.bound_by, series.condition()),
    ]);
}

fn write_stopped(out: &mut Writer, series: &Series) {
    let (none, unknown) = (0.0_f64.to_le_bytes(), f64::NAN.to_le_bytes());
    out.words([
        series.key.to_le_bytes(),
        0_i64.to_le_bytes(),
        series.account.cap.0.to_le_bytes(),
        unknown, // nothing is forecast for it
        unknown,
        unknown,
        none,
        none,
        codes(Binding::Dropped, Condition::Thin),
    ]);
}

fn codes(bound_by: Binding, condition: Condition) -> [u8; 8] {
    [bound_by as u8, condition as u8, 0, 0, 0, 0, 0, 0]
}
