//! Accounts: the balance under a key of its own. An account that was never written has the balance with which
//! it was opened, which every operation names: so nobody has to open them first.

use squall_engine::{Completion, Operation};
use squall_history::Value;

use super::recipe::{commit, look, not_asked};
use super::{Change, Guarded};

fn name(account: &Value) -> String {
    format!("b{account}")
}

/// `{account: opening balance}` → `{account: balance}`.
pub(super) async fn read(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let accounts = op.value.as_map().ok_or_else(|| not_asked("a read names the accounts"))?;
    let names: Vec<String> = accounts.iter().map(|(account, _)| name(account)).collect();
    let (held, version) = store.look(&names, op.read_only).await?;
    let balances = accounts.iter().zip(held).map(|((account, opening), held)| {
        (account.clone(), if held.version == 0 { opening.clone() } else { held.value })
    });
    Ok(Completion::ok_at(Value::map(balances.collect()), version))
}

/// `{from, to, amount, opening}` → the same, or `"insufficient"` where there is not enough.
pub(super) async fn transfer(store: &mut dyn Guarded, op: &Operation) -> Result<Completion, Completion> {
    let field = |name: &str| {
        let pairs = op.value.as_map().unwrap_or_default();
        let found = pairs.iter().find(|(key, _)| key.as_str() == Some(name)).map(|(_, value)| value.clone());
        found.ok_or_else(|| not_asked(format!("a transfer needs `{name}`")))
    };
    let number = |name: &str| field(name)?.as_int().ok_or_else(|| not_asked(format!("`{name}` is a number")));
    let (from, to) = (field("from")?, field("to")?);
    let (amount, opening) = (number("amount")?, number("opening")?);
    let seen = look(store, vec![name(&from), name(&to)]).await?;
    let balance = |at: usize| if seen[at].1.version == 0 { Some(opening) } else { seen[at].1.value.as_int() };
    let (Some(a), Some(b)) = (balance(0), balance(1)) else {
        return Err(Completion::fail("no-balance", format!("{from} or {to} holds no number")));
    };
    if a < amount {
        return Ok(Completion::ok(Value::str("insufficient")));
    }
    let changes = [
        Change { key: name(&from), value: Value::Int(a - amount) },
        Change { key: name(&to), value: Value::Int(b + amount) },
    ];
    commit(store, op, &seen, &changes, op.value.clone()).await
}
