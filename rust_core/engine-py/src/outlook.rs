//! Hourly forecasts of one platform's series.

use crate::errors::refused;
use crate::input::Input;
use engine_core::outlook::seasonal as core;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::sync::{Mutex, PoisonError};

/// A forecast value with the interval that holds 95 % of what comes.
#[pyclass(frozen, get_all, module = "engine._core")]
pub(crate) struct Expected {
    value: f64,
    low: f64,
    high: f64,
}

#[pymethods]
impl Expected {
    fn __repr__(&self) -> String {
        format!(
            "Expected(value={}, low={}, high={})",
            self.value, self.low, self.high
        )
    }
}

/// Series of one platform, forecast together by the hour.
#[pyclass(frozen, module = "engine._core")]
pub(crate) struct SeasonalForecaster(Mutex<core::SeasonalForecaster>);

impl SeasonalForecaster {
    fn with<T>(&self, call: impl FnOnce(&mut core::SeasonalForecaster) -> T) -> T {
        call(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[pymethods]
impl SeasonalForecaster {
    #[new]
    #[pyo3(signature = (*, series = 2, horizons = vec![1, 6, 24], least = 0.001))]
    #[allow(clippy::needless_pass_by_value)] // the shape that extraction gives
    fn new(series: usize, horizons: Vec<u32>, least: f64) -> PyResult<Self> {
        let new = core::SeasonalForecaster::new(series, &horizons, least).map_err(refused)?;
        Ok(Self(Mutex::new(new)))
    }

    #[allow(clippy::needless_pass_by_value)] // the shape that extraction gives
    fn update(&self, hour: i64, values: Vec<f64>) -> PyResult<&'static str> {
        match self.with(|forecaster| forecaster.update(hour, &values)) {
            Ok(core::Heard::Accepted) => Ok("accepted"),
            Ok(core::Heard::Replaced) => Ok("replaced"),
            Ok(core::Heard::Late) => Ok("late"),
            Err(error) => Err(refused(error)),
        }
    }

    fn forecast(&self, series: usize, horizon: u32) -> PyResult<Option<Expected>> {
        let expected = self.with(|forecaster| forecaster.forecast(series, horizon));
        let expected = expected.map_err(refused)?;
        Ok(expected.map(|core::Expected { value, low, high }| Expected { value, low, high }))
    }

    fn snapshot<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &self.with(|forecaster| forecaster.snapshot()))
    }

    #[staticmethod]
    #[allow(clippy::needless_pass_by_value)] // the shape that extraction gives
    fn restore(snapshot: Input) -> PyResult<Self> {
        let restored = core::SeasonalForecaster::restore(&snapshot).map_err(refused)?;
        Ok(Self(Mutex::new(restored)))
    }

    #[getter]
    fn series(&self) -> usize {
        self.with(|forecaster| forecaster.series())
    }

    #[getter]
    fn horizons(&self) -> Vec<u32> {
        self.with(|forecaster| forecaster.horizons().to_vec())
    }

    #[getter]
    fn newest_hour(&self) -> Option<i64> {
        self.with(|forecaster| forecaster.newest_hour())
    }
}
