//! The five properties of Figure 3, checked as they could first break. Breaches are collected, not panicked
//! on, so that a known bug can be observed too.

use std::collections::BTreeMap;

use crate::raft::{Core, Entry, Index, NodeId, Payload, Role, Term};

/// What was seen so far across all nodes and all their lives.
#[derive(Debug, Default)]
pub struct Invariants {
    leaders: BTreeMap<Term, NodeId>,
    /// Each entry that ever stood in a log, with the term of the entry before it.
    entries: BTreeMap<(Index, Term), (Payload, Term)>,
    /// Each entry that some node applied, in order.
    committed: Vec<Entry>,
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
