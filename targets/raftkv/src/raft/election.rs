//! Who leads: terms, pre-vote, votes, the leader's first entry, check-quorum (§5.2, §5.4.1; thesis §6.2, §9.6).

use super::core::Core;
use super::types::*;
use crate::bugs::Bug;

impl Core {
    /// Compares terms (§5.1) and settles what follows from that alone. False: the message is dealt with.
    pub(super) fn admits(&mut self, from: NodeId, message: &Message) -> bool {
        let term = message.term();
        if term < self.term {
            self.answer_the_past(from, message);
            return false;
        }
        if term == self.term {
            return true;
        }
        match message {
            // These speak of a term that nobody has entered yet.
            Message::PreVote { .. } | Message::PreVoteReply { granted: true, .. } => true,
            Message::Vote { transfer: false, .. } if self.leader_is_alive() => false,
            Message::Append { .. } | Message::Heartbeat { .. } | Message::Snapshot { .. } => {
                self.become_follower(term, Some(from));
                true
            }
            _ => {
                self.become_follower(term, None);
                true
            }
        }
    }

    /// A sender that is behind learns the current term from the answer.
    fn answer_the_past(&mut self, from: NodeId, message: &Message) {
        let term = self.term;
        match message {
            Message::PreVote { .. } => {
                self.send_durable(from, Message::PreVoteReply { term, granted: false })
            }
            Message::Vote { .. } => self.send_durable(from, Message::VoteReply { term, granted: false }),
            Message::Append { .. } | Message::Heartbeat { .. } | Message::Snapshot { .. } => {
                self.send_durable(from, Message::HeartbeatReply { term, round: 0 })
            }
            _ => {}
        }
    }

    /// Whether a leader was heard from so recently that nobody may be elected (thesis §6.2, §6.4.1).
    fn leader_is_alive(&self) -> bool {
        self.role == Role::Leader
            || self.now < self.quiet_until
            || self.leader.is_some()
                && self.leader_heard.is_some_and(|at| self.now < at + self.config.election_timeout)
    }

