//! From a history to a verdict: split, judge each object, put the answers together.

use rayon::prelude::*;
use serde_json::json;
use squall_history::{History, Outcome, Value};

use super::choose::{self, Fast, Suspects};
use super::counterexample::{Counterexample, reduce};
use super::explain::About;
use super::linearization;
use super::options::Options;
use super::problem::{Problem, project};
use super::search::{Effort, Found, Searched, Task, search};
use super::spec::Interned;
use super::split::{Object, objects};
use crate::models::{
    Collection, Counter, Effect, FencedMutex, KvAppend, Model, ModelName, MultiRegister, Mutex, OwnerMutex,
    Register, Rule, Semaphore, Set, VersionedRegister,
};
use crate::{Anomaly, Budget, Certificate, Check, Exhausted, Valid, Verdict};

pub(super) const NAME: &str = "linearizable";
const FRONTIER: &str = "frontier";
/// Operations of one valid history whose order is given as a certificate; more would make a file that nobody
/// reads.
const CERTIFIED_MOST: usize = 3_000_000;
/// Configurations that may be made to find the order of a history that is known to be linearizable: so many,
/// and so many for each operation.
const ORDERED_MOST: (u64, u64) = (250_000, 30);
/// Below this many operations threads cost more than they bring.
const PARALLEL: usize = 1000;

/// The check by a built-in model.
#[derive(Clone, Debug)]
pub struct Linearizable {
    options: Options,
}

impl Linearizable {
    /// A check by these options.
    pub fn new(options: Options) -> Self {
        Linearizable { options }
    }
}

impl Check for Linearizable {
    fn name(&self) -> &str {
        NAME
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        check_model(history, &self.options, budget)
    }
}

/// Judges a history by a built-in model.
pub fn check_model(history: &History, options: &Options, budget: &Budget) -> Verdict {
    let name = options.model.as_str();
    let by_value = matches!(
        options.model,
        ModelName::Register
            | ModelName::CasRegister
            | ModelName::VersionedRegister
            | ModelName::MultiRegister
    );
    let (nil_reads_unknown, ignored) =
        if by_value { nil_reads(history, &options.initial) } else { (false, 0) };
    let initial = options.initial.clone();
    let number = |default| if initial.is_nil() { Some(default) } else { initial.as_int() };
    let by = Judge {
        name,
        history,
        keyed: options.keyed,
        certificate: options.certificate && history.len() <= CERTIFIED_MOST,
        initial: &options.initial,
        nil_reads_unknown,
        budget,
    };
    let register = Register { initial: initial.clone(), nil_reads_unknown };
    let verdict = match options.model {
        ModelName::Register | ModelName::CasRegister => {
            by.either(&register, |object| choose::register(history, object, &register))
        }
        ModelName::VersionedRegister => {
            let model = VersionedRegister { history, register: register.clone() };
            by.either(&model, |object| choose::versioned(history, object, &register))
        }
        ModelName::MultiRegister => by.model(&MultiRegister { initial, nil_reads_unknown }),
        ModelName::Mutex => by.either(&Mutex, |object| choose::mutex(history, object)),
        ModelName::OwnerMutex => by.either(&OwnerMutex, |object| choose::owner(history, object)),
        ModelName::FencedMutex => by.either(&FencedMutex, |object| choose::fenced(history, object)),
        ModelName::Semaphore => match number(1).filter(|&n| n >= 0) {
            Some(permits) => by.model(&Semaphore { permits }),
            None => Verdict::unknown(NAME, format!("a semaphore has a number of permits, not {initial}")),
        },
        ModelName::Counter => match number(0) {
            Some(initial) => by.model(&Counter { initial }),
            None => Verdict::unknown(NAME, format!("a counter starts at a number, not {initial}")),
        },
        ModelName::Set => by.either(&Set::default(), |object| choose::set(history, object)),
        ModelName::FifoQueue => by.collection(Rule::Oldest),
        ModelName::UnorderedQueue => by.collection(Rule::Any),
        ModelName::PriorityQueue => by.collection(Rule::Least),
        ModelName::Stack => by.collection(Rule::Newest),
        ModelName::KvAppend => Judge { keyed: true, ..by }.model(&KvAppend),
    };
    let mut verdict = if ignored > 0 { verdict.with("nil_reads_ignored", ignored) } else { verdict };
    if options.certificate && verdict.valid == Valid::Yes && verdict.certificate.is_none() {
        let why = if history.len() > CERTIFIED_MOST {
            format!("it has more than {CERTIFIED_MOST} operations")
        } else {
            "a legal order was shown to exist, but finding one would take too long".to_owned()
        };
        verdict.warnings.push(format!("there is no certificate for this history: {why}"));
    }
    verdict
}

