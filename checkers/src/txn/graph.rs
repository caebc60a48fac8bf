//! Dependency graphs in compressed rows, and their strongly connected components.
//!
//! Nodes are small integers. An edge carries one [`Kind`]; two nodes may be joined by several edges of
//! different kinds. Nothing here knows what a transaction is.

/// Why one transaction comes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Kind {
    /// The second overwrote what the first wrote.
    Ww = 0,
    /// The second read what the first wrote.
    Wr = 1,
    /// The second overwrote what the first read.
    Rw = 2,
    /// One process ran the first, then the second.
    Process = 3,
    /// The first was completed before the second was invoked.
    Realtime = 4,
    /// From a helper node to what it stands for: counts as nothing.
    Pass = 5,
}

impl Kind {
    /// As a set of one.
    pub const fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The short name, as in the literature.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Ww => "ww",
            Kind::Wr => "wr",
            Kind::Rw => "rw",
            Kind::Process => "process",
            Kind::Realtime => "realtime",
            Kind::Pass => "pass",
        }
    }
}

/// Sets of kinds.
pub mod kinds {
    use super::Kind;
    /// Write dependencies.
    pub const WW: u8 = Kind::Ww.bit() | Kind::Pass.bit();
    /// Write and read dependencies.
    pub const DEP: u8 = WW | Kind::Wr.bit();
    /// Dependencies and anti-dependencies.
    pub const DATA: u8 = DEP | Kind::Rw.bit();
    /// Process order.
    pub const PROCESS: u8 = Kind::Process.bit();
    /// Process order and real time.
    pub const REALTIME: u8 = Kind::Process.bit() | Kind::Realtime.bit();
}

/// Edges as they are found.
#[derive(Clone, Debug, Default)]
pub struct Edges {
    ends: Vec<(u32, u32)>,
    kind: Vec<Kind>,
}

impl Edges {
    /// Adds an edge; edges from a node to itself say nothing and are dropped.
    pub fn push(&mut self, from: u32, to: u32, kind: Kind) {
        if from != to {
            self.ends.push((from, to));
            self.kind.push(kind);
        }
    }

    /// Number of edges.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// All edges, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, Kind)> + '_ {
        self.ends.iter().zip(&self.kind).map(|(&(a, b), &k)| (a, b, k))
    }

    /// Moves the other's edges behind these.
    pub fn append(&mut self, mut other: Edges) {
        self.ends.append(&mut other.ends);
        self.kind.append(&mut other.kind);
    }
}

/// A graph by rows: the edges of node `n` are `first[n]..first[n + 1]`.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    first: Vec<u32>,
    to: Vec<u32>,
    kind: Vec<Kind>,
}

impl Graph {
    /// Sorts edges by their source; within a source they keep their order.
    pub fn new(nodes: usize, edges: &Edges) -> Self {
        let mut first = vec![0u32; nodes + 1];
        for &(from, _) in &edges.ends {
            first[from as usize + 1] += 1;
        }
        for n in 0..nodes {
            first[n + 1] += first[n];
        }
        let mut next = first.clone();
        let mut to = vec![0u32; edges.len()];
        let mut kind = vec![Kind::Ww; edges.len()];
        for (from, target, k) in edges.iter() {
            let at = next[from as usize] as usize;
            next[from as usize] += 1;
            to[at] = target;
            kind[at] = k;
        }
        Graph { first, to, kind }
    }

    /// Number of nodes.
    pub fn nodes(&self) -> usize {
        self.first.len().saturating_sub(1)
    }

    /// Number of edges.
    pub fn edges(&self) -> usize {
        self.to.len()
    }

    /// The edges that leave a node.
    pub fn out(&self, node: u32) -> impl Iterator<Item = (u32, Kind)> + '_ {
        let row = self.first[node as usize] as usize..self.first[node as usize + 1] as usize;
        self.to[row.clone()].iter().copied().zip(self.kind[row].iter().copied())
    }

    /// The same edges, turned round.
    pub fn reversed(&self) -> Graph {
        let mut edges = Edges::default();
        for n in 0..self.nodes() as u32 {
            for (to, kind) in self.out(n) {
                edges.push(to, n, kind);
            }
        }
        Graph::new(self.nodes(), &edges)
    }
}

/// The strongly connected component of each node, numbered so that edges between components lead to lower
/// numbers (reverse topological order), and how many there are.
#[derive(Clone, Debug)]
pub struct Components {
    /// Component of each node.
    pub of: Vec<u32>,
    /// Number of components.
    pub count: u32,
}

