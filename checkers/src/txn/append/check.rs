//! The list-append check: a history in, a verdict out.

use squall_history::History;

use super::columns::{Columns, columns};
use super::depend::dependencies;
use super::explain::Explainer;
use super::versions::{Versions, judge_versions, versions};
use super::visibility::judge_visibility;
use crate::txn::cycles::analyze::{Input, Report, analyze};
use crate::txn::judge::{Evidence, judge};
use crate::txn::models::Model;
use crate::{Budget, Check, Verdict};

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
}

/// Finds all anomalies, whatever model is asked for.
pub fn analysis(history: &History, realtime: bool, budget: &Budget) -> Analysis {
    let mut columns = columns(history);
    let versions = versions(&mut columns);
    judge_versions(&mut columns, &versions);
    let found = dependencies(&columns, &versions);
    let input = Input { txns: &columns.txns, edges: &found.edges, helpers: found.helpers, realtime };
    let report = analyze(input, budget);
    // Where nothing is wrong at all, nothing was missed either.
    if report.components > 0 {
        judge_visibility(&mut columns, &versions, budget);
    }
    Analysis { columns, versions, report }
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
        judge(
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
        )
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
