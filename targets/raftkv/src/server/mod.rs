//! The server: the core on a thread of its own, the disk on another, network and HTTP on a small runtime.
//!
//! ```text
//! HTTP ─┐                ┌─ write ──> disk thread ── persisted ─┐
//! peers ┼─ events ─> core thread ─ messages ─> peers            │
//!       └────────────────┴──────────────────────────────────────┘
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
mod http;
mod json;
pub(crate) mod lease_timers;
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
