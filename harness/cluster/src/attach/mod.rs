//! The `attach` provider: a cluster that runs already. A file says where its nodes are and, as far as its owner
//! wants, by which commands a node is handled and a fault begun, ended and proven. Nothing is installed, and
//! nothing is started that the file has no command for.
//!
//! Invariants: what the file has no command for is refused before anything starts; evidence is what a command
//! printed and how it ended, never that a command was sent; whatever the harness leaves behind is what the
//! file's own `heal` undoes.
//!
//! Deliberately absent: knowledge of any orchestrator. Whoever can write a command line can be attached.

mod command;
mod definition;
#[cfg(test)]
mod example;
pub(crate) mod here;
mod node;
mod provider;
mod template;

pub use command::{Commands, Said};
pub use definition::{AttachFile, FaultOf, LogOf, NodeOf, ProgramsOf};
pub use provider::{AttachNet, AttachProvider};
pub use template::{Values, missing, placeholders, render};
