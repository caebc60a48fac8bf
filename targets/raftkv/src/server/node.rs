//! The core's task: the only owner of the core and of the state machine.
//!
//! It takes every event that waits, steps the core with each, flushes once, and carries out what the core
//! says in its order: hand the write to the disk, send, apply, answer. It shares a thread with the connections:
//! when its turn comes, every connection that was ready has had its own, so that what arrived together is
//! handled together, and no request changes threads but for the disk. What clients ask for is in `requests`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::mpsc;

use super::asks::{Event, Query, Reply, Responder};
use super::compaction::Compaction;
use super::config::Config;
use super::disk::DiskJob;
use super::early::misapply;
use super::error::ApiError;
use super::http::Traffic;
use super::lease_timers::LeaseTimers;
use super::peer::Peers;
use super::wire::Frame;
use super::{trace, watch};
use crate::bugs::Bug;
use crate::kv::{Answer, Request, Store};
use crate::raft::{
    Core, Entry, Index, Input, Micros, NodeId, Output, Payload, Proposed, ReadOutcome, RoleChange, Term,
};

/// Events handled before the core is flushed, at most.
const MAX_BATCH: usize = 4096;
/// How often requests whose client gave up are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A change on its way.
#[derive(Debug)]
pub(super) struct Pending {
    pub reply: Responder,
    /// The leader that was asked to propose it, if that is not this node.
    pub forwarded_to: Option<NodeId>,
}

/// The state of the task.
#[derive(Debug)]
pub struct Node {
    pub(super) config: Config,
    pub(super) core: Core,
    pub(super) store: Store,
    pub(super) peers: Peers,
    pub(super) disk: Sender<DiskJob>,
    pub(super) compaction: Compaction,
    pub(super) origin: Instant,
    /// Unique among all requests of all lives of this node: begins at random.
    next_id: u64,
    pub(super) pending: HashMap<u64, Pending>,
    /// Where our own proposals stand in the log, while this node led.
    proposed: BTreeMap<Index, (Term, u64)>,
    /// Proposals made for other nodes and not yet answered by the core.
    proposing_for: HashMap<u64, (NodeId, u64)>,
    pub(super) reads: HashMap<u64, (Query, Responder)>,
    /// Session reads by the index that they wait for.
    pub(super) session_reads: BTreeMap<Index, Vec<(Query, Responder)>>,
    pub(super) watchers: Vec<(Index, String, Responder)>,
    pub(super) lease_timers: LeaseTimers,
    /// When each client session was used, by this node's wall clock (for one of the museum's bugs).
    session_used: HashMap<u64, SystemTime>,
    swept: Instant,
    pub(super) traffic: Arc<Traffic>,
    /// How many flushes of the log there were, and the time they took together.
    pub(super) flushes: (u64, Duration),
    /// Told to stop: nothing new is taken, and this is the latest time to end.
    pub(super) stop_by: Option<Instant>,
}

/// What a node is made of.
#[derive(Debug)]
pub struct Parts {
    pub config: Config,
    pub core: Core,
    pub store: Store,
    pub peers: Peers,
    pub disk: Sender<DiskJob>,
    pub compaction: Compaction,
    pub traffic: Arc<Traffic>,
    pub origin: Instant,
    /// Random: request numbers begin there.
    pub seed: u64,
}

/// Why the task ended.
#[derive(Debug)]
pub enum End {
    Stopped,
    DiskFailed(String),
}

impl Node {
    pub fn new(parts: Parts) -> Node {
        let Parts { config, core, store, peers, disk, compaction, traffic, origin, seed } = parts;
        Node {
            config,
            core,
            store,
            peers,
            disk,
            compaction,
            origin,
            next_id: seed,
            pending: HashMap::new(),
            proposed: BTreeMap::new(),
            proposing_for: HashMap::new(),
            reads: HashMap::new(),
            session_reads: BTreeMap::new(),
            watchers: Vec::new(),
            lease_timers: LeaseTimers::default(),
            session_used: HashMap::new(),
            swept: origin,
            traffic,
            flushes: (0, Duration::ZERO),
            stop_by: None,
        }
    }

