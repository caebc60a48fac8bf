//! Exactly-once: the last answer of each client session (§8 of the paper; thesis §6.3).
//!
//! Forgetting is decided by the log alone, never by a clock: when there are too many sessions, the one that
//! was used least recently, by log index, is forgotten on every node at the same entry.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::command::{Answer, Refused, SessionSeq};
use crate::raft::Index;

/// Sessions remembered, at most.
pub const MAX_SESSIONS: usize = 10_000;

/// One client's last request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    seq: u64,
    answer: Option<Answer>,
    used: Index,
}

/// Every session, by number.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    sessions: BTreeMap<u64, Session>,
    by_use: BTreeMap<Index, u64>,
}

impl Sessions {
    pub fn open(&mut self, index: Index) {
        if self.sessions.len() >= MAX_SESSIONS
            && let Some((_, oldest)) = self.by_use.pop_first()
        {
            self.sessions.remove(&oldest);
        }
        self.sessions.insert(index, Session { seq: 0, answer: None, used: index });
        self.by_use.insert(index, index);
    }

    /// The answer to give without doing anything: the request was done, or cannot be.
    pub fn recall(&mut self, index: Index, at: SessionSeq) -> Option<Answer> {
        let Some(session) = self.sessions.get_mut(&at.session) else {
            return Some(Answer::Refused(Refused::NoSession));
        };
        self.by_use.remove(&session.used);
        self.by_use.insert(index, at.session);
        session.used = index;
        match session.seq.cmp(&at.seq) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => session.answer.clone(),
            std::cmp::Ordering::Greater => Some(Answer::Refused(Refused::OldSeq)),
        }
    }

    /// Forgets one session, for no good reason (one of the museum's bugs).
    pub fn forget(&mut self, session: u64) {
        if let Some(forgotten) = self.sessions.remove(&session) {
            self.by_use.remove(&forgotten.used);
        }
    }

    pub fn remember(&mut self, at: SessionSeq, answer: &Answer) {
        if let Some(session) = self.sessions.get_mut(&at.session) {
            session.seq = at.seq;
            session.answer = Some(answer.clone());
        }
    }

    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_request_gets_the_first_answer() {
        let mut sessions = Sessions::default();
        sessions.open(5);
        let at = |seq| SessionSeq { session: 5, seq };
        assert_eq!(sessions.recall(6, at(1)), None);
        let answer = Answer::Written { version: 6 };
        sessions.remember(at(1), &answer);
        assert_eq!(sessions.recall(7, at(1)), Some(answer));
        assert_eq!(sessions.recall(8, at(2)), None);
        sessions.remember(at(2), &Answer::Written { version: 8 });
        assert_eq!(sessions.recall(9, at(1)), Some(Answer::Refused(Refused::OldSeq)));
        let stranger = SessionSeq { session: 4, seq: 1 };
        assert_eq!(sessions.recall(9, stranger), Some(Answer::Refused(Refused::NoSession)));
    }

    #[test]
    fn the_least_recently_used_is_forgotten() {
        let mut sessions = Sessions::default();
        for index in 1..=MAX_SESSIONS as u64 {
            sessions.open(index);
        }
        assert_eq!(sessions.recall(20_000, SessionSeq { session: 1, seq: 1 }), None);
        sessions.open(20_001);
        assert_eq!(sessions.recall(20_002, SessionSeq { session: 1, seq: 1 }), None);
        let forgotten = sessions.recall(20_003, SessionSeq { session: 2, seq: 1 });
        assert_eq!(forgotten, Some(Answer::Refused(Refused::NoSession)));
    }
}
