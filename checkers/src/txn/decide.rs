//! Whether a history of plain reads and writes satisfies a model: one procedure for each model that has one.
//!
//! A procedure is exact, or says that it could not decide. Models without a procedure of their own follow
//! from the map of models, if they follow at all: see [`super::strongest`].

use serde_json::{Map, json};
use squall_history::{Accesses, History, NEVER, Value};

use super::cycles::cycle::Cycle;
use super::explain::{Step, cycle_anomaly};
use super::graph::Kind;
use super::models::Model;
use super::parallel::{Clash, Form, Found, MOST, parallel};
use super::serial::problem::{Follow, Problem, Shape};
use super::serial::rolling::rolling_order;
use super::serial::solve::{Solution, solve};
use crate::causal::check::{Prepared, prepare, prepare_accesses};
use crate::causal::columns::INITIAL;
use crate::causal::isolation::Axiom;
use crate::causal::memory::Start;
use crate::causal::order::linear;
use crate::causal::sessions::{Guarantees, session_guarantees};
use crate::{Anomaly, Budget, Certificate};

/// Longer histories are tried a window at a time first.
const LONG: usize = 500;

/// What is known of a model.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Not violated; perhaps with an order that proves it.
    Holds(Option<Certificate>),
    /// Violated, and how.
    Violated(Vec<Anomaly>),
    /// Not decided, and why.
    Undecided(String),
}

/// A history of plain reads and writes, ready to be asked.
#[derive(Clone, Debug)]
pub struct Plainly {
    /// The transactions.
    pub prepared: Prepared,
    /// Whether the order of events is real time.
    pub realtime: bool,
    /// Whether every transaction is a single operation.
    pub single: bool,
    initial: Value,
    check: &'static str,
}

impl Plainly {
    /// Reads a history.
    pub fn new(history: &History, initial: &Value, realtime: bool, check: &'static str) -> Self {
        Plainly::prepared(prepare(history, initial), initial, realtime, check)
    }

    /// Reads a history in columns.
    pub fn of_accesses(accesses: Accesses, initial: &Value, realtime: bool, check: &'static str) -> Self {
        Plainly::prepared(prepare_accesses(accesses, initial), initial, realtime, check)
    }

    fn prepared(prepared: Prepared, initial: &Value, realtime: bool, check: &'static str) -> Self {
        let p = &prepared.plain;
        let single = (0..p.len() as u32).all(|t| p.reads_of(t).len() + p.writes_of(t).len() <= 1);
        Plainly { prepared, realtime, single, initial: initial.clone(), check }
    }

    /// The value of every key before the first write.
    pub fn initial(&self) -> &Value {
        &self.initial
    }

    /// The same questions to another part of the history.
    pub(super) fn part(&self, prepared: Prepared) -> Plainly {
        Plainly { prepared, initial: self.initial.clone(), ..*self }
    }

    /// Asks for a model. `None` if it has no procedure of its own for this history.
    pub fn decide(&self, model: &Model, budget: &Budget) -> Option<Answer> {
        let prepared = &self.prepared;
        if let Some(why) = prepared.plain.unreadable() {
            return Some(Answer::Undecided(why));
        }
        let found = match model.name {
            // Any interleaving of writes is an order of versions, as long as nobody says otherwise.
            "read-uncommitted" => return Some(self.unless_ambiguous(Answer::Holds(None))),
            "read-committed" => prepared.isolation(self.check, None, false, budget),
            "monotonic-atomic-view" => {
                // What is read after an own write is no business of this model.
                let found = prepared.isolation(self.check, Some(Axiom::ReadCommitted), false, budget);
                found.map(|all| all.into_iter().filter(|a| a.kind != "internal").collect())
            }
            "read-atomic" => prepared.isolation(self.check, Some(Axiom::ReadAtomic), false, budget),
            "strong-session-read-committed" => {
                prepared.isolation(self.check, Some(Axiom::ReadCommitted), true, budget)
            }
            "strong-session-read-atomic" => {
                prepared.isolation(self.check, Some(Axiom::SessionReadAtomic), true, budget)
            }
            "weak-causal" => prepared.causal(self.check, false, budget),
            "causal" => prepared.causal(self.check, true, budget),
            "causal-memory" => prepared.per_session(self.check, Start::CausalMemory, budget),
            "pram" => prepared.per_session(self.check, Start::Pram, budget),
            "cursor-stability" | "update-atomic" => {
                let lost = self.lost_updates();
                return (!lost.is_empty()).then_some(Answer::Violated(lost));
            }
            "parallel-snapshot-isolation" => return self.parallel(Form::Parallel, true, budget),
            "consistent-view" => return self.parallel(Form::Parallel, false, budget),
            "update-serializable" => return self.parallel(Form::Update, false, budget),
            "causal-cerone" if prepared.plain.len() > MOST => return None,
            "causal-cerone" => alone(prepared).causal(self.check, true, budget),
            name => {
                if let Some(wanted) = Guarantees::of(name) {
                    session_guarantees(prepared, self.check, wanted, budget)
                } else {
                    let (shape, follow) = serial_form(name)?;
                    let objects = name == "linearizable" || name == "sequential";
                    if (follow == Follow::Realtime && !self.realtime) || (objects && !self.single) {
                        return None;
                    }
                    return Some(self.unless_ambiguous(self.serial(shape, follow, budget)));
                }
            }
        };
        Some(self.unless_ambiguous(match found {
            Ok(anomalies) if anomalies.is_empty() => Answer::Holds(None),
            Ok(anomalies) => Answer::Violated(anomalies),
            Err(why) => Answer::Undecided(why.to_string()),
        }))
    }

