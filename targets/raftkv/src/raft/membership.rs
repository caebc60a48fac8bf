//! Changes of membership, one voter at a time (thesis §4.1, §4.2), and handing over the office (thesis §3.10).

use super::core::Core;
use super::progress::Progress;
use super::types::*;
use crate::bugs::Bug;

/// A learner may lack so many committed entries and still be promoted.
const MAX_LAG: Index = 1000;

impl Core {
    pub(super) fn change_membership(&mut self, id: u64, membership: Membership) {
        let result = match self.refuse_change(&membership) {
            Some(refusal) => Err(refusal),
            None => {
                let index = self.log.last_index() + 1;
                self.append(Entry { term: self.term, index, payload: Payload::Membership(membership) });
                Ok((index, self.term))
            }
        };
        self.out.proposals.push((id, result));
    }

    fn refuse_change(&self, wanted: &Membership) -> Option<Refusal> {
        if self.role != Role::Leader {
            return Some(Refusal::NotLeader);
        }
        if self.has(Bug::MembershipTwoMajorities) {
            return None;
        }
        // Also the term's first entry: without it two leaders' changes could each miss the other's
        // (the correction to the thesis' algorithm of 2015).
        if self.commit < self.log.membership_index() || self.commit < self.noop {
            return Some(Refusal::ChangePending);
        }
        let current = &self.log.membership().voters;
        if wanted.voters.is_empty() || current.symmetric_difference(&wanted.voters).count() > 1 {
            return Some(Refusal::ChangeTooBig);
        }
        // One that never acknowledged anything may not even exist, however short the log is.
        let lags = |id: &NodeId| {
            let peer = self.peers.get(id);
            peer.is_none_or(|peer| peer.matched == 0 || peer.matched + MAX_LAG < self.commit)
        };
        let new = wanted.voters.difference(current).find(|id| **id != self.config.id && lags(id));
        new.map(|_| Refusal::NotCaughtUp)
    }

    /// As leader: sends to exactly the members of the membership in force, to new ones from `next` on.
    pub(super) fn follow_membership(&mut self, next: Index) {
        let others: Vec<NodeId> = self.log.membership().others(self.config.id).collect();
        self.peers.retain(|id, _| others.contains(id));
        let now = self.now;
        for id in others {
            self.peers.entry(id).or_insert_with(|| Progress::new(next, now));
        }
    }

    pub(super) fn transfer(&mut self, to: NodeId) {
        let able = self.log.membership().voters.contains(&to) && to != self.config.id;
        if self.role == Role::Leader && able {
            self.transfer = Some((to, self.now + self.config.election_timeout));
            self.hand_over_if_ready(to);
        }
    }

    /// Whether proposals wait, so that the successor can catch up; not for longer than an election timeout.
    pub(super) fn is_transferring(&self) -> bool {
        self.transfer.is_some_and(|(_, until)| self.now < until)
    }

    pub(super) fn hand_over_if_ready(&mut self, peer: NodeId) {
        let last = self.log.last_index();
        let ready = self.peers.get(&peer).is_some_and(|p| p.matched == last);
        if ready && self.is_transferring() && self.transfer.is_some_and(|(to, _)| to == peer) {
            self.transfer = None;
            self.reads.void_lease();
            self.send(peer, Message::TimeoutNow { term: self.term });
        }
    }

    pub(super) fn on_timeout_now(&mut self, from: NodeId) {
        if self.is_voter() && self.leader == Some(from) {
            self.fail_reads();
            self.campaign(true);
        }
    }
}
