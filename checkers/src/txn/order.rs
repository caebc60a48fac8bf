//! Transactions in time: process order and real time as edges.

use std::collections::VecDeque;

use squall_history::{NEVER, Outcome};

use super::graph::{Edges, Kind};

/// What is known of a transaction beside its micro-operations.
#[derive(Clone, Copy, Debug)]
pub struct Txn {
    /// The operation's index in the history.
    pub index: u32,
    /// Who ran it.
    pub process: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// Rank of its invocation.
    pub invoked: u32,
    /// Rank of its completion; [`NEVER`] unless it was ok.
    pub completed: u32,
}

impl Txn {
    /// Whether it may have happened.
    pub fn possible(&self) -> bool {
        self.outcome != Outcome::Fail
    }

    /// Whether it surely happened.
    pub fn committed(&self) -> bool {
        self.outcome == Outcome::Ok
    }
}

/// Real time, transitively reduced: an edge from `a` to `b` where `a` was completed before `b` was invoked,
/// and nothing lies wholly between. `members` are indexes into `txns`; edges join positions in `members`.
pub fn realtime_edges(txns: &[Txn], members: &[u32], edges: &mut Edges) {
    // Events as (rank, position, whether it is the completion).
    let mut events: Vec<(u32, u32)> = Vec::with_capacity(members.len() * 2);
    for (at, &m) in members.iter().enumerate() {
        let t = &txns[m as usize];
        if t.possible() {
            events.push((t.invoked, (at as u32) << 1));
            if t.completed != NEVER {
                events.push((t.completed, ((at as u32) << 1) | 1));
            }
        }
    }
    events.sort_unstable();
    // Completed, and not before anything else that is completed; by completion.
    let mut frontier: VecDeque<u32> = VecDeque::new();
    for (_, event) in events {
        let at = event >> 1;
        if event & 1 == 0 {
            for &before in &frontier {
                edges.push(before, at, Kind::Realtime);
            }
            continue;
        }
        let invoked = txns[members[at as usize] as usize].invoked;
        while let Some(&oldest) = frontier.front()
            && txns[members[oldest as usize] as usize].completed < invoked
        {
            frontier.pop_front();
        }
        frontier.push_back(at);
    }
}

/// Process order between neighbours. `members` are indexes into `txns` in order of invocation; edges join
/// positions in `members`. What comes after a transaction of unknown outcome is not ordered behind it.
pub fn process_edges(txns: &[Txn], members: &[u32], edges: &mut Edges) {
    let mut last = rustc_hash::FxHashMap::default();
    for (at, &m) in members.iter().enumerate() {
        let t = &txns[m as usize];
        if !t.possible() {
            continue;
        }
        if let Some(&before) = last.get(&t.process) {
            edges.push(before, at as u32, Kind::Process);
        }
        if t.committed() {
            last.insert(t.process, at as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::graph::{Graph, components};
    use crate::txn::random::Random;

    #[test]
    fn the_reduced_order_has_the_same_paths() {
        let mut random = Random::new(5);
        for _ in 0..500 {
            let n = 1 + random.below(8) as usize;
            let mut ranks: Vec<u32> = (0..2 * n as u32).collect();
            for i in (1..ranks.len()).rev() {
                ranks.swap(i, random.below(i as u64 + 1) as usize);
            }
            let txns: Vec<Txn> = (0..n)
                .map(|i| {
                    let (a, b) = (ranks[2 * i], ranks[2 * i + 1]);
                    let info = random.one_in(5);
                    Txn {
                        index: i as u32,
                        process: i as u32,
                        outcome: if info { Outcome::Info } else { Outcome::Ok },
                        invoked: a.min(b),
                        completed: if info { NEVER } else { a.max(b) },
                    }
                })
                .collect();
            let members: Vec<u32> = (0..n as u32).collect();
            let mut edges = Edges::default();
            realtime_edges(&txns, &members, &mut edges);
            let graph = Graph::new(n, &edges);
            assert!(components(&graph, u8::MAX).acyclic());
            for a in 0..n {
                let mut reach = vec![false; n];
                let mut todo = vec![a as u32];
                while let Some(x) = todo.pop() {
                    for (y, _) in graph.out(x) {
                        if !std::mem::replace(&mut reach[y as usize], true) {
                            todo.push(y);
                        }
                    }
                }
                for b in 0..n {
                    assert_eq!(reach[b], txns[a].completed < txns[b].invoked);
                }
            }
        }
    }
}
