//! List-append transactions in columns, read from a history in one pass.
//!
//! For each key the longest list that anyone read (its *spine*) is kept once; every other read is the length
//! of the prefix it saw, compared element by element against the spine. Reads that are no prefix are *odd*.
//! What can be judged within a single transaction (`internal`, `future-read`) is judged here.

use rustc_hash::FxHashSet;
use squall_history::{History, Outcome, Value};

use crate::txn::findings::{Finding, Findings};
use crate::txn::intern::{Codes, Interner};
use crate::txn::micro::{Micro, list, micro};
use crate::txn::order::Txn;

/// A read of an ok transaction.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    /// Position of the transaction.
    pub txn: u32,
    /// The key.
    pub key: u32,
    /// How many elements it saw.
    pub len: u32,
}

/// An append that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Append {
    /// Position of the transaction.
    pub txn: u32,
    /// The key.
    pub key: u32,
    /// The element's code.
    pub value: i64,
}

/// An ok transaction that appended to a key after it had read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Update {
    /// The key.
    pub key: u32,
    /// The length of its first read.
    pub len: u32,
    /// Position of the transaction.
    pub txn: u32,
}

/// The whole history, as list-append sees it.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    /// Transactions, in order of invocation.
    pub txns: Vec<Txn>,
    /// Names of keys.
    pub keys: Interner,
    /// Names of elements.
    pub codes: Codes,
    /// Reads of ok transactions, in order.
    pub reads: Vec<Read>,
    /// Indexes into `reads` of those that are no prefix of their spine, ascending.
    pub odd: Vec<u32>,
    /// Elements of odd reads, as (key, code): seen, but at no known place.
    pub scattered: Vec<(u32, i64)>,
    /// Appends, in order.
    pub appends: Vec<Append>,
    /// Read-then-append pairs.
    pub updates: Vec<Update>,
    /// The longest list read of each key.
    pub spines: Vec<Vec<i64>>,
    /// Operations that are no transactions, or hold something else than reads and appends.
    pub ignored: u64,
    /// What was wrong within single transactions.
    pub findings: Findings,
}

struct Reader<'a> {
    out: &'a mut Columns,
    // Of each key: the transaction that touched it last, and with which micro-operation.
    touched: Vec<(u32, u32)>,
    // Of each micro-operation of this transaction: the one before it on the same key.
    before: Vec<Option<u32>>,
    conflicted: FxHashSet<u32>,
}

/// Reads a history.
pub fn columns(history: &History) -> Columns {
    let mut out = Columns::default();
    let mut reader =
        Reader { out: &mut out, touched: Vec::new(), before: Vec::new(), conflicted: FxHashSet::default() };
    for op in history.ops() {
        let Some(items) = list(&op) else {
            reader.out.ignored += 1;
            continue;
        };
        let txn = Txn {
            index: op.index,
            process: op.process,
            outcome: op.outcome,
            invoked: op.invoked,
            completed: op.completed,
        };
        reader.transaction(txn, items);
    }
    let conflicted = reader.conflicted;
    if !conflicted.is_empty() {
        find_odd(history, &mut out, &conflicted);
    }
    out
}

/// Whether the micro-operations of one ok transaction, by themselves, show that something is wrong.
pub(super) fn contradicts_itself(items: &[Value]) -> bool {
    let key = |item: &Value| item.as_list().and_then(|i| i.get(1).cloned());
    let again = (1..items.len()).any(|i| items[..i].iter().any(|before| key(before) == key(&items[i])));
    if !again {
        return false;
    }
    let mut out = Columns::default();
    let mut reader =
        Reader { out: &mut out, touched: Vec::new(), before: Vec::new(), conflicted: FxHashSet::default() };
    let txn = Txn { index: 0, process: 0, outcome: Outcome::Ok, invoked: 0, completed: 1 };
    reader.transaction(txn, items);
    !reader.conflicted.is_empty() || out.findings.iter().next().is_some()
}

