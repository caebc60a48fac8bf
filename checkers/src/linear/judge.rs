//! From a history to a verdict: split, judge each object, put the answers together.

use rayon::prelude::*;
use squall_history::{History, Outcome, Value};

use super::options::Options;
use super::problem::{Problem, project};
use super::search::{Effort, Found, search};
use super::spec::Interned;
use super::split::{Object, objects};
use crate::models::{
    BadOp, Collection, Counter, Effect, FencedMutex, KvAppend, Model, ModelName, MultiRegister, Mutex,
    OwnerMutex, Register, Rule, Semaphore, Set, VersionedRegister,
};
use crate::{Anomaly, Budget, Check, Valid, Verdict};

const NAME: &str = "linearizable";
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
    let by = Judge { name, history, keyed: options.keyed, budget };
    let register = Register { initial: initial.clone(), nil_reads_unknown };
    let verdict = match options.model {
        ModelName::Register | ModelName::CasRegister => by.model(&register),
        ModelName::VersionedRegister => by.model(&VersionedRegister { history, register }),
        ModelName::MultiRegister => by.model(&MultiRegister { initial, nil_reads_unknown }),
        ModelName::Mutex => by.model(&Mutex),
        ModelName::OwnerMutex => by.model(&OwnerMutex),
        ModelName::FencedMutex => by.model(&FencedMutex),
        ModelName::Semaphore => match number(1).filter(|&n| n >= 0) {
            Some(permits) => by.model(&Semaphore { permits }),
            None => Verdict::unknown(NAME, format!("a semaphore has a number of permits, not {initial}")),
        },
        ModelName::Counter => match number(0) {
            Some(initial) => by.model(&Counter { initial }),
            None => Verdict::unknown(NAME, format!("a counter starts at a number, not {initial}")),
        },
        ModelName::Set => by.model(&Set),
        ModelName::FifoQueue => by.model(&Collection { rule: Rule::Oldest }),
        ModelName::UnorderedQueue => by.model(&Collection { rule: Rule::Any }),
        ModelName::PriorityQueue => by.model(&Collection { rule: Rule::Least }),
        ModelName::Stack => by.model(&Collection { rule: Rule::Newest }),
        ModelName::KvAppend => Judge { keyed: true, ..by }.model(&KvAppend),
    };
    if ignored > 0 { verdict.with("nil_reads_ignored", ignored) } else { verdict }
}

/// Judges a history by any model. `name` is what the model is called in the verdict.
pub fn check_with<M: Model>(
    model: &M,
    name: &str,
    history: &History,
    keyed: bool,
    budget: &Budget,
) -> Verdict {
    Judge { name, history, keyed, budget }.model(model)
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
enum Judged {
    Valid,
    Invalid(Box<Anomaly>),
    Unknown(String),
    Bad(BadOp),
}

/// What stays the same for every model and object of one judgement.
#[derive(Clone, Copy)]
struct Judge<'a> {
    name: &'a str,
    history: &'a History,
    keyed: bool,
    budget: &'a Budget,
}

impl Judge<'_> {
    fn model<M: Model>(self, model: &M) -> Verdict {
        let Judge { name, history, keyed, budget } = self;
        let objects = objects(history, keyed);
        let judge = |object: &Object| judge_object(model, name, history, object, budget);
        let judged: Vec<(Judged, Effort)> =
            if objects.len() > 1 && history.len() >= PARALLEL && budget.threads > 1 {
                objects.par_iter().map(judge).collect()
            } else {
                objects.iter().map(judge).collect()
            };
        let mut verdict = Verdict::valid(NAME);
        let (mut valid, mut invalid) = (0u64, 0u64);
        let mut reason = None;
        let mut widest = 0;
        for (outcome, effort) in judged {
            widest = effort.widest.max(widest);
            match outcome {
                Judged::Valid => valid += 1,
                Judged::Invalid(anomaly) => {
                    invalid += 1;
                    verdict.anomalies.push(*anomaly);
                }
                Judged::Unknown(why) => reason = reason.or(Some(why)),
                Judged::Bad(bad) => reason = reason.or(Some(bad.to_string())),
            }
        }
        if invalid > 0 {
            verdict.valid = Valid::No;
        } else if let Some(why) = reason {
            verdict.valid = Valid::Unknown;
            let proven = format!("{valid} of {} keys were proven linearizable", objects.len());
            verdict.reason = Some(if objects.len() > 1 { format!("{why}; {proven}") } else { why });
        }
        verdict.algorithm = Some("frontier".to_owned());
        verdict.with("model", name).with("keys", objects.len()).with("widest_frontier", widest)
    }
}

fn judge_object<M: Model>(
    model: &M,
    name: &str,
    history: &History,
    object: &Object,
    budget: &Budget,
) -> (Judged, Effort) {
    if budget.is_stopped() {
        return (Judged::Unknown(crate::Exhausted::Time.to_string()), Effort::default());
    }
    let problem = match project(model, history, object.operations.iter().copied()) {
        Ok(problem) => problem,
        Err(bad) => return (Judged::Bad(bad), Effort::default()),
    };
    let effects: Vec<Effect> = problem.classes.iter().map(|op| model.effect(op)).collect();
    let mut spec = Interned::new(model, &problem.classes);
    let (found, effort) = search(&mut spec, &problem.calls, &effects, budget);
    let judged = match found {
        Found::Linearizable => Judged::Valid,
        Found::Fatal { call, states } => {
            let states = states.iter().map(|&s| model.describe_state(spec.state(s))).collect();
            Judged::Invalid(Box::new(anomaly(name, history, object, &problem, call, states)))
        }
        Found::Spent { why, call } => {
            let before =
                problem.calls.iter().filter(|c| c.completed < problem.calls[call as usize].completed);
            Judged::Unknown(format!("{why}; the first {} completions are linearizable", before.count()))
        }
    };
    (judged, effort)
}

fn anomaly<O>(
    name: &str,
    history: &History,
    object: &Object,
    problem: &Problem<O>,
    call: u32,
    states: Vec<String>,
) -> Anomaly {
    let fatal = history.op(problem.calls[call as usize].index as usize);
    let on = if object.key.is_nil() { String::new() } else { format!(" on key {}", object.key) };
    Anomaly {
        kind: "nonlinearizable".to_owned(),
        signature: format!("{NAME}/nonlinearizable/{name}/{}", fatal.f),
        explanation: format!(
            "#{}{on}: `{}` of {} giving {} cannot have happened; possible just before it: {}.",
            fatal.index,
            fatal.f,
            fatal.input,
            fatal.output,
            states.join(", ")
        ),
        operations: vec![fatal.index],
        details: serde_json::Map::new(),
    }
}
