//! What a person reads in a terminal: the end of a run, trends, and what differs between campaigns.
//!
//! Plain text without colours: whoever prints it knows whether the terminal has any. Values from the target
//! are inert.

mod compare;
mod summary;

pub use compare::{comparison, trend};
pub use summary::{headline, summary};
