//! A few operations that alone violate a model: by the definitions, trying every order where there is a choice.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use squall_history::{History, Value};

use super::view::{View, view};

/// Most transactions of such a part.
const MOST: usize = 14;
/// Steps that are tried.
const STEPS: u64 = 20_000_000;

type Matrix = Vec<Vec<bool>>;

/// Whether the operations that are named violate the model by themselves.
pub(super) fn verify_subhistory(history: &History, body: &Json) -> Result<(), String> {
    let model = body["model"].as_str().ok_or("the model has no name")?;
    let named: Vec<u32> = serde_json::from_value(body["operations"].clone()).map_err(|e| e.to_string())?;
    let initial: Value = serde_json::from_value(body["initial"].clone()).map_err(|e| e.to_string())?;
    let part = view(history, &initial).part(&named);
    if part.txns.len() > MOST {
        return Err(format!("{} transactions are too many to try every order", part.txns.len()));
    }
    let mut steps = STEPS;
    match satisfies(&part, model, &mut steps) {
        Some(false) => Ok(()),
        Some(true) => Err(format!("these operations alone do not violate {model}")),
        None if steps == 0 => Err("there are too many orders to try".to_owned()),
        None => Err(format!("{model:?} has no definition here")),
    }
}

/// Whether a part satisfies a model; `None` if that cannot be said.
pub(super) fn satisfies(v: &View, model: &str, steps: &mut u64) -> Option<bool> {
    let n = v.txns.len();
    let session = matrix(n, |a, b| v.in_session(a, b));
    let reads = matrix(n, |a, b| v.txns[b].reads.iter().any(|(_, w)| *w == Some(a)));
    let time = matrix(n, |a, b| v.txns[a].completed < v.txns[b].invoked);
    let nothing = matrix(n, |_, _| false);
    let known = closed(&either(&session, &reads));
    let searched = |before: &Matrix, shape: Shape, steps: &mut u64| {
        let mut play =
            Play { v, before, shape, begun: vec![None; n], committed: Vec::new(), only: None, steps };
        play.goes_on()
    };
    match model {
        "serializable" | "repeatable-read" => searched(&nothing, Shape::Serial, steps),
        "strong-session-serializable" | "sequential" => searched(&session, Shape::Serial, steps),
        "strict-serializable" | "linearizable" => searched(&either(&time, &session), Shape::Serial, steps),
        "snapshot-isolation" => searched(&nothing, Shape::Snapshot, steps),
        "strong-session-snapshot-isolation" => searched(&session, Shape::Snapshot, steps),
        "strong-snapshot-isolation" => searched(&time, Shape::Snapshot, steps),
        "prefix" => searched(&nothing, Shape::Prefix, steps),
        "parallel-snapshot-isolation" | "consistent-view" => Some(ordered(v, &reads, false)),
        "update-serializable" => Some(ordered(v, &reads, true)),
        "causal-cerone" => {
            let seen = closed(&reads);
            Some(arbitrated(v, &seen, &seen))
        }
        "read-committed" => Some(acyclic(&reads)),
        "monotonic-atomic-view" => Some(monotonic(v, &reads)),
        "read-atomic" => Some(arbitrated(v, &reads, &reads)),
        "strong-session-read-atomic" => {
            let seen = either(&session, &reads);
            Some(arbitrated(v, &seen, &seen))
        }
        "strong-session-read-committed" => Some(monotonic(v, &either(&session, &reads))),
        "causal" => Some(arbitrated(v, &known, &known)),
        "weak-causal" => Some(acyclic(&known) && (0..n).all(|t| alone(v, &known, t))),
        "causal-memory" | "pram" => {
            if model == "causal-memory" && !acyclic(&known) {
                return Some(false);
            }
            for process in v.txns.iter().map(|t| t.process) {
                let before = if model == "pram" { &session } else { &known };
                let (begun, committed) = (vec![None; n], Vec::new());
                let only = Some(process);
                let mut play =
                    Play { v, before, shape: Shape::Serial, begun, committed, only, steps: &mut *steps };
                if !play.goes_on()? {
                    return Some(false);
                }
            }
            Some(true)
        }
        _ => guarantees(v, model, &session, &reads),
    }
}

