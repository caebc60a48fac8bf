//! Cycles as sentences, as data for a picture, and as a certificate.

use serde_json::{Map, Value as Json, json};

use super::cycles::cycle::Cycle;
use super::graph::Kind;
use super::order::Txn;
use crate::Anomaly;

/// Why one transaction comes before the next.
#[derive(Clone, Debug)]
pub struct Step {
    /// A clause without full stop.
    pub text: String,
    /// Key and values, for pictures.
    pub details: Map<String, Json>,
}

impl Step {
    /// A step with its details.
    pub fn new(text: String, details: Map<String, Json>) -> Self {
        Step { text, details }
    }

    /// A step of process order or real time.
    pub fn order(from: &Txn, to: &Txn, kind: Kind) -> Self {
        let text = match kind {
            Kind::Process => format!("process {} ran #{} before #{}", from.process, from.index, to.index),
            Kind::Realtime => format!("#{} was completed before #{} was invoked", from.index, to.index),
            Kind::Ww | Kind::Wr | Kind::Rw | Kind::Pass => {
                format!("#{} comes before #{} ({})", from.index, to.index, kind.name())
            }
        };
        Step { text, details: Map::new() }
    }
}

/// Makes an anomaly of a cycle; `step` explains an edge between positions of `txns`.
pub fn cycle_anomaly(
    check: &str,
    name: &str,
    cycle: &Cycle,
    txns: &[Txn],
    step: impl Fn(u32, u32, Kind) -> Step,
) -> Anomaly {
    let n = cycle.nodes.len();
    let index = |i: usize| txns[cycle.nodes[i % n] as usize].index;
    let mut text = String::new();
    let mut edges = Vec::with_capacity(n);
    for i in 0..n {
        let (from, to, kind) = (cycle.nodes[i], cycle.nodes[(i + 1) % n], cycle.kinds[i]);
        let step = step(from, to, kind);
        let lead = if i + 1 == n && n > 1 { "Yet " } else { "" };
        text.push_str(&format!("{lead}#{} comes before #{} because {}. ", index(i), index(i + 1), step.text));
        let mut edge = step.details;
        edge.insert("from".to_owned(), json!(index(i)));
        edge.insert("to".to_owned(), json!(index(i + 1)));
        edge.insert("kind".to_owned(), json!(kind.name()));
        edge.insert("text".to_owned(), json!(step.text));
        edges.push(Json::Object(edge));
    }
    text.push_str("So each comes before itself: a cycle.");
    let shape: Vec<&str> = cycle.kinds.iter().map(|k| k.name()).collect();
    let mut operations: Vec<u32> = (0..n).map(index).collect();
    let transactions: Vec<u32> = operations.clone();
    operations.sort_unstable();
    operations.dedup();
    let mut details = Map::new();
    details.insert("transactions".to_owned(), json!(transactions));
    details.insert("edges".to_owned(), Json::Array(edges));
    Anomaly {
        kind: name.to_owned(),
        signature: format!("{check}/{name}/{}", canonical_shape(&shape).join(",")),
        explanation: text,
        operations,
        details,
    }
}

/// The rotation of a cycle's kinds that sorts first, so that equal shapes have equal signatures.
fn canonical_shape<'a>(kinds: &[&'a str]) -> Vec<&'a str> {
    (0..kinds.len())
        .map(|i| kinds[i..].iter().chain(&kinds[..i]).copied().collect::<Vec<_>>())
        .min()
        .unwrap_or_default()
}
