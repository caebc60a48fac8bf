//! Counters: the number under a key; an absent one counts as 0.

use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::recipe::{commit, look, not_asked};
use super::{Change, Guarded};

fn name(counter: &Value) -> String {
    format!("c{counter}")
}

/// One counter, or several at one moment where the argument lists them.
pub(super) async fn read(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let counters = match op.value.as_list() {
        Some(several) => several.to_vec(),
        None => vec![op.key.clone()],
    };
    let names: Vec<String> = counters.iter().map(name).collect();
    let (held, version) = store.look(&names, op.read_only).await?;
    let mut sums = held.into_iter().map(|h| if h.value.is_nil() { Value::Int(0) } else { h.value });
    if op.value.as_list().is_none() {
        return Ok(Completion::ok_at(sums.next().unwrap_or_default(), version));
    }
    Ok(Completion::ok_at(Value::map(counters.into_iter().zip(sums).collect()), version))
}

/// `add` answers what was added, `increment` the sum.
pub(super) async fn add(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let amount = op.value.as_int().ok_or_else(|| not_asked("an addition takes a number"))?;
    let seen = look(store, vec![name(&op.key)]).await?;
    let sum = seen[0].1.value.as_int().unwrap_or(0).checked_add(amount);
    let sum = sum.ok_or_else(|| not_asked("the sum has no place in 64 bits"))?;
    let change = Change { key: name(&op.key), value: Value::Int(sum) };
    let answer = if &*op.f == "increment" { sum } else { amount };
    commit(store, op, &seen, &[change], answer).await
}
