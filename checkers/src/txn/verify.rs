//! Accepts or rejects certificates about transactions, straight from the history and the definitions.
//!
//! Shares nothing with the checkers: no columns, no version orders, no graph. It is slow and short on purpose.
//!
//! A `cycle` is a list of edges, each of which says which transaction comes before which and why; every edge is
//! looked up again. An `order` is a list of commits (an operation's index) and beginnings (`-1 - index`) that
//! is played through.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use squall_history::{History, Op, Outcome, Value};

use crate::Certificate;

/// Whether the certificate proves what it claims of this history; otherwise why not.
pub fn verify(history: &History, certificate: &Certificate) -> Result<(), String> {
    match certificate.kind.as_str() {
        "cycle" => verify_cycle(history, &certificate.body),
        "order" => verify_order(history, &certificate.body),
        other => Err(format!("certificates of kind {other:?} are not known here")),
    }
}

/// (function, key, value) of each micro-operation that counts.
fn micros<'a>(op: &Op<'a>) -> Vec<(&'a str, &'a Value, &'a Value)> {
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
        _ => Vec::new(),
    }
}

fn is_read(f: &str) -> bool {
    f == "r" || f == "read"
}

fn verify_cycle(history: &History, body: &Json) -> Result<(), String> {
    let edges = body["edges"].as_array().ok_or("a cycle has edges")?;
    if edges.len() < 2 {
        return Err("a cycle has at least two edges".to_owned());
    }
    for (i, edge) in edges.iter().enumerate() {
        let next = &edges[(i + 1) % edges.len()];
        if edge["to"] != next["from"] {
            return Err(format!("edge {i} ends at {}, the next one begins at {}", edge["to"], next["from"]));
        }
        verify_edge(history, edge).map_err(|why| format!("edge {i}: {why}"))?;
    }
    let kinds: Vec<&str> = edges.iter().filter_map(|e| e["kind"].as_str()).collect();
    let wanted = body["anomaly"].as_str().ok_or("a cycle has a name")?;
    let name = cycle_name(&kinds);
    if name == wanted { Ok(()) } else { Err(format!("the cycle is called {wanted}, but it is {name}")) }
}

fn cycle_name(kinds: &[&str]) -> String {
    let count = |kind: &str| kinds.iter().filter(|&&k| k == kind).count();
    let n = kinds.len();
    let neighbours = (0..n).any(|i| kinds[i] == "rw" && kinds[(i + 1) % n] == "rw");
    let data = match (count("rw"), count("wr")) {
        (0, 0) => "G0",
        (0, _) => "G1c",
        (1, _) => "G-single",
        _ if neighbours => "G2-item",
        _ => "G-nonadjacent",
    };
    let order = if count("realtime") > 0 {
        "-realtime"
    } else if count("process") > 0 {
        "-process"
    } else {
        ""
    };
    format!("{data}{order}")
}

fn verify_edge(history: &History, edge: &Json) -> Result<(), String> {
    let at = |name: &str| {
        let index = edge[name].as_u64().ok_or("an edge has two ends")? as usize;
        if index < history.len() { Ok(history.op(index)) } else { Err(format!("there is no #{index}")) }
    };
    let (a, b) = (at("from")?, at("to")?);
    if a.outcome == Outcome::Fail || b.outcome == Outcome::Fail || a.index == b.index {
        return Err("a failed transaction, or one and the same".to_owned());
    }
    let holds = match edge["kind"].as_str().unwrap_or_default() {
        "process" => a.process == b.process && a.completed < b.invoked,
        "realtime" => a.completed < b.invoked,
        "ww" => lists_order(history, &a, &b),
        "wr" => {
            let (a, b) = (micros(&a), micros(&b));
            b.iter().filter(|m| is_read(m.0)).any(|(_, k, list)| {
                list.as_list()
                    .is_some_and(|l| a.iter().any(|(f, x, e)| *f == "append" && x == k && l.contains(e)))
            })
        }
        "rw" => missed(history, &a, &b),
        other => return Err(format!("no such edge: {other:?}")),
    };
    if holds { Ok(()) } else { Err(format!("the history does not show {edge}")) }
}

fn lists_of<'a>(history: &'a History, key: &'a Value) -> Vec<&'a [Value]> {
    let ok = history.ops().filter(|op| op.outcome == Outcome::Ok);
    let reads = ok.flat_map(|op| micros(&op)).filter(|(f, k, _)| is_read(f) && *k == key);
    reads.filter_map(|(_, _, v)| v.as_list()).collect()
}

fn appends<'a>(op: &Op<'a>) -> impl Iterator<Item = (&'a Value, &'a Value)> {
    micros(op).into_iter().filter(|(f, ..)| *f == "append").map(|(_, k, v)| (k, v))
}

/// Whether the transaction surely happened: it says so, or one of its appends was read.
fn happened(history: &History, op: &Op<'_>) -> bool {
    op.outcome == Outcome::Ok || appends(op).any(|(k, e)| lists_of(history, k).iter().any(|l| l.contains(e)))
}

