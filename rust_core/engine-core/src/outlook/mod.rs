//! What may be expected of a series: its rate, how sure that is, and how boldly to act on it.
//!
//! A window says what was; this folder says what to make of it. Each part is a value of its own that
//! knows nothing of books and campaigns, holds a fixed number of numbers, and moves in constant time.
//!
//! | part | question | lives |
//! |---|---|---|
//! | [`seasonal`] | what will the hours to come bring? | per platform |
//! | [`choice`] | which way of forecasting errs least here? | per series |
//! | [`shrinkage`] | what is a CVR worth that few conversions tell? | per round |
//! | [`delay`] | which conversions are still to be reported? | per platform |
//! | [`condition`] | what is the market up to, and how boldly may bids move? | per series |

pub mod choice;
pub mod condition;
pub mod delay;
mod features;
mod lane;
pub mod margin;
mod rls;
pub mod seasonal;
pub mod shrinkage;
