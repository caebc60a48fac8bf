//! What nodes say of their terms, where the target promises something of them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use squall_history::{Fault, FaultPhase, History, Note};

use super::cluster::anomaly;
use crate::{Anomaly, Budget, Check, Verdict};

/// The check `terms`: at most one node leads in a term, and a node's term never goes back, not even by a crash.
///
/// Notes of kind `term` carry both: `term` is one that its node has made durable, `leads` whether it leads in it. Only
/// targets that promise this have such notes. A node whose disk was made to lie or to lose what was durable, or that
/// came back as another without its data, may know less than before.
///
/// Figures: `terms`, the highest seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms;

/// Faults after which a node owes nobody what it once knew.
const FORGIVEN: [&str; 5] = ["lost-fsync", "disk-error", "stale-read", "bit-flip", "truncate"];

/// Whether it may have taken from its nodes what was durable: of changes of members, only where the data are wiped.
fn takes_data(fault: &Fault) -> bool {
    let wiped = fault.kind == "membership" && fault.detail["plan"]["kind"] == "replace";
    wiped || FORGIVEN.contains(&fault.kind.as_str())
}

impl Check for Terms {
    fn name(&self) -> &str {
        "terms"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut seen = Seen::default();
        let taking: BTreeSet<u32> = history.faults.iter().filter(|f| takes_data(f)).map(|f| f.id).collect();
        let mut faults = history.faults.iter().filter(|f| taking.contains(&f.id)).peekable();
        let mut anomalies = Vec::new();
        for note in history.notes.iter().filter(|n| n.kind == "term") {
            while let Some(fault) = faults.next_if(|f| f.time <= note.time) {
                seen.forgive(&fault.nodes, fault.phase == FaultPhase::Begin);
            }
            anomalies.extend(seen.take(history, note));
        }
        Verdict::from_anomalies("terms", anomalies).with("terms", seen.highest)
    }
}

#[derive(Debug, Default)]
struct Seen<'a> {
    highest: u64,
    terms: BTreeMap<&'a str, u64>,
    leaders: BTreeMap<u64, &'a str>,
    // Faults of this kind that are on, for each node.
    harmed: BTreeMap<&'a str, u32>,
    // Some node has forgotten: it may have voted twice.
    amnesia: bool,
}

impl<'a> Seen<'a> {
    fn forgive(&mut self, nodes: &'a [String], begins: bool) {
        for node in nodes {
            self.terms.remove(node.as_str());
            let on = self.harmed.entry(node).or_default();
            *on = if begins { *on + 1 } else { on.saturating_sub(1) };
            self.amnesia = true;
        }
    }

    fn take(&mut self, history: &History, note: &'a Note) -> Option<Anomaly> {
        let node = note.node.as_deref()?;
        let term = note.data.get("term")?.as_u64()?;
        let leads = note.data.get("leads").and_then(Json::as_bool).unwrap_or(false);
        self.highest = self.highest.max(term);
        let before = match self.harmed.get(node) {
            Some(1..) => None,
            _ => self.terms.insert(node, term),
        };
        if let Some(before) = before.filter(|before| *before > term) {
            let text =
                format!("{node} was in term {before}, and later, after a crash or not, in term {term}.");
            return Some(anomaly(history, "terms", "term-went-back", "", text, note));
        }
        if !leads || self.amnesia {
            return None;
        }
        let other = *self.leaders.entry(term).or_insert(node);
        (other != node).then(|| {
            let text =
                format!("{other} and {node} both led in term {term}: somebody voted twice, or had no vote.");
            anomaly(history, "terms", "two-leaders", "", text, note)
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::run::testing::Script;

    fn kinds(script: Script) -> Vec<String> {
        let verdict = Terms.check(&script.history(), &Budget::default());
        verdict.anomalies.into_iter().map(|a| a.kind).collect()
    }

    fn says(script: Script, time: u64, node: &str, term: u64, leads: bool) -> Script {
        script.note(time, "term", Some(node), &[("term", json!(term)), ("leads", json!(leads))])
    }

    #[test]
    fn two_leaders_of_a_term_convict_and_of_two_terms_do_not() {
        let fine = || says(says(Script::new(), 1, "n1", 3, true), 2, "n2", 4, true);
        assert_eq!(kinds(fine()), [""; 0]);
        assert_eq!(kinds(says(fine(), 3, "n1", 4, false)), [""; 0]);
        assert_eq!(kinds(says(fine(), 3, "n1", 4, true)), ["two-leaders"]);
    }

    #[test]
    fn a_term_that_goes_back_convicts_unless_the_disk_was_made_to_lie() {
        let back = |script| says(says(script, 1, "n1", 5, false), 9, "n1", 4, false);
        assert_eq!(kinds(back(Script::new())), ["term-went-back"]);
        assert_eq!(kinds(back(Script::new().fault(3, 1, "kill", &["n1"]))), ["term-went-back"]);
        assert_eq!(kinds(back(Script::new().fault(3, 1, "truncate", &["n2"]))), ["term-went-back"]);
        assert_eq!(kinds(back(Script::new().fault(3, 1, "truncate", &["n1"]).heal(4, 1, None))), [""; 0]);
    }
}
