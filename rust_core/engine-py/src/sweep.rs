//! The sweep, for Python: rows read and decisions written where the caller has them.

use crate::errors::refused;
use crate::forecast::WindowForecast;
use crate::input::{Output, Rows};
use engine_core::sweep as core;
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// What became of the rows of one call.
#[pyclass(frozen, get_all, module = "engine._core")]
pub(crate) struct Counted {
    accepted: u64,
    replaced: u64,
    late: u64,
    unknown: u64,
    refused: u64,
}

#[pymethods]
impl Counted {
    fn __repr__(&self) -> String {
        format!(
            "Counted(accepted={}, replaced={}, late={}, unknown={}, refused={})",
            self.accepted, self.replaced, self.late, self.unknown, self.refused,
        )
    }
}

/// Many campaigns on a few platforms each, decided in closed form.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct Sweep {
    sweep: Mutex<core::Sweep>,
    layout: core::Layout,
}

impl Sweep {
    /// Runs a call with the sweep locked and the GIL released, as `Book` does.
    fn with<T: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut core::Sweep) -> T + Send) -> T {
        py.detach(|| call(&mut self.sweep.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[pymethods]
impl Sweep {
    #[new]
    #[pyo3(signature = (campaigns, *, platforms, window, tick_ms, unit_micros, threads))]
    fn new(
        py: Python<'_>,
        campaigns: usize,
        platforms: usize,
        window: usize,
        tick_ms: u32,
        unit_micros: u32,
        threads: usize,
    ) -> PyResult<Self> {
        let layout = core::Layout {
            campaigns,
            platforms,
            window,
            tick_ms,
            unit_micros,
            threads,
        };
        let sweep = py.detach(|| core::Sweep::new(layout)).map_err(refused)?;
        Ok(Self {
            sweep: Mutex::new(sweep),
            layout,
        })
    }

    #[allow(clippy::needless_pass_by_value)] // an extracted argument is owned
    fn set_plans(&self, py: Python<'_>, rows: Rows, first: usize) -> PyResult<()> {
        self.with(py, |sweep| sweep.set_plans(first, rows.bytes()))
            .map_err(refused)
    }

    #[allow(clippy::needless_pass_by_value)]
    fn ingest(&self, py: Python<'_>, rows: Rows) -> PyResult<Counted> {
        let counted = self
            .with(py, |sweep| sweep.ingest(rows.bytes()))
            .map_err(refused)?;
        Ok(Counted {
            accepted: counted.accepted,
            replaced: counted.replaced,
            late: counted.late,
            unknown: counted.unknown,
            refused: counted.refused,
        })
    }

    fn decide(&self, py: Python<'_>, at_ms: i64, horizon_ms: u32, mut out: Output) -> PyResult<()> {
        self.with(py, |sweep| sweep.decide(at_ms, horizon_ms, out.bytes()))
            .map_err(refused)
    }

    fn forecast(
        &self,
        py: Python<'_>,
        campaign: usize,
        platform: usize,
        at_ms: i64,
        horizon_ms: u32,
    ) -> PyResult<WindowForecast> {
        let forecast = self
            .with(py, |sweep| {
                sweep.forecast(campaign, platform, at_ms, horizon_ms)
            })
            .map_err(refused)?;
        Ok(WindowForecast::new(&forecast, self.layout.tick_ms))
    }

    fn spent_micros(&self, py: Python<'_>, campaign: usize) -> Option<u64> {
        let unit = u64::from(self.layout.unit_micros);
        let spent = self.with(py, |sweep| sweep.spent_units(campaign));
        spent.map(|spent| spent.saturating_mul(unit))
    }

    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |sweep| sweep.verify()).map_err(refused)
    }

    #[getter]
    fn nbytes(&self, py: Python<'_>) -> usize {
        self.with(py, |sweep| sweep.bytes())
    }

    #[getter]
    fn platforms(&self) -> usize {
        self.layout.platforms
    }

    fn __len__(&self) -> usize {
        self.layout.campaigns
    }
}
