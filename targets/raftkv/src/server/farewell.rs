//! A stop that nobody has to wait for: the office goes to another node, what is under way is answered, nothing new
//! is taken.
//!
//! Bounded: after two election timeouts the node ends anyway, and its clients learn that their changes may or may
//! not happen.

use std::time::Instant;

use super::node::Node;
use super::trace;
use crate::raft::{Input, NodeId, Role};

impl Node {
    pub(super) fn begin_to_stop(&mut self) {
        if self.stop_by.is_some() {
            return;
        }
        self.stop_by = Some(Instant::now() + self.config.election_timeout * 2);
        if let Some(to) = self.successor() {
            trace::line(self.config.id, format_args!("stops, hands over to={to}"));
            self.step(Input::Transfer { to });
        }
    }

    /// As leader: the voter that lacks least, of those that were heard of lately.
    fn successor(&self) -> Option<NodeId> {
        let voters = &self.core.log().membership().voters;
        let lately = self.now().saturating_sub(self.config.election_timeout.as_micros() as u64);
        let others = self.core.peers().iter().filter(|(id, _)| voters.contains(*id));
        others.max_by_key(|(_, peer)| (peer.last_heard >= lately, peer.matched)).map(|(id, _)| *id)
    }

    /// Whether a stop was asked for and nothing is left to wait for.
    pub(super) fn may_end(&self) -> bool {
        let Some(by) = self.stop_by else { return false };
        let settled = self.pending.is_empty() && self.reads.is_empty();
        let leads = self.core.role() == Role::Leader && self.successor().is_some();
        settled && !leads || Instant::now() >= by
    }
}
