//! Faults, schedules and their evidence.
//!
//! A fault is one file and one line in [`faults`]. What a fault does is decided by the seed before the run
//! (`plan`), resolved on the live cluster (`begin`), undone and proven (`end`). A fault that cannot be shown
//! to have taken effect says so; it never pretends.

mod background;
mod clock;
mod commanded;
mod damage;
mod disk;
mod disk_harms;
mod errand;
mod flap;
mod harms;
mod inject;
mod limits;
mod maintenance;
mod members;
mod partition;
mod power;
mod process;
mod quality;
mod registry;
mod restarts;
mod restore;
mod script;
mod storm;
mod timing;
mod topple;
mod upgrade;
mod victims;

pub use commanded::commanded;
pub use registry::faults;
pub use script::{Event, Script, Step, Together, When};
pub use storm::Storm;
pub use timing::Timing;
