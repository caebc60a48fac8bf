//! Nodes, wires and disks, moved by hand.
//!
//! Nothing moves by itself: messages stay on their wires until delivered or dropped, writes stay in memory
//! until persisted. What a crash loses is exactly what was not persisted.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::invariants::Invariants;
use super::oracle::Oracle;
use crate::bugs::Bug;
use crate::kv::{Answer, Command, Request, SessionSeq, Store, read_snapshot, write_snapshot};
use crate::raft::{
    Core, CoreConfig, Entry, HardState, Index, Input, Log, Membership, Message, Micros, NodeId, Output,
    Payload, Piece, Proposed, ReadOutcome, Restored, Role, RoleChange, SnapshotMeta, Term, Write,
};
use crate::server::early::{decide_too_early, misapply};
use crate::server::lease_timers::LeaseTimers;

/// Small, so that even small states travel in several pieces.
const PIECE_BYTES: usize = 100;

/// A message under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    pub from: NodeId,
    pub to: NodeId,
    pub message: Message,
}

/// What a node wrote: durable, and not yet.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub hard_state: HardState,
    /// Entries after the base.
    pub entries: Vec<Entry>,
    pub base: (Index, Term),
    /// The latest snapshot, as a file would hold it. Written at once: only logs are torn here.
    pub snapshot: Option<(SnapshotMeta, Bytes)>,
    pub waiting: VecDeque<Write>,
    /// Said to be durable and not (one of the museum's bugs).
    cached: VecDeque<Write>,
}

/// Writes that a disk which is never flushed may still lose.
const CACHED: usize = 8;

/// How a node's clocks run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock {
    /// How much faster than real time both run, in parts per million.
    pub drift_ppm: i64,
    /// How far the wall clock is off.
    pub offset: i64,
}

/// Wall clocks began so long before the simulation, in microseconds: they can be set back.
const WALL_ORIGIN: i64 = 1_000_000_000;

impl Clock {
    /// The monotonic clock.
    pub fn monotonic(self, now: Micros) -> Micros {
        (now as i64 + now as i64 * self.drift_ppm / 1_000_000) as Micros
    }

    /// The wall clock.
    pub fn wall(self, now: Micros) -> Micros {
        (WALL_ORIGIN + self.monotonic(now) as i64 + self.offset).max(0) as Micros
    }
}

impl Disk {
    /// What a start finds.
    fn restore(&mut self, membership: &Membership, bug: Option<Bug>) -> (Restored, Store) {
        let (mut log, mut store) = (Log::new(membership.clone()), Store::new(bug));
        if let Some((meta, data)) = &self.snapshot {
            (_, store) = read_snapshot(&mut data.as_ref(), bug).expect("a snapshot of our own");
            log = Log::after(meta);
            let (index, term) = (meta.index, meta.term);
            if self.base.0 < index {
                self.rebase(index, term);
            }
        }
        if bug == Some(Bug::TruncateTooMuch) {
            self.entries.pop();
        }
        for entry in &self.entries {
            log.push(entry.clone());
        }
        let snapshot = self.snapshot.as_ref().map(|(meta, _)| meta.clone());
        (Restored { hard_state: self.hard_state, log, snapshot }, store)
    }

    fn absorb(&mut self, write: Write) {
        if let Some(state) = write.hard_state {
            self.hard_state = state;
        }
        if let Some((index, term)) = write.base {
            self.rebase(index, term);
        }
        for entry in write.entries {
            self.entries.truncate((entry.index - self.base.0 - 1) as usize);
            self.entries.push(entry);
        }
    }

    /// The log begins anew after (`index`, `term`); what agrees with it stays.
    fn rebase(&mut self, index: Index, term: Term) {
        let known = self.entries.iter().position(|e| (e.index, e.term) == (index, term));
        self.entries.drain(..known.map_or(self.entries.len(), |at| at + 1));
        self.base = (index, term);
    }
}

/// One node. `core` is `None` while it is down.
#[derive(Debug)]
pub struct SimNode {
    pub core: Option<Core>,
    pub store: Store,
    pub disk: Disk,
    /// Pieces of a leader's snapshot so far.
    incoming: Vec<u8>,
    lives: u64,
    timers: LeaseTimers,
    /// When each client session was used, by the wall clock (for one of the museum's bugs).
    session_used: BTreeMap<u64, Micros>,
    /// The first half of a snapshot (one of the museum's bugs).
    earlier: Option<Store>,
}

