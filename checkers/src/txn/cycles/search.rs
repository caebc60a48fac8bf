//! A shortest cycle of a given name, from its rarest edge.
//!
//! Breadth first over (node, what the path has seen so far), from every candidate edge back to its source,
//! never deeper than the best cycle found already. Work is counted and bounded: what was cut short is said.

use crate::txn::graph::{Graph, Kind, kinds};

use super::cycle::Cycle;
use super::levels::{ORDERS, Projections};

/// What a cycle must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spec {
    /// Index into [`super::cycle::NAMES`].
    pub family: usize,
    /// Index into [`ORDERS`]; such an edge must take part unless 0.
    pub order: usize,
}

// What a path has seen, as bits of a state.
const ORDER: u32 = 1;
const LAST_ANTI: u32 = 2;
const TWO_ANTI: u32 = 4;
const STATES: usize = 8;

impl Spec {
    fn allowed(self) -> u8 {
        let data = match self.family {
            0 => kinds::WW,
            1 | 2 => kinds::DEP,
            _ => kinds::DATA,
        };
        data | ORDERS[self.order]
    }

    fn required(self) -> u8 {
        match self.order {
            0 => 0,
            1 => Kind::Process.bit(),
            _ => Kind::Realtime.bit(),
        }
    }

    /// The kind of edge from which to search: of those that must take part, the one likely rarest.
    pub fn start(self) -> u8 {
        match (self.family, self.order) {
            (0, 0) => Kind::Ww.bit(),
            (0, _) => self.required(),
            (1, _) => Kind::Wr.bit(),
            _ => Kind::Rw.bit(),
        }
    }

    fn begin(self, kind: Kind) -> u32 {
        let order = if kind.bit() & self.required() != 0 { ORDER } else { 0 };
        order | if kind == Kind::Rw { LAST_ANTI } else { 0 }
    }

    /// The state after one more edge; `None` if the path may not take it.
    fn step(self, state: u32, kind: Kind) -> Option<u32> {
        if self.allowed() & kind.bit() == 0 {
            return None;
        }
        if kind == Kind::Pass {
            return Some(state);
        }
        let mut next = state & !LAST_ANTI;
        if kind == Kind::Rw {
            if self.family == 3 && state & LAST_ANTI != 0 {
                return None;
            }
            next |= LAST_ANTI | TWO_ANTI;
        }
        if kind.bit() & self.required() != 0 {
            next |= ORDER;
        }
        Some(next)
    }

    /// Whether a path that is back where it began closes a cycle of this name.
    fn accepts(self, state: u32) -> bool {
        let ordered = self.order == 0 || state & ORDER != 0;
        let shaped = match self.family {
            3 => state & TWO_ANTI != 0 && state & LAST_ANTI == 0,
            // The first edge is an anti-dependency, so the last one makes two neighbours.
            4 => state & TWO_ANTI != 0 && state & LAST_ANTI != 0,
            _ => true,
        };
        ordered && shaped
    }
}

/// The arrays of the search, kept between searches.
#[derive(Clone, Debug, Default)]
pub struct Searcher {
    // Per (node, state): the search that saw it last, and from where.
    stamp: Vec<u32>,
    parent: Vec<(u32, Kind)>,
    queue: Vec<u32>,
    round: u32,
    /// Edges looked at so far.
    pub work: u64,
}

impl Searcher {
    fn prepare(&mut self, nodes: usize) {
        if self.stamp.len() < nodes * STATES {
            self.stamp.resize(nodes * STATES, 0);
            self.parent.resize(nodes * STATES, (0, Kind::Ww));
        }
    }

    /// A cycle of at most `longest` edges through the edge `from → to`, if there is one.
    pub fn through(
        &mut self,
        graph: &Graph,
        spec: Spec,
        edge: (u32, u32, Kind),
        longest: usize,
        limit: u64,
    ) -> Option<Cycle> {
        let (from, to, kind) = edge;
        self.prepare(graph.nodes());
        self.round += 1;
        let begin = to * STATES as u32 + spec.begin(kind);
        self.stamp[begin as usize] = self.round;
        self.queue.clear();
        self.queue.push(begin);
        let (mut at, mut depth, mut level_end) = (0, 1, 1);
        while at < self.queue.len() && depth < longest {
            let here = self.queue[at];
            at += 1;
            let (node, state) = (here / STATES as u32, here % STATES as u32);
            for (next, k) in graph.out(node) {
                self.work += 1;
                let Some(s) = spec.step(state, k) else { continue };
                if next == from {
                    if spec.accepts(s)
                        && let Some(cycle) = self.path(begin, here, k, from, kind, spec)
                    {
                        return Some(cycle);
                    }
                    continue;
                }
                let there = next * STATES as u32 + s;
                if self.stamp[there as usize] != self.round {
                    self.stamp[there as usize] = self.round;
                    self.parent[there as usize] = (here, k);
                    self.queue.push(there);
                }
            }
            if self.work > limit {
                return None;
            }
            if at == level_end {
                depth += 1;
                level_end = self.queue.len();
            }
        }
        None
    }

    /// Walks back from `last` to the beginning. A walk that meets a node twice is only accepted if one of
    /// its simple parts has the name that was asked for.
    fn path(
        &self,
        begin: u32,
        last: u32,
        closing: Kind,
        from: u32,
        first: Kind,
        spec: Spec,
    ) -> Option<Cycle> {
        let (mut nodes, mut edge_kinds) = (Vec::new(), vec![closing]);
        let mut at = last;
        loop {
            nodes.push(at / STATES as u32);
            if at == begin {
                break;
            }
            let (before, kind) = self.parent[at as usize];
            edge_kinds.push(kind);
            at = before;
        }
        nodes.push(from);
        edge_kinds.push(first);
        nodes.reverse();
        edge_kinds.reverse();
        let name = super::cycle::NAMES[spec.family][spec.order];
        Cycle { nodes, kinds: edge_kinds }.simple(&|c| c.name() == name)
    }

    /// A shortest cycle of this name, and whether the search was complete.
    pub fn shortest(
        &mut self,
        graph: &Graph,
        spec: Spec,
        projections: &Projections,
        limit: u64,
    ) -> (Option<Cycle>, bool) {
        let limit = self.work + limit;
        let mut best: Option<Cycle> = None;
        for n in 0..graph.nodes() as u32 {
            for (to, kind) in graph.out(n) {
                if kind.bit() & spec.start() == 0 || !may_close(projections, spec, n, to) {
                    continue;
                }
                let longest = best.as_ref().map_or(usize::MAX, |b| b.len() - 1);
                if longest < 2 {
                    return (best, true);
                }
                if let Some(found) = self.through(graph, spec, (n, to, kind), longest, limit) {
                    best = Some(found);
                }
                if self.work > limit {
                    return (best, false);
                }
            }
        }
        (best, true)
    }
}

/// Whether the projections leave room for a cycle of this kind through an edge.
fn may_close(p: &Projections, spec: Spec, from: u32, to: u32) -> bool {
    let same = |of: &[u32], a: u32, b: u32| of[a as usize] == of[b as usize];
    match spec.family {
        0 => same(&p.ww.of, from, to),
        1 => same(&p.dep.of, from, to),
        2 => p.single.binary_search(&(from, to)).is_ok(),
        3 => same(&p.nonadjacent.of, 2 * from, 2 * to + 1),
        _ => same(&p.all.of, from, to),
    }
}