impl Components {
    /// The nodes of each component that has more than one, each ascending; components in order of their
    /// smallest node.
    pub fn cyclic(&self) -> Vec<Vec<u32>> {
        let mut size = vec![0u32; self.count as usize];
        for &c in &self.of {
            size[c as usize] += 1;
        }
        let mut slot = vec![u32::MAX; self.count as usize];
        let mut found: Vec<Vec<u32>> = Vec::new();
        for (n, &c) in self.of.iter().enumerate() {
            if size[c as usize] < 2 {
                continue;
            }
            if slot[c as usize] == u32::MAX {
                slot[c as usize] = found.len() as u32;
                found.push(Vec::with_capacity(size[c as usize] as usize));
            }
            found[slot[c as usize] as usize].push(n as u32);
        }
        found
    }

    /// Whether every component is a single node.
    pub fn acyclic(&self) -> bool {
        self.count as usize == self.of.len()
    }
}

const UNSEEN: u32 = u32::MAX;

/// Tarjan's algorithm without recursion, over the edges whose kind is in `allowed`.
pub fn components(graph: &Graph, allowed: u8) -> Components {
    let n = graph.nodes();
    // `low` doubles as the visiting order; a node that left the stack holds `n + component`.
    let mut low = vec![UNSEEN; n];
    let mut stack: Vec<u32> = Vec::new();
    // A frame is a node, its next edge, and the order in which it was met.
    let mut frames: Vec<(u32, u32, u32)> = Vec::new();
    let (mut met, mut count) = (0u32, 0u32);
    let done = n as u32;
    for root in 0..n as u32 {
        if low[root as usize] != UNSEEN {
            continue;
        }
        low[root as usize] = met;
        frames.push((root, graph.first[root as usize], met));
        stack.push(root);
        met += 1;
        while let Some(&(node, edge, order)) = frames.last() {
            let end = graph.first[node as usize + 1];
            let mut at = edge;
            let mut descend = None;
            while at < end {
                let to = graph.to[at as usize];
                let usable = allowed & graph.kind[at as usize].bit() != 0;
                at += 1;
                if !usable {
                    continue;
                }
                let seen = low[to as usize];
                if seen == UNSEEN {
                    descend = Some(to);
                    break;
                }
                if seen < done && seen < low[node as usize] {
                    low[node as usize] = seen;
                }
            }
            if let Some(to) = descend {
                frames.last_mut().expect("the frame just looked at").1 = at;
                low[to as usize] = met;
                frames.push((to, graph.first[to as usize], met));
                stack.push(to);
                met += 1;
                continue;
            }
            frames.pop();
            let lowest = low[node as usize];
            if lowest == order {
                loop {
                    let member = stack.pop().expect("a component's root is on the stack");
                    low[member as usize] = done + count;
                    if member == node {
                        break;
                    }
                }
                count += 1;
            } else if let Some(&(parent, _, _)) = frames.last() {
                let up = &mut low[parent as usize];
                *up = (*up).min(lowest);
            }
        }
    }
    for c in &mut low {
        *c -= done;
    }
    Components { of: low, count }
}

#[cfg(test)]
#[allow(clippy::needless_range_loop, reason = "matrices read best by index")]
mod tests {
    use super::*;
    use crate::txn::random::Random;

    fn reachable(n: usize, edges: &[(u32, u32)]) -> Vec<Vec<bool>> {
        let mut reach = vec![vec![false; n]; n];
        for &(a, b) in edges {
            reach[a as usize][b as usize] = true;
        }
        for k in 0..n {
            for i in 0..n {
                for j in 0..n {
                    reach[i][j] |= reach[i][k] && reach[k][j];
                }
            }
        }
        reach
    }

    #[test]
    fn components_are_mutual_reachability() {
        let mut random = Random::new(3);
        for round in 0..2000 {
            let n = 1 + random.below(9) as usize;
            let m = random.below(2 * n as u64 + 2);
            let mut edges = Edges::default();
            let mut plain = Vec::new();
            for _ in 0..m {
                let (a, b) = (random.below(n as u64) as u32, random.below(n as u64) as u32);
                let kind = if random.below(4) == 0 { Kind::Rw } else { Kind::Ww };
                edges.push(a, b, kind);
                if kind == Kind::Ww {
                    plain.push((a, b));
                }
            }
            let graph = Graph::new(n, &edges);
            let reach = reachable(n, &plain);
            let c = components(&graph, kinds::WW);
            for i in 0..n {
                for j in 0..n {
                    let same = i == j || (reach[i][j] && reach[j][i]);
                    assert_eq!(c.of[i] == c.of[j], same, "round {round}: {plain:?}");
                    if reach[i][j] && !same {
                        assert!(c.of[i] > c.of[j], "edges lead to lower components");
                    }
                }
            }
        }
    }
}
