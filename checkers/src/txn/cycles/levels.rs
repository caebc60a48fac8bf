//! Which families of cycles a graph has, exactly.
//!
//! Five families, each with no, process or real-time order allowed beside the data: overwrites only; all
//! dependencies; dependencies and exactly one anti-dependency; anti-dependencies of which no two are
//! neighbours; everything. Decided by components of projections, of a product with one bit of memory, and by
//! reachability of sixty-four sources at a time, never by enumerating cycles.

use crate::txn::graph::{Components, Edges, Graph, Kind, components, kinds};

/// What orders may take part beside data: none, process, real time.
pub const ORDERS: [u8; 3] = [0, kinds::PROCESS, kinds::REALTIME];

/// Families in the order of [`super::cycle::NAMES`]; `[family][order]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Levels {
    /// Whether a cycle of the family, with at most this order, exists.
    pub exists: [[bool; 3]; 5],
}

impl Levels {
    /// What exists in either.
    pub fn join(&mut self, other: &Levels) {
        for (a, b) in self.exists.iter_mut().flatten().zip(other.exists.iter().flatten()) {
            *a |= b;
        }
    }
}

/// One order's projections of a graph.
#[derive(Clone, Debug)]
pub struct Projections {
    /// Components of overwrites and the order.
    pub ww: Components,
    /// Components of dependencies and the order.
    pub dep: Components,
    /// Components of the product in which an anti-dependency never follows another; node `n` is `2n` after
    /// another edge and `2n + 1` after an anti-dependency.
    pub nonadjacent: Components,
    /// Components of everything.
    pub all: Components,
    /// Anti-dependencies that close a cycle of dependencies, as (from, to).
    pub single: Vec<(u32, u32)>,
}

/// Computes the projections of a graph for one order.
pub fn projections(graph: &Graph, order: u8) -> Projections {
    let dep = components(graph, kinds::DEP | order);
    let single = single_anti(graph, &dep, order);
    Projections {
        ww: components(graph, kinds::WW | order),
        nonadjacent: components(&product(graph, order), u8::MAX),
        all: components(graph, kinds::DATA | order),
        dep,
        single,
    }
}

impl Projections {
    /// Which families exist.
    pub fn exists(&self) -> [bool; 5] {
        let ww = !self.ww.acyclic();
        let dep = !self.dep.acyclic();
        let single = dep || !self.single.is_empty();
        [ww, dep, single, !self.nonadjacent.acyclic(), !self.all.acyclic()]
    }
}

fn product(graph: &Graph, order: u8) -> Graph {
    let mut edges = Edges::default();
    for n in 0..graph.nodes() as u32 {
        for (to, kind) in graph.out(n) {
            match kind {
                Kind::Rw => edges.push(2 * n, 2 * to + 1, kind),
                // A helper node passes on what led to it.
                Kind::Pass => {
                    edges.push(2 * n, 2 * to, kind);
                    edges.push(2 * n + 1, 2 * to + 1, kind);
                }
                Kind::Ww | Kind::Wr | Kind::Process | Kind::Realtime => {
                    if (kinds::DEP | order) & kind.bit() != 0 {
                        edges.push(2 * n, 2 * to, kind);
                        edges.push(2 * n + 1, 2 * to, kind);
                    }
                }
            }
        }
    }
    Graph::new(graph.nodes() * 2, &edges)
}

/// Anti-dependencies `u → v` (helpers resolved) for which dependencies and the order lead from `v` to `u`.
fn single_anti(graph: &Graph, dep: &Components, order: u8) -> Vec<(u32, u32)> {
    // A helper leads nowhere but to what it stands for, so an edge into it is tried as a whole.
    let mut anti: Vec<(u32, u32)> = Vec::new();
    let mut links: Vec<(u32, u32)> = Vec::new();
    for n in 0..graph.nodes() as u32 {
        for (to, kind) in graph.out(n) {
            let (from, into) = (dep.of[n as usize], dep.of[to as usize]);
            if kind == Kind::Rw {
                anti.push((n, to));
            } else if (kinds::DEP | order) & kind.bit() != 0 && from != into {
                links.push((from, into));
            }
        }
    }
    links.sort_unstable_by_key(|&(from, _)| std::cmp::Reverse(from));
    // Paths lead to lower components: sources from the highest down.
    anti.sort_unstable_by_key(|&(_, v)| std::cmp::Reverse(dep.of[v as usize]));
    let mut found = Vec::new();
    let mut mask = vec![0u64; dep.count as usize];
    let mut at = 0;
    while at < anti.len() {
        let mut sources: Vec<u32> = Vec::with_capacity(64);
        let mut end = at;
        let mut lowest = u32::MAX;
        while end < anti.len() {
            let source = dep.of[anti[end].1 as usize];
            if sources.last() != Some(&source) {
                if sources.len() == 64 {
                    break;
                }
                sources.push(source);
            }
            lowest = lowest.min(dep.of[anti[end].0 as usize]);
            end += 1;
        }
        let top = sources[0];
        if lowest <= top {
            let from = links.partition_point(|&(f, _)| f > top);
            let to = links.partition_point(|&(f, _)| f > lowest);
            for (bit, &s) in sources.iter().enumerate() {
                mask[s as usize] |= 1 << bit;
            }
            for &(f, t) in &links[from..to] {
                mask[t as usize] |= mask[f as usize];
            }
            let mut bit = 0;
            for &(u, v) in &anti[at..end] {
                while sources[bit] != dep.of[v as usize] {
                    bit += 1;
                }
                if mask[dep.of[u as usize] as usize] & (1 << bit) != 0 {
                    found.push((u, v));
                }
            }
            for &s in &sources {
                mask[s as usize] = 0;
            }
            for &(_, t) in &links[from..to] {
                mask[t as usize] = 0;
            }
        }
        at = end;
    }
    found.sort_unstable();
    found.dedup();
    found
}
