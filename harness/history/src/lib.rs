//! Operations, events, histories in memory, the run log, import and export.
//!
//! An operation is `{f, key, value}` with a compact generic [`Value`]; what `f` means is for a workload and
//! a model to say. A [`History`] keeps operations in columns and orders their events by rank, so that a
//! checker never looks at a clock. Everything that happened beside the operations (faults with their
//! evidence, phases, leaders, log lines) travels in the same [`Entry`] stream: the one event log of which
//! every report is a fold.
//!
//! Deliberately absent: any idea of a target, a model or a verdict.

mod accesses;
mod entry;
mod event;
pub mod export;
mod history;
pub mod import;
mod json;
mod lines;
mod list;
mod object;
mod pool;
pub mod runlog;
mod scan;
#[cfg(test)]
mod seeds;
mod seen;
mod value;

pub use accesses::{Access, AccessKind, Accesses};
pub use entry::{
    Entry, Fault, FaultPhase, NodeInfo, Note, Phase, ProcessInfo, RunHeader, SCHEMA_VERSION, Skipped,
};
pub use event::{Event, EventKind, Meta, ProcessId};
pub use history::{BadEvent, Builder, History, NEVER, Op, Order, Outcome, RawEvent, RawOperation};
pub use list::List;
pub use seen::{MESSAGES_FILE, SeenMessage, read_messages, write_messages};
pub use value::Value;
