//! Values that come again and again in a history are built once and shared.
//!
//! Names of micro-operations, pairs of small numbers, and above all answers that repeat their question: sharing
//! them halves the memory of a history of transactions, and most of the time of reading it.

use crate::{List, Value};

/// What outlives a record: buffers and shared values.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// Numbers of this record that had to be kept as text.
    pub inexact: u64,
    /// Items of the lists that are being read, innermost last.
    pub stack: Vec<Value>,
    names: Vec<Value>,
    pairs: Vec<Option<(i64, i64, Value)>>,
}

const PAIRS: usize = 1 << 10;
const NAMES: usize = 64;
const LONGEST_NAME: usize = 16;

impl Pool {
    /// Forgets what a record that was not read to its end has left behind.
    pub fn begin(&mut self) {
        self.stack.clear();
        self.inexact = 0;
    }

    /// A text, shared if it is short and among the first few.
    pub fn name(&mut self, name: &str) -> Value {
        if name.len() > LONGEST_NAME {
            return Value::str(name);
        }
        if let Some(known) = self.names.iter().find(|v| v.as_str() == Some(name)) {
            return known.clone();
        }
        let value = Value::str(name);
        if self.names.len() < NAMES {
            self.names.push(value.clone());
        }
        value
    }

    /// Takes the list of what lies on the stack from `base` on. It is shared with `like` if they are equal.
    pub fn list(&mut self, base: usize, like: Option<&Value>) -> Value {
        if let Some(known) = like
            && known.as_list() == Some(&self.stack[base..])
        {
            self.stack.truncate(base);
            return known.clone();
        }
        if let [Value::Int(a), Value::Int(b)] = self.stack[base..] {
            self.stack.truncate(base);
            return self.pair(a, b);
        }
        Value::List(List::from_items(self.stack.drain(base..)))
    }

    /// The list `[a b]`, shared with the last one that fell into the same place.
    fn pair(&mut self, a: i64, b: i64) -> Value {
        self.pairs.resize(PAIRS, None);
        let slot = (a.wrapping_mul(31).wrapping_add(b) as u64 % PAIRS as u64) as usize;
        if let Some((x, y, known)) = &self.pairs[slot]
            && (*x, *y) == (a, b)
        {
            return known.clone();
        }
        let value = Value::list([Value::Int(a), Value::Int(b)]);
        self.pairs[slot] = Some((a, b, value.clone()));
        value
    }
}
