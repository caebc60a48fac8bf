//! Snapshots in the protocol (§7): when the log no longer reaches back to what a follower lacks, it gets the
//! latest snapshot in pieces. What is in a snapshot, and where it is kept, is the caller's business.

use super::core::Core;
use super::log::Log;
use super::progress::Mode;
use super::types::*;

impl Core {
    /// A snapshot is durable: the log may forget what it covers, except for some entries that slow followers
    /// may still want.
    pub(super) fn snapshotted(&mut self, meta: SnapshotMeta, keep_after: Index) {
        self.log.compact(keep_after.min(meta.index));
        if self.snapshot.as_ref().is_none_or(|old| old.index < meta.index) {
            self.snapshot = Some(meta);
        }
    }

    /// As leader: a peer that lacks what the log has forgotten gets the snapshot, and its next piece if the
    /// last one arrived.
    pub(super) fn turn_to_snapshot(&mut self, to: NodeId) {
        let base = self.log.base_index();
        let (Some(peer), Some(meta)) = (self.peers.get_mut(&to), &self.snapshot) else { return };
        let reachable = !matches!(peer.mode, Mode::Probe { paused: true });
        if peer.next <= base && reachable && !matches!(peer.mode, Mode::Snapshot { .. }) {
            peer.mode = Mode::Snapshot { index: meta.index, offset: 0, paused: false };
            peer.next = meta.index + 1;
        }
        if let Mode::Snapshot { index, offset, paused } = &mut peer.mode
            && !*paused
        {
            *paused = true;
            self.out.pieces_wanted.push((to, *index, *offset));
        }
    }

    pub(super) fn on_snapshot(&mut self, piece: Piece) {
        self.hear_leader(piece.from);
        if piece.meta.index <= self.commit {
            let reply = Message::AppendAccepted { term: self.term, matched: self.commit };
            return self.send_durable(piece.from, reply);
        }
        self.out.pieces.push(piece);
    }

    pub(super) fn piece_kept(&mut self, from: NodeId, index: Index, offset: u64) {
        self.send(from, Message::SnapshotReply { term: self.term, index, offset });
    }

    pub(super) fn on_snapshot_reply(&mut self, from: NodeId, kept: Index, wanted: u64) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.last_heard = now;
        if let Mode::Snapshot { index, offset, paused } = &mut peer.mode
            && *index == kept
        {
            (*offset, *paused) = (wanted, false);
        }
    }

    /// A whole snapshot is durable here. Entries that follow it stay if the log agrees with it (Figure 13,
    /// steps 6 and 7).
    pub(super) fn install(&mut self, meta: SnapshotMeta) {
        if meta.index <= self.commit {
            return;
        }
        if self.log.term_at(meta.index) == Some(meta.term) {
            self.log.compact(meta.index);
        } else {
            self.log = Log::after(&meta);
            self.durability.note_reset(meta.index);
            let write = self.write();
            write.entries.clear();
            write.base = Some((meta.index, meta.term));
        }
        self.commit = meta.index;
        self.applied = meta.index;
        if let Some(leader) = self.leader.filter(|&leader| leader != self.config.id) {
            self.send_durable(leader, Message::AppendAccepted { term: self.term, matched: meta.index });
        }
        self.snapshot = Some(meta.clone());
        self.out.installed = Some(meta);
    }
}
