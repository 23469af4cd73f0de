//! What holds of a closed-form sweep, whoever does it and in however many parts.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

use engine_core::error::CoreError;
use engine_core::sweep::{Counted, DECISION_BYTES, Layout, Sweep};
use engine_core::verdict::Binding;
use engine_core::window::{Pushed, Sample, Windows};
use proptest::prelude::*;

const DAY_MS: i64 = 86_400_000;

fn layout(campaigns: usize, threads: usize) -> Layout {
    Layout {
        campaigns,
        platforms: 4,
        window: 8,
        tick_ms: 1,
        unit_micros: 100,
        threads,
    }
}

fn row(slot: usize, sample: Sample) -> [u8; 32] {
    let mut row = [0xee; 32]; // what is between is not read
    row[..8].copy_from_slice(&(slot as u64).to_le_bytes());
    row[16..].copy_from_slice(&sample.to_bytes());
    row
}

/// Value 20 a conversion, no greatest bid, and a flight of a day.
fn plan(budget: i64, max_bid: i64) -> Vec<u8> {
    [20_000_000, max_bid, budget, -1, 0, DAY_MS]
        .into_iter()
        .flat_map(i64::to_le_bytes)
        .collect()
}

/// Returns rows of so many turns for all slots, each with a market of its own.
fn feed(campaigns: usize, turns: u32) -> Vec<u8> {
    let mut rows = Vec::new();
    for turn in 0..turns {
        for slot in 0..4 * campaigns {
            let noise = u32::try_from(slot * 7919 + 31)
                .unwrap()
                .wrapping_mul(turn + 1)
                % 97;
            let sample = Sample {
                tick: turn * 2000 + noise,
                clicks: if slot % 11 == 0 { 0 } else { 20 + noise },
                milliconversions: 13 * noise,
                spend_units: 100_000 + 1009 * noise,
            };
            rows.extend(row(slot, sample));
        }
    }
    rows
}

/// The same rows for any number of threads: restated, late, out of range and of no slot among them.
fn unruly(campaigns: usize) -> Vec<u8> {
    let mut rows = feed(campaigns, 3);
    let sample = |tick| Sample {
        tick,
        clicks: 3,
        milliconversions: 1000,
        spend_units: 700,
    };
    for slot in (0..4 * campaigns).step_by(97) {
        rows.extend(row(slot, sample(2000)));
        rows.extend(row(slot, sample(2000)));
        rows.extend(row(4 * campaigns + slot, sample(4000)));
        let clicks = u32::MAX;
        rows.extend(row(
            slot,
            Sample {
                clicks,
                ..sample(9000)
            },
        ));
        for tick in 0..9 {
            rows.extend(row(slot, sample(5000 + tick)));
        }
        rows.extend(row(slot, sample(1)));
    }
    rows
}

fn decided(sweep: &mut Sweep, at_ms: i64) -> Vec<u8> {
    let mut out = vec![0xaa; sweep.layout().campaigns * DECISION_BYTES];
    sweep.decide(at_ms, 2000, &mut out).unwrap();
    out
}

fn bid(row: &[u8]) -> i64 {
    i64::from_le_bytes(row[..8].try_into().unwrap())
}

fn one(plan: &[u8]) -> Sweep {
    let mut sweep = Sweep::new(layout(1, 1)).unwrap();
    sweep.set_plans(0, plan).unwrap();
    for turn in 0..10 {
        let sample = Sample {
            tick: turn * 2000,
            clicks: 40,
            milliconversions: 2000,
            spend_units: 100_000,
        };
        sweep.ingest(&row(2, sample)).unwrap();
    }
    sweep
}

#[test]
fn decisions_are_the_same_to_the_bit_for_any_number_of_threads_and_any_neighbours() {
    let campaigns = 51_000; // enough that a second thread is woken
    let rows = unruly(campaigns);
    let (mut bytes, mut counts) = (Vec::new(), Vec::new());
    for threads in [1, 2, 3] {
        let mut sweep = Sweep::new(layout(campaigns, threads)).unwrap();
        sweep
            .set_plans(0, &plan(1 << 40, 0).repeat(campaigns))
            .unwrap();
        counts.push(sweep.ingest(&rows).unwrap());
        sweep.verify().unwrap();
        let spent: Vec<_> = (0..campaigns).map(|one| sweep.spent_units(one)).collect();
        bytes.push((decided(&mut sweep, 6000), spent));
    }
    assert!(bytes.iter().all(|found| *found == bytes[0]));
    let all = counts[0];
    assert_eq!(counts, [all; 3]);
    let each = [all.replaced, all.late, all.unknown, all.refused];
    assert!(each.iter().all(|&count| count > 0), "{all:?}");
    for campaign in [0, 1, 31, 32, 50_999] {
        let mut alone = Sweep::new(layout(1, 1)).unwrap();
        alone.set_plans(0, &plan(1 << 40, 0)).unwrap();
        for row in rows.chunks_exact(32) {
            let slot = usize::try_from(u64::from_le_bytes(row[..8].try_into().unwrap())).unwrap();
            if slot / 4 == campaign {
                let mut row = row.to_vec();
                row[..8].copy_from_slice(&((slot % 4) as u64).to_le_bytes());
                alone.ingest(&row).unwrap();
            }
        }
        let among = &bytes[0].0[campaign * DECISION_BYTES..][..DECISION_BYTES];
        assert_eq!(decided(&mut alone, 6000), among, "{campaign}");
    }
}

#[test]
fn a_bid_is_what_a_click_is_worth_and_no_more_than_the_greatest() {
    let found = decided(&mut one(&plan(1 << 50, 0)), 20_000);
    assert_eq!(bid(&found), 1_000_000, "CVR 0.05 of 20");
    assert_eq!((found[28], found[30]), (2, Binding::None as u8));
    let found = decided(&mut one(&plan(1 << 50, 700_000)), 20_000);
    assert_eq!((bid(&found), found[30]), (700_000, Binding::MaxBid as u8));
}

