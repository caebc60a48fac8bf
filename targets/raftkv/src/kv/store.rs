//! The state itself.

use std::collections::BTreeMap;

use super::command::{Answer, Command};
use crate::raft::Index;

/// A value and the index of the log entry that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    pub value: String,
    pub version: Index,
}

/// All keys. Absence is a state, with version 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Store {
    keys: BTreeMap<String, Versioned>,
    applied: Index,
}

impl Store {
    /// The value of `key`, if it has one.
    pub fn get(&self, key: &str) -> Option<&Versioned> {
        self.keys.get(key)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// The last index that was applied or skipped.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// An entry without a command went by.
    pub fn skip(&mut self, index: Index) {
        self.applied = index;
    }

    /// Applies the command of log entry `index`.
    pub fn apply(&mut self, index: Index, command: Command) -> Answer {
        self.applied = index;
        match command {
            Command::Write { key, value } => {
                self.keys.insert(key, Versioned { value, version: index });
                Answer::Written { version: index }
            }
            Command::Cas { key, value, decided: true, .. } => {
                self.keys.insert(key, Versioned { value, version: index });
                Answer::Swapped { version: index }
            }
            Command::Cas { key, expected, value, .. } => self.cas(index, key, expected, value),
            Command::Delete { key } => {
                let existed = self.keys.remove(&key).is_some();
                Answer::Deleted { existed, version: index }
            }
        }
    }

    fn cas(&mut self, index: Index, key: String, expected: Option<String>, value: String) -> Answer {
        let current = self.keys.get(&key);
        if current.map(|c| &c.value) != expected.as_ref() {
            let version = current.map_or(0, |c| c.version);
            return Answer::Mismatch { actual: current.map(|c| c.value.clone()), version };
        }
        self.keys.insert(key, Versioned { value, version: index });
        Answer::Swapped { version: index }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cas(expected: Option<&str>, value: &str) -> Command {
        Command::Cas {
            key: "k".into(),
            expected: expected.map(Into::into),
            value: value.into(),
            decided: false,
        }
    }

    #[test]
    fn absence_is_a_state_that_cas_can_expect() {
        let mut store = Store::default();
        assert_eq!(store.apply(3, cas(Some("1"), "2")), Answer::Mismatch { actual: None, version: 0 });
        assert_eq!(store.apply(4, cas(None, "1")), Answer::Swapped { version: 4 });
        assert_eq!(store.apply(5, cas(None, "9")), Answer::Mismatch { actual: Some("1".into()), version: 4 });
        assert_eq!(store.apply(6, cas(Some("1"), "2")), Answer::Swapped { version: 6 });
        assert_eq!(store.get("k"), Some(&Versioned { value: "2".into(), version: 6 }));
        assert_eq!(
            store.apply(7, Command::Delete { key: "k".into() }),
            Answer::Deleted { existed: true, version: 7 }
        );
        assert_eq!(store.get("k"), None);
        assert_eq!(store.apply(8, cas(None, "1")), Answer::Swapped { version: 8 });
    }
}
