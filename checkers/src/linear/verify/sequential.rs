//! The models once more, as a state that is changed in place.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use squall_history::{History, Op, Outcome, Value};

/// What the certificate says of the object.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub model: String,
    pub initial: Value,
    pub nil_reads_unknown: bool,
    /// Of a set: only these elements are looked at.
    pub elements: Option<BTreeSet<Value>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum State {
    /// The value; the least that its version can be; whether it is that.
    Value(Value, i64, bool),
    Values(BTreeMap<Value, Value>),
    /// The holder as a number, -1 for an unknown one; the last token.
    Lock(Option<i64>, i64),
    Number(i64),
    Elements(BTreeSet<Value>),
    Sequence(VecDeque<Value>),
    Text(String),
}

const ANYBODY: i64 = -1;

impl Kind {
    /// Before the first operation.
    pub(super) fn start(&self) -> Option<State> {
        let number = |default| if self.initial.is_nil() { Some(default) } else { self.initial.as_int() };
        Some(match self.model.as_str() {
            "register" | "cas-register" | "versioned-register" => {
                State::Value(self.initial.clone(), i64::MIN, false)
            }
            "multi-register" => State::Values(BTreeMap::new()),
            "mutex" | "owner-mutex" | "fenced-mutex" => State::Lock(None, i64::MIN),
            "semaphore" => State::Number(number(1)?),
            "counter" => State::Number(number(0)?),
            "set" => State::Elements(BTreeSet::new()),
            "fifo-queue" | "unordered-queue" | "priority-queue" | "stack" => State::Sequence(VecDeque::new()),
            "kv-append" => State::Text(String::new()),
            _ => return None,
        })
    }

