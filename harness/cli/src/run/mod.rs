//! Running campaigns and judging stored runs.
//!
//! Each run is judged and stored as soon as it ends; what a campaign comes to is a fold of its runs' results.

mod again;
mod analyze;
mod campaign;
mod conclude;
mod job;
mod judge;
mod live;
mod logs;
mod machine;
mod messages;
mod one;
mod replay;
mod reproduce;
mod resume;
mod retention;
mod shrink;
mod signals;
mod smaller;
mod smallest;
pub(crate) mod store;
mod stored;
mod watch;

pub use analyze::analyze;
pub use campaign::run;
pub use replay::replay;
pub use shrink::shrink;

pub(crate) use campaign::find_run;
pub(crate) use job::{Job, expected};
pub(crate) use machine::machine;
pub(crate) use reproduce::command;
pub(crate) use signals::{INTERRUPTED, Signals};
