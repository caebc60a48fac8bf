//! Linearizable reads without writing to the log (§8; thesis §6.4): ReadIndex.
//!
//! A leader notes its commit index, confirms by a round of heartbeats that it still leads, and lets the read
//! see everything up to that index. Requires an entry of its own term to be committed. Reads that arrive
//! while a round is under way share the next one. A follower asks its leader for the index.
//!
//! Lease reads (thesis §6.4.1) skip the round: nobody can be elected within an election timeout after a
//! majority heard the leader, counted from when the heartbeat was sent and shortened by the greatest drift
//! between clocks that was declared.

use std::collections::{BTreeMap, VecDeque};

use super::core::Core;
use super::types::*;

/// Who waits for a read index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asker {
    /// One of our own reads.
    Local(u64),
    /// A batch of a follower's reads.
    Remote(NodeId, u64),
}

/// Reads on their way.
#[derive(Debug, Default)]
pub struct Reads {
    /// Not yet part of a round (leader) or of a question (follower).
    waiting: Vec<Asker>,
    /// As leader: rounds under way, each with the index its reads must see.
    rounds: VecDeque<(u64, Index, Vec<Asker>)>,
    /// The latest heartbeat round of this term.
    round: u64,
    /// When each round that may still extend the lease was sent.
    sent: VecDeque<(u64, Micros)>,
    /// When the latest round was sent that a majority answered.
    lease_from: Option<Micros>,
    lease_void: bool,
    /// As follower: questions to the leader. Numbers never repeat between starts (they begin at random),
    /// because a late answer to a former life must not be taken for a new one.
    asked: BTreeMap<u64, Vec<u64>>,
    next_batch: u64,
    /// The index is known; waiting until it is committed here.
    confirmed: BTreeMap<Index, Vec<u64>>,
}

impl Reads {
    pub(super) fn starting_at(batch: u64) -> Reads {
        Reads { next_batch: batch, ..Reads::default() }
    }

    /// Heartbeat rounds are counted anew in each term.
    pub(super) fn begin_term(&mut self) {
        self.round = 0;
        self.sent.clear();
        self.lease_from = None;
        self.lease_void = false;
    }

    /// The office was offered to another: it may take it at any moment, so there is no lease in this term.
    pub(super) fn void_lease(&mut self) {
        self.lease_void = true;
    }
}

impl Core {
    pub(super) fn read(&mut self, id: u64, lease: bool) {
        match self.leader {
            Some(_) if lease && self.holds_lease() => {
                self.reads.confirmed.entry(self.commit).or_default().push(id);
            }
            None => self.out.reads.push((id, ReadOutcome::NoLeader)),
            Some(_) => self.reads.waiting.push(Asker::Local(id)),
        }
    }

    /// Whether nobody else can have been elected yet, and everything committed before is known to be.
    fn holds_lease(&self) -> bool {
        let drift = self.config.election_timeout * self.config.max_drift_per_mille / 1000;
        let lasts = self.config.election_timeout - 2 * drift;
        self.role == Role::Leader
            && !self.reads.lease_void
            && self.commit >= self.noop
            && self.reads.lease_from.is_some_and(|from| self.now < from + lasts)
    }

    pub(super) fn on_read_index(&mut self, from: NodeId, batch: u64) {
        if self.role == Role::Leader {
            self.reads.waiting.push(Asker::Remote(from, batch));
        } else {
            self.send(from, Message::ReadIndexReply { term: self.term, batch, index: None });
        }
    }

    pub(super) fn on_read_index_reply(&mut self, batch: u64, index: Option<Index>) {
        let Some(ids) = self.reads.asked.remove(&batch) else { return };
        match index {
            Some(index) => self.reads.confirmed.entry(index).or_default().extend(ids),
            None => self.out.reads.extend(ids.into_iter().map(|id| (id, ReadOutcome::LeaderLost))),
        }
    }

