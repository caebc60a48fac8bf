//! List-append columns from a history in columns.
//!
//! The same as [`super::columns`] makes of the general form, as long as nothing is wrong within single
//! transactions and lists of a key agree; where they do not, the general form says how.

use squall_history::{Access, AccessKind, Accesses, Outcome};

use super::columns::{Append, Columns, Read, Update};
use crate::txn::intern::Codes;
use crate::txn::order::Txn;

/// Longer transactions are left to the general form: looking back is quadratic here.
const LONGEST: usize = 256;

/// Reads a history; `None` if that has to be done by its general form.
pub fn columns_of_accesses(accesses: &Accesses) -> Option<Columns> {
    let mut out = Columns::default();
    out.txns.reserve_exact(accesses.len());
    for t in 0..accesses.len() {
        let (invoked, completed) = accesses.ranks(t);
        out.txns.push(Txn {
            index: t as u32,
            process: accesses.process(t),
            outcome: accesses.outcome(t),
            invoked,
            completed,
        });
        transaction(&mut out, accesses, t)?;
    }
    Some(out)
}

fn transaction(out: &mut Columns, accesses: &Accesses, t: usize) -> Option<()> {
    let ok = accesses.outcome(t) == Outcome::Ok;
    let steps = accesses.of(t);
    if steps.len() > LONGEST {
        return None;
    }
    for (m, step) in steps.clone().enumerate() {
        if step.kind == AccessKind::Write {
            out.ignored += 1;
            continue;
        }
        let key = out.keys.id_of_int(step.key);
        if key as usize == out.spines.len() {
            out.spines.push(Vec::new());
        }
        let same = move |s: &Access<'_>| s.key == step.key && s.kind != AccessKind::Write;
        let before = || steps.clone().take(m).rev().filter(same);
        if step.kind == AccessKind::Append {
            if !Codes::is_plain(step.value) {
                return None;
            }
            out.appends.push(Append { txn: t as u32, key, value: step.value });
            if ok && let Some(len) = update(before(), step.value)? {
                out.updates.push(Update { key, len: len as u32, txn: t as u32 });
            }
        } else if ok {
            let one = [step.value];
            let seen = elements(&step, &one);
            if !agrees_with_own(before(), seen) || !lengthen(&mut out.spines[key as usize], seen) {
                return None;
            }
            out.reads.push(Read { txn: t as u32, key, len: seen.len() as u32 });
        }
    }
    Some(())
}

/// What a read saw. A value that is no list counts as a list of one.
fn elements<'a>(step: &Access<'a>, one: &'a [i64; 1]) -> &'a [i64] {
    match step.kind {
        AccessKind::ReadList => step.list,
        AccessKind::Read => one,
        AccessKind::ReadNothing | AccessKind::Write | AccessKind::Append => &[],
    }
}

/// Lengthens the longest list of a key. False if the two disagree, or hold what is no plain number.
fn lengthen(spine: &mut Vec<i64>, seen: &[i64]) -> bool {
    let both = spine.len().min(seen.len());
    if spine[..both] != seen[..both] {
        return false;
    }
    let fresh = &seen[both..];
    spine.extend_from_slice(fresh);
    fresh.iter().all(|&v| Codes::is_plain(v))
}

/// Whether a read agrees with what its transaction read of the key, or appended to it, before.
fn agrees_with_own<'a>(before: impl Iterator<Item = Access<'a>>, seen: &[i64]) -> bool {
    // From the last to the first.
    let mut left = seen;
    for step in before {
        if step.kind != AccessKind::Append {
            return elements(&step, &[step.value]) == left;
        }
        match left.split_last() {
            Some((&last, rest)) if last == step.value => left = rest,
            Some(_) | None => return false,
        }
    }
    true
}

/// Of an append: how much its transaction had read of the key at first, if it had not appended yet. `None` if it
/// had read what it appends now.
fn update<'a>(before: impl Iterator<Item = Access<'a>>, value: i64) -> Option<Option<usize>> {
    let (mut first_read, mut appended) = (None, false);
    for step in before {
        let one = [step.value];
        if step.kind == AccessKind::Append {
            appended = true;
            continue;
        }
        let seen = elements(&step, &one);
        if seen.contains(&value) {
            return None;
        }
        first_read = Some(seen.len());
    }
    Some(first_read.filter(|_| !appended))
}
