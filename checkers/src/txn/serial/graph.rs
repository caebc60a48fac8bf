//! A graph that grows and shrinks at its end, with a topological order to lean on.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::txn::graph::{Edges, Graph, Kind};

/// An edge that was decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Added {
    /// Source.
    pub from: u32,
    /// Target.
    pub to: u32,
    /// `Ww` or `Rw`.
    pub kind: Kind,
    /// The key.
    pub key: u32,
}

/// Fixed edges and a stack of added ones.
#[derive(Clone, Debug)]
pub struct Growing {
    base: Graph,
    added: Vec<Added>,
    // Per node, its added edges: indexes into `added`, linked from the newest.
    head: Vec<u32>,
    link: Vec<u32>,
    /// Places of nodes in the last topological order.
    pub at: Vec<u32>,
    /// The last topological order.
    pub order: Vec<u32>,
    // Edges added before the order was made; later ones may disagree with it.
    ordered: usize,
    stamp: Vec<u32>,
    round: u32,
    queue: Vec<u32>,
    /// Edges looked at so far.
    pub work: u64,
}

const END: u32 = u32::MAX;

impl Growing {
    /// Starts from fixed edges.
    pub fn new(nodes: usize, base: &Edges) -> Self {
        Growing {
            base: Graph::new(nodes, base),
            added: Vec::new(),
            head: vec![END; nodes],
            link: Vec::new(),
            at: vec![0; nodes],
            order: Vec::new(),
            ordered: 0,
            stamp: vec![0; nodes],
            round: 0,
            queue: Vec::new(),
            work: 0,
        }
    }

    /// Number of added edges.
    pub fn len(&self) -> usize {
        self.added.len()
    }

    /// Adds an edge.
    pub fn push(&mut self, edge: Added) {
        self.link.push(self.head[edge.from as usize]);
        self.head[edge.from as usize] = self.added.len() as u32;
        self.added.push(edge);
    }

    /// Takes back all but the first `len` added edges.
    pub fn truncate(&mut self, len: usize) {
        while self.added.len() > len {
            let edge = self.added.pop().expect("longer than len");
            let link = self.link.pop().expect("as long as the edges");
            self.head[edge.from as usize] = link;
        }
        self.ordered = self.ordered.min(len);
    }

    fn extra(&self, node: u32) -> impl Iterator<Item = &Added> + '_ {
        let mut at = self.head[node as usize];
        std::iter::from_fn(move || {
            let edge = self.added.get(at as usize)?;
            at = self.link[at as usize];
            Some(edge)
        })
    }

    /// Orders all nodes by the edges, and where they leave a choice by `wish`. False if they are circular.
    pub fn sort(&mut self, wish: &[u32]) -> bool {
        let n = self.head.len();
        let mut waits = vec![0u32; n];
        for node in 0..n as u32 {
            for (to, _) in self.base.out(node) {
                waits[to as usize] += 1;
            }
        }
        for edge in &self.added {
            waits[edge.to as usize] += 1;
        }
        let mut ready: BinaryHeap<Reverse<(u32, u32)>> = (0..n as u32)
            .filter(|&i| waits[i as usize] == 0)
            .map(|i| Reverse((wish[i as usize], i)))
            .collect();
        self.order.clear();
        while let Some(Reverse((_, node))) = ready.pop() {
            self.at[node as usize] = self.order.len() as u32;
            self.order.push(node);
            let mut release = |to: u32| {
                waits[to as usize] -= 1;
                if waits[to as usize] == 0 {
                    ready.push(Reverse((wish[to as usize], to)));
                }
            };
            self.base.out(node).for_each(|(to, _)| release(to));
            self.extra(node).for_each(|edge| release(edge.to));
        }
        self.ordered = self.added.len();
        self.order.len() == n
    }

    /// Whether a path leads from one node to another over edges that the last order knows.
    pub fn reaches(&mut self, from: u32, to: u32) -> bool {
        if from == to {
            return true;
        }
        let limit = self.at[to as usize];
        if self.at[from as usize] >= limit {
            return false;
        }
        self.round += 1;
        let mut queue = std::mem::take(&mut self.queue);
        queue.clear();
        queue.push(from);
        let mut found = false;
        let mut next = 0;
        while next < queue.len() && !found {
            let node = queue[next];
            next += 1;
            let known = self.extra(node).filter(|_| true);
            let mut fresh: Vec<u32> = Vec::new();
            for to_node in self.base.out(node).map(|(n, _)| n).chain(known.map(|e| e.to)) {
                fresh.push(to_node);
            }
            self.work += fresh.len() as u64;
            for n in fresh {
                if n == to {
                    found = true;
                    break;
                }
                if self.at[n as usize] < limit && self.stamp[n as usize] != self.round {
                    self.stamp[n as usize] = self.round;
                    queue.push(n);
                }
            }
        }
        self.queue = queue;
        found
    }

    /// A shortest cycle, as nodes with the kind and key of the edge that leaves each. Only if there is one.
    pub fn cycle(&self) -> Vec<(u32, Kind, Option<u32>)> {
        let all = |node: u32| {
            let fixed = self.base.out(node).map(|(to, kind)| (to, kind, None));
            fixed.chain(self.extra(node).map(|e| (e.to, e.kind, Some(e.key))))
        };
        let mut edges = Edges::default();
        for node in 0..self.head.len() as u32 {
            all(node).for_each(|(to, kind, _)| edges.push(node, to, kind));
        }
        let graph = Graph::new(self.head.len(), &edges);
        let inside = crate::txn::graph::components(&graph, u8::MAX);
        let mut best: Vec<(u32, Kind, Option<u32>)> = Vec::new();
        let mut tried = 0;
        for members in inside.cyclic() {
            for &start in &members {
                // Long searches for a shorter cycle are not worth it.
                tried += members.len();
                if !best.is_empty() && tried > 20_000_000 {
                    return best;
                }
                let found = self.shortest(start, &inside.of, &all);
                if best.is_empty() || found.len() < best.len() {
                    best = found;
                }
            }
        }
        best
    }

    fn shortest<I: Iterator<Item = (u32, Kind, Option<u32>)>>(
        &self,
        start: u32,
        component: &[u32],
        all: &impl Fn(u32) -> I,
    ) -> Vec<(u32, Kind, Option<u32>)> {
        let mut parent: rustc_hash::FxHashMap<u32, (u32, Kind, Option<u32>)> = Default::default();
        let mut queue = std::collections::VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for (to, kind, key) in all(node) {
                if component[to as usize] != component[start as usize] {
                    continue;
                }
                if to == start {
                    let mut path = vec![(node, kind, key)];
                    let mut at = node;
                    while at != start {
                        let (before, kind, key) = parent[&at];
                        path.push((before, kind, key));
                        at = before;
                    }
                    path.reverse();
                    return path;
                }
                parent.entry(to).or_insert_with(|| {
                    queue.push_back(to);
                    (node, kind, key)
                });
            }
        }
        Vec::new()
    }
}
