//! Values as small numbers: an array where they are integers close together, else a hash map.

use rustc_hash::FxHashMap;
use squall_history::Value;

/// Numbers given to values.
pub(crate) enum Numbers {
    /// Integers close together: the number of `from + i` is `at[i] - 1`.
    Dense { from: i64, at: Vec<u32>, expected: usize },
    /// Anything else.
    Any(FxHashMap<Value, u32>, usize),
}

impl Numbers {
    /// Room for exactly these values; others must not be inserted.
    pub(crate) fn for_values<'v>(values: impl Iterator<Item = &'v Value>) -> Self {
        let mut count = 0usize;
        let (mut least, mut most, mut integers) = (i64::MAX, i64::MIN, true);
        for value in values {
            count += 1;
            match value {
                Value::Int(i) => (least, most) = (least.min(*i), most.max(*i)),
                _ => integers = false,
            }
        }
        let span = most.checked_sub(least).and_then(|s| usize::try_from(s).ok());
        match span.filter(|&s| integers && s <= 4 * count + 1024) {
            Some(span) => Numbers::Dense { from: least, at: vec![0; span + 1], expected: count },
            None => Numbers::Any(
                FxHashMap::with_capacity_and_hasher(count.min(1 << 16), Default::default()),
                count,
            ),
        }
    }

    /// How many values there were to be.
    pub(crate) fn expected(&self) -> usize {
        match self {
            Numbers::Dense { expected, .. } | Numbers::Any(_, expected) => *expected,
        }
    }

    pub(crate) fn get(&self, value: &Value) -> Option<u32> {
        match (self, value) {
            (Numbers::Dense { from, at, .. }, Value::Int(i)) => {
                let offset = i.checked_sub(*from).and_then(|o| usize::try_from(o).ok())?;
                at.get(offset)?.checked_sub(1)
            }
            (Numbers::Dense { .. }, _) => None,
            (Numbers::Any(map, _), _) => map.get(value).copied(),
        }
    }

    /// Gives the value this number. Whether it had none before.
    pub(crate) fn insert(&mut self, value: &Value, number: u32) -> bool {
        match (self, value) {
            (Numbers::Dense { from, at, .. }, Value::Int(i)) => {
                let place = &mut at[(i - *from) as usize];
                std::mem::replace(place, number + 1) == 0
            }
            (Numbers::Dense { .. }, _) => false,
            (Numbers::Any(map, _), _) => map.insert(value.clone(), number).is_none(),
        }
    }
}
