//! What may be expected of a series: its rates, how sure that is, and what its market is up to.
//!
//! A window says what was; this folder says what to make of it.
//!
//! | part | question | lives |
//! |---|---|---|
//! | [`foresight`] | what will the next report show? | per series, from eight reports on |
//! | [`choice`] | which way of forecasting errs least here? | per rate of a series |
//! | [`seasonal`] | what will the hours to come bring? | per series, from a day of hours on |
//! | [`condition`] | what is the market up to? | per series |
//!
//! What a click is worth in conversions, few of them or late, is `worth`'s to say: one of the ways that
//! `choice` chooses among is what it holds.

pub mod choice;
pub mod condition;
mod features;
pub mod foresight;
mod lane;
pub mod margin;
mod rls;
mod season;
pub mod seasonal;
