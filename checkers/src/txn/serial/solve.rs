//! Looks for an order that explains every read, or a proof that there is none.
//!
//! One topological order is tried. Where it lets a foreign writer come between a read and what it read, that
//! writer must come before or after: whichever the edges exclude leaves the other one forced; where they
//! exclude neither, one is chosen and the other kept for later. Then the next order is tried. Neighbouring
//! writers of a key are looked at beforehand, so that little is left to choose. A contradiction takes back the
//! latest choice that it depends on; if it depends on none, it is a proof.

use super::graph::{Added, Growing};
use super::problem::{Problem, Shape};
use super::saturate::Versions;
use crate::causal::columns::INITIAL;
use crate::txn::graph::Kind;
use crate::{Budget, Exhausted};

/// What came out.
#[derive(Clone, Debug)]
pub enum Solution {
    /// Nodes in an order that explains every read.
    Order(Vec<u32>),
    /// Edges that hold in every order are circular: nodes, with the kind and key of the edge that leaves each.
    Circle(Vec<(u32, Kind, Option<u32>)>),
    /// Every choice ends in a contradiction; so many were taken back. The cycle is the one that ended the last.
    Contradiction(u64, Vec<(u32, Kind, Option<u32>)>),
}

/// Edges that one side of a choice adds.
pub type Side = Vec<Added>;

struct Choice {
    // Added edges when it was made.
    len: usize,
    other: Side,
}

/// Edges that one solution may look at in all its path searches.
const WORK: u64 = 3_000_000_000;
/// Nodes that may be put in order in all rounds together.
const SORTED: u64 = 100_000_000;
/// Choices that may be taken back.
const BACKTRACKS: u64 = 5_000;

/// Solves a problem. `wish` is where each node would like to be.
pub fn solve(problem: &Problem<'_>, wish: &[u32], budget: &Budget) -> Result<Solution, Exhausted> {
    let mut graph = Growing::new(problem.nodes(), &problem.base);
    let versions = Versions::new(problem);
    let mut choices: Vec<Choice> = Vec::new();
    let (mut backtracks, mut sorted) = (0u64, 0u64);
    loop {
        sorted += problem.nodes() as u64;
        if budget.is_stopped() || graph.work > WORK || backtracks > BACKTRACKS || sorted > SORTED {
            return Err(Exhausted::Time);
        }
        let mut blame = if graph.sort(wish) { None } else { Some(graph.blame()) };
        if blame.is_none() {
            blame = step(problem, &versions, &mut graph, &mut choices);
            if blame == Some(DONE) {
                return Ok(Solution::Order(graph.order));
            }
        }
        let Some(blame) = blame else { continue };
        if blame == 0 {
            let circle = graph.cycle();
            return Ok(if backtracks == 0 {
                Solution::Circle(circle)
            } else {
                Solution::Contradiction(backtracks, circle)
            });
        }
        backtracks += 1;
        choices.truncate(blame as usize);
        let choice = choices.pop().expect("edges only blame choices that stand");
        graph.truncate(choice.len);
        // Why this side failed may rest on any choice before it.
        let rests_on = choices.len() as u32;
        choice.other.iter().for_each(|&edge| graph.push(Added { choice: rests_on, ..edge }));
    }
}

const DONE: u32 = u32::MAX;

/// One round: adds what is forced, or chooses. Gives whom to blame for a contradiction, or [`DONE`].
fn step(
    problem: &Problem<'_>,
    versions: &Versions,
    graph: &mut Growing,
    choices: &mut Vec<Choice>,
) -> Option<u32> {
    let conflicts = conflicts(problem, graph);
    if conflicts.is_empty() {
        return Some(DONE);
    }
    let mut forced: Vec<Side> = Vec::new();
    if let Err((blame, side)) = versions.forced(problem, graph, &mut forced) {
        side.into_iter().for_each(|edge| graph.push(edge));
        return Some(blame);
    }
    let mut open: Vec<(Side, Side)> = Vec::new();
    for c in &conflicts {
        let (first, second) = sides(problem, c);
        match settle(graph, first, second) {
            Settled::Forced(side) => forced.push(side),
            Settled::Open(first, second) => open.push((first, second)),
            Settled::Never(blame, side) => {
                side.into_iter().for_each(|edge| graph.push(edge));
                return Some(blame);
            }
        }
    }
    if !forced.is_empty() {
        forced.into_iter().flatten().for_each(|edge| graph.push(edge));
        return None;
    }
    for (first, second) in open {
        choices.push(Choice { len: graph.len(), other: second });
        let choice = choices.len() as u32;
        first.into_iter().for_each(|edge| graph.push(Added { choice, ..edge }));
    }
    None
}

