//! Given any history: the strongest models that it does not violate, the weakest that it violates, and those
//! that could not be decided.
//!
//! Each model with a procedure is asked, cheapest first; what follows by implication is never computed.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use squall_history::{Accesses, History, Value};

use super::append::check::{Analysis, analysis, analysis_of_accesses};
use super::decide::{Answer, Plainly};
use super::micro::{Micro, list, micro};
use super::models::{Family, MODELS, Model, forbids, implied, model, split_weakest, strongest};
use crate::linear::{Options, check_model};
use crate::models::ModelName;
use crate::{Anomaly, Budget, Check, Valid, Verdict};

/// What a history is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Transactions with appends to lists.
    Lists,
    /// Plain reads and writes.
    Plain,
}

/// How to read a history.
#[derive(Clone, Debug)]
pub struct Reading {
    /// The value of every key before the first write (plain reads and writes only).
    pub initial: Value,
    /// Whether the order of events is real time.
    pub realtime: bool,
}

/// Places a history on the map of models.
#[derive(Clone, Debug)]
pub struct Strongest {
    /// How to read it.
    pub reading: Reading,
}

/// What a history is made of: lists, if any micro-operation appends or reads one.
pub fn form(history: &History) -> Form {
    let appends = history.ops().any(|op| {
        let is_list = |m| match m {
            Micro::Append(..) => true,
            Micro::Read(_, value) => value.as_list().is_some(),
            Micro::Write(..) => false,
        };
        list(&op).is_some_and(|items| items.iter().filter_map(micro).any(is_list))
    });
    if appends { Form::Lists } else { Form::Plain }
}

/// What is known of every model.
#[derive(Clone, Debug, Default)]
pub struct Standing {
    answers: BTreeMap<&'static str, Answer>,
    // Of models that were not asked themselves: the one from whose answer theirs follows.
    follows: BTreeMap<&'static str, &'static str>,
}

/// Order in which models are asked: cheap ones from weak to strong, then those that need a search from strong
/// to weak.
const ASKED: &[&str] = &[
    "read-committed",
    "monotonic-atomic-view",
    "read-atomic",
    "strong-session-read-committed",
    "strong-session-read-atomic",
    "weak-causal",
    "causal",
    "read-your-writes",
    "monotonic-reads",
    "monotonic-writes",
    "writes-follow-reads",
    "session-guarantees",
    "pram",
    "causal-memory",
    "update-atomic",
    "cursor-stability",
    "strict-serializable",
    "linearizable",
    "strong-session-serializable",
    "sequential",
    "strong-snapshot-isolation",
    "serializable",
    "repeatable-read",
    "strong-session-snapshot-isolation",
    "snapshot-isolation",
    "prefix",
    "parallel-snapshot-isolation",
    "update-serializable",
    "consistent-view",
    "causal-cerone",
    "read-uncommitted",
];

impl Standing {
    fn known(&self, m: &Model) -> bool {
        matches!(self.answers.get(m.name), Some(Answer::Holds(_) | Answer::Violated(_)))
    }

    /// Records an answer and all that follows from it.
    fn record(&mut self, m: &'static Model, answer: Answer) {
        match &answer {
            Answer::Holds(_) => {
                for weaker in implied(m) {
                    if weaker.name != m.name && !self.known(weaker) {
                        self.answers.insert(weaker.name, Answer::Holds(None));
                        self.follows.insert(weaker.name, m.name);
                    }
                }
            }
            Answer::Violated(_) => {
                for stronger in MODELS.iter().filter(|s| implied(s).iter().any(|w| w.name == m.name)) {
                    if stronger.name != m.name && !self.known(stronger) {
                        self.answers.insert(stronger.name, Answer::Violated(Vec::new()));
                        self.follows.insert(stronger.name, m.name);
                    }
                }
            }
            Answer::Undecided(_) => {
                if self.known(m) {
                    return;
                }
            }
        }
        self.follows.remove(m.name);
        self.answers.insert(m.name, answer);
    }

    /// Leaves a model out: it does not speak of this history.
    fn forget(&mut self, name: &str) {
        self.answers.remove(name);
        self.follows.remove(name);
    }

