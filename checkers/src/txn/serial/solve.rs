//! Looks for an order that explains every read, or a proof that there is none.
//!
//! One topological order is tried. Where it lets a foreign writer come between a read and what it read, that
//! writer must come before or after: whichever the edges exclude leaves the other one forced; where they
//! exclude neither, one is chosen and the other kept for later. Then the next order is tried. Only conflicts
//! that an order really has are ever decided, so independent parts of a history are decided on their own.
//! A contradiction takes back the last choice; without a choice it is a proof.

use super::graph::{Added, Growing};
use super::problem::{Problem, Shape};
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
    /// Every choice ends in a contradiction; so many were tried. The cycle is the one that ended the last.
    Contradiction(u64, Vec<(u32, Kind, Option<u32>)>),
}

/// Edges that one side of a choice adds.
type Side = [Option<Added>; 2];

struct Choice {
    // Added edges when it was made.
    len: usize,
    other: Side,
}

/// Edges that one solution may look at in all its path searches.
const WORK: u64 = 2_000_000_000;
/// Choices that may be taken back.
const BACKTRACKS: u64 = 20_000;

/// Solves a problem. `wish` is where each node would like to be.
pub fn solve(problem: &Problem<'_>, wish: &[u32], budget: &Budget) -> Result<Solution, Exhausted> {
    let mut graph = Growing::new(problem.nodes(), &problem.base);
    let mut choices: Vec<Choice> = Vec::new();
    let mut backtracks = 0u64;
    loop {
        if budget.is_stopped() || graph.work > WORK || backtracks > BACKTRACKS {
            return Err(Exhausted::Time);
        }
        let mut contradiction = !graph.sort(wish);
        if !contradiction {
            let conflicts = conflicts(problem, &graph);
            if conflicts.is_empty() {
                return Ok(Solution::Order(graph.order));
            }
            contradiction = !decide(problem, &mut graph, &conflicts, &mut choices);
        }
        if contradiction {
            let Some(choice) = choices.pop() else {
                let circle = graph.cycle();
                return Ok(if backtracks == 0 {
                    Solution::Circle(circle)
                } else {
                    Solution::Contradiction(backtracks, circle)
                });
            };
            backtracks += 1;
            graph.truncate(choice.len);
            add(&mut graph, &choice.other);
        }
    }
}

fn add(graph: &mut Growing, side: &Side) {
    side.iter().flatten().for_each(|&edge| graph.push(edge));
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

/// Adds what each conflict forces, or a choice. False if both sides of one are excluded.
fn decide(
    problem: &Problem<'_>,
    graph: &mut Growing,
    conflicts: &[Conflict],
    choices: &mut Vec<Choice>,
) -> bool {
    let mut forced: Vec<Side> = Vec::new();
    let mut open: Vec<(Side, Side)> = Vec::new();
    for c in conflicts {
        let (first, second) = sides(problem, c);
        match (possible(graph, &first), possible(graph, &second)) {
            (true, true) => open.push((first, second)),
            (true, false) => forced.push(first),
            (false, true) => forced.push(second),
            (false, false) => {
                // Both sides close a cycle; either one shows it.
                add(graph, if first[0].is_some() { &first } else { &second });
                return false;
            }
        }
    }
    let any = !forced.is_empty();
    forced.iter().for_each(|side| add(graph, side));
    if any {
        return true;
    }
    for (first, second) in open {
        choices.push(Choice { len: graph.len(), other: second });
        add(graph, &first);
    }
    true
}

/// The two ways out of a conflict, the one nearer to the present order first.
fn sides(problem: &Problem<'_>, c: &Conflict) -> (Side, Side) {
    let edge = |(from, to): (u32, u32), kind| Some(Added { from, to, kind, key: c.key });
    let Some(reader) = c.reader else {
        // `from` and `between` overlap: one commits before the other begins.
        let after = edge(problem.before(c.between, c.from), Kind::Ww);
        return ([edge(problem.before(c.from, c.between), Kind::Ww), None], [after, None]);
    };
    // The read sees an older version than there is: the writer between belongs before what was read …
    let before = match c.from {
        // … which the initial value does not allow.
        INITIAL => [None, None],
        from => [edge(problem.before(c.between, from), Kind::Ww), None],
    };
    // … or after the read.
    let missed = edge((problem.begin(reader), problem.commit(c.between)), Kind::Rw);
    let overwritten = match c.from {
        INITIAL => None,
        from => edge(problem.before(from, c.between), Kind::Ww),
    };
    // A transaction that reads and writes a key may stand in its own way only by mistake of the order.
    ([missed, overwritten], before)
}

/// Whether no edge of the side closes a cycle. A side without edges is no way out.
fn possible(graph: &mut Growing, side: &Side) -> bool {
    side[0].is_some() && side.iter().flatten().all(|e| !graph.reaches(e.to, e.from))
}
