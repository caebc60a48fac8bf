//! What clients of a storm ask, and what must hold for the answers.
//!
//! Every answer and every value is compared with the oracle's at the same place of the log. The order itself respects
//! real time if nobody reads something older than what anyone was told before: that is the floor of a read.

use std::collections::{BTreeMap, HashMap};

use super::cluster::Happening;
use super::storm::Storm;
use crate::bugs::Bug;
use crate::kv::{Answer, Command, Guard, Op, Request, SessionSeq, Txn};
use crate::raft::{Index, Input, NodeId, Payload, ReadOutcome, Role};
use crate::server::watch;

const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];
const LIST: &str = "l";
const COUNTER: &str = "c";
const LOCK: &str = "m";
/// Sessions, and leases, that clients keep open.
const OPEN_MAX: usize = 3;

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fresh {
    /// As of everything that anyone was told before: by a read index or a lease.
    Linearizable,
    /// The same floor, waited for by its index.
    Session,
}

/// A read under way.
#[derive(Debug, Clone, Copy)]
struct Read {
    key: &'static str,
    /// What had been seen by anyone when it began.
    floor: Index,
}

/// All clients together.
#[derive(Debug, Default)]
pub(super) struct Clients {
    next: u64,
    reads: HashMap<u64, Read>,
    /// Session reads that wait, with their node.
    waiting: Vec<(NodeId, Read)>,
    /// The newest index that anyone was told of.
    told: Index,
    /// Writes that were acknowledged before they were committed, by where they must stand.
    early: BTreeMap<Index, u64>,
    sessions: Vec<(u64, u64)>,
    leases: Vec<u64>,
    tokens: Vec<u64>,
    /// How far someone has watched.
    watched: Index,
}

impl Storm {
    /// One client operation.
    pub(super) fn operate(&mut self) {
        self.clients.next += 1;
        self.audit();
        match self.below(20) {
            0..10 => self.change(),
            10 => self.watch(),
            11 | 12 => self.read(Fresh::Session),
            _ => self.read(Fresh::Linearizable),
        }
    }

    fn change(&mut self) {
        let leaders: Vec<NodeId> = self.ids.iter().copied().filter(|&id| self.leads(id)).collect();
        let Some(&id) = leaders.get(self.below(leaders.len().max(1) as u64) as usize) else { return };
        let n = self.clients.next;
        let (command, session) = self.wanted();
        let is_write = matches!(command, Command::Write { .. });
        // Now and then a request is sent again: with its session's number it is done once.
        let again = (session.is_some() && self.chance(500)).then(|| command.clone());
        self.cluster.propose(id, n, command, session);
        if is_write
            && self.config.bug == Some(Bug::AckBeforeCommit)
            && let Some(core) = self.cluster.core(id)
        {
            let index = core.log().last_index();
            self.clients.early.insert(index, n);
        }
        self.settle(id);
        if let Some(command) = again {
            self.clients.next += 1;
            let n = self.clients.next;
            self.cluster.propose(id, n, command, session);
            self.settle(id);
        }
    }

    fn wanted(&mut self) -> (Command, Option<SessionSeq>) {
        let n = self.clients.next;
        let (key, other) = (self.any_key(), self.any_key());
        let write = |key: &str| Op::Write { key: key.into(), value: n.to_string() };
        let txn = |guards, then| Command::Txn(Txn { guards, then, ..Txn::default() });
        let seen = |storm: &Storm, key: &str| {
            let (_, value) = storm.cluster.oracle.value_at(key, storm.clients.told);
            value.map(|v| v.to_string())
        };
        let command = match self.below(20) {
            0..5 => Command::Write { key: key.into(), value: n.to_string() },
            5 | 6 => Command::Cas {
                key: key.into(),
                expected: seen(self, key),
                value: n.to_string(),
                decided: false,
            },
            7 => Command::Delete { key: key.into() },
            8 => txn(vec![], vec![Op::Append { key: LIST.into(), item: n.to_string(), read_before: None }]),
            9 => txn(vec![], vec![Op::Add { key: COUNTER.into(), amount: 100, read_before: None }]),
            10 | 11 => {
                let guard = Guard::Value { key: other.into(), value: seen(self, other) };
                txn(vec![guard], vec![write(key), write(other)])
            }
            12 => txn(vec![], vec![write("k3"), write("k1"), write("k0")]),
            13..16 => return self.in_session(),
            16 if self.clients.leases.len() < OPEN_MAX => Command::Grant { ttl_millis: 400 },
            17 => {
                let token = self.pick(&self.clients.tokens.clone()).unwrap_or(0);
                txn(vec![Guard::Held { lock: LOCK.into(), token }], vec![write(key)])
            }
            _ => match self.pick(&self.clients.leases.clone()) {
                Some(lease) if self.chance(600) => Command::KeepAlive { lease },
                Some(lease) => Command::Lock { name: LOCK.into(), lease },
                None => Command::Grant { ttl_millis: 400 },
            },
        };
        (command, None)
    }

