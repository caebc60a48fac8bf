//! The campaign that runs when nobody names a file.

use std::time::Duration;

use super::{Campaign, Cell};

impl Campaign {
    /// Our own Raft KV, five nodes, a register, partitions and clock skew together, half a minute. Faults
    /// that cannot be had here are dropped and named.
    pub fn built_in() -> Campaign {
        Campaign {
            name: "built-in".to_owned(),
            warm_up: Duration::from_secs(2),
            time_limit: Duration::from_secs(30),
            faults: vec![vec![Cell::named("partition"), Cell::named("clock")]],
            faults_may_drop: true,
            ..Campaign::default()
        }
    }
}
