//! What a store without mistakes would have done: the log, in the order in which it is first applied anywhere, applied to
//! a correct state machine, each request as its client meant it.
//!
//! Since the order is given, comparing answers and values with the oracle's decides linearizability at the cost of
//! a look-up; what it cannot see (that the order respects real time) is checked by whoever asks.

use std::collections::HashMap;
use std::sync::Arc;

use crate::kv::{Answer, Change, Command, Request, Store};
use crate::raft::{Entry, Index, Micros, NodeId, Payload};

/// A lease's renewals, each with the time at which it was first applied.
type Renewals = (u64, Micros, Micros);
/// What a key held, each time with the entry since which it did; `None`: it was absent.
type Values = Vec<(Index, Option<Arc<str>>)>;

/// See the module.
#[derive(Debug, Default)]
pub struct Oracle {
    store: Store,
    /// Requests before anything could disturb them.
    meant: HashMap<(NodeId, u64), Request>,
    answers: Vec<Option<Answer>>,
    changes: Vec<Change>,
    by_key: HashMap<Arc<str>, Values>,
    /// By lease: time to live, renewals so far, and when the last was applied.
    leases: HashMap<u64, Renewals>,
}

impl Oracle {
    /// A client is about to ask for this.
    pub fn means(&mut self, request: Request) {
        self.meant.insert((request.origin, request.id), request);
    }

    /// The last index that was applied anywhere.
    pub fn applied(&self) -> Index {
        self.store.applied()
    }

    /// An entry is applied somewhere. If it is the first time, the oracle follows; a complaint if the entry may
    /// not be there at all.
    pub fn follow(&mut self, entry: &Entry, now: Micros) -> Option<String> {
        if entry.index != self.store.applied() + 1 {
            return None;
        }
        let Payload::Command(data) = &entry.payload else {
            self.store.skip(entry.index);
            self.answers.push(None);
            return None;
        };
        let meant = postcard::from_bytes::<Request>(data)
            .ok()
            .and_then(|r| self.meant.get(&(r.origin, r.id)).cloned());
        let Some(request) = meant else {
            self.store.skip(entry.index);
            self.answers.push(None);
            return Some(format!("entry {}.{} is nobody's request", entry.index, entry.term));
        };
        let before = entry.index - 1;
        let answer = self.store.apply_request(entry.index, request.clone());
        let complaint = self.time_leases(&request.command, &answer, now);
        self.answers.push(Some(answer));
        let changes: Vec<Change> =
            self.store.history().since(before, "").into_iter().flatten().cloned().collect();
        for change in &changes {
            self.by_key.entry(change.key.clone()).or_default().push((change.index, change.value.clone()));
        }
        self.changes.extend(changes);
        complaint
    }

    /// A lease never ends before its time, counted from its last renewal; clocks may drift by a twentieth.
    fn time_leases(&mut self, command: &Command, answer: &Answer, now: Micros) -> Option<String> {
        match (command, answer) {
            (Command::Grant { ttl_millis }, Answer::Granted { lease }) => {
                self.leases.insert(*lease, (*ttl_millis, 0, now));
            }
            (Command::KeepAlive { .. }, Answer::Renewed { lease }) => {
                if let Some((_, renewals, at)) = self.leases.get_mut(lease) {
                    (*renewals, *at) = (*renewals + 1, now);
                }
            }
            (Command::Expire { lease, .. }, Answer::Revoked { existed: true }) => {
                let (ttl_millis, _, at) = self.leases.remove(lease)?;
                let lived = now.saturating_sub(at);
                if lived < ttl_millis * 950 {
                    return Some(format!(
                        "lease {lease} of {ttl_millis} ms ended {} ms after it was renewed",
                        lived / 1000
                    ));
                }
            }
            _ => {}
        }
        None
    }

    /// What entry `index` should have answered.
    pub fn answer(&self, index: Index) -> Option<&Answer> {
        self.answers.get(usize::try_from(index).ok()?.checked_sub(1)?)?.as_ref()
    }

    /// What `key` held after entry `index`, and since when; 0 and nothing if it never was there.
    pub fn value_at(&self, key: &str, index: Index) -> (Index, Option<&Arc<str>>) {
        let Some(changes) = self.by_key.get(key) else { return (0, None) };
        match changes.partition_point(|(at, _)| *at <= index).checked_sub(1) {
            Some(at) => (changes[at].0, changes[at].1.as_ref()),
            None => (0, None),
        }
    }

    /// Every change after `after`, up to `through`.
    pub fn changes(&self, after: Index, through: Index) -> &[Change] {
        let from = self.changes.partition_point(|c| c.index <= after);
        let to = self.changes.partition_point(|c| c.index <= through);
        &self.changes[from..to.max(from)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(index: Index, request: &Request) -> Entry {
        let data = postcard::to_stdvec(request).unwrap();
        Entry { term: 1, index, payload: Payload::Command(data.into()) }
    }

    fn request(id: u64, command: Command) -> Request {
        Request { origin: "n1".parse().unwrap(), id, session: None, command }
    }

    #[test]
    fn remembers_what_held_when() {
        let mut oracle = Oracle::default();
        for (id, value) in [(1, "a"), (2, "b")] {
            let asked = request(id, Command::Write { key: "k".into(), value: value.into() });
            oracle.means(asked.clone());
            assert_eq!(oracle.follow(&entry(id, &asked), 0), None);
        }
        assert_eq!(oracle.value_at("k", 1), (1, Some(&"a".into())));
        assert_eq!(oracle.value_at("k", 9), (2, Some(&"b".into())));
        assert_eq!(oracle.value_at("k", 0), (0, None));
        assert_eq!(oracle.answer(2), Some(&Answer::Written { version: 2 }));
        assert_eq!(oracle.changes(1, 2).len(), 1);
    }

    #[test]
    fn complains_of_what_nobody_asked_and_of_leases_cut_short() {
        let mut oracle = Oracle::default();
        let grant = request(1, Command::Grant { ttl_millis: 300 });
        oracle.means(grant.clone());
        assert_eq!(oracle.follow(&entry(1, &grant), 1_000), None);
        let expire = request(2, Command::Expire { lease: 1, renewals: 0 });
        oracle.means(expire.clone());
        assert!(oracle.follow(&entry(2, &expire), 200_000).unwrap().contains("lease 1"));
        let stranger = request(3, Command::OpenSession);
        assert!(oracle.follow(&entry(3, &stranger), 0).unwrap().contains("nobody"));
    }
}
