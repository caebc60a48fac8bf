//! Registers whose every state has a version: sort by version, one sweep.
//!
//! Where every completed operation says the version that it made or saw, the order of changes is known, and
//! what is left is whether answers fit it and real time agrees. Changes without an answer are left out,
//! which is one of the things that may have happened; if that explains all, the history is linearizable, and
//! if not, the general search must say.

use squall_history::{History, Op, Outcome};

use super::sweep::{Placed, conflict};
use crate::models::{Model, Register, RegisterOp};

/// Whether the versions show that the operations with these indexes are linearizable. If they do not, that
/// is for the general search to say.
pub(crate) fn linearizable(history: &History, indexes: impl Iterator<Item = u32>, model: &Register) -> bool {
    let mut all: Vec<(i64, RegisterOp, u32)> = Vec::new();
    for index in indexes {
        let op = history.op(index as usize);
        if op.outcome != Outcome::Ok {
            continue;
        }
        let Ok(projected) = model.project(&op) else { return false };
        let Some(projected) = projected else { continue };
        let version = history.meta(index as usize).and_then(|m| m.revision);
        let Some(version) = version else { return false };
        all.push((version, projected, index));
    }
    // A change comes before what saw its version.
    all.sort_by_key(|(version, op, _)| (*version, !changes(op)));
    placed(history, &all, model).is_some_and(|placed| conflict(&placed).is_none())
}

fn changes(op: &RegisterOp) -> bool {
    matches!(op, RegisterOp::Write(_) | RegisterOp::Cas(..))
}

/// The operations with their places, if every answer fits its version.
fn placed(history: &History, all: &[(i64, RegisterOp, u32)], model: &Register) -> Option<Vec<Placed>> {
    let mut state = model.init();
    let mut current = None;
    let mut made = 0u64;
    let mut placed = Vec::with_capacity(all.len());
    for (version, op, index) in all {
        if changes(op) {
            // No two changes make one version, nor one that was seen before any change.
            if current == Some(*version) {
                return None;
            }
            (current, made) = (Some(*version), made + 1);
        } else if *current.get_or_insert(*version) != *version {
            // A version that no change made, unless it is the initial one.
            return None;
        }
        state = model.step(&state, op)?;
        let Op { invoked, completed, .. } = history.op(*index as usize);
        placed.push(Placed { invoked, completed, level: 2 * made + u64::from(!changes(op)), index: *index });
    }
    Some(placed)
}
