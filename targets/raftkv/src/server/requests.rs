//! What clients ask of the core, and what leases ask by themselves.

use bytes::Bytes;
use tokio::sync::oneshot;

use super::asks::{Ask, Consistency, MemberChange, Query, Reply, Responder};
use super::early::decide_too_early;
use super::error::ApiError;
use super::node::{Node, Pending};
use super::query::answer_query;
use super::status::Status;
use super::wire::Frame;
use crate::bugs::Bug;
use crate::kv::{Answer, Command, Request, SessionSeq};
use crate::raft::{Input, NodeId, Role};

impl Node {
    pub(super) fn client(&mut self, ask: Ask, reply: Responder) {
        let observes = matches!(ask, Ask::Status | Ask::Hash | Ask::Metrics);
        if self.stop_by.is_some() && !observes {
            let _ = reply.send(Err(ApiError::ShuttingDown));
            return;
        }
        let now = match ask {
            Ask::Change { command, session } => return self.change(command, session, reply),
            Ask::Query { query, consistency } => return self.query(query, consistency, reply),
            Ask::Watch { after, prefix, .. } => {
                self.watchers.push((after, prefix, reply));
                return self.notify_watchers();
            }
            Ask::Members(change) => return self.change_members(change, reply),
            Ask::Transfer(to) => return self.transfer(to, reply),
            Ask::Status => Reply::Status(Box::new(self.status())),
            Ask::Hash => Reply::Hash { applied: self.store.applied(), hash: self.store.hash() },
            Ask::Metrics => Reply::Text(self.metrics()),
        };
        let _ = reply.send(Ok(now));
    }

    fn status(&self) -> Status {
        Status::of(&self.config, &self.core, &self.store, self.origin)
    }

    /// Proposes a change, or passes it to the leader. It is answered when it is applied here.
    fn change(&mut self, mut command: Command, session: Option<SessionSeq>, reply: Responder) {
        let Some(leader) = self.core.leader() else {
            let _ = reply.send(Err(ApiError::NoLeader));
            return;
        };
        decide_too_early(&mut command, &self.store, self.config.bug);
        let is_write = matches!(command, Command::Write { .. });
        let id = self.fresh_id();
        let request = Request { origin: self.config.id, id, session, command };
        let data = Bytes::from(postcard::to_stdvec(&request).expect("a request is plain data"));
        if leader != self.config.id {
            if self.peers.send(leader, Frame::Forward { id, data }) {
                self.pending.insert(id, Pending { reply, forwarded_to: Some(leader) });
            } else {
                let _ = reply.send(Err(ApiError::NoLeader));
            }
            return;
        }
        self.step(Input::Propose { id, data });
        if self.has(Bug::AckBeforeCommit) && is_write {
            let version = self.core.log().last_index();
            let _ = reply.send(Ok(Reply::Changed(Answer::Written { version })));
            return;
        }
        self.pending.insert(id, Pending { reply, forwarded_to: None });
    }

    /// Membership is changed at the leader only; the answer comes when the change is committed.
    fn change_members(&mut self, change: MemberChange, reply: Responder) {
        let id = self.fresh_id();
        let mut membership = self.core.log().membership().clone();
        match change {
            MemberChange::AddLearner { id, address } => {
                membership.learners.insert(id);
                membership.addresses.insert(id, address);
            }
            MemberChange::Promote(id) => {
                if membership.learners.remove(&id) {
                    membership.voters.insert(id);
                }
            }
            MemberChange::Remove(id) => {
                membership.voters.remove(&id);
                membership.learners.remove(&id);
                membership.addresses.remove(&id);
            }
        }
        self.pending.insert(id, Pending { reply, forwarded_to: None });
        self.step(Input::ChangeMembership { id, membership });
    }

    /// Only begins it: who leads in the end is in the status.
    fn transfer(&mut self, to: NodeId, reply: Responder) {
        let leads = self.core.role() == Role::Leader;
        if leads {
            self.step(Input::Transfer { to });
        }
        let _ = reply.send(if leads {
            Ok(Reply::Status(Box::new(self.status())))
        } else {
            Err(ApiError::NotLeader)
        });
    }

    fn query(&mut self, query: Query, consistency: Consistency, reply: Responder) {
        if let Consistency::Session { token } = consistency
            && token > self.store.applied()
            && !self.has(Bug::CausalTokenIgnored)
        {
            self.session_reads.entry(token).or_default().push((query, reply));
            return;
        }
        let unconfirmed = matches!(consistency, Consistency::Local | Consistency::Session { .. })
            || self.config.unsafe_reads
            || self.has(Bug::FollowerReadsAsLinearizable)
            || self.has(Bug::StaleRead) && self.core.role() == Role::Leader;
        if unconfirmed {
            self.answer_query(&query, reply);
            return;
        }
        let id = self.fresh_id();
        self.reads.insert(id, (query, reply));
        self.step(Input::Read { id, lease: consistency == Consistency::Lease });
    }

    pub(super) fn answer_query(&self, query: &Query, reply: Responder) {
        let _ = reply.send(answer_query(&self.store, query));
    }

    /// As leader: proposes the end of leases that ran out.
    pub(super) fn expire_leases(&mut self) {
        let keep = self.has(Bug::LeaseRevokedByOldLeader);
        let lead = self.core.role() == Role::Leader || keep;
        let now = self.now();
        for command in self.lease_timers.due(self.store.leases(), lead, keep, now) {
            let (reply, _) = oneshot::channel();
            self.change(command, None, reply);
        }
    }
}