    /// Every state that these operations could tell apart, where the model has few.
    pub(super) fn anywhere(&self, ops: &[Op<'_>]) -> Option<Vec<State>> {
        match self.model.as_str() {
            "register" | "cas-register" => {
                let mut values = BTreeSet::from([Value::list([Value::str("none of them")])]);
                for op in ops {
                    values.insert(op.output.clone());
                    match op.input.as_pair() {
                        Some((old, new)) if op.f == "cas" => values.extend([old.clone(), new.clone()]),
                        _ => _ = values.insert(op.input.clone()),
                    }
                }
                Some(values.into_iter().map(|v| State::Value(v, i64::MIN, false)).collect())
            }
            "mutex" => Some(vec![State::Lock(None, i64::MIN), State::Lock(Some(ANYBODY), i64::MIN)]),
            "owner-mutex" | "fenced-mutex" => {
                let mut holders = BTreeSet::from([None, Some(ANYBODY)]);
                holders.extend(ops.iter().map(|op| Some(i64::from(op.process))));
                Some(holders.into_iter().map(|h| State::Lock(h, i64::MIN)).collect())
            }
            "semaphore" => match self.start()? {
                State::Number(all) if all <= 1000 => Some((0..=all).map(State::Number).collect()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the operation says nothing and does nothing, so that it belongs in no order.
    pub(super) fn says_nothing(&self, op: &Op<'_>) -> bool {
        let read = matches!(op.f, "read" | "get");
        op.outcome == Outcome::Fail
            || read && op.outcome == Outcome::Info
            || read && self.nil_reads_unknown && op.output.is_nil()
    }

    /// Whether the operation changes no state, whatever it is.
    pub(super) fn only_looks(&self, op: &Op<'_>) -> bool {
        match op.f {
            "read" | "get" => true,
            "cas" => op.output.as_str() == Some("mismatch"),
            "dequeue" | "pop" => op.outcome == Outcome::Ok && op.output.is_nil(),
            "txn" => accesses(op).is_some_and(|all| all.iter().all(|(write, ..)| !write)),
            _ => false,
        }
    }

    /// Lets the operation take effect; false if it cannot with what it answered.
    pub(super) fn step(&self, state: &mut State, history: &History, op: &Op<'_>) -> bool {
        match state {
            State::Value(..) => self.register(state, history, op),
            State::Values(values) => self.registers(values, op),
            State::Lock(..) => self.lock(state, op),
            State::Number(n) if self.model == "semaphore" => self.semaphore(n, op),
            State::Number(n) => counter(n, op),
            State::Elements(held) => self.set(held, op),
            State::Sequence(held) => self.sequence(held, op),
            State::Text(text) => string(text, op),
        }
    }

    fn register(&self, state: &mut State, history: &History, op: &Op<'_>) -> bool {
        let State::Value(value, version, exact) = state else { return false };
        let mismatch = op.output.as_str() == Some("mismatch");
        let new = match (op.f, op.input.as_pair()) {
            ("read", _) if op.output != value => return false,
            ("read", _) => None,
            ("write", _) => Some(op.input.clone()),
            ("cas", Some((old, _))) if mismatch && old == value => return false,
            ("cas", Some(_)) if mismatch => None,
            ("cas", Some((old, _))) if old != value => return false,
            ("cas", Some((_, new))) => Some(new.clone()),
            _ => return false,
        };
        if self.model != "versioned-register" {
            if let Some(new) = new {
                *value = new;
            }
            return true;
        }
        let seen = history.meta(op.index as usize).and_then(|m| m.revision);
        match (new, seen) {
            (Some(new), Some(v)) if v > *version => (*value, *version, *exact) = (new, v, true),
            (Some(_), Some(_)) => return false,
            (Some(new), None) => (*value, *version, *exact) = (new, version.saturating_add(1), false),
            (None, None) => {}
            (None, Some(v)) if *exact => return v == *version,
            (None, Some(v)) if v < *version => return false,
            (None, Some(v)) => (*version, *exact) = (v, true),
        }
        true
    }

    fn registers(&self, values: &mut BTreeMap<Value, Value>, op: &Op<'_>) -> bool {
        let Some(all) = accesses(op) else { return false };
        for (write, key, value) in all {
            if write {
                values.insert(key.clone(), value.clone());
            } else if !(op.outcome != Outcome::Ok || self.nil_reads_unknown && value.is_nil())
                && values.get(key).unwrap_or(&self.initial) != value
            {
                return false;
            }
        }
        true
    }

    fn lock(&self, state: &mut State, op: &Op<'_>) -> bool {
        let State::Lock(holder, last) = state else { return false };
        let me = if self.model == "mutex" { ANYBODY } else { i64::from(op.process) };
        match op.f {
            "acquire" if holder.is_some() => return false,
            "acquire" if self.model == "fenced-mutex" => {
                let token = op.output.as_int().unwrap_or(last.saturating_add(1));
                if token <= *last {
                    return false;
                }
                (*holder, *last) = (Some(me), token);
            }
            "acquire" => *holder = Some(me),
            "release" if *holder == Some(me) => *holder = None,
            _ => return false,
        }
        true
    }

    fn semaphore(&self, left: &mut i64, op: &Op<'_>) -> bool {
        let all = if self.initial.is_nil() { 1 } else { self.initial.as_int().unwrap_or(1) };
        let n = if op.input.is_nil() { 1 } else { op.input.as_int().unwrap_or(i64::MAX) };
        match op.f {
            "acquire" => *left -= n,
            "release" => *left += n,
            _ => return false,
        }
        (0..=all).contains(left)
    }

    fn set(&self, held: &mut BTreeSet<Value>, op: &Op<'_>) -> bool {
        let looked_at = |v: &Value| self.elements.as_ref().is_none_or(|e| e.contains(v));
        match op.f {
            "add" => _ = held.insert(op.input.clone()),
            "remove" => _ = held.remove(op.input),
            "read" => {
                let seen: BTreeSet<&Value> =
                    op.output.as_list().unwrap_or(&[]).iter().filter(|v| looked_at(v)).collect();
                return held.iter().filter(|v| looked_at(v)).eq(seen);
            }
            _ => return false,
        }
        true
    }

    fn sequence(&self, held: &mut VecDeque<Value>, op: &Op<'_>) -> bool {
        let unseen = op.outcome != Outcome::Ok;
        match op.f {
            "enqueue" | "push" => held.push_back(op.input.clone()),
            "dequeue" | "pop" if !unseen && op.output.is_nil() => return held.is_empty(),
            "dequeue" | "pop" => {
                let next = match self.model.as_str() {
                    "stack" => held.len().checked_sub(1),
                    "unordered-queue" if !unseen => held.iter().position(|e| e == op.output),
                    // Of a pool, which one nobody saw matters only where all are gone.
                    "priority-queue" | "unordered-queue" => (0..held.len()).min_by_key(|&i| &held[i]),
                    _ => (!held.is_empty()).then_some(0),
                };
                let taken = next.and_then(|i| held.remove(i));
                return unseen || taken.as_ref() == Some(op.output);
            }
            _ => return false,
        }
        true
    }
}

fn counter(sum: &mut i64, op: &Op<'_>) -> bool {
    let n = if op.input.is_nil() { 1 } else { op.input.as_int().unwrap_or(0) };
    match op.f {
        "add" | "increment" => *sum = sum.wrapping_add(n),
        "decrement" => *sum = sum.wrapping_sub(n),
        "add-and-get" => {
            *sum = sum.wrapping_add(n);
            return op.outcome != Outcome::Ok || op.output.as_int() == Some(*sum);
        }
        "read" => return op.output.as_int() == Some(*sum),
        _ => return false,
    }
    true
}

fn string(text: &mut String, op: &Op<'_>) -> bool {
    match op.f {
        "put" => *text = op.input.as_str().unwrap_or("").to_owned(),
        "append" => text.push_str(op.input.as_str().unwrap_or("")),
        "get" => return op.output.as_str().unwrap_or("") == text,
        _ => return false,
    }
    true
}

/// Writes or reads of a transaction: whether it writes, the key, the value.
fn accesses<'a>(op: &Op<'a>) -> Option<Vec<(bool, &'a Value, &'a Value)>> {
    let answered = op.outcome == Outcome::Ok && !op.output.is_nil();
    let list = if answered { op.output } else { op.input };
    let one = |item: &'a Value| match item.as_list()? {
        [f, key, value] => Some((matches!(f.as_str()?, "w" | "write"), key, value)),
        _ => None,
    };
    list.as_list()?.iter().map(one).collect()
}
