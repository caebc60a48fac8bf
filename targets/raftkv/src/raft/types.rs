//! The vocabulary of the core: names, entries, messages, what goes in and what comes out.
//!
//! Plain data only. Everything that crosses the network or reaches the disk is `serde`, so that a change
//! of format shows in one file.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A Raft term (§5.1). 0 before the first election.
pub type Term = u64;
/// A position in the log, starting at 1; 0 is "before everything".
pub type Index = u64;
/// Monotonic time in microseconds from an origin of the caller's choosing.
pub type Micros = u64;

/// A node's name: 1 to 16 bytes of `[A-Za-z0-9._-]`, held inline so that it copies like a number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId([u8; 16]);

/// By the bytes, as one number: names are compared with every message.
impl Ord for NodeId {
    fn cmp(&self, other: &NodeId) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &NodeId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Why a string is not a node name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad node name {0:?}: use 1 to 16 characters of A-Z a-z 0-9 . _ -")]
pub struct BadNodeId(pub String);

impl NodeId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        let len = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        std::str::from_utf8(&self.0[..len]).expect("only ASCII is ever stored")
    }
}

impl FromStr for NodeId {
    type Err = BadNodeId;

    fn from_str(s: &str) -> Result<NodeId, BadNodeId> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if s.is_empty() || s.len() > 16 || !s.bytes().all(allowed) {
            return Err(BadNodeId(s.to_owned()));
        }
        let mut id = [0; 16];
        id[..s.len()].copy_from_slice(s.as_bytes());
        Ok(NodeId(id))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for NodeId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for NodeId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<NodeId, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Who belongs to the cluster. Takes effect when it is appended to a log, not when it commits (thesis §4.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Nodes whose votes and acknowledgements count.
    pub voters: BTreeSet<NodeId>,
    /// Nodes that receive the log but do not count (thesis §4.2.1).
    pub learners: BTreeSet<NodeId>,
    /// Where members listen for their peers, as far as the log was told.
    pub addresses: BTreeMap<NodeId, String>,
}

impl Membership {
    /// A cluster of voters only.
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Membership {
        Membership { voters: voters.into_iter().collect(), ..Membership::default() }
    }

    /// How many voters make a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Everyone but `me`, voters and learners.
    pub fn others(&self, me: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.iter().chain(&self.learners).copied().filter(move |&id| id != me)
    }
}

/// What an entry asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// What a new leader appends so that it can commit at once (§8).
    Noop,
    /// Bytes for the state machine; the core never looks inside.
    Command(Bytes),
    /// A new membership.
    Membership(Membership),
}

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub term: Term,
    pub index: Index,
    pub payload: Payload,
}

impl Entry {
    /// A close estimate of the entry's size on the wire, in bytes, for batching limits.
    pub fn size(&self) -> usize {
        let payload = match &self.payload {
            Payload::Noop => 0,
            Payload::Command(data) => data.len(),
            Payload::Membership(m) => 17 * (m.voters.len() + m.learners.len()),
        };
        16 + payload
    }
}

/// What a snapshot stands for: the state after entry `index` of `term`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    pub index: Index,
    pub term: Term,
    pub membership: Membership,
}

/// A part of a snapshot that arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub from: NodeId,
    pub meta: SnapshotMeta,
    pub offset: u64,
    pub data: Bytes,
    pub last: bool,
}

/// What must survive a crash besides the log (Figure 2, persistent state).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HardState {
    pub term: Term,
    pub vote: Option<NodeId>,
}

/// The messages of the protocol. `term` is always the sender's term, except in `PreVote` and a granted
/// `PreVoteReply`, where it is the term the candidate would campaign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Would you vote for me? (thesis §9.6)
    PreVote {
        term: Term,
        last_index: Index,
        last_term: Term,
    },
    PreVoteReply {
        term: Term,
        granted: bool,
    },
    /// RequestVote (Figure 2). `transfer`: the old leader asked for this, so its lease does not protect it.
    Vote {
        term: Term,
        last_index: Index,
        last_term: Term,
        transfer: bool,
    },
    VoteReply {
        term: Term,
        granted: bool,
    },
    /// AppendEntries (Figure 2) with `commit` as leaderCommit.
    Append {
        term: Term,
        prev_index: Index,
        prev_term: Term,
        entries: Vec<Entry>,
        commit: Index,
    },
    /// Everything up to `matched` is durable here and equals the leader's log.
    AppendAccepted {
        term: Term,
        matched: Index,
    },
    /// The log here does not contain (`prev_index`, its term); the leader may skip to at most `hint_index`,
    /// whose term here is `hint_term` (§5.3, the optimisation at the end).
    AppendRejected {
        term: Term,
        prev_index: Index,
        hint_index: Index,
        hint_term: Term,
    },
    /// Keeps the leader in office and tells the commit index; asks for a reply unless `round` is 0.
    Heartbeat {
        term: Term,
        commit: Index,
        round: u64,
    },
    HeartbeatReply {
        term: Term,
        round: u64,
    },
    /// InstallSnapshot (Figure 13): `data` stands at `offset` of the snapshot.
    Snapshot {
        term: Term,
        meta: SnapshotMeta,
        offset: u64,
        data: Bytes,
        last: bool,
    },
    /// Everything before `offset` of the snapshot at `index` is here.
    SnapshotReply {
        term: Term,
        index: Index,
        offset: u64,
    },
    /// A follower asks for a read index on behalf of its clients (thesis §6.4).
    ReadIndex {
        term: Term,
        batch: u64,
    },
    /// The leader wants the receiver to take its place at once (thesis §3.10).
    TimeoutNow {
        term: Term,
    },
    /// `None`: this node could not confirm that it leads.
    ReadIndexReply {
        term: Term,
        batch: u64,
        index: Option<Index>,
    },
}

