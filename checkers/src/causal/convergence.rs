//! Causal consistency and causal convergence: bad patterns of Bouajjani, Enea, Guerraoui and Hamza, "On
//! Verifying Causal Consistency" (POPL 2017), on transactions as in Biswas and Enea (OOPSLA 2019).
//!
//! Where a transaction read key x from `w`, and knows another writer `v` of x, `v` must come before `w` in
//! every order of conflicting writes: the edge `v → w` is a *conflict*. Causal convergence asks that conflicts
//! and happens-before together are free of cycles; (weak) causal consistency only that the conflicts of each
//! single transaction are.
//!
//! First one linear order is tried: if no read knows a writer that lies between its own writer and itself,
//! every conflict agrees with that order, and nothing has to be searched. Where some disagree the order is
//! corrected by them, and tried again, a few times.

use super::clocks::{Clocks, visit};
use super::columns::{Access, INITIAL, Plain};
use super::order::{Writers, Wrong, corrected};
use crate::{Budget, Exhausted};

/// A conflict, and the reader that shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Must come first.
    pub before: u32,
    /// Was read instead; [`INITIAL`] if that was the initial value, which nothing precedes.
    pub after: u32,
    /// Who read `after` and knew `before`.
    pub reader: u32,
    /// The key.
    pub key: u32,
}

/// What reads prove about the order of conflicting writes.
#[derive(Clone, Debug, Default)]
pub struct Conflicts {
    /// Those that happens-before does not imply; each pair once.
    pub edges: Vec<Conflict>,
    /// Reads of an initial value that was known to be overwritten.
    pub initial: Vec<Conflict>,
    /// One transaction whose reads alone are in conflict with happens-before, if any: conflicts of a cycle.
    pub alone: Option<u32>,
}

/// An order near to this one with which every conflict agrees: then there is nothing to find. `None` says nothing.
pub fn agreeing(p: &Plain, order: &[u32], budget: &Budget) -> Result<Option<Vec<u32>>, Exhausted> {
    corrected(p, order, |order, at, wrong| disagreements(p, order, at, budget, wrong))
}

/// How many conflicts of one read correct an order: more would say the same.
const FEW: usize = 4;

/// Adds conflicts that an order has the wrong way round.
fn disagreements(
    p: &Plain,
    order: &[u32],
    at: &[u32],
    budget: &Budget,
    wrong: &mut Wrong,
) -> Result<(), Exhausted> {
    let mut by_key: Vec<Vec<u32>> = vec![Vec::new(); p.keys.len()];
    for &t in order {
        for &key in p.writes_of(t) {
            by_key[key as usize].push(at[t as usize]);
        }
    }
    visit(p, order, false, budget, |t, clock, _| {
        for r in p.reads_of(t) {
            let list = &by_key[r.key as usize];
            let from = match r.from {
                INITIAL => 0,
                w => list.partition_point(|&i| i <= at[w as usize]),
            };
            let between =
                list[from..].iter().take_while(|&&i| i < at[t as usize]).map(|&i| order[i as usize]);
            let known = between.filter(|&b| clock[p.session[b as usize] as usize] >= p.place[b as usize]);
            known.take(FEW).for_each(|b| wrong.add(b, r.from));
        }
    })
    .map(drop)
}

/// Finds all conflicts.
pub fn conflicts(p: &Plain, order: &[u32], budget: &Budget) -> Result<Conflicts, Exhausted> {
    let writers = Writers::new(p);
    let mut found = Conflicts::default();
    let mut suspects: Vec<u32> = Vec::new();
    let clocks = visit(p, order, true, budget, |t, clock, clocks| {
        let reads = p.reads_of(t);
        let before = found.edges.len();
        for r in reads {
            read_conflicts(p, &writers, t, *r, clock, clocks, &mut found);
        }
        if found.edges.len() > before {
            suspects.push(t);
        }
    })?;
    for &t in &suspects {
        if alone(p, &writers, &clocks, t) {
            found.alone = Some(t);
            break;
        }
    }
    found.edges.sort_unstable();
    found.edges.dedup_by_key(|c| (c.before, c.after));
    Ok(found)
}

fn read_conflicts(
    p: &Plain,
    writers: &Writers,
    t: u32,
    r: Access,
    clock: &[u32],
    clocks: &Clocks,
    found: &mut Conflicts,
) {
    for known in writers.last_within(p, r.key, clock) {
        let conflict = Conflict { before: known, after: r.from, reader: t, key: r.key };
        if r.from == INITIAL {
            found.initial.push(conflict);
        } else if known != r.from && !clocks.before(p, known, r.from) {
            found.edges.push(conflict);
        }
    }
}

/// Whether the conflicts of one transaction's reads and happens-before are circular.
fn alone(p: &Plain, writers: &Writers, clocks: &Clocks, t: u32) -> bool {
    let reads: Vec<Access> = p.reads_of(t).iter().copied().filter(|r| r.from != INITIAL).collect();
    let mut past = clocks.of(t).to_vec();
    past[p.session[t as usize] as usize] -= 1;
    let n = reads.len();
    // i → j: what read i saw must come before what read j saw.
    let mut reach = vec![false; n * n];
    for (j, r) in reads.iter().enumerate() {
        for known in writers.last_within(p, r.key, &past).filter(|&k| k != r.from) {
            for (i, earlier) in reads.iter().enumerate() {
                reach[i * n + j] |= clocks.before(p, earlier.from, known);
            }
        }
    }
    for k in 0..n {
        for i in 0..n {
            if reach[i * n + k] {
                for j in 0..n {
                    reach[i * n + j] |= reach[k * n + j];
                }
            }
        }
    }
    (0..n).any(|i| reach[i * n + i])
}
