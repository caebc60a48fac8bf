//! Targets as data: a system described in YAML, without a line of Rust.
//!
//! This is what such a description means; reading it from a file, with places for complaints, is the command
//! line's affair. Clients are programs that speak the protocol of [`crate::external`].
//!
//! Invariants: every placeholder of every template is known before anything starts; commands run on nodes, never
//! on this machine, but for the one that asks for the version.

mod clients;
mod definition;
mod members;
mod probe;
mod target;
mod template;

pub use definition::{
    Bootstrap, ClientOf, CommandOf, Definition, ListOf, Members, Membership, On, ProbeOf, ProgramOf,
    Promises, Start, StepOf,
};
pub use target::Declared;
pub use template::{FIXED, Template};

#[cfg(test)]
mod tests;