impl Message {
    /// The term that the message carries.
    pub fn term(&self) -> Term {
        match *self {
            Message::PreVote { term, .. }
            | Message::PreVoteReply { term, .. }
            | Message::Vote { term, .. }
            | Message::VoteReply { term, .. }
            | Message::Append { term, .. }
            | Message::AppendAccepted { term, .. }
            | Message::AppendRejected { term, .. }
            | Message::Heartbeat { term, .. }
            | Message::HeartbeatReply { term, .. }
            | Message::Snapshot { term, .. }
            | Message::SnapshotReply { term, .. }
            | Message::TimeoutNow { term }
            | Message::ReadIndex { term, .. }
            | Message::ReadIndexReply { term, .. } => term,
        }
    }
}

/// What can happen to the core.
#[derive(Debug, Clone)]
pub enum Input {
    /// Nothing but time passed.
    Tick,
    Receive {
        from: NodeId,
        message: Message,
    },
    /// Append this to the log, if we lead. `id` is the caller's, echoed in [`Output::proposals`].
    Propose {
        id: u64,
        data: Bytes,
    },
    /// A linearizable read is wanted. `id` is the caller's, echoed in [`Output::reads`]. `lease`: a leader
    /// whose lease holds may answer without asking anyone.
    Read {
        id: u64,
        lease: bool,
    },

    /// Append this membership, if we lead and it is one step away from the current one (thesis §4.1).
    ChangeMembership {
        id: u64,
        membership: Membership,
    },
    /// Hand the office to another voter, when it has caught up.
    Transfer {
        to: NodeId,
    },
    /// Every write up to and including this sequence number is durable.
    Persisted {
        seq: u64,
    },
    /// A snapshot of what was handed out up to `meta.index` is durable; entries up to `keep_after` may go.
    Snapshotted {
        meta: SnapshotMeta,
        keep_after: Index,
    },
    /// A piece of a leader's snapshot was kept; the next must begin at `offset`.
    PieceKept {
        from: NodeId,
        index: Index,
        offset: u64,
    },
    /// A leader's snapshot is here, whole and durable.
    Install {
        meta: SnapshotMeta,
    },
    /// The connection to a peer came up or broke: a hint that messages may have been lost.
    Link {
        peer: NodeId,
        up: bool,
    },
}

/// One atomic write to the log on disk. Writes are made durable in the order of `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub seq: u64,
    pub hard_state: Option<HardState>,
    /// The log begins anew after this index and term, which a snapshot covers. Comes before `entries`.
    pub base: Option<(Index, Term)>,
    /// In order; an entry whose index is already taken replaces it and drops everything after it.
    pub entries: Vec<Entry>,
}

/// Why a proposal was not even appended: certainly nothing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    NotLeader,
    /// Too much is waiting to be committed, or the office is being handed over.
    Busy,
    /// An earlier membership is not committed yet, or nothing of the leader's term is.
    ChangePending,
    /// More than one voter would change at once, or none would be left.
    ChangeTooBig,
    /// The learner lacks too much to be of use as a voter.
    NotCaughtUp,
}

/// What became of a proposal: its index and term, which do not mean that it will be committed.
pub type Proposed = Result<(Index, Term), Refusal>;

/// The fate of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOutcome {
    /// Everything this read must see is in [`Output::committed`] so far: read the state machine now.
    Ready,
    NoLeader,
    /// The leader lost its office before it could confirm.
    LeaderLost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Follower,
    PreCandidate,
    Candidate,
    Leader,
}

impl Role {
    /// The role in lower case, as logs and `/status` print it.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Follower => "follower",
            Role::PreCandidate => "precandidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        }
    }
}

/// What the log of a server should mention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleChange {
    pub role: Role,
    pub term: Term,
    pub leader: Option<NodeId>,
}

/// What the caller must do, in the order of the fields. The order matters: a read that is ready needs the
/// committed entries of the same batch applied first.
#[derive(Debug, Default)]
pub struct Output {
    pub role_changes: Vec<RoleChange>,
    /// Granted just now: to whom, in which term.
    pub voted: Option<(NodeId, Term)>,
    /// Make this durable and then report [`Input::Persisted`]. Need not be waited for: messages that
    /// depend on it are held back by the core until then.
    pub write: Option<Write>,
    pub messages: Vec<(NodeId, Message)>,
    /// Send each node the piece of the latest snapshot that begins at this offset. `Index` names the snapshot.
    pub pieces_wanted: Vec<(NodeId, Index, u64)>,
    /// Keep these, and report [`Input::PieceKept`], or [`Input::Install`] when the last is there.
    pub pieces: Vec<Piece>,
    /// The state machine is replaced by this snapshot, before `committed`.
    pub installed: Option<SnapshotMeta>,
    /// Where each proposal stands in the log, or why it does not.
    pub proposals: Vec<(u64, Proposed)>,
    /// Apply these, in order.
    pub committed: Vec<Entry>,
    pub reads: Vec<(u64, ReadOutcome)>,
}
