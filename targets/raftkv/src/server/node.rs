//! The core thread: the only owner of the core and of the state machine.
//!
//! It takes every event that waits, steps the core with each, flushes once, and carries out what the core
//! says in its order: hand the write to the disk, send, apply, answer. Nothing here blocks but the wait for
//! the next event.

use std::collections::{BTreeMap, HashMap};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::config::Config;
use super::error::ApiError;
use super::peer::Peers;
use super::status::Status;
use super::trace;
use super::wire::Frame;
use crate::bugs::Bug;
use crate::kv::{Answer, Command, Request, Store, Versioned};
use crate::raft::{
    Core, Entry, Index, Input, Micros, NodeId, Output, Payload, ReadOutcome, Refusal, Role, RoleChange, Term,
    Write,
};

/// Whatever the core thread must hear of.
#[derive(Debug)]
pub enum Event {
    Client { ask: Ask, reply: Responder },
    Peer { from: NodeId, frame: Frame },
    Link { peer: NodeId, up: bool },
    Persisted { seq: u64 },
    DiskFailed(String),
    Stop,
}

/// What a client wants.
#[derive(Debug)]
pub enum Ask {
    Change(Command),
    Read { key: String, consistency: Consistency },
    Status,
}

/// How fresh a read must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    Linearizable,
    /// As linearizable, but a leader answers by itself while its lease holds.
    Lease,
    /// At least everything up to this log index, which an earlier answer named.
    Session {
        token: Index,
    },
    /// Whatever this node has applied.
    Local,
}

/// What a client gets.
#[derive(Debug)]
pub enum Reply {
    Changed(Answer),
    Value { found: Option<Versioned>, applied: Index },
    Status(Box<Status>),
}

pub type Responder = oneshot::Sender<Result<Reply, ApiError>>;

/// A change on its way.
#[derive(Debug)]
struct Pending {
    reply: Responder,
    /// The leader that was asked to propose it, if that is not this node.
    forwarded_to: Option<NodeId>,
}

/// Events handled before the core is flushed, at most.
const MAX_BATCH: usize = 4096;
/// How often requests whose client gave up are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The core thread's state.
#[derive(Debug)]
pub struct Node {
    config: Config,
    core: Core,
    store: Store,
    peers: Peers,
    disk: Sender<Write>,
    origin: Instant,
    /// Unique among all requests of all lives of this node: begins at random.
    next_id: u64,
    pending: HashMap<u64, Pending>,
    /// Where our own proposals stand in the log, while this node led.
    proposed: BTreeMap<Index, (Term, u64)>,
    /// Proposals made for other nodes and not yet answered by the core.
    proposing_for: HashMap<u64, (NodeId, u64)>,
    reads: HashMap<u64, (String, Responder)>,
    /// Session reads by the index that they wait for.
    session_reads: BTreeMap<Index, Vec<(String, Responder)>>,
    swept: Instant,
}

/// Why the core thread ended.
#[derive(Debug)]
pub enum End {
    Stopped,
    DiskFailed(String),
}

impl Node {
    pub fn new(
        config: Config,
        core: Core,
        peers: Peers,
        disk: Sender<Write>,
        origin: Instant,
        seed: u64,
    ) -> Node {
        Node {
            config,
            core,
            store: Store::default(),
            peers,
            disk,
            origin,
            next_id: seed,
            pending: HashMap::new(),
            proposed: BTreeMap::new(),
            proposing_for: HashMap::new(),
            reads: HashMap::new(),
            session_reads: BTreeMap::new(),
            swept: origin,
        }
    }

    /// Runs until told to stop or until the disk fails.
    pub fn run(mut self, events: &Receiver<Event>) -> End {
        loop {
            let wait = Duration::from_micros(self.core.deadline().saturating_sub(self.now()));
            let mut next = match events.recv_timeout(wait) {
                Ok(event) => Some(event),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return End::Stopped,
            };
            let mut taken = 0;
            while let Some(event) = next {
                match event {
                    Event::Stop => return End::Stopped,
                    Event::DiskFailed(why) => return End::DiskFailed(why),
                    event => self.handle(event),
                }
                taken += 1;
                next = if taken < MAX_BATCH { events.try_recv().ok() } else { None };
            }
            self.core.step(self.now(), Input::Tick);
            let output = self.core.flush();
            self.carry_out(output);
            self.sweep();
        }
    }

