//! All names of cycles in a dependency graph, with a shortest one of each.

use std::collections::BTreeMap;

use crate::Budget;
use crate::txn::graph::{Edges, Graph, Kind, components, kinds};
use crate::txn::order::{Txn, process_edges, realtime_edges};

use super::cycle::{Cycle, NAMES};
use super::levels::{Levels, ORDERS, Projections, projections};
use super::search::{Searcher, Spec};

/// Cycles of one name.
#[derive(Clone, Debug)]
pub struct Named {
    /// A shortest one that was found; nodes are positions of transactions, helpers are resolved.
    pub cycle: Cycle,
    /// In how many components such a cycle was found.
    pub components: u64,
}

/// What the graph holds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Which families exist, exactly (up to `undecided`).
    pub levels: Levels,
    /// Cycles by name.
    pub named: BTreeMap<&'static str, Named>,
    /// Names whose search was cut short: there may be shorter cycles, or others of that name.
    pub cut_short: Vec<&'static str>,
    /// Size of the largest component.
    pub largest: usize,
    /// Number of components with more than one transaction.
    pub components: usize,
    /// Time was up before every component was looked at.
    pub undecided: bool,
}

/// Edges that one search may look at, over all components.
const WORK: u64 = 4_000_000;

/// What to analyze: transactions, dependencies, helper nodes beyond the transactions.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The transactions.
    pub txns: &'a [Txn],
    /// Their dependencies.
    pub edges: &'a Edges,
    /// Helper nodes, numbered from the number of transactions.
    pub helpers: u32,
    /// Whether real time is known; else only process order is added.
    pub realtime: bool,
}

/// Finds and names all cycles.
pub fn analyze(input: Input<'_>, budget: &Budget) -> Report {
    let mut report = Report::default();
    let nodes = input.txns.len() + input.helpers as usize;
    let members: Vec<u32> = (0..input.txns.len() as u32).collect();
    let mut edges = input.edges.clone();
    // Where real time is known it contains process order.
    if input.realtime {
        realtime_edges(input.txns, &members, &mut edges);
    }
    if !input.realtime {
        process_edges(input.txns, &members, &mut edges);
    }
    let graph = Graph::new(nodes, &edges);
    drop(edges);
    let found = components(&graph, u8::MAX).cyclic();
    report.components = found.len();
    let mut searcher = Searcher::default();
    let mut spent = [[0u64; 3]; 5];
    let mut local_of = vec![u32::MAX; nodes];
    for members in &found {
        if budget.is_stopped() {
            report.undecided = true;
            break;
        }
        for (i, &m) in members.iter().enumerate() {
            local_of[m as usize] = i as u32;
        }
        let local = local_graph(&graph, &input, members, &local_of);
        report.largest = report.largest.max(members.len());
        component(&local, members, &input, &mut searcher, &mut spent, &mut report);
        for &m in members {
            local_of[m as usize] = u32::MAX;
        }
    }
    report.cut_short.sort_unstable();
    report.cut_short.dedup();
    report
}

/// The edges within a component, with process order and real time between its members alone.
fn local_graph(graph: &Graph, input: &Input<'_>, members: &[u32], local_of: &[u32]) -> Graph {
    let mut edges = Edges::default();
    for (i, &m) in members.iter().enumerate() {
        for (to, kind) in graph.out(m) {
            let to = local_of[to as usize];
            if to != u32::MAX && (kinds::DATA & kind.bit()) != 0 {
                edges.push(i as u32, to, kind);
            }
        }
    }
    let real = members.partition_point(|&m| (m as usize) < input.txns.len());
    process_edges(input.txns, &members[..real], &mut edges);
    if input.realtime {
        let mut order = Edges::default();
        realtime_edges(input.txns, &members[..real], &mut order);
        // Within a process the weaker reason is enough.
        let process = |n: u32| input.txns[members[n as usize] as usize].process;
        for (from, to, kind) in order.iter().filter(|&(a, b, _)| process(a) != process(b)) {
            edges.push(from, to, kind);
        }
    }
    Graph::new(members.len(), &edges)
}

