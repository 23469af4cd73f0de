//! Forecasts, as frozen Python objects.

use engine_core::forecast as core;
use pyo3::prelude::*;

/// A forecast value with its 95 % prediction interval.
#[pyclass(frozen, get_all, module = "engine._core")]
#[derive(Clone, Copy)]
pub(crate) struct Estimate {
    value: f64,
    low: f64,
    high: f64,
    slope_per_s: f64,
}

/// What a window says about one horizon ahead.
#[pyclass(frozen, get_all, module = "engine._core")]
pub(crate) struct Forecast {
    cpc_micros: Option<Estimate>,
    cvr: Option<Estimate>,
    confidence: f64,
    confidence_parts: (f64, f64, f64, f64),
    samples: u32,
    clicks: u64,
}

impl Forecast {
    pub(crate) fn new(forecast: &core::Forecast, tick_ms: u32) -> Self {
        let estimate = |line: core::Estimate| Estimate {
            value: line.value,
            low: line.low,
            high: line.high,
            slope_per_s: line.slope_per_tick * 1000.0 / f64::from(tick_ms),
        };
        let parts = forecast.confidence;
        Self {
            cpc_micros: forecast.cpc_micros.map(estimate),
            cvr: forecast.cvr.map(estimate),
            confidence: parts.value,
            confidence_parts: (
                parts.sample_size,
                parts.age,
                parts.spread,
                parts.completeness,
            ),
            samples: forecast.samples,
            clicks: forecast.clicks,
        }
    }
}

#[pymethods]
impl Estimate {
    fn __repr__(&self) -> String {
        format!(
            "Estimate(value={}, low={}, high={})",
            self.value, self.low, self.high
        )
    }
}

#[pymethods]
impl Forecast {
    fn __repr__(&self) -> String {
        format!(
            "Forecast(samples={}, clicks={}, confidence={:.3})",
            self.samples, self.clicks, self.confidence
        )
    }
}