    /// The model from whose answer this one's follows; `None` if it was asked itself, or is undecided.
    pub fn follows(&self, name: &str) -> Option<&'static str> {
        self.follows.get(name).copied()
    }

    /// What is known of a model.
    pub fn answer(&self, name: &str) -> Answer {
        match self.answers.get(name) {
            Some(answer) => answer.clone(),
            None => Answer::Undecided("no procedure decides it for this history".to_owned()),
        }
    }

    /// Asks for the proof of the strongest models that hold.
    fn prove(&mut self, asked: &Plainly, budget: &Budget) {
        for name in strongest(&self.select(|a| matches!(a, Answer::Holds(_)))) {
            if let (Some(m), Answer::Holds(None)) = (model(name), self.answer(name))
                && let Some(proof) = asked.certify(m, &Answer::Holds(None), budget)
            {
                self.answers.insert(name, Answer::Holds(Some(proof)));
            }
        }
    }

    fn select(&self, keep: impl Fn(&Answer) -> bool) -> Vec<&'static Model> {
        MODELS.iter().filter(|m| self.answers.get(m.name).is_some_and(&keep)).collect()
    }
}

/// Asks every model for a history of plain reads and writes.
pub fn map_of_plain(asked: &Plainly, budget: &Budget) -> Standing {
    let mut map = Standing::default();
    // A serial order settles nearly everything at once.
    let first: &[&str] = if asked.prepared.serial {
        &["strict-serializable", "strong-session-serializable", "sequential"]
    } else {
        &[]
    };
    for name in first.iter().chain(ASKED) {
        let m = model(name).expect("the list names models");
        if map.known(m) {
            continue;
        }
        if let Some(answer) = asked.decide(m, budget) {
            map.record(m, answer);
        }
    }
    if !asked.single {
        // These two speak of single operations.
        map.forget("linearizable");
        map.forget("sequential");
    }
    map
}

/// Models whose violation by list-append histories is known exactly, from cycles and single reads.
const EXACT_ON_LISTS: &[&str] = &[
    "read-uncommitted",
    "read-committed",
    "strong-session-read-uncommitted",
    "strong-session-read-committed",
    "strong-read-uncommitted",
    "strong-read-committed",
    "cursor-stability",
    "consistent-view",
    "repeatable-read",
    "snapshot-isolation",
    "serializable",
    "read-atomic",
    "strong-session-read-atomic",
    "causal",
    // No aborted, intermediate or internal reads, and no cycle with at most one anti-dependency: Cerone and
    // Gotsman, "Analysing Snapshot Isolation" (PODC 2016), theorem 10.
    "parallel-snapshot-isolation",
    "strong-session-snapshot-isolation",
    "strong-session-serializable",
    "strong-snapshot-isolation",
    "strict-serializable",
];

/// The map for a history of list-append transactions.
pub fn map_of_lists(found: &Analysis, realtime: bool) -> Standing {
    let mut map = Standing::default();
    for m in MODELS.iter().filter(|m| m.family == Family::Transactions) {
        let verdict = found.verdict(m);
        let needs_time =
            m.name.starts_with("strict-") || (m.name.starts_with("strong-") && !m.name.contains("session"));
        let answer = match verdict.valid {
            Valid::No => Answer::Violated(verdict.anomalies),
            Valid::Yes if EXACT_ON_LISTS.contains(&m.name) && (realtime || !needs_time) => {
                // One proof is enough: it serves all that follows.
                Answer::Holds(verdict.certificate.filter(|_| m.name == "strict-serializable"))
            }
            Valid::Yes => continue,
            Valid::Unknown => Answer::Undecided(verdict.reason.unwrap_or_default()),
        };
        map.record(m, answer);
    }
    map
}

impl Check for Strongest {
    fn name(&self) -> &str {
        "strongest"
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        placed(&self.map(history, budget))
    }
}

