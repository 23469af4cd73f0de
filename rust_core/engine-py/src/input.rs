//! Bytes from Python: those of a `bytes` object in place, those of other buffers copied.
//!
//! The core runs without the GIL, while another thread may write into a `bytearray` or an array; only
//! `bytes` cannot change under it.

use pyo3::buffer::PyUntypedBuffer;
use pyo3::exceptions::PyBufferError;
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

/// The memory of a buffer of rows that stays where it is: not freed, moved or resized while this is
/// held. What is in it may still change: as with numpy's own functions, a caller that lets another
/// thread write into what it has handed over gets what it asked for. The core reads each number once
/// and checks what it has read, so that is a wrong number and no more.
pub(crate) struct Rows(PyUntypedBuffer);

/// The memory of a buffer that is written to.
pub(crate) struct Output(PyUntypedBuffer);

fn contiguous(object: Borrowed<'_, '_, PyAny>) -> PyResult<PyUntypedBuffer> {
    let buffer = PyUntypedBuffer::get(&object)?;
    if buffer.is_c_contiguous() {
        return Ok(buffer);
    }
    Err(PyBufferError::new_err(
        "the buffer must be C-contiguous, was not",
    ))
}

impl<'a, 'py> FromPyObject<'a, 'py> for Rows {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        contiguous(object).map(Self)
    }
}

impl<'a, 'py> FromPyObject<'a, 'py> for Output {
    type Error = PyErr;

    fn extract(object: Borrowed<'a, 'py, PyAny>) -> PyResult<Self> {
        let buffer = contiguous(object)?;
        if buffer.readonly() {
            return Err(PyBufferError::new_err(
                "the buffer to write to must be writable, was read-only",
            ));
        }
        Ok(Self(buffer))
    }
}

impl Rows {
    pub(crate) fn bytes(&self) -> &[u8] {
        let (begin, length) = (self.0.buf_ptr().cast::<u8>(), self.0.len_bytes());
        if length == 0 {
            return &[];
        }
        // SAFETY: an exporter keeps `len_bytes` contiguous bytes at `buf_ptr` until the buffer is
        // released, which is when this is dropped; any bytes are valid `u8`. A copy of 4 million rows
        // would take a tenth of the time that counting them does.
        unsafe { std::slice::from_raw_parts(begin, length) }
    }
}

impl Output {
    pub(crate) fn bytes(&mut self) -> &mut [u8] {
        let (begin, length) = (self.0.buf_ptr().cast::<u8>(), self.0.len_bytes());
        if length == 0 {
            return &mut [];
        }
        // SAFETY: as above, and the exporter has said that the memory may be written to; `&mut self`
        // keeps it to one writer here.
        unsafe { std::slice::from_raw_parts_mut(begin, length) }
    }
}