    pub(super) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        if term > self.term {
            self.term = term;
            self.vote = None;
            if !self.has(Bug::TermNotPersisted) {
                self.persist_hard_state();
            }
        }
        self.peers.clear();
        self.votes.clear();
        self.fail_reads();
        self.set_role(Role::Follower, leader);
        self.reset_election_deadline();
    }

    /// A message from the leader of this term arrived.
    pub(super) fn hear_leader(&mut self, leader: NodeId) {
        self.leader_heard = Some(self.now);
        if self.role != Role::Follower || self.leader != Some(leader) {
            self.become_follower(self.term, Some(leader));
        }
        self.reset_election_deadline();
    }

    pub(super) fn set_role(&mut self, role: Role, leader: Option<NodeId>) {
        if (self.role, self.leader) != (role, leader) || role == Role::Candidate {
            self.out.role_changes.push(RoleChange { role, term: self.term, leader });
        }
        self.role = role;
        self.leader = leader;
    }

    pub(super) fn reset_election_deadline(&mut self) {
        let wait = self.config.election_timeout.max(1);
        self.election_deadline = self.now + wait + self.next_random() % wait.div_ceil(2);
    }

    /// Asks whether an election could be won, before disturbing anyone with a new term (thesis §9.6).
    pub(super) fn campaign_before_vote(&mut self) {
        self.reset_election_deadline();
        if !self.may_stand() && !self.has(Bug::RemovedNodeVotes) {
            return;
        }
        self.fail_reads();
        self.set_role(Role::PreCandidate, None);
        self.votes.clear();
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        let ask = Message::PreVote { term: self.term + 1, last_index, last_term };
        for to in self.other_voters() {
            self.send(to, ask.clone());
        }
        self.count_pre_vote(self.config.id, true);
    }

    /// Enters a new term and asks for votes (§5.2). The requests leave when the own vote is durable.
    pub(super) fn campaign(&mut self, transfer: bool) {
        self.reset_election_deadline();
        self.term += 1;
        self.vote = Some(self.config.id);
        self.persist_hard_state();
        self.set_role(Role::Candidate, None);
        self.votes.clear();
        let (last_index, last_term) = (self.log.last_index(), self.log.last_term());
        let ask = Message::Vote { term: self.term, last_index, last_term, transfer };
        for to in self.other_voters() {
            self.send_durable(to, ask.clone());
        }
    }

    fn other_voters(&self) -> Vec<NodeId> {
        let me = self.config.id;
        self.log.membership().voters.iter().copied().filter(|&id| id != me).collect()
    }

    pub(super) fn on_pre_vote(&mut self, from: NodeId, term: Term, last_index: Index, last_term: Term) {
        let granted =
            term > self.term && !self.leader_is_alive() && self.log.is_outdone_by(last_index, last_term);
        let term = if granted { term } else { self.term };
        self.send_durable(from, Message::PreVoteReply { term, granted });
    }

    pub(super) fn on_pre_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        if self.role == Role::PreCandidate && (!granted || term == self.term + 1) {
            self.count_pre_vote(from, granted);
        }
    }

    fn count_pre_vote(&mut self, from: NodeId, granted: bool) {
        self.votes.insert(from, granted);
        if self.won() {
            self.campaign(false);
        }
    }

    /// Grants at most one vote a term, to a log at least as up to date (§5.4.1).
    pub(super) fn on_vote(&mut self, from: NodeId, last_index: Index, last_term: Term) {
        let free = match self.vote {
            Some(voted) => voted == from,
            None => self.leader.is_none(),
        };
        let granted = free && self.log.is_outdone_by(last_index, last_term);
        if granted && self.vote.is_none() {
            self.vote = Some(from);
            self.out.voted = Some((from, self.term));
            self.persist_hard_state();
            self.reset_election_deadline();
        }
        self.send_durable(from, Message::VoteReply { term: self.term, granted });
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, granted: bool) {
        if self.role == Role::Candidate {
            self.count_vote(from, granted);
        }
    }

    pub(super) fn count_vote(&mut self, from: NodeId, granted: bool) {
        self.votes.entry(from).or_insert(granted);
        if self.won() {
            self.become_leader();
        }
    }

    fn won(&self) -> bool {
        let membership = self.log.membership();
        let counts = |id: &NodeId| membership.voters.contains(id) || self.has(Bug::RemovedNodeVotes);
        let granted = self.votes.iter().filter(|(id, yes)| **yes && counts(id)).count();
        granted >= membership.quorum()
    }

    fn become_leader(&mut self) {
        self.set_role(Role::Leader, Some(self.config.id));
        let next = self.log.last_index() + 1;
        self.follow_membership(next);
        self.reads.begin_term();
        self.noop = next;
        self.transfer = None;
        self.uncommitted_bytes = 0;
        self.append(Entry { term: self.term, index: next, payload: Payload::Noop });
        self.heartbeat_deadline = self.now + self.config.heartbeat;
    }

    /// Time for the leader to be heard, and to see whether it is still heard by a majority (thesis §6.2).
    pub(super) fn heartbeat_due(&mut self) {
        self.heartbeat_deadline = self.now + self.config.heartbeat;
        let heard = self.quorum_of(self.now, |peer| peer.last_heard);
        if heard + self.config.election_timeout < self.now {
            self.become_follower(self.term, None);
            return;
        }
        for peer in self.peers.values_mut() {
            peer.check_due = true;
        }
        self.begin_round();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CoreConfig, Log, Restored};
    use super::*;

    #[test]
    fn proposals_are_bounded_in_bytes() {
        let id: NodeId = "n1".parse().unwrap();
        let log = Log::new(Membership::of([id]));
        let restored = Restored { hard_state: HardState::default(), log, snapshot: None };
        let config = CoreConfig { max_uncommitted_bytes: 100, ..CoreConfig::new(id, 1) };
        let mut core = Core::new(config, restored, 0);
        core.step(core.deadline(), Input::Tick);
        let vote = core.flush().write.unwrap().seq;
        core.step(0, Input::Persisted { seq: vote });
        core.flush();
        let propose = |core: &mut Core| {
            core.step(0, Input::Propose { id: 1, data: vec![0; 60].into() });
            let out = core.flush();
            (out.proposals[0].1.is_ok(), out.write.map(|w| w.seq))
        };
        assert!(propose(&mut core).0);
        let (accepted, seq) = propose(&mut core);
        assert!(accepted && !propose(&mut core).0);
        core.step(0, Input::Persisted { seq: seq.unwrap() });
        core.flush();
        assert!(propose(&mut core).0, "what is committed makes room");
    }

    #[test]
    fn a_leader_that_removed_itself_may_be_needed_once_more() {
        let [me, other]: [NodeId; 2] = ["n1", "n2"].map(|id| id.parse().unwrap());
        let (both, rest) = (Membership::of([me, other]), Membership::of([other]));
        let hard_state = HardState { term: 1, ..HardState::default() };
        // Its own removal is at the end of its log alone, so nobody else's log is as long.
        let mut log = Log::new(both);
        log.push(Entry { term: 1, index: 1, payload: Payload::Membership(rest.clone()) });
        let mut core = Core::new(CoreConfig::new(me, 1), Restored { hard_state, log, snapshot: None }, 0);
        core.step(core.deadline(), Input::Tick);
        assert_eq!(core.role(), Role::PreCandidate);
        let granted = Message::PreVoteReply { term: 2, granted: true };
        core.step(core.deadline(), Input::Receive { from: other, message: granted });
        let vote = core.flush().write.unwrap().seq;
        core.step(0, Input::Persisted { seq: vote });
        assert_eq!(core.role(), Role::Candidate, "its own vote does not count");
        core.step(0, Input::Receive { from: other, message: Message::VoteReply { term: 2, granted: true } });
        assert_eq!(core.role(), Role::Leader);
        // Once that is committed it is none of its business.
        let meta = SnapshotMeta { index: 1, term: 1, membership: rest };
        let restored = Restored { hard_state, log: Log::after(&meta), snapshot: Some(meta) };
        let mut core = Core::new(CoreConfig::new(me, 1), restored, 0);
        core.step(core.deadline(), Input::Tick);
        assert_eq!(core.role(), Role::Follower);
    }

    #[test]
    fn a_cluster_of_one_leads_only_when_its_vote_is_durable() {
        let id: NodeId = "n1".parse().unwrap();
        let restored = Restored {
            hard_state: HardState::default(),
            log: Log::new(Membership::of([id])),
            snapshot: None,
        };
        let mut core = Core::new(CoreConfig::new(id, 1), restored, 0);
        core.step(core.deadline(), Input::Tick);
        let out = core.flush();
        assert_eq!(core.role(), Role::Candidate);
        core.step(0, Input::Persisted { seq: out.write.unwrap().seq });
        assert_eq!(core.role(), Role::Leader);
        let noop = core.flush().write.unwrap();
        assert_eq!(core.commit(), 0, "its own entry is not durable yet");
        core.step(0, Input::Persisted { seq: noop.seq });
        assert_eq!(core.commit(), 1);
    }
}
