//! The core: its state, its entrance and its exit. Elections, replication and reads stand in their own files.
//!
//! Pure: no I/O, no clock, no randomness of its own (a seed comes with the configuration). Call
//! [`Core::step`] with each thing that happens, any number of times, then [`Core::flush`] once and do what
//! it says. Batching happens by itself: what many steps caused leaves in one flush.
//!
//! What it deliberately does not do: interpret commands, remember who proposed, retry for a client.

use std::collections::BTreeMap;

use super::durable::Durability;
use super::log::Log;
use super::progress::Progress;
use super::read::Reads;
use super::types::*;
use crate::bugs::Bug;

/// What a core is told once.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    pub id: NodeId,
    /// Elections start after a random time in `[election_timeout, 1.5 * election_timeout)` of silence: pre-vote
    /// makes ties rare and cheap, so a narrow spread is worth its sooner start.
    pub election_timeout: Micros,
    pub heartbeat: Micros,
    /// How much faster or slower than another node's a monotonic clock may run, in parts per thousand: what
    /// leases allow for.
    pub max_drift_per_mille: u64,
    /// Entries in one message, in bytes; one entry may exceed it.
    pub max_append_bytes: usize,
    /// Messages with entries in flight to one peer.
    pub max_in_flight: usize,
    /// Proposals beyond this many uncommitted entries are refused as busy.
    pub max_uncommitted: Index,
    /// The same limit in bytes.
    pub max_uncommitted_bytes: usize,
    /// Must differ between nodes and between starts of one node.
    pub seed: u64,
    pub bug: Option<Bug>,
}

impl CoreConfig {
    /// The defaults: 300 ms elections, 60 ms heartbeats.
    pub fn new(id: NodeId, seed: u64) -> CoreConfig {
        CoreConfig {
            id,
            election_timeout: 300_000,
            heartbeat: 60_000,
            max_drift_per_mille: 50,
            max_append_bytes: 512 * 1024,
            max_in_flight: 64,
            max_uncommitted: 20_000,
            max_uncommitted_bytes: 256 << 20,
            seed,
            bug: None,
        }
    }
}

/// What was read from disk at start.
#[derive(Debug, Clone)]
pub struct Restored {
    pub hard_state: HardState,
    /// Begins after the snapshot, if there is one.
    pub log: Log,
    pub snapshot: Option<SnapshotMeta>,
}

/// One node's consensus state (Figure 2 of the paper, and what the thesis adds).
#[derive(Debug)]
pub struct Core {
    pub(super) config: CoreConfig,
    pub(super) term: Term,
    pub(super) vote: Option<NodeId>,
    pub(super) leader: Option<NodeId>,
    pub(super) role: Role,
    pub(super) log: Log,
    pub(super) commit: Index,
    /// Handed out in [`Output::committed`].
    pub(super) applied: Index,
    pub(super) durability: Durability,
    /// The term of the latest hard state that was seen to be durable.
    durable_term: Term,
    pub(super) now: Micros,
    pub(super) election_deadline: Micros,
    pub(super) heartbeat_deadline: Micros,
    /// When a leader was last heard from.
    pub(super) leader_heard: Option<Micros>,
    /// No vote before: a former life may have heard a leader that still holds a lease.
    pub(super) quiet_until: Micros,
    /// Who answered this node's current campaign, and how.
    pub(super) votes: BTreeMap<NodeId, bool>,
    /// As leader: every other member.
    pub(super) peers: BTreeMap<NodeId, Progress>,
    /// As leader: the index of this term's no-op.
    pub(super) noop: Index,
    pub(super) reads: Reads,
    /// As leader: who should take over, and until when proposals wait for that.
    pub(super) transfer: Option<(NodeId, Micros)>,
    /// As leader: bytes of proposals of this term that are not committed.
    pub(super) uncommitted_bytes: usize,
    /// The latest durable snapshot.
    pub(super) snapshot: Option<SnapshotMeta>,
    pub(super) out: Output,
    pub(super) random: u64,
}

