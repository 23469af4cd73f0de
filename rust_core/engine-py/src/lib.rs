//! The binding: take, call, convert. Every rule of the domain is in `engine-core`.

mod book;
mod errors;
mod forecast;
mod input;
mod outlook;
mod planner;
mod sweep;
mod window;

use engine_core::outlook::choice::METHOD_NAMES;
use engine_core::outlook::condition::CONDITIONS;
use engine_core::verdict::{ACTIONS, BINDINGS};
use pyo3::prelude::*;
use pyo3::types::PyTuple;

/// The Rust core of campaign-engine.
#[pymodule(gil_used = false)]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    let profile = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    module.add("build_profile", profile)?;
    module.add("ACTIONS", PyTuple::new(py, ACTIONS)?)?;
    module.add("BINDINGS", PyTuple::new(py, BINDINGS)?)?;
    module.add("CONDITIONS", PyTuple::new(py, CONDITIONS)?)?;
    module.add("METHODS", PyTuple::new(py, METHOD_NAMES)?)?;
    module.add("CoreError", py.get_type::<errors::CoreError>())?;
    module.add_class::<forecast::Estimate>()?;
    module.add_class::<forecast::Forecast>()?;
    module.add_class::<forecast::WindowForecast>()?;
    module.add_class::<book::Front>()?;
    module.add_class::<book::Ingested>()?;
    module.add_class::<book::Round>()?;
    module.add_class::<book::Book>()?;
    module.add_class::<outlook::Expected>()?;
    module.add_class::<outlook::SeasonalForecaster>()?;
    module.add_class::<planner::History>()?;
    module.add_class::<planner::Plan>()?;
    module.add_class::<planner::Planner>()?;
    module.add_class::<sweep::Counted>()?;
    module.add_class::<sweep::Sweep>()?;
    module.add_class::<window::Window>()
}