#[test]
fn pacing_holds_bids_back_ahead_of_plan_alone() {
    // 100 spent of 200 at a tenth of the flight: half of the budget for nine tenths of it.
    let found = decided(&mut one(&plan(200_000_000, 0)), DAY_MS / 10);
    let pacing = f32::from_le_bytes(found[24..28].try_into().unwrap());
    assert!((pacing - 0.5 / 0.9).abs() < 1e-6, "{pacing}");
    assert_eq!(found[30], Binding::Pacing as u8);
    let found = decided(&mut one(&plan(200_000_000, 0)), DAY_MS / 10 * 9);
    assert_eq!(
        f32::from_le_bytes(found[24..28].try_into().unwrap()).to_bits(),
        1_f32.to_bits()
    );
}

#[test]
fn a_campaign_that_may_not_bid_says_why() {
    let held = |plan: &[u8], at_ms| {
        let found = decided(&mut one(plan), at_ms);
        assert_eq!(bid(&found), 0);
        found[30]
    };
    assert_eq!(held(&plan(100_000_000, 0), 20_000), Binding::Budget as u8);
    assert_eq!(held(&plan(0, 0), 20_000), Binding::Budget as u8);
    assert_eq!(held(&plan(1 << 50, 0), DAY_MS), Binding::FlightOver as u8);
    let mut later = plan(1 << 50, 0);
    later[32..40].copy_from_slice(&30_000_i64.to_le_bytes());
    assert_eq!(held(&later, 20_000), Binding::NotStarted as u8);
    let mut worthless = plan(1 << 50, 0);
    worthless[..8].copy_from_slice(&1_000_000_i64.to_le_bytes());
    assert_eq!(held(&worthless, 20_000), Binding::PoorRoi as u8);
    let mut unknown = Sweep::new(layout(1, 1)).unwrap();
    unknown.set_plans(0, &plan(1 << 50, 0)).unwrap();
    let found = decided(&mut unknown, 0);
    assert_eq!(
        (found[30], &found[28..30]),
        (Binding::ThinData as u8, &[255, 255][..])
    );
    let mut planless = Sweep::new(layout(1, 1)).unwrap();
    assert_eq!(decided(&mut planless, 0)[30], Binding::FlightOver as u8);
}

#[test]
fn a_row_that_cannot_be_counted_does_not_cost_its_neighbours() {
    let mut sweep = Sweep::new(layout(1, 1)).unwrap();
    let at = |tick| Sample {
        tick,
        clicks: 1,
        milliconversions: 0,
        spend_units: 5,
    };
    let huge = Sample {
        clicks: 1 << 31,
        ..at(9)
    };
    let restated = Sample {
        spend_units: 7,
        ..at(10)
    };
    let rows = [
        row(0, at(10)),
        row(4, at(10)),
        row(usize::MAX, at(10)),
        row(1, huge),
        row(0, restated),
    ];
    let counted = sweep.ingest(rows.as_flattened()).unwrap();
    let wanted = Counted {
        accepted: 1,
        replaced: 1,
        late: 0,
        unknown: 2,
        refused: 1,
    };
    assert_eq!(counted, wanted);
    assert_eq!(sweep.spent_units(0), Some(7));
}

#[test]
fn what_is_refused_changes_nothing() {
    let mut sweep = one(&plan(1 << 50, 0));
    let before = decided(&mut sweep, 20_000);
    let half = &row(2, Sample::default())[..31];
    assert!(matches!(sweep.ingest(half), Err(CoreError::Rows { .. })));
    let mut backwards = plan(5, 5);
    backwards[40..].copy_from_slice(&0_i64.to_le_bytes());
    for (first, plans) in [(0, &plan(-1, 0)), (0, &backwards), (1, &plan(5, 5))] {
        assert!(sweep.set_plans(first, plans).is_err());
    }
    let mut small = [0; DECISION_BYTES - 1];
    assert!(matches!(
        sweep.decide(20_000, 0, &mut small),
        Err(CoreError::Rows { .. })
    ));
    assert!(sweep.decide(-1, 0, &mut [0; DECISION_BYTES]).is_err());
    assert!(sweep.forecast(0, 4, 0, 0).is_err());
    assert_eq!(decided(&mut sweep, 20_000), before);
}

proptest! {
    #[test]
    fn a_batch_is_counted_as_its_rows_one_by_one(
        rows in prop::collection::vec((0..5_usize, 0..400_u32, any::<[u16; 3]>()), 0..400),
        capacity in 2..20_usize,
    ) {
        let (mut whole, mut single) = (Windows::new(capacity).unwrap(), Windows::new(capacity).unwrap());
        for _ in 0..4 {
            whole.add();
            single.add();
        }
        let read = |&(slot, tick, [clicks, conversions, spend]): &(usize, u32, [u16; 3])| {
            let sample = Sample {
                tick: tick * 9000,
                clicks: clicks.into(),
                milliconversions: u32::from(conversions) << (tick % 20),
                spend_units: spend.into(),
            };
            (slot, sample)
        };
        let mut became: Vec<Result<Pushed, CoreError>> = Vec::new();
        whole.push_all(&rows, read, |_, _, pushed| became.push(pushed));
        for (row, found) in rows.iter().zip(&became) {
            let (slot, sample) = read(row);
            prop_assert_eq!(&single.push(slot, sample), found);
        }
        prop_assert_eq!(became.len(), rows.len());
        prop_assert_eq!(&whole, &single);
        for slot in 0..4 {
            prop_assert_eq!(whole.verify(slot), Ok(()));
        }
    }
}