    /// Models that ask for an order of writers; `internal` if no transaction may contradict itself. `None` if the
    /// history is too long for the search.
    fn parallel(&self, form: Form, internal: bool, budget: &Budget) -> Option<Answer> {
        let mut bad = self.prepared.bad_reads(self.check);
        bad.retain(|a| internal || a.kind != "internal");
        bad.extend(self.lost_updates());
        if !bad.is_empty() {
            return Some(Answer::Violated(bad));
        }
        let found = match self.prepared.serial {
            true => Ok(Found::Order),
            false if self.prepared.plain.len() > MOST => return None,
            false => parallel(&self.prepared.plain, form, budget),
        };
        Some(self.unless_ambiguous(match found {
            Ok(Found::Order) => Answer::Holds(None),
            Ok(Found::Clash(clash, tried)) => Answer::Violated(vec![self.clash(form, clash, tried)]),
            Ok(Found::Circle) => match self.prepared.isolation(self.check, None, false, budget) {
                Ok(anomalies) => Answer::Violated(anomalies),
                Err(why) => Answer::Undecided(why.to_string()),
            },
            Err(why) => Answer::Undecided(format!("the search for an order of writers was cut short: {why}")),
        }))
    }

    fn clash(&self, form: Form, clash: Clash, tried: u64) -> Anomaly {
        let p = &self.prepared.plain;
        let Clash { reader, key, from, other } = clash;
        let kind = if form == Form::Parallel { "G-single" } else { "G-update" };
        let index = |t: u32| p.txns[t as usize].index;
        let name = p.keys.name(key);
        let value = |t: u32| p.value(t, key).unwrap_or_default();
        let read = match from {
            INITIAL => "the initial value".to_owned(),
            writer => format!("{}, which #{} wrote,", value(writer), index(writer)),
        };
        let mut explanation = format!(
            "#{} read {read} from key {name}, but depends on #{}, which must have overwritten that with {}: it \
             saw an effect, and not its cause.",
            index(reader),
            index(other),
            value(other)
        );
        if tried > 0 {
            explanation.push_str(&format!(
                " This is the last of {} contradictions: every order of the writes that reads leave open was \
                 tried.",
                tried + 1
            ));
        }
        let mut operations: Vec<u32> =
            [reader, other].into_iter().chain((from != INITIAL).then_some(from)).map(index).collect();
        operations.sort_unstable();
        let mut details = Map::new();
        details.insert("key".to_owned(), json!(name));
        Anomaly {
            kind: kind.to_owned(),
            signature: format!("{}/{kind}", self.check),
            explanation,
            operations,
            details,
        }
    }

    fn unless_ambiguous(&self, answer: Answer) -> Answer {
        let p = &self.prepared.plain;
        match answer {
            Answer::Holds(_) if !p.ambiguous.is_empty() => Answer::Undecided(p.ambiguous.join("; ")),
            Answer::Holds(_) if !p.txns.iter().any(|t| t.committed()) => {
                Answer::Undecided("nothing was completed, so nothing can be judged".to_owned())
            }
            Answer::Holds(_) | Answer::Violated(_) | Answer::Undecided(_) => answer,
        }
    }

