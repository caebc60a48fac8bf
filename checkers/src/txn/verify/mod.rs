//! Accepts or rejects certificates about transactions, straight from the history and the definitions.
//!
//! Shares nothing with the checkers: no columns, no version orders, no graph. It is slow and short on purpose.
//!
//! | kind | what it claims | how it is verified |
//! | --- | --- | --- |
//! | `cycle` | transactions of lists come before each other in a circle | every edge is looked up again |
//! | `order` | an order of commits (an index) and beginnings (`-1 - index`) explains every read | it is played through |
//! | `arbitration` | an order fulfils `causal`, or an axiom of isolation | each read is looked up in what its reader knew |
//! | `session-orders` | for each session an order explains what it read | each is played through |
//! | `subhistory` | a few operations alone violate the model | every order is tried |
//! | `reads` | an operation read what it cannot have read | it is looked up |
//!
//! A part of a history is weaker than the whole: reads of what was left out are left out too, so every order that
//! explains the whole explains the part.

mod accept;
mod arbitration;
mod cycle;
mod order;
mod reads;
mod small;
mod view;

pub use accept::{KINDS, verify};

#[cfg(test)]
mod tests;
