//! Mistakes of the museum that decide on local state, before a command enters the log.

use crate::bugs::Bug;
use crate::kv::{Command, Op, Store};

/// Does to `command` what `bug` does.
pub fn decide_too_early(command: &mut Command, store: &Store, bug: Option<Bug>) {
    match (bug, command) {
        (Some(Bug::CasCheckOutsideLog), Command::Cas { key, expected, decided, .. }) => {
            *decided = store.get(key).map(|v| v.value.as_ref()) == expected.as_deref();
        }
        (Some(Bug::WriteSkew), Command::Txn(txn)) => txn.decided = Some(store.holds(&txn.guards)),
        (Some(Bug::LostUpdate), Command::Txn(txn)) => {
            for op in txn.then.iter_mut().chain(&mut txn.otherwise) {
                if let Op::Append { key, read_before, .. } | Op::Add { key, read_before, .. } = op {
                    *read_before = Some(store.get(key).map(|v| v.value.to_string()));
                }
            }
        }
        _ => {}
    }
}
