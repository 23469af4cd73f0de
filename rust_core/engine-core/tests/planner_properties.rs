//! What holds of every plan, tried on random days.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a panic is how a test fails, and here floats are equal to the bit or wrong"
)]

use engine_core::error::CoreError;
use engine_core::money::Micros;
use engine_core::planner::{
    Goal, History, Opportunities, Outcomes, PastCampaign, Place, Plan, Planner, Terms,
};
use proptest::prelude::*;

const ROUNDS: usize = 8;
const UNIT: i64 = 1_000_000;

/// A past campaign-day: its worths and prices, spread evenly over the rounds.
#[derive(Debug, Clone)]
struct Past {
    worths: Vec<f32>,
    prices: Vec<f64>,
    bounds: Vec<u32>,
}

fn past() -> impl Strategy<Value = Past> {
    prop::collection::vec((1e-4..0.1_f32, 1e-3..2.0_f64, 1.0..2.0_f64), 1..200).prop_map(|seen| {
        let share = |round: usize| (seen.len() * round / ROUNDS) as u32;
        Past {
            worths: seen.iter().map(|(worth, _, _)| *worth).collect(),
            prices: seen
                .iter()
                .flat_map(|(_, o, up)| [o * up * up, o * up, *o])
                .collect(),
            bounds: (0..=ROUNDS).map(share).collect(),
        }
    })
}

fn history() -> impl Strategy<Value = Option<History>> {
    let days = prop::collection::vec(prop::collection::vec(past(), 2), 0..4);
    days.prop_map(|days| {
        let mut history = History::new(ROUNDS, [1.0, 0.8, 0.48]).unwrap();
        for day in &days {
            let day = day.iter().zip(1..).map(|(past, identity)| PastCampaign {
                identity,
                worths: &past.worths,
                prices: &past.prices,
                bounds: &past.bounds,
            });
            history.add_day(&day.collect::<Vec<_>>()).unwrap();
        }
        (!days.is_empty()).then_some(history)
    })
}

fn goal() -> impl Strategy<Value = Goal> {
    prop::sample::select(vec![Goal::Hard, Goal::Soft, Goal::Budget])
}

fn terms() -> impl Strategy<Value = Terms> {
    (
        goal(),
        any::<bool>(),
        1..200_000_000_i64,
        1..100_000_000_i64,
    )
        .prop_map(|(goal, first_price, budget, target)| Terms {
            goal,
            first_price,
            pacing: None,
            budget: Micros(budget),
            target: Micros(target),
            unit: Micros(UNIT),
        })
}

fn rounds() -> impl Strategy<Value = Vec<Vec<f64>>> {
    prop::collection::vec(prop::collection::vec(0.0..0.1_f64, 0..40), 1..ROUNDS)
}

fn planner(history: Option<&History>, terms: &Terms, platforms: u64) -> Planner {
    let places = (1..=platforms).map(|identity| Place {
        identity,
        opportunities: 300.0,
    });
    Planner::new(history, ROUNDS, terms, &places.collect::<Vec<_>>()).unwrap()
}

fn decide(planner: &mut Planner, round: usize, worths: &[f64]) -> Plan {
    let found = Opportunities {
        worths,
        sigmas: None,
        counts: None,
    };
    planner
        .decide(round, &vec![found; planner.platforms()])
        .unwrap()
}

/// Wins what is above the median price.
fn observe(planner: &mut Planner, round: usize, worths: &[f64], plan: &Plan) {
    for (platform, bids) in plan.bids.iter().enumerate() {
        let prices: Vec<f64> = (0..bids.len())
            .map(|index| 0.01 + 0.03 * index as f64)
            .collect();
        let won: Vec<u8> = bids
            .iter()
            .zip(&prices)
            .map(|(b, o)| u8::from(b > o))
            .collect();
        let outcomes = Outcomes {
            prices: &prices,
            worths,
            bids,
            paid: &prices,
            won: &won,
            exposed: &won,
            cost: Micros(won.iter().map(|won| i64::from(*won) * 20_000).sum()),
        };
        planner.observe(round, platform, &outcomes).unwrap();
    }
}

