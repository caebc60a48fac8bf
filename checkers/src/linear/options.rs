//! What a history is judged by.

use squall_history::Value;

use crate::models::ModelName;

/// What a history is judged by.
#[derive(Clone, Debug)]
pub struct Options {
    /// The sequential specification.
    pub model: ModelName,
    /// The value of every object before its first operation, where the model has one: a register's value,
    /// a semaphore's permits, a counter's start. Nil is each model's own default.
    pub initial: Value,
    /// Whether operations with different keys act on independent objects.
    pub keyed: bool,
    /// Whether a valid verdict must carry its linearization as certificate. It costs time and memory.
    pub certificate: bool,
}

impl Options {
    /// A model with its own initial value, split by key.
    pub fn new(model: ModelName) -> Self {
        Options { model, initial: Value::Nil, keyed: true, certificate: false }
    }
}
