//! Independent objects: a history is linearizable exactly if each object's part is (P-compositionality,
//! A. Horn & D. Kroening, 2015).

use rustc_hash::FxHashMap;
use squall_history::{History, Value};

/// One object: its key, and its operations by index, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub key: Value,
    /// Nothing if there is but one object: all operations are its.
    operations: Option<Vec<u32>>,
}

impl Object {
    /// Its operations, by index, ascending.
    pub(crate) fn indexes(&self, history: &History) -> impl Iterator<Item = u32> + Clone + '_ {
        let all = 0..if self.operations.is_none() { history.len() as u32 } else { 0 };
        all.chain(self.operations.as_deref().unwrap_or(&[]).iter().copied())
    }
}

/// The objects of a history, in the order in which they are first acted on.
pub(crate) fn objects(history: &History, keyed: bool) -> Vec<Object> {
    if !keyed || !history.is_keyed() {
        return vec![Object { key: Value::Nil, operations: None }];
    }
    let mut numbers: FxHashMap<&Value, usize> = FxHashMap::default();
    let mut objects: Vec<(Value, Vec<u32>)> = Vec::new();
    for op in history.ops() {
        let at = *numbers.entry(op.key).or_insert_with(|| {
            objects.push((op.key.clone(), Vec::new()));
            objects.len() - 1
        });
        objects[at].1.push(op.index);
    }
    objects.into_iter().map(|(key, operations)| Object { key, operations: Some(operations) }).collect()
}
