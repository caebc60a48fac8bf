//! Invocations and completions in order, each with the slot that its operation holds while it is pending.

use squall_history::NEVER;

use super::problem::Call;

/// An invocation or a completion of `calls[call]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub call: u32,
    pub slot: u32,
    pub completes: bool,
}

/// All steps in order of rank, and the number of slots. An operation that never completes keeps its slot.
pub(crate) fn steps(calls: &[Call]) -> (Vec<Step>, usize) {
    let mut ends: Vec<(u32, u32)> = calls
        .iter()
        .enumerate()
        .filter(|(_, c)| c.completed != NEVER)
        .map(|(i, c)| (c.completed, i as u32))
        .collect();
    ends.sort_unstable();
    let mut steps = Vec::with_capacity(calls.len() + ends.len());
    let mut slot_of = vec![0u32; calls.len()];
    let mut unused: Vec<u32> = Vec::new();
    let mut slots = 0;
    let mut end = ends.iter().peekable();
    for (i, call) in calls.iter().enumerate() {
        while let Some(&&(_, done)) = end.peek().filter(|(rank, _)| *rank < call.invoked) {
            steps.push(Step { call: done, slot: slot_of[done as usize], completes: true });
            unused.push(slot_of[done as usize]);
            end.next();
        }
        let slot = unused.pop().unwrap_or_else(|| {
            slots += 1;
            slots - 1
        });
        slot_of[i] = slot;
        steps.push(Step { call: i as u32, slot, completes: false });
    }
    for &(_, done) in end {
        steps.push(Step { call: done, slot: slot_of[done as usize], completes: true });
    }
    (steps, slots as usize)
}
