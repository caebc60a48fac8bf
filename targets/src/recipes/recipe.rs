//! Which recipe an operation asks for, and what all of them share.

use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::{Change, Guarded, Held, bank, counter, queue, skew, txn};

/// Does an operation by its recipe.
pub(crate) async fn invoke(store: &mut dyn Guarded, op: &Operation) -> Completion {
    let done = match (op.on, &*op.f) {
        ("append" | "wr", "txn") => txn::run(store, op).await,
        ("queue", "enqueue") => queue::enqueue(store, op).await,
        ("queue", "dequeue") => queue::dequeue(store, op).await,
        ("counter", "read") => counter::read(store, op).await,
        ("counter", "add" | "increment") => counter::add(store, op).await,
        ("bank", "read") => bank::read(store, op).await,
        ("bank", "transfer") => bank::transfer(store, op).await,
        ("skew", "insert") => skew::insert(store, op).await,
        (on, f) => Err(not_asked(format!("this client does not know `{f}` of a {on}"))),
    };
    done.unwrap_or_else(|completion| completion)
}

/// Whether clients of both kinds of store can do this function: by a recipe, or each by its own means.
pub(crate) fn is_known(f: &str) -> bool {
    const FUNCTIONS: [&str; 20] = [
        "read",
        "write",
        "cas",
        "set.add",
        "set.read",
        "append.txn",
        "wr.txn",
        "queue.enqueue",
        "queue.dequeue",
        "counter.read",
        "counter.add",
        "counter.increment",
        "ids.generate",
        "bank.read",
        "bank.transfer",
        "skew.insert",
        "lock.acquire",
        "lock.renew",
        "lock.release",
        "lock.write",
    ];
    FUNCTIONS.contains(&f)
}

/// An operation that cannot be asked for as it stands.
pub(super) fn not_asked(why: impl Into<String>) -> Completion {
    Completion::fail("not-asked", why)
}

/// Writes what was decided, guarded by everything that was seen; then the answer is `answer`.
pub(super) async fn commit(
    store: &mut dyn Guarded,
    op: &Operation,
    seen: &[(String, Held)],
    changes: &[Change],
    answer: impl Into<Value> + Send,
) -> Result<Completion, Completion> {
    let guards: Vec<_> = seen.iter().map(|(key, held)| (key.clone(), held.version)).collect();
    match store.commit(op, &guards, changes).await? {
        Some(version) => Ok(Completion::ok_at(answer, version)),
        None => Err(Completion::fail("guard", "a key was changed in between: nothing was written")),
    }
}

/// Reads some keys on the way to a change, each with its name.
pub(super) async fn look(
    store: &mut dyn Guarded,
    keys: Vec<String>,
) -> Result<Vec<(String, Held)>, Completion> {
    let (held, _) = store.look(&keys, false).await?;
    Ok(keys.into_iter().zip(held).collect())
}
