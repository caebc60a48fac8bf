//! Clients in any language: a program that is spoken to in JSON lines over its standard input and output.
//!
//! The protocol is documented for people in `docs/client-protocol.md`, with a JSON Schema beside it; this is the
//! harness's side. One program a node serves many processes, told apart by number, or (`per_process`) each
//! process has a program of its own. Nothing here knows what is on the other end of the client.
//!
//! Invariants: a question has one answer; one that never came is `info` (a read's is `fail`); an operation that
//! was not written to the program is `fail`. A program that answers what was not asked, or something that cannot
//! be read, is not believed any more: it is ended, and [`Program::trouble`] says what was seen.

mod client;
mod host;
mod log;
mod message;
mod program;

pub use client::ExternalClient;
pub use host::{Host, Spec};
pub use message::{Hello, NodeHello, Open};
pub use program::{Program, Trouble};

/// The version of the protocol that is spoken here.
pub const PROTOCOL: u32 = 1;

#[cfg(test)]
mod tests;
