//! The engine: the protocols in which targets, workloads and faults meet, generators, the scheduler, the
//! recorder, and the life of a run.
//!
//! A value's way: workload → generator → client → target, and back: completion → recorder → history. It
//! flows one way; nothing downstream reaches back, but for [`generator::Generator::update`], which only ever
//! fills in arguments.

pub mod generator;
pub mod operation;
pub mod protocol;
pub mod recorder;
pub mod run;
pub mod scheduler;
pub mod seed;
pub mod units;

mod deployment;
mod error;
mod excuses;
mod layers;
mod logscan;
pub mod membership;
mod monitor;
mod notes;
mod progress;
mod ready;
mod room;
mod stop;
mod timer;

pub use deployment::{Deployment, Injection};
pub use error::Error;
pub use excuses::Excuses;
pub use layers::Layers;
pub use monitor::{LeaderView, watch_nodes};
pub use operation::{Completion, Operation, Outcome};
pub use progress::{Progress, Watched};
pub use run::{Finished, RunSpec, run};
pub use stop::Stop;
