//! Monotonic: values only grow, so whoever reads several keys, or one after another, must see one direction.
//!
//! Operations that read (or increment and return) whole numbers are ordered by the numbers they saw, key by
//! key, and by their process; the orders must not form a circle.

use squall_history::{History, Outcome, Value};

use super::report::anomaly;
use crate::txn::graph::{Edges, Graph, Kind, components};
use crate::txn::intern::Interner;
use crate::txn::micro::{Micro, list, micro};
use crate::{Budget, Check, Verdict};

/// Judges ok operations that return a number (by operation key), a map of numbers, or reads in a transaction.
#[derive(Clone, Copy, Debug, Default)]
pub struct Monotonic;

impl Check for Monotonic {
    fn name(&self) -> &str {
        "monotonic"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut keys = Interner::default();
        // (key, number, operation)
        let mut seen: Vec<(u32, i64, u32)> = Vec::new();
        for op in history.ops().filter(|op| op.outcome == Outcome::Ok) {
            let mut add = |key: &Value, value: &Value| {
                if let Some(n) = value.as_int() {
                    seen.push((keys.id(key), n, op.index));
                }
            };
            if let Some(pairs) = op.output.as_map() {
                pairs.iter().for_each(|(k, v)| add(k, v));
            } else if let Some(items) = list(&op) {
                for item in items {
                    if let Some(Micro::Read(k, v)) = micro(item) {
                        add(k, v);
                    }
                }
            } else {
                add(op.key, op.output);
            }
        }
        if seen.is_empty() {
            return Verdict::unknown("monotonic", "no number was read");
        }
        seen.sort_unstable();
        let reads = seen.len();
        let (graph, nodes) = graph(history, &seen);
        let found: Vec<_> = components(&graph, u8::MAX)
            .cyclic()
            .into_iter()
            .take(8)
            .map(|circle| {
                let ops: Vec<u32> = circle.into_iter().filter(|&n| n < nodes).collect();
                let shown: Vec<String> =
                    ops.iter().take(6).map(|&i| format!("#{i} saw {}", history.op(i as usize).output)).collect();
                let text = format!(
                    "{} operations each come before the next by what they saw, and the last before the first: {}.",
                    ops.len(),
                    shown.join("; ")
                );
                anomaly("monotonic", "non-monotonic", text, ops)
            })
            .collect();
        Verdict::from_anomalies("monotonic", found).with("read_count", reads)
    }
}

/// Operations, and a helper between neighbouring numbers of a key.
fn graph(history: &History, seen: &[(u32, i64, u32)]) -> (Graph, u32) {
    let nodes = history.len() as u32;
    let mut edges = Edges::default();
    let mut helpers = 0;
    for same_key in seen.chunk_by(|a, b| a.0 == b.0) {
        let mut before: Option<u32> = None;
        for same_number in same_key.chunk_by(|a, b| a.1 == b.1) {
            let helper = nodes + helpers;
            helpers += 1;
            for &(_, _, op) in same_number {
                edges.push(op, helper, Kind::Ww);
                if let Some(before) = before {
                    edges.push(before, op, Kind::Ww);
                }
            }
            if let Some(before) = before {
                edges.push(before, helper, Kind::Ww);
            }
            before = Some(helper);
        }
    }
    let mut last = rustc_hash::FxHashMap::default();
    for op in history.ops().filter(|op| op.outcome == Outcome::Ok) {
        if let Some(before) = last.insert(op.process, op.index) {
            edges.push(before, op.index, Kind::Process);
        }
    }
    (Graph::new((nodes + helpers) as usize, &edges), nodes)
}
