//! Serializability, snapshot isolation, prefix consistency and sequential consistency of plain reads and
//! writes, where version orders are not known: a search for an order, by conflicts.

pub mod graph;
pub mod greedy;
pub mod problem;
pub mod rolling;
pub mod saturate;
pub mod solve;
pub mod times;

#[cfg(test)]
mod tests;
