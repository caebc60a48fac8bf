//! Swarm testing (Groce et al. 2012): each run has a random subset of the faults, for what one fault hides another
//! often shows, and all of them together show little.

use super::naming::mix;
use super::{Campaign, Cell};

impl Campaign {
    /// The sets of faults that this campaign's swarm draws for one workload: each fault is in or out by a coin,
    /// and at least one is in.
    pub(super) fn drawn(&self, runs: u32, workload: &Cell) -> Vec<Vec<Cell>> {
        let mut pool: Vec<&Cell> = Vec::new();
        for cell in self.faults.iter().flatten() {
            if !pool.contains(&cell) {
                pool.push(cell);
            }
        }
        let salt = workload.name.bytes().fold(0u64, |h, b| mix(h ^ u64::from(b)));
        let draw = |run: u32| {
            let base = mix(mix(self.seed) ^ salt ^ u64::from(run));
            let coin = |i: usize| mix(base ^ (i as u64 + 1)) & 1 == 1;
            let mut set: Vec<Cell> =
                pool.iter().enumerate().filter(|(i, _)| coin(*i)).map(|(_, c)| (*c).clone()).collect();
            if set.is_empty() && !pool.is_empty() {
                set.push(pool[(base % pool.len() as u64) as usize].clone());
            }
            set
        };
        (0..runs).map(draw).collect()
    }
}
