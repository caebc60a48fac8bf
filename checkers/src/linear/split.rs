//! Independent objects: a history is linearizable exactly if each object's part is (P-compositionality,
//! A. Horn & D. Kroening, 2015).

use squall_history::{History, Value};

use super::numbers::Numbers;

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
    let mut numbers = Numbers::for_values(history.ops().map(|op| op.key));
    let mut keys: Vec<(Value, usize)> = Vec::new();
    let mut object_of: Vec<u32> = Vec::with_capacity(history.len());
    for op in history.ops() {
        let object = numbers.get(op.key).unwrap_or_else(|| {
            let fresh = keys.len() as u32;
            numbers.insert(op.key, fresh);
            keys.push((op.key.clone(), 0));
            fresh
        });
        keys[object as usize].1 += 1;
        object_of.push(object);
    }
    let mut operations: Vec<Vec<u32>> = keys.iter().map(|(_, count)| Vec::with_capacity(*count)).collect();
    for (index, object) in object_of.into_iter().enumerate() {
        operations[object as usize].push(index as u32);
    }
    let object = |((key, _), operations)| Object { key, operations: Some(operations) };
    keys.into_iter().zip(operations).map(object).collect()
}
