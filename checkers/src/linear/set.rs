//! Sets that only grow, whose every element is added once: inclusion chain and one sweep.
//!
//! What was read, sorted by size, must be a chain under inclusion. That gives every operation its place: a
//! read by what it saw, an add between the reads that lack and those that have its element. Real time must
//! agree with these places, and that is all.

use rustc_hash::FxHashMap;
use squall_history::{History, NEVER, Outcome, Value};

use super::sweep::{Placed, conflict};

/// What the chain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Chain {
    NotThisShape,
    Linearizable,
    Broken(Broken),
}

/// What is wrong: it shows in these operations, looking at these elements alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    pub shape: &'static str,
    pub operations: Vec<u32>,
    pub elements: Vec<Value>,
}

struct Add {
    index: u32,
    /// The place in the chain of the first read that has it, from 0.
    seen: u32,
    /// The last read that was looked at and has it.
    last: u32,
}

const UNSEEN: u32 = u32::MAX;

/// Judges the operations with these indexes.
pub(crate) fn judge(history: &History, indexes: impl Iterator<Item = u32> + Clone) -> Chain {
    let mut adds: Vec<Add> = Vec::new();
    let mut numbers: FxHashMap<&Value, u32> = FxHashMap::default();
    let mut reads: Vec<u32> = Vec::new();
    for index in indexes {
        let op = history.op(index as usize);
        match (op.f, op.outcome) {
            (_, Outcome::Fail) | ("read", Outcome::Info) => {}
            ("add", _) => {
                if numbers.insert(op.input, adds.len() as u32).is_some() {
                    return Chain::NotThisShape;
                }
                adds.push(Add { index, seen: UNSEEN, last: UNSEEN });
            }
            ("read", Outcome::Ok) if op.output.as_list().is_some() => reads.push(index),
            _ => return Chain::NotThisShape,
        }
    }
    let seen = |index: u32| history.op(index as usize).output.as_list().unwrap_or(&[]);
    reads.sort_by_key(|&read| seen(read).len());
    let mut place_of = vec![0u32; reads.len()];
    for (at, &read) in reads.iter().enumerate() {
        let before = if at == 0 { 0 } else { seen(reads[at - 1]).len() };
        let place = if at > 0 && before == seen(read).len() { place_of[at - 1] } else { at as u32 };
        place_of[at] = place;
        let mut known = 0;
        for element in seen(read) {
            let Some(&number) = numbers.get(element) else {
                let elements = vec![element.clone()];
                return Chain::Broken(Broken { shape: "never-added", operations: vec![read], elements });
            };
            let add = &mut adds[number as usize];
            if add.last == at as u32 {
                return Chain::NotThisShape;
            }
            known += usize::from(add.seen != UNSEEN);
            add.last = at as u32;
            if add.seen == UNSEEN {
                add.seen = place;
            }
        }
        if known != before {
            let other = reads[at - 1];
            return Chain::Broken(disagreement(history, &adds, &numbers, other, read));
        }
    }
    in_time(history, &adds, &reads, &place_of)
}

/// Two reads of which neither has all of the other.
fn disagreement(
    history: &History,
    adds: &[Add],
    numbers: &FxHashMap<&Value, u32>,
    smaller: u32,
    larger: u32,
) -> Broken {
    let seen = |index: u32| history.op(index as usize).output.as_list().unwrap_or(&[]);
    let lacks = |index: u32, element: &&Value| !seen(index).contains(element);
    let only = |one: u32, other: u32| seen(one).iter().find(|e| lacks(other, e));
    let elements: Vec<Value> =
        [only(smaller, larger), only(larger, smaller)].into_iter().flatten().cloned().collect();
    let mut operations = vec![smaller, larger];
    operations.extend(elements.iter().filter_map(|e| numbers.get(e)).map(|&n| adds[n as usize].index));
    operations.sort_unstable();
    Broken { shape: "reads-disagree", operations, elements }
}

fn in_time(history: &History, adds: &[Add], reads: &[u32], place_of: &[u32]) -> Chain {
    let mut placed = Vec::with_capacity(adds.len() + reads.len());
    for add in adds {
        let op = history.op(add.index as usize);
        if add.seen == UNSEEN && op.completed == NEVER {
            continue;
        }
        let level = 2 * u64::from(add.seen);
        placed.push(Placed { invoked: op.invoked, completed: op.completed, level, index: add.index });
    }
    for (&read, &place) in reads.iter().zip(place_of) {
        let op = history.op(read as usize);
        let level = 2 * u64::from(place) + 1;
        placed.push(Placed { invoked: op.invoked, completed: op.completed, level, index: read });
    }
    let Some((earlier, later)) = conflict(&placed) else { return Chain::Linearizable };
    let ops = [earlier, later].map(|p| history.op(p.index as usize));
    let mut operations = vec![earlier.index, later.index];
    let mut elements: Vec<Value> = Vec::new();
    for op in &ops {
        if op.f == "add" {
            elements.push(op.input.clone());
        }
    }
    let seen = |index: u32| history.op(index as usize).output.as_list().unwrap_or(&[]);
    if elements.is_empty() {
        // Both are reads: some element was there and then was not.
        let gone = seen(earlier.index).iter().find(|e| !seen(later.index).contains(e));
        let add = gone.and_then(|e| adds.iter().find(|a| history.op(a.index as usize).input == e));
        elements.extend(gone.cloned());
        operations.extend(add.map(|a| a.index));
    } else if elements.len() == 2 {
        // Both are adds: a read has the later one and lacks the earlier.
        let between = reads.iter().zip(place_of).find(|(_, place)| 2 * u64::from(**place) == later.level);
        operations.extend(between.map(|(&read, _)| read));
    }
    operations.sort_unstable();
    Chain::Broken(Broken { shape: "lost-or-early-element", operations, elements })
}
