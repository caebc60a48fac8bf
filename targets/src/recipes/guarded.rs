//! The protocol between a store and the recipes.

use async_trait::async_trait;
use squall_engine::{Completion, Operation};
use squall_history::Value;

/// What a key held when it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Held {
    /// Nil if it was absent.
    pub value: Value,
    /// The version of its last change; 0 if it was absent.
    pub version: i64,
}

/// A change of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub key: String,
    pub value: Value,
}

/// A store that reads several keys at one moment, and writes several if others have not changed.
#[async_trait]
pub(crate) trait Guarded: Send {
    /// Reads keys at one moment: what they held, in order, and a version of that moment. `weak`: in the mode
    /// that reads are configured to have, else as fresh as it gets. An error means that nothing was changed.
    async fn look(&mut self, keys: &[String], weak: bool) -> Result<(Vec<Held>, i64), Completion>;

    /// Makes the changes if every guarded key still has its version. `Ok(None)`: one has not, nothing happened.
    async fn commit(
        &mut self,
        op: &Operation,
        guards: &[(String, i64)],
        changes: &[Change],
    ) -> Result<Option<i64>, Completion>;
}
