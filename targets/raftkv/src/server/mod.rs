//! The server: core, network and HTTP are tasks of one thread, the disk has another.
//!
//! ```text
//! HTTP ─┐              ┌─ write ──> disk thread ── persisted ─┐
//! peers ┼─ events ─> core ─ messages ─> peers                 │
//!       └──────────────┴──────────────────────────────────────┘
//! ```
//! Every queue towards the core is bounded by what may be in flight: client requests are counted and refused
//! as busy beyond a limit, peers have flow control.

mod api;
mod asks;
mod body;
mod compaction;
mod config;
mod disk;
pub(crate) mod early;
mod error;
mod farewell;
mod http;
mod json;
pub(crate) mod lease_timers;
mod metrics;
mod node;
mod peer;
mod query;
mod render;
mod requests;
mod restore;
mod run;
mod status;
mod trace;
pub(crate) mod watch;
mod wire;

pub use config::{Config, ConfigError, OPTIONS};
pub use error::ApiError;
pub use run::{Server, StartError, serve};