fn component(
    local: &Graph,
    members: &[u32],
    input: &Input<'_>,
    searcher: &mut Searcher,
    spent: &mut [[u64; 3]; 5],
    report: &mut Report,
) {
    let helper = |n: u32| members[n as usize] as usize >= input.txns.len();
    let mut found_here: Vec<&'static str> = Vec::new();
    let mut add = |cycle: Cycle, report: &mut Report| {
        let cycle = resolve(cycle, &helper).shortcut();
        let name = cycle.name();
        let nodes = cycle.nodes.iter().map(|&n| members[n as usize]).collect();
        let cycle = Cycle { nodes, kinds: cycle.kinds }.rotate();
        let first = !found_here.contains(&name);
        if first {
            found_here.push(name);
        }
        let named = report.named.entry(name).or_insert_with(|| Named { cycle: cycle.clone(), components: 0 });
        named.components += u64::from(first);
        if cycle.len() < named.cycle.len() {
            named.cycle = cycle;
        }
        name
    };
    let orders = if input.realtime { 3 } else { 2 };
    for order in 0..orders {
        let p = projections(local, ORDERS[order]);
        let exists = p.exists();
        let mut proven = [false; 5];
        for (family, _) in exists.iter().enumerate().filter(|(_, exists)| **exists) {
            report.levels.exists[family][order] = true;
            let spec = Spec { family, order };
            let budget = WORK.saturating_sub(spent[family][order]);
            let before = searcher.work;
            let (cycle, complete) = searcher.shortest(local, spec, &p, budget);
            spent[family][order] += searcher.work - before;
            if !complete {
                report.cut_short.push(NAMES[family][order]);
            }
            if let Some(cycle) = cycle {
                add(cycle, report);
                proven[family] = true;
            }
        }
        // A family exists, but no cycle of just this name was found: show whichever does prove it.
        for (family, &exists) in exists.iter().enumerate() {
            let stronger = (0..=family).any(|f| proven[f]);
            let earlier = (0..order).any(|o| report.levels.exists[family][o]);
            if exists
                && !stronger
                && !earlier
                && let Some(cycle) = any_cycle(local, family, ORDERS[order], &p)
            {
                add(cycle, report);
            }
        }
        if order == 1 && input.realtime {
            report.levels.exists.iter_mut().for_each(|family| family[2] |= family[1]);
        }
    }
}

/// Replaces the two edges around a helper by the one that they stand for.
fn resolve(mut cycle: Cycle, helper: &impl Fn(u32) -> bool) -> Cycle {
    let mut i = 0;
    while i < cycle.nodes.len() {
        if helper(cycle.nodes[i]) {
            cycle.nodes.remove(i);
            cycle.kinds.remove(i);
        } else {
            i += 1;
        }
    }
    cycle
}

/// Any cycle of a family: one closed walk in the projection that proves the family, cut to a simple part.
fn any_cycle(local: &Graph, family: usize, order: u8, p: &Projections) -> Option<Cycle> {
    let allowed = order | [kinds::WW, kinds::DEP, kinds::DEP, kinds::DATA, kinds::DATA][family];
    for n in 0..local.nodes() as u32 {
        for (to, kind) in local.out(n) {
            if kind.bit() & allowed == 0 && !(family == 2 && kind == Kind::Rw) {
                continue;
            }
            let closes = match family {
                0 => p.ww.of[n as usize] == p.ww.of[to as usize],
                1 => p.dep.of[n as usize] == p.dep.of[to as usize],
                2 => kind == Kind::Rw && p.single.binary_search(&(n, to)).is_ok(),
                3 => {
                    let into = if kind == Kind::Rw { 2 * to + 1 } else { 2 * to };
                    p.nonadjacent.of[2 * n as usize] == p.nonadjacent.of[into as usize]
                }
                _ => p.all.of[n as usize] == p.all.of[to as usize],
            };
            if closes && let Some(cycle) = walk(local, (n, to, kind), allowed, family == 3) {
                return cycle.simple(&|c| family != 3 || !c.name().starts_with("G2"));
            }
        }
    }
    None
}

/// A shortest closed walk through an edge; with `apart`, no two anti-dependencies are neighbours.
fn walk(local: &Graph, edge: (u32, u32, Kind), allowed: u8, apart: bool) -> Option<Cycle> {
    let (from, to, first) = edge;
    let state = |node: u32, kind: Kind| node as usize * 2 + usize::from(apart && kind == Kind::Rw);
    let mut parent: Vec<Option<(usize, Kind)>> = vec![None; local.nodes() * 2];
    let begin = state(to, first);
    let mut queue = std::collections::VecDeque::from([begin]);
    while let Some(here) = queue.pop_front() {
        for (next, kind) in local.out((here / 2) as u32) {
            let after_anti = here % 2 == 1;
            if allowed & kind.bit() == 0 || (apart && after_anti && kind == Kind::Rw) {
                continue;
            }
            let there =
                if kind == Kind::Pass && after_anti { next as usize * 2 + 1 } else { state(next, kind) };
            let closed = next == from && !(apart && first == Kind::Rw && there % 2 == 1);
            if closed {
                let (mut nodes, mut edge_kinds) = (Vec::new(), vec![kind]);
                let mut at = here;
                nodes.push((at / 2) as u32);
                while at != begin {
                    let (before, k) = parent[at].expect("every state but the first has a parent");
                    edge_kinds.push(k);
                    at = before;
                    nodes.push((at / 2) as u32);
                }
                nodes.push(from);
                edge_kinds.push(first);
                nodes.reverse();
                edge_kinds.reverse();
                return Some(Cycle { nodes, kinds: edge_kinds });
            }
            if there != begin && parent[there].is_none() {
                parent[there] = Some((here, kind));
                queue.push_back(there);
            }
        }
    }
    None
}

#[cfg(test)]
#[path = "analyze_tests.rs"]
mod tests;
