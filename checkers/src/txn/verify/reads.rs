//! Reads that no order can explain, looked up again.

use serde_json::Value as Json;
use squall_history::{History, Op, Outcome, Value};

use super::view::{initials, is_read, micros};

/// Whether one of the operations that are named read what it cannot have read.
pub(super) fn verify_reads(history: &History, body: &Json) -> Result<(), String> {
    let anomaly = body["anomaly"].as_str().ok_or("the anomaly has no name")?;
    let named: Vec<u32> = serde_json::from_value(body["operations"].clone()).map_err(|e| e.to_string())?;
    let initial: Value = serde_json::from_value(body["initial"].clone()).map_err(|e| e.to_string())?;
    let there = named.iter().filter(|&&i| (i as usize) < history.len());
    let mut ops = there.map(|&i| history.op(i as usize)).filter(|op| op.outcome == Outcome::Ok);
    let first = |key: &Value| initials(history).get(key).unwrap_or(&initial).clone();
    let holds = match anomaly {
        "ThinAirRead" | "thin-air-read" => ops.any(|op| {
            reads(&op).any(|(key, value)| value != first(key) && writers(history, key, &value).is_empty())
        }),
        "G1a" => ops.any(|op| {
            reads(&op).any(|(key, value)| {
                let all = writers(history, key, &value);
                value != first(key) && !all.is_empty() && all.iter().all(|w| w.0.outcome == Outcome::Fail)
            })
        }),
        "G1b" => ops.any(|op| {
            finals(&op).any(|(key, value)| {
                let mut all = writers(history, key, &value);
                all.retain(|w| w.0.outcome != Outcome::Fail);
                value != first(key) && !all.is_empty() && all.iter().all(|w| !w.1 && w.0.index != op.index)
            })
        }),
        "internal" => ops.any(|op| contradicts_itself(&op)),
        "future-read" => ops.any(|op| reads_its_future(&op)),
        other => return Err(format!("{other:?} is not looked up by reads alone")),
    };
    if holds { Ok(()) } else { Err(format!("none of the operations shows {anomaly}")) }
}

/// Every value that an operation read from others: of a list each element.
fn reads<'a>(op: &Op<'a>) -> impl Iterator<Item = (&'a Value, Value)> + use<'a> {
    let all = micros(op).into_iter().filter(|(f, ..)| is_read(f));
    all.flat_map(|(_, key, value)| match value.as_list() {
        Some(items) => items.iter().map(|v| (key, v.clone())).collect::<Vec<_>>(),
        None => vec![(key, value.clone())],
    })
}

/// The same, but of a list the last element only.
fn finals<'a>(op: &Op<'a>) -> impl Iterator<Item = (&'a Value, Value)> + use<'a> {
    let all = micros(op).into_iter().filter(|(f, ..)| is_read(f));
    all.filter_map(|(_, key, value)| match value.as_list() {
        Some(items) => items.last().map(|v| (key, v.clone())),
        None => Some((key, value.clone())),
    })
}

/// Who wrote a value, and whether it was the writer's last one of that key.
fn writers<'a>(history: &'a History, key: &Value, value: &Value) -> Vec<(Op<'a>, bool)> {
    let mut found = Vec::new();
    for op in history.ops().filter(|op| history.initial_operation != Some(op.index)) {
        let writes: Vec<&Value> =
            micros(&op).into_iter().filter(|(f, k, _)| !is_read(f) && *k == key).map(|(_, _, v)| v).collect();
        if writes.contains(&value) {
            let last = writes.last() == Some(&value);
            found.push((op, last));
        }
    }
    found
}

fn contradicts_itself(op: &Op<'_>) -> bool {
    let all = micros(op);
    (0..all.len()).any(|i| {
        let (f, key, value) = all[i];
        if !is_read(f) {
            return false;
        }
        // What the transaction itself did to the key before, back to its last read or write of it.
        let mut appended: Vec<&Value> = Vec::new();
        let mut base: Option<&Value> = None;
        for (f, k, v) in all[..i].iter().rev().filter(|m| m.1 == key) {
            debug_assert_eq!(*k, key);
            if *f == "append" {
                appended.push(v);
            } else {
                base = Some(v);
                break;
            }
        }
        appended.reverse();
        let seen = value.as_list();
        match (base, appended.is_empty()) {
            (None, true) => false,
            (Some(base), true) => base != value && !(base.is_nil() && seen.is_some_and(<[Value]>::is_empty)),
            (base, false) => {
                let seen = seen.unwrap_or_default();
                let own: Vec<&Value> = seen.iter().rev().take(appended.len()).rev().collect();
                let rest = &seen[..seen.len().saturating_sub(appended.len())];
                own != appended || base.is_some_and(|b| b.as_list().unwrap_or_default() != rest)
            }
        }
    })
}

fn reads_its_future(op: &Op<'_>) -> bool {
    let all = micros(op);
    (0..all.len()).any(|i| {
        let (f, key, value) = all[i];
        let saw = |v: &Value| value == v || value.as_list().is_some_and(|l| l.contains(v));
        is_read(f) && all[i + 1..].iter().any(|(f, k, v)| !is_read(f) && *k == key && saw(v))
    })
}
