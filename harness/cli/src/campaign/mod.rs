//! Campaigns: what to run, as a person writes it, and as the list of runs that it comes to.
//!
//! Text → located tree → [`Campaign`] (defaults, then the file, then environment and flags) → [`RunPlan`]s.
//! Whatever is wrong is refused here, with its place in the file, before anything starts.

mod attached;
mod builtin;
mod complaint;
mod decode;
mod definition;
mod drop;
mod everything;
mod expect;
mod fields;
mod load;
mod naming;
mod overrides;
mod plan;
mod provider;
mod resolve;
mod schedule;
mod select;
mod shard;
mod ssh;
mod swarm;
mod tree;
mod values;

#[cfg(test)]
mod tests;

pub(crate) use attached::{OWN, bearable};
pub use complaint::{Complaint, Place, Source};
pub use definition::{Campaign, Keep, Liveness, Timing};
pub use drop::Dropped;
pub(crate) use everything::{ALL, NONE, is_everything};
pub use expect::{AtLeast, Expect};
pub(crate) use fields::{Fields, list, positive_duration, text, whole, word};
pub use overrides::{Override, Settings};
pub use plan::RunPlan;
pub use provider::{FileOption, PROVIDERS, ProviderChoice, ProviderKind};
pub use schedule::{After, Named, StepPlan, Trigger};
pub use select::Select;
pub use shard::Shard;
pub(crate) use tree::{Key, Node, Tree};
pub use values::{Cell, Concurrency, Rate};
