//! The state itself, and how a command changes it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::command::{Answer, Command, Op, Request};
use super::history::{Change, History};
use super::leases::Leases;
use super::pages::Pages;
use super::sessions::Sessions;
use crate::bugs::Bug;
use crate::raft::Index;

/// A value and the index of the log entry that wrote it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versioned {
    pub value: Arc<str>,
    pub version: Index,
}

/// Everything that is replicated. Absence of a key is a state, with version 0.
#[derive(Debug, Clone, Default)]
pub struct Store {
    pub(super) keys: Pages<Versioned>,
    pub(super) sessions: Sessions,
    pub(super) leases: Leases,
    /// Not part of the state: what watchers may still ask for.
    history: History,
    applied: Index,
    bug: Option<Bug>,
    /// Second halves of transactions that were torn apart (one of the museum's bugs).
    pub(super) deferred: Vec<Op>,
}

impl Store {
    /// An empty store, with or without a mistake.
    pub fn new(bug: Option<Bug>) -> Store {
        Store { bug, ..Store::default() }
    }

    /// A store with these contents, as of entry `applied`.
    pub(super) fn restored(
        keys: Pages<Versioned>,
        sessions: Sessions,
        leases: Leases,
        applied: Index,
        bug: Option<Bug>,
    ) -> Store {
        let history = History::starting_after(applied);
        Store { keys, sessions, leases, history, applied, bug, deferred: Vec::new() }
    }

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

    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    pub fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    /// The last index that was applied or skipped.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// A hash of the whole state: equal on every node that has applied the same entries.
    pub fn hash(&self) -> u64 {
        let mut hasher = xxhash_rust::xxh3::Xxh3::new();
        for (key, found) in self.keys.iter() {
            hasher.update(&(key.len() as u64).to_le_bytes());
            hasher.update(key.as_bytes());
            hasher.update(&(found.value.len() as u64).to_le_bytes());
            hasher.update(found.value.as_bytes());
            hasher.update(&found.version.to_le_bytes());
        }
        let rest = postcard::to_stdvec(&(&self.sessions, &self.leases)).expect("plain data");
        hasher.update(&rest);
        hasher.digest()
    }

    /// An entry without a command went by.
    pub fn skip(&mut self, index: Index) {
        self.applied = index;
    }

    /// Forgets a client session (one of the museum's bugs).
    pub fn forget_session(&mut self, session: u64) {
        self.sessions.forget(session);
    }

    /// Applies the request of log entry `index`; one that its session has seen before is only answered.
    pub fn apply_request(&mut self, index: Index, request: Request) -> Answer {
        let Some(at) = request.session else { return self.apply(index, request.command) };
        if let Some(answer) = self.sessions.recall(index, at) {
            self.applied = index;
            return answer;
        }
        let answer = self.apply(index, request.command);
        self.sessions.remember(at, &answer);
        answer
    }

    /// Applies the command of log entry `index`.
    pub fn apply(&mut self, index: Index, command: Command) -> Answer {
        self.applied = index;
        if !self.deferred.is_empty() {
            let then = std::mem::take(&mut self.deferred);
            self.txn(index, &super::Txn { then, ..super::Txn::default() });
        }
        match command {
            Command::Write { key, value } => {
                self.put(index, &key, value.into());
                Answer::Written { version: index }
            }
            Command::Cas { key, expected, value, decided } => self.cas(index, &key, expected, value, decided),
            Command::Delete { key } => {
                let existed = self.take(index, &key).is_some();
                Answer::Deleted { existed, version: index }
            }
            Command::Txn(txn) => self.txn(index, &txn),
            Command::OpenSession => {
                self.sessions.open(index);
                Answer::SessionOpened { session: index }
            }
            Command::Grant { ttl_millis } => self.leases.grant(index, ttl_millis),
            Command::KeepAlive { lease } => self.leases.keep_alive(lease),
            Command::Revoke { lease } => self.leases.revoke(lease),
            Command::Expire { lease, renewals } => {
                let blindly = self.has(Bug::LeaseRevokedByOldLeader);
                self.leases.expire(lease, renewals, blindly)
            }
            Command::Lock { name, lease } => self.leases.lock(index, name, lease),
            Command::Unlock { name, token } => self.leases.unlock(&name, token),
            Command::Compact { through } => {
                self.history.forget_through(through.min(index));
                Answer::Compacted { complete_after: self.history.complete_after() }
            }
        }
    }

