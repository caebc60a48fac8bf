//! What every section of a page reads: the run, and the few folds of it that several sections need.

use squall_checkers::run::{Reign, Window, leader_at, reigns, span, windows};
use squall_checkers::{Anomaly, Valid, Verdict};
use squall_history::{History, Op};

use crate::plot::{Bands, kind_colour};
use crate::text::inert;
use crate::{Facts, RunOutcome, RunResult};

/// A run, and folds of it.
pub struct Run<'a> {
    pub history: &'a History,
    pub verdicts: &'a [Verdict],
    pub result: &'a RunResult,
    pub facts: &'a Facts,
    pub windows: Vec<Window<'a>>,
    pub reigns: Vec<Reign<'a>>,
    /// First and last nanosecond of the log.
    pub span: (u64, u64),
    /// Kinds of fault, by name; the place gives the colour.
    pub kinds: Vec<&'a str>,
    /// Operations that prove some anomaly, ascending.
    pub proof: Vec<u32>,
}

impl<'a> Run<'a> {
    pub fn new(
        history: &'a History,
        verdicts: &'a [Verdict],
        result: &'a RunResult,
        facts: &'a Facts,
    ) -> Self {
        let windows = windows(history);
        let mut kinds: Vec<&str> = windows.iter().map(|w| w.begin.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let anomalies = verdicts.iter().flat_map(|v| &v.anomalies);
        let mut proof: Vec<u32> = anomalies.flat_map(|a| a.operations.iter().copied()).collect();
        proof.retain(|i| (*i as usize) < history.len());
        proof.sort_unstable();
        proof.dedup();
        let reigns = reigns(history);
        Run { history, verdicts, result, facts, windows, reigns, span: span(history), kinds, proof }
    }

    /// Every anomaly with the name of its check.
    pub fn anomalies(&self) -> impl Iterator<Item = (&'a str, &'a Anomaly)> + use<'a> {
        self.verdicts.iter().flat_map(|v| v.anomalies.iter().map(|a| (v.check.as_str(), a)))
    }

    /// The verdict in a word or two. A run that failed without a violation says so, and one that found what
    /// it had to find, too.
    pub fn word(&self) -> &'static str {
        match (self.result.outcome, self.result.valid) {
            (RunOutcome::Error, _) => "Broke",
            (RunOutcome::Fail, Valid::Yes | Valid::Unknown) => "Failed",
            (RunOutcome::Fail, Valid::No) => "Invalid",
            (RunOutcome::Unknown, _) | (RunOutcome::Pass, Valid::Unknown) => "Unknown",
            (RunOutcome::Pass, Valid::Yes) => "Valid",
            (RunOutcome::Pass, Valid::No) => "Invalid, as expected",
        }
    }

    /// A mark that says the same as the colour.
    pub fn mark(&self) -> &'static str {
        match self.result.outcome {
            RunOutcome::Pass => "✓",
            RunOutcome::Fail => "✗",
            RunOutcome::Unknown => "?",
            RunOutcome::Error => "!",
        }
    }

    /// The class that colours the page.
    pub fn tone(&self) -> &'static str {
        match self.result.outcome {
            RunOutcome::Pass => "valid",
            RunOutcome::Fail => "invalid",
            RunOutcome::Unknown | RunOutcome::Error => "unknown",
        }
    }

    /// The colour of a kind of fault.
    pub fn colour(&self, kind: &str) -> &'static str {
        kind_colour(self.kinds.iter().position(|k| *k == kind).unwrap_or(0))
    }

    /// The faults as bands behind a plot.
    pub fn bands(&self) -> Bands {
        let band =
            |w: &Window<'_>| (w.from(), w.to().min(self.span.1), self.colour(&w.begin.kind), fault_name(w));
        Bands(self.windows.iter().map(band).collect())
    }

    /// Who led at a time, in words.
    pub fn leader_name(&self, time: u64) -> String {
        match leader_at(&self.reigns, time) {
            None => "not known".to_owned(),
            Some(Reign { node: None, .. }) => "none".to_owned(),
            Some(Reign { node: Some(node), term, .. }) => match term {
                Some(term) => format!("{} (term {term})", inert(node)),
                None => inert(node),
            },
        }
    }

    /// When an operation ended, or the log did.
    pub fn end_of(&self, op: &Op<'_>) -> u64 {
        op.end.min(self.span.1)
    }

    /// Faults that were on at some time of an operation.
    pub fn faults_during(&self, op: &Op<'_>) -> Vec<&Window<'a>> {
        let end = self.end_of(op);
        self.windows.iter().filter(|w| w.overlaps(op.start, end)).collect()
    }
}

/// A fault in a few words: `partition of n1, n2`.
pub fn fault_name(w: &Window<'_>) -> String {
    match w.begin.nodes.is_empty() {
        true => inert(&w.begin.kind),
        false => inert(&format!("{} of {}", w.begin.kind, w.begin.nodes.join(", "))),
    }
}
