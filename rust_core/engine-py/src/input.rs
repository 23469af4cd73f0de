//! Bytes from Python: those of a `bytes` object in place, those of other buffers copied.
//!
//! The core runs without the GIL, while another thread may write into a `bytearray` or an array; only
//! `bytes` cannot change under it.

use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyBytes, PyMemoryView};

/// Bytes that stay as they are while the GIL is released.
pub(crate) struct Input(PyBackedBytes);

impl<'a, 'py> FromPyObject<'a, 'py> for Input {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let bytes = if let Ok(bytes) = object.cast::<PyBytes>() {
            bytes.to_owned()
        } else {
            let view = PyMemoryView::from(&object)?;
            view.call_method0("tobytes")?.cast_into::<PyBytes>()?
        };
        Ok(Self(bytes.into()))
    }
}

impl std::ops::Deref for Input {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
