//! Transactions of `["r" | "w" | "append", key, value]`: all keys are read at one moment, then everything is
//! written if none of them was changed. One that only reads is the first step alone.

use std::collections::BTreeMap;

use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::recipe::{commit, not_asked};
use super::{Change, Guarded, Held};

struct Micro {
    f: String,
    key: String,
    whole: Value,
    value: Value,
}

/// Guards on everything that was read or is written: reads count, or write skew would slip through.
pub(super) async fn run(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let micros = micros(op).ok_or_else(|| not_asked("a transaction is a list of [f, key, value]"))?;
    let keys = keys(&micros);
    let (held, version) = store.look(&keys, op.read_only).await?;
    let seen: Vec<(String, Held)> = keys.into_iter().zip(held).collect();
    let (filled, written) = apply(&micros, &seen);
    if written.is_empty() {
        return Ok(Completion::ok_at(filled, version));
    }
    let changes: Vec<Change> = written.into_iter().map(|(key, value)| Change { key, value }).collect();
    commit(store, op, &seen, &changes, filled).await
}

fn micros(op: &Operation) -> Option<Vec<Micro>> {
    let micro = |whole: &Value| {
        let [f, key, value] = whole.as_list()? else { return None };
        let key = format!("{}{key}", &op.on[..1]);
        Some(Micro { f: f.as_str()?.to_owned(), key, whole: whole.clone(), value: value.clone() })
    };
    op.value.as_list()?.iter().map(micro).collect()
}

/// Each key once, in the order of its name.
fn keys(micros: &[Micro]) -> Vec<String> {
    let mut keys: Vec<String> = micros.iter().map(|m| m.key.clone()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// Runs the steps on what was seen: the transaction with its reads filled in, and what it writes.
fn apply(micros: &[Micro], seen: &[(String, Held)]) -> (Vec<Value>, BTreeMap<String, Value>) {
    let mut written: BTreeMap<String, Value> = BTreeMap::new();
    let mut filled = Vec::with_capacity(micros.len());
    for micro in micros {
        let held = || seen.iter().find(|(key, _)| *key == micro.key).map(|(_, held)| &held.value);
        let current = written.get(&micro.key).or_else(held).cloned().unwrap_or_default();
        match &*micro.f {
            "r" => {
                let [f, key, _] = micro.whole.as_list().unwrap_or_default() else { continue };
                filled.push(Value::list([f.clone(), key.clone(), current]));
                continue;
            }
            "append" => {
                let mut list = current.as_list().unwrap_or_default().to_vec();
                list.push(micro.value.clone());
                written.insert(micro.key.clone(), Value::list(list));
            }
            _ => drop(written.insert(micro.key.clone(), micro.value.clone())),
        }
        filled.push(micro.whole.clone());
    }
    (filled, written)
}
