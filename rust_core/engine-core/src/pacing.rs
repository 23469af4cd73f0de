//! Pacing: the factor that keeps a campaign's spend on its plan.
//!
//! The plan is what is left of the budget, spread evenly over what is left of the flight, so a
//! campaign that fell behind is asked for more later and never for a jump. Bounded dual mirror
//! descent (Balseiro, Lu and Mirrokni, "The best of many worlds", 2023, with an entropic mirror
//! map) holds spend to it: the price of money μ moves by μ·exp(−η·e), e = clip((planned − spent) /
//! planned, −3, 1), and bids go as the multiplier 1/μ.
//!
//! Two things make that stable from flights of thirty seconds to flights of thirty days:
//!
//! * **The memory suits the money.** Where a round's plan buys less than a few clicks, spend comes
//!   in lumps and each round's error is nearly always +1 or −3. So plan and spend are summed with a
//!   memory of as many rounds as it takes to plan eight clicks, and the step is divided by that.
//! * **A cap used up is evidence.** Spend cannot pass the cap, so on the cap it looks as if it kept
//!   to the plan while the bid is far too high. An allotment that is used up counts as spend of
//!   twice the plan.
//!
//! Anti-windup: denominators are at least 1 % of the budget's share of a round, each move is at most
//! exp(−3η) to exp(η), and nothing moves without reports, or further into a bound.

use crate::bytes::{Reader, Writer, learned_amount};
use crate::real::{exp, ln};

/// η: how far one round of full error moves the multiplier, where spend is smooth.
const STEP: f64 = 0.2;
/// How many clicks the memory should plan for.
const CLICKS_REMEMBERED: f64 = 8.0;
const LONGEST_MEMORY_ROUNDS: f64 = 1800.0;
/// How far one round moves the multiplier towards a price solved for, as logarithms.
const MOST_RISE: f64 = 0.22;
const MOST_FALL: f64 = 0.7;
/// The multiplier's least: pacing alone never silences a campaign.
pub const LEAST_MULTIPLIER: f64 = 0.01;

/// The pacing of one campaign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pacing {
    /// Bids go as this.
    pub multiplier: f64,
    planned: f64,
    spent: f64,
}

/// What one step goes by. Money as f64: exact below 2^53 micros.
#[derive(Debug, Clone, Copy)]
pub struct Evidence {
    /// The plan since the step before.
    pub planned_micros: f64,
    /// What reports have shown since the step before; negative where they took some back.
    pub spent_micros: f64,
    /// 1 % of the budget's share of that stretch: the least that is divided by.
    pub floor_micros: f64,
    /// How many rounds that stretch is.
    pub rounds: f64,
    /// What a click costs, about.
    pub click_micros: f64,
    /// Whether the platforms used up what they were allotted.
    pub is_cap_used: bool,
    /// Whether bids would follow a rise.
    pub can_rise: bool,
    /// Whether bids would follow a fall.
    pub can_fall: bool,
    /// The highest multiplier that the goal allows.
    pub most: f64,
    /// How far a price solved for is trusted, 0 to 1: the rest is this rule's.
    pub trust: f64,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            multiplier: 1.0,
            planned: 0.0,
            spent: 0.0,
        }
    }
}

impl Pacing {
    /// Moves the multiplier by one step.
    pub fn step(&mut self, evidence: &Evidence) {
        let planned = evidence.planned_micros.max(evidence.floor_micros).max(1.0);
        let rounds = evidence.rounds.max(1.0);
        let memory = (CLICKS_REMEMBERED * evidence.click_micros * rounds / planned)
            .clamp(1.0, LONGEST_MEMORY_ROUNDS);
        // A stretch of several rounds forgets as they would have, one after the other.
        let keep = (1.0 - rounds / memory).max(0.0);
        let hidden = if evidence.is_cap_used { planned } else { 0.0 };
        self.planned = learned_amount(self.planned * keep + planned);
        self.spent = learned_amount(self.spent * keep + evidence.spent_micros + hidden);
        let error = ((self.planned - self.spent) / self.planned).clamp(-3.0, 1.0);
        if error > 0.0 && !evidence.can_rise || error < 0.0 && !evidence.can_fall {
            return;
        }
        let step =
            STEP * error * (rounds / memory).min(1.0) * (1.0 - evidence.trust.clamp(0.0, 1.0));
        self.multiplier = (self.multiplier * exp(step)).clamp(LEAST_MULTIPLIER, evidence.most);
    }

    /// Moves the multiplier towards a price solved for, by as much as that is trusted: up by at most
    /// a quarter in a round, down by at most a half.
    #[allow(clippy::float_cmp, reason = "the same to the bit, or a step away")]
    pub fn steer(&mut self, solved: f64, trust: f64, rounds: f64, most: f64) {
        if solved == self.multiplier && (LEAST_MULTIPLIER..=most).contains(&solved) {
            return; // it is there
        }
        let away = ln(solved.max(LEAST_MULTIPLIER) / self.multiplier.max(LEAST_MULTIPLIER));
        let step = away.clamp(-MOST_FALL * rounds, MOST_RISE * rounds) * trust.clamp(0.0, 1.0);
        self.multiplier = (self.multiplier * exp(step)).clamp(LEAST_MULTIPLIER, most);
    }

    /// Moves the multiplier towards 1, where there is nothing to go by.
    pub fn relax(&mut self) {
        self.multiplier += 0.05 * (1.0 - self.multiplier);
    }

    pub(crate) fn write(&self, out: &mut Writer) {
        out.f64(self.multiplier);
        out.f64(self.planned);
        out.f64(self.spent);
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            multiplier: reader.learned_amount()?,
            planned: reader.learned_amount()?,
            spent: reader.learned_amount()?,
        })
    }
}
