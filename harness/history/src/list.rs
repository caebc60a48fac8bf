//! An immutable, shared list of values in one allocation behind one thin pointer.
//!
//! Transactions are lists of short lists, and most of the memory of their histories: a vector behind a counted
//! pointer would take two allocations and twice the bookkeeping for each.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use triomphe::ThinArc;

use crate::Value;

/// The items of a [`Value::List`]. Derefs to a slice; equality, order and hash are the slice's.
#[derive(Clone)]
pub struct List(ThinArc<(), Value>);

impl List {
    /// Takes the items without a vector in between.
    pub(crate) fn from_items(items: impl ExactSizeIterator<Item = Value>) -> Self {
        List(ThinArc::from_header_and_iter((), items))
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        List::from_items(items.into_iter())
    }
}

impl Deref for List {
    type Target = [Value];

    #[inline]
    fn deref(&self) -> &[Value] {
        &self.0.slice
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq::<[Value]>(&**self, &**other) || **self == **other
    }
}

impl Eq for List {}

impl PartialOrd for List {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for List {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl Hash for List {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl std::fmt::Debug for List {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
