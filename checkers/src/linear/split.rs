//! Independent objects: a history is linearizable exactly if each object's part is (P-compositionality,
//! A. Horn & D. Kroening, 2015).

use rustc_hash::FxHashMap;
use squall_history::{History, Value};

/// One object: its key, and its operations by index, ascending.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub key: Value,
    pub operations: Vec<u32>,
}

/// The objects of a history, in the order in which they are first acted on.
pub(crate) fn objects(history: &History, keyed: bool) -> Vec<Object> {
    if !keyed || !history.is_keyed() {
        return vec![Object { key: Value::Nil, operations: (0..history.len() as u32).collect() }];
    }
    let mut numbers: FxHashMap<&Value, usize> = FxHashMap::default();
    let mut objects: Vec<Object> = Vec::new();
    for op in history.ops() {
        let at = *numbers.entry(op.key).or_insert_with(|| {
            objects.push(Object { key: op.key.clone(), operations: Vec::new() });
            objects.len() - 1
        });
        objects[at].operations.push(op.index);
    }
    objects
}