impl SimNode {
    fn new(bug: Option<Bug>) -> SimNode {
        SimNode {
            core: None,
            store: Store::new(bug),
            disk: Disk::default(),
            incoming: Vec::new(),
            lives: 0,
            timers: LeaseTimers::default(),
            session_used: BTreeMap::new(),
            earlier: None,
        }
    }
}

/// Something a client or a reader of scripts wants to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    Role(RoleChange),
    Proposed(u64, Proposed),
    Applied(Entry, Option<Box<(Request, Answer)>>),
    Read(u64, ReadOutcome),
}

/// A cluster in one piece.
#[derive(Debug)]
pub struct Cluster {
    pub nodes: BTreeMap<NodeId, SimNode>,
    pub wires: Vec<Wire>,
    pub now: Micros,
    pub invariants: Invariants,
    pub oracle: Oracle,
    pub clocks: BTreeMap<NodeId, Clock>,
    /// What happened since it was last taken, with the node that it happened to.
    pub happenings: Vec<(NodeId, Happening)>,
    /// Entries in one message, in bytes; for nodes started from now on.
    pub max_append_bytes: usize,
    membership: Membership,
    seed: u64,
    bug: Option<Bug>,
    /// Numbers of what nodes ask by themselves: far from those of clients.
    own_requests: u64,
}

impl Cluster {
    /// Starts every node of `ids`.
    pub fn new(ids: &[NodeId], seed: u64, bug: Option<Bug>) -> Cluster {
        let membership = Membership::of(ids.iter().copied());
        let mut cluster = Cluster {
            nodes: BTreeMap::new(),
            wires: Vec::new(),
            now: 0,
            invariants: Invariants::default(),
            oracle: Oracle::default(),
            clocks: BTreeMap::new(),
            happenings: Vec::new(),
            max_append_bytes: 512 * 1024,
            membership,
            seed,
            bug,
            own_requests: 1 << 40,
        };
        for &id in ids {
            cluster.nodes.insert(id, SimNode::new(bug));
            cluster.start(id);
        }
        cluster
    }

    /// Starts a node that no membership mentions yet.
    pub fn join(&mut self, id: NodeId) {
        self.nodes.insert(id, SimNode::new(self.bug));
        let founders = std::mem::take(&mut self.membership);
        self.start(id);
        self.membership = founders;
    }

    /// Starts a node from its disk. Nothing happens if it is up.
    pub fn start(&mut self, id: NodeId) {
        let local = self.local_time(id);
        let Some(node) = self.nodes.get_mut(&id).filter(|n| n.core.is_none()) else { return };
        node.lives += 1;
        let (restored, store) = node.disk.restore(&self.membership, self.bug);
        let name = id.as_str().bytes().fold(0u64, |h, b| h.wrapping_mul(31).wrapping_add(u64::from(b)));
        let seed = self.seed ^ name.rotate_left(20) ^ node.lives.rotate_left(40);
        let config = CoreConfig {
            bug: self.bug,
            max_append_bytes: self.max_append_bytes,
            ..CoreConfig::new(id, seed)
        };
        let core = Core::new(config, restored, local);
        self.invariants.check_started(&core);
        node.core = Some(core);
        node.store = store;
        node.incoming.clear();
        node.timers = LeaseTimers::default();
        node.session_used.clear();
        node.earlier = None;
    }

    /// What the clock that a node goes by says: the monotonic one.
    pub fn local_time(&self, id: NodeId) -> Micros {
        let clock = self.clocks.get(&id).copied().unwrap_or_default();
        if self.bug == Some(Bug::LeaseClock) { clock.wall(self.now) } else { clock.monotonic(self.now) }
    }

    fn wall_time(&self, id: NodeId) -> Micros {
        self.clocks.get(&id).copied().unwrap_or_default().wall(self.now)
    }

