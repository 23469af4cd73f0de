//! The core of campaign-engine: windows, forecasts, pacing, bids and the ledger.
//!
//! Everything here is deterministic: no I/O, no clock, no randomness, no panic on any input.

#![forbid(unsafe_code)]

pub mod error;
pub mod forecast;
pub mod regression;
pub mod window;

// mod book; mod decide; mod frame; mod ledger; mod pacing; mod snapshot follow here.
