//! Small numbers for values.

use rustc_hash::FxHashMap;
use squall_history::Value;

const DENSE: usize = 1 << 22;

/// Gives every distinct value a number, in the order in which they are first seen. Small integers, the usual
/// keys, go through a table.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    dense: Vec<u32>,
    sparse: FxHashMap<Value, u32>,
    names: Vec<Value>,
}

impl Interner {
    /// The number of a value; a new one if it has none.
    pub fn id(&mut self, value: &Value) -> u32 {
        let fresh = self.names.len() as u32;
        if let Value::Int(i) = *value
            && (0..DENSE as i64).contains(&i)
        {
            let at = i as usize;
            if at >= self.dense.len() {
                self.dense.resize((at + 1).next_power_of_two(), u32::MAX);
            }
            if self.dense[at] == u32::MAX {
                self.dense[at] = fresh;
                self.names.push(value.clone());
            }
            return self.dense[at];
        }
        if let Some(&id) = self.sparse.get(value) {
            return id;
        }
        self.sparse.insert(value.clone(), fresh);
        self.names.push(value.clone());
        fresh
    }

    /// The number of an integer; a new one if it has none.
    #[inline]
    pub fn id_of_int(&mut self, int: i64) -> u32 {
        match usize::try_from(int).ok().and_then(|at| self.dense.get(at)) {
            Some(&id) if id != u32::MAX => id,
            _ => self.id(&Value::Int(int)),
        }
    }

    /// The number of a value, if it has one.
    pub fn get(&self, value: &Value) -> Option<u32> {
        if let Value::Int(i) = *value
            && (0..DENSE as i64).contains(&i)
        {
            return self.dense.get(i as usize).copied().filter(|&id| id != u32::MAX);
        }
        self.sparse.get(value).copied()
    }

    /// The value behind a number.
    pub fn name(&self, id: u32) -> &Value {
        &self.names[id as usize]
    }

    /// How many values have a number.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether no value has one.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

/// Values as integers that compare equal exactly if the values do: integers stand for themselves, all else
/// for a number below every usual integer.
#[derive(Clone, Debug, Default)]
pub struct Codes {
    others: Interner,
}

const OTHERS: i64 = i64::MIN + (1 << 33);

impl Codes {
    /// The code of a value.
    #[inline]
    pub fn code(&mut self, value: &Value) -> i64 {
        match *value {
            Value::Int(i) if i >= OTHERS => i,
            _ => i64::MIN + i64::from(self.others.id(value)),
        }
    }

    /// Whether an integer stands for itself.
    pub fn is_plain(int: i64) -> bool {
        int >= OTHERS
    }

    /// The code of an integer.
    #[inline]
    pub fn code_of_int(&mut self, int: i64) -> i64 {
        if int >= OTHERS { int } else { self.code(&Value::Int(int)) }
    }

    /// The value behind a code.
    pub fn value(&self, code: i64) -> Value {
        if code >= OTHERS { Value::Int(code) } else { self.others.name((code - i64::MIN) as u32).clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_have_equal_numbers() {
        let values = [Value::Int(3), Value::Int(-3), Value::Int(1 << 40), Value::str("3"), Value::Nil];
        let (mut interner, mut codes) = (Interner::default(), Codes::default());
        let ids: Vec<u32> = values.iter().map(|v| interner.id(v)).collect();
        let coded: Vec<i64> = values.iter().map(|v| codes.code(v)).collect();
        for (i, value) in values.iter().enumerate() {
            assert_eq!((interner.id(value), interner.get(value)), (ids[i], Some(ids[i])));
            assert_eq!(interner.name(ids[i]), value);
            assert_eq!((codes.code(value), &codes.value(coded[i])), (coded[i], value));
            if let Some(int) = value.as_int() {
                assert_eq!((interner.id_of_int(int), codes.code_of_int(int)), (ids[i], coded[i]));
            }
            assert!(ids[..i].iter().all(|&other| other != ids[i]));
            assert!(coded[..i].iter().all(|&other| other != coded[i]));
        }
    }
}
