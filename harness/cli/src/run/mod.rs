//! Running: one run after another, judged and stored as they end.

mod judge;
pub mod live;
pub mod one;
mod signals;
mod store;
