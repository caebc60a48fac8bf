//! Micro-operations as they stand in a history: `["r", k, v]`, `["append", k, v]`, `["w", k, v]`.
//!
//! An operation is a transaction if its value is a list of micro-operations. Of an `ok` one the completed
//! form counts; of the others only what was asked for. Nothing is copied.

use squall_history::{Op, Outcome, Value};

/// One micro-operation, borrowed.
#[derive(Clone, Copy, Debug)]
pub enum Micro<'a> {
    /// A read and its result; nil where the result is not known.
    Read(&'a Value, &'a Value),
    /// An element appended to a list.
    Append(&'a Value, &'a Value),
    /// A register overwritten.
    Write(&'a Value, &'a Value),
}

/// Reads one micro-operation.
pub fn micro(item: &Value) -> Option<Micro<'_>> {
    let (f, key, value) = match item.as_list()? {
        [f, key, value] => (f, key, value),
        [f, key] => (f, key, &Value::Nil),
        _ => return None,
    };
    match f.as_str()? {
        "r" | "read" => Some(Micro::Read(key, value)),
        "append" => Some(Micro::Append(key, value)),
        "w" | "write" => Some(Micro::Write(key, value)),
        _ => None,
    }
}

/// The list of micro-operations that counts for an operation, if it is a transaction.
pub fn list<'a>(op: &Op<'a>) -> Option<&'a [Value]> {
    let chosen = match op.outcome {
        Outcome::Ok if !op.output.is_nil() => op.output,
        Outcome::Ok | Outcome::Fail | Outcome::Info => op.input,
    };
    let items = chosen.as_list()?;
    match items.first() {
        Some(first) => micro(first).map(|_| items),
        None => Some(items),
    }
}
