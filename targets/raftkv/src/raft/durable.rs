//! What is on disk and what waits for it.
//!
//! Writes are numbered; the caller reports the highest number that is durable. A message that makes a
//! promise (a vote, an acknowledgement) is held here until the write it stands on is durable.

use std::collections::VecDeque;

use super::types::{Index, Message, NodeId};

/// Tracks writes in flight. `issued >= durable` always.
#[derive(Debug, Default)]
pub struct Durability {
    issued: u64,
    durable: u64,
    /// The write that carries the latest hard state.
    hard_state: u64,
    /// For each write in flight with entries: the last index that it leaves on disk.
    marks: VecDeque<(u64, Index)>,
    index: Index,
    waiting: VecDeque<(u64, NodeId, Message)>,
}

impl Durability {
    /// Everything up to `index` was read from disk.
    pub fn restored(index: Index) -> Durability {
        Durability { index, ..Durability::default() }
    }

    /// The last index known to be on disk.
    pub fn index(&self) -> Index {
        self.index
    }

    /// Numbers a new write.
    pub fn issue(&mut self) -> u64 {
        self.issued += 1;
        self.issued
    }

    /// The current write carries a hard state.
    pub fn note_hard_state(&mut self) {
        self.hard_state = self.issued;
    }

    pub fn hard_state_is_durable(&self) -> bool {
        self.durable >= self.hard_state
    }

    /// The current write appends entries that end at `last`.
    pub fn note_appended(&mut self, last: Index) {
        match self.marks.back_mut() {
            Some((seq, index)) if *seq == self.issued => *index = last,
            _ => self.marks.push_back((self.issued, last)),
        }
    }

    /// The log was cut: nothing from `from` on counts as durable, whatever is still in flight.
    pub fn note_truncated(&mut self, from: Index) {
        let last = from - 1;
        self.index = self.index.min(last);
        for (_, index) in &mut self.marks {
            *index = (*index).min(last);
        }
    }

    /// The log begins anew after `index`, which is durable elsewhere.
    pub fn note_reset(&mut self, index: Index) {
        self.marks.clear();
        self.index = index;
    }

    /// Holds `message` until everything issued so far is durable; returns it if it may go now.
    pub fn after_all(&mut self, to: NodeId, message: Message) -> Option<(NodeId, Message)> {
        self.after(self.issued, to, message)
    }

    /// Holds `message` until the latest hard state is durable; returns it if it may go now.
    pub fn after_hard_state(&mut self, to: NodeId, message: Message) -> Option<(NodeId, Message)> {
        self.after(self.hard_state, to, message)
    }

    fn after(&mut self, seq: u64, to: NodeId, message: Message) -> Option<(NodeId, Message)> {
        if self.durable >= seq {
            return Some((to, message));
        }
        self.waiting.push_back((seq, to, message));
        None
    }

    /// Everything up to `seq` is durable. Returns the messages that may go now.
    pub fn persisted(&mut self, seq: u64) -> Vec<(NodeId, Message)> {
        self.durable = self.durable.max(seq);
        while let Some(&(mark, index)) = self.marks.front() {
            if mark > self.durable {
                break;
            }
            self.index = index;
            self.marks.pop_front();
        }
        let mut released = Vec::new();
        // Heartbeat replies wait for less than their neighbours, so the queue is not quite sorted.
        let mut kept = VecDeque::new();
        for (at, to, message) in self.waiting.drain(..) {
            if at <= self.durable { released.push((to, message)) } else { kept.push_back((at, to, message)) }
        }
        self.waiting = kept;
        released
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_cut_meanwhile_does_not_count() {
        let mut d = Durability::default();
        d.issue();
        d.note_appended(10);
        d.note_truncated(8);
        d.issue();
        d.note_appended(9);
        assert_eq!(d.index(), 0);
        d.persisted(1);
        assert_eq!(d.index(), 7);
        d.persisted(2);
        assert_eq!(d.index(), 9);
    }

    #[test]
    fn promises_wait_and_heartbeats_wait_less() {
        let n1: NodeId = "n1".parse().unwrap();
        let accepted = |matched| Message::AppendAccepted { term: 1, matched };
        let mut d = Durability::default();
        d.issue();
        d.note_hard_state();
        assert!(d.after_all(n1, accepted(1)).is_none());
        d.issue();
        assert!(d.after_all(n1, accepted(2)).is_none());
        assert!(d.after_hard_state(n1, Message::HeartbeatReply { term: 1, round: 1 }).is_none());
        assert_eq!(d.persisted(1).len(), 2);
        assert_eq!(d.persisted(2), vec![(n1, accepted(2))]);
        assert!(d.after_all(n1, accepted(3)).is_some());
    }
}
