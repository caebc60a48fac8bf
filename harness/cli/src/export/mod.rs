//! `squall export`: a run's history in the forms that other tools read.
//!
//! Each form is one file here and a function from a history to text. Nothing is judged, and nothing that the
//! history does not say is made up; what a form cannot hold is left out and named in that form's module.

mod command;
mod csv;
mod edn;
mod events;
mod jsonl;
mod perfetto;

#[cfg(test)]
mod tests;

pub use command::{To, export};
