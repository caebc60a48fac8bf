//! Reads and writes as a history holds them, before anybody knows who read from whom.

use rustc_hash::FxHashMap;
use squall_history::{AccessKind, Accesses, History, Op, Outcome, Value};

use crate::txn::intern::{Codes, Interner};
use crate::txn::micro::{Micro, list, micro};
use crate::txn::order::Txn;

/// One read or write.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub key: u32,
    pub code: i64,
    pub write: bool,
}

/// All events of all transactions, in columns.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub txns: Vec<Txn>,
    /// Of each transaction: where its events begin; one more entry at the end.
    pub first: Vec<u32>,
    // Twice the key, and one more if it is a write.
    key: Vec<u32>,
    code: Vec<i64>,
    pub keys: Interner,
    pub codes: Codes,
    pub ignored: u64,
    /// Of keys whose initial value the history itself names: its code.
    pub initial: FxHashMap<u32, i64>,
}

impl Draft {
    /// Number of events.
    pub fn events(&self) -> usize {
        self.key.len()
    }

    /// An event.
    #[inline]
    pub fn event(&self, e: u32) -> Event {
        let key = self.key[e as usize];
        Event { key: key >> 1, code: self.code[e as usize], write: key & 1 == 1 }
    }

    /// The events of a transaction.
    #[inline]
    pub fn events_of(&self, t: usize) -> std::ops::Range<u32> {
        self.first[t]..self.first[t + 1]
    }

    #[inline]
    fn push(&mut self, key: u32, code: i64, write: bool) {
        self.key.push(key << 1 | u32::from(write));
        self.code.push(code);
    }

    /// Of a history in the general form.
    pub fn of_history(history: &History, initial: &Value) -> Self {
        let mut d = Draft::default();
        for op in history.ops() {
            if history.initial_operation == Some(op.index) {
                d.initial = named_initials(&op, &mut d.keys, &mut d.codes);
                continue;
            }
            let from = d.events();
            let ok = op.outcome == Outcome::Ok;
            let mut push = |key: &Value, value: &Value, write: bool| {
                let unknown = value.is_nil() && history.nil_reads_may_be_unknown && !initial.is_nil();
                if write || (ok && !unknown) {
                    let (key, code) = (d.keys.id(key), d.codes.code(value));
                    d.push(key, code, write);
                }
            };
            // What failed has done nothing, whatever it was.
            let effect = u64::from(op.outcome != Outcome::Fail);
            let mut ignored = 0;
            if let Some(items) = list(&op) {
                for item in items {
                    match micro(item) {
                        Some(Micro::Read(key, value)) => push(key, value, false),
                        Some(Micro::Write(key, value)) => push(key, value, true),
                        Some(Micro::Append(..)) | None => ignored += effect,
                    }
                }
            } else if !single(&op, &mut push) {
                d.ignored += effect;
                continue;
            }
            d.ignored += ignored;
            d.first.push(from as u32);
            d.txns.push(Txn {
                index: op.index,
                process: op.process,
                outcome: op.outcome,
                invoked: op.invoked,
                completed: op.completed,
            });
        }
        d.first.push(d.events() as u32);
        d
    }

    /// Of a history in columns: the same as of its general form. Lists are not of this kind of history.
    pub fn of_accesses(accesses: &Accesses, initial: &Value) -> Self {
        let mut d = Draft::default();
        let nil_is_unknown = accesses.nil_reads_may_be_unknown && !initial.is_nil();
        d.txns.reserve_exact(accesses.len());
        d.first.reserve_exact(accesses.len() + 1);
        d.key.reserve_exact(accesses.micros());
        d.code.reserve_exact(accesses.micros());
        for t in 0..accesses.len() {
            if accesses.initial_operation() == Some(t as u32) {
                for access in accesses.of(t).filter(|a| a.kind == AccessKind::Write) {
                    let (key, code) = (d.keys.id_of_int(access.key), d.codes.code_of_int(access.value));
                    d.initial.insert(key, code);
                }
                continue;
            }
            let outcome = accesses.outcome(t);
            let (invoked, completed) = accesses.ranks(t);
            d.first.push(d.events() as u32);
            d.txns.push(Txn { index: t as u32, process: accesses.process(t), outcome, invoked, completed });
            let ok = outcome == Outcome::Ok;
            for access in accesses.of(t) {
                let code = match access.kind {
                    AccessKind::ReadNothing if ok && !nil_is_unknown => d.codes.code(&Value::Nil),
                    AccessKind::Read if ok => d.codes.code_of_int(access.value),
                    AccessKind::Write => d.codes.code_of_int(access.value),
                    AccessKind::ReadNothing | AccessKind::Read => continue,
                    AccessKind::Append | AccessKind::ReadList => {
                        d.ignored += 1;
                        continue;
                    }
                };
                let key = d.keys.id_of_int(access.key);
                d.push(key, code, access.kind == AccessKind::Write);
            }
        }
        d.first.push(d.events() as u32);
        d
    }
}

/// An operation that the history names as the one that wrote the initial values: it is no transaction, and
/// what it wrote is what its keys held before everything.
fn named_initials(op: &Op<'_>, keys: &mut Interner, codes: &mut Codes) -> FxHashMap<u32, i64> {
    let mut initial = FxHashMap::default();
    let mut write = |key: &Value, value: &Value| {
        initial.insert(keys.id(key), codes.code(value));
    };
    match list(op) {
        Some(items) => items.iter().filter_map(micro).for_each(|m| match m {
            Micro::Write(key, value) => write(key, value),
            Micro::Read(..) | Micro::Append(..) => {}
        }),
        None => drop(single(op, &mut |key, value, is_write| {
            if is_write {
                write(key, value);
            }
        })),
    }
    initial
}

/// A single read, write or compare-and-set. False if it is something else.
fn single(op: &Op<'_>, push: &mut impl FnMut(&Value, &Value, bool)) -> bool {
    match op.f {
        "read" | "r" | "get" => push(op.key, op.output, false),
        "write" | "w" | "put" => push(op.key, op.input, true),
        "cas" => {
            let Some((old, new)) = op.input.as_pair() else { return false };
            // One that did not match read something else, and nobody says what.
            if op.output.as_str() != Some("mismatch") {
                push(op.key, old, false);
                push(op.key, new, true);
            }
        }
        _ => return false,
    }
    true
}