impl Reader<'_> {
    fn transaction(&mut self, txn: Txn, items: &[Value]) {
        let t = self.out.txns.len() as u32;
        self.out.txns.push(txn);
        self.before.clear();
        for (m, item) in items.iter().enumerate() {
            let (key, is_read, value) = match micro(item) {
                Some(Micro::Read(key, value)) => (key, true, value),
                Some(Micro::Append(key, value)) => (key, false, value),
                Some(Micro::Write(..)) | None => {
                    self.out.ignored += 1;
                    self.before.push(None);
                    continue;
                }
            };
            let key = self.key(key);
            let last = self.touched[key as usize];
            let before = (last.0 == t).then_some(last.1);
            self.touched[key as usize] = (t, m as u32);
            self.before.push(before);
            if !is_read {
                self.append(t, key, value, txn.outcome == Outcome::Ok, items, before);
            } else if txn.outcome == Outcome::Ok {
                self.read(t, key, value, items, before);
            }
        }
    }

    fn key(&mut self, key: &Value) -> u32 {
        let id = self.out.keys.id(key);
        if id as usize == self.out.spines.len() {
            self.out.spines.push(Vec::new());
            self.touched.push((u32::MAX, 0));
        }
        id
    }

    fn read(&mut self, t: u32, key: u32, value: &Value, items: &[Value], before: Option<u32>) {
        let seen = elements(value);
        if self.match_spine(key, seen) {
            self.conflicted.insert(key);
        }
        self.out.reads.push(Read { txn: t, key, len: seen.len() as u32 });
        if before.is_some() {
            self.internal(t, key, seen, items, before);
        }
    }

    /// Lengthens the spine if the list is longer. Says whether the two disagree.
    fn match_spine(&mut self, key: u32, seen: &[Value]) -> bool {
        let out = &mut *self.out;
        let spine = &mut out.spines[key as usize];
        let agree = spine.iter().zip(seen).all(|(&have, v)| have == out.codes.code(v));
        if seen.len() > spine.len() {
            let from = if agree { spine.len() } else { 0 };
            spine.truncate(from);
            for v in &seen[from..] {
                spine.push(out.codes.code(v));
            }
        }
        !agree
    }

    /// INT of Cerone, Bernardi and Gotsman (CONCUR 2015): a read agrees with what the transaction itself
    /// read or appended before.
    fn internal(&mut self, t: u32, key: u32, seen: &[Value], items: &[Value], before: Option<u32>) {
        let mut own: Vec<&Value> = Vec::new();
        let mut base: Option<&[Value]> = None;
        let mut at = before;
        while let Some(m) = at {
            match micro(&items[m as usize]) {
                Some(Micro::Append(_, v)) => own.push(v),
                Some(Micro::Read(_, v)) => {
                    base = Some(elements(v));
                    break;
                }
                Some(Micro::Write(..)) | None => {}
            }
            at = self.before[m as usize];
        }
        own.reverse();
        let ends_with_own =
            seen.len() >= own.len() && seen[seen.len() - own.len()..].iter().zip(&own).all(|(a, b)| a == *b);
        let agrees = ends_with_own && base.is_none_or(|b| seen[..seen.len() - own.len()] == *b);
        if agrees {
            return;
        }
        let index = self.out.txns[t as usize].index;
        let key = self.out.keys.name(key).clone();
        self.out.findings.add("internal", || {
            let own = Value::list(own.into_iter().cloned().collect::<Vec<_>>());
            let had = base.map_or_else(
                || format!("had appended {own}"),
                |b| format!("had read {} and then appended {own}", Value::list(b.to_vec())),
            );
            let text = format!(
                "#{index} read {} from key {key}, although the same transaction {had}.",
                Value::list(seen.to_vec())
            );
            Finding::new(vec![index], text)
        });
    }

    fn append(
        &mut self,
        t: u32,
        key: u32,
        value: &Value,
        committed: bool,
        items: &[Value],
        before: Option<u32>,
    ) {
        let code = self.out.codes.code(value);
        self.out.appends.push(Append { txn: t, key, value: code });
        if !committed || before.is_none() {
            return;
        }
        let mut at = before;
        let (mut first_read, mut appended, mut from_future) = (None, false, false);
        while let Some(m) = at {
            match micro(&items[m as usize]) {
                Some(Micro::Append(..)) => appended = true,
                Some(Micro::Read(_, v)) => {
                    let seen = elements(v);
                    first_read = Some(seen.len());
                    from_future |= seen.contains(value);
                }
                Some(Micro::Write(..)) | None => {}
            }
            at = self.before[m as usize];
        }
        if let (Some(len), false) = (first_read, appended) {
            self.out.updates.push(Update { key, len: len as u32, txn: t });
        }
        if from_future {
            let index = self.out.txns[t as usize].index;
            let name = self.out.keys.name(key).clone();
            self.out.findings.add("future-read", || {
                let text = format!("#{index} read {value} from key {name} before it appended it itself.");
                Finding::new(vec![index], text)
            });
        }
    }
}

/// The elements of a list that was read; nil is the empty list. Anything else is a list of one, so that a
/// reply of the wrong type is never taken for nothing.
fn elements(value: &Value) -> &[Value] {
    match value {
        Value::Nil => &[],
        Value::List(items) => items,
        other => std::slice::from_ref(other),
    }
}

/// Second pass, only where lists of a key disagreed: which reads are no prefix of the final spine.
fn find_odd(history: &History, out: &mut Columns, conflicted: &FxHashSet<u32>) {
    let mut at = 0u32;
    let mut worst: rustc_hash::FxHashMap<u32, (u32, Value)> = rustc_hash::FxHashMap::default();
    for op in history.ops().filter(|op| op.outcome == Outcome::Ok) {
        for item in list(&op).unwrap_or_default() {
            let Some(Micro::Read(_, value)) = micro(item) else { continue };
            let key = out.reads[at as usize].key;
            at += 1;
            if !conflicted.contains(&key) {
                continue;
            }
            let seen = elements(value);
            let spine = &out.spines[key as usize];
            if !spine.iter().zip(seen).all(|(&have, v)| have == out.codes.code(v)) {
                out.odd.push(at - 1);
                for v in seen {
                    let code = out.codes.code(v);
                    out.scattered.push((key, code));
                }
                worst.entry(key).or_insert_with(|| (op.index, value.clone()));
            }
        }
    }
    let mut keys: Vec<u32> = worst.keys().copied().collect();
    keys.sort_unstable();
    for key in keys {
        let (index, seen) = &worst[&key];
        let longest = out.reads.iter().enumerate().find(|(i, r)| {
            r.key == key
                && r.len as usize == out.spines[key as usize].len()
                && out.odd.binary_search(&(*i as u32)).is_err()
        });
        let other = longest.map(|(_, r)| out.txns[r.txn as usize].index);
        let spine: Vec<Value> = out.spines[key as usize].iter().map(|&c| out.codes.value(c)).collect();
        let name = out.keys.name(key).clone();
        out.findings.add("incompatible-order", || {
            let who = other.map_or_else(|| "another read".to_owned(), |i| format!("#{i}"));
            let text = format!(
                "#{index} read {seen} from key {name} and {who} read {}: neither is a prefix of the other, so \
                 no one order of appends explains both.",
                Value::list(spine)
            );
            Finding::new(other.into_iter().chain([*index]).collect(), text)
        });
    }
}
