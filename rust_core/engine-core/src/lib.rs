//! The core of campaign-engine: windows, forecasts, pacing, bids and the ledger.
//!
//! Everything here is deterministic: no I/O, no clock, no randomness, no panic on any input.

#![forbid(unsafe_code)]

pub mod account;
mod ahead;
mod allot;
mod bid;
pub mod book;
mod bytes;
pub mod calendar;
mod campaign;
pub mod daypart;
mod decide;
pub mod definition;
pub mod error;
pub mod feasible;
pub mod forecast;
pub mod foresee;
pub mod frame;
pub mod front;
pub mod guard;
mod header;
pub mod ledger;
pub mod money;
mod normal;
mod open;
pub mod outlook;
pub mod pacing;
mod part;
mod plan;
pub mod planner;
mod price;
pub mod producers;
mod push;
pub mod real;
mod receipts;
pub mod regression;
mod response;
pub mod round;
mod sample;
mod shadow;
mod size;
pub mod snapshot;
pub mod sweep;
mod table;
mod told;
mod traffic;
pub mod verdict;
mod watch;
mod wide;
pub mod window;
mod worth;