fn matrix(n: usize, holds: impl Fn(usize, usize) -> bool) -> Matrix {
    (0..n).map(|a| (0..n).map(|b| holds(a, b)).collect()).collect()
}

fn either(a: &Matrix, b: &Matrix) -> Matrix {
    matrix(a.len(), |i, j| a[i][j] || b[i][j])
}

fn closed(m: &Matrix) -> Matrix {
    let mut m = m.clone();
    for k in 0..m.len() {
        for i in 0..m.len() {
            for j in 0..m.len() {
                m[i][j] |= m[i][k] && m[k][j];
            }
        }
    }
    m
}

fn acyclic(m: &Matrix) -> bool {
    let m = closed(m);
    (0..m.len()).all(|i| !m[i][i])
}

/// What `t` saw of a key comes before what it read of it: for every read of every transaction that is asked about.
/// `None` if an initial value was read after a write that was seen.
fn demands(
    v: &View,
    sees: &dyn Fn(usize, usize, usize) -> bool,
    of: &dyn Fn(usize) -> bool,
) -> Option<Matrix> {
    let n = v.txns.len();
    let mut found = matrix(n, |_, _| false);
    for t in (0..n).filter(|&t| of(t)) {
        for (i, (key, from)) in v.txns[t].reads.iter().enumerate() {
            for w in (0..n).filter(|&w| w != t && Some(w) != *from && v.txns[w].writes.contains(key)) {
                if sees(w, t, i) {
                    found[w][(*from)?] = true;
                }
            }
        }
    }
    Some(found)
}

/// One order that keeps `base`, in which every read returns the last write that its reader sees.
fn arbitrated(v: &View, base: &Matrix, sees: &Matrix) -> bool {
    demands(v, &|w, t, _| sees[w][t], &|_| true).is_some_and(|d| acyclic(&either(base, &d)))
}

/// Some order of the writers of each key under which nobody misses what it depends on: every order of all
/// writers is tried. `anti`: what overwrites a writer's reads depends on it.
fn ordered(v: &View, reads: &Matrix, anti: bool) -> bool {
    let writers: Vec<usize> = (0..v.txns.len()).filter(|&t| !v.txns[t].writes.is_empty()).collect();
    orders(v, reads, anti, &writers, &mut Vec::new())
}

fn orders(v: &View, reads: &Matrix, anti: bool, writers: &[usize], order: &mut Vec<usize>) -> bool {
    let place = |t: usize| order.iter().position(|&x| x == t);
    let both = |a: usize, b: usize| !v.txns[a].writes.is_disjoint(&v.txns[b].writes);
    // Whether `u` overwrote what `from` wrote, as far as that is decided.
    let overwrote = |u: usize, from: Option<usize>| match (place(u), from.map(&place)) {
        (Some(x), Some(Some(y))) => y < x,
        (Some(_), None) => true,
        _ => false,
    };
    let n = v.txns.len();
    let depends = closed(&matrix(n, |a, b| {
        let second = place(a).is_some_and(|x| place(b).is_some_and(|y| x < y)) && both(a, b);
        let missed = |(key, from): &(_, Option<usize>)| v.txns[b].writes.contains(key) && overwrote(b, *from);
        let before = anti && a != b && !v.txns[a].writes.is_empty() && v.txns[a].reads.iter().any(missed);
        reads[a][b] || second || before
    }));
    // What is placed so far already decides; the rest only adds dependencies.
    let missed = (0..n).any(|t| {
        v.txns[t].reads.iter().any(|(key, from)| {
            let writes = |u: usize| u != t && v.txns[u].writes.contains(key);
            (0..n).any(|u| writes(u) && overwrote(u, *from) && depends[u][t])
        })
    });
    if !acyclic(&depends) || missed {
        return false;
    }
    if order.len() == writers.len() {
        return true;
    }
    writers.iter().any(|&w| {
        if order.contains(&w) {
            return false;
        }
        order.push(w);
        let found = orders(v, reads, anti, writers, order);
        order.pop();
        found
    })
}

