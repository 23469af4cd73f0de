//! The planner, for Python: each call that computes waits for the lock and works without the GIL.

use crate::errors::{CoreError, refused};
use crate::input::Input;
use engine_core::error::CoreError as Refused;
use engine_core::money::Micros;
use engine_core::planner as core;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, PoisonError};

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads whole little-endian numbers.
fn numbers<T, const N: usize>(
    what: &'static str,
    bytes: &[u8],
    of: impl Fn([u8; N]) -> T,
) -> Result<Vec<T>, Refused> {
    let whole = bytes.chunks_exact(N);
    if whole.remainder().is_empty() {
        return Ok(whole
            .filter_map(|chunk| chunk.first_chunk().copied())
            .map(of)
            .collect());
    }
    Err(Refused::Rows {
        what,
        wanted: (bytes.len() - whole.remainder().len()) as u64,
        found: bytes.len() as u64,
    })
}

fn floats(what: &'static str, bytes: &[u8]) -> Result<Vec<f64>, Refused> {
    numbers(what, bytes, f64::from_le_bytes)
}

fn bytes<'py>(py: Python<'py>, numbers: &[f64]) -> Bound<'py, PyBytes> {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    PyBytes::new(py, &bytes)
}

/// Returns one of some arrays, where there are any.
fn at(arrays: Option<&Vec<Vec<f64>>>, index: usize) -> Option<&[f64]> {
    arrays?.get(index).map(Vec::as_slice)
}

/// Past days, and what they teach.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct History(Mutex<core::History>);

#[pymethods]
impl History {
    #[new]
    #[pyo3(signature = (*, rounds = 48, exposures = (1.0, 0.8, 0.48)))]
    fn new(rounds: usize, exposures: (f64, f64, f64)) -> PyResult<Self> {
        let (first, second, third) = exposures;
        let history = core::History::new(rounds, [first, second, third]);
        history
            .map(|history| Self(Mutex::new(history)))
            .map_err(refused)
    }

    #[allow(clippy::needless_pass_by_value)] // an extracted argument is owned
    fn add_day(&self, py: Python<'_>, campaigns: Vec<(u64, Input, Input, Input)>) -> PyResult<()> {
        let add = || {
            let mut read = Vec::with_capacity(campaigns.len());
            for (identity, worths, prices, bounds) in &campaigns {
                let worths = numbers("worths", worths, f32::from_le_bytes)?;
                let bounds = numbers("bounds", bounds, u32::from_le_bytes)?;
                read.push((*identity, worths, floats("prices", prices)?, bounds));
            }
            let day = read
                .iter()
                .map(|(identity, worths, prices, bounds)| core::PastCampaign {
                    identity: *identity,
                    worths,
                    prices,
                    bounds,
                });
            locked(&self.0).add_day(&day.collect::<Vec<_>>())
        };
        py.detach(add).map_err(refused)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| locked(&self.0).snapshot()))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // an extracted argument is owned
    fn restore(py: Python<'_>, snapshot: Input) -> PyResult<Self> {
        let history = py.detach(|| core::History::restore(&snapshot));
        history
            .map(|history| Self(Mutex::new(history)))
            .map_err(refused)
    }

    #[getter]
    fn days(&self, py: Python<'_>) -> usize {
        py.detach(|| locked(&self.0).days())
    }

    #[getter]
    fn rounds(&self, py: Python<'_>) -> usize {
        py.detach(|| locked(&self.0).rounds())
    }

    #[getter]
    fn opportunities(&self, py: Python<'_>) -> f64 {
        py.detach(|| locked(&self.0).opportunities())
    }

    #[getter]
    fn profile(&self, py: Python<'_>) -> Vec<f64> {
        py.detach(|| locked(&self.0).profile().to_vec())
    }

    #[getter]
    fn dayparts(&self, py: Python<'_>) -> Vec<usize> {
        py.detach(|| locked(&self.0).dayparts().to_vec())
    }
}

/// What is planned for a round.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct Plan(core::Plan);

#[pymethods]
impl Plan {
    #[getter]
    fn shadow_price(&self) -> f64 {
        self.0.shadow_price
    }

    #[getter]
    fn bound(&self) -> &'static str {
        self.0.bound.name()
    }

    #[getter]
    fn probability(&self) -> f64 {
        self.0.probability
    }

    #[getter]
    fn bids<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyBytes>> {
        self.0.bids.iter().map(|bids| bytes(py, bids)).collect()
    }

    #[getter]
    fn round_spend_micros(&self) -> Vec<i64> {
        self.0.round_spend.iter().map(|spend| spend.0).collect()
    }

    #[getter]
    fn day_spend_micros(&self) -> Vec<i64> {
        self.0.day_spend.iter().map(|spend| spend.0).collect()
    }

    #[getter]
    fn day_conversions(&self) -> f64 {
        self.0.day_conversions
    }

    #[getter]
    fn shadow_prices<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.0.shadow_prices)
    }

    #[getter]
    fn conversions<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.0.conversions)
    }

    #[getter]
    fn spend<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        bytes(py, &self.0.spend)
    }
}

