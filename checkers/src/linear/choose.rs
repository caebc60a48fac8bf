//! The cheapest algorithm that is complete for an object, by the shape of its operations.

use squall_history::{History, Value};

use super::queue::{self, Patterns};
use super::set::{self, Chain};
use super::split::Object;
use super::versions;
use super::zones::{self, Broken, Zones};
use crate::models::{Register, Set};

/// What a fast algorithm says.
pub(crate) enum Fast<M> {
    /// The shape is not one that it is complete for.
    NotThisShape,
    /// There is a legal order.
    Linearizable(&'static str),
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

/// Registers with versions: a sweep, where every completed operation has one.
pub(crate) fn versioned<M>(history: &History, object: &Object, model: &Register) -> Fast<M> {
    match versions::linearizable(history, object.indexes(history), model) {
        true => Fast::Linearizable(VERSIONS),
        false => Fast::NotThisShape,
    }
}

/// Queues: patterns, where every element is enqueued once.
pub(crate) fn queue<M>(history: &History, object: &Object, ordered: bool) -> Fast<M> {
    let found = match queue::judge(history, object.indexes(history), ordered) {
        Patterns::NotThisShape => return Fast::NotThisShape,
        Patterns::Linearizable => return Fast::Linearizable(PATTERNS),
        Patterns::Broken(found) => found,
    };
    let sentence = match found.shape {
        "unmatched-dequeue" => "An element came out that never went in.",
        "duplicate-dequeue" => "An element came out twice.",
        "dequeue-before-enqueue" => "An element came out before it went in.",
        "reordered-dequeue" => "Elements did not come out in the order in which they went in.",
        _ => "The queue was seen to be empty when it was not.",
    };
    // What was taken unseen may be any of these elements.
    let unseen = |&i: &u32| {
        let op = history.op(i as usize);
        op.f == "dequeue" && op.outcome == squall_history::Outcome::Info
    };
    let mut operations = found.operations;
    operations.extend(object.indexes(history).filter(unseen));
    operations.sort_unstable();
    Fast::Broken(Suspects {
        algorithm: PATTERNS,
        shape: found.shape,
        sentence: sentence.to_owned(),
        operations,
        only: None,
    })
}

/// Sets: an inclusion chain, where every element is added once and none is removed.
pub(crate) fn set(history: &History, object: &Object) -> Fast<Set> {
    let found = match set::judge(history, object.indexes(history)) {
        Chain::NotThisShape => return Fast::NotThisShape,
        Chain::Linearizable => return Fast::Linearizable(CHAIN),
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
        Zones::Linearizable => return Fast::Linearizable(ZONES),
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
