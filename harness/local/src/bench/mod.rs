//! Measurements of the local provider, for `squall bench faults`. They return what they measured and judge
//! nothing. Programs inside the nodes are this executable again, in a role.

mod measure;
mod roles;
mod shares;

pub use measure::{
    Protocol, Timings, clusters, delay_accuracy, policy_flips, round_trips, start_peer, tcp_throughput,
};
pub(crate) use roles::{WORD, run};
pub use shares::{Tally, tally};