    fn cas(
        &mut self,
        index: Index,
        key: &str,
        expected: Option<String>,
        value: String,
        decided: bool,
    ) -> Answer {
        let current = self.get(key);
        if !decided && current.map(|c| c.value.as_ref()) != expected.as_deref() {
            let version = current.map_or(0, |c| c.version);
            return Answer::Mismatch { actual: current.map(|c| c.value.to_string()), version };
        }
        self.put(index, key, value.into());
        Answer::Swapped { version: index }
    }

    /// The only way in which a key gets a value.
    pub(super) fn put(&mut self, index: Index, key: &str, value: Arc<str>) {
        self.keys.insert(key, Versioned { value: value.clone(), version: index });
        self.history.push(Change { index, key: key.into(), value: Some(value) });
    }

    /// The only way in which a key loses its value.
    pub(super) fn take(&mut self, index: Index, key: &str) -> Option<Versioned> {
        let taken = self.keys.remove(key)?;
        self.history.push(Change { index, key: key.into(), value: None });
        Some(taken)
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
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

    #[test]
    fn a_session_does_a_request_once() {
        let mut store = Store::default();
        assert_eq!(store.apply(1, Command::OpenSession), Answer::SessionOpened { session: 1 });
        let append = Op::Append { key: "l".into(), item: "7".into(), read_before: None };
        let command = Command::Txn(super::super::Txn { then: vec![append], ..Default::default() });
        let session = Some(super::super::SessionSeq { session: 1, seq: 1 });
        let request = Request { origin: "n1".parse().unwrap(), id: 1, session, command };
        let first = store.apply_request(2, request.clone());
        assert_eq!(store.apply_request(3, request), first);
        assert_eq!(store.get("l").unwrap().value.as_ref(), "[7]");
        assert_eq!(store.applied(), 3);
    }

    #[test]
    fn watchers_get_every_change_in_order_or_learn_that_they_cannot() {
        let mut store = Store::default();
        store.apply(1, Command::Write { key: "a1".into(), value: "1".into() });
        store.apply(2, Command::Write { key: "b".into(), value: "1".into() });
        store.apply(3, Command::Delete { key: "a1".into() });
        store.apply(4, Command::Delete { key: "a1".into() });
        let seen = |after| {
            let changes = store.history().since(after, "a").unwrap();
            changes.map(|c| (c.index, c.value.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(seen(0), [(1, true), (3, false)]);
        assert_eq!(seen(1), [(3, false)]);
        assert!(History::starting_after(5).since(4, "").is_none());
        assert_eq!(store.apply(5, Command::Compact { through: 2 }), Answer::Compacted { complete_after: 2 });
        assert!(store.history().since(1, "").is_none(), "what was compacted is refused, not left out");
        assert_eq!(store.history().since(2, "a").unwrap().count(), 1);
        // The future cannot be forgotten.
        assert_eq!(store.apply(6, Command::Compact { through: 99 }), Answer::Compacted { complete_after: 6 });
    }

    #[test]
    fn equal_states_have_equal_hashes() {
        let write = |k: &str| Command::Write { key: k.into(), value: "1".into() };
        let (mut a, mut b) = (Store::default(), Store::default());
        a.apply(1, write("x"));
        b.apply(1, write("x"));
        assert_eq!(a.hash(), b.hash());
        b.apply(2, write("x"));
        assert_ne!(a.hash(), b.hash());
    }
}