    fn now(&self) -> Micros {
        if self.has(Bug::LeaseClock) {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            return wall.as_micros() as Micros;
        }
        self.origin.elapsed().as_micros() as Micros
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Client { ask: Ask::Change(command), reply } => self.change(command, reply),
            Event::Client { ask: Ask::Read { key, consistency }, reply } => {
                self.read(key, consistency, reply)
            }
            Event::Client { ask: Ask::Status, reply } => {
                let status = Status::of(&self.config, &self.core, &self.store, self.origin);
                let _ = reply.send(Ok(Reply::Status(Box::new(status))));
            }
            Event::Peer { from, frame } => self.peer(from, frame),
            Event::Link { peer, up } => {
                self.core.step(self.now(), Input::Link { peer, up });
                if !up {
                    self.forwards_broke(peer);
                }
            }
            Event::Persisted { seq } => self.core.step(self.now(), Input::Persisted { seq }),
            Event::DiskFailed(_) | Event::Stop => {}
        }
    }

    /// Proposes a change, or passes it to the leader. It is answered when it is applied here.
    fn change(&mut self, mut command: Command, reply: Responder) {
        if self.has(Bug::CasCheckOutsideLog)
            && let Command::Cas { key, expected, decided, .. } = &mut command
        {
            *decided = self.store.get(key).map(|v| &v.value) == expected.as_ref();
        }
        let Some(leader) = self.core.leader() else {
            let _ = reply.send(Err(ApiError::NoLeader));
            return;
        };
        let id = self.fresh_id();
        let is_write = matches!(command, Command::Write { .. });
        let request = Request { origin: self.config.id, id, command };
        let data = Bytes::from(postcard::to_stdvec(&request).expect("a request is plain data"));
        let forwarded_to = (leader != self.config.id).then_some(leader);
        let early = self.has(Bug::AckBeforeCommit) && forwarded_to.is_none() && is_write;
        if forwarded_to.is_some() {
            if !self.peers.send(leader, Frame::Forward { id, data }) {
                let _ = reply.send(Err(ApiError::NoLeader));
                return;
            }
        } else {
            self.core.step(self.now(), Input::Propose { id, data });
        }
        if early {
            let version = self.core.log().last_index();
            let _ = reply.send(Ok(Reply::Changed(Answer::Written { version })));
            return;
        }
        self.pending.insert(id, Pending { reply, forwarded_to });
    }

    fn read(&mut self, key: String, consistency: Consistency, reply: Responder) {
        if let Consistency::Session { token } = consistency {
            if token <= self.store.applied() || self.has(Bug::CausalTokenIgnored) {
                self.answer_read(&key, reply);
            } else {
                self.session_reads.entry(token).or_default().push((key, reply));
            }
            return;
        }
        let unconfirmed = consistency == Consistency::Local
            || self.config.unsafe_reads
            || self.has(Bug::FollowerReadsAsLinearizable)
            || self.has(Bug::StaleRead) && self.core.role() == Role::Leader;
        if unconfirmed {
            self.answer_read(&key, reply);
            return;
        }
        let id = self.fresh_id();
        self.reads.insert(id, (key, reply));
        let lease = consistency == Consistency::Lease;
        self.core.step(self.now(), Input::Read { id, lease });
    }

    fn peer(&mut self, from: NodeId, frame: Frame) {
        match frame {
            Frame::Raft(message) => self.core.step(self.now(), Input::Receive { from, message }),
            Frame::Forward { id, data } => {
                let ours = self.fresh_id();
                self.proposing_for.insert(ours, (from, id));
                self.core.step(self.now(), Input::Propose { id: ours, data });
            }
            Frame::Refused { id, refusal } => self.finish(id, Err(refused(refusal))),
            Frame::Ping => {}
        }
    }

    fn carry_out(&mut self, mut output: Output) {
        for change in output.role_changes {
            self.report(change);
            if self.has(Bug::DuplicateApply) && change.role == Role::Leader {
                output.committed.extend(self.core.log().get(self.store.applied()).cloned());
            }
        }
        if self.has(Bug::ApplyOutOfOrder) {
            output.committed.reverse();
        }
        if let Some(write) = output.write {
            // The disk thread is gone only after it reported why.
            let _ = self.disk.send(write);
        }
        for (to, message) in output.messages {
            self.peers.send(to, Frame::Raft(message));
        }
        for (id, result) in output.proposals {
            self.proposed(id, result);
        }
        for entry in output.committed {
            self.apply(entry);
        }
        self.release_session_reads();
        for (id, outcome) in output.reads {
            let Some((key, reply)) = self.reads.remove(&id) else { continue };
            match outcome {
                ReadOutcome::Ready => self.answer_read(&key, reply),
                ReadOutcome::NoLeader => drop(reply.send(Err(ApiError::NoLeader))),
                ReadOutcome::LeaderLost => drop(reply.send(Err(ApiError::LeaderLost))),
            }
        }
    }

    /// The core took or refused a proposal.
    fn proposed(&mut self, id: u64, result: Result<(Index, Term), Refusal>) {
        if let Some((from, theirs)) = self.proposing_for.remove(&id) {
            if let Err(refusal) = result {
                self.peers.send(from, Frame::Refused { id: theirs, refusal });
            }
            return;
        }
        match result {
            Ok((index, term)) => drop(self.proposed.insert(index, (term, id))),
            Err(refusal) => self.finish(id, Err(refused(refusal))),
        }
    }

    fn apply(&mut self, entry: Entry) {
        // Another entry was committed where our proposal stood: ours can never be.
        if let Some((term, id)) = self.proposed.remove(&entry.index)
            && term != entry.term
        {
            self.finish(id, Err(ApiError::Superseded));
        }
        let Payload::Command(data) = entry.payload else {
            self.store.skip(entry.index);
            return;
        };
        let request: Request = postcard::from_bytes(&data).expect("only our own servers write the log");
        let answer = self.store.apply(entry.index, request.command);
        if request.origin == self.config.id {
            self.finish(request.id, Ok(Reply::Changed(answer)));
        }
    }

    fn answer_read(&self, key: &str, reply: Responder) {
        let found = self.store.get(key).cloned();
        let _ = reply.send(Ok(Reply::Value { found, applied: self.store.applied() }));
    }

    fn release_session_reads(&mut self) {
        while let Some(first) = self.session_reads.first_entry()
            && *first.key() <= self.store.applied()
        {
            for (key, reply) in first.remove() {
                self.answer_read(&key, reply);
            }
        }
    }

    fn finish(&mut self, id: u64, result: Result<Reply, ApiError>) {
        if let Some(pending) = self.pending.remove(&id) {
            let _ = pending.reply.send(result);
        }
    }

    /// Whether the leader received what was sent before the connection broke is not known.
    fn forwards_broke(&mut self, peer: NodeId) {
        let broken: Vec<u64> =
            self.pending.iter().filter(|(_, p)| p.forwarded_to == Some(peer)).map(|(id, _)| *id).collect();
        for id in broken {
            self.finish(id, Err(ApiError::ForwardBroken));
        }
    }

    fn report(&self, change: RoleChange) {
        let RoleChange { role, term, leader } = change;
        let leader = leader.map_or("none".to_owned(), |id| id.to_string());
        let (commit, last) = (self.core.commit(), self.core.log().last_index());
        let what = role.as_str();
        trace::line(
            self.config.id,
            format_args!("became {what} term={term} leader={leader} commit={commit} last={last}"),
        );
    }

    /// Forgets requests whose client gave up.
    fn sweep(&mut self) {
        if self.swept.elapsed() < SWEEP_EVERY {
            return;
        }
        self.swept = Instant::now();
        self.pending.retain(|_, p| !p.reply.is_closed());
        self.reads.retain(|_, (_, reply)| !reply.is_closed());
        self.session_reads.retain(|_, waiting| {
            waiting.retain(|(_, reply)| !reply.is_closed());
            !waiting.is_empty()
        });
    }

    fn fresh_id(&mut self) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    fn has(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }
}

fn refused(refusal: Refusal) -> ApiError {
    match refusal {
        Refusal::NotLeader => ApiError::NotLeader,
        Refusal::Busy => ApiError::Busy,
    }
}
