//! Histories from shapes, for algorithms that read the history itself.

use squall_history::{Builder, Event, EventKind, History, NEVER, Order, Value};

/// An operation: function, argument, answer.
pub(crate) type Did = (&'static str, Value, Value);

/// The history of these operations in this shape, by as few processes as possible.
pub(crate) fn history(shape: &[(u32, u32)], did: &[Did]) -> History {
    keyed(shape, did, |_| Value::Nil)
}

/// The same with keys.
pub(crate) fn keyed(shape: &[(u32, u32)], did: &[Did], key: impl Fn(usize) -> Value) -> History {
    let mut events: Vec<(u32, usize, bool)> = Vec::new();
    for (i, &(invoked, completed)) in shape.iter().enumerate() {
        events.push((invoked, i, false));
        if completed != NEVER {
            events.push((completed, i, true));
        }
    }
    events.sort_unstable();
    let mut builder = Builder::new(Order::AsGiven);
    let mut process_of = vec![0u32; shape.len()];
    let (mut idle, mut processes) = (Vec::new(), 0);
    for (rank, i, completes) in events {
        if completes {
            idle.push(process_of[i]);
        } else {
            process_of[i] = idle.pop().unwrap_or_else(|| {
                processes += 1;
                processes - 1
            });
        }
        let (f, input, output) = did[i].clone();
        let kind = if completes { EventKind::Ok } else { EventKind::Invoke };
        let value = if completes { output } else { input };
        let (process, time) = (process_of[i], u64::from(rank));
        let event =
            Event { kind, process, time, intended: time, f: f.into(), key: key(i), value, meta: None };
        builder.push(event).unwrap();
    }
    builder.finish().unwrap()
}
