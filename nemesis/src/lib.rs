//! Faults, schedules and their evidence.
//!
//! A fault is one file and one line in [`faults`]. What a fault does is decided by the seed before the run
//! (`plan`), resolved on the live cluster (`begin`), undone and proven (`end`). A fault that cannot be shown
//! to have taken effect says so; it never pretends.

mod clock;
mod disk;
mod harms;
mod partition;
mod process;
mod quality;
mod registry;
mod storm;
mod timing;
mod victims;

pub use registry::faults;
pub use storm::Storm;
pub use timing::Timing;
