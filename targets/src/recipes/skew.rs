//! Two rows of one key in two tables, of which at most one may ever be inserted: each insert looks for both.

use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::recipe::{commit, look, not_asked};
use super::{Change, Guarded};

/// `[a, nil]` inserts into the first table, `[nil, b]` into the second.
pub(super) async fn insert(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let (a, b) = op.value.as_pair().ok_or_else(|| not_asked("an insert takes [a, b]"))?;
    let names = ["a", "b"].map(|table| format!("k{}/{table}", op.key));
    let seen = look(store, names.to_vec()).await?;
    if let Some((name, _)) = seen.iter().find(|(_, held)| held.version != 0) {
        return Err(Completion::fail("row-exists", format!("{name} is there already: nothing was inserted")));
    }
    let (at, row): (usize, &Value) = if a.is_nil() { (1, b) } else { (0, a) };
    let change = Change { key: names[at].clone(), value: row.clone() };
    commit(store, op, &seen, &[change], op.value.clone()).await
}
