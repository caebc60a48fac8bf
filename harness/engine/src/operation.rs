//! What a client is asked to do, and what it answers.

use std::borrow::Cow;
use std::sync::Arc;

use squall_history::{EventKind, Meta, Value};

/// An operation before it is invoked.
#[derive(Clone, Debug, PartialEq)]
pub struct Operation {
    /// The kind of object that it acts on, for the client alone: a `read` of a register and one of a set are
    /// different requests.
    pub on: &'static str,
    /// The function's name.
    pub f: Arc<str>,
    /// The independent object acted on, or nil.
    pub key: Value,
    /// The argument.
    pub value: Value,
    /// Whether it only reads: then an operation without an answer is `fail`, not `info`, for it changed nothing.
    pub read_only: bool,
    /// The node to ask from now on, where the process moves there; nobody else's business.
    pub node: Option<usize>,
}

impl Operation {
    /// An operation that may change something.
    pub fn new(f: &Arc<str>, key: Value, value: Value) -> Self {
        Operation { on: "register", f: f.clone(), key, value, read_only: false, node: None }
    }

    /// An operation that only reads.
    pub fn read(f: &Arc<str>, key: Value, value: Value) -> Self {
        Operation { read_only: true, ..Operation::new(f, key, value) }
    }

    /// The same on another kind of object than a register.
    #[must_use]
    pub fn on(self, on: &'static str) -> Self {
        Operation { on, ..self }
    }

    /// The same, by way of another node.
    #[must_use]
    pub fn at(self, node: usize) -> Self {
        Operation { node: Some(node), ..self }
    }
}

/// How an operation ended, as its client saw it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It took effect, and this is the answer.
    Ok(Value),
    /// It certainly did not happen.
    Fail,
    /// Nobody knows.
    Info,
}

/// An outcome with what the client noted.
#[derive(Clone, Debug, PartialEq)]
pub struct Completion {
    /// The outcome.
    pub outcome: Outcome,
    /// The raw error or reply, revisions, the row of the error table that decided.
    pub meta: Option<Box<Meta>>,
}

impl Completion {
    /// `ok` with an answer.
    pub fn ok(answer: impl Into<Value>) -> Self {
        Completion { outcome: Outcome::Ok(answer.into()), meta: None }
    }

    /// `ok` with an answer and the version the target gave it.
    pub fn ok_at(answer: impl Into<Value>, revision: i64) -> Self {
        let meta = Meta { revision: Some(revision), ..Meta::default() };
        Completion { outcome: Outcome::Ok(answer.into()), meta: Some(Box::new(meta)) }
    }

    /// `fail`: `row` of the client's error table says why this is certain.
    pub fn fail(row: impl Into<Cow<'static, str>>, error: impl Into<String>) -> Self {
        Completion { outcome: Outcome::Fail, meta: Some(noted(row.into(), error.into())) }
    }

    /// `info`: `row` of the client's error table.
    pub fn info(row: impl Into<Cow<'static, str>>, error: impl Into<String>) -> Self {
        Completion { outcome: Outcome::Info, meta: Some(noted(row.into(), error.into())) }
    }

    /// An error whose meaning for a change is unknown: a read fails, anything else is `info`.
    pub fn unclear(op: &Operation, row: impl Into<Cow<'static, str>>, error: impl Into<String>) -> Self {
        if op.read_only { Completion::fail(row, error) } else { Completion::info(row, error) }
    }

    /// The kind of event and the value that record it.
    pub fn event(self, op: &Operation) -> (EventKind, Value, Option<Box<Meta>>) {
        match self.outcome {
            Outcome::Ok(answer) => (EventKind::Ok, answer, self.meta),
            Outcome::Fail => (EventKind::Fail, op.value.clone(), self.meta),
            Outcome::Info => (EventKind::Info, op.value.clone(), self.meta),
        }
    }
}

/// Errors are kept for people: a page of HTML from a proxy helps nobody.
const ERROR_CHARS_MAX: usize = 300;

fn noted(row: Cow<'static, str>, error: String) -> Box<Meta> {
    let error = match error.char_indices().nth(ERROR_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &error[..at]),
        None => error,
    };
    Box::new(Meta { error: Some(error), row: Some(row), ..Meta::default() })
}
