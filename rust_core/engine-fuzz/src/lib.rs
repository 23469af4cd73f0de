//! Fuzzing of what engine-core reads: whole inputs are damaged, and properties must hold.
//!
//! No nightly compiler and no libFuzzer: seeds are real inputs, a mutator damages them, a repair
//! writes lengths and checksums anew (else nothing would ever get past them), and inputs that reach
//! code or an answer not met before become seeds themselves. Code is counted where the crate is
//! built with LLVM's counters, as `make fuzz` does; answers always are.
#![deny(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a panic of the harness is a mistake in the harness"
)]

pub mod chance;
pub mod coverage;
pub mod fuzz;
pub mod memory;
pub mod mutate;
pub mod targets;

#[path = "../../engine-core/tests/common/mod.rs"]
#[allow(
    clippy::missing_docs_in_private_items,
    missing_docs,
    clippy::must_use_candidate
)]
mod common;