    /// Stops a node at once. Of the writes that wait, the first `survive` happen to have reached the disk.
    pub fn crash(&mut self, id: NodeId, survive: usize) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        node.core = None;
        let disk = &mut node.disk;
        let mut lost = std::mem::take(&mut disk.cached);
        let keep = if lost.is_empty() { survive } else { survive.min(lost.len()) };
        lost.extend(std::mem::take(&mut disk.waiting));
        let mut lost = lost.into_iter();
        for write in lost.by_ref().take(keep) {
            disk.absorb(write);
        }
        if self.bug == Some(Bug::WalTailAccepted)
            && let Some(torn) = lost.next()
        {
            disk.absorb(half(torn));
        }
    }

    /// Gives a node one input and carries out what it says. Nothing happens if it is down.
    pub fn input(&mut self, id: NodeId, input: Input) {
        let now = self.local_time(id);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(core) = node.core.as_mut() else { return };
        core.step(now, input);
        let mut output = core.flush();
        misapply(&mut output, core, node.store.applied(), self.bug);
        self.carry_out(id, output);
        self.expire_leases(id);
    }

    /// As the server does: a leader proposes the end of leases that ran out.
    fn expire_leases(&mut self, id: NodeId) {
        let now = self.local_time(id);
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(core) = &node.core else { return };
        let keep = self.bug == Some(Bug::LeaseRevokedByOldLeader);
        let lead = core.role() == Role::Leader;
        // A node that kept its timers though it leads no more passes expiries on to the leader; here it has to
        // become leader again.
        let due = node.timers.due(node.store.leases(), lead, keep, now);
        for command in due {
            self.own_requests += 1;
            self.propose(id, self.own_requests, command, None);
        }
    }

    /// Proposes a command as a client of `id` would, under the number `n`.
    pub fn propose(&mut self, id: NodeId, n: u64, command: Command, session: Option<SessionSeq>) {
        let mut request = Request { origin: id, id: n, session, command };
        self.oracle.means(request.clone());
        if let Some(node) = self.nodes.get(&id) {
            decide_too_early(&mut request.command, &node.store, self.bug);
        }
        let data = Bytes::from(postcard::to_stdvec(&request).expect("a request is plain data"));
        self.input(id, Input::Propose { id: n, data });
    }

    /// Makes the oldest waiting write of a node durable. False if none waits.
    pub fn persist(&mut self, id: NodeId) -> bool {
        let Some(node) = self.nodes.get_mut(&id) else { return false };
        let Some(write) = node.disk.waiting.pop_front() else { return false };
        let seq = write.seq;
        if self.bug == Some(Bug::NoFsync) {
            node.disk.cached.push_back(write);
            if node.disk.cached.len() > CACHED
                && let Some(oldest) = node.disk.cached.pop_front()
            {
                node.disk.absorb(oldest);
            }
        } else {
            node.disk.absorb(write);
        }
        self.input(id, Input::Persisted { seq });
        true
    }

    /// Hands the message on wire `at` to its receiver.
    pub fn deliver(&mut self, at: usize) -> Wire {
        let wire = self.wires.remove(at);
        self.receive(wire.clone());
        wire
    }

    /// Hands `wire` to its receiver, once.
    pub fn receive(&mut self, wire: Wire) {
        self.input(wire.to, Input::Receive { from: wire.from, message: wire.message });
    }

    /// A running node's core.
    pub fn core(&self, id: NodeId) -> Option<&Core> {
        self.nodes.get(&id)?.core.as_ref()
    }

    /// Takes a snapshot of a node, and lets its log forget all but `keep` of what it covers.
    pub fn snapshot(&mut self, id: NodeId, keep: Index) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(core) = &node.core else { return };
        let mut index = node.store.applied();
        let mut store = node.store.clone();
        if self.bug == Some(Bug::SnapshotDuringApply) {
            let earlier = node.earlier.replace(node.store.clone());
            let Some(earlier) = earlier else { return };
            index = earlier.applied();
            store = store.torn_with(&earlier);
        }
        if self.bug == Some(Bug::SnapshotLosesTail) {
            index = core.log().last_index();
        }
        let Some(term) = core.log().term_at(index).filter(|_| index > core.log().base_index()) else {
            return;
        };
        let meta = SnapshotMeta { index, term, membership: core.log().membership_at(index).clone() };
        let mut data = Vec::new();
        write_snapshot(&mut data, &meta, &store).expect("memory takes everything");
        node.disk.snapshot = Some((meta.clone(), data.into()));
        let keep_after = index.saturating_sub(keep);
        self.input(id, Input::Snapshotted { meta, keep_after });
    }

    fn keep_piece(&mut self, id: NodeId, piece: Piece) {
        let Some(node) = self.nodes.get_mut(&id) else { return };
        if piece.offset == 0 {
            node.incoming.clear();
        }
        let index = piece.meta.index;
        if piece.offset == node.incoming.len() as u64 {
            node.incoming.extend_from_slice(&piece.data);
            if piece.last
                && read_snapshot(&mut node.incoming.as_slice(), self.bug).is_ok_and(|(m, _)| m == piece.meta)
            {
                node.disk.snapshot = Some((piece.meta.clone(), std::mem::take(&mut node.incoming).into()));
                return self.input(id, Input::Install { meta: piece.meta });
            }
        }
        let offset = node.incoming.len() as u64;
        self.input(id, Input::PieceKept { from: piece.from, index, offset });
    }

    fn carry_out(&mut self, id: NodeId, output: Output) {
        let (local, wall) = (self.local_time(id), self.wall_time(id));
        let Some(node) = self.nodes.get_mut(&id) else { return };
        let Some(core) = &node.core else { return };
        self.invariants.check_leader(core);
        self.happenings.extend(output.role_changes.into_iter().map(|c| (id, Happening::Role(c))));
        if let Some(write) = output.write {
            self.invariants.check_appended(core, &write.entries);
            node.disk.waiting.push_back(write);
        }
        for (to, message) in output.messages {
            self.invariants.check_sent(id, to, &message);
            self.wires.push(Wire { from: id, to, message });
        }
        for (to, index, offset) in output.pieces_wanted {
            let term = core.term();
            self.wires.extend(piece(&node.disk, index, offset).map(|(meta, data, last)| {
                let message = Message::Snapshot { term, meta, offset, data, last };
                Wire { from: id, to, message }
            }));
        }
        if output.installed.is_some()
            && let Some((_, data)) = &node.disk.snapshot
        {
            let (_, new) = read_snapshot(&mut data.as_ref(), self.bug).expect("a snapshot that was checked");
            node.store = std::mem::take(&mut node.store).replaced_by(new);
        }
        let pieces = output.pieces;
        self.happenings.extend(output.proposals.into_iter().map(|(n, p)| (id, Happening::Proposed(n, p))));
        self.invariants.check_applied(id, node.store.applied(), &output.committed);
        for entry in output.committed {
            if let Some(complaint) = self.oracle.follow(&entry, self.now) {
                self.invariants.breach(complaint);
            }
            let expiring = (self.bug == Some(Bug::SessionExpiresByLocalClock)).then_some(wall);
            let done = node.apply(&entry, local, expiring);
            self.happenings.push((id, Happening::Applied(entry, done)));
        }
        self.happenings.extend(output.reads.into_iter().map(|(n, r)| (id, Happening::Read(n, r))));
        for piece in pieces {
            self.keep_piece(id, piece);
        }
    }
}

