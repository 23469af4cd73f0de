//! Forecasts, as frozen Python objects.

use engine_core::forecast as window;
use engine_core::foresee as book;
use engine_core::outlook::choice::{METHOD_NAMES, Method};
use engine_core::outlook::condition::CONDITIONS;
use engine_core::outlook::foresight::Expected;
use engine_core::regression as core;
use pyo3::prelude::*;

/// A forecast value with its 95 % interval.
#[pyclass(frozen, get_all, module = "engine._core")]
#[derive(Clone, Copy)]
pub(crate) struct Estimate {
    value: f64,
    low: f64,
    high: f64,
    slope_per_s: f64,
    by: &'static str,
}

/// What is forecast of a series.
#[pyclass(frozen, get_all, module = "engine._core")]
pub(crate) struct Forecast {
    cpc_micros: Option<Estimate>,
    cvr: Estimate,
    reported_cvr: Option<Estimate>,
    raw_cvr: Option<f64>,
    clicks_an_hour: Option<Estimate>,
    condition: &'static str,
    confidence: f64,
    confidence_parts: Parts,
    samples: u32,
    clicks: u64,
    conversions: f64,
}

/// What a window's line says about one horizon ahead.
#[pyclass(frozen, get_all, module = "engine._core")]
pub(crate) struct WindowForecast {
    cpc_micros: Option<Estimate>,
    cvr: Option<Estimate>,
    confidence: f64,
    confidence_parts: Parts,
    samples: u32,
    clicks: u64,
}

/// Sample size, age, spread and completeness.
type Parts = (f64, f64, f64, f64);

fn parts(confidence: &window::Confidence) -> Parts {
    (
        confidence.sample_size,
        confidence.age,
        confidence.spread,
        confidence.completeness,
    )
}

impl Estimate {
    fn new(line: &core::Estimate, tick_ms: u32, by: Method) -> Self {
        Self {
            value: line.value,
            low: line.low,
            high: line.high,
            slope_per_s: line.slope_per_second(tick_ms),
            by: METHOD_NAMES.get(by as usize).copied().unwrap_or(""),
        }
    }
}

impl Forecast {
    pub(crate) fn new(forecast: &book::Forecast, tick_ms: u32) -> Self {
        let expected = |found: &Expected| Estimate::new(&found.estimate, tick_ms, found.method);
        Self {
            cpc_micros: forecast.cpc_micros.as_ref().map(expected),
            cvr: Estimate::new(&forecast.cvr, tick_ms, Method::Model),
            reported_cvr: forecast.reported_cvr.as_ref().map(expected),
            raw_cvr: forecast.raw_cvr,
            clicks_an_hour: forecast.clicks_an_hour.as_ref().map(expected),
            condition: CONDITIONS
                .get(forecast.condition as usize)
                .copied()
                .unwrap_or(""),
            confidence: forecast.confidence.value,
            confidence_parts: parts(&forecast.confidence),
            samples: forecast.samples,
            clicks: forecast.clicks,
            conversions: forecast.conversions,
        }
    }
}

impl WindowForecast {
    pub(crate) fn new(forecast: &window::Forecast, tick_ms: u32) -> Self {
        let line = |line: core::Estimate| Estimate::new(&line, tick_ms, Method::Line);
        Self {
            cpc_micros: forecast.cpc_micros.map(line),
            cvr: forecast.cvr.map(line),
            confidence: forecast.confidence.value,
            confidence_parts: parts(&forecast.confidence),
            samples: forecast.samples,
            clicks: forecast.clicks,
        }
    }
}

#[pymethods]
impl Estimate {
    fn __repr__(&self) -> String {
        format!(
            "Estimate(value={}, low={}, high={}, by='{}')",
            self.value, self.low, self.high, self.by
        )
    }
}

#[pymethods]
impl Forecast {
    fn __repr__(&self) -> String {
        format!(
            "Forecast(samples={}, clicks={}, condition='{}', confidence={:.3})",
            self.samples, self.clicks, self.condition, self.confidence
        )
    }
}

#[pymethods]
impl WindowForecast {
    fn __repr__(&self) -> String {
        format!(
            "WindowForecast(samples={}, clicks={}, confidence={:.3})",
            self.samples, self.clicks, self.confidence
        )
    }
}