/// `b` appended behind `a`: some list shows both in this order, or lists show `a` and nobody read `b`.
fn lists_order(history: &History, a: &Op<'_>, b: &Op<'_>) -> bool {
    appends(a).any(|(k, x)| {
        appends(b).filter(|(other, _)| *other == k).any(|(_, y)| {
            let lists = lists_of(history, k);
            let place = |l: &[Value], e: &Value| l.iter().position(|v| v == e);
            let shown = lists.iter().any(|l| place(l, x).zip(place(l, y)).is_some_and(|(i, j)| i < j));
            let unread = lists.iter().all(|l| !l.contains(y)) && lists.iter().any(|l| l.contains(x));
            shown || (unread && happened(history, b))
        })
    })
}

/// `a` read a list without an element that `b` appended behind it.
fn missed(history: &History, a: &Op<'_>, b: &Op<'_>) -> bool {
    if a.outcome != Outcome::Ok {
        return false;
    }
    let reads: Vec<_> = micros(a).into_iter().filter(|m| is_read(m.0)).collect();
    appends(b).any(|(k, y)| {
        let lists = lists_of(history, k);
        reads.iter().filter(|(_, key, _)| *key == k).any(|(_, _, seen)| {
            let seen = seen.as_list().unwrap_or_default();
            let later = lists.iter().any(|l| l.starts_with(seen) && l[seen.len()..].contains(y));
            let unread = lists.iter().all(|l| !l.contains(y));
            !seen.contains(y) && (later || (unread && happened(history, b)))
        })
    })
}

fn verify_order(history: &History, body: &Json) -> Result<(), String> {
    let steps: Vec<i64> = serde_json::from_value(body["steps"].clone()).map_err(|e| e.to_string())?;
    let initial: Value = serde_json::from_value(body["initial"].clone()).map_err(|e| e.to_string())?;
    let shape = body["shape"].as_str().unwrap_or_default();
    let mut play =
        Play { history, initial, versions: BTreeMap::new(), begun: BTreeMap::new(), commits: Vec::new() };
    for &step in &steps {
        let index = if step < 0 { -1 - step } else { step } as usize;
        if index >= history.len() || history.op(index).outcome == Outcome::Fail {
            return Err(format!("#{index} did not happen"));
        }
        if step < 0 || shape == "serial" {
            play.begin(index as u32, body["follow"].as_str().unwrap_or_default())?;
        }
        if step >= 0 {
            play.commit(index as u32, shape == "snapshot")?;
        }
    }
    let missing = history
        .ops()
        .find(|op| op.outcome == Outcome::Ok && !micros(op).is_empty() && !play.commits.contains(&op.index));
    missing.map_or(Ok(()), |op| Err(format!("#{} is missing", op.index)))
}

struct Play<'a> {
    history: &'a History,
    initial: Value,
    // Of each key: (number of commits before, value).
    versions: BTreeMap<Value, Vec<(usize, Value)>>,
    begun: BTreeMap<u32, usize>,
    commits: Vec<u32>,
}

impl Play<'_> {
    /// A transaction takes its snapshot: everything that had to come before it must be committed.
    fn begin(&mut self, index: u32, follow: &str) -> Result<(), String> {
        if self.begun.insert(index, self.commits.len()).is_some() {
            return Err(format!("#{index} begins twice"));
        }
        let me = self.history.op(index as usize);
        for op in self.history.ops().filter(|op| op.outcome == Outcome::Ok && !micros(op).is_empty()) {
            let before = op.completed < me.invoked
                && (follow == "realtime" || (follow == "process" && op.process == me.process));
            if before && !self.commits.contains(&op.index) {
                return Err(format!("#{} comes before #{index}, but was not committed then", op.index));
            }
        }
        Ok(())
    }

    fn commit(&mut self, index: u32, exclusive: bool) -> Result<(), String> {
        let began = *self.begun.get(&index).ok_or(format!("#{index} commits before it begins"))?;
        if self.commits.contains(&index) {
            return Err(format!("#{index} commits twice"));
        }
        let op = self.history.op(index as usize);
        let mut own: BTreeMap<&Value, &Value> = BTreeMap::new();
        for (f, key, value) in micros(&op) {
            if !is_read(f) {
                own.insert(key, value);
                continue;
            }
            let versions = self.versions.get(key).map_or(&[][..], Vec::as_slice);
            let snapshot =
                versions.iter().rev().find(|(at, _)| *at < began).map_or(&self.initial, |(_, v)| v);
            let now = own.get(key).copied().unwrap_or(snapshot);
            if op.outcome == Outcome::Ok && now != value {
                return Err(format!("#{index} read {value} from key {key}, where {now} stood"));
            }
        }
        for (key, value) in own {
            let versions = self.versions.entry(key.clone()).or_default();
            if exclusive && versions.last().is_some_and(|(at, _)| *at >= began) {
                return Err(format!("#{index} overwrites key {key}, which changed after it began"));
            }
            versions.push((self.commits.len(), value.clone()));
        }
        self.commits.push(index);
        Ok(())
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