impl Core {
    /// A node that starts, with what its disk remembers.
    pub fn new(config: CoreConfig, restored: Restored, now: Micros) -> Core {
        let HardState { term, vote } = restored.hard_state;
        let base = restored.log.base_index();
        let durability = Durability::restored(restored.log.last_index());
        let mut core = Core {
            random: config.seed,
            config,
            term,
            vote,
            leader: None,
            role: Role::Follower,
            log: restored.log,
            commit: base,
            applied: base,
            durability,
            durable_term: term,
            now,
            election_deadline: now,
            heartbeat_deadline: now,
            leader_heard: None,
            quiet_until: now,
            votes: BTreeMap::new(),
            peers: BTreeMap::new(),
            noop: 0,
            reads: Reads::default(),
            transfer: None,
            uncommitted_bytes: 0,
            snapshot: restored.snapshot,
            out: Output::default(),
        };
        core.reads = Reads::starting_at(core.next_random());
        core.reset_election_deadline();
        if core.term == 0 {
            // Nobody ever led: no one's office is disturbed by trying early.
            let wait = core.config.election_timeout;
            core.election_deadline = now + wait / 5 + core.next_random() % wait.max(1);
        } else {
            core.quiet_until = now + core.config.election_timeout;
        }
        core
    }

    /// Takes one input at time `now`. Times that run backwards are read as standing still.
    pub fn step(&mut self, now: Micros, input: Input) {
        self.now = self.now.max(now);
        match input {
            Input::Tick => self.tick(),
            Input::Receive { from, message } => self.receive(from, message),
            Input::Propose { id, data } => self.propose(id, data),
            Input::Read { id, lease } => self.read(id, lease),
            Input::ChangeMembership { id, membership } => self.change_membership(id, membership),
            Input::Transfer { to } => self.transfer(to),
            Input::Persisted { seq } => self.persisted(seq),
            Input::Snapshotted { meta, keep_after } => self.snapshotted(meta, keep_after),
            Input::PieceKept { from, index, offset } => self.piece_kept(from, index, offset),
            Input::Install { meta } => self.install(meta),
            Input::Link { peer, up } => self.link(peer, up),
        }
    }

    /// What must be done about everything that was stepped since the last flush.
    pub fn flush(&mut self) -> Output {
        self.flush_reads();
        self.flush_appends();
        while self.applied < self.commit {
            self.applied += 1;
            let entry = self.log.get(self.applied).expect("committed entries are in the log");
            if entry.term == self.term {
                self.uncommitted_bytes = self.uncommitted_bytes.saturating_sub(entry.size());
            }
            self.out.committed.push(entry.clone());
        }
        self.release_reads();
        std::mem::take(&mut self.out)
    }

    /// When a tick is due at the latest.
    pub fn deadline(&self) -> Micros {
        if self.role == Role::Leader { self.heartbeat_deadline } else { self.election_deadline }
    }

    pub fn id(&self) -> NodeId {
        self.config.id
    }

    pub fn role(&self) -> Role {
        self.role
    }

    /// The term that this node would know after a crash.
    pub fn durable_term(&self) -> Term {
        if self.durability.hard_state_is_durable() { self.term } else { self.durable_term }
    }

    pub fn term(&self) -> Term {
        self.term
    }

