//! Proofs of verdicts about plain reads and writes, for [`super::verify`].
//!
//! What holds is proven by an order. What is violated is proven by a small part of the history that violates the
//! model by itself: found around the anomaly, then made smaller one transaction at a time. A part keeps only
//! reads from within, so it is never harder to explain than the whole.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use rustc_hash::FxHashMap;
use serde_json::{Value as Json, json};

use super::decide::{Answer, Plainly};
use super::graph::{Edges, Graph, Kind};
use super::models::Model;
use crate::causal::check::Prepared;
use crate::causal::columns::{Access, INITIAL, Plain};
use crate::causal::convergence::{self, Conflict};
use crate::causal::isolation::{self, Axiom};
use crate::causal::memory::{self, Start};
use crate::causal::order::{Writers, is_serial, linear};
use crate::{Anomaly, Budget, Certificate};

/// Anomalies that single reads show, and so the reads are their proof.
pub const OF_READS: [&str; 6] = ["ThinAirRead", "thin-air-read", "G1a", "G1b", "internal", "future-read"];
/// Parts that are looked at before they are made smaller, and those that are small enough at last.
const PART: usize = 160;
const SMALL: usize = 12;
/// Pairs of operations whose connection is looked for.
const PAIRS: usize = 20;
/// Longer histories get no order as proof: it would cost as much memory as the check.
const TOLD: usize = 200_000;
/// Entries of orders of sessions: one for each transaction in each session.
const ENTRIES: usize = 400_000;

/// The proof of single reads.
pub fn of_reads(anomaly: &Anomaly, initial: &Json) -> Option<Certificate> {
    OF_READS.contains(&anomaly.kind.as_str()).then(|| Certificate {
        kind: "reads".to_owned(),
        body: json!({"anomaly": anomaly.kind, "operations": anomaly.operations, "initial": initial}),
    })
}

impl Plainly {
    /// The proof of an answer about a model, where there is one.
    pub fn certify(&self, model: &Model, answer: &Answer, budget: &Budget) -> Option<Certificate> {
        match answer {
            Answer::Holds(Some(certificate)) => Some(certificate.clone()),
            Answer::Holds(None) => self.order_of(model, budget),
            Answer::Violated(anomalies) => {
                let initial = json!(self.initial());
                let read = anomalies.iter().find_map(|a| of_reads(a, &initial));
                read.or_else(|| anomalies.iter().find_map(|a| self.part_of(model, a, budget)))
            }
            Answer::Undecided(_) => None,
        }
    }

    fn order_of(&self, model: &Model, budget: &Budget) -> Option<Certificate> {
        let prepared = &self.prepared;
        let p = &prepared.plain;
        if p.len() > TOLD {
            return None;
        }
        let order = match model.name {
            "causal" | "weak-causal" => prepared.arbitration(budget)?,
            "read-committed" => prepared.commits(None, false)?,
            "read-atomic" => prepared.commits(Some(Axiom::ReadAtomic), false)?,
            "strong-session-read-committed" => prepared.commits(Some(Axiom::ReadCommitted), true)?,
            "strong-session-read-atomic" => prepared.commits(Some(Axiom::SessionReadAtomic), true)?,
            "causal-memory" => return self.session_orders(model, Start::CausalMemory, budget),
            "pram" => return self.session_orders(model, Start::Pram, budget),
            _ => return None,
        };
        let order: Vec<u32> = order.iter().map(|&t| p.txns[t as usize].index).collect();
        Some(Certificate {
            kind: "arbitration".to_owned(),
            body: json!({"model": model.name, "initial": self.initial(), "order": order}),
        })
    }

    fn session_orders(&self, model: &Model, start: Start, budget: &Budget) -> Option<Certificate> {
        let p = &self.prepared.plain;
        if p.len().saturating_mul(p.sessions as usize) > ENTRIES {
            return None;
        }
        let writers = Writers::new(p);
        let index = |t: &u32| p.txns[*t as usize].index;
        let linear = self.prepared.order.as_deref();
        let mut orders: Vec<Vec<u32>> = Vec::new();
        for session in 0..p.sessions {
            let order = memory::explanation(p, &writers, linear, session, start, budget)?;
            orders.push(order.iter().map(index).collect());
        }
        let all: Vec<u32> = linear.unwrap_or_default().iter().map(index).collect();
        Some(Certificate {
            kind: "session-orders".to_owned(),
            body: json!({"model": model.name, "initial": self.initial(), "order": all, "orders": orders}),
        })
    }