/// Judges a history by any model. `name` is what the model is called in the verdict.
pub fn check_with<M: Model>(
    model: &M,
    name: &str,
    history: &History,
    keyed: bool,
    budget: &Budget,
) -> Verdict {
    let (certificate, initial, nil_reads_unknown) = (false, &Value::Nil, false);
    Judge { name, history, keyed, certificate, initial, nil_reads_unknown, budget }.model(model)
}

/// Whether ok reads of nil carry no information, and how many there are.
fn nil_reads(history: &History, initial: &Value) -> (bool, u64) {
    if !history.nil_reads_may_be_unknown || initial.is_nil() {
        return (false, 0);
    }
    let writes = |f: &Value| matches!(f.as_str(), Some("w" | "write"));
    let access = |item: &Value| matches!(item.as_list(), Some([f, _, v]) if writes(f) && v.is_nil());
    let writes_nil = |op: squall_history::Op<'_>| match op.f {
        "write" => op.input.is_nil(),
        "cas" => op.input.as_pair().is_some_and(|(_, new)| new.is_nil()),
        "txn" => op.input.as_list().is_some_and(|items| items.iter().any(access)),
        _ => false,
    };
    if history.ops().any(writes_nil) {
        return (false, 0);
    }
    let nil_read = |item: &Value| matches!(item.as_list(), Some([f, _, v]) if !writes(f) && v.is_nil());
    let unknown = |op: squall_history::Op<'_>| match op.f {
        _ if op.outcome != Outcome::Ok => 0,
        "read" => usize::from(op.output.is_nil()),
        "txn" => op.output.as_list().map_or(0, |items| items.iter().filter(|i| nil_read(i)).count()),
        _ => 0,
    };
    (true, history.ops().map(unknown).sum::<usize>() as u64)
}

/// What became of one object.
struct Judged {
    outcome: Answer,
    algorithm: &'static str,
    effort: Effort,
}

enum Answer {
    /// With a legal order of history indexes, if one was asked for.
    Valid(Option<Vec<u32>>),
    Invalid(Box<(Anomaly, Certificate)>),
    Unknown(String),
}

/// What stays the same for every model and object of one judgement.
#[derive(Clone, Copy)]
struct Judge<'a> {
    name: &'a str,
    history: &'a History,
    keyed: bool,
    certificate: bool,
    initial: &'a Value,
    nil_reads_unknown: bool,
    budget: &'a Budget,
}

