//! Watches each node over the run: who leads, in which term, and what its clock says.
//!
//! Uses the harness's own client slot, which faults leave alone, so that a leader cut off from its followers
//! is still seen to believe that it leads. What it sees goes into the log as notes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use squall_history::{Entry, Note};
use tokio::task::JoinSet;

use crate::deployment::Deployment;

const ASK_EVERY: Duration = Duration::from_millis(100);
const ASK_TIMEOUT: Duration = Duration::from_millis(500);

/// A node's clock is noted when it moved by more than this against the harness's since the last note: what a
/// slow answer can make of an unharmed clock stays below it.
const CLOCK_MOVED_SECONDS: f64 = 0.1;

/// Who leads, as last seen. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct LeaderView(Arc<Mutex<View>>);

#[derive(Debug, Default)]
struct View {
    leads: BTreeMap<usize, u64>,
    noted: Option<(usize, u64)>,
}

impl LeaderView {
    /// The node that leads in the highest term seen, and that term.
    pub fn now(&self) -> Option<(usize, u64)> {
        let view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        view.leads.iter().max_by_key(|(_, term)| **term).map(|(node, term)| (*node, *term))
    }

    /// Takes in what a node said; gives the leader if it is another than last noted.
    fn saw(&self, node: usize, leads: Option<u64>) -> Option<(usize, u64)> {
        let mut view = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match leads {
            Some(term) => view.leads.insert(node, term),
            None => view.leads.remove(&node),
        };
        let best = view.leads.iter().max_by_key(|(_, term)| **term).map(|(n, t)| (*n, *t))?;
        // A deposed leader that is seen last must not take the place of its successor.
        if view.noted.is_some_and(|(_, term)| best.1 < term) || view.noted == Some(best) {
            return None;
        }
        view.noted = Some(best);
        Some(best)
    }
}

/// Asks every node who leads, and writes down what changes, until dropped.
pub fn watch_nodes(deployment: Arc<Deployment>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    if deployment.target.status().is_some() {
        for node in 0..deployment.nodes.len() {
            tasks.spawn(watch_node(deployment.clone(), node));
        }
    }
    tasks
}

async fn watch_node(deployment: Arc<Deployment>, node: usize) {
    let mut clock_noted = 0.0f64;
    let mut term_noted = None;
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let Some(protocol) = deployment.target.status() else {
            return;
        };
        let asked = SystemTime::now();
        let answer = tokio::time::timeout(ASK_TIMEOUT, protocol.status(node, deployment.via())).await;
        let status = answer.ok().and_then(Result::ok);
        let leads = status.as_ref().filter(|s| s.leads).map(|s| s.term);
        if let Some((leader, term)) = deployment.leader.saw(node, leads) {
            note_leader(&deployment, leader, term);
        }
        let says = status.as_ref().and_then(|s| s.durable_term.map(|term| (term, s.leads && s.term == term)));
        if let Some((term, leads)) = says.filter(|says| term_noted != Some(*says)) {
            term_noted = says;
            note_term(&deployment, node, term, leads);
        }
        if let Some(theirs) = status.and_then(|s| s.wall_clock_unix_nanos) {
            let ours = (unix_nanos(asked) + unix_nanos(SystemTime::now())) / 2;
            let offset = (theirs - ours) as f64 / 1e9;
            if (offset - clock_noted).abs() > CLOCK_MOVED_SECONDS {
                clock_noted = offset;
                note_clock(&deployment, node, offset);
            }
        }
    }
}

/// Nanoseconds since 1970; before 1970 is not expected of the harness's own clock.
pub fn unix_nanos(time: SystemTime) -> i128 {
    time.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_nanos() as i128)
}

fn note_leader(deployment: &Deployment, leader: usize, term: u64) {
    let name = deployment.name(leader);
    deployment.recorder.note(|time| {
        Entry::Note(Box::new(Note {
            time,
            kind: "leader".into(),
            text: format!("{name} leads in term {term}"),
            node: Some(name.clone()),
            data: [("term".to_owned(), term.into())].into(),
        }))
    });
}

fn note_term(deployment: &Deployment, node: usize, term: u64, leads: bool) {
    let name = deployment.name(node);
    deployment.recorder.note(|time| {
        Entry::Note(Box::new(Note {
            time,
            kind: "term".into(),
            text: format!("{name} {} term {term}", if leads { "leads in" } else { "is in" }),
            node: Some(name.clone()),
            data: [("term".to_owned(), term.into()), ("leads".to_owned(), leads.into())].into(),
        }))
    });
}

fn note_clock(deployment: &Deployment, node: usize, offset: f64) {
    let name = deployment.name(node);
    deployment.recorder.note(|time| {
        Entry::Note(Box::new(Note {
            time,
            kind: "clock".into(),
            text: format!("{name}'s clock is {offset:+.3} s off, as it says itself"),
            node: Some(name.clone()),
            data: [("offset_seconds".to_owned(), offset.into())].into(),
        }))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deposed_leader_seen_late_does_not_come_back() {
        let view = LeaderView::default();
        assert_eq!(view.saw(0, Some(1)), Some((0, 1)));
        assert_eq!(view.saw(0, Some(1)), None);
        assert_eq!(view.saw(2, Some(3)), Some((2, 3)));
        assert_eq!(view.saw(0, Some(1)), None, "still believes to lead in term 1");
        assert_eq!(view.now(), Some((2, 3)));
        assert_eq!(view.saw(2, None), None, "only the old leader is left, of a lower term");
        assert_eq!(view.saw(1, Some(4)), Some((1, 4)));
    }
}
