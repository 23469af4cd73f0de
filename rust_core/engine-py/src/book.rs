//! The book, for Python: each batch call waits for the lock and works without the GIL.

use crate::errors::refused;
use crate::forecast::Forecast;
use crate::input::Input;
use engine_core::book as core;
use engine_core::front as core_front;
use engine_core::money::Micros;
use engine_core::round as core_round;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, PoisonError};

/// What became of the rows of a frame.
#[pyclass(frozen, get_all, module = "engine._core")]
pub(crate) struct Ingested {
    accepted: u32,
    replaced: u32,
    late: u32,
    unknown: u32,
    refused: u32,
    is_duplicate: bool,
}

#[pymethods]
impl Ingested {
    fn __repr__(&self) -> String {
        format!(
            "Ingested(accepted={}, replaced={}, late={}, unknown={}, refused={}, is_duplicate={})",
            self.accepted,
            self.replaced,
            self.late,
            self.unknown,
            self.refused,
            if self.is_duplicate { "True" } else { "False" },
        )
    }
}

/// What a campaign's landscapes allow, and where it stands. Points: multiplier, micros, conversions.
#[pyclass(frozen, get_all, module = "engine._core")]
pub(crate) struct Front {
    points: Vec<(f64, f64, f64)>,
    stands: (f64, f64, f64),
    waste: f64,
    confidence: f64,
}

/// The decisions of one round.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct Round(core_round::Round);

#[pymethods]
impl Round {
    #[getter]
    fn decisions<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.decisions)
    }

    #[getter]
    fn series<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.0.series)
    }

    #[getter]
    fn settled_micros(&self) -> i64 {
        self.0.settled.0
    }

    #[getter]
    fn reserved_micros(&self) -> i64 {
        self.0.reserved.0
    }
}

/// All campaigns of a partition.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct Book {
    book: Mutex<core::Book>,
    tick_ms: u32,
}

impl Book {
    fn of(book: core::Book) -> Self {
        let tick_ms = book.tick_ms();
        Self {
            book: Mutex::new(book),
            tick_ms,
        }
    }

    /// Runs a call with the book locked and the GIL released: the lock is never waited for with the
    /// GIL held, so two threads cannot block each other. A panic leaves no lock behind, for a book
    /// whose call panicked is still a book.
    fn with<T: Send>(&self, py: Python<'_>, call: impl FnOnce(&mut core::Book) -> T + Send) -> T {
        py.detach(|| call(&mut self.book.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

#[pymethods]
impl Book {
    #[new]
    #[pyo3(signature = (*, window = 64, tick_ms = 1, interval_ms = 2000))]
    fn new(window: usize, tick_ms: u32, interval_ms: u32) -> PyResult<Self> {
        core::Book::new(window, tick_ms, interval_ms)
            .map(Self::of)
            .map_err(refused)
    }

    #[pyo3(signature = (calendar, midnights_ms, offsets_ms = Vec::new()))]
    fn set_calendar(
        &self,
        py: Python<'_>,
        calendar: u32,
        midnights_ms: Vec<i64>,
        offsets_ms: Vec<(i64, i64)>,
    ) -> PyResult<()> {
        self.with(py, |book| {
            book.set_calendar(calendar, midnights_ms, offsets_ms)
        })
        .map_err(refused)
    }

    #[allow(clippy::needless_pass_by_value)]
    fn put_accounts(&self, py: Python<'_>, rows: Input) -> PyResult<()> {
        self.with(py, |book| book.put_accounts(&rows))
            .map_err(refused)
    }

    fn set_halted(&self, py: Python<'_>, is_halted: bool) {
        self.with(py, |book| book.set_halted(is_halted));
    }

    #[allow(clippy::needless_pass_by_value)] // an extracted argument is owned
    fn put(&self, py: Python<'_>, campaigns: Input, series: Input) -> PyResult<()> {
        self.with(py, |book| book.put(&campaigns, &series))
            .map_err(refused)
    }

    fn remove(&self, py: Python<'_>, campaign: u64) -> bool {
        self.with(py, |book| book.remove(campaign))
    }

    #[allow(clippy::needless_pass_by_value)]
    fn ingest(&self, py: Python<'_>, frame: Input) -> PyResult<Ingested> {
        let counts = self.with(py, |book| book.ingest(&frame)).map_err(refused)?;
        Ok(Ingested {
            accepted: counts.accepted,
            replaced: counts.replaced,
            late: counts.late,
            unknown: counts.unknown,
            refused: counts.refused,
            is_duplicate: counts.is_duplicate,
        })
    }

    fn decide(&self, py: Python<'_>, at_ms: i64) -> PyResult<Round> {
        self.with(py, |book| book.decide(at_ms))
            .map(Round)
            .map_err(refused)
    }

    fn forecast(&self, py: Python<'_>, series: u64, at_ms: i64) -> PyResult<Forecast> {
        let forecast = self
            .with(py, |book| book.forecast(series, at_ms))
            .map_err(refused)?;
        Ok(Forecast::new(&forecast, self.tick_ms))
    }

    fn pareto(&self, py: Python<'_>, campaign: u64, at_ms: i64) -> PyResult<Front> {
        let front = self
            .with(py, |book| book.pareto(campaign, at_ms))
            .map_err(refused)?;
        let point =
            |point: &core_front::Point| (point.multiplier, point.spend_micros, point.brings);
        Ok(Front {
            points: front.points.iter().map(point).collect(),
            stands: point(&front.stands),
            waste: front.waste,
            confidence: front.confidence,
        })
    }

    fn verify(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |book| book.verify()).map_err(refused)
    }

    fn ledger<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let lines = self.with(py, |book| book.ledger());
        let mut rows = Vec::with_capacity(lines.len() * 24);
        for line in lines {
            rows.extend(line.campaign.to_le_bytes());
            rows.extend(line.settled.0.to_le_bytes());
            rows.extend(line.reserved.0.to_le_bytes());
        }
        PyBytes::new(py, &rows)
    }

    fn raise_settled(&self, py: Python<'_>, campaign: u64, settled_micros: i64) -> PyResult<()> {
        self.with(py, |book| {
            book.raise_settled(campaign, Micros(settled_micros))
        })
        .map_err(refused)
    }

    fn raise_cap(&self, py: Python<'_>, series: u64, cap_micros: i64) -> PyResult<()> {
        self.with(py, |book| book.raise_cap(series, Micros(cap_micros)))
            .map_err(refused)
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.with(py, |book| book.snapshot()))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)]
    fn restore(py: Python<'_>, snapshot: Input) -> PyResult<Self> {
        py.detach(|| core::Book::restore(&snapshot))
            .map(Self::of)
            .map_err(refused)
    }

    #[getter]
    fn campaigns(&self, py: Python<'_>) -> usize {
        self.with(py, |book| book.campaigns())
    }

    #[getter]
    fn series(&self, py: Python<'_>) -> usize {
        self.with(py, |book| book.series())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        self.with(py, |book| book.campaigns())
    }
}
