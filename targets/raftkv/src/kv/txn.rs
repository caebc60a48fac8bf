//! Transactions: judged and carried out on an overlay, which replaces the state only if every step worked.

use std::collections::BTreeMap;

use super::command::{Answer, Guard, Op, OpResult, Refused, Txn};
use super::store::{Store, Versioned};
use crate::bugs::Bug;
use crate::raft::Index;

/// At most so many items in one range, whatever the limit.
pub const MAX_RANGE: usize = 10_000;

/// Keys as they will be: absent ones are `None`.
type Overlay = BTreeMap<String, Option<Versioned>>;

impl Store {
    /// Whether every guard holds now.
    pub fn holds(&self, guards: &[Guard]) -> bool {
        guards.iter().all(|guard| match guard {
            Guard::Value { key, value } => self.get(key).map(|v| v.value.as_ref()) == value.as_deref(),
            Guard::Version { key, version } => self.get(key).map_or(0, |v| v.version) == *version,
            Guard::Held { lock, token } => {
                self.has(Bug::LockWithoutFence) || self.leases.holder(lock) == Some(*token)
            }
        })
    }

    pub(super) fn txn(&mut self, index: Index, txn: &Txn) -> Answer {
        let succeeded = txn.decided.unwrap_or_else(|| self.holds(&txn.guards));
        let ops = if succeeded { &txn.then } else { &txn.otherwise };
        let mut overlay = Overlay::new();
        let mut results = Vec::with_capacity(ops.len());
        for op in ops {
            match self.step(index, &mut overlay, op) {
                Ok(result) => results.push(result),
                Err(refused) => return Answer::Refused(refused),
            }
        }
        if self.has(Bug::TxnNotAtomic) {
            self.defer_half(&mut overlay);
        }
        for (key, value) in overlay {
            match value {
                Some(found) => self.put(index, &key, found.value),
                None => drop(self.take(index, &key)),
            }
        }
        Answer::Txn { succeeded, results, version: index }
    }

    /// Puts off half of the changes until the next entry is applied.
    fn defer_half(&mut self, overlay: &mut Overlay) {
        let middle = overlay.keys().nth(overlay.len().div_ceil(2)).cloned();
        let later = middle.map_or(Overlay::new(), |middle| overlay.split_off(&middle));
        self.deferred.extend(later.into_iter().map(|(key, value)| match value {
            Some(found) => Op::Write { key, value: found.value.to_string() },
            None => Op::Delete { key },
        }));
    }

    /// A transaction that only reads, on the state as it is.
    pub fn query(&self, txn: &Txn) -> Answer {
        let succeeded = self.holds(&txn.guards);
        let ops = if succeeded { &txn.then } else { &txn.otherwise };
        let mut overlay = Overlay::new();
        let results: Result<Vec<OpResult>, Refused> =
            ops.iter().map(|op| self.step(self.applied(), &mut overlay, op)).collect();
        match results {
            Ok(results) => Answer::Txn { succeeded, results, version: self.applied() },
            Err(refused) => Answer::Refused(refused),
        }
    }

    fn step(&self, index: Index, overlay: &mut Overlay, op: &Op) -> Result<OpResult, Refused> {
        let mut set = |key: &str, value: String| {
            overlay.insert(key.to_owned(), Some(Versioned { value: value.into(), version: index }));
        };
        match op {
            Op::Read { key } => Ok(OpResult::Value(self.see(overlay, key))),
            Op::Write { key, value } => {
                set(key, value.clone());
                Ok(OpResult::Written)
            }
            Op::Delete { key } => {
                let existed = self.see(overlay, key).is_some();
                overlay.insert(key.clone(), None);
                Ok(OpResult::Deleted { existed })
            }
            Op::Append { key, item, read_before } => {
                let seen = || self.see(overlay, key).map(|v| v.value.to_string());
                let old = read_before.clone().unwrap_or_else(seen);
                let (list, length) =
                    appended(old.as_deref(), item).ok_or_else(|| Refused::WrongType { key: key.clone() })?;
                overlay.insert(key.clone(), Some(Versioned { value: list.into(), version: index }));
                Ok(OpResult::Appended { length })
            }
            Op::Add { key, amount, read_before } => {
                let wrong = || Refused::WrongType { key: key.clone() };
                let seen = || self.see(overlay, key).map(|v| v.value.to_string());
                let old = read_before.clone().unwrap_or_else(seen);
                let old: i64 = old.map_or(Ok(0), |text| text.parse()).map_err(|_| wrong())?;

                let wraps = self.has(Bug::CounterWraps);
                let sum = old.checked_add(*amount).ok_or_else(wrong)?;
                let value = if wraps { i64::from(sum as u8) } else { sum };
                overlay
                    .insert(key.clone(), Some(Versioned { value: value.to_string().into(), version: index }));
                Ok(OpResult::Added { value })
            }
            Op::Range { start, end, limit } => Ok(self.range(overlay, start, end.as_deref(), *limit)),
        }
    }

    fn see(&self, overlay: &Overlay, key: &str) -> Option<Versioned> {
        match overlay.get(key) {
            Some(changed) => changed.clone(),
            None => self.get(key).cloned(),
        }
    }