    pub fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote }
    }

    /// The leader of the current term, as far as this node knows.
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    pub fn commit(&self) -> Index {
        self.commit
    }

    pub fn log(&self) -> &Log {
        &self.log
    }

    /// As leader: what is known of each other member.
    pub fn peers(&self) -> &BTreeMap<NodeId, Progress> {
        &self.peers
    }

    fn tick(&mut self) {
        if self.role == Role::Leader {
            if self.now >= self.heartbeat_deadline {
                self.heartbeat_due();
            }
        } else if self.now >= self.election_deadline {
            self.campaign_before_vote();
        }
    }

    fn receive(&mut self, from: NodeId, message: Message) {
        if !self.admits(from, &message) {
            return;
        }
        match message {
            Message::PreVote { term, last_index, last_term } => {
                self.on_pre_vote(from, term, last_index, last_term)
            }
            Message::PreVoteReply { term, granted } => self.on_pre_vote_reply(from, term, granted),
            Message::Vote { last_index, last_term, .. } => self.on_vote(from, last_index, last_term),
            Message::VoteReply { granted, .. } => self.on_vote_reply(from, granted),
            Message::Append { prev_index, prev_term, entries, commit, .. } => {
                self.on_append(from, prev_index, prev_term, entries, commit)
            }
            Message::AppendAccepted { matched, .. } => self.on_accepted(from, matched),
            Message::AppendRejected { prev_index, hint_index, hint_term, .. } => {
                self.on_rejected(from, prev_index, hint_index, hint_term)
            }
            Message::Heartbeat { commit, round, .. } => self.on_heartbeat(from, commit, round),
            Message::HeartbeatReply { round, .. } => self.on_heartbeat_reply(from, round),
            Message::Snapshot { meta, offset, data, last, .. } => {
                self.on_snapshot(Piece { from, meta, offset, data, last })
            }
            Message::SnapshotReply { index, offset, .. } => self.on_snapshot_reply(from, index, offset),
            Message::TimeoutNow { .. } => self.on_timeout_now(from),
            Message::ReadIndex { batch, .. } => self.on_read_index(from, batch),
            Message::ReadIndexReply { batch, index, .. } => self.on_read_index_reply(batch, index),
        }
    }

    fn persisted(&mut self, seq: u64) {
        let released = self.durability.persisted(seq);
        self.durable_term = self.durable_term();
        self.out.messages.extend(released);
        if self.role == Role::Candidate && self.durability.hard_state_is_durable() {
            self.count_vote(self.config.id, true);
        }
        if self.role == Role::Leader {
            self.advance_commit();
        }
    }

    /// The write that this flush will hand out; it is numbered when it is first needed.
    pub(super) fn write(&mut self) -> &mut Write {
        let durability = &mut self.durability;
        self.out.write.get_or_insert_with(|| Write {
            seq: durability.issue(),
            hard_state: None,
            base: None,
            entries: Vec::new(),
        })
    }

    pub(super) fn persist_hard_state(&mut self) {
        let mut state = self.hard_state();
        if self.has(Bug::VoteTwice) {
            state.vote = None;
        }
        self.write().hard_state = Some(state);
        self.durability.note_hard_state();
    }

    pub(super) fn append(&mut self, entry: Entry) {
        self.write().entries.push(entry.clone());
        self.durability.note_appended(entry.index);
        let members = matches!(entry.payload, Payload::Membership(_));
        self.log.push(entry);
        if members && self.role == Role::Leader {
            // With something to send, the first message finds out where a new member stands.
            self.follow_membership(self.log.last_index());
        }
    }

    /// Sends something that promises nothing.
    pub(super) fn send(&mut self, to: NodeId, message: Message) {
        self.out.messages.push((to, message));
    }

    /// Sends a promise: it leaves when everything written so far is durable (Figure 2: "updated on stable
    /// storage before responding").
    pub(super) fn send_durable(&mut self, to: NodeId, message: Message) {
        let ready = self.durability.after_all(to, message);
        self.out.messages.extend(ready);
    }

    pub(super) fn has(&self, bug: Bug) -> bool {
        self.config.bug == Some(bug)
    }

    pub(super) fn is_voter(&self) -> bool {
        self.log.membership().voters.contains(&self.config.id)
    }

    /// Whether it may stand for election: also while its own removal is not known to be committed, as it may be the only
    /// one with a log that a majority would follow (thesis §4.2.2).
    pub(super) fn may_stand(&self) -> bool {
        self.is_voter() || self.log.membership_at(self.commit).voters.contains(&self.config.id)
    }

    /// The largest value that a majority of voters has reached, this node's own being `mine`.
    pub(super) fn quorum_of(&self, mine: u64, theirs: impl Fn(&Progress) -> u64) -> u64 {
        let membership = self.log.membership();
        let value = |id: &NodeId| {
            if *id == self.config.id { mine } else { self.peers.get(id).map_or(0, &theirs) }
        };
        let mut values: Vec<u64> = membership.voters.iter().map(value).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.get(membership.quorum() - 1).copied().unwrap_or(0)
    }

    /// SplitMix64: enough to spread election timeouts, and the same everywhere.
    pub(super) fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