    /// Gives waiting reads a round, or asks the leader.
    pub(super) fn flush_reads(&mut self) {
        if self.reads.waiting.is_empty() {
            return;
        }
        if self.role == Role::Leader {
            if self.reads.rounds.is_empty() && self.commit >= self.noop {
                self.begin_round();
            }
            return;
        }
        let Some(leader) = self.leader else { return };
        let ids: Vec<u64> = self.reads.waiting.drain(..).filter_map(local).collect();
        let batch = self.reads.next_batch;
        self.reads.next_batch = batch.wrapping_add(1);
        self.reads.asked.insert(batch, ids);
        self.send(leader, Message::ReadIndex { term: self.term, batch });
    }

    /// As leader: sends heartbeats that ask for an answer; reads that wait join if they may.
    pub(super) fn begin_round(&mut self) {
        self.reads.round += 1;
        let round = self.reads.round;
        self.reads.sent.push_back((round, self.now));
        if self.commit >= self.noop && !self.reads.waiting.is_empty() {
            let askers = std::mem::take(&mut self.reads.waiting);
            self.reads.rounds.push_back((round, self.commit, askers));
        }
        let mut beats = Vec::with_capacity(self.peers.len());
        for (&to, peer) in &mut self.peers {
            let commit = self.commit.min(peer.matched);
            peer.told_commit = peer.told_commit.max(commit);
            beats.push((to, Message::Heartbeat { term: self.term, commit, round }));
        }
        self.out.messages.extend(beats);
        self.confirm_rounds();
    }

    pub(super) fn on_heartbeat_reply(&mut self, from: NodeId, round: u64) {
        let now = self.now;
        let Some(peer) = self.peers.get_mut(&from) else { return };
        peer.last_heard = now;
        peer.acked_round = peer.acked_round.max(round);
        self.revive(from);
        self.confirm_rounds();
    }

    /// Releases the reads of every round that a majority answered.
    fn confirm_rounds(&mut self) {
        let confirmed = self.quorum_of(self.reads.round, |peer| peer.acked_round);
        while let Some(&(round, at)) = self.reads.sent.front()
            && round <= confirmed
        {
            self.reads.lease_from = Some(at);
            self.reads.sent.pop_front();
        }
        while self.reads.rounds.front().is_some_and(|(round, ..)| *round <= confirmed) {
            let Some((_, index, askers)) = self.reads.rounds.pop_front() else { return };
            for asker in askers {
                match asker {
                    Asker::Local(id) => self.reads.confirmed.entry(index).or_default().push(id),
                    Asker::Remote(to, batch) => {
                        self.send(to, Message::ReadIndexReply { term: self.term, batch, index: Some(index) })
                    }
                }
            }
        }
    }

    /// Reads whose index is applied by the end of this flush are ready.
    pub(super) fn release_reads(&mut self) {
        while let Some(entry) = self.reads.confirmed.first_entry() {
            if *entry.key() > self.applied {
                break;
            }
            self.out.reads.extend(entry.remove().into_iter().map(|id| (id, ReadOutcome::Ready)));
        }
    }

    /// The office changed hands: nobody will confirm what is under way. Reads whose index is confirmed stay:
    /// what is committed stays committed.
    pub(super) fn fail_reads(&mut self) {
        let rounds = std::mem::take(&mut self.reads.rounds);
        let waiting = std::mem::take(&mut self.reads.waiting);
        for asker in rounds.into_iter().flat_map(|(_, _, askers)| askers).chain(waiting) {
            match asker {
                Asker::Local(id) => self.out.reads.push((id, ReadOutcome::LeaderLost)),
                Asker::Remote(to, batch) => {
                    self.send(to, Message::ReadIndexReply { term: self.term, batch, index: None })
                }
            }
        }
        for (_, ids) in std::mem::take(&mut self.reads.asked) {
            self.out.reads.extend(ids.into_iter().map(|id| (id, ReadOutcome::LeaderLost)));
        }
    }
}

fn local(asker: Asker) -> Option<u64> {
    match asker {
        Asker::Local(id) => Some(id),
        Asker::Remote(..) => None,
    }
}
