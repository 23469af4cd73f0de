//! One window on its own.

use crate::errors::refused;
use crate::forecast::WindowForecast;
use engine_core::error::CoreError as Refused;
use engine_core::forecast::forecast;
use engine_core::window::{Header, Pushed, Sample, Windows};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, PoisonError};

const SLOT: usize = 0;

/// One window on its own, as the tests and the curious use it.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct Window {
    windows: Mutex<Windows>,
    tick_ms: u32,
}

impl Window {
    fn with<T>(&self, call: impl FnOnce(&mut Windows) -> T) -> T {
        call(&mut self.windows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // modulo is what is meant
    fn tick(&self, at_ms: i64) -> u32 {
        at_ms.div_euclid(i64::from(self.tick_ms)) as u32
    }
}

#[pymethods]
impl Window {
    #[new]
    #[pyo3(signature = (*, capacity = 64, tick_ms = 1))]
    fn new(capacity: usize, tick_ms: u32) -> PyResult<Self> {
        if tick_ms == 0 {
            let (what, wanted) = ("tick_ms", "at least 1");
            return Err(refused(Refused::OutOfRange {
                what,
                wanted,
                found: 0,
            }));
        }
        let mut windows = Windows::new(capacity).map_err(refused)?;
        windows.add();
        Ok(Self {
            windows: Mutex::new(windows),
            tick_ms,
        })
    }

    fn push(
        &self,
        at_ms: i64,
        clicks: u32,
        conversions: f64,
        spend_units: u32,
    ) -> PyResult<&'static str> {
        let thousandths = (conversions * 1000.0).round();
        if !(0.0..2_147_483_648.0).contains(&thousandths) {
            let what = "conversions";
            return Err(refused(Refused::NotFinite {
                what,
                found: conversions,
            }));
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // in range, as checked
        let milliconversions = thousandths as u32;
        let sample = Sample {
            tick: self.tick(at_ms),
            clicks,
            milliconversions,
            spend_units,
        };
        match self
            .with(|windows| windows.push(SLOT, sample))
            .map_err(refused)?
        {
            Pushed::Accepted => Ok("accepted"),
            Pushed::Replaced { .. } => Ok("replaced"),
            Pushed::Late => Ok("late"),
        }
    }

    /// Forecasts the instant itself, with spend in units worth one micro.
    fn forecast(&self, at_ms: i64) -> WindowForecast {
        let tick = self.tick(at_ms);
        WindowForecast::new(
            &self.with(|windows| forecast(windows, SLOT, tick, 0, 1)),
            self.tick_ms,
        )
    }

    fn samples<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let bytes: Vec<u8> =
            self.with(|windows| windows.samples(SLOT).flat_map(Sample::to_bytes).collect());
        PyBytes::new(py, &bytes)
    }

    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let header = self.with(|windows| windows.header(SLOT).map(Header::to_bytes));
        PyBytes::new(py, &header.unwrap_or([0; 64]))
    }

    fn recount<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        let header = self.with(|windows| windows.recount(SLOT).map(|header| header.to_bytes()));
        PyBytes::new(py, &header.unwrap_or([0; 64]))
    }

    fn __len__(&self) -> usize {
        self.with(|windows| windows.len(SLOT))
    }
}