    /// The next change of a session; its number is used up, whatever becomes of it.
    fn in_session(&mut self) -> (Command, Option<SessionSeq>) {
        let open = self.clients.sessions.len();
        if open < OPEN_MAX {
            return (Command::OpenSession, None);
        }
        let at = self.below(open as u64) as usize;
        let (session, seq) = &mut self.clients.sessions[at];
        *seq += 1;
        let at = SessionSeq { session: *session, seq: *seq };
        let item = self.clients.next.to_string();
        let append = Op::Append { key: LIST.into(), item, read_before: None };
        (Command::Txn(Txn { then: vec![append], ..Txn::default() }), Some(at))
    }

    fn read(&mut self, fresh: Fresh) {
        let id = self.any_node();
        let Some(core) = self.cluster.core(id) else { return };
        let leads = core.role() == Role::Leader;
        let key = match self.below(6) {
            4 => LIST,
            5 => COUNTER,
            at => KEYS[at as usize],
        };
        let read = Read { key, floor: self.clients.told };
        let unconfirmed = match (fresh, self.config.bug) {
            (Fresh::Session, Some(Bug::CausalTokenIgnored))
            | (Fresh::Linearizable, Some(Bug::FollowerReadsAsLinearizable)) => true,
            (Fresh::Linearizable, Some(Bug::StaleRead)) => leads,
            _ => false,
        };
        if unconfirmed {
            self.seen(id, read);
        } else if fresh == Fresh::Session {
            self.clients.waiting.push((id, read));
            self.settle(id);
        } else {
            let n = self.clients.next;
            self.clients.reads.insert(n, read);
            self.cluster.input(id, Input::Read { id: n, lease: n.is_multiple_of(3) });
            self.settle(id);
        }
    }

    /// A client is shown what a node holds.
    fn seen(&mut self, id: NodeId, read: Read) {
        let store = &self.cluster.nodes[&id].store;
        let (found, applied) = (store.get(read.key), store.applied());
        let oracle = &self.cluster.oracle;
        let (version, value) = oracle.value_at(read.key, applied);
        let (floor, _) = oracle.value_at(read.key, read.floor);
        let complaint = if found.map(|f| f.value.as_ref()) != value.map(|v| v.as_ref()) {
            Some(format!("wrong read at {id}: {} after entry {applied} is not what it should be", read.key))
        } else if version < floor {
            let (key, version) = (read.key, version);
            Some(format!("stale read at {id}: {key} as of entry {version}, but entry {floor} had been seen"))
        } else {
            None
        };
        if let Some(complaint) = complaint {
            return self.cluster.invariants.breach(complaint);
        }
        self.clients.told = self.clients.told.max(version);
        self.report.reads += 1;
    }

    fn watch(&mut self) {
        let id = self.any_node();
        let Some(node) = self.cluster.nodes.get(&id).filter(|n| n.core.is_some()) else { return };
        let after = self.clients.watched;
        let (events, next) = match watch::news(&node.store, self.config.bug, after, "") {
            Ok(Some(news)) => news,
            Ok(None) => return,
            Err(_) => {
                self.clients.watched = self.clients.told;
                return;
            }
        };
        if events.as_slice() != self.cluster.oracle.changes(after, next) {
            let what =
                format!("wrong watch at {id}: changes after {after} up to {next} are not what happened");
            self.cluster.invariants.breach(what);
        }
        self.clients.watched = next;
    }

