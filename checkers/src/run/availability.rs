//! How much of what clients asked was answered: over the main phase, per node, and while each fault was on.

use serde_json::{Map, Value as Json, json};
use squall_history::{History, Outcome};

use super::stats::Counts;
use super::windows::{Window, node_of, seconds, span, windows};
use crate::{Budget, Check, Verdict};

/// The check `availability`: per node and per fault window, the share of operations invoked in it that ended
/// `ok`, and the longest time without any `ok`; per fault also `served_again_seconds`, from its end until every
/// node that it harmed had answered `ok` (null if one never did, or the log ends with the fault on). Only
/// measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Availability;

impl Check for Availability {
    fn name(&self) -> &str {
        "availability"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let seen = Seen::of(history);
        let (_, last) = span(history);
        let (from, to) = history.main_phase();
        let to = to.min(last.max(from));
        let faults: Vec<Json> = windows(history)
            .iter()
            .map(|w| {
                let (from, to) = (w.from(), w.to().min(last.max(w.from())));
                let mut about = seen.between(from, to);
                about.insert("id".into(), w.begin.id.into());
                about.insert("kind".into(), w.begin.kind.clone().into());
                about.insert("start_seconds".into(), seconds(from).into());
                about.insert("end_seconds".into(), seconds(to).into());
                about.insert("served_again_seconds".into(), seen.served_again(w).into());
                about.into()
            })
            .collect();
        let mut verdict = Verdict::valid("availability").with("faults", faults);
        verdict.details.extend(seen.between(from, to));
        verdict
    }
}

/// What a node's clients saw: operations by start, and the times of `ok` completions, sorted.
#[derive(Default)]
struct Node<'a> {
    name: &'a str,
    ops: Vec<(u64, Outcome)>,
    ok: Vec<u64>,
}

impl Node<'_> {
    fn between(&self, from: u64, to: u64) -> Map<String, Json> {
        let at = |t: u64| self.ops.partition_point(|(start, _)| *start < t);
        let mut counts = Counts::default();
        self.ops[at(from)..at(to).max(at(from))].iter().for_each(|(_, outcome)| counts.add(*outcome));
        let gap = longest_gap(&self.ok, from, to);
        let json = json!({
            "operations": counts.total(), "ok": counts.ok, "ok_share": counts.ok_share(),
            "longest_gap_seconds": seconds(gap),
        });
        match json {
            Json::Object(map) => map,
            _ => unreachable!("an object was built"),
        }
    }
}

/// The longest time in `[from, to]` in which none of the sorted times lies.
pub(super) fn longest_gap(times: &[u64], from: u64, to: u64) -> u64 {
    let inside = &times[times.partition_point(|t| *t < from)..times.partition_point(|t| *t <= to)];
    let mut last = from;
    let mut longest = 0;
    for &time in inside.iter().chain([&to.max(from)]) {
        longest = longest.max(time - last);
        last = time;
    }
    longest
}

struct Seen<'a> {
    all: Node<'a>,
    nodes: Vec<Node<'a>>,
}

impl<'a> Seen<'a> {
    fn of(history: &'a History) -> Self {
        let mut all = Node::default();
        let mut nodes: Vec<Node<'a>> = Vec::new();
        for op in history.ops() {
            let name = node_of(history, &op);
            let at = name.map(|name| match nodes.iter().position(|n| n.name == name) {
                Some(at) => at,
                None => {
                    nodes.push(Node { name, ..Node::default() });
                    nodes.len() - 1
                }
            });
            for node in [Some(&mut all), at.map(|at| &mut nodes[at])].into_iter().flatten() {
                node.ops.push((op.start, op.outcome));
                if op.outcome == Outcome::Ok {
                    node.ok.push(op.end);
                }
            }
        }
        nodes.sort_by_key(|n| n.name);
        for node in nodes.iter_mut().chain([&mut all]) {
            // Already sorted unless the history's order is not that of its clock.
            node.ops.sort_by_key(|(start, _)| *start);
            node.ok.sort_unstable();
        }
        Seen { all, nodes }
    }

    /// From the end of a fault to the last of the first answers of the nodes that it harmed. Nodes that no
    /// client asks do not count.
    fn served_again(&self, w: &Window<'_>) -> Option<f64> {
        let end = w.end?.time;
        let harmed = self.nodes.iter().filter(|n| w.begin.nodes.iter().any(|name| name == n.name));
        let first = |n: &Node<'_>| n.ok.get(n.ok.partition_point(|t| *t < end)).map(|t| t - end);
        harmed.map(first).reduce(|a, b| Some(a?.max(b?)))?.map(seconds)
    }

    fn between(&self, from: u64, to: u64) -> Map<String, Json> {
        let nodes = self.nodes.iter().map(|n| (n.name.to_owned(), n.between(from, to).into()));
        let nodes: Map<String, Json> = nodes.collect();
        let mut all = self.all.between(from, to);
        all.insert("nodes".into(), nodes.into());
        all
    }
}

#[cfg(test)]
mod tests {
    use squall_history::EventKind::{Fail, Ok};

    use super::*;
    use crate::run::testing::Script;

    #[test]
    fn a_gap_is_bounded_by_its_span() {
        assert_eq!(longest_gap(&[5, 6, 30], 0, 20), 14);
        assert_eq!(longest_gap(&[5, 6, 30], 4, 40), 24);
        assert_eq!(longest_gap(&[], 4, 40), 36);
        assert_eq!(longest_gap(&[4], 9, 9), 0);
    }

    #[test]
    fn a_node_that_is_cut_off_shows_in_its_window_only() {
        const S: u64 = 1_000_000_000;
        let mut script = Script::new().process(0, "n1").process(1, "n2").phase(0, "main");
        for i in 1..=10 {
            let cut = (4..=6).contains(&i);
            script = script.op(0, "read", if cut { Fail } else { Ok }, i * S, i * S + 1);
            script = script.op(1, "read", Ok, i * S, i * S + 1);
        }
        let h = script.fault(4 * S, 1, "partition", &["n1"]).heal(7 * S, 1, None).history();
        let d = Json::Object(Availability.check(&h, &Budget::default()).details);
        let fault = &d["faults"][0];
        assert_eq!(fault["nodes"]["n1"]["ok_share"], 0.0);
        assert_eq!(fault["nodes"]["n1"]["longest_gap_seconds"], 3.0);
        assert_eq!(fault["nodes"]["n2"]["ok_share"], 1.0);
        assert_eq!(fault["ok_share"], 0.5);
        assert!((fault["served_again_seconds"].as_f64().unwrap() - 1e-9).abs() < 1e-12);
        assert!(d["nodes"]["n1"]["longest_gap_seconds"].as_f64().unwrap() >= 4.0);
        assert!(d["nodes"]["n2"]["longest_gap_seconds"].as_f64().unwrap() < 1.1);
    }
}
