//! Orders that prove a model in which not everybody sees everything: one for all, or one for each session.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use squall_history::{History, Value};

use super::view::{View, view};

fn parse<T: serde::de::DeserializeOwned>(body: &Json, key: &str) -> Result<T, String> {
    serde_json::from_value(body[key].clone()).map_err(|e| format!("{key}: {e}"))
}

/// The history; every read has to be explained, except of own writes where the model does not care.
fn explained(history: &History, body: &Json, model: &str) -> Result<View, String> {
    let initial: Value = parse(body, "initial")?;
    let v = view(history, &initial);
    let allowed = |why: &str| model == "read-committed" && why == "internal";
    match v.unexplained.iter().find(|(_, why)| !allowed(why)) {
        Some((index, why)) => Err(format!("a read of #{index} has no one writer: {why}")),
        None => Ok(v),
    }
}

/// Positions of the operations in an order, each of them once and all that is asked for.
fn positions(v: &View, order: &[u32]) -> Result<Vec<usize>, String> {
    let of: BTreeMap<u32, usize> = v.txns.iter().enumerate().map(|(t, txn)| (txn.index, t)).collect();
    let mut met = BTreeSet::new();
    let mut found = Vec::with_capacity(order.len());
    for index in order {
        let t = *of.get(index).ok_or(format!("#{index} did not happen"))?;
        if !met.insert(t) {
            return Err(format!("#{index} is named twice"));
        }
        found.push(t);
    }
    Ok(found)
}

/// Of every transaction: its session, its place there, and how many of each session it knows.
type Knowledge = (Vec<usize>, Vec<u32>, Vec<Vec<u32>>);

/// Of every transaction, how many of each session it knows, by session order and reads-from, itself included.
/// The order must follow both.
fn knowledge(v: &View, order: &[usize]) -> Result<Knowledge, String> {
    let mut sessions: BTreeMap<u32, usize> = BTreeMap::new();
    let mut count: Vec<u32> = Vec::new();
    let (mut session, mut place) = (Vec::new(), Vec::new());
    for t in &v.txns {
        let fresh = sessions.len();
        let s = *sessions.entry(t.process).or_insert(fresh);
        if s == count.len() {
            count.push(0);
        }
        count[s] += 1;
        session.push(s);
        place.push(count[s]);
    }
    let mut known: Vec<Vec<u32>> = vec![Vec::new(); v.txns.len()];
    let mut last: Vec<Option<usize>> = vec![None; count.len()];
    for &t in order {
        let mut mine = last[session[t]].map_or_else(|| vec![0; count.len()], |before| known[before].clone());
        for from in v.txns[t].reads.iter().filter_map(|(_, from)| *from) {
            if known[from].is_empty() {
                return Err(format!(
                    "#{} read from #{}, which comes later",
                    v.txns[t].index, v.txns[from].index
                ));
            }
            mine.iter_mut().zip(&known[from]).for_each(|(a, b)| *a = (*a).max(*b));
        }
        if mine[session[t]] + 1 != place[t] {
            return Err(format!("#{} does not follow its session", v.txns[t].index));
        }
        mine[session[t]] = place[t];
        known[t] = mine;
        last[session[t]] = Some(t);
    }
    Ok((session, place, known))
}

/// One order of everything, for `causal` and the axioms of isolation.
pub(super) fn verify_arbitration(history: &History, body: &Json) -> Result<(), String> {
    let model: String = parse(body, "model")?;
    let v = explained(history, body, &model)?;
    let order = positions(&v, &parse::<Vec<u32>>(body, "order")?)?;
    if order.len() != v.txns.len() {
        return Err(format!("{} of {} transactions are in the order", order.len(), v.txns.len()));
    }
    let mut at = vec![0; order.len()];
    order.iter().enumerate().for_each(|(i, &t)| at[t] = i);
    match model.as_str() {
        "causal" | "weak-causal" => causal(&v, &order, &at),
        "read-committed" | "read-atomic" | "strong-session-read-committed" | "strong-session-read-atomic" => {
            axiom(&v, &model, &order, &at)
        }
        other => Err(format!("an order proves nothing about {other:?}")),
    }
}

/// Every read returns the last write, in the order, of those that the reader knew.
fn causal(v: &View, order: &[usize], at: &[usize]) -> Result<(), String> {
    let (session, place, known) = knowledge(v, order)?;
    let mut writers: BTreeMap<&Value, Vec<usize>> = BTreeMap::new();
    for &t in order {
        v.txns[t].writes.iter().for_each(|key| writers.entry(key).or_default().push(t));
    }
    for (t, txn) in v.txns.iter().enumerate() {
        for (key, from) in &txn.reads {
            let all = writers.get(key).map_or(&[][..], Vec::as_slice);
            let before = all.partition_point(|&w| at[w] < at[t]);
            let last = all[..before].iter().rev().find(|&&w| known[t][session[w]] >= place[w]);
            if last != from.as_ref() {
                return Err(format!("#{} knew another write of key {key} than it read", txn.index));
            }
        }
    }
    Ok(())
}

