//! Mistakes of the museum that decide on local state, before a command enters the log.

use crate::bugs::Bug;
use crate::kv::{Command, Op, Store, Txn};

/// Does to `command` what `bug` does.
pub fn decide_too_early(command: &mut Command, store: &Store, bug: Option<Bug>) {
    match (bug, command) {
        (Some(Bug::CasCheckOutsideLog), Command::Cas { key, expected, decided, .. }) => {
            *decided = store.get(key).map(|v| v.value.as_ref()) == expected.as_deref();
        }
        (Some(Bug::WriteSkew), Command::Txn(txn)) => txn.decided = Some(store.holds(&txn.guards)),
        (Some(Bug::LostUpdate), Command::Txn(txn)) => {
            for op in txn.then.iter_mut().chain(&mut txn.otherwise) {
                compute_now(op, store);
            }
        }
        _ => {}
    }
}

/// Replaces an update by a write of what it would give now.
fn compute_now(op: &mut Op, store: &Store) {
    let key = match op {
        Op::Append { key, .. } | Op::Add { key, .. } => key.clone(),
        _ => return,
    };
    // The very step, carried out on a copy.
    let mut copy = store.clone();
    copy.apply(store.applied(), Command::Txn(Txn { then: vec![op.clone()], ..Txn::default() }));
    if let Some(found) = copy.get(&key) {
        *op = Op::Write { key, value: found.value.to_string() };
    }
}