/// What the edges say about two sides.
#[derive(Clone, Debug)]
pub enum Settled {
    /// One is excluded.
    Forced(Side),
    /// Neither is.
    Open(Side, Side),
    /// Both are: whom to blame, and edges that close a cycle.
    Never(u32, Side),
}

/// Asks the edges. A side without edges is no way out.
pub fn settle(graph: &mut Growing, first: Side, second: Side) -> Settled {
    let (a, b) = (excluded(graph, &first), excluded(graph, &second));
    let tag = |side: Side, choice: u32| side.into_iter().map(|e| Added { choice, ..e }).collect();
    match (a, b) {
        (None, None) => Settled::Open(first, second),
        (None, Some(why)) => Settled::Forced(tag(first, why)),
        (Some(why), None) => Settled::Forced(tag(second, why)),
        (Some(x), Some(y)) => {
            let side = if first.is_empty() { second } else { first };
            Settled::Never(x.max(y), tag(side, x.max(y)))
        }
    }
}

/// If some edge of the side closes a cycle: the latest choice that this depends on.
fn excluded(graph: &mut Growing, side: &Side) -> Option<u32> {
    if side.is_empty() {
        return Some(0);
    }
    side.iter().find_map(|e| graph.reaches(e.to, e.from))
}

/// A writer of `key` that stands where it must not: between `from` and whoever read it, or beside another
/// writer.
struct Conflict {
    key: u32,
    // Transaction that was read, or the initial value; with two writers, the earlier one.
    from: u32,
    // Who read; `None` where two writers overlap.
    reader: Option<u32>,
    between: u32,
}

/// Plays the order through.
fn conflicts(problem: &Problem<'_>, graph: &Growing) -> Vec<Conflict> {
    let p = problem.p;
    let mut latest = vec![INITIAL; p.keys.len()];
    let mut found = Vec::new();
    for &node in &graph.order {
        let t = problem.txn(node);
        if node == problem.begin(t) {
            for r in p.reads_of(t) {
                let now = latest[r.key as usize];
                if now != r.from {
                    found.push(Conflict { key: r.key, from: r.from, reader: Some(t), between: now });
                }
            }
        }
        if problem.commits(node) {
            for &key in p.writes_of(t) {
                let before = std::mem::replace(&mut latest[key as usize], t);
                let overlaps = problem.shape == Shape::Snapshot
                    && before != INITIAL
                    && graph.at[problem.commit(before) as usize] > graph.at[problem.begin(t) as usize];
                if overlaps {
                    found.push(Conflict { key, from: before, reader: None, between: t });
                }
            }
        }
    }
    found
}

/// The two ways out of a conflict, the one nearer to the present order first.
fn sides(problem: &Problem<'_>, c: &Conflict) -> (Side, Side) {
    let edge = |(from, to): (u32, u32), kind| Added { from, to, kind, key: c.key, choice: 0 };
    let Some(reader) = c.reader else {
        // `from` and `between` overlap: one commits before the other begins.
        return (
            vec![edge(problem.before(c.from, c.between), Kind::Ww)],
            vec![edge(problem.before(c.between, c.from), Kind::Ww)],
        );
    };
    // The read sees an older version than there is: the writer between belongs after the read …
    let missed = edge((problem.begin(reader), problem.commit(c.between)), Kind::Rw);
    // … or before what was read, which the initial value does not allow.
    match c.from {
        INITIAL => (vec![missed], Vec::new()),
        from => (
            vec![missed, edge(problem.before(from, c.between), Kind::Ww)],
            vec![edge(problem.before(c.between, from), Kind::Ww)],
        ),
    }
}
