//! Snapshots of planners and of their histories.

use super::{Target, holds, kind};
use engine_core::money::Micros;
use engine_core::planner::{
    Goal, History, Opportunities, Outcomes, PastCampaign, Place, Planner, Terms,
};

const ROUNDS: usize = 8;
const SEAL_BYTES: usize = 8;
const HEADER_BYTES: usize = 12;

fn history(days: usize) -> History {
    let mut history = History::new(ROUNDS, [1.0, 0.8, 0.48]).unwrap();
    let worths: Vec<f32> = (0..40_u8).map(|i| 0.001 + f32::from(i) * 0.002).collect();
    let prices: Vec<f64> = (0..120_u8).map(|i| 0.5 + f64::from(i % 7) * 0.1).collect();
    let prices: Vec<f64> = prices
        .chunks(3)
        .flat_map(|o| [o[0] * 1.5, o[0] * 1.2, o[0]])
        .collect();
    let bounds: Vec<u32> = (0..=8).map(|round| round * 5).collect();
    for _ in 0..days {
        let past = PastCampaign {
            identity: 1,
            worths: &worths,
            prices: &prices,
            bounds: &bounds,
        };
        history.add_day(&[past]).unwrap();
    }
    history
}

fn planner(history: Option<&History>, goal: Goal) -> Planner {
    let terms = Terms {
        goal,
        first_price: goal == Goal::Soft,
        pacing: None,
        budget: Micros(100_000_000),
        target: Micros(20_000_000),
        unit: Micros(1_000_000),
    };
    let places = [1, 2].map(|identity| Place {
        identity,
        opportunities: 300.0,
    });
    let mut planner = Planner::new(history, ROUNDS, &terms, &places).unwrap();
    let worths = [0.001, 0.02, 0.05];
    for round in 0..3 {
        let plan = decided(&mut planner, round).unwrap();
        for (platform, bids) in plan.bids.iter().enumerate() {
            let won: Vec<u8> = bids.iter().map(|bid| u8::from(*bid > 0.1)).collect();
            let outcomes = Outcomes {
                prices: &[0.05, 0.1, 0.2],
                worths: &worths,
                bids,
                paid: &[0.05, 0.1, 0.2],
                won: &won,
                exposed: &won,
                cost: Micros(won.iter().map(|won| i64::from(*won) * 20_000).sum()),
            };
            planner.observe(round, platform, &outcomes).unwrap();
        }
    }
    planner
}

fn decided(
    planner: &mut Planner,
    round: usize,
) -> Result<engine_core::planner::Plan, engine_core::error::CoreError> {
    let found = Opportunities {
        worths: &[0.001, 0.02, 0.05],
        sigmas: None,
        counts: None,
    };
    let found = vec![found; planner.platforms()];
    planner.decide(round, &found)
}

/// Writes the checksum anew, where `restore` says what it should be.
fn sealed<T>(
    input: &mut [u8],
    seed: &[u8],
    restore: impl Fn(&[u8]) -> Result<T, engine_core::error::CoreError>,
) {
    if input.len() < HEADER_BYTES + SEAL_BYTES {
        return;
    }
    input[..HEADER_BYTES].copy_from_slice(&seed[..HEADER_BYTES]);
    if let Err(engine_core::error::CoreError::Snapshot {
        part: "checksum",
        wanted,
        ..
    }) = restore(input)
    {
        let body = input.len() - SEAL_BYTES;
        input[body..].copy_from_slice(&wanted.to_le_bytes());
    }
}

/// Snapshots of planners, with and without a history.
#[derive(Debug)]
pub struct Planners {
    history: History,
    seeds: Vec<Vec<u8>>,
}

impl Planners {
    /// Returns the target.
    #[must_use]
    #[allow(clippy::new_without_default)]
    pub fn new() -> Self {
        let history = history(3);
        let seeds = [Goal::Hard, Goal::Soft, Goal::Budget]
            .map(|goal| planner(Some(&history), goal).snapshot())
            .to_vec();
        Self { history, seeds }
    }
}

impl Target for Planners {
    fn name(&self) -> &'static str {
        "planner"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        self.seeds.clone()
    }

    fn repair(&self, input: &mut Vec<u8>) {
        sealed(input, &self.seeds[0], |bytes| {
            Planner::restore(Some(&self.history), bytes)
        });
    }

    fn run(&self, input: &[u8]) -> Result<String, String> {
        let mut restored = match Planner::restore(Some(&self.history), input) {
            Ok(planner) => planner,
            Err(error) => return Ok(kind(&error)),
        };
        let again = Planner::restore(Some(&self.history), &restored.snapshot());
        let again =
            again.map_err(|error| format!("its own snapshot is refused: {}", kind(&error)))?;
        holds(
            again.snapshot() == restored.snapshot(),
            "a restored planner is another one",
        )?;
        let mut said = "restored".to_string();
        for round in 0..ROUNDS {
            match decided(&mut restored, round) {
                Ok(plan) => holds(
                    plan.bids
                        .iter()
                        .flatten()
                        .all(|bid| bid.is_finite() && *bid >= 0.0),
                    "a bid is no amount",
                )?,
                Err(error) => said = kind(&error),
            }
        }
        Ok(said)
    }
}

/// Snapshots of histories.
#[derive(Debug)]
pub struct Histories;

impl Target for Histories {
    fn name(&self) -> &'static str {
        "history"
    }

    fn seeds(&self) -> Vec<Vec<u8>> {
        vec![history(0).snapshot(), history(3).snapshot()]
    }

    fn longest(&self) -> usize {
        16_384
    }

    fn repair(&self, input: &mut Vec<u8>) {
        sealed(input, &history(0).snapshot(), History::restore);
    }

    fn run(&self, input: &[u8]) -> Result<String, String> {
        match History::restore(input) {
            Ok(found) => {
                holds(
                    found.snapshot() == input,
                    "what was restored is another snapshot",
                )?;
                if found.rounds() == ROUNDS {
                    planner(Some(&found), Goal::Hard);
                }
                Ok("restored".to_string())
            }
            Err(error) => Ok(kind(&error)),
        }
    }
}
