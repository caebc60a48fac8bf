//! From everything that was found to the verdict for one model, with the result keys that Elle's users know.

use serde_json::{Map, Value as Json, json};

use super::certify::of_reads;
use super::cycles::analyze::Report;
use super::explain::{Step, cycle_anomaly};
use super::findings::Findings;
use super::graph::Kind;
use super::models::{Model, boundary, forbids};
use super::order::Txn;
use crate::{Anomaly, Certificate, Valid, Verdict};

/// What was found in a history.
#[derive(Clone)]
pub struct Evidence<'a> {
    /// The transactions.
    pub txns: &'a [Txn],
    /// Anomalies without cycles.
    pub findings: &'a Findings,
    /// Cycles.
    pub report: &'a Report,
    /// Why the absence of anomalies would prove nothing.
    pub doubts: Vec<String>,
    /// Operations that were left out.
    pub ignored: u64,
    /// Explains an edge.
    pub step: &'a dyn Fn(u32, u32, Kind) -> Step,
}

impl std::fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evidence").field("findings", self.findings).field("report", self.report).finish()
    }
}

/// The verdict for a model.
pub fn judge(check: &str, model: &'static Model, e: Evidence<'_>) -> Verdict {
    let mut types: Vec<&str> = e.findings.iter().map(|(kind, ..)| kind).collect();
    types.extend(e.report.named.keys());
    let (forbidden, allowed): (Vec<&str>, Vec<&str>) = types.iter().partition(|t| forbids(model, t));
    let (not, also_not) = boundary(types.iter().copied());
    let mut anomalies = Vec::new();
    let mut counts = Map::new();
    for (kind, found, count) in e.findings.iter() {
        counts.insert(kind.to_owned(), json!(count));
        if forbidden.contains(&kind) {
            anomalies.extend(found.iter().map(|f| Anomaly {
                kind: kind.to_owned(),
                signature: format!("{check}/{kind}"),
                explanation: f.text.clone(),
                operations: f.operations.clone(),
                details: f.details.clone(),
            }));
        }
    }
    for (&name, named) in &e.report.named {
        counts.insert(name.to_owned(), json!(named.components));
        if forbidden.contains(&name) {
            anomalies.push(cycle_anomaly(check, name, &named.cycle, e.txns, e.step));
        }
    }
    let certificate = anomalies.iter().find(|a| a.details.contains_key("edges")).map(|a| Certificate {
        kind: "cycle".to_owned(),
        body: json!({"anomaly": a.kind, "edges": a.details["edges"]}),
    });
    let certificate = certificate.or_else(|| anomalies.iter().find_map(|a| of_reads(a, &Json::Null)));
    let committed = e.txns.iter().filter(|t| t.committed()).count();
    let mut verdict = Verdict::from_anomalies(check, anomalies)
        .with("anomaly_types", json!(forbidden))
        .with("not", json!(not))
        .with("also_not", json!(also_not))
        .with("consistency", json!(model.name))
        .with("transactions", json!(e.txns.len()));
    verdict.certificate = certificate;
    if !counts.is_empty() {
        verdict = verdict.with("anomaly_counts", json!(counts));
    }
    if !allowed.is_empty() {
        verdict = verdict.with("allowed_anomaly_types", json!(allowed));
    }
    if !e.report.cut_short.is_empty() {
        verdict.warnings.push(format!(
            "the search for a shortest cycle of {} was cut short in a component of up to {} transactions: there \
             may be shorter cycles, and more names",
            e.report.cut_short.join(", "),
            e.report.largest
        ));
    }
    if e.ignored > 0 {
        verdict.warnings.push(format!("{} operations or micro-operations are not of this model", e.ignored));
    }
    if verdict.valid == Valid::Yes {
        let reason = if e.report.undecided {
            Some("the time limit was reached before every component was searched".to_owned())
        } else if committed == 0 {
            Some("no transaction was completed, so nothing can be judged".to_owned())
        } else if e.doubts.is_empty() {
            None
        } else {
            Some(e.doubts.join("; "))
        };
        if reason.is_some() {
            verdict.valid = Valid::Unknown;
            verdict.reason = reason;
        }
    } else if e.report.undecided {
        verdict.warnings.push("the time limit was reached: there may be more anomalies".to_owned());
    }
    verdict
}
