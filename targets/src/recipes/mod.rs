//! What clients build from guarded transactions, whatever the store: read at one moment, decide, and write only
//! if nothing that was read was changed since. Where the guard does not hold nothing happened, and the operation
//! is `fail`: no recipe tries again.
//!
//! A store implements [`Guarded`]; each recipe is one file.

mod bank;
mod counter;
mod guarded;
mod queue;
mod recipe;
mod skew;
mod txn;

#[cfg(test)]
mod tests;

pub(crate) use guarded::{Change, Guarded, Held};
pub(crate) use recipe::{invoke, is_known};
