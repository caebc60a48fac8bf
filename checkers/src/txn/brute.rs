//! Definitions of models by trying every order. Only for tests: time grows with the factorial.

use std::collections::BTreeMap;

use squall_history::{History, Outcome, Value};

use super::micro::{Micro, list, micro};
use super::order::Txn;

/// A transaction as the definitions see it.
#[derive(Clone, Debug)]
pub struct Plain<'a> {
    pub txn: Txn,
    pub micros: Vec<Micro<'a>>,
}

/// Transactions that may have happened.
pub fn plain(history: &History) -> Vec<Plain<'_>> {
    history
        .ops()
        .filter(|op| op.outcome != Outcome::Fail)
        .filter_map(|op| {
            let micros = list(&op)?.iter().filter_map(micro).collect();
            let txn = Txn {
                index: op.index,
                process: op.process,
                outcome: op.outcome,
                invoked: op.invoked,
                completed: op.completed,
            };
            Some(Plain { txn, micros })
        })
        .collect()
}

pub type State = BTreeMap<Value, Value>;

/// Runs a transaction on a state. `None` if a read of an ok transaction does not fit.
pub fn run(state: &State, t: &Plain<'_>) -> Option<State> {
    let mut state = state.clone();
    for m in &t.micros {
        match m {
            Micro::Read(key, value) => {
                let now = state.get(*key).cloned().unwrap_or(Value::Nil);
                let same = now == **value || (now.is_nil() && value.as_list().is_some_and(<[_]>::is_empty));
                if t.txn.outcome == Outcome::Ok && !same {
                    return None;
                }
            }
            Micro::Append(key, value) => {
                let mut items = state.get(*key).and_then(Value::as_list).unwrap_or_default().to_vec();
                items.push((*value).clone());
                state.insert((*key).clone(), Value::list(items));
            }
            Micro::Write(key, value) => {
                state.insert((*key).clone(), (*value).clone());
            }
        }
    }
    Some(state)
}

fn writes<'a>(t: &Plain<'a>) -> Vec<&'a Value> {
    t.micros
        .iter()
        .filter_map(|m| match m {
            Micro::Append(key, _) | Micro::Write(key, _) => Some(*key),
            Micro::Read(..) => None,
        })
        .collect()
}

/// What orders a model must follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    Nothing,
    Process,
    Realtime,
}

/// Whether `a` must come before `b`.
pub fn precedes(a: &Txn, b: &Txn, follow: Follow) -> bool {
    let apart = a.completed < b.invoked;
    match follow {
        Follow::Nothing => false,
        Follow::Process => a.process == b.process && apart,
        Follow::Realtime => apart,
    }
}

/// Every choice of the transactions of unknown outcome, together with all committed ones.
pub fn choices<'h, 'v>(all: &'h [Plain<'v>]) -> impl Iterator<Item = Vec<&'h Plain<'v>>> {
    let unknown: Vec<usize> = (0..all.len()).filter(|&i| all[i].txn.outcome == Outcome::Info).collect();
    (0..1u32 << unknown.len()).map(move |mask| {
        (0..all.len())
            .filter(|i| unknown.iter().position(|u| u == i).is_none_or(|bit| mask & (1 << bit) != 0))
            .map(|i| &all[i])
            .collect()
    })
}

/// Whether some order of transactions explains every read.
pub fn serializable(all: &[Plain<'_>], follow: Follow) -> bool {
    choices(all).any(|chosen| place(&chosen, &mut vec![false; chosen.len()], &State::new(), follow))
}

fn place(all: &[&Plain<'_>], placed: &mut Vec<bool>, state: &State, follow: Follow) -> bool {
    if placed.iter().all(|&p| p) {
        return true;
    }
    for i in 0..all.len() {
        let blocked = placed[i]
            || (0..all.len()).any(|j| !placed[j] && j != i && precedes(&all[j].txn, &all[i].txn, follow));
        if blocked {
            continue;
        }
        if let Some(next) = run(state, all[i]) {
            placed[i] = true;
            if place(all, placed, &next, follow) {
                return true;
            }
            placed[i] = false;
        }
    }
    false
}

/// Whether some order of beginnings and commits explains every read by a snapshot, such that nobody
/// overwrote between a transaction's beginning and commit what it writes.
pub fn snapshot_isolated(all: &[Plain<'_>], follow: Follow) -> bool {
    snapshots(all, follow, true)
}

/// The same, where concurrent writers of one object may be allowed.
pub fn snapshots(all: &[Plain<'_>], follow: Follow, exclusive: bool) -> bool {
    choices(all).any(|chosen| {
        let mut snapshots = vec![None; chosen.len()];
        let mut committed = Vec::new();
        schedule(&chosen, &mut snapshots, &mut committed, follow, exclusive)
    })
}

// `committed`: who committed, in order, with the state after it.
fn schedule(
    all: &[&Plain<'_>],
    begun: &mut Vec<Option<usize>>,
    committed: &mut Vec<(usize, State)>,
    follow: Follow,
    exclusive: bool,
) -> bool {
    if committed.len() == all.len() {
        return true;
    }
    for i in 0..all.len() {
        if committed.iter().any(|(c, _)| *c == i) {
            continue;
        }
        if let Some(at) = begun[i] {
            let mine = writes(all[i]);
            let clash = committed[at..].iter().any(|(c, _)| writes(all[*c]).iter().any(|k| mine.contains(k)));
            let snapshot = at.checked_sub(1).map_or_else(State::new, |c| committed[c].1.clone());
            let Some(after) = run(&snapshot, all[i]) else { continue };
            if clash && exclusive {
                continue;
            }
            let mut state = committed.last().map_or_else(State::new, |(_, s)| s.clone());
            for key in mine {
                state.insert(key.clone(), after[key].clone());
            }
            committed.push((i, state));
            if schedule(all, begun, committed, follow, exclusive) {
                return true;
            }
            committed.pop();
        } else {
            let waits = (0..all.len()).any(|j| {
                j != i && precedes(&all[j].txn, &all[i].txn, follow) && committed.iter().all(|(c, _)| *c != j)
            });
            if waits {
                continue;
            }
            begun[i] = Some(committed.len());
            if schedule(all, begun, committed, follow, exclusive) {
                return true;
            }
            begun[i] = None;
        }
    }
    false
}
