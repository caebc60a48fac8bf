//! What a person reads in a terminal: the end of a run, trends, and what differs between campaigns.
//!
//! Plain text without colours: whoever prints it knows whether the terminal has any. Values from the target
//! are inert.

mod compare;
mod summary;

pub use compare::{comparison, trend, triage};
pub use summary::{headline, summary};

pub(crate) use compare::{name as figure_name, value as figure_value};
