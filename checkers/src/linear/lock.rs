//! Locks, in O(n log n).
//!
//! Where only the holder may release, a process holds the lock at least from the completion of its acquire to
//! the invocation of its release. Of two holds whose such stretches are apart, one must be the earlier, so
//! there is one order of all holds; it is legal exactly if no two stretches overlap, and the model then says
//! whether the answers (tokens) fit. An acquire without an answer by a process that did nothing more could
//! only keep the others out: it did not happen.
//!
//! Where anyone may release, acquires and releases take turns, and it does not matter which. Each waits as
//! long as it can: when an acquire completes while the lock is held, the release that completes first goes
//! before it, and the other way round. Whatever else can be reached, can be reached from there, by pairs of
//! an acquire and a release that wait. So this is complete.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rustc_hash::FxHashMap;
use squall_history::{NEVER, ProcessId};

use super::problem::{Call, Problem};
use crate::models::{LockOp, Model};

/// What is said of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Locks {
    /// The shape is not one that this is complete for.
    NotThisShape,
    /// The calls that took effect, in a legal order.
    Order(Vec<u32>),
    /// There is none, as is certain when this call completes.
    Broken { shape: &'static str, call: u32 },
}

/// Two processes hold it.
pub(crate) const OVERLAP: &str = "overlapping-holds";
/// A release of what is not held, or an acquire of what the process holds already.
pub(crate) const TURN: &str = "out-of-turn";
/// The lock is free, but its answer is impossible.
pub(crate) const TOKEN: &str = "token-not-greater";

struct Hold {
    acquire: u32,
    release: Option<u32>,
    /// From the completion of the acquire to the invocation of the release.
    certain: (u32, u32),
}

/// Judges a lock that only its holder may release. `who` says whether an operation acquires, and by which process.
pub(crate) fn owned<M: Model>(
    model: &M,
    problem: &Problem<M::Op>,
    who: impl Fn(&M::Op) -> (bool, ProcessId),
) -> Locks {
    let (holds, out_of_turn) = match holds(problem, who) {
        Some(found) => found,
        None => return Locks::NotThisShape,
    };
    let completed = |call: u32| problem.calls[call as usize].completed;
    let broken = |shape, call: u32| match out_of_turn {
        Some(other) if completed(other) < completed(call) => Locks::Broken { shape: TURN, call: other },
        _ => Locks::Broken { shape, call },
    };
    let mut state = model.init();
    let mut order = Vec::with_capacity(2 * holds.len());
    let mut until = 0;
    for hold in holds {
        if hold.certain.0 < until {
            return broken(OVERLAP, hold.acquire);
        }
        until = hold.certain.1;
        for call in [Some(hold.acquire), hold.release].into_iter().flatten() {
            let class = problem.calls[call as usize].class;
            match model.step(&state, &problem.classes[class as usize]) {
                Some(next) => state = next,
                None => return broken(TOKEN, call),
            }
            order.push(call);
        }
    }
    match out_of_turn {
        Some(call) => Locks::Broken { shape: TURN, call },
        None => Locks::Order(order),
    }
}

/// The holds, by the time from which they are certain, and the call that first completed out of turn. Nothing
/// if a process went on after a call without an answer.
fn holds<O>(problem: &Problem<O>, who: impl Fn(&O) -> (bool, ProcessId)) -> Option<(Vec<Hold>, Option<u32>)> {
    let mut holds: Vec<Hold> = Vec::new();
    let mut out_of_turn: Option<u32> = None;
    // Of each process: the hold that it has not released, and whether its last call has no answer.
    let mut last: FxHashMap<ProcessId, (Option<usize>, bool)> = FxHashMap::default();
    for (call, i) in problem.calls.iter().zip(0..) {
        let (acquires, process) = who(&problem.classes[call.class as usize]);
        let (held, lost) = last.entry(process).or_insert((None, false));
        if *lost {
            return None;
        }
        *lost = call.is_open();
        match (acquires, *held) {
            // What nobody said that it happened, and what would be in the way or impossible, did not.
            (true, _) | (false, None) if *lost => {}
            (true, None) => {
                *held = Some(holds.len());
                holds.push(Hold { acquire: i, release: None, certain: (call.completed, NEVER) });
            }
            (false, Some(hold)) => {
                (holds[hold].release, holds[hold].certain.1) = (Some(i), call.invoked);
                *held = None;
            }
            (true, Some(_)) | (false, None) => {
                let before = out_of_turn.map_or(NEVER, |c| problem.calls[c as usize].completed);
                if call.completed < before {
                    out_of_turn = Some(i);
                }
            }
        }
    }
    holds.sort_unstable_by_key(|h| h.certain.0);
    Some((holds, out_of_turn))
}

/// Judges a lock that anyone may release, initially free.
pub(crate) fn anyones(problem: &Problem<LockOp>) -> Locks {
    let mut ends: Vec<(u32, u32)> = (0..).zip(&problem.calls).map(|(i, c)| (c.completed, i)).collect();
    ends.retain(|(completed, _)| *completed != NEVER);
    ends.sort_unstable();
    let acquires = |call: &Call| problem.classes[call.class as usize] == LockOp::Acquire;
    // Those that wait, earliest completion first: releases, acquires.
    let mut waiting: [BinaryHeap<Reverse<(u32, u32)>>; 2] = Default::default();
    let mut used = vec![false; problem.calls.len()];
    let mut order = Vec::with_capacity(problem.calls.len());
    let mut held = false;
    let mut invoked = 0;
    for (completed, call) in ends {
        while let Some(next) = problem.calls.get(invoked).filter(|c| c.invoked < completed) {
            waiting[usize::from(acquires(next))].push(Reverse((next.completed, invoked as u32)));
            invoked += 1;
        }
        if used[call as usize] {
            continue;
        }
        if acquires(&problem.calls[call as usize]) == held {
            let other = loop {
                match waiting[usize::from(!held)].pop() {
                    None => return Locks::Broken { shape: TURN, call },
                    Some(Reverse((_, other))) if used[other as usize] => {}
                    Some(Reverse((_, other))) => break other,
                }
            };
            used[other as usize] = true;
            order.push(other);
            held = !held;
        }
        used[call as usize] = true;
        order.push(call);
        held = !held;
    }
    Locks::Order(order)
}
