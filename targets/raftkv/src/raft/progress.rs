//! What a leader knows about one other node, and how much it may send it.

use std::collections::VecDeque;

use super::types::{Index, Micros};

/// How entries are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    /// Where the logs agree is not known, or messages may have been lost: one message at a time.
    /// `paused` once it is sent, until an answer or the next heartbeat.
    Probe { paused: bool },
    /// The logs agree: send ahead without waiting. Holds the last index of each message in flight.
    Pipeline { in_flight: VecDeque<Index> },
    /// What it lacks is no longer in the log: it gets the snapshot at `index`, piece by piece.
    Snapshot { index: Index, offset: u64, paused: bool },
}

/// One peer as its leader sees it.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The last index known to be durable there and equal to ours (matchIndex).
    pub matched: Index,
    /// The next index to send (nextIndex).
    pub next: Index,
    pub mode: Mode,
    /// The commit index that it was last told.
    pub told_commit: Index,
    /// The latest heartbeat round that it answered.
    pub acked_round: u64,
    pub last_heard: Micros,
    /// A timed heartbeat went out since the pipeline was last checked for losses.
    pub check_due: bool,
}

impl Progress {
    /// A peer of which nothing is known yet, except that it may start at `next`.
    pub fn new(next: Index, now: Micros) -> Progress {
        Progress {
            matched: 0,
            next,
            mode: Mode::Probe { paused: false },
            told_commit: 0,
            acked_round: 0,
            last_heard: now,
            check_due: false,
        }
    }

    /// It holds our log up to `matched`.
    pub fn accepted(&mut self, matched: Index) {
        self.matched = self.matched.max(matched);
        self.next = self.next.max(self.matched + 1);
        match &mut self.mode {
            Mode::Snapshot { index, .. } if *index > self.matched => {}
            Mode::Probe { .. } | Mode::Snapshot { .. } => {
                self.mode = Mode::Pipeline { in_flight: VecDeque::new() };
            }
            Mode::Pipeline { in_flight } => {
                while in_flight.front().is_some_and(|&last| last <= self.matched) {
                    in_flight.pop_front();
                }
            }
        }
    }

    /// It does not hold `prev_index`; it may agree at `agree`. False for an answer to an older question.
    pub fn rejected(&mut self, prev_index: Index, agree: Index) -> bool {
        if prev_index <= self.matched {
            return false;
        }
        match self.mode {
            Mode::Snapshot { .. } => return false,
            Mode::Pipeline { .. } => self.next = self.matched + 1,
            Mode::Probe { .. } if prev_index + 1 != self.next => return false,
            Mode::Probe { .. } => self.next = (agree + 1).min(prev_index).max(self.matched + 1),
        }
        self.mode = Mode::Probe { paused: false };
        true
    }

    /// Messages in flight may be lost: find out again where the logs agree.
    pub fn doubt(&mut self, paused: bool) {
        self.next = self.matched + 1;
        self.mode = Mode::Probe { paused };
    }
}
