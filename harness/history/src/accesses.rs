//! Transactions of reads, writes and appends of integers in columns: what most recordings of transactions hold.
//!
//! A [`History`] keeps a list behind a pointer for each micro-operation, which is most of the memory and most
//! of the time of a million transactions. Where a source holds nothing but integers this form does without.
//! [`Accesses::history`] gives the general form: the checks of transactions find the same in both, operation for
//! operation.
//!
//! Of an operation only what counts is kept: the answer of an `ok`, the question of the others. Deliberately
//! absent: times (ranks are there, where the source has times), functions, notes.

use crate::{History, List, NEVER, Outcome, RawOperation, Value};

/// What one micro-operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum AccessKind {
    /// A read of a value.
    Read,
    /// A read that found nothing, or that was not answered.
    ReadNothing,
    /// A read of a list.
    ReadList,
    /// A write of a value.
    Write,
    /// An append of a value to a list.
    Append,
}

/// One micro-operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// What it does.
    pub kind: AccessKind,
    /// The key.
    pub key: i64,
    /// The value; 0 where there is none.
    pub value: i64,
    /// The list that was read.
    pub list: &'a [i64],
}

/// A history of such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accesses {
    pub(crate) process: Vec<u32>,
    pub(crate) outcome: Vec<Outcome>,
    // Of each transaction: where its micro-operations begin and end.
    pub(crate) span: Vec<(u32, u32)>,
    pub(crate) kind: Vec<AccessKind>,
    pub(crate) key: Vec<i64>,
    // Of a list that was read: its place in `lists`.
    pub(crate) value: Vec<i64>,
    // Lists that were read: how long each is, and its elements.
    pub(crate) lists: Vec<i64>,
    // Ranks of invocations and completions. Where the source knows no times: none.
    pub(crate) ranks: Vec<(u32, u32)>,
    // Whether the first operation writes the initial values.
    pub(crate) initial: bool,
    /// As in [`History::nil_reads_may_be_unknown`].
    pub nil_reads_may_be_unknown: bool,
}

impl Accesses {
    /// Number of transactions.
    pub fn len(&self) -> usize {
        self.process.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.process.is_empty()
    }

    /// Number of micro-operations.
    pub fn micros(&self) -> usize {
        self.key.len()
    }

    /// Whether there are appends or reads of lists.
    pub fn has_lists(&self) -> bool {
        self.kind.iter().any(|k| matches!(k, AccessKind::ReadList | AccessKind::Append))
    }

    /// The session of a transaction.
    pub fn process(&self, t: usize) -> u32 {
        self.process[t]
    }

    /// How a transaction ended.
    pub fn outcome(&self, t: usize) -> Outcome {
        self.outcome[t]
    }

    /// The micro-operations of a transaction, in its order.
    #[inline]
    pub fn of(&self, t: usize) -> impl ExactSizeIterator<Item = Access<'_>> + DoubleEndedIterator + Clone {
        let (from, to) = self.span[t];
        (from as usize..to as usize).map(move |i| {
            let (kind, value) = (self.kind[i], self.value[i]);
            let list: &[i64] = if kind == AccessKind::ReadList { self.list(value) } else { &[] };
            Access {
                kind,
                key: self.key[i],
                value: if kind == AccessKind::ReadList { 0 } else { value },
                list,
            }
        })
    }

    fn list(&self, at: i64) -> &[i64] {
        let at = at as usize;
        &self.lists[at + 1..at + 1 + self.lists[at] as usize]
    }

    /// The operation that writes the initial values, as in [`History::initial_operation`].
    pub fn initial_operation(&self) -> Option<u32> {
        self.initial.then_some(0)
    }

    /// Ranks of a transaction's invocation and completion.
    #[inline]
    pub fn ranks(&self, t: usize) -> (u32, u32) {
        match self.ranks.get(t) {
            Some(&ranks) => ranks,
            None => ranks(t as u32, self.len() as u32, self.initial),
        }
    }

    /// The general form.
    pub fn history(&self) -> History {
        let mut history = History::default();
        let f = history.function_id("txn");
        let names = ["r", "w", "append"].map(Value::str);
        for t in 0..self.len() {
            let micros: Vec<Value> = self.of(t).map(|a| micro(a, &names)).collect();
            history.append(RawOperation {
                process: self.process[t],
                f,
                key: Value::Nil,
                input: Value::Nil,
                output: Value::Nil,
                outcome: self.outcome(t),
                start: 0,
                end: 0,
                meta: None,
            });
            history.set_values(t as u32, Value::list(micros));
        }
        history.set_ranks(|t| self.ranks(t as usize), self.initial_operation());
        history.nil_reads_may_be_unknown = self.nil_reads_may_be_unknown;
        history
    }
}

fn micro(access: Access<'_>, names: &[Value; 3]) -> Value {
    let (name, value) = match access.kind {
        AccessKind::ReadNothing => (0, Value::Nil),
        AccessKind::Read => (0, Value::Int(access.value)),
        AccessKind::ReadList => {
            (0, Value::List(List::from_items(access.list.iter().map(|&v| Value::Int(v)))))
        }
        AccessKind::Write => (1, Value::Int(access.value)),
        AccessKind::Append => (2, Value::Int(access.value)),
    };
    Value::List(List::from_items([names[name].clone(), Value::Int(access.key), value].into_iter()))
}

/// Ranks where nothing is known of time: each operation is invoked before any is completed, except that the
/// first is completed before all others if it is `initial`.
fn ranks(t: u32, operations: u32, initial: bool) -> (u32, u32) {
    debug_assert!(operations < NEVER / 2);
    let first = u32::from(initial);
    if t < first { (0, 1) } else { (t + first, operations + t) }
}