    fn range(&self, overlay: &Overlay, start: &str, end: Option<&str>, limit: u64) -> OpResult {
        let limit = usize::try_from(limit).unwrap_or(MAX_RANGE).min(MAX_RANGE);
        let inside = |key: &str| key >= start && end.is_none_or(|end| key < end);
        // What the overlay hides or adds is merged in; one more than the limit tells whether there is more.
        let hidden = overlay.len();
        let below = self
            .keys
            .range(start, end)
            .take(limit + 1 + hidden)
            .map(|(k, v)| (k.to_owned(), Some(v.clone())));
        let mut merged: BTreeMap<String, Option<Versioned>> = below.collect();
        merged.extend(overlay.iter().filter(|(k, _)| inside(k)).map(|(k, v)| (k.clone(), v.clone())));
        let mut items: Vec<_> =
            merged.into_iter().filter_map(|(k, v)| Some((k, v?))).take(limit + 1).collect();
        let more = items.len() > limit;
        items.truncate(limit);
        OpResult::Range { items, more }
    }
}

/// The canonical text of a JSON list with one more item, and its new length.
pub(super) fn appended(list: Option<&str>, item: &str) -> Option<(String, u64)> {
    let Some(list) = list else { return Some((format!("[{item}]"), 1)) };
    let old: Vec<serde::de::IgnoredAny> = serde_json::from_str(list).ok()?;
    let body = list.strip_suffix(']')?;
    let comma = if old.is_empty() { "" } else { "," };
    Some((format!("{body}{comma}{item}]"), old.len() as u64 + 1))
}

#[cfg(test)]
mod tests {
    use super::super::{Answer, Command};
    use super::*;

    fn run(store: &mut Store, guards: Vec<Guard>, then: Vec<Op>, otherwise: Vec<Op>) -> Answer {
        let index = store.applied() + 1;
        store.apply(index, Command::Txn(Txn { guards, then, otherwise, decided: None }))
    }

    fn write(key: &str, value: &str) -> Op {
        Op::Write { key: key.into(), value: value.into() }
    }

    fn read(key: &str) -> Op {
        Op::Read { key: key.into() }
    }

    #[test]
    fn steps_see_each_other_and_happen_together() {
        let mut store = Store::default();
        let append = |item: &str| Op::Append { key: "l".into(), item: item.into(), read_before: None };
        let add = |amount| Op::Add { key: "n".into(), amount, read_before: None };
        let answer =
            run(&mut store, vec![], vec![append("1"), append("\"x\""), read("l"), add(5), add(-7)], vec![]);
        let list = Versioned { value: "[1,\"x\"]".into(), version: 1 };
        let results = vec![
            OpResult::Appended { length: 1 },
            OpResult::Appended { length: 2 },
            OpResult::Value(Some(list)),
            OpResult::Added { value: 5 },
            OpResult::Added { value: -2 },
        ];
        assert_eq!(answer, Answer::Txn { succeeded: true, results, version: 1 });
    }

    #[test]
    fn a_step_that_fails_undoes_the_others() {
        let mut store = Store::default();
        let bad = vec![write("a", "1"), Op::Append { key: "a".into(), item: "2".into(), read_before: None }];
        assert_eq!(
            run(&mut store, vec![], bad, vec![]),
            Answer::Refused(Refused::WrongType { key: "a".into() })
        );
        assert!(store.is_empty());
        run(&mut store, vec![], vec![write("n", &i64::MAX.to_string())], vec![]);
        let over = vec![Op::Add { key: "n".into(), amount: 1, read_before: None }];
        assert_eq!(
            run(&mut store, vec![], over, vec![]),
            Answer::Refused(Refused::WrongType { key: "n".into() })
        );
    }

    #[test]
    fn the_torn_transaction_is_torn_and_looks_whole() {
        let mut store = Store::new(Some(Bug::TxnNotAtomic));
        let answer = run(&mut store, vec![], vec![write("a", "1"), write("b", "1")], vec![]);
        assert!(matches!(answer, Answer::Txn { results, .. } if results.len() == 2));
        assert_eq!((store.get("a").is_some(), store.get("b").is_some()), (true, false));
        run(&mut store, vec![], vec![], vec![]);
        assert!(store.get("b").is_some());
    }

    #[test]
    fn guards_choose() {
        let mut store = Store::default();
        let guard =
            |value: Option<&str>| vec![Guard::Value { key: "a".into(), value: value.map(Into::into) }];
        run(&mut store, guard(None), vec![write("a", "1")], vec![write("a", "9")]);
        assert_eq!(store.get("a").unwrap().value.as_ref(), "1");
        run(&mut store, guard(None), vec![], vec![write("b", "2")]);
        assert_eq!(store.get("b").unwrap().version, 2);
        let version = vec![
            Guard::Version { key: "a".into(), version: 1 },
            Guard::Version { key: "c".into(), version: 0 },
        ];
        assert!(store.holds(&version));
    }

    #[test]
    fn ranges_see_the_transaction_itself() {
        let mut store = Store::default();
        run(&mut store, vec![], ["a", "b", "d"].map(|k| write(k, "0")).into(), vec![]);
        let range = Op::Range { start: "a".into(), end: Some("d".into()), limit: 2 };
        let steps = vec![Op::Delete { key: "a".into() }, write("c", "1"), range];
        let Answer::Txn { results, .. } = run(&mut store, vec![], steps, vec![]) else { panic!() };
        let OpResult::Range { items, more } = &results[2] else { panic!() };
        assert_eq!(items.iter().map(|(k, _)| k.as_str()).collect::<Vec<_>>(), ["b", "c"]);
        assert!(!more);
    }

    #[test]
    fn appends_to_lists_of_anything() {
        assert_eq!(appended(Some("[]"), "1"), Some(("[1]".into(), 1)));
        assert_eq!(appended(Some("[[1,2],\"],\"]"), "{}"), Some(("[[1,2],\"],\",{}]".into(), 3)));
        assert_eq!(appended(Some("7"), "1"), None);
        assert_eq!(appended(Some("\"[]\""), "1"), None);
    }
}
