//! Cycles of list-append transactions: every edge is looked up again in the lists that were read.

use serde_json::Value as Json;
use squall_history::{History, Op, Outcome, Value};

use super::view::{is_read, micros};

/// Whether the edges are shown by the history, and make a cycle of the name that is claimed.
pub(super) fn verify_cycle(history: &History, body: &Json) -> Result<(), String> {
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