/// The verdict that says where a history stands on the map.
fn placed(map: &Standing) -> Verdict {
    let holds = map.select(|a| matches!(a, Answer::Holds(_)));
    let violated = map.select(|a| matches!(a, Answer::Violated(_)));
    let undecided: Vec<&'static Model> =
        MODELS.iter().filter(|m| !holds.iter().chain(&violated).any(|k| k.name == m.name)).collect();
    let (weakest, _) = split_weakest(&violated);
    let mut models = Map::new();
    for (set, word) in [(&holds, "holds"), (&violated, "violated"), (&undecided, "undecided")] {
        set.iter().for_each(|m| drop(models.insert(m.name.to_owned(), json!(word))));
    }
    let mut violations = Map::new();
    for &name in &weakest {
        if let Answer::Violated(anomalies) = map.answer(name)
            && let Some(first) = anomalies.first()
        {
            violations.insert(name.to_owned(), violation(first));
        }
    }
    let mut reasons = Map::new();
    for m in &undecided {
        if let Answer::Undecided(why) = map.answer(m.name) {
            reasons.insert(m.name.to_owned(), json!(why));
        }
    }
    let follows: Map<String, Json> =
        MODELS.iter().filter_map(|m| Some((m.name.to_owned(), json!(map.follows(m.name)?)))).collect();
    let mut verdict = verdict_of(map, &holds, &violated);
    if verdict.valid == Valid::Yes {
        let beyond = match weakest.is_empty() {
            true => "no model is violated".to_owned(),
            false => format!("{} are violated", weakest.join(", ")),
        };
        verdict.reason = Some(format!("{} are not violated; {beyond}", strongest(&holds).join(", ")));
    }
    verdict
        .with("strongest", json!(strongest(&holds)))
        .with("weakest_violated", json!(weakest))
        .with("models", Json::Object(models))
        .with("follows", Json::Object(follows))
        .with("violations", Json::Object(violations))
        .with("undecided", Json::Object(reasons))
}

/// To ask for the strongest model is to be content with any: only a history that satisfies none is invalid, and
/// what convicts it are the violations of the weakest.
fn verdict_of(map: &Standing, holds: &[&'static Model], violated: &[&'static Model]) -> Verdict {
    if !holds.is_empty() {
        let proof = strongest(holds).into_iter().find_map(|name| match map.answer(name) {
            Answer::Holds(certificate) => certificate,
            Answer::Violated(_) | Answer::Undecided(_) => None,
        });
        return Verdict { certificate: proof, ..Verdict::valid("strongest") };
    }
    let mut found: Vec<Anomaly> = Vec::new();
    for name in split_weakest(violated).0 {
        if let Answer::Violated(anomalies) = map.answer(name) {
            let fresh = anomalies.into_iter().filter(|a| found.iter().all(|f| f.kind != a.kind));
            found.extend(fresh.collect::<Vec<_>>());
        }
    }
    if found.is_empty() {
        return Verdict::unknown("strongest", "no model could be decided");
    }
    Verdict::from_anomalies("strongest", found)
}

impl Strongest {
    /// The same for a history in columns.
    pub fn check_accesses(&self, accesses: Accesses, budget: &Budget) -> Verdict {
        let Reading { initial, realtime } = &self.reading;
        if accesses.has_lists() {
            return placed(&map_of_lists(&analysis_of_accesses(&accesses, *realtime, budget), *realtime));
        }
        let asked = Plainly::of_accesses(accesses, initial, *realtime, "strongest");
        let mut map = map_of_plain(&asked, budget);
        map.prove(&asked, budget);
        placed(&map)
    }

    /// What is known of every model.
    pub fn map(&self, history: &History, budget: &Budget) -> Standing {
        match form(history) {
            Form::Lists => {
                map_of_lists(&analysis(history, self.reading.realtime, budget), self.reading.realtime)
            }
            Form::Plain => {
                let asked = Plainly::new(history, &self.reading.initial, self.reading.realtime, "strongest");
                let mut map = map_of_plain(&asked, budget);
                if asked.single && self.reading.realtime {
                    self.registers(history, &mut map, budget);
                }
                map.prove(&asked, budget);
                map
            }
        }
    }
}

