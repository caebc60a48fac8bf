//! How the log spreads: appending, pipelining, conflicts, commitment (§5.3, §5.4.2).

use bytes::Bytes;

use super::core::Core;
use super::progress::Mode;
use super::types::*;
use crate::bugs::Bug;

impl Core {
    pub(super) fn propose(&mut self, id: u64, data: Bytes) {
        let result = if self.role != Role::Leader {
            Err(Refusal::NotLeader)
        } else if self.is_full() || self.is_transferring() {
            Err(Refusal::Busy)
        } else {
            let index = self.log.last_index() + 1;
            let entry = Entry { term: self.term, index, payload: Payload::Command(data) };
            self.uncommitted_bytes += entry.size();
            self.append(entry);
            Ok((index, self.term))
        };
        self.out.proposals.push((id, result));
    }

    fn is_full(&self) -> bool {
        self.log.last_index() - self.commit >= self.config.max_uncommitted
            || self.uncommitted_bytes >= self.config.max_uncommitted_bytes
    }

    /// As leader: sends what each peer lacks, as far as flow control lets it, and the commit index.
    pub(super) fn flush_appends(&mut self) {
        if self.role != Role::Leader {
            return;
        }
        let ids: Vec<NodeId> = self.peers.keys().copied().collect();
        for id in ids {
            self.turn_to_snapshot(id);
            while self.may_send_entries(id) {
                self.send_append(id);
            }
            self.tell_commit(id);
        }
    }

    fn may_send_entries(&self, to: NodeId) -> bool {
        let Some(peer) = self.peers.get(&to) else { return false };
        peer.next <= self.log.last_index()
            && match &peer.mode {
                Mode::Probe { paused } => !paused,
                Mode::Pipeline { in_flight } => in_flight.len() < self.config.max_in_flight,
                Mode::Snapshot { .. } => false,
            }
    }

    /// One AppendEntries from `next` on; without entries it still finds out whether the logs agree.
    fn send_append(&mut self, to: NodeId) {
        let commit = self.commit;
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let prev_index = peer.next - 1;
        let prev_term = self.log.term_at(prev_index).expect("the log reaches back to what peers need");
        let entries = self.log.slice(peer.next, self.config.max_append_bytes);
        let last = prev_index + entries.len() as Index;
        match &mut peer.mode {
            Mode::Probe { paused } => *paused = true,
            Mode::Pipeline { in_flight } if last > prev_index => {
                in_flight.push_back(last);
                peer.next = last + 1;
            }
            Mode::Pipeline { .. } | Mode::Snapshot { .. } => {}
        }
        peer.told_commit = peer.told_commit.max(commit.min(last));
        self.send(to, Message::Append { term: self.term, prev_index, prev_term, entries, commit });
    }

    /// A commit index that no message with entries carries goes out by itself, so that followers need not
    /// wait for the next heartbeat to answer their clients.
    fn tell_commit(&mut self, to: NodeId) {
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let commit = self.commit.min(peer.matched);
        if commit > peer.told_commit {
            peer.told_commit = commit;
            self.send(to, Message::Heartbeat { term: self.term, commit, round: 0 });
        }
    }

    pub(super) fn on_append(
        &mut self,
        from: NodeId,
        prev_index: Index,
        prev_term: Term,
        entries: Vec<Entry>,
        commit: Index,
    ) {
        self.hear_leader(from);
        if self.log.term_at(prev_index) != Some(prev_term) && prev_index > self.commit {
            let (hint_index, hint_term) = self.log.skip_back(prev_index, prev_term);
            let reply = Message::AppendRejected { term: self.term, prev_index, hint_index, hint_term };
            return self.send_durable(from, reply);
        }
        let last = prev_index + entries.len() as Index;
        self.accept(entries);
        self.commit_to(commit.min(last));
        // What is committed here equals the leader's log (leader completeness), however old the message.
        let matched = last.max(self.commit);
        self.send_durable(from, Message::AppendAccepted { term: self.term, matched });
    }

    /// Appends what is new; a conflicting entry and everything after it goes (§5.3).
    fn accept(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let known = self.log.term_at(entry.index);
            if entry.index <= self.commit || known == Some(entry.term) {
                continue;
            }
            if known.is_some() {
                if self.has(Bug::LogNotTruncated) {
                    continue;
                }
                self.log.truncate_from(entry.index);
                self.durability.note_truncated(entry.index);
            }
            self.append(entry);
        }
    }

    pub(super) fn on_accepted(&mut self, from: NodeId, matched: Index) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.last_heard = now;
        peer.accepted(matched);
        self.advance_commit();
        self.hand_over_if_ready(from);
    }

    pub(super) fn on_rejected(&mut self, from: NodeId, prev: Index, hint_index: Index, hint_term: Term) {
        let now = self.now;
        // What lies before the log is in the snapshot: sending begins there.
        let known = hint_index >= self.log.base_index();
        let agree = if known { self.log.skip_back(hint_index, hint_term).0 } else { hint_index };
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.last_heard = now;
        peer.rejected(prev, agree);
    }

    pub(super) fn on_heartbeat(&mut self, from: NodeId, commit: Index, round: u64) {
        self.hear_leader(from);
        self.commit_to(commit.min(self.log.last_index()));
        if round != 0 {
            let reply = Message::HeartbeatReply { term: self.term, round };
            let ready = self.durability.after_hard_state(from, reply);
            self.out.messages.extend(ready);
        }
    }

    /// Something answers over there: send it what it lacks, and look for losses in the pipeline.
    pub(super) fn revive(&mut self, from: NodeId) {
        let last = self.log.last_index();
        let Some(peer) = self.peers.get_mut(&from) else { return };
        match &mut peer.mode {
            Mode::Probe { paused } => *paused = false,
            Mode::Pipeline { .. } if peer.check_due && peer.matched < last => {
                peer.check_due = false;
                self.send_check(from);
            }
            Mode::Snapshot { paused, .. } if peer.check_due => {
                peer.check_due = false;
                *paused = false;
            }
            Mode::Pipeline { .. } | Mode::Snapshot { .. } => {}
        }
    }

    /// An empty AppendEntries at the end of what was sent: rejected if any of that was lost.
    fn send_check(&mut self, to: NodeId) {
        let Some(peer) = self.peers.get(&to) else { return };
        let prev_index = peer.next - 1;
        // Forgotten meanwhile: the snapshot is next.
        let Some(prev_term) = self.log.term_at(prev_index) else { return };
        let commit = self.commit;
        self.send(
            to,
            Message::Append { term: self.term, prev_index, prev_term, entries: Vec::new(), commit },
        );
    }

    pub(super) fn link(&mut self, peer: NodeId, up: bool) {
        if let Some(progress) = self.peers.get_mut(&peer) {
            progress.doubt(!up);
        }
    }

    /// Commits what a majority holds durably, if it is of this term (§5.4.2, Figure 8).
    pub(super) fn advance_commit(&mut self) {
        let mine = if self.has(Bug::CountUnsynced) { self.log.last_index() } else { self.durability.index() };
        let candidate = self.quorum_of(mine, |peer| peer.matched);
        let current = self.log.term_at(candidate) == Some(self.term);
        if candidate > self.commit && (current || self.has(Bug::CommitOldTerm)) {
            self.commit = candidate;
            // A leader that is no longer a member leads until that is committed (thesis §4.2.2).
            if !self.is_voter() && self.commit >= self.log.membership_index() {
                self.become_follower(self.term, None);
            }
        }
    }

    fn commit_to(&mut self, commit: Index) {
        self.commit = self.commit.max(commit);
    }
}
