//! The two kinds of certificate: an order that is legal, or operations that have none.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_history::{History, NEVER, Op, Outcome, Value};

use super::absent::{Absence, Listed};
use super::sequential::{Kind, State};
use crate::Certificate;

/// Orders tried before giving up.
const MOST: usize = 4_000_000;

#[derive(Deserialize)]
struct About {
    model: String,
    #[serde(default)]
    initial: Value,
    #[serde(default)]
    nil_reads_unknown: bool,
    keyed: bool,
}

#[derive(Deserialize)]
struct Linearization {
    objects: Vec<ObjectOrder>,
}

#[derive(Deserialize)]
struct ObjectOrder {
    key: Value,
    order: Vec<u32>,
}

#[derive(Deserialize)]
struct NoOrder {
    key: Value,
    any_start: bool,
    #[serde(default)]
    elements: Option<Vec<Value>>,
    operations: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    index: u32,
    open: bool,
}

/// Accepts a certificate of linearizability or of its absence, or says what is wrong with it.
pub fn accept(history: &History, certificate: &Certificate) -> Result<(), String> {
    let about: About = parse(&certificate.body)?;
    let keyed = about.keyed || about.model == "kv-append";
    let mut kind = Kind {
        model: about.model,
        initial: about.initial,
        nil_reads_unknown: about.nil_reads_unknown,
        elements: None,
    };
    match certificate.kind.as_str() {
        "linearization" => {
            let orders: Linearization = parse(&certificate.body)?;
            every_operation_is_ordered(history, &kind, keyed, &orders)?;
            orders.objects.iter().try_for_each(|object| legal(history, &kind, keyed, object))
        }
        "nonlinearizable" => {
            let claim: NoOrder = parse(&certificate.body)?;
            kind.elements = claim.elements.as_ref().map(|e| e.iter().cloned().collect());
            no_order(history, &kind, keyed, &claim)
        }
        other => Err(format!("this is no certificate of linearizability: {other}")),
    }
}

fn parse<T: for<'de> Deserialize<'de>>(body: &Json) -> Result<T, String> {
    T::deserialize(body).map_err(|e| format!("the certificate cannot be read: {e}"))
}

fn op_at(history: &History, index: u32) -> Result<Op<'_>, String> {
    let there = (index as usize) < history.len();
    if there { Ok(history.op(index as usize)) } else { Err(format!("there is no operation #{index}")) }
}

fn every_operation_is_ordered(
    history: &History,
    kind: &Kind,
    keyed: bool,
    orders: &Linearization,
) -> Result<(), String> {
    let mut ordered = HashSet::new();
    for object in &orders.objects {
        for &index in &object.order {
            let op = op_at(history, index)?;
            if !ordered.insert(index) || op.outcome == Outcome::Fail || keyed && *op.key != object.key {
                return Err(format!("#{index} has no place in the order of {}", object.key));
            }
        }
    }
    if !keyed && orders.objects.len() > 1 {
        return Err("one object has one order".to_owned());
    }
    let must = |op: &Op<'_>| op.outcome == Outcome::Ok && !kind.says_nothing(op);
    let silent =
        |op: &Op<'_>| kind.model == "multi-register" && kind.only_looks(op) && kind.nil_reads_unknown;
    match history.ops().find(|op| must(op) && !silent(op) && !ordered.contains(&op.index)) {
        Some(op) => Err(format!("#{} completed, but is not in the order", op.index)),
        None => Ok(()),
    }
}

fn legal(history: &History, kind: &Kind, _keyed: bool, object: &ObjectOrder) -> Result<(), String> {
    let mut state = kind.start().ok_or_else(|| format!("there is no model {}", kind.model))?;
    let mut latest = 0;
    for &index in &object.order {
        let op = op_at(history, index)?;
        if op.completed < latest {
            return Err(format!(
                "#{index} is ordered after an operation that was invoked when it had completed"
            ));
        }
        latest = latest.max(op.invoked);
        let before = state.clone();
        if !kind.step(&mut state, history, &op) {
            return Err(format!("#{index} cannot take effect in {before:?}"));
        }
    }
    Ok(())
}

fn no_order(history: &History, kind: &Kind, keyed: bool, claim: &NoOrder) -> Result<(), String> {
    let mut listed = Vec::new();
    for entry in &claim.operations {
        let op = op_at(history, entry.index)?;
        if op.outcome == Outcome::Fail || kind.says_nothing(&op) || keyed && *op.key != claim.key {
            return Err(format!("#{} says nothing here", entry.index));
        }
        listed.push(Listed { op, open: entry.open || op.completed == NEVER });
    }
    listed.sort_by_key(|l| l.op.index);
    if listed.windows(2).any(|pair| pair[0].op.index == pair[1].op.index) {
        return Err("an operation is listed twice".to_owned());
    }
    let absence = Absence::new(kind, claim.any_start, &listed);
    let here = |op: &Op<'_>| !keyed || *op.key == claim.key;
    let is_listed = |op: &Op<'_>| listed.binary_search_by_key(&op.index, |l| l.op.index).is_ok();
    if let Some(op) = history.ops().find(|op| here(op) && !is_listed(op) && !absence.may_be_absent(op)) {
        return Err(format!("#{} is left out, yet it might explain the rest", op.index));
    }
    let ops: Vec<Op<'_>> = listed.iter().map(|l| l.op).collect();
    let starts = if claim.any_start { kind.anywhere(&ops) } else { kind.start().map(|s| vec![s]) };
    let starts = starts.ok_or_else(|| format!("{} cannot start anywhere", kind.model))?;
    for start in starts {
        let found = some_order(history, kind, &listed, start.clone())?;
        if found {
            return Err(format!("the operations have a legal order from {start:?}"));
        }
    }
    Ok(())
}

/// Tries every order; those that took the same operations to the same state only once.
fn some_order(history: &History, kind: &Kind, listed: &[Listed<'_>], start: State) -> Result<bool, String> {
    let mut seen: HashSet<(Vec<u64>, State)> = HashSet::new();
    let mut stack = vec![(vec![0u64; listed.len().div_ceil(64)], start)];
    while let Some((done, state)) = stack.pop() {
        if seen.len() > MOST {
            return Err("too many orders to try".to_owned());
        }
        if !seen.insert((done.clone(), state.clone())) {
            continue;
        }
        let left = || listed.iter().enumerate().filter(|(i, _)| done[i / 64] >> (i % 64) & 1 == 0);
        let Some(deadline) = left().filter(|(_, l)| !l.open).map(|(_, l)| l.op.completed).min() else {
            return Ok(true);
        };
        for (i, l) in left().take_while(|(_, l)| l.op.invoked < deadline) {
            let mut next = state.clone();
            if kind.step(&mut next, history, &l.op) {
                let mut more = done.clone();
                more[i / 64] |= 1 << (i % 64);
                stack.push((more, next));
            }
        }
    }
    Ok(false)
}