/// What a leader sends next of the snapshot at `index`, if that is still its latest.
fn piece(disk: &Disk, index: Index, offset: u64) -> Option<(SnapshotMeta, Bytes, bool)> {
    let (meta, data) = disk.snapshot.as_ref().filter(|(meta, _)| meta.index == index)?;
    let start = usize::try_from(offset).ok().filter(|&start| start <= data.len())?;
    let end = data.len().min(start + PIECE_BYTES);
    Some((meta.clone(), data.slice(start..end), end == data.len()))
}

impl SimNode {
    /// `expiring`: sessions that idled for a second by this clock are forgotten (one of the museum's bugs).
    fn apply(
        &mut self,
        entry: &Entry,
        local: Micros,
        expiring: Option<Micros>,
    ) -> Option<Box<(Request, Answer)>> {
        let Payload::Command(data) = &entry.payload else {
            self.store.skip(entry.index);
            return None;
        };
        // Only a torn log that was believed holds anything else; the oracle has said so.
        let Ok(request) = postcard::from_bytes::<Request>(data) else {
            self.store.skip(entry.index);
            return None;
        };
        if let (Some(wall), Some(at)) = (expiring, request.session)
            && let Some(used) = self.session_used.insert(at.session, wall)
            && wall.saturating_sub(used) > 1_000_000
        {
            self.store.forget_session(at.session);
        }
        let answer = self.store.apply_request(entry.index, request.clone());
        self.timers.observe(&answer, local);
        Some(Box::new((request, answer)))
    }
}

/// What a log that believes torn records makes of this one: its first entry, cut in the middle.
fn half(mut torn: Write) -> Write {
    torn.entries.truncate(1);
    for entry in &mut torn.entries {
        if let Payload::Command(data) = &mut entry.payload {
            data.truncate(data.len() / 2);
        }
    }
    torn
}
