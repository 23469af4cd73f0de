//! What a flight was asked for, and where.

use crate::error::CoreError;
use crate::money::Micros;
use crate::planner::checks;
use crate::planner::solve::Goal;

/// The band that even pacing keeps a round's planned spend within.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PacingBand {
    /// The least planned spend, relative to the round's share of traffic.
    pub low: f64,
    /// The most.
    pub high: f64,
    /// How far the shadow price may be moved for it, as a factor.
    pub most: f64,
}

/// What a flight was asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// What it is meant to reach.
    pub goal: Goal,
    /// Whether a win costs the bid itself.
    pub first_price: bool,
    /// Where spend should be even.
    pub pacing: Option<PacingBand>,
    /// What the day may spend.
    pub budget: Micros,
    /// The target CPA, or what a conversion is worth.
    pub target: Micros,
    /// Micros of one unit of money, in which prices and bids are told. The lattice covers 5.5e-4 to
    /// 4.3 units: prices to beat should lie within.
    pub unit: Micros,
}

/// A platform of a campaign.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Who the campaign is, in the history of this platform.
    pub identity: u64,
    /// The opportunities that a day is expected to bring.
    pub opportunities: f64,
}

impl Terms {
    pub(super) fn check(&self) -> Result<(), CoreError> {
        checks::money("budget_micros", self.budget)?;
        checks::money("target_micros", self.target)?;
        checks::money("unit_micros", self.unit)?;
        if let Some(band) = &self.pacing {
            checks::number("pacing low", "0 to 1", band.low, 0.0..=1.0)?;
            checks::number("pacing high", "1 to 100", band.high, 1.0..=100.0)?;
            checks::number("pacing most", "1 to 10", band.most, 1.0..=10.0)?;
        }
        Ok(())
    }

    /// Returns money in units.
    #[allow(clippy::cast_precision_loss)] // below 2^53, as checked
    pub(crate) fn units(&self, money: Micros) -> f64 {
        money.0 as f64 / self.unit.0 as f64
    }

    /// Returns units as money, rounded down.
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // saturates
    pub(super) fn micros(&self, units: f64) -> Micros {
        Micros((units * self.unit.0 as f64).floor() as i64)
    }

    pub(crate) fn budget(&self) -> f64 {
        self.units(self.budget)
    }

    pub(crate) fn target(&self) -> f64 {
        self.units(self.target)
    }
}