/// The axioms of Biswas and Enea: whoever is seen by a reader of a key, and wrote that key, comes before the one
/// that was read. Plain read committed asks for no more than an order of reads-from.
fn axiom(v: &View, model: &str, order: &[usize], at: &[usize]) -> Result<(), String> {
    let sessions = model.starts_with("strong-session");
    if sessions {
        knowledge(v, order)?;
    }
    let mut latest: BTreeMap<(u32, &Value), usize> = BTreeMap::new();
    for (t, txn) in v.txns.iter().enumerate() {
        for (i, (key, from)) in txn.reads.iter().enumerate() {
            if from.is_some_and(|w| at[w] >= at[t]) {
                return Err(format!("#{} comes before what it read", txn.index));
            }
            let reads = match model {
                "read-committed" => &[],
                "strong-session-read-committed" => &txn.reads[..i],
                _ => &txn.reads[..],
            };
            let own = latest.get(&(txn.process, key)).filter(|_| model == "strong-session-read-atomic");
            let seen = reads.iter().filter_map(|(_, w)| w.as_ref()).chain(own);
            for &w in seen.filter(|&&w| Some(w) != *from && v.txns[w].writes.contains(key)) {
                if from.is_none_or(|f| at[w] > at[f]) {
                    let w = v.txns[w].index;
                    return Err(format!("#{} saw #{w}, but not its write of key {key}", txn.index));
                }
            }
        }
        latest.extend(txn.writes.iter().map(|key| ((txn.process, key), t)));
    }
    Ok(())
}

/// One order for each session, for `causal-memory` and `pram`.
pub(super) fn verify_session_orders(history: &History, body: &Json) -> Result<(), String> {
    let model: String = parse(body, "model")?;
    if model != "causal-memory" && model != "pram" {
        return Err(format!("orders of sessions prove nothing about {model:?}"));
    }
    let v = explained(history, body, &model)?;
    if model == "causal-memory" {
        // The rest, which the orders leave out, has to have an order too.
        let all = positions(&v, &parse::<Vec<u32>>(body, "order")?)?;
        if all.len() != v.txns.len() {
            return Err("the order of everything is not of everything".to_owned());
        }
        knowledge(&v, &all)?;
    }
    let orders: Vec<Vec<u32>> = parse(body, "orders")?;
    let mut explained: BTreeSet<u32> = BTreeSet::new();
    for order in &orders {
        let order = positions(&v, order)?;
        let Some(process) = order.last().map(|&t| v.txns[t].process) else { continue };
        session_order(&v, &order, process, model == "causal-memory")?;
        explained.insert(process);
    }
    match v.txns.iter().find(|t| !t.reads.is_empty() && !explained.contains(&t.process)) {
        Some(t) => Err(format!("process {} has no order", t.process)),
        None => Ok(()),
    }
}

/// An order of one session's past: nothing that must come before is left out or comes later, all transactions of
/// the session are there, and its reads see the latest writes.
fn session_order(v: &View, order: &[usize], process: u32, causal: bool) -> Result<(), String> {
    let mut placed: BTreeMap<u32, usize> = BTreeMap::new();
    let mut before: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    let mut last_of: BTreeMap<u32, usize> = BTreeMap::new();
    for (t, txn) in v.txns.iter().enumerate() {
        before.insert(t, last_of.insert(txn.process, t));
    }
    let mut done: BTreeSet<usize> = BTreeSet::new();
    let mut latest: BTreeMap<&Value, usize> = BTreeMap::new();
    for &t in order {
        let txn = &v.txns[t];
        let name = txn.index;
        if before[&t].is_some_and(|b| !done.contains(&b)) {
            return Err(format!("#{name} does not follow its session"));
        }
        for (key, from) in &txn.reads {
            if (causal || txn.process == process) && from.is_some_and(|w| !done.contains(&w)) {
                return Err(format!("#{name} comes before what it read"));
            }
            if txn.process == process && latest.get(key) != from.as_ref() {
                return Err(format!("#{name} did not read the latest write of key {key}"));
            }
        }
        latest.extend(txn.writes.iter().map(|key| (key, t)));
        done.insert(t);
        *placed.entry(txn.process).or_default() += 1;
    }
    let all = v.txns.iter().filter(|t| t.process == process).count();
    if placed.get(&process) == Some(&all) { Ok(()) } else { Err(format!("process {process} is cut short")) }
}