    /// A few transactions around an anomaly that alone violate the model.
    fn part_of(&self, model: &Model, anomaly: &Anomaly, budget: &Budget) -> Option<Certificate> {
        let p = &self.prepared.plain;
        let edges = anomaly.details.get("edges").and_then(Json::as_array).into_iter().flatten();
        let readers = edges.filter_map(|e| u32::try_from(e.get("reader")?.as_u64()?).ok());
        let named: Vec<u32> = anomaly.operations.iter().copied().chain(readers).collect();
        let at = |index: u32| p.txns.binary_search_by_key(&index, |t| t.index).ok().map(|t| t as u32);
        let mut part: Vec<u32> = named.into_iter().filter_map(at).collect();
        tidy(&mut part);
        let ends = part.clone();
        let pairs = ends.iter().flat_map(|&a| ends.iter().map(move |&b| (a, b))).filter(|(a, b)| a != b);
        for (a, b) in pairs.take(PAIRS) {
            part.extend(connection(p, a, b));
        }
        tidy(&mut part);
        let violated = |part: &[u32]| {
            let asked = self.part(restricted(p, part));
            matches!(asked.decide(model, budget), Some(Answer::Violated(_)))
        };
        while part.len() <= PART && !violated(&part) {
            let before = part.len();
            neighbours(p, &mut part);
            if part.len() == before {
                return None;
            }
        }
        if part.len() > PART {
            return None;
        }
        for i in (0..part.len()).rev() {
            let mut less = part.clone();
            less.remove(i);
            if budget.is_stopped() {
                return None;
            }
            if violated(&less) {
                part = less;
            }
        }
        let operations: Vec<u32> = part.iter().map(|&t| p.txns[t as usize].index).collect();
        (part.len() <= SMALL).then(|| Certificate {
            kind: "subhistory".to_owned(),
            body: json!({"model": model.name, "initial": self.initial(), "operations": operations}),
        })
    }
}

impl Prepared {
    /// An order that keeps what is known, in which every read returns the last write that its reader knew.
    fn arbitration(&self, budget: &Budget) -> Option<Vec<u32>> {
        let order = self.order.as_ref()?;
        if self.serial {
            return Some(order.clone());
        }
        if let Some(agreeing) = convergence::agreeing(&self.plain, order, budget).ok()? {
            return Some(agreeing);
        }
        ordered(&self.plain, true, &convergence::conflicts(&self.plain, order, budget).ok()?.edges)
    }

    /// An order of commits that fulfils an axiom.
    fn commits(&self, axiom: Option<Axiom>, sessions: bool) -> Option<Vec<u32>> {
        let mut demanded = Vec::new();
        if let Some(axiom) = axiom {
            isolation::demands(&self.plain, axiom, |c| demanded.push(c));
        }
        ordered(&self.plain, sessions, &demanded)
    }
}

/// Transactions in an order that keeps reads-from, sessions if asked, and what conflicts demand; near to the order
/// of the history. `None` if they are circular.
fn ordered(p: &Plain, sessions: bool, conflicts: &[Conflict]) -> Option<Vec<u32>> {
    let mut edges = Edges::default();
    let mut last: Vec<Option<u32>> = vec![None; p.sessions as usize];
    for t in 0..p.len() as u32 {
        for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
            edges.push(r.from, t, Kind::Wr);
        }
        if let (Some(before), true) = (last[p.session[t as usize] as usize].replace(t), sessions) {
            edges.push(before, t, Kind::Process);
        }
    }
    for c in conflicts {
        if c.after == INITIAL {
            return None;
        }
        edges.push(c.before, c.after, Kind::Ww);
    }
    sorted(p.len(), &edges, |t| t)
}