    /// Two committed transactions that read the same version of a key and both wrote a new one.
    fn lost_updates(&self) -> Vec<Anomaly> {
        let p = &self.prepared.plain;
        let mut updates: Vec<(u32, u32, u32)> = Vec::new();
        for t in 0..p.len() as u32 {
            for r in p.reads_of(t).iter().filter(|r| p.writes_key(t, r.key)) {
                updates.push((r.key, r.from, t));
            }
        }
        updates.sort_unstable();
        updates.dedup();
        let clashes = updates.windows(2).filter(|w| (w[0].0, w[0].1) == (w[1].0, w[1].1));
        clashes
            .take(8)
            .map(|w| {
                let ((key, from, a), b) = (w[0], w[1].2);
                let index = |t: u32| p.txns[t as usize].index;
                let what = match from {
                    INITIAL => "the initial value".to_owned(),
                    writer => p.value(writer, key).unwrap_or_default().to_string(),
                };
                Anomaly {
                    kind: "lost-update".to_owned(),
                    signature: format!("{}/lost-update", self.check),
                    explanation: format!(
                        "#{} and #{} both read {what} from key {} and then both wrote it: one of them did not \
                         see the other's update.",
                        index(a),
                        index(b),
                        p.keys.name(key)
                    ),
                    operations: vec![index(a).min(index(b)), index(a).max(index(b))],
                    details: Map::new(),
                }
            })
            .collect()
    }

    /// Serial orders and snapshots.
    fn serial(&self, shape: Shape, follow: Follow, budget: &Budget) -> Answer {
        let p = &self.prepared.plain;
        let bad = self.prepared.bad_reads(self.check);
        if !bad.is_empty() {
            return Answer::Violated(bad);
        }
        if let Some(order) = self.prepared.order.as_ref().filter(|_| self.prepared.serial)
            && (follow != Follow::Realtime || self.in_real_time(order))
        {
            return Answer::Holds(Some(self.order_certificate(shape, follow, order)));
        }
        // A serial order in real time serves every form.
        if self.realtime
            && p.len() > LONG
            && let Some(order) = rolling_order(p, budget)
        {
            return Answer::Holds(Some(self.order_certificate(shape, follow, &order)));
        }
        // An order in real time serves the weaker forms too, and is the easiest to find.
        if self.realtime && follow != Follow::Realtime {
            let problem = Problem::new(p, shape, Follow::Realtime);
            if let Ok(Solution::Order(nodes)) = solve(&problem, &self.wish(&problem), budget) {
                return self.order_found(&problem, follow, &nodes);
            }
        }
        let problem = Problem::new(p, shape, follow);
        match solve(&problem, &self.wish(&problem), budget) {
            Ok(Solution::Order(nodes)) => self.order_found(&problem, follow, &nodes),
            Ok(Solution::Circle(circle)) => Answer::Violated(vec![self.circle(&problem, &circle, 0)]),
            Ok(Solution::Contradiction(tried, circle)) => {
                Answer::Violated(vec![self.circle(&problem, &circle, tried)])
            }
            Err(why) => Answer::Undecided(format!("the search for an order was cut short: {why}")),
        }
    }

    fn wish(&self, problem: &Problem<'_>) -> Vec<u32> {
        let place = |node: u32| {
            let t = &problem.p.txns[problem.txn(node) as usize];
            // What never completed may come as late as it is read.
            if t.completed == NEVER { t.invoked } else { t.completed }
        };
        (0..problem.nodes() as u32).map(place).collect()
    }

    fn in_real_time(&self, order: &[u32]) -> bool {
        let txns = &self.prepared.plain.txns;
        let mut latest = 0;
        order.iter().all(|&t| {
            let t = &txns[t as usize];
            latest = latest.max(t.invoked);
            t.completed >= latest
        })
    }

    fn order_found(&self, problem: &Problem<'_>, follow: Follow, nodes: &[u32]) -> Answer {
        Answer::Holds(Some(self.nodes_certificate(problem, follow, nodes)))
    }

    fn order_certificate(&self, shape: Shape, follow: Follow, order: &[u32]) -> Certificate {
        let problem = Problem { p: &self.prepared.plain, shape, base: Default::default(), reads: Vec::new() };
        let nodes: Vec<u32> = order.iter().flat_map(|&t| [problem.begin(t), problem.commit(t)]).collect();
        self.nodes_certificate(&problem, follow, &nodes)
    }

