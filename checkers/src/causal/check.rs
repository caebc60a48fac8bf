//! The causal check: a history in, a verdict out.

use serde_json::{Map, json};
use squall_history::{Accesses, History, Value};

use super::columns::{INITIAL, Plain, plain, plain_of_accesses};
use super::convergence::{Conflict, Conflicts, agreeing, conflicts};
use super::isolation::{self, Axiom};
use super::memory::{self, Start, Violation, Why};
use super::order::{Writers, is_serial, linear};
use crate::txn::cycles::analyze::{Input, Report, analyze};
use crate::txn::cycles::cycle::Cycle;
use crate::txn::explain::{Step, cycle_anomaly};
use crate::txn::graph::{Edges, Kind};
use crate::txn::models::Model;
use crate::txn::serial::greedy::greedy_order;
use crate::{Anomaly, Budget, Check, Exhausted, Valid, Verdict};

/// Judges reads and writes, single or in transactions, by a model that is decided without search:
/// `read-committed`, `read-atomic`, their strong-session forms, `weak-causal`, `causal`, `causal-memory`, `pram`.
#[derive(Clone, Debug)]
pub struct Causal {
    /// What the history is judged by.
    pub model: &'static Model,
    /// The value of every key before the first write.
    pub initial: Value,
}

/// A history, prepared for all causal models.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The transactions.
    pub plain: Plain,
    /// An order that keeps session order and reads-from, if there is one.
    pub order: Option<Vec<u32>>,
    /// Whether that order is a serial execution: then every model that knows no real time holds.
    pub serial: bool,
}

/// Reads a history.
pub fn prepare(history: &History, initial: &Value) -> Prepared {
    prepared(plain(history, initial))
}

/// Reads a history in columns.
pub fn prepare_accesses(accesses: Accesses, initial: &Value) -> Prepared {
    prepared(plain_of_accesses(accesses, initial))
}

/// How often the try may be stuck. Of a history without times that is soon: it has an order that agrees, but hardly
/// ever one that follows from its lines.
const PATIENCE: usize = 32;

fn prepared(plain: Plain) -> Prepared {
    let sound = plain.findings.iter().next().is_none();
    let order = linear(&plain);
    let serial = order.as_deref().is_some_and(|o| sound && is_serial(&plain, o));
    // A serial order answers nearly every question at once, so it is worth another try.
    if sound && !serial && order.is_some() {
        let played = greedy_order(&plain, PATIENCE, &Budget::default());
        if let Some(played) = played.filter(|o| in_session_order(&plain, o)) {
            return Prepared { plain, order: Some(played), serial: true };
        }
    }
    Prepared { plain, order, serial }
}

fn in_session_order(p: &Plain, order: &[u32]) -> bool {
    let mut last = vec![0; p.sessions as usize];
    order.iter().all(|&t| {
        let before = std::mem::replace(&mut last[p.session[t as usize] as usize], p.place[t as usize]);
        before < p.place[t as usize]
    })
}

/// What was found for one model.
pub type Found = Result<Vec<Anomaly>, Exhausted>;

impl Prepared {
    /// Reads that no model of this module explains.
    pub fn bad_reads(&self, check: &str) -> Vec<Anomaly> {
        self.plain
            .findings
            .iter()
            .flat_map(|(kind, found, _)| {
                found.iter().map(move |f| Anomaly {
                    kind: kind.to_owned(),
                    signature: format!("{check}/{kind}"),
                    explanation: f.text.clone(),
                    operations: f.operations.clone(),
                    details: f.details.clone(),
                })
            })
            .collect()
    }

    /// Causal consistency, weak (`converging` false) or convergent.
    pub fn causal(&self, check: &str, converging: bool, budget: &Budget) -> Found {
        let mut anomalies = self.bad_reads(check);
        if self.serial {
            return Ok(anomalies);
        }
        let Some(order) = &self.order else {
            let report = self.cycles(&[], budget);
            anomalies.extend(self.name_cycles(check, &report, &[], true));
            return Ok(anomalies);
        };
        if agreeing(&self.plain, order, budget)?.is_some() {
            return Ok(anomalies);
        }
        let found = conflicts(&self.plain, order, budget)?;
        anomalies
            .extend(found.initial.iter().take(8).map(|c| self.initial_anomaly(check, "WriteCOInitRead", c)));
        let report = self.cycles(&found.edges, budget);
        let cycles = self.name_cycles(check, &report, &found.edges, converging);
        let explained = cycles.iter().any(|a| a.kind != "CyclicCF");
        anomalies.extend(cycles);
        if let (false, Some(t)) = (explained, found.alone) {
            anomalies.push(self.alone_anomaly(check, t, &found));
        }
        if report.undecided && anomalies.is_empty() {
            return Err(Exhausted::Time);
        }
        Ok(anomalies)
    }