/// One campaign's day on all its platforms.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct Planner(Mutex<core::Planner>);

#[pymethods]
impl Planner {
    #[new]
    #[pyo3(signature = (
        history, *, budget_micros, target_micros, platforms, goal = "hard", first_price = false,
        pacing = None, unit_micros = 1_000_000, rounds = 48
    ))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)] // named in Python
    fn new(
        py: Python<'_>,
        history: Option<&History>,
        budget_micros: i64,
        target_micros: i64,
        platforms: Vec<(u64, f64)>,
        goal: &str,
        first_price: bool,
        pacing: Option<(f64, f64, f64)>,
        unit_micros: i64,
        rounds: usize,
    ) -> PyResult<Self> {
        let known = core::Goal::NAMES.join(", ");
        let terms = core::Terms {
            goal: core::Goal::named(goal).ok_or_else(|| {
                CoreError::new_err(format!("goal must be one of {known}, was {goal}"))
            })?,
            first_price,
            pacing: pacing.map(|(low, high, most)| core::PacingBand { low, high, most }),
            budget: Micros(budget_micros),
            target: Micros(target_micros),
            unit: Micros(unit_micros),
        };
        let place = |(identity, opportunities)| core::Place {
            identity,
            opportunities,
        };
        let places: Vec<core::Place> = platforms.into_iter().map(place).collect();
        let planner = py.detach(|| {
            let history = history.map(|history| locked(&history.0));
            core::Planner::new(history.as_deref(), rounds, &terms, &places)
        });
        planner
            .map(|planner| Self(Mutex::new(planner)))
            .map_err(refused)
    }

    #[pyo3(signature = (round, worths, sigmas = None, counts = None))]
    #[allow(clippy::needless_pass_by_value)]
    fn decide(
        &self,
        py: Python<'_>,
        round: usize,
        worths: Vec<Input>,
        sigmas: Option<Vec<Input>>,
        counts: Option<Vec<Input>>,
    ) -> PyResult<Plan> {
        let read = |what, arrays: &[Input]| {
            let arrays = arrays.iter().map(|array| floats(what, array));
            arrays.collect::<Result<Vec<Vec<f64>>, Refused>>()
        };
        let side = |what, arrays: &Option<Vec<Input>>| {
            let Some(arrays) = arrays else {
                return Ok(None);
            };
            if arrays.len() != worths.len() {
                let (wanted, found) = (worths.len() as u64, arrays.len() as u64);
                return Err(Refused::Rows {
                    what,
                    wanted,
                    found,
                });
            }
            read(what, arrays).map(Some)
        };
        let plan = py.detach(|| {
            let worths = read("worths", &worths)?;
            let (sigmas, counts) = (side("sigmas", &sigmas)?, side("counts", &counts)?);
            let found = worths
                .iter()
                .enumerate()
                .map(|(index, worths)| core::Opportunities {
                    worths,
                    sigmas: at(sigmas.as_ref(), index),
                    counts: at(counts.as_ref(), index),
                });
            locked(&self.0).decide(round, &found.collect::<Vec<_>>())
        });
        plan.map(Plan).map_err(refused)
    }

    #[pyo3(signature = (
        round, platform, *, prices, worths, bids, paid, won, exposed, cost_micros
    ))]
    #[allow(clippy::too_many_arguments, clippy::needless_pass_by_value)]
    fn observe(
        &self,
        py: Python<'_>,
        round: usize,
        platform: usize,
        prices: Input,
        worths: Input,
        bids: Input,
        paid: Input,
        won: Input,
        exposed: Input,
        cost_micros: i64,
    ) -> PyResult<()> {
        let observe = || {
            let outcomes = core::Outcomes {
                prices: &floats("prices", &prices)?,
                worths: &floats("worths", &worths)?,
                bids: &floats("bids", &bids)?,
                paid: &floats("paid", &paid)?,
                won: &won,
                exposed: &exposed,
                cost: Micros(cost_micros),
            };
            locked(&self.0).observe(round, platform, &outcomes)
        };
        py.detach(observe).map_err(refused)
    }

    fn restate(
        &self,
        py: Python<'_>,
        platform: usize,
        opportunities: f64,
        conversions: f64,
        spend_micros: i64,
    ) -> PyResult<()> {
        let spend = Micros(spend_micros);
        py.detach(|| locked(&self.0).restate(platform, opportunities, conversions, spend))
            .map_err(refused)
    }

    fn set_budget(&self, py: Python<'_>, budget_micros: i64) -> PyResult<()> {
        py.detach(|| locked(&self.0).set_budget(Micros(budget_micros)))
            .map_err(refused)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| locked(&self.0).snapshot()))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn restore(py: Python<'_>, history: Option<&History>, snapshot: Input) -> PyResult<Self> {
        let planner = py.detach(|| {
            let history = history.map(|history| locked(&history.0));
            core::Planner::restore(history.as_deref(), &snapshot)
        });
        planner
            .map(|planner| Self(Mutex::new(planner)))
            .map_err(refused)
    }

    #[getter]
    fn platforms(&self, py: Python<'_>) -> usize {
        py.detach(|| locked(&self.0).platforms())
    }
}