    /// Beginnings and commits by operation; of serial orders only the commits.
    fn nodes_certificate(&self, problem: &Problem<'_>, follow: Follow, nodes: &[u32]) -> Certificate {
        let index = |node: u32| problem.p.txns[problem.txn(node) as usize].index;
        let mut steps: Vec<i64> = Vec::with_capacity(nodes.len());
        for &node in nodes {
            // A beginning is -1 - index.
            let commits = problem.commits(node);
            let step = if commits { i64::from(index(node)) } else { -1 - i64::from(index(node)) };
            if steps.last() != Some(&step) {
                steps.push(step);
            }
        }
        let shape = match problem.shape {
            Shape::Serial => "serial",
            Shape::Snapshot => "snapshot",
            Shape::Prefix => "prefix",
        };
        let follow = match follow {
            Follow::Nothing => "nothing",
            Follow::Process => "process",
            Follow::Realtime => "realtime",
        };
        Certificate {
            kind: "order".to_owned(),
            body: json!({"shape": shape, "follow": follow, "initial": self.initial, "steps": steps}),
        }
    }

    fn circle(&self, problem: &Problem<'_>, circle: &[(u32, Kind, Option<u32>)], tried: u64) -> Anomaly {
        let p = problem.p;
        // A transaction's own way from beginning to commit is no step.
        let steps: Vec<&(u32, Kind, Option<u32>)> = circle.iter().filter(|s| s.1 != Kind::Pass).collect();
        let cycle = Cycle {
            nodes: steps.iter().map(|s| problem.txn(s.0)).collect(),
            kinds: steps.iter().map(|s| s.1).collect(),
        };
        let keys: Vec<(u32, u32, Kind, Option<u32>)> = (0..steps.len())
            .map(|i| (cycle.nodes[i], cycle.nodes[(i + 1) % steps.len()], steps[i].1, steps[i].2))
            .collect();
        let name = cycle.name();
        let mut anomaly = cycle_anomaly(self.check, name, &cycle, &p.txns, |a, b, kind| {
            let key = keys.iter().find(|k| (k.0, k.1, k.2) == (a, b, kind)).and_then(|k| k.3);
            self.step(a, b, kind, key)
        });
        if tried > 0 {
            anomaly.explanation.push_str(&format!(
                " This is the last of {} contradictions: every order of the writes that reads leave open was \
                 tried.",
                tried + 1
            ));
            anomaly.details.insert("contradictions".to_owned(), json!(tried + 1));
        }
        anomaly
    }

    fn step(&self, a: u32, b: u32, kind: Kind, key: Option<u32>) -> Step {
        let p = &self.prepared.plain;
        let index = |t: u32| p.txns[t as usize].index;
        let (Some(key), Kind::Ww | Kind::Rw) = (key, kind) else {
            return self.prepared.step(&[], a, b, kind);
        };
        let name = p.keys.name(key);
        let value = |t: u32| p.value(t, key).unwrap_or_default();
        let text = if kind == Kind::Ww {
            format!(
                "#{} must have written {} to key {name} before #{} wrote {}, for its readers' sake",
                index(a),
                value(a),
                index(b),
                value(b)
            )
        } else {
            let read = p.reads_of(a).iter().find(|r| r.key == key);
            let seen = match read.map(|r| r.from) {
                Some(INITIAL) | None => "the initial value".to_owned(),
                Some(writer) => value(writer).to_string(),
            };
            format!(
                "#{} read {seen} from key {name}, and so did not see {}, which #{} wrote",
                index(a),
                value(b),
                index(b)
            )
        };
        let mut details = Map::new();
        details.insert("key".to_owned(), json!(name));
        Step::new(text, details)
    }
}

/// The same transactions, each by a process of its own.
fn alone(prepared: &Prepared) -> Prepared {
    let mut plain = prepared.plain.clone();
    plain.sessions = plain.len() as u32;
    plain.session = (0..plain.sessions).collect();
    plain.place.fill(1);
    for (t, txn) in plain.txns.iter_mut().enumerate() {
        txn.process = t as u32;
    }
    let order = linear(&plain);
    Prepared { plain, order, serial: prepared.serial }
}

/// How a model asks for an order, if it does.
pub fn serial_form(name: &str) -> Option<(Shape, Follow)> {
    Some(match name {
        "serializable" | "repeatable-read" => (Shape::Serial, Follow::Nothing),
        "strong-session-serializable" | "sequential" => (Shape::Serial, Follow::Process),
        "strict-serializable" | "linearizable" => (Shape::Serial, Follow::Realtime),
        "snapshot-isolation" => (Shape::Snapshot, Follow::Nothing),
        "strong-session-snapshot-isolation" => (Shape::Snapshot, Follow::Process),
        "strong-snapshot-isolation" => (Shape::Snapshot, Follow::Realtime),
        "prefix" => (Shape::Prefix, Follow::Nothing),
        _ => return None,
    })
}