    /// Read committed and read atomic. The forms with session order are `strong-session-read-committed` and
    /// `strong-session-read-atomic`; plain read committed (Adya) only asks that nobody reads what was aborted,
    /// intermediate or circular.
    pub fn isolation(&self, check: &str, axiom: Option<Axiom>, sessions: bool, budget: &Budget) -> Found {
        let mut anomalies = self.bad_reads(check);
        if axiom.is_none() {
            // A read that forgets an own write is wrong, but it is not Adya's G1.
            anomalies.retain(|a| a.kind != "internal");
        }
        if self.serial {
            return Ok(anomalies);
        }
        let agreed =
            self.order.as_deref().is_some_and(|o| axiom.is_none_or(|a| isolation::agrees(&self.plain, a, o)));
        if agreed {
            return Ok(anomalies);
        }
        let mut demanded = Vec::new();
        if let Some(axiom) = axiom {
            isolation::demands(&self.plain, axiom, |c| demanded.push(c));
        }
        demanded.sort_unstable();
        demanded.dedup_by_key(|c| (c.before, c.after));
        let (initial, edges): (Vec<Conflict>, Vec<Conflict>) =
            demanded.iter().partition(|c| c.after == INITIAL);
        let names = match (axiom, sessions) {
            (None | Some(Axiom::ReadCommitted), _) => ("G1c", "G1c-process", "non-monotonic-read"),
            (Some(_), false) => ("G1c", "G1c-process", "fractured-read"),
            (Some(_), true) => ("G1c", "G1c-process", "fractured-read-process"),
        };
        anomalies.extend(initial.iter().take(8).map(|c| self.initial_anomaly(check, names.2, c)));
        let report = self.cycles(&edges, budget);
        let mut best: Vec<(&'static str, &Cycle)> = Vec::new();
        for named in report.named.values() {
            let cycle = &named.cycle;
            let ordered = cycle.kinds.contains(&Kind::Process);
            let name = match (cycle.kinds.contains(&Kind::Rw), ordered) {
                (true, _) => names.2,
                (false, false) => names.0,
                (false, true) => names.1,
            };
            if !ordered || sessions {
                keep_shortest(&mut best, name, cycle);
            }
        }
        anomalies.extend(best.iter().map(|(name, cycle)| {
            cycle_anomaly(check, name, cycle, &self.plain.txns, |a, b, kind| self.step(&edges, a, b, kind))
        }));
        if report.undecided && anomalies.is_empty() {
            return Err(Exhausted::Time);
        }
        Ok(anomalies)
    }

    /// Causal memory or PRAM.
    pub fn per_session(&self, check: &str, start: Start, budget: &Budget) -> Found {
        let mut anomalies = self.bad_reads(check);
        if self.serial {
            return Ok(anomalies);
        }
        if start == Start::CausalMemory && self.order.is_none() {
            let report = self.cycles(&[], budget);
            anomalies.extend(self.name_cycles(check, &report, &[], true));
            return Ok(anomalies);
        }
        let writers = Writers::new(&self.plain);
        let mut first_failure = None;
        for s in 0..self.plain.sessions {
            let linear = self.order.as_deref();
            match memory::session(&self.plain, &writers, linear, s, start, budget) {
                Ok(Some(violation)) => {
                    anomalies.push(self.session_anomaly(check, start, s, &violation));
                    if anomalies.len() >= 8 {
                        break;
                    }
                }
                Ok(None) => {}
                Err(e) => first_failure = first_failure.or(Some(e)),
            }
        }
        match first_failure {
            Some(e) if anomalies.is_empty() => Err(e),
            _ => Ok(anomalies),
        }
    }

    fn cycles(&self, found: &[Conflict], budget: &Budget) -> Report {
        let p = &self.plain;
        let mut edges = Edges::default();
        for t in 0..p.len() as u32 {
            for r in p.reads_of(t).iter().filter(|r| r.from != INITIAL) {
                edges.push(r.from, t, Kind::Wr);
            }
        }
        for c in found {
            edges.push(c.before, c.after, Kind::Rw);
        }
        analyze(Input { txns: &p.txns, edges: &edges, helpers: 0, realtime: false }, budget)
    }

    fn name_cycles(
        &self,
        check: &str,
        report: &Report,
        found: &[Conflict],
        converging: bool,
    ) -> Vec<Anomaly> {
        let mut best: Vec<(&'static str, &Cycle)> = Vec::new();
        for named in report.named.values() {
            let conflicts = named.cycle.kinds.iter().filter(|&&k| k == Kind::Rw).count();
            let name = match conflicts {
                0 => "CyclicCO",
                1 => "WriteCORead",
                _ => "CyclicCF",
            };
            keep_shortest(&mut best, name, &named.cycle);
        }
        best.retain(|(name, _)| converging || *name != "CyclicCF");
        best.sort_unstable_by_key(|(name, _)| *name);
        best.iter()
            .map(|(name, cycle)| {
                cycle_anomaly(check, name, cycle, &self.plain.txns, |a, b, kind| self.step(found, a, b, kind))
            })
            .collect()
    }

    /// Why one transaction comes before another; conflicts are looked up in `found`.
    pub fn step(&self, found: &[Conflict], from: u32, to: u32, kind: Kind) -> Step {
        let p = &self.plain;
        let index = |t: u32| p.txns[t as usize].index;
        match kind {
            Kind::Wr => {
                let read = p.reads_of(to).iter().find(|r| r.from == from);
                let Some(read) = read else {
                    return Step::order(&p.txns[from as usize], &p.txns[to as usize], kind);
                };
                let (key, value) = (p.keys.name(read.key), p.value(from, read.key).unwrap_or_default());
                let text =
                    format!("#{} read {value} from key {key}, which #{} had written", index(to), index(from));
                Step::new(text, key_details(&[("key", key), ("value", &value)]))
            }
            Kind::Rw => {
                let conflict = found.iter().find(|c| (c.before, c.after) == (from, to));
                let Some(c) = conflict else {
                    return Step::order(&p.txns[from as usize], &p.txns[to as usize], kind);
                };
                let (text, key) = self.conflict_text(c);
                let mut details = key_details(&[("key", key)]);
                details.insert("reader".to_owned(), json!(index(c.reader)));
                Step::new(text, details)
            }
            Kind::Ww | Kind::Process | Kind::Realtime | Kind::Pass => {
                Step::order(&p.txns[from as usize], &p.txns[to as usize], kind)
            }
        }
    }

    fn conflict_text(&self, c: &Conflict) -> (String, &Value) {
        let p = &self.plain;
        let index = |t: u32| p.txns[t as usize].index;
        let key = p.keys.name(c.key);
        let value = |t: u32| p.value(t, c.key).unwrap_or_default();
        let text = format!(
            "#{} read {} from key {key}, which #{} wrote, although it knew #{}, which wrote {}",
            index(c.reader),
            value(c.after),
            index(c.after),
            index(c.before),
            value(c.before)
        );
        (text, key)
    }

    fn initial_anomaly(&self, check: &str, kind: &str, c: &Conflict) -> Anomaly {
        let p = &self.plain;
        let index = |t: u32| p.txns[t as usize].index;
        let key = p.keys.name(c.key);
        let text = format!(
            "#{} read the initial value of key {key}, although it knew #{}, which wrote {}.",
            index(c.reader),
            index(c.before),
            p.value(c.before, c.key).unwrap_or_default()
        );
        let mut operations = vec![index(c.before), index(c.reader)];
        operations.sort_unstable();
        Anomaly {
            kind: kind.to_owned(),
            signature: format!("{check}/{kind}"),
            explanation: text,
            operations,
            details: key_details(&[("key", key)]),
        }
    }

    fn alone_anomaly(&self, check: &str, t: u32, found: &Conflicts) -> Anomaly {
        let p = &self.plain;
        let index = |t: u32| p.txns[t as usize].index;
        let mine: Vec<&Conflict> = found.edges.iter().filter(|c| c.reader == t).collect();
        let sentences: Vec<String> = mine.iter().map(|c| self.conflict_text(c).0).collect();
        let mut operations: Vec<u32> =
            mine.iter().flat_map(|c| [index(c.before), index(c.after)]).chain([index(t)]).collect();
        operations.sort_unstable();
        operations.dedup();
        Anomaly {
            kind: "WriteCORead".to_owned(),
            signature: format!("{check}/WriteCORead/transaction"),
            explanation: format!(
                "No order of what #{} knew explains all that it read: {}.",
                index(t),
                sentences.join("; ")
            ),
            operations,
            details: Map::new(),
        }
    }

    fn session_anomaly(&self, check: &str, start: Start, session: u32, violation: &Violation) -> Anomaly {
        let p = &self.plain;
        let index = |t: u32| p.txns[t as usize].index;
        let names = match start {
            Start::CausalMemory => ("WriteHBInitRead", "CyclicHB"),
            Start::Pram => ("pram-violation", "pram-violation"),
        };
        match violation {
            &Violation::Initial(before, reader, key) => {
                let c = Conflict { before, after: INITIAL, reader, key };
                self.initial_anomaly(check, names.0, &c)
            }
            Violation::Circle(path) => {
                let n = path.len();
                let mut text = String::new();
                for (i, &(from, why)) in path.iter().enumerate() {
                    let to = path[(i + 1) % n].0;
                    let because = match why {
                        Why::Session => self.step(&[], from, to, Kind::Process).text,
                        Why::Read => self.step(&[], from, to, Kind::Wr).text,
                        Why::Seen(reader, key) => {
                            self.conflict_text(&Conflict { before: from, after: to, reader, key }).0
                        }
                    };
                    text.push_str(&format!(
                        "#{} comes before #{} because {because}. ",
                        index(from),
                        index(to)
                    ));
                }
                let who = p.session.iter().position(|&s| s == session).map_or(0, |t| p.txns[t].process);
                text.push_str(&format!("So no order of writes explains what process {who} read."));
                let mut operations: Vec<u32> = path.iter().map(|&(t, _)| index(t)).collect();
                let transactions = operations.clone();
                operations.sort_unstable();
                operations.dedup();
                let mut details = Map::new();
                details.insert("process".to_owned(), json!(who));
                details.insert("transactions".to_owned(), json!(transactions));
                Anomaly {
                    kind: names.1.to_owned(),
                    signature: format!("{check}/{}/{n}", names.1),
                    explanation: text,
                    operations,
                    details,
                }
            }
        }
    }
}

fn keep_shortest<'a>(best: &mut Vec<(&'static str, &'a Cycle)>, name: &'static str, cycle: &'a Cycle) {
    match best.iter_mut().find(|(n, _)| *n == name) {
        Some(have) if have.1.len() > cycle.len() => have.1 = cycle,
        Some(_) => {}
        None => best.push((name, cycle)),
    }
}

fn key_details(entries: &[(&str, &Value)]) -> Map<String, serde_json::Value> {
    entries.iter().map(|&(name, value)| (name.to_owned(), json!(value))).collect()
}

impl Check for Causal {
    fn name(&self) -> &str {
        "causal"
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        let prepared = prepare(history, &self.initial);
        let found = match self.model.name {
            "read-committed" => prepared.isolation("causal", None, false, budget),
            "read-atomic" => prepared.isolation("causal", Some(Axiom::ReadAtomic), false, budget),
            "strong-session-read-committed" => {
                prepared.isolation("causal", Some(Axiom::ReadCommitted), true, budget)
            }
            "strong-session-read-atomic" => {
                prepared.isolation("causal", Some(Axiom::SessionReadAtomic), true, budget)
            }
            "weak-causal" => prepared.causal("causal", false, budget),
            "causal" => prepared.causal("causal", true, budget),
            "causal-memory" => prepared.per_session("causal", Start::CausalMemory, budget),
            "pram" => prepared.per_session("causal", Start::Pram, budget),
            other => {
                return Verdict::unknown("causal", format!("{other} is not a model that this check knows"));
            }
        };
        prepared.verdict("causal", self.model, found)
    }
}

impl Prepared {
    /// The verdict that follows from what was found.
    pub fn verdict(&self, check: &str, model: &'static Model, found: Found) -> Verdict {
        let mut verdict = match (self.plain.unreadable(), found) {
            (Some(why), _) => Verdict::unknown(check, why),
            (None, Ok(anomalies)) => Verdict::from_anomalies(check, anomalies),
            (None, Err(why)) => Verdict::unknown(check, why.to_string()),
        }
        .with("consistency", json!(model.name))
        .with("transactions", json!(self.plain.len()));
        if verdict.valid == Valid::Yes {
            if !self.plain.txns.iter().any(|t| t.committed()) {
                verdict.valid = Valid::Unknown;
                verdict.reason = Some("nothing was completed, so nothing can be judged".to_owned());
            } else if !self.plain.ambiguous.is_empty() {
                verdict.valid = Valid::Unknown;
                verdict.reason = Some(self.plain.ambiguous.join("; "));
            }
        }
        verdict
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
