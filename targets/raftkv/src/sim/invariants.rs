//! The properties of Figure 3, and that what Figure 2 calls persistent is (terms and votes), checked as they could
//! first break. Breaches are collected, not panicked on, so that a known bug can be observed too.

use std::collections::BTreeMap;

use crate::raft::{Core, Entry, Index, Message, NodeId, Payload, Role, Term};

/// What was seen so far across all nodes and all their lives.
#[derive(Debug, Default)]
pub struct Invariants {
    leaders: BTreeMap<Term, NodeId>,
    /// Each entry that ever stood in a log, with the term of the entry before it.
    entries: BTreeMap<(Index, Term), (Payload, Term)>,
    /// Each entry that some node applied, in order.
    committed: Vec<Entry>,
    /// The greatest term in which each node promised something.
    promised: BTreeMap<NodeId, Term>,
    /// Whom each node voted for, by term, itself included.
    voted: BTreeMap<(NodeId, Term), NodeId>,
    breaches: Vec<String>,
}

impl Invariants {
    /// Every breach, in the order of discovery.
    pub fn breaches(&self) -> &[String] {
        &self.breaches
    }

    /// Something else is wrong.
    pub fn breach(&mut self, what: String) {
        self.breaches.push(what);
    }

    /// How many entries were committed.
    pub fn committed(&self) -> usize {
        self.committed.len()
    }

    /// Election Safety: at most one leader a term. Leader Completeness: it holds every committed entry.
    pub fn check_leader(&mut self, core: &Core) {
        if core.role() != Role::Leader || self.leaders.get(&core.term()) == Some(&core.id()) {
            return;
        }
        if let Some(other) = self.leaders.insert(core.term(), core.id()) {
            self.breach(format!("election safety: {other} and {} lead term {}", core.id(), core.term()));
        }
        // By Log Matching the last committed entry stands for all of them.
        if let Some(last) = self.committed.last()
            && last.term < core.term()
            && core.log().term_at(last.index) != Some(last.term)
        {
            let (id, term) = (core.id(), core.term());
            self.breach(format!(
                "leader completeness: {id} leads term {term} without entry {}.{}",
                last.index, last.term
            ));
        }
    }

    /// A message leaves: what it promises is kept in mind.
    pub fn check_sent(&mut self, from: NodeId, to: NodeId, message: &Message) {
        let term = message.term();
        let vote = match message {
            Message::Vote { .. } => Some(from),
            Message::VoteReply { granted: true, .. } => Some(to),
            Message::AppendAccepted { .. } => None,
            _ => return,
        };
        let promised = self.promised.entry(from).or_default();
        *promised = term.max(*promised);
        if let Some(vote) = vote {
            let first = *self.voted.entry((from, term)).or_insert(vote);
            if first != vote {
                self.breach(format!("one vote a term: {from} voted for {first} and {vote} in term {term}"));
            }
        }
    }

    /// A node starts: it remembers every term in which it promised something.
    pub fn check_started(&mut self, core: &Core) {
        let promised = self.promised.get(&core.id()).copied().unwrap_or(0);
        if core.term() < promised {
            self.breach(format!(
                "terms only grow: {} starts in term {} after it promised something in {promised}",
                core.id(),
                core.term()
            ));
        }
    }

    /// Log Matching: an index and a term determine the entry and, by induction, everything before it.
    pub fn check_appended(&mut self, core: &Core, entries: &[Entry]) {
        for entry in entries {
            // A later entry of the same batch may have replaced it.
            if core.log().term_at(entry.index) != Some(entry.term) {
                continue;
            }
            let Some(before) = core.log().term_at(entry.index - 1) else { continue };
            let seen = (entry.payload.clone(), before);
            let first = self.entries.entry((entry.index, entry.term)).or_insert_with(|| seen.clone());
            if *first != seen {
                let what =
                    format!("log matching: {} holds another entry {}.{}", core.id(), entry.index, entry.term);
                self.breach(what);
            }
        }
    }

    /// State Machine Safety: no two nodes apply different entries at one index, and none skips any.
    pub fn check_applied(&mut self, node: NodeId, applied_before: Index, entries: &[Entry]) {
        for (i, entry) in entries.iter().enumerate() {
            if entry.index != applied_before + 1 + i as Index {
                self.breach(format!("state machine safety: {node} applied {} out of order", entry.index));
            }
            match self.committed.get(entry.index as usize - 1) {
                Some(known) if known == entry => {}
                Some(known) => {
                    let (i, t, k) = (entry.index, entry.term, known.term);
                    self.breach(format!(
                        "state machine safety: {node} applied {i}.{t} where {i}.{k} was applied"
                    ));
                }
                None if self.committed.len() as Index + 1 == entry.index => {
                    self.committed.push(entry.clone())
                }
                None => {
                    self.breach(format!("state machine safety: {node} applied {} too early", entry.index))
                }
            }
        }
    }
}