/// Runs a day; returns its plans.
fn run(planner: &mut Planner, rounds: &[Vec<f64>]) -> Vec<Plan> {
    let decided = rounds.iter().enumerate().map(|(round, worths)| {
        let plan = decide(planner, round, worths);
        observe(planner, round, worths, &plan);
        plan
    });
    decided.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_number_of_every_plan_is_finite_and_not_negative(
        history in history(), terms in terms(), rounds in rounds(), platforms in 1..4_u64,
    ) {
        let mut planner = planner(history.as_ref(), &terms, platforms);
        for plan in run(&mut planner, &rounds) {
            let bids = plan.bids.iter().flatten();
            let curves = plan.conversions.iter().chain(&plan.spend).chain(&plan.shadow_prices);
            let single = [plan.shadow_price, plan.probability, plan.day_conversions];
            for number in bids.chain(curves).chain(&single) {
                prop_assert!(number.is_finite() && *number >= 0.0, "{number}");
            }
            prop_assert!(plan.round_spend.iter().chain(&plan.day_spend).all(|spend| spend.0 >= 0));
            prop_assert!(plan.shadow_price <= 7.5 * terms.target.0 as f64 / UNIT as f64);
        }
    }

    #[test]
    fn bids_never_fall_with_the_worth_nor_differ_between_equal_platforms(
        history in history(), terms in terms(), mut rounds in rounds(),
    ) {
        for worths in &mut rounds {
            worths.sort_by(f64::total_cmp);
        }
        let mut planner = planner(history.as_ref(), &terms, 2);
        for plan in run(&mut planner, &rounds) {
            for bids in &plan.bids {
                prop_assert!(bids.is_sorted(), "{bids:?}");
            }
            prop_assert_eq!(&plan.bids[0], &plan.bids[1]);
        }
    }

    #[test]
    fn more_budget_never_lowers_the_shadow_price(
        history in history(), terms in terms(), worths in prop::collection::vec(0.0..0.1_f64, 40),
    ) {
        let mut last = 0.0;
        for budget in [100_000, 1_000_000, 5_000_000, 50_000_000, 1_000_000_000] {
            // Goals are the exception, by a part of a percent: a hard one's margin grows with the
            // budget, and where a budget ends some of the days that may come, to bid more is free
            // on them for a soft one.
            let goal = Goal::Budget;
            let terms = Terms { budget: Micros(budget), goal, ..terms };
            let mut planner = planner(history.as_ref(), &terms, 1);
            let plan = decide(&mut planner, 0, &worths);
            prop_assert!(plan.shadow_price >= last * (1.0 - 1e-12));
            last = plan.shadow_price;
        }
    }

    #[test]
    fn the_allocation_is_what_the_curves_say_and_marginal_returns_are_equal(
        history in history(), terms in terms(), rounds in rounds(),
    ) {
        let mut planner = planner(history.as_ref(), &terms, 3);
        for plan in run(&mut planner, &rounds) {
            if plan.shadow_price <= 0.0 {
                continue;
            }
            // The day's spend by platform adds up to the whole day's curve, read at the price.
            let day: i64 = plan.day_spend.iter().map(|spend| spend.0).sum();
            let above = plan.shadow_prices.partition_point(|price| *price < plan.shadow_price);
            let low = plan.spend[above.saturating_sub(1)] * UNIT as f64;
            let high = plan.spend[above.min(plan.spend.len() - 1)] * UNIT as f64;
            prop_assert!(day as f64 >= low * (1.0 - 1e-9) - 3.0, "{day} {low}");
            prop_assert!(day as f64 <= high * (1.0 + 1e-9) + 3.0, "{day} {high}");
        }
    }

    #[test]
    fn each_step_of_the_shadow_price_buys_at_that_price(
        history in history(), terms in terms(), worths in prop::collection::vec(0.0..0.1_f64, 40),
    ) {
        let mut planner = planner(history.as_ref(), &terms, 2);
        let plan = decide(&mut planner, 0, &worths);
        let steps = plan.spend.windows(2).zip(plan.conversions.windows(2));
        for ((spend, conversions), prices) in steps.zip(plan.shadow_prices.windows(2)) {
            let (cost, brought) = (spend[1] - spend[0], conversions[1] - conversions[0]);
            // Slopes between the two prices, but for prices that drift by a part of a step, whose
            // curves are read between neighbours: so the front is concave, and returns are equal.
            let drift = 0.1_f64.exp();
            let slack = 1e-9 * (1.0 + spend[1] + prices[1] * conversions[1]);
            prop_assert!(cost >= -slack && brought >= -1e-9 * (1.0 + conversions[1]));
            prop_assert!(cost <= prices[1] * drift * brought + slack);
            prop_assert!(cost >= prices[0] / drift * brought - slack);
        }
    }

    #[test]
    fn the_same_calls_give_the_same_bits_and_so_does_a_restart(
        history in history(), terms in terms(), rounds in rounds(),
    ) {
        let mut first = planner(history.as_ref(), &terms, 2);
        let mut second = planner(history.as_ref(), &terms, 2);
        let plans = run(&mut first, &rounds);
        for (round, (worths, wanted)) in rounds.iter().zip(&plans).enumerate() {
            let kept = history.as_ref().map(|h| History::restore(&h.snapshot()).unwrap());
            second = Planner::restore(kept.as_ref(), &second.snapshot()).unwrap();
            let plan = decide(&mut second, round, worths);
            prop_assert_eq!(&plan, wanted);
            observe(&mut second, round, worths, &plan);
        }
        prop_assert_eq!(first.snapshot(), second.snapshot());
    }

    #[test]
    fn no_bytes_at_all_make_a_snapshot_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(History::restore(&bytes).is_err());
        prop_assert!(Planner::restore(None, &bytes).is_err());
    }

    #[test]
    fn any_number_is_taken_or_refused_and_a_refusal_changes_nothing(
        number in any::<f64>(), terms in terms(),
    ) {
        let mut planner = planner(None, &terms, 1);
        let before = planner.snapshot();
        let found = Opportunities { worths: &[number], sigmas: None, counts: None };
        let refused = planner.decide(0, &[found]);
        if !(0.0..=1e6).contains(&number) {
            let is_right = matches!(
                refused,
                Err(CoreError::RealOutOfRange { what: "worths", found, .. })
                    if found.to_bits() == number.to_bits()
            );
            prop_assert!(is_right);
            prop_assert_eq!(planner.snapshot(), before);
        }
    }
}