/// Nodes in an order that keeps the edges, and where they leave a choice the wish. `None` if they are circular.
pub fn sorted(nodes: usize, edges: &Edges, wish: impl Fn(u32) -> u32) -> Option<Vec<u32>> {
    let graph = Graph::new(nodes, edges);
    let mut waits = vec![0u32; nodes];
    edges.iter().for_each(|(_, to, _)| waits[to as usize] += 1);
    let ready = (0..nodes as u32).filter(|&n| waits[n as usize] == 0);
    let mut ready: BinaryHeap<Reverse<(u32, u32)>> = ready.map(|n| Reverse((wish(n), n))).collect();
    let mut order = Vec::with_capacity(nodes);
    while let Some(Reverse((_, node))) = ready.pop() {
        order.push(node);
        for (to, _) in graph.out(node) {
            waits[to as usize] -= 1;
            if waits[to as usize] == 0 {
                ready.push(Reverse((wish(to), to)));
            }
        }
    }
    (order.len() == nodes).then_some(order)
}

fn tidy(part: &mut Vec<u32>) {
    part.sort_unstable();
    part.dedup();
}

/// The transactions on a shortest way of session order and reads-from, without those between two of one session.
fn connection(p: &Plain, from: u32, to: u32) -> Vec<u32> {
    let mut back: FxHashMap<u32, u32> = FxHashMap::default();
    let mut todo = VecDeque::from([to]);
    // The last of each session up to where its past was followed.
    let mut of_session: Vec<Vec<u32>> = vec![Vec::new(); p.sessions as usize];
    (0..p.len() as u32).for_each(|t| of_session[p.session[t as usize] as usize].push(t));
    while let Some(t) = todo.pop_front() {
        if t == from {
            let mut way = vec![t];
            while let Some(&next) = back.get(way.last().unwrap_or(&to)) {
                way.push(next);
            }
            let middle = |w: &[u32]| {
                let s = |t: u32| p.session[t as usize];
                s(w[0]) == s(w[1]) && s(w[1]) == s(w[2])
            };
            let ends = [way.first().copied(), way.last().copied()];
            let inner = way.windows(3).filter(|w| !middle(w)).map(|w| w[1]);
            return inner.chain(ends.into_iter().flatten()).collect();
        }
        let place = p.place[t as usize] as usize;
        let before = place.checked_sub(2).map(|i| of_session[p.session[t as usize] as usize][i]);
        let read = p.reads_of(t).iter().map(|r| r.from).filter(|&w| w != INITIAL);
        for w in read.chain(before) {
            if w != to && !back.contains_key(&w) {
                back.insert(w, t);
                todo.push_back(w);
            }
        }
    }
    Vec::new()
}

/// Adds whoever a member read from or was read by.
fn neighbours(p: &Plain, part: &mut Vec<u32>) {
    let members = part.clone();
    let inside = |t: u32| members.binary_search(&t).is_ok();
    for t in 0..p.len() as u32 {
        for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
            if inside(t) != inside(r.from) {
                part.push(if inside(t) { r.from } else { t });
            }
        }
    }
    tidy(part);
}

/// Only these transactions, and what they read from each other or from nobody.
fn restricted(p: &Plain, part: &[u32]) -> Prepared {
    let mut out = Plain::default();
    let mut sessions: FxHashMap<u32, (u32, u32)> = FxHashMap::default();
    for &t in part {
        let fresh = sessions.len() as u32;
        let session = sessions.entry(p.session[t as usize]).or_insert((fresh, 0));
        session.1 += 1;
        out.session.push(session.0);
        out.place.push(session.1);
        out.txns.push(p.txns[t as usize]);
        out.read_first.push(out.reads.len() as u32);
        out.write_first.push(out.writes.len() as u32);
        for r in p.reads_of(t) {
            let from = match r.from {
                INITIAL => Some(INITIAL),
                w => part.binary_search(&w).ok().map(|at| at as u32),
            };
            if let Some(from) = from {
                let key = out.keys.id(p.keys.name(r.key));
                out.reads.push(Access { key, from });
            }
        }
        let mut written: Vec<(u32, i64)> = p
            .writes_of(t)
            .iter()
            .map(|&key| {
                let value = p.value(t, key).unwrap_or_default();
                (out.keys.id(p.keys.name(key)), out.codes.code(&value))
            })
            .collect();
        written.sort_unstable();
        out.writes.extend(written.iter().map(|w| w.0));
        out.written.extend(written.iter().map(|w| w.1));
    }
    out.read_first.push(out.reads.len() as u32);
    out.write_first.push(out.writes.len() as u32);
    out.sessions = sessions.len() as u32;
    let order = linear(&out);
    let serial = order.as_deref().is_some_and(|o| is_serial(&out, o));
    Prepared { plain: out, order, serial }
}
