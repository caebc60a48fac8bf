//! The built-in models by name: the same names in campaigns, on the command line and in verdicts.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A built-in model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ModelName {
    /// One value, read and written.
    Register,
    /// One value, read, written, compared and set.
    CasRegister,
    /// Several values, read and written together.
    MultiRegister,
    /// One value whose every state has a version.
    VersionedRegister,
    /// A lock that does not know its holder.
    Mutex,
    /// A lock that only its holder may release.
    OwnerMutex,
    /// A lock that hands out growing tokens.
    FencedMutex,
    /// A number of permits.
    Semaphore,
    /// Elements, read whole.
    Set,
    /// First in, first out.
    FifoQueue,
    /// Out in any order.
    UnorderedQueue,
    /// The least comes out.
    PriorityQueue,
    /// Last in, first out.
    Stack,
    /// A sum.
    Counter,
    /// A string at each key.
    KvAppend,
}

/// A built-in model and what it is.
#[derive(Clone, Copy, Debug)]
pub struct ModelInfo {
    /// Which.
    pub model: ModelName,
    /// Its name everywhere.
    pub name: &'static str,
    /// One line for people.
    pub description: &'static str,
}

const fn info(model: ModelName, name: &'static str, description: &'static str) -> ModelInfo {
    ModelInfo { model, name, description }
}

static LIST: [ModelInfo; 15] = [
    info(ModelName::Register, "register", "one value: read, write"),
    info(ModelName::CasRegister, "cas-register", "one value: read, write, cas [old, new]"),
    info(ModelName::MultiRegister, "multi-register", "values by key: txn of [\"r\", k, v], [\"w\", k, v]"),
    info(ModelName::VersionedRegister, "versioned-register", "cas-register whose replies carry a revision"),
    info(ModelName::Mutex, "mutex", "a lock: acquire, release by anyone"),
    info(ModelName::OwnerMutex, "owner-mutex", "a lock: acquire, release by the process that holds it"),
    info(ModelName::FencedMutex, "fenced-mutex", "an owner-mutex whose acquire answers a growing token"),
    info(ModelName::Semaphore, "semaphore", "permits (--initial): acquire n, release n"),
    info(ModelName::Set, "set", "elements: add, remove, read of all"),
    info(ModelName::FifoQueue, "fifo-queue", "first in, first out: enqueue, dequeue (nil: empty)"),
    info(ModelName::UnorderedQueue, "unordered-queue", "out in any order: enqueue, dequeue (nil: empty)"),
    info(ModelName::PriorityQueue, "priority-queue", "least first: enqueue, dequeue (nil: empty)"),
    info(ModelName::Stack, "stack", "last in, first out: push, pop (nil: empty)"),
    info(ModelName::Counter, "counter", "a sum: add, increment, decrement, add-and-get, read"),
    info(ModelName::KvAppend, "kv-append", "a string at each key: put, append, get"),
];

/// All built-in models, in the order in which they are listed to people.
pub fn list() -> &'static [ModelInfo] {
    &LIST
}

/// A name that no built-in model has.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("no model is named `{0}`")]
pub struct UnknownModel(pub String);

impl FromStr for ModelName {
    type Err = UnknownModel;

    fn from_str(name: &str) -> Result<Self, UnknownModel> {
        LIST.iter().find(|i| i.name == name).map(|i| i.model).ok_or_else(|| UnknownModel(name.to_owned()))
    }
}

impl ModelName {
    /// Its name everywhere.
    pub fn as_str(self) -> &'static str {
        LIST.iter().find(|i| i.model == self).map_or("", |i| i.name)
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