    /// Runs until told to stop or until the disk fails.
    pub async fn run(mut self, mut events: mpsc::UnboundedReceiver<Event>) -> End {
        // Set anew only for an earlier deadline: most are moved on before they come, and a timer that rings too
        // early costs less than one that is set with each message.
        let mut armed = Micros::MAX;
        let sleep = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(sleep);
        loop {
            let deadline = self.core.deadline();
            if deadline < armed {
                let wait = Duration::from_micros(deadline.saturating_sub(self.now()));
                sleep.as_mut().reset(tokio::time::Instant::now() + wait);
                armed = deadline;
            }
            let mut next = tokio::select! {
                biased;
                event = events.recv() => match event {
                    Some(event) => Some(event),
                    None => return End::Stopped,
                },
                () = &mut sleep => {
                    armed = Micros::MAX;
                    None
                }
            };
            let mut taken = 0;
            while let Some(event) = next {
                match event {
                    Event::Stop => self.begin_to_stop(),
                    Event::DiskFailed(why) => return End::DiskFailed(why),
                    event => self.handle(event),
                }
                taken += 1;
                next = if taken < MAX_BATCH { events.try_recv().ok() } else { None };
            }
            self.step(Input::Tick);
            let output = self.core.flush();
            self.carry_out(output);
            self.expire_leases();
            self.sweep();
            if self.may_end() {
                return End::Stopped;
            }
        }
    }

    pub(super) fn step(&mut self, input: Input) {
        self.core.step(self.now(), input);
    }

