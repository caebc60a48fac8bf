//! A history's operations taken apart into events again, in their order.

use super::{History, NEVER, Outcome};
use crate::EventKind;

impl History {
    /// Every invocation and completion, as its kind and its operation's index, in the order of ranks.
    ///
    /// An `info` whose moment is known has no rank: it stands before the first event that is not earlier, but
    /// after its own invocation. An operation that was still open at the end has no completion.
    pub fn events(&self) -> Vec<(EventKind, u32)> {
        let mut ranked: Vec<(u32, EventKind, u32)> = Vec::with_capacity(2 * self.len());
        for op in self.ops() {
            ranked.push((op.invoked, EventKind::Invoke, op.index));
            match op.outcome {
                Outcome::Ok => ranked.push((op.completed, EventKind::Ok, op.index)),
                Outcome::Fail => ranked.push((op.completed, EventKind::Fail, op.index)),
                Outcome::Info => {}
            }
        }
        ranked.sort_unstable_by_key(|e| e.0);
        let time = |&(_, kind, index): &(u32, EventKind, u32)| {
            let op = self.op(index as usize);
            if kind == EventKind::Invoke { op.start } else { op.end }
        };
        // Place, moment, operation.
        let mut gone: Vec<(u32, u64, u32)> = Vec::new();
        for op in self.ops().filter(|op| op.completed == NEVER && op.end != u64::MAX) {
            let by_time = ranked.partition_point(|e| time(e) < op.end);
            let after_invocation = ranked.partition_point(|e| e.0 <= op.invoked);
            gone.push((by_time.max(after_invocation) as u32, op.end, op.index));
        }
        gone.sort_unstable();
        let mut gone = gone.into_iter().peekable();
        let mut events = Vec::with_capacity(ranked.len() + gone.len());
        for (place, (_, kind, index)) in ranked.into_iter().enumerate() {
            while let Some((_, _, info)) = gone.next_if(|g| g.0 as usize == place) {
                events.push((EventKind::Info, info));
            }
            events.push((kind, index));
        }
        events.extend(gone.map(|(_, _, info)| (EventKind::Info, info)));
        events
    }

    /// The whole [`crate::Event`] behind one of [`History::events`].
    pub fn event(&self, kind: EventKind, index: u32) -> crate::Event {
        let op = self.op(index as usize);
        let is_invocation = kind == EventKind::Invoke;
        let time = if is_invocation { op.start } else { op.end };
        crate::Event {
            kind,
            process: op.process,
            time,
            intended: if is_invocation { op.intended } else { time },
            f: self.functions[usize::from(op.f_id)].clone(),
            key: op.key.clone(),
            value: if kind == EventKind::Ok { op.output } else { op.input }.clone(),
            // What was noted on either side is kept once, with the operation.
            meta: if is_invocation { None } else { self.meta.get(&index).cloned() },
        }
    }
}
