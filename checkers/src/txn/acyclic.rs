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
            let place = &self.place;
            search(to, (&self.out, &self.out_edges), &mut self.seen, &mut self.later, |n| {
                place[n as usize] <= high
            });
            let free = !self.seen[from as usize];
            if free {
                search(from, (&self.into, &self.into_edges), &mut self.seen, &mut self.earlier, |n| {
                    place[n as usize] > low
                });
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

/// Everything that is reached over these edges and lies within the bounds, the start included, into `found`, which
/// was empty.
fn search(
    start: u32,
    (first, edges): (&[u32], &[(u32, u32)]),
    seen: &mut [bool],
    found: &mut Vec<u32>,
    within: impl Fn(u32) -> bool,
) {
    seen[start as usize] = true;
    found.push(start);
    let mut next = 0;
    while let Some(&node) = found.get(next) {
        next += 1;
        let mut edge = first[node as usize];
        while edge != END {
            let (other, after) = edges[edge as usize];
            if within(other) && !seen[other as usize] {
                seen[other as usize] = true;
                found.push(other);
            }
            edge = after;
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
