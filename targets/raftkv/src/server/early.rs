//! Mistakes of the museum on both sides of the log: deciding on local state before a command enters it, and
//! applying what comes out of it wrongly. The simulator calls these, too.

use crate::bugs::Bug;
use crate::kv::{Command, Op, Store};
use crate::raft::{Core, Index, Output, Role};

/// Does to what is about to be applied what `bug` does.
pub fn misapply(output: &mut Output, core: &Core, applied: Index, bug: Option<Bug>) {
    match bug {
        Some(Bug::DuplicateApply) => {
            for _ in output.role_changes.iter().filter(|change| change.role == Role::Leader) {
                output.committed.extend(core.log().get(applied).cloned());
            }
        }
        Some(Bug::ApplyOutOfOrder) => output.committed.reverse(),
        _ => {}
    }
}

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
