//! Accepts or rejects the certificate of a verdict, by code that shares nothing with the checkers.
//!
//! It reads the history and the certificate and nothing else: the models are written a second time, the
//! search is the plainest there is. A certificate says either in which order everything took effect
//! (`linearization`), or which operations have no legal order (`nonlinearizable`). The second kind leaves
//! operations out; [`accept`] checks for each that it can only have made more orders legal by its absence.

mod absent;
mod order;
mod sequential;

pub use order::accept;
