//! A queue: the list under one key, oldest first.

use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::recipe::{commit, look};
use super::{Change, Guarded};

fn key(op: &Operation) -> String {
    format!("q{}", op.key)
}

pub(super) async fn enqueue(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let seen = look(store, vec![key(op)]).await?;
    let mut list = seen[0].1.value.as_list().unwrap_or_default().to_vec();
    list.push(op.value.clone());
    let change = Change { key: key(op), value: Value::list(list) };
    commit(store, op, &seen, &[change], op.value.clone()).await
}

/// The oldest element, or nil where there is none.
pub(super) async fn dequeue(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let seen = look(store, vec![key(op)]).await?;
    let Some((first, rest)) = seen[0].1.value.as_list().and_then(<[Value]>::split_first) else {
        return Ok(Completion::ok_at(Value::Nil, seen[0].1.version));
    };
    let change = Change { key: key(op), value: Value::list(rest) };
    commit(store, op, &seen, &[change], first.clone()).await
}
