//! The list-append check: a history in, a verdict out.

use serde_json::json;
use squall_history::{Accesses, History};

use super::columns::{Columns, columns};
use super::compact::columns_of_accesses;
use super::depend::{Dependencies, dependencies, happened};
use super::explain::Explainer;
use super::versions::{Versions, judge_versions, versions};
use super::visibility::judge_visibility;
use crate::txn::certify::sorted;
use crate::txn::cycles::analyze::{Input, Report, analyze};
use crate::txn::judge::{Evidence, judge};
use crate::txn::models::Model;
use crate::txn::order::{process_edges, realtime_edges};
use crate::{Budget, Certificate, Check, Valid, Verdict};

/// Judges transactions of appends and reads of lists.
#[derive(Clone, Copy, Debug)]
pub struct ListAppend {
    /// What the history is judged by.
    pub model: &'static Model,
    /// Whether the order of events in the history is real time; false for formats that only know sessions.
    pub realtime: bool,
}

/// Everything found in a history of list-append transactions.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// The transactions.
    pub columns: Columns,
    /// Version orders.
    pub versions: Versions,
    /// Cycles.
    pub report: Report,
    /// A serial order, where nothing is circular and the history is short enough to tell it.
    pub order: Option<Vec<u32>>,
    /// Whether the order of events is real time.
    pub realtime: bool,
}

/// Longer histories get no order as proof: it would cost more than the check.
const TOLD: usize = 50_000;

/// Finds all anomalies, whatever model is asked for.
pub fn analysis(history: &History, realtime: bool, budget: &Budget) -> Analysis {
    analyzed(columns(history), realtime, budget)
}

/// The same, of a history in columns.
pub fn analysis_of_accesses(accesses: &Accesses, realtime: bool, budget: &Budget) -> Analysis {
    match columns_of_accesses(accesses) {
        Some(columns) => analyzed(columns, realtime, budget),
        None => analysis(&accesses.history(), realtime, budget),
    }
}

fn analyzed(mut columns: Columns, realtime: bool, budget: &Budget) -> Analysis {
    let versions = versions(&mut columns);
    judge_versions(&mut columns, &versions);
    let found = dependencies(&columns, &versions);
    let input = Input { txns: &columns.txns, edges: &found.edges, helpers: found.helpers, realtime };
    let report = analyze(input, budget);
    // Where nothing is wrong at all, nothing was missed either.
    if report.components > 0 {
        judge_visibility(&mut columns, &versions, budget);
    }
    let order = (report.components == 0
        && !report.undecided
        && columns.findings.iter().next().is_none()
        && columns.txns.len() <= TOLD)
        .then(|| serial_order(&columns, &versions, &found, realtime))
        .flatten();
    Analysis { columns, versions, report, order, realtime }
}

/// All transactions that happened, in an order that keeps every dependency.
fn serial_order(c: &Columns, v: &Versions, found: &Dependencies, realtime: bool) -> Option<Vec<u32>> {
    let mut edges = found.edges.clone();
    let members: Vec<u32> = (0..c.txns.len() as u32).collect();
    process_edges(&c.txns, &members, &mut edges);
    if realtime {
        realtime_edges(&c.txns, &members, &mut edges);
    }
    let nodes = c.txns.len() + found.helpers as usize;
    let order = sorted(nodes, &edges, |n| c.txns.get(n as usize).map_or(0, |t| t.invoked))?;
    let happened = happened(c, v);
    Some(order.into_iter().filter(|&n| happened.get(n as usize) == Some(&true)).collect())
}

impl Check for ListAppend {
    fn name(&self) -> &str {
        "list-append"
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        let found = analysis(history, self.realtime, budget);
        found.verdict(self.model)
    }
}

impl ListAppend {
    /// Judges a history in columns, as its general form would be.
    pub fn check_accesses(&self, accesses: &Accesses, budget: &Budget) -> Verdict {
        analysis_of_accesses(accesses, self.realtime, budget).verdict(self.model)
    }
}

impl Analysis {
    /// The verdict for a model.
    pub fn verdict(&self, model: &'static Model) -> Verdict {
        let c = &self.columns;
        let explainer = Explainer { columns: c, versions: &self.versions };
        let doubts = self
            .versions
            .ambiguous
            .iter()
            .map(|&(key, value, a, b)| {
                let index = |a: u32| c.txns[c.appends[a as usize].txn as usize].index;
                format!(
                    "#{} and #{} both appended {} to key {}: who is read cannot be told",
                    index(a),
                    index(b),
                    c.codes.value(value),
                    c.keys.name(key)
                )
            })
            .take(8)
            .collect();
        let mut verdict = judge(
            "list-append",
            model,
            Evidence {
                txns: &c.txns,
                findings: &c.findings,
                report: &self.report,
                doubts,
                ignored: c.ignored,
                step: &|a, b, kind| explainer.step(a, b, kind),
            },
        );
        if let (Valid::Yes, Some(order)) = (verdict.valid, &self.order) {
            let steps: Vec<u32> = order.iter().map(|&t| c.txns[t as usize].index).collect();
            let follow = if self.realtime { "realtime" } else { "process" };
            verdict.certificate = Some(Certificate {
                kind: "order".to_owned(),
                body: json!({"shape": "serial", "follow": follow, "initial": null, "steps": steps}),
            });
        }
        verdict
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
