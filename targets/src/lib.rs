//! Systems under test, a module each: how to start them, whether they serve, who leads, how to talk to them.
//!
//! A target is one file and one line in [`targets`]. Each client states the table by which errors become
//! `fail` or `info`, with its source. Clients never retry, never follow a redirect of a write, and talk to
//! their own node only.

pub mod declared;
mod etcd;
pub mod external;
mod http;
mod on_path;
mod raftkv;
mod recipes;
mod registry;

pub use registry::targets;
