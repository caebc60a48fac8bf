//! The cheapest algorithm that is complete for an object, by the shape of its operations.

use squall_history::{History, Outcome, Value};

use super::elements::Patterns;
use super::lock::{self, Locks};
use super::priority;
use super::problem::{Problem, project};
use super::queue;
use super::set::{self, Chain};
use super::split::Object;
use super::stack;
use super::versions;
use super::zones::{self, Broken, Zones};
use crate::models::{FencedMutex, FencedOp, Model, Mutex, OwnerMutex, OwnerOp, Register, Rule, Set};

/// What a fast algorithm says.
pub(crate) enum Fast<M> {
    /// The shape is not one that it is complete for.
    NotThisShape,
    /// There is a legal order: of these history indexes, if that was found as well.
    Linearizable(&'static str, Option<Vec<u32>>),
    /// There is none, as these operations alone show.
    Broken(Suspects<M>),
}

/// A few operations that have no legal order, whatever the others do.
pub(crate) struct Suspects<M> {
    /// Which algorithm found them.
    pub algorithm: &'static str,
    /// What is wrong, in two or three words.
    pub shape: &'static str,
    /// One sentence.
    pub sentence: String,
    /// By history index, ascending.
    pub operations: Vec<u32>,
    /// The model that sees only these elements, and they, if the rest must not be looked at.
    pub only: Option<(M, Vec<Value>)>,
}

const ZONES: &str = "zones";
const PATTERNS: &str = "queue-patterns";
const CHAIN: &str = "inclusion-chain";
const VERSIONS: &str = "version-sweep";
const PEELING: &str = "stack-peeling";
const PRIORITIES: &str = "priority-cover";
const HOLDS: &str = "hold-intervals";
const TURNS: &str = "lock-turns";

/// Registers with versions: a sweep, where every completed operation has one.
pub(crate) fn versioned<M>(history: &History, object: &Object, model: &Register) -> Fast<M> {
    match versions::linearizable(history, object.indexes(history), model) {
        true => Fast::Linearizable(VERSIONS, None),
        false => Fast::NotThisShape,
    }
}

/// Queues and stacks, where every element goes in once.
pub(crate) fn collection<M>(history: &History, object: &Object, rule: Rule) -> Fast<M> {
    let indexes = object.indexes(history);
    let (algorithm, found) = match rule {
        Rule::Oldest => (PATTERNS, queue::judge(history, indexes, true)),
        Rule::Any => (PATTERNS, queue::judge(history, indexes, false)),
        Rule::Least => (PRIORITIES, priority::judge(history, indexes)),
        Rule::Newest => (PEELING, stack::judge(history, indexes)),
    };
    let found = match found {
        Patterns::NotThisShape => return Fast::NotThisShape,
        Patterns::Linearizable => return Fast::Linearizable(algorithm, None),
        Patterns::Broken(found) => found,
    };
    let sentence = match found.shape {
        "unmatched-dequeue" => "An element came out that never went in.",
        "duplicate-dequeue" => "An element came out twice.",
        "dequeue-before-enqueue" => "An element came out before it went in.",
        "reordered-dequeue" => "Elements did not come out in the order in which they went in.",
        "reordered-pop" => "Elements did not come out in the reverse of the order in which they went in.",
        "overtaking-dequeue" => "An element came out while a less one was in the queue.",
        _ => "It was seen to be empty when it was not.",
    };
    // All that is about these elements, and what was taken unseen, which may be any of them.
    let puts = |f: &str| matches!(f, "enqueue" | "push");
    let of = |i: u32| {
        let op = history.op(i as usize);
        if puts(op.f) { op.input } else { op.output }
    };
    let elements: Vec<&Value> = found.operations.iter().map(|&i| of(i)).collect();
    let counts = |&i: &u32| {
        let op = history.op(i as usize);
        let unseen = !puts(op.f) && op.outcome == Outcome::Info;
        op.outcome != Outcome::Fail && (unseen || elements.contains(&of(i)))
    };
    let operations: Vec<u32> = object.indexes(history).filter(counts).collect();
    let sentence = sentence.to_owned();
    Fast::Broken(Suspects { algorithm, shape: found.shape, sentence, operations, only: None })
}

/// Locks that anyone may release: acquires and releases in turn.
pub(crate) fn mutex(history: &History, object: &Object) -> Fast<Mutex> {
    locks(history, object, &Mutex, TURNS, lock::anyones)
}

/// Locks that their holder releases: intervals that must not overlap.
pub(crate) fn owner(history: &History, object: &Object) -> Fast<OwnerMutex> {
    let who = |op: &OwnerOp| match *op {
        OwnerOp::Acquire(by) => (true, by),
        OwnerOp::Release(by) => (false, by),
    };
    locks(history, object, &OwnerMutex, HOLDS, |problem| lock::owned(&OwnerMutex, problem, who))
}

/// The same with tokens.
pub(crate) fn fenced(history: &History, object: &Object) -> Fast<FencedMutex> {
    let who = |op: &FencedOp| match *op {
        FencedOp::Acquire(by, _) => (true, by),
        FencedOp::Release(by) => (false, by),
    };
    locks(history, object, &FencedMutex, HOLDS, |problem| lock::owned(&FencedMutex, problem, who))
}

fn locks<M: Model>(
    history: &History,
    object: &Object,
    model: &M,
    algorithm: &'static str,
    judge: impl Fn(&Problem<M::Op>) -> Locks,
) -> Fast<M> {
    // What the model cannot read, the general search reports.
    let Ok(problem) = project(model, history, object.indexes(history)) else { return Fast::NotThisShape };
    let index = |call: u32| problem.calls[call as usize].index;
    match judge(&problem) {
        Locks::NotThisShape => Fast::NotThisShape,
        Locks::Order(order) => Fast::Linearizable(algorithm, Some(order.into_iter().map(index).collect())),
        Locks::Broken { shape, call } => {
            let end = problem.calls[call as usize].completed;
            let before = problem.calls.iter().filter(|c| c.invoked < end);
            let sentence = match shape {
                lock::OVERLAP => "Two processes held the lock at the same time.",
                lock::TOKEN => "A token was not greater than the one before it.",
                _ if algorithm == TURNS => "Acquires and releases cannot have taken turns.",
                _ => "A process released what it did not hold, or acquired what it held.",
            };
            let operations = before.map(|c| c.index).collect();
            Fast::Broken(Suspects { algorithm, shape, sentence: sentence.to_owned(), operations, only: None })
        }
    }
}

/// Sets: an inclusion chain, where every element is added once and none is removed.
pub(crate) fn set(history: &History, object: &Object) -> Fast<Set> {
    let found = match set::judge(history, object.indexes(history)) {
        Chain::NotThisShape => return Fast::NotThisShape,
        Chain::Linearizable => return Fast::Linearizable(CHAIN, None),
        Chain::Broken(found) => found,
    };
    let names: Vec<String> = found.elements.iter().map(Value::to_string).collect();
    let sentence = match found.shape {
        "never-added" => format!("{} was read, but never added.", names.join(", ")),
        "reads-disagree" => {
            format!("Each of two reads lacks what the other has, of {}.", names.join(" and "))
        }
        _ => format!("What was read of {} does not fit the order of events.", names.join(" and ")),
    };
    let only = Set { only: Some(found.elements.iter().cloned().collect()) };
    Fast::Broken(Suspects {
        algorithm: CHAIN,
        shape: found.shape,
        sentence,
        operations: found.operations,
        only: Some((only, found.elements)),
    })
}

/// Registers: zones, where every write has its own value.
pub(crate) fn register(history: &History, object: &Object, model: &Register) -> Fast<Register> {
    let indexes = object.indexes(history);
    let broken = match zones::judge(history, indexes.clone(), &model.initial, model.nil_reads_unknown) {
        Zones::NotThisShape => return Fast::NotThisShape,
        Zones::Linearizable => return Fast::Linearizable(ZONES, None),
        Zones::Broken(broken) => broken,
    };
    let about = |values: &[&Value]| -> Vec<u32> {
        let seen = |op: &squall_history::Op<'_>| values.contains(&op.output) && op.f == "read";
        let written = |op: &squall_history::Op<'_>| values.contains(&op.input) && op.f == "write";
        let matches = |&i: &u32| {
            let op = history.op(i as usize);
            op.outcome != squall_history::Outcome::Fail && (seen(&op) || written(&op))
        };
        indexes.clone().filter(matches).collect()
    };
    let (shape, sentence, operations) = match broken {
        Broken::ThinAir { read } => {
            let value = history.op(read as usize).output;
            ("thin-air-read", format!("#{read} read {value}, which nobody wrote."), vec![read])
        }
        Broken::ReadBeforeWrite { read, write } => {
            let value = history.op(read as usize).output;
            let sentence =
                format!("#{read} read {value} and completed before #{write}, which wrote it, was invoked.");
            ("read-before-write", sentence, vec![read.min(write), read.max(write)])
        }
        Broken::Forward { a, b } => {
            let sentence = format!("At one moment the value must have been both {a} and {b}.");
            ("value-came-back", sentence, about(&[&a, &b]))
        }
        Broken::Backward { outer, inner } => {
            let sentence =
                format!("The value must have been {inner} at a moment when it can only have been {outer}.");
            ("stale-read", sentence, about(&[&outer, &inner]))
        }
    };
    Fast::Broken(Suspects { algorithm: ZONES, shape, sentence, operations, only: None })
}
