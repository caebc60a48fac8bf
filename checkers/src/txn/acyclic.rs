//! A graph that grows edge by edge and has no cycle: an edge that would close one is refused.
//!
//! After Pearce and Kelly, "A Dynamic Topological Sort Algorithm for Directed Acyclic Graphs" (JEA 2006): nodes
//! keep an order; an edge against it reorders only what lies between its ends. Where edges follow time, as
//! dependencies of transactions nearly do, that is a handful of nodes, whatever the graph has grown to.

/// No edge.
const END: u32 = u32::MAX;

/// The graph. Nodes are numbers from 0, in the order in which they were added.
#[derive(Clone, Debug, Default)]
pub struct Acyclic {
    // Of each node: its place in the order, and its first edges out and in.
    place: Vec<u32>,
    out: Vec<u32>,
    into: Vec<u32>,
    // Of each edge: its other end and the next edge, seen from where it leaves and from where it arrives.
    out_edges: Vec<(u32, u32)>,
    into_edges: Vec<(u32, u32)>,
    // Room for searches.
    seen: Vec<bool>,
    later: Vec<u32>,
    earlier: Vec<u32>,
    todo: Vec<u32>,
}

impl Acyclic {
    /// Adds a node behind all others.
    pub fn add(&mut self) -> u32 {
        let node = self.place.len() as u32;
        self.place.push(node);
        self.out.push(END);
        self.into.push(END);
        self.seen.push(false);
        node
    }

    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.place.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.place.is_empty()
    }

    /// Adds an edge. False if it would close a cycle: then nothing was added.
    pub fn join(&mut self, from: u32, to: u32) -> bool {
        let (low, high) = (self.place[to as usize], self.place[from as usize]);
        if from == to {
            return false;
        }
        if high > low {
            let free = self.search_later(to, from, high);
            if free {
                self.search_earlier(from, low);
                self.reorder();
            }
            for node in self.later.drain(..).chain(self.earlier.drain(..)) {
                self.seen[node as usize] = false;
            }
            if !free {
                return false;
            }
        }
        let edge = self.out_edges.len() as u32;
        self.out_edges.push((to, std::mem::replace(&mut self.out[from as usize], edge)));
        self.into_edges.push((from, std::mem::replace(&mut self.into[to as usize], edge)));
        true
    }

    /// Everything that is reached from `to` and lies no later than `high`. False if `from` is.
    fn search_later(&mut self, to: u32, from: u32, high: u32) -> bool {
        self.todo.clear();
        self.todo.push(to);
        self.seen[to as usize] = true;
        self.later.push(to);
        while let Some(node) = self.todo.pop() {
            let mut edge = self.out[node as usize];
            while edge != END {
                let (next, after) = self.out_edges[edge as usize];
                if next == from {
                    return false;
                }
                if self.place[next as usize] < high && !self.seen[next as usize] {
                    self.seen[next as usize] = true;
                    self.later.push(next);
                    self.todo.push(next);
                }
                edge = after;
            }
        }
        true
    }

    /// Everything that reaches `from` and lies no earlier than `low`.
    fn search_earlier(&mut self, from: u32, low: u32) {
        self.todo.clear();
        self.todo.push(from);
        self.seen[from as usize] = true;
        self.earlier.push(from);
        while let Some(node) = self.todo.pop() {
            let mut edge = self.into[node as usize];
            while edge != END {
                let (next, after) = self.into_edges[edge as usize];
                if self.place[next as usize] > low && !self.seen[next as usize] {
                    self.seen[next as usize] = true;
                    self.earlier.push(next);
                    self.todo.push(next);
                }
                edge = after;
            }
        }
    }

    /// Puts all earlier ones before all later ones, on the places that they have together.
    fn reorder(&mut self) {
        let place = &self.place;
        self.later.sort_unstable_by_key(|&n| place[n as usize]);
        self.earlier.sort_unstable_by_key(|&n| place[n as usize]);
        let mut places: Vec<u32> =
            self.earlier.iter().chain(&self.later).map(|&n| place[n as usize]).collect();
        places.sort_unstable();
        for (&node, place) in self.earlier.iter().chain(&self.later).zip(places) {
            self.place[node as usize] = place;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::random::Random;

    #[test]
    fn exactly_the_edges_that_close_a_cycle_are_refused() {
        let mut random = Random::new(3);
        let mut refused = 0;
        for _ in 0..500 {
            let n = 2 + random.below(9) as usize;
            let mut graph = Acyclic::default();
            // The transitive closure, by definition.
            let mut reach = vec![vec![false; n]; n];
            for node in 0..n {
                assert_eq!(graph.add(), node as u32);
            }
            for _ in 0..3 * n {
                let (a, b) = (random.below(n as u64) as usize, random.below(n as u64) as usize);
                let closes = a == b || reach[b][a];
                assert_eq!(graph.join(a as u32, b as u32), !closes);
                refused += u32::from(closes);
                if closes {
                    continue;
                }
                for x in 0..n {
                    for y in 0..n {
                        reach[x][y] |= (x == a || reach[x][a]) && (y == b || reach[b][y]);
                    }
                }
            }
            for (a, reached) in reach.iter().enumerate() {
                for (b, reached) in reached.iter().enumerate() {
                    assert!(!reached || graph.place[a] < graph.place[b]);
                }
            }
        }
        assert!(refused > 500);
    }
}
