//! A history as the sequence of its events again: what is known of their order, and no more.

use std::collections::HashMap;

use squall_history::{EventKind, History, NEVER, Op, Outcome, Value};

/// An invocation or a completion of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step<'a> {
    pub kind: EventKind,
    pub op: Op<'a>,
}

impl<'a> Step<'a> {
    /// Nanoseconds since the run began.
    pub fn time(&self) -> u64 {
        if self.kind == EventKind::Invoke { self.op.start } else { self.op.end }
    }

    /// The argument of an invocation, the answer of an `ok`, the argument again of anything else.
    pub fn value(&self) -> &'a Value {
        if self.kind == EventKind::Ok { self.op.output } else { self.op.input }
    }
}

/// All events in order. An `info` has no rank of its own: it stands after everything that came before it in
/// time, and before the next act of its process. Operations that were open at the end have no completion.
pub(crate) fn events(history: &History) -> Vec<Step<'_>> {
    let mut ranked: Vec<(u32, Step<'_>)> = Vec::with_capacity(2 * history.len());
    for op in history.ops() {
        ranked.push((op.invoked, Step { kind: EventKind::Invoke, op }));
        match op.outcome {
            Outcome::Ok => ranked.push((op.completed, Step { kind: EventKind::Ok, op })),
            Outcome::Fail if op.completed != NEVER => {
                ranked.push((op.completed, Step { kind: EventKind::Fail, op }));
            }
            Outcome::Fail | Outcome::Info => {}
        }
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    let mut waiting: Vec<Op<'_>> =
        history.ops().filter(|o| o.outcome == Outcome::Info && o.end != u64::MAX).collect();
    waiting.sort_by_key(|op| (op.end, op.index));
    let mut given_up: HashMap<u32, Vec<u32>> = HashMap::new();
    for op in &waiting {
        given_up.entry(op.process).or_default().push(op.index);
    }
    place(ranked.into_iter().map(|(_, step)| step), &waiting, &given_up)
}

fn place<'a>(
    ranked: impl Iterator<Item = Step<'a>>,
    waiting: &[Op<'a>],
    of_process: &HashMap<u32, Vec<u32>>,
) -> Vec<Step<'a>> {
    let mut done = std::collections::HashSet::new();
    let by_index: HashMap<u32, Op<'a>> = waiting.iter().map(|op| (op.index, *op)).collect();
    let mut next = waiting.iter();
    let mut head = next.next();
    let mut all = Vec::new();
    for step in ranked {
        while let Some(op) = head
            && op.end < step.time()
            && op.invoked < rank(&step)
        {
            if done.insert(op.index) {
                all.push(Step { kind: EventKind::Info, op: *op });
            }
            head = next.next();
        }
        if step.kind == EventKind::Invoke {
            for index in of_process.get(&step.op.process).into_iter().flatten() {
                if *index < step.op.index && done.insert(*index) {
                    all.push(Step { kind: EventKind::Info, op: by_index[index] });
                }
            }
        }
        all.push(step);
    }
    let rest = waiting.iter().filter(|op| !done.contains(&op.index));
    all.extend(rest.map(|op| Step { kind: EventKind::Info, op: *op }));
    all
}

fn rank(step: &Step<'_>) -> u32 {
    if step.kind == EventKind::Invoke { step.op.invoked } else { step.op.completed }
}
