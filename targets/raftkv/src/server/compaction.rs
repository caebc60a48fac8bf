//! Snapshots of this node's state, and those that travel between nodes.
//!
//! Writing and loading happen on threads of their own: the core only copies the state, which costs
//! some reference counts, and moves pieces of files.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::asks::{Event, Events};
use super::disk::DiskJob;
use super::node::Node;
use super::trace;
use super::wire::Frame;
use crate::bugs::Bug;
use crate::kv::Store;
use crate::raft::{Index, Input, Message, NodeId, Piece, SnapshotMeta};
use crate::wal::{Incoming, Outgoing, WalError, save_snapshot};

const PIECE_BYTES: usize = 512 * 1024;
/// A full disk is not tried again at once.
const RETRY: Duration = Duration::from_secs(5);

/// What snapshots are under way.
#[derive(Debug)]
pub struct Compaction {
    dir: PathBuf,
    events: Events,
    latest: Option<SnapshotMeta>,
    writing: bool,
    /// The last one could not be written: not before.
    again_at: Option<Instant>,
    sending: HashMap<NodeId, Outgoing>,
    receiving: Option<Incoming>,
    loading: Option<Index>,
    staged: Option<(SnapshotMeta, Store)>,
    /// The first half of a snapshot (one of the museum's bugs).
    earlier: Option<Store>,
}

impl Compaction {
    pub fn new(dir: PathBuf, events: Events, latest: Option<SnapshotMeta>) -> Compaction {
        Compaction {
            dir,
            events,
            latest,
            writing: false,
            again_at: None,
            sending: HashMap::new(),
            receiving: None,
            loading: None,
            staged: None,
            earlier: None,
        }
    }
}

impl Node {
    /// What the latest durable snapshot covers; 0 if there is none.
    pub(super) fn snapshot_index(&self) -> Index {
        self.compaction.latest.as_ref().map_or(0, |meta| meta.index)
    }

