//! Spans of time that a log implies: how long each fault was on, and who led when.

use squall_history::{Fault, FaultPhase, History, Op};

/// One injection of a fault, from its beginning to its end.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The entry that began it.
    pub begin: &'a Fault,
    /// The entry that ended it; `None` if the log ended first.
    pub end: Option<&'a Fault>,
}

impl Window<'_> {
    /// Nanoseconds at which it began.
    pub fn from(&self) -> u64 {
        self.begin.time
    }

    /// Nanoseconds at which it ended; [`u64::MAX`] if the log ended first.
    pub fn to(&self) -> u64 {
        self.end.map_or(u64::MAX, |f| f.time)
    }

    /// Whether it was on at any time in `[from, to]`.
    pub fn overlaps(&self, from: u64, to: u64) -> bool {
        self.from() <= to && from < self.to()
    }

    /// Whether it is proven to have taken effect; `None` if the log does not say.
    pub fn effective(&self) -> Option<bool> {
        self.end.and_then(|f| f.effective).or(self.begin.effective)
    }
}

/// Every injection, by its beginning. An end without a beginning is left out.
pub fn windows(history: &History) -> Vec<Window<'_>> {
    let mut all: Vec<Window<'_>> = Vec::new();
    for fault in &history.faults {
        match fault.phase {
            FaultPhase::Begin => all.push(Window { begin: fault, end: None }),
            FaultPhase::End => {
                if let Some(w) = all.iter_mut().rev().find(|w| w.begin.id == fault.id && w.end.is_none()) {
                    w.end = Some(fault);
                }
            }
        }
    }
    all
}

/// One node's time as the leader, or a time without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reign<'a> {
    /// The leader; `None` where the log says that there was none.
    pub node: Option<&'a str>,
    /// Its term, if the log says.
    pub term: Option<i64>,
    /// Nanoseconds at which it was first seen to lead. It ends where the next begins.
    pub from: u64,
}

/// Who led when, from the notes of kind `leader`. Notes that repeat the one before are left out, and so are
/// notes of an older term: a deposed leader that still answers changes nothing.
pub fn reigns(history: &History) -> Vec<Reign<'_>> {
    let mut all: Vec<Reign<'_>> = Vec::new();
    let mut newest = i64::MIN;
    for note in history.notes.iter().filter(|n| n.kind == "leader") {
        let term = note.data.get("term").and_then(serde_json::Value::as_i64);
        if term.is_some_and(|t| t < newest) {
            continue;
        }
        newest = term.unwrap_or(newest).max(newest);
        let reign = Reign { node: note.node.as_deref(), term, from: note.time };
        if all.last().is_none_or(|r| (r.node, r.term) != (reign.node, reign.term)) {
            all.push(reign);
        }
    }
    all
}

/// The leader at a time, as far as the log knew.
pub fn leader_at<'a, 'b>(reigns: &'b [Reign<'a>], time: u64) -> Option<&'b Reign<'a>> {
    reigns[..reigns.partition_point(|r| r.from <= time)].last()
}

/// The node that an operation asked: what its client noted, else the one its process talks to.
pub fn node_of<'a>(history: &'a History, op: &Op<'_>) -> Option<&'a str> {
    history.meta(op.index as usize).and_then(|m| m.node.as_deref()).or_else(|| history.node_of(op.process))
}

/// Nanoseconds as seconds.
pub fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// From the first thing that the log knows to the last, in nanoseconds.
pub fn span(history: &History) -> (u64, u64) {
    let ops = history.ops().map(|op| if op.end == u64::MAX { op.start } else { op.end }).max();
    let rest = history.faults.iter().map(|f| f.time);
    let rest = rest.chain(history.notes.iter().map(|n| n.time)).chain(history.phases.iter().map(|p| p.time));
    let to = rest.chain(ops).max().unwrap_or(0);
    let from = match history.phases.first() {
        Some(p) => p.time,
        None => history.ops().next().map_or(0, |op| op.start),
    };
    (from.min(to), to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::testing::Script;

    #[test]
    fn a_window_runs_from_begin_to_end_and_an_open_one_to_the_end_of_time() {
        let h = Script::new()
            .fault(10, 1, "kill", &["n1"])
            .fault(20, 2, "partition", &["n2"])
            .heal(30, 1, Some(true))
            .history();
        let w = windows(&h);
        assert_eq!((w[0].from(), w[0].to(), w[0].effective()), (10, 30, Some(true)));
        assert_eq!((w[1].from(), w[1].to(), w[1].effective()), (20, u64::MAX, None));
        assert!(w[0].overlaps(29, 90) && !w[0].overlaps(30, 90) && !w[0].overlaps(1, 9));
    }

    #[test]
    fn reigns_skip_repetitions_and_deposed_leaders() {
        let h = Script::new()
            .leader(5, "n1", 1)
            .leader(6, "n1", 1)
            .leader(9, "n2", 2)
            .leader(10, "n1", 1)
            .leader(20, "n2", 3)
            .history();
        let r = reigns(&h);
        let seen: Vec<_> = r.iter().map(|r| (r.node.unwrap(), r.term.unwrap(), r.from)).collect();
        assert_eq!(seen, [("n1", 1, 5), ("n2", 2, 9), ("n2", 3, 20)]);
        assert_eq!(leader_at(&r, 4), None);
        assert_eq!(leader_at(&r, 19).unwrap().term, Some(2));
    }
}
