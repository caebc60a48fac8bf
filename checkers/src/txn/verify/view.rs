//! What a history says, read once more: micro-operations, and who read from whom. Slow and plain on purpose.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;
use squall_history::{History, Op, Outcome, Value};

/// (function, key, value) of each micro-operation that counts.
pub(super) fn micros<'a>(op: &Op<'a>) -> Vec<(&'a str, &'a Value, &'a Value)> {
    let value = if op.outcome == Outcome::Ok && !op.output.is_nil() { op.output } else { op.input };
    if let Some(items) = value.as_list()
        && items.iter().all(|i| i.as_list().and_then(|m| m.first()).and_then(Value::as_str).is_some())
    {
        let parts = items.iter().filter_map(|i| match i.as_list()? {
            [f, k, v] => Some((f.as_str()?, k, v)),
            [f, k] => Some((f.as_str()?, k, &Value::Nil)),
            _ => None,
        });
        return parts.collect();
    }
    match op.f {
        "read" | "r" => vec![("r", op.key, op.output)],
        "write" | "w" => vec![("w", op.key, op.input)],
        "get" => vec![("r", op.key, op.output)],
        "put" => vec![("w", op.key, op.input)],
        "cas" if op.output.as_str() != Some("mismatch") => match op.input.as_pair() {
            Some((old, new)) => vec![("r", op.key, old), ("w", op.key, new)],
            None => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Whether a micro-operation reads.
pub(super) fn is_read(f: &str) -> bool {
    f == "r" || f == "read"
}

/// The initial values that the history itself names.
pub(super) fn initials(history: &History) -> BTreeMap<Value, Value> {
    let op = history.initial_operation.map(|index| history.op(index as usize));
    let writes = op.iter().flat_map(micros).filter(|(f, ..)| !is_read(f));
    writes.map(|(_, key, value)| (key.clone(), value.clone())).collect()
}

/// A transaction of plain reads and writes that happened.
#[derive(Clone, Debug)]
pub(super) struct Txn {
    pub index: u32,
    pub process: u32,
    pub invoked: u32,
    pub completed: u32,
    /// What it read from others, in order: the key, and the position of the writer, or nobody.
    pub reads: Vec<(Value, Option<usize>)>,
    /// The keys that it wrote.
    pub writes: BTreeSet<Value>,
}

/// What is known of a history of plain reads and writes.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    /// Transactions that happened: acknowledged ones, and those that somebody read from. In their order.
    pub txns: Vec<Txn>,
    /// Reads that no transaction explains, as (operation, why).
    pub unexplained: Vec<(u32, &'static str)>,
}

// The one write of a value, if there is only one: its operation, and whether it is the last of its key there.
#[derive(Clone, Copy)]
enum Writer {
    One(u32, bool),
    Several,
}

/// Reads a history. Reads of values that several wrote, or nobody, are `unexplained`.
pub(super) fn view(history: &History, initial: &Value) -> View {
    let named = initials(history);
    let possible = || {
        history.ops().filter(|op| op.outcome != Outcome::Fail && history.initial_operation != Some(op.index))
    };
    let mut writers: FxHashMap<(&Value, &Value), Writer> = FxHashMap::default();
    for op in possible() {
        let all = micros(&op);
        for (i, (_, key, value)) in all.iter().enumerate().filter(|(_, m)| !is_read(m.0)) {
            let last = !all[i + 1..].iter().any(|(f, k, _)| !is_read(f) && k == key);
            let entry = writers.entry((key, value)).or_insert(Writer::One(op.index, last));
            match entry {
                Writer::One(index, _) if *index == op.index => *entry = Writer::One(op.index, last),
                Writer::One(..) | Writer::Several => *entry = Writer::Several,
            }
        }
    }
    let mut view = View::default();
    let mut sources: Vec<Vec<(Value, Option<u32>)>> = Vec::new();
    let mut seen: BTreeSet<u32> = BTreeSet::new();
    for op in possible() {
        let (mut own, mut reads): (BTreeMap<&Value, &Value>, Vec<_>) = Default::default();
        for (f, key, value) in micros(&op) {
            if !is_read(f) {
                own.insert(key, value);
                continue;
            }
            let unknown = value.is_nil() && history.nil_reads_may_be_unknown && !initial.is_nil();
            if op.outcome != Outcome::Ok || unknown {
                continue;
            }
            match (own.get(key), writers.get(&(key, value))) {
                (Some(mine), _) if *mine == value => {}
                (Some(_), _) => view.unexplained.push((op.index, "internal")),
                (None, Some(Writer::One(index, true))) if *index != op.index => {
                    seen.insert(*index);
                    reads.push((key.clone(), Some(*index)));
                }
                (None, Some(_)) => view.unexplained.push((op.index, "ambiguous, intermediate or future")),
                (None, None) if named.get(key).unwrap_or(initial) == value => reads.push((key.clone(), None)),
                (None, None) => view.unexplained.push((op.index, "never written")),
            }
        }
        let writes = own.into_keys().cloned().collect();
        sources.push(reads);
        view.txns.push(Txn {
            index: op.index,
            process: op.process,
            invoked: op.invoked,
            completed: op.completed,
            reads: Vec::new(),
            writes,
        });
    }
    let happened = |t: &Txn| history.op(t.index as usize).outcome == Outcome::Ok || seen.contains(&t.index);
    let mut position: BTreeMap<u32, usize> = BTreeMap::new();
    for t in view.txns.iter().filter(|t| happened(t)) {
        position.insert(t.index, position.len());
    }
    let mut kept = Vec::with_capacity(position.len());
    for (mut t, reads) in std::mem::take(&mut view.txns).into_iter().zip(sources) {
        if position.contains_key(&t.index) {
            t.reads = reads.into_iter().map(|(key, from)| (key, from.map(|i| position[&i]))).collect();
            kept.push(t);
        }
    }
    view.txns = kept;
    view
}

impl View {
    /// Only these operations, and what they read from each other or from nobody. Whatever explains the whole
    /// history explains this, so what explains not even this explains nothing.
    pub fn part(&self, operations: &[u32]) -> View {
        let keep: Vec<usize> =
            (0..self.txns.len()).filter(|&t| operations.contains(&self.txns[t].index)).collect();
        let place = |from: usize| keep.iter().position(|&k| k == from);
        let txns = keep.iter().map(|&k| {
            let t = &self.txns[k];
            let reads = t.reads.iter().filter_map(|(key, from)| match from {
                None => Some((key.clone(), None)),
                Some(w) => place(*w).map(|at| (key.clone(), Some(at))),
            });
            Txn { reads: reads.collect(), ..t.clone() }
        });
        View { txns: txns.collect(), unexplained: Vec::new() }
    }

    /// Whether one process ran both, the first before the second.
    pub fn in_session(&self, a: usize, b: usize) -> bool {
        a < b && self.txns[a].process == self.txns[b].process
    }
}