    pub(super) fn now(&self) -> Micros {
        if self.has(Bug::LeaseClock) {
            let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            return wall.as_micros() as Micros;
        }
        self.origin.elapsed().as_micros() as Micros
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Client { ask, reply } => self.client(ask, reply),
            Event::Peer { from, frame } => self.peer(from, frame),
            Event::Link { peer, up } => {
                self.step(Input::Link { peer, up });
                if !up {
                    self.forwards_broke(peer);
                }
            }
            Event::Persisted { seq, took } => {
                self.flushes.0 += 1;
                self.flushes.1 += took;
                self.step(Input::Persisted { seq });
            }
            Event::SnapshotWritten(result) => self.snapshot_written(result),
            Event::SnapshotLoaded(result) => self.snapshot_loaded(result),
            Event::DiskFailed(_) | Event::Stop => {}
        }
    }

    fn peer(&mut self, from: NodeId, frame: Frame) {
        match frame {
            Frame::Raft(message) => self.step(Input::Receive { from, message }),
            Frame::Forward { id, data } => {
                let ours = self.fresh_id();
                self.proposing_for.insert(ours, (from, id));
                self.step(Input::Propose { id: ours, data });
            }
            Frame::Refused { id, refusal } => self.finish(id, Err(refusal.into())),
            Frame::Ping => {}
        }
    }

    fn carry_out(&mut self, mut output: Output) {
        misapply(&mut output, &self.core, self.store.applied(), self.config.bug);
        for change in std::mem::take(&mut output.role_changes) {
            self.report(change);
        }
        if let Some((candidate, term)) = output.voted {
            trace::line(self.config.id, format_args!("voted for={candidate} term={term}"));
        }
        if let Some(write) = output.write {
            // The disk thread is gone only after it reported why.
            let _ = self.disk.send(DiskJob::Write(write));
        }
        for (to, message) in output.messages {
            self.peers.send(to, Frame::Raft(message));
        }
        for (to, index, offset) in output.pieces_wanted {
            self.send_piece(to, index, offset);
        }
        // Whoever waits for an index has it with a snapshot, too.
        let news = !output.committed.is_empty() || output.installed.is_some();
        if let Some(meta) = output.installed {
            self.installed(&meta);
        }
        for (id, result) in output.proposals {
            self.proposed(id, result);
        }
        self.peers.meet(self.core.log().membership());
        for entry in output.committed {
            self.apply(entry);
        }
        if news {
            self.release_session_reads();
            self.notify_watchers();
        }
        for (id, outcome) in output.reads {
            let Some((query, reply)) = self.reads.remove(&id) else { continue };
            match outcome {
                ReadOutcome::Ready => self.answer_query(&query, reply),
                ReadOutcome::NoLeader => drop(reply.send(Err(ApiError::NoLeader))),
                ReadOutcome::LeaderLost => drop(reply.send(Err(ApiError::LeaderLost))),
            }
        }
        for piece in output.pieces {
            self.keep_piece(piece);
        }
        self.maybe_snapshot();
    }

    /// The core took or refused a proposal.
    fn proposed(&mut self, id: u64, result: Proposed) {
        if let Some((from, theirs)) = self.proposing_for.remove(&id) {
            if let Err(refusal) = result {
                self.peers.send(from, Frame::Refused { id: theirs, refusal });
            }
            return;
        }
        match result {
            Ok((index, term)) => drop(self.proposed.insert(index, (term, id))),
            Err(refusal) => self.finish(id, Err(refusal.into())),
        }
    }

    fn apply(&mut self, entry: Entry) {
        // Another entry was committed where our proposal stood: ours can never be.
        let mine = self.proposed.remove(&entry.index);
        if let Some((term, id)) = mine
            && term != entry.term
        {
            self.finish(id, Err(ApiError::Superseded));
        }
        let Payload::Command(data) = entry.payload else {
            self.store.skip(entry.index);
            if let (Payload::Membership(members), Some((_, id))) = (entry.payload, mine) {
                self.finish(id, Ok(Reply::Members(members)));
            }
            return;
        };
        let request: Request = postcard::from_bytes(&data).expect("only our own servers write the log");
        if self.has(Bug::SessionExpiresByLocalClock)
            && let Some(at) = request.session
            && let Some(used) = self.session_used.insert(at.session, SystemTime::now())
            && used.elapsed().is_ok_and(|idle| idle > Duration::from_secs(1))
        {
            self.store.forget_session(at.session);
        }
        let (origin, id) = (request.origin, request.id);
        let answer = self.store.apply_request(entry.index, request);
        self.lease_timers.observe(&answer, self.now());
        if origin == self.config.id {
            let result = match answer {
                Answer::Refused(why) => Err(ApiError::Conflict(why)),
                answer => Ok(Reply::Changed(answer)),
            };
            self.finish(id, result);
        }
    }

    fn release_session_reads(&mut self) {
        while let Some(first) = self.session_reads.first_entry()
            && *first.key() <= self.store.applied()
        {
            for (query, reply) in first.remove() {
                self.answer_query(&query, reply);
            }
        }
    }

    /// Answers every watcher for whom something happened.
    pub(super) fn notify_watchers(&mut self) {
        let (store, bug) = (&self.store, self.config.bug);
        let waiting = std::mem::take(&mut self.watchers);
        self.watchers = waiting.into_iter().filter_map(|watcher| watch::serve(store, bug, watcher)).collect();
    }

    pub(super) fn finish(&mut self, id: u64, result: Result<Reply, ApiError>) {
        if let Some(pending) = self.pending.remove(&id) {
            let _ = pending.reply.send(result);
        }
    }

    /// Whether the leader received what was sent before the connection broke is not known.
    fn forwards_broke(&mut self, peer: NodeId) {
        let broken = self.pending.iter().filter(|(_, p)| p.forwarded_to == Some(peer));
        for id in broken.map(|(id, _)| *id).collect::<Vec<u64>>() {
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
        self.watchers.retain(|(.., reply)| !reply.is_closed());
        self.session_reads.retain(|_, waiting| {
            waiting.retain(|(_, reply)| !reply.is_closed());
            !waiting.is_empty()
        });
    }

    pub(super) fn fresh_id(&mut self) -> u64 {
        self.next_id = self.next_id.wrapping_add(1);
        self.next_id
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }
}
