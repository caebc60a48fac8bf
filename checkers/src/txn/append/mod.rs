//! List-append: transactions of appends to lists and reads of whole lists, after Kingsbury and Alvaro,
//! "Elle: Inferring Isolation Anomalies from Experimental Observations" (VLDB 2020).
//!
//! A read shows its list's whole past, so version orders are known and dependencies are facts. What is not
//! known (an append that nobody read) is only placed where it must be: behind everything that was read.

pub mod check;
pub mod columns;
mod compact;
pub mod depend;
pub mod explain;
mod kept;
pub mod live;
mod live_order;
pub mod versions;
pub mod visibility;
