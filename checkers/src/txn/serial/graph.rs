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
    /// The latest choice that it depends on, counted from 1; 0 if it holds in any case.
    pub choice: u32,
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
    stamp: Vec<u32>,
    round: u32,
    // Of each node met: the one before it, and the latest choice on the way.
    parent: Vec<u32>,
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
            stamp: vec![0; nodes],
            round: 0,
            parent: vec![0; nodes],
            queue: Vec::new(),
            work: 0,
        }
    }

    /// Number of added edges.
    pub fn len(&self) -> usize {
        self.added.len()
    }

    /// Whether no edge was added.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
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
        self.order.len() == n
    }

    /// Whether a path leads from one node to another over the present edges, all of which the last order must
    /// keep; and the latest choice that the path depends on.
    pub fn reaches(&mut self, from: u32, to: u32) -> Option<u32> {
        if from == to {
            return Some(0);
        }
        let limit = self.at[to as usize];
        if self.at[from as usize] >= limit {
            return None;
        }
        self.round += 1;
        let mut queue = std::mem::take(&mut self.queue);
        let mut stamp = std::mem::take(&mut self.stamp);
        let mut latest = std::mem::take(&mut self.parent);
        let (round, mut work) = (self.round, 0);
        queue.clear();
        queue.push(from);
        latest[from as usize] = 0;
        let (mut found, mut next) = (None, 0);
        while next < queue.len() && found.is_none() {
            let node = queue[next];
            next += 1;
            let so_far = latest[node as usize];
            let mut meet = |n: u32, choice: u32| {
                work += 1;
                if n == to {
                    found = Some(so_far.max(choice));
                } else if self.at[n as usize] < limit && stamp[n as usize] != round {
                    stamp[n as usize] = round;
                    latest[n as usize] = so_far.max(choice);
                    queue.push(n);
                }
            };
            self.base.out(node).for_each(|(n, _)| meet(n, 0));
            self.extra(node).for_each(|edge| meet(edge.to, edge.choice));
        }
        self.work += work;
        (self.queue, self.stamp, self.parent) = (queue, stamp, latest);
        found
    }

    /// The latest choice on some cycle, once there is one.
    pub fn blame(&self) -> u32 {
        // What could not be ordered holds a cycle: walk within it until a node comes again.
        let mut ordered = vec![false; self.head.len()];
        self.order.iter().for_each(|&n| ordered[n as usize] = true);
        let mut back: Vec<(u32, u32)> = vec![(u32::MAX, 0); self.head.len()];
        for node in (0..self.head.len() as u32).filter(|&n| !ordered[n as usize]) {
            let fixed = self.base.out(node).map(|(to, _)| (to, 0));
            for (to, choice) in fixed.chain(self.extra(node).map(|e| (e.to, e.choice))) {
                // Every node left waits for one that is left; prefer edges that depend on little.
                let known = &mut back[to as usize];
                if known.0 == u32::MAX || choice < known.1 {
                    *known = (node, choice);
                }
            }
        }
        let Some(mut at) = (0..self.head.len() as u32).find(|&n| !ordered[n as usize]) else { return 0 };
        let mut met = vec![false; self.head.len()];
        while !std::mem::replace(&mut met[at as usize], true) {
            at = back[at as usize].0;
        }
        let (start, mut latest) = (at, 0);
        loop {
            let (before, choice) = back[at as usize];
            latest = latest.max(choice);
            at = before;
            if at == start {
                return latest;
            }
        }
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