    /// State Machine Safety, looked at from the state: one key of one node.
    fn audit(&mut self) {
        let (id, key) = (self.any_node(), self.any_key());
        let Some(node) = self.cluster.nodes.get(&id).filter(|n| n.core.is_some()) else { return };
        let applied = node.store.applied();
        let (_, value) = self.cluster.oracle.value_at(key, applied);
        if node.store.get(key).map(|f| f.value.as_ref()) != value.map(|v| v.as_ref()) {
            let what =
                format!("state machine safety: {key} at {id} after entry {applied} is not what it should be");
            self.cluster.invariants.breach(what);
        }
    }

    pub(super) fn observe(&mut self, node: NodeId, happening: Happening) {
        match happening {
            Happening::Role(change) => self.role_changed(node, change),
            Happening::Proposed(..) => {}
            Happening::Applied(entry, done) => {
                if let Some(n) = self.clients.early.remove(&entry.index)
                    && !is_request(&entry.payload, n)
                {
                    let what = format!("lost write: {n} was acknowledged at entry {}", entry.index);
                    self.cluster.invariants.breach(what);
                }
                if let Some((request, answer)) = done.map(|done| *done)
                    && request.origin == node
                {
                    self.answered(node, entry.index, answer);
                }
            }
            Happening::Read(n, outcome) => {
                let Some(read) = self.clients.reads.remove(&n) else { return };
                if outcome == ReadOutcome::Ready {
                    self.seen(node, read);
                }
            }
        }
    }

    fn answered(&mut self, node: NodeId, index: Index, answer: Answer) {
        // A node that applies an entry again after a crash answers nobody.
        if self.cluster.oracle.answer(index) != Some(&answer) {
            let what = format!("wrong answer at {node}: entry {index} answered {answer:?}");
            return self.cluster.invariants.breach(what);
        }
        let clients = &mut self.clients;
        clients.told = clients.told.max(index);
        self.report.acknowledged += 1;
        match answer {
            Answer::SessionOpened { session } if clients.sessions.len() < OPEN_MAX => {
                clients.sessions.push((session, 0));
            }
            Answer::Granted { lease } => clients.leases.push(lease),
            Answer::Locked { token } => {
                clients.tokens.push(token);
                clients.tokens.dedup();
            }
            _ => {}
        }
        if let Answer::Refused(_) | Answer::Revoked { .. } = answer {
            // Some lease ended; which are left will be found out.
            let alive = self.cluster.nodes[&node].store.leases();
            self.clients.leases.retain(|lease| alive.get(*lease).is_some());
        }
    }

    /// Session reads of a node that has caught up.
    pub(super) fn release_session_reads(&mut self, id: NodeId) {
        let Some(node) = self.cluster.nodes.get(&id) else { return };
        let applied = node.store.applied();
        if node.core.is_none() {
            return self.clients.waiting.retain(|(at, _)| *at != id);
        }
        let (ready, waiting) = std::mem::take(&mut self.clients.waiting)
            .into_iter()
            .partition(|(at, read)| *at == id && read.floor <= applied);
        self.clients.waiting = waiting;
        let ready: Vec<(NodeId, Read)> = ready;
        ready.into_iter().for_each(|(id, read)| self.seen(id, read));
    }

    fn any_key(&mut self) -> &'static str {
        KEYS[self.below(KEYS.len() as u64) as usize]
    }

    fn pick(&mut self, among: &[u64]) -> Option<u64> {
        among.get(self.below(among.len().max(1) as u64) as usize).copied()
    }
}

fn is_request(payload: &Payload, n: u64) -> bool {
    let Payload::Command(data) = payload else { return false };
    postcard::from_bytes::<Request>(data).is_ok_and(|r| r.id == n)
}