    /// Begins a snapshot when enough was applied since the last one.
    pub(super) fn maybe_snapshot(&mut self) {
        let done = self.compaction.latest.as_ref().map_or(0, |meta| meta.index);
        let mut index = self.store.applied();
        let wait = self.compaction.again_at.is_some_and(|at| Instant::now() < at);
        if self.compaction.writing || wait || index < done + self.config.snapshot_entries {
            return;
        }
        if self.has(Bug::SnapshotDuringApply) && self.compaction.earlier.is_none() {
            self.compaction.earlier = Some(self.store.clone());
            return;
        }
        let mut copy = self.store.clone();
        if let Some(earlier) = self.compaction.earlier.take() {
            index = earlier.applied();
            copy = copy.torn_with(&earlier);
        }
        if self.has(Bug::SnapshotLosesTail) {
            index = self.core.log().last_index();
        }
        let log = self.core.log();
        let Some(term) = log.term_at(index) else { return };
        let meta = SnapshotMeta { index, term, membership: log.membership_at(index).clone() };
        let (dir, events) = (self.compaction.dir.clone(), self.compaction.events.clone());
        self.compaction.writing = true;
        // Not a thread of the runtime: it writes and flushes for as long as the disk takes.
        let spawned = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let result = save_snapshot(&dir, &meta, &copy).map(|()| meta);
            let _ = events.send(Event::SnapshotWritten(result));
        });
        if let Err(e) = spawned {
            self.compaction.writing = false;
            trace::line(self.config.id, format_args!("cannot begin a snapshot: {e}"));
        }
    }

    /// The log may forget what a durable snapshot covers. One that could not be written is tried again.
    pub(super) fn snapshot_written(&mut self, result: Result<SnapshotMeta, WalError>) {
        self.compaction.writing = false;
        let meta = match result {
            Ok(meta) => meta,
            Err(e) => {
                self.compaction.again_at = Some(Instant::now() + RETRY);
                return trace::line(self.config.id, format_args!("cannot write a snapshot: {e}"));
            }
        };
        trace::line(self.config.id, format_args!("wrote a snapshot index={}", meta.index));
        let keep_after = meta.index.saturating_sub(self.config.snapshot_entries / 10);
        let _ = self.disk.send(DiskJob::DropThrough(keep_after));
        if self.compaction.latest.as_ref().is_none_or(|latest| latest.index < meta.index) {
            self.compaction.latest = Some(meta.clone());
        }
        self.step(Input::Snapshotted { meta, keep_after });
    }

    /// Sends a piece of the latest snapshot, or of the one that is being sent.
    pub(super) fn send_piece(&mut self, to: NodeId, index: Index, offset: u64) {
        let sending = &mut self.compaction.sending;
        if sending.get(&to).is_none_or(|s| s.index != index) {
            let Some(meta) = self.compaction.latest.clone().filter(|meta| meta.index == index) else {
                return;
            };
            trace::line(self.config.id, format_args!("sends a snapshot to={to} index={index}"));
            match Outgoing::open(&self.compaction.dir, meta) {
                Ok(opened) => drop(sending.insert(to, opened)),
                Err(e) => return trace::line(self.config.id, format_args!("cannot open a snapshot: {e}")),
            }
        }
        let Some(outgoing) = sending.get_mut(&to) else { return };
        match outgoing.read(offset, PIECE_BYTES) {
            Ok((data, last)) => {
                let (term, meta) = (self.core.term(), outgoing.meta.clone());
                let message = Message::Snapshot { term, meta, offset, data: Bytes::from(data), last };
                self.peers.send(to, Frame::Raft(message));
            }
            Err(e) => trace::line(self.config.id, format_args!("cannot read a snapshot: {e}")),
        }
    }

    /// Keeps a piece of a leader's snapshot; with the last one the whole is checked and loaded elsewhere.
    pub(super) fn keep_piece(&mut self, piece: Piece) {
        let index = piece.meta.index;
        if self.compaction.loading.is_some() {
            return;
        }
        if piece.offset == 0 || self.compaction.receiving.as_ref().is_none_or(|r| r.meta != piece.meta) {
            match Incoming::begin(&self.compaction.dir, piece.meta.clone()) {
                Ok(begun) => self.compaction.receiving = Some(begun),
                Err(e) => return trace::line(self.config.id, format_args!("cannot receive a snapshot: {e}")),
            }
        }
        let Some(receiving) = &mut self.compaction.receiving else { return };
        if piece.offset == receiving.length() {
            if let Err(e) = receiving.append(&piece.data) {
                self.compaction.receiving = None;
                return trace::line(self.config.id, format_args!("cannot receive a snapshot: {e}"));
            }
            if piece.last {
                return self.load_received();
            }
        }
        let offset = receiving.length();
        self.step(Input::PieceKept { from: piece.from, index, offset });
    }

    fn load_received(&mut self) {
        let Some(received) = self.compaction.receiving.take() else { return };
        self.compaction.loading = Some(received.meta.index);
        let (dir, events, bug) =
            (self.compaction.dir.clone(), self.compaction.events.clone(), self.config.bug);
        let spawned = std::thread::Builder::new().name("snapshot".into()).spawn(move || {
            let _ = events.send(Event::SnapshotLoaded(received.finish(&dir, bug).map(Box::new)));
        });
        if let Err(e) = spawned {
            self.compaction.loading = None;
            trace::line(self.config.id, format_args!("cannot load a snapshot: {e}"));
        }
    }

    pub(super) fn snapshot_loaded(&mut self, result: Result<Box<(SnapshotMeta, Store)>, WalError>) {
        self.compaction.loading = None;
        match result {
            Ok(loaded) => {
                let meta = loaded.0.clone();
                self.compaction.latest = Some(meta.clone());
                self.compaction.staged = Some(*loaded);
                self.step(Input::Install { meta });
            }
            Err(e) => trace::line(self.config.id, format_args!("cannot use a snapshot: {e}")),
        }
    }

    /// The core has begun anew after a snapshot: so does the state.
    pub(super) fn installed(&mut self, meta: &SnapshotMeta) {
        let staged = self.compaction.staged.take().filter(|(staged, _)| staged == meta);
        let (_, new) = staged.expect("the core installs what was just loaded");
        self.store = std::mem::take(&mut self.store).replaced_by(new);
        trace::line(self.config.id, format_args!("installed a snapshot index={}", meta.index));
    }
}