impl Strongest {
    /// Values that are not unique leave reads open; the search for a linearization does without. Of single
    /// operations, strict serializability is the same, and all else follows from it.
    fn registers(&self, history: &History, map: &mut Standing, budget: &Budget) {
        let strongest = model("linearizable").expect("the map has it");
        let serial = model("strict-serializable").expect("the map has it");
        if map.known(strongest) || history.ops().any(|op| list(&op).is_some()) {
            return;
        }
        let options =
            Options { initial: self.reading.initial.clone(), ..Options::new(ModelName::CasRegister) };
        let verdict = check_model(history, &options, budget);
        let answer = match verdict.valid {
            Valid::Yes => Answer::Holds(verdict.certificate),
            Valid::No => Answer::Violated(verdict.anomalies),
            Valid::Unknown => return,
        };
        map.record(strongest, answer.clone());
        if matches!(answer, Answer::Violated(_)) || !map.known(serial) {
            map.record(serial, answer);
        }
    }
}

fn violation(a: &Anomaly) -> Json {
    json!({"type": a.kind, "explanation": a.explanation, "operations": a.operations, "details": a.details})
}

/// Judges plain reads and writes, single or in transactions, by any model of the map.
#[derive(Clone, Debug)]
pub struct Plain {
    /// What the history is judged by.
    pub model: &'static Model,
    /// How to read it.
    pub reading: Reading,
}

impl Check for Plain {
    fn name(&self) -> &str {
        "rw-register"
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        self.judge(
            &Plainly::new(history, &self.reading.initial, self.reading.realtime, "rw-register"),
            budget,
        )
    }
}

impl Plain {
    /// The same for a history in columns.
    pub fn check_accesses(&self, accesses: Accesses, budget: &Budget) -> Verdict {
        if accesses.has_lists() {
            return self.check(&accesses.history(), budget);
        }
        let Reading { initial, realtime } = &self.reading;
        self.judge(&Plainly::of_accesses(accesses, initial, *realtime, "rw-register"), budget)
    }

    fn judge(&self, asked: &Plainly, budget: &Budget) -> Verdict {
        let answer = match asked.decide(self.model, budget) {
            Some(Answer::Violated(anomalies)) => Answer::Violated(anomalies),
            Some(answer) => answer,
            None => self.by_implication(asked, budget),
        };
        let certificate = asked.certify(self.model, &answer, budget);
        let mut verdict = match answer {
            Answer::Holds(_) => Verdict::valid("rw-register"),
            Answer::Violated(anomalies) => Verdict::from_anomalies("rw-register", anomalies),
            Answer::Undecided(why) => Verdict::unknown("rw-register", why),
        };
        verdict.certificate = certificate;
        let mut types: Vec<&str> = verdict.anomalies.iter().map(|a| a.kind.as_str()).collect();
        types.sort_unstable();
        types.dedup();
        let (not, also_not) = super::models::boundary(types.iter().copied());
        let types = json!(types);
        verdict
            .with("anomaly_types", types)
            .with("not", json!(not))
            .with("also_not", json!(also_not))
            .with("consistency", json!(self.model.name))
            .with("transactions", json!(asked.prepared.plain.len()))
    }
}

impl Plain {
    /// A model without a procedure holds if a stronger one does, and is violated if a weaker one is.
    fn by_implication(&self, asked: &Plainly, budget: &Budget) -> Answer {
        let map = map_of_plain(asked, budget);
        let answer = map.answer(self.model.name);
        if let Answer::Violated(own) = &answer
            && own.is_empty()
        {
            let weaker = implied(self.model);
            let shown = weaker.iter().find_map(|w| match map.answer(w.name) {
                Answer::Violated(anomalies) if !anomalies.is_empty() => Some(anomalies),
                Answer::Violated(_) | Answer::Holds(_) | Answer::Undecided(_) => None,
            });
            return shown.map_or(answer, Answer::Violated);
        }
        answer
    }
}

/// Whether a model forbids an anomaly, by names.
pub fn is_forbidden(by: &str, anomaly: &str) -> bool {
    model(by).is_some_and(|m| forbids(m, anomaly))
}

#[cfg(test)]
#[path = "strongest_tests.rs"]
mod tests;
