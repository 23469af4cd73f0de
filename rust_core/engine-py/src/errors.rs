//! One error enum, one exception.

use engine_core::error::CoreError as Refused;
use pyo3::create_exception;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

create_exception!(
    engine._core,
    CoreError,
    PyValueError,
    "The core refused an input."
);

/// Returns the exception for a refused input.
#[allow(clippy::needless_pass_by_value)] // the shape that map_err wants
pub(crate) fn refused(error: Refused) -> PyErr {
    CoreError::new_err(error.to_string())
}
