//! Running campaigns and judging stored runs.
//!
//! Each run is judged and stored as soon as it ends; what a campaign comes to is a fold of its runs' results.

mod analyze;
mod campaign;
mod conclude;
mod job;
mod judge;
mod live;
mod logs;
mod messages;
mod one;
mod reproduce;
mod resume;
mod retention;
mod signals;
mod store;
mod watch;

pub use analyze::analyze;
pub use campaign::run;

pub(crate) use campaign::find_run;
pub(crate) use job::expected;
pub(crate) use reproduce::command;