fn monotonic(v: &View, base: &Matrix) -> bool {
    let sees = |w: usize, t: usize, i: usize| v.txns[t].reads[..i].iter().any(|(_, r)| *r == Some(w));
    demands(v, &sees, &|_| true).is_some_and(|d| acyclic(&either(base, &d)))
}

fn alone(v: &View, known: &Matrix, t: usize) -> bool {
    demands(v, &|w, t, _| known[w][t], &|x| x == t).is_some_and(|d| acyclic(&either(known, &d)))
}

/// Session guarantees, over visibility: a read shows the write that it returns. For each session some order of
/// what it sees explains its reads.
fn guarantees(v: &View, model: &str, session: &Matrix, reads: &Matrix) -> Option<bool> {
    let all = model == "session-guarantees";
    let own = all || model == "read-your-writes";
    let stays = all || model == "monotonic-reads";
    let writes = all || model == "monotonic-writes";
    let causes = all || model == "writes-follow-reads";
    if !(own || stays || writes || causes) {
        return None;
    }
    let n = v.txns.len();
    let is_writer = |t: usize| !v.txns[t].writes.is_empty();
    // What brings what along: earlier writes of the same session; what that session had read by then.
    let follows = matrix(n, |a, b| {
        let earlier = writes && session[a][b] && is_writer(a) && is_writer(b);
        let read = causes && is_writer(b) && (0..n).any(|x| reads[a][x] && (x == b || session[x][b]));
        earlier || read
    });
    let order = closed(&follows);
    let visible = |w: usize, t: usize| {
        let shown = |x: usize| {
            reads[x][t]
                || (own && session[x][t])
                || (stays && (0..n).any(|e| session[e][t] && (reads[x][e] || (own && session[x][e]))))
        };
        shown(w) || (0..n).any(|x| shown(x) && order[w][x])
    };
    let processes: BTreeMap<u32, ()> = v.txns.iter().map(|t| (t.process, ())).collect();
    Some(processes.into_keys().all(|p| {
        demands(v, &|w, t, _| visible(w, t), &|t| v.txns[t].process == p)
            .is_some_and(|d| acyclic(&either(&order, &d)))
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Serial,
    Snapshot,
    Prefix,
}

/// Tries every order of beginnings and commits.
struct Play<'a> {
    v: &'a View,
    before: &'a Matrix,
    shape: Shape,
    // How many had committed when each began.
    begun: Vec<Option<usize>>,
    committed: Vec<usize>,
    // Whose reads have to be explained; everybody's if nobody is named.
    only: Option<u32>,
    steps: &'a mut u64,
}

impl Play<'_> {
    /// Whether what is left can be ordered; `None` once too much was tried.
    fn goes_on(&mut self) -> Option<bool> {
        *self.steps = self.steps.saturating_sub(1);
        if *self.steps == 0 {
            return None;
        }
        let n = self.v.txns.len();
        if self.committed.len() == n {
            return Some(true);
        }
        for t in (0..n).filter(|t| !self.committed.contains(t)).collect::<Vec<_>>() {
            let first = self.begun[t].is_none();
            if first {
                if (0..n).any(|w| self.before[w][t] && !self.committed.contains(&w)) || !self.reads_fit(t) {
                    continue;
                }
                self.begun[t] = Some(self.committed.len());
            }
            if first && self.shape != Shape::Serial {
                if self.goes_on()? {
                    return Some(true);
                }
            } else if !self.clashes(t) {
                self.committed.push(t);
                if self.goes_on()? {
                    return Some(true);
                }
                self.committed.pop();
            }
            if first {
                self.begun[t] = None;
            }
        }
        Some(false)
    }

    fn reads_fit(&self, t: usize) -> bool {
        let txn = &self.v.txns[t];
        let asked = self.only.is_none_or(|p| p == txn.process);
        !asked
            || txn.reads.iter().all(|(key, from)| {
                self.committed.iter().rev().find(|&&w| self.v.txns[w].writes.contains(key)) == from.as_ref()
            })
    }

    fn clashes(&self, t: usize) -> bool {
        let since = self.begun[t].unwrap_or(0);
        self.shape == Shape::Snapshot
            && self.committed[since..]
                .iter()
                .any(|&w| !self.v.txns[w].writes.is_disjoint(&self.v.txns[t].writes))
    }
}