impl Judge<'_> {
    /// By the general search alone.
    fn model<M: Model>(self, model: &M) -> Verdict {
        self.either(model, |_| Fast::NotThisShape)
    }

    fn collection(self, rule: Rule) -> Verdict {
        self.either(&Collection { rule }, |object| choose::collection(self.history, object, rule))
    }

    /// By a fast algorithm where the shape allows, else by the general search.
    fn either<M: Model>(self, model: &M, fast: impl Fn(&Object) -> Fast<M> + Sync) -> Verdict {
        let objects = objects(self.history, self.keyed);
        let judge = |object: &Object| self.object(model, object, fast(object));
        let threads = objects.len() > 1 && self.history.len() >= PARALLEL && self.budget.threads > 1;
        let judged: Vec<Judged> = if threads {
            objects.par_iter().map(judge).collect()
        } else {
            objects.iter().map(judge).collect()
        };
        self.together(&objects, judged)
    }

    fn together(self, objects: &[Object], judged: Vec<Judged>) -> Verdict {
        let mut verdict = Verdict::valid(NAME);
        let keys = judged.len();
        let mut valid = 0u64;
        let mut reason = None;
        let mut widest = 0;
        let mut algorithms: Vec<&str> = Vec::new();
        let mut orders = Vec::new();
        for (object, Judged { outcome, algorithm, effort }) in objects.iter().zip(judged) {
            widest = effort.widest.max(widest);
            algorithms.push(algorithm);
            match outcome {
                Answer::Valid(order) => {
                    valid += 1;
                    orders.extend(order.map(|order| json!({"key": object.key, "order": order})));
                }
                Answer::Unknown(why) => reason = reason.or(Some(why)),
                Answer::Invalid(found) => {
                    let (anomaly, certificate) = *found;
                    verdict.anomalies.push(anomaly);
                    verdict.certificate = verdict.certificate.or(Some(certificate));
                }
            }
        }
        if !verdict.anomalies.is_empty() {
            verdict.valid = Valid::No;
        } else if let Some(why) = reason {
            verdict.valid = Valid::Unknown;
            let proven = format!("{valid} of {keys} keys were proven linearizable");
            verdict.reason = Some(if keys > 1 { format!("{why}; {proven}") } else { why });
        }
        if verdict.valid == Valid::Yes && self.certificate && orders.len() == keys {
            let body = json!({
                "model": self.name,
                "initial": self.initial,
                "nil_reads_unknown": self.nil_reads_unknown,
                "keyed": self.keyed,
                "objects": orders,
            });
            verdict.certificate = Some(Certificate { kind: "linearization".to_owned(), body });
        }
        algorithms.sort_unstable();
        algorithms.dedup();
        verdict.algorithm = Some(algorithms.join(", "));
        verdict.with("model", self.name).with("keys", keys).with("widest_frontier", widest)
    }

    fn object<M: Model>(self, model: &M, object: &Object, fast: Fast<M>) -> Judged {
        let judged = |outcome, algorithm, effort| Judged { outcome, algorithm, effort };
        let suspects = match fast {
            Fast::NotThisShape => None,
            Fast::Linearizable(algorithm, order) => {
                let order = if self.certificate { order.or_else(|| self.order(model, object)) } else { None };
                return judged(Answer::Valid(order), algorithm, Effort::default());
            }
            Fast::Broken(suspects) => Some(suspects),
        };
        let algorithm = suspects.as_ref().map_or(FRONTIER, |s| s.algorithm);
        let only = suspects.as_ref().and_then(|s| s.only.as_ref());
        let model = only.map_or(model, |(only, _)| only);
        let problem = match &suspects {
            Some(suspects) => project(model, self.history, suspects.operations.iter().copied()),
            None => project(model, self.history, object.indexes(self.history)),
        };
        let problem = match problem {
            Ok(problem) => problem,
            Err(bad) => return judged(Answer::Unknown(bad.to_string()), algorithm, Effort::default()),
        };
        let traced = self.certificate && suspects.is_none();
        let (mut found, mut effort, mut order) = self.search(model, &problem, traced, u64::MAX);
        if traced && matches!(found, Found::Spent { why: Exhausted::Memory, .. }) {
            // The record may be what took the memory, and a verdict without proof is better than none.
            (found, effort, order) = self.search(model, &problem, false, u64::MAX);
        }
        let outcome = match found {
            Found::Fatal { call, .. } => {
                let found = reduce(model, &problem, call, effort.made, self.budget);
                Answer::Invalid(Box::new(self.report(object, &found, suspects.as_ref())))
            }
            Found::Linearizable if suspects.is_none() => Answer::Valid(order),
            Found::Linearizable => {
                Answer::Unknown(format!("{algorithm} and the general search disagree: please report this"))
            }
            Found::Spent { why, call } => {
                let end = problem.calls.get(call as usize).map_or(0, |c| c.completed);
                let before = problem.calls.iter().filter(|c| c.completed < end).count();
                Answer::Unknown(format!("{why}; the first {before} completions are linearizable"))
            }
        };
        judged(outcome, algorithm, effort)
    }

    /// A legal order of a history that is known to have one, by history index, if it is not too hard to find.
    fn order<M: Model>(self, model: &M, object: &Object) -> Option<Vec<u32>> {
        let problem = project(model, self.history, object.indexes(self.history)).ok()?;
        let most = ORDERED_MOST.0 + ORDERED_MOST.1 * problem.calls.len() as u64;
        self.search(model, &problem, true, most).2
    }

    /// The general search, and if it is traced and finds one, a legal order by history index.
    fn search<M: Model>(
        self,
        model: &M,
        problem: &Problem<M::Op>,
        traced: bool,
        most_made: u64,
    ) -> (Found, Effort, Option<Vec<u32>>) {
        let effects: Vec<Effect> = problem.classes.iter().map(|op| model.effect(op)).collect();
        let mut spec = Interned::new(model, &problem.classes);
        let task = Task { traced, most_made, ..Task::new(&problem.calls, &effects) };
        let Searched { found, effort, path } = search(&mut spec, task, self.budget);
        let order = match found {
            Found::Linearizable if traced => linearization::order(&mut spec, &problem.calls, &effects, &path),
            _ => None,
        };
        let index = |call: u32| problem.calls[call as usize].index;
        (found, effort, order.map(|calls| calls.into_iter().map(index).collect()))
    }

    fn report<M>(
        self,
        object: &Object,
        found: &Counterexample,
        fast: Option<&Suspects<M>>,
    ) -> (Anomaly, Certificate) {
        let about = About {
            history: self.history,
            model: self.name,
            key: &object.key,
            keyed: self.keyed,
            initial: self.initial,
            nil_reads_unknown: self.nil_reads_unknown,
        };
        let shape = fast.map(|s| (s.shape, s.sentence.as_str()));
        let elements = fast.and_then(|s| s.only.as_ref()).map(|(_, elements)| elements.as_slice());
        (about.anomaly(found, shape), about.certificate(found, elements))
    }
}
