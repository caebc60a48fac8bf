//! A history and its verdicts, folded into the documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;
use squall_checkers::run::{Counts, seconds, windows};
use squall_checkers::{Valid, Verdict};
use squall_history::{History, SCHEMA_VERSION, Skipped};

use crate::text::{count, cut};
use crate::{
    CheckResult, Document, Expected, FaultResult, Figures, Liveness, LogLine, Message, Operations, Results,
    RunOutcome, RunResult,
};

/// What a log does not know about its run.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// What the campaign expected.
    pub expected: Expected,
    /// Whether a cluster that does not recover only gives a warning.
    pub liveness_is_warning: bool,
    /// What broke in the harness, the provisioning or a check.
    pub error: Option<String>,
    /// What the reader of the log had to leave out.
    pub skipped: Skipped,
    /// Where the report will be.
    pub report: Option<String>,
    /// The command that does the same again; made from the log's header if absent.
    pub reproduce: Option<String>,
    /// Messages between nodes that were seen, for space-time diagrams; in any order.
    pub messages: Vec<Message>,
    /// Lines of the nodes' logs; in any order.
    pub logs: Vec<LogLine>,
}

/// Characters of an explanation that a reason repeats.
const SENTENCE: usize = 600;
/// The name of the check that is about liveness.
const RECOVERY: &str = "recovery";

/// Folds one run. `invalid` outranks `unknown` outranks `valid`; a failed recovery fails the run but leaves
/// `valid` to the other checks.
pub fn run_result(history: &History, verdicts: &[Verdict], facts: &Facts) -> RunResult {
    let header = history.run.as_deref().cloned().unwrap_or_default();
    let recovery_failed = verdicts.iter().any(|v| v.check == RECOVERY && v.valid == Valid::No);
    let safety: Vec<&Verdict> =
        verdicts.iter().filter(|v| v.check != RECOVERY || v.valid != Valid::No).collect();
    let mut valid = safety.iter().map(|v| v.valid).max().unwrap_or(Valid::Unknown);
    if facts.error.is_some() {
        valid = valid.max(Valid::Unknown);
    }
    let kinds: BTreeSet<&str> = safety.iter().flat_map(|v| &v.anomalies).map(|a| &*a.kind).collect();
    let fails = recovery_failed && !facts.liveness_is_warning;
    let outcome = RunOutcome::of(&facts.expected, valid, &kinds, fails, facts.error.is_some());
    let counts = Counts::of(history);
    let (offered, started) = offered(history);
    RunResult {
        reason: reason(history, &safety, valid, facts, fails, outcome),
        name: header.name,
        target: header.target,
        target_version: header.target_version,
        workload: header.workload,
        seed: header.seed,
        outcome,
        valid,
        expected: facts.expected.clone(),
        operations: Operations { offered, started, ok: counts.ok, fail: counts.fail, info: counts.info },
        checks: checks(verdicts),
        liveness: liveness(verdicts),
        faults: faults(history),
        warnings: warnings(history, verdicts, facts, recovery_failed),
        report: facts.report.clone(),
    }
}

/// Folds a run's `results.json`.
pub fn results(history: &History, verdicts: &[Verdict], facts: &Facts) -> Results {
    let run = run_result(history, verdicts, facts);
    Results {
        schema_version: SCHEMA_VERSION,
        run,
        figures: Some(Figures::of(history)),
        verdicts: verdicts.to_vec(),
    }
}

/// Folds runs into what `squall run --format json` prints.
pub fn document(store: Option<String>, runs: Vec<RunResult>) -> Document {
    let of = |r: &RunResult| match r.outcome {
        RunOutcome::Error => r.valid.max(Valid::Unknown),
        RunOutcome::Pass | RunOutcome::Fail | RunOutcome::Unknown => r.valid,
    };
    let valid = runs.iter().map(of).max().unwrap_or(Valid::Unknown);
    let reason = match &*runs {
        [] => "nothing was run".to_owned(),
        [only] => only.reason.clone(),
        many => {
            let worst = many.iter().rev().max_by_key(|r| (rank(r.outcome), of(r)));
            let tally = tally(many);
            match worst.filter(|r| r.outcome != RunOutcome::Pass) {
                Some(r) => format!("{tally}; {}: {}", r.name, r.reason),
                None => tally,
            }
        }
    };
    Document { schema_version: SCHEMA_VERSION, valid, reason, store, runs }
}

fn rank(outcome: RunOutcome) -> u8 {
    match outcome {
        RunOutcome::Pass => 0,
        RunOutcome::Unknown => 1,
        RunOutcome::Error => 2,
        RunOutcome::Fail => 3,
    }
}

fn tally(runs: &[RunResult]) -> String {
    let words = [
        (RunOutcome::Pass, "passed"),
        (RunOutcome::Fail, "failed"),
        (RunOutcome::Unknown, "unknown"),
        (RunOutcome::Error, "broke"),
    ];
    let count = |o| runs.iter().filter(|r| r.outcome == o).count();
    let parts = words.into_iter().map(|(o, word)| (count(o), word)).filter(|(n, _)| *n > 0);
    let parts: Vec<String> = parts.map(|(n, word)| format!("{n} {word}")).collect();
    format!("{} runs: {}", runs.len(), parts.join(", "))
}

/// Every check in short. Where two have one name the worse answer stands, with the anomalies of both.
fn checks(verdicts: &[Verdict]) -> BTreeMap<String, CheckResult> {
    let mut checks: BTreeMap<String, CheckResult> = BTreeMap::new();
    for v in verdicts {
        let nothing = CheckResult { valid: Valid::Yes, anomalies: Vec::new() };
        let check = checks.entry(v.check.clone()).or_insert(nothing);
        check.valid = check.valid.max(v.valid);
        check.anomalies.extend(v.anomalies.iter().cloned());
    }
    checks
}

/// Operations that were due and that were started: as the engine noted, else what the history has.
fn offered(history: &History) -> (u64, u64) {
    let note = history.notes.iter().rev().find(|n| n.kind == "offered");
    let number = |key: &str| note.and_then(|n| n.data.get(key)).and_then(Json::as_u64);
    let started = number("started").unwrap_or(history.len() as u64);
    (number("offered").unwrap_or(started), started)
}

fn liveness(verdicts: &[Verdict]) -> Liveness {
    let figures = verdicts.iter().find(|v| v.check == RECOVERY).map(|v| &v.details);
    let figure = |key: &str| figures.and_then(|d| d.get(key));
    Liveness {
        recovered: figure("recovered").and_then(Json::as_bool),
        recovery_seconds: figure("recovery_seconds").and_then(Json::as_f64),
    }
}

fn faults(history: &History) -> Vec<FaultResult> {
    let fault = |w: squall_checkers::run::Window<'_>| FaultResult {
        kind: w.begin.kind.clone(),
        nodes: w.begin.nodes.clone(),
        start_seconds: seconds(w.from()),
        end_seconds: w.end.map(|f| seconds(f.time)),
        effective: w.effective(),
        evidence: w.end.map_or_else(Default::default, |f| f.evidence.clone()),
    };
    windows(history).into_iter().map(fault).collect()
}

fn warnings(history: &History, verdicts: &[Verdict], facts: &Facts, recovery_failed: bool) -> Vec<String> {
    let of_checks = verdicts.iter().flat_map(|v| v.warnings.iter().map(move |w| format!("{}: {w}", v.check)));
    let notes = history.notes.iter().filter(|n| n.kind == "warning").map(|n| n.text.clone());
    let cut = (!facts.skipped.reason.is_empty()).then(|| {
        let Skipped { bytes, events, reason } = &facts.skipped;
        format!("the log was cut: {reason} ({events} events and {bytes} bytes left out)")
    });
    let recovery = (recovery_failed && facts.liveness_is_warning)
        .then(|| "the cluster did not recover after healing".to_owned());
    notes.chain(of_checks).chain(cut).chain(recovery).collect()
}

fn reason(
    history: &History,
    safety: &[&Verdict],
    valid: Valid,
    facts: &Facts,
    recovery_failed: bool,
    outcome: RunOutcome,
) -> String {
    let mut parts = Vec::new();
    for v in safety.iter().filter(|v| v.valid == Valid::No) {
        let first = v.anomalies.first().and_then(|a| a.explanation.lines().next()).unwrap_or_default();
        let more = v.anomalies.len().saturating_sub(1);
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        parts.push(format!("{}: {}{more}", v.check, cut(first, SENTENCE)));
    }
    parts.extend(facts.error.iter().map(|e| format!("the run broke: {e}")));
    if recovery_failed {
        parts.push("the cluster did not recover after healing".into());
    }
    // What broke explains by itself why little could be judged.
    if valid == Valid::Unknown && facts.error.is_none() {
        let unknown = safety.iter().filter(|v| v.valid == Valid::Unknown);
        parts.extend(unknown.map(|v| format!("{}: {}", v.check, v.reason.as_deref().unwrap_or("undecided"))));
        if safety.is_empty() {
            parts.push("nothing was judged".into());
        }
    }
    if valid == Valid::Yes {
        // Who asked for the map is told what it shows.
        let mapped = safety.iter().filter(|v| v.details.contains_key("weakest_violated"));
        let told: Vec<&str> = mapped.filter_map(|v| v.reason.as_deref()).collect();
        let n = count(history.len() as u64);
        parts.push(match told.is_empty() {
            true => format!("not violated in {n} operations"),
            false => format!("in {n} operations {}", told.join("; ")),
        });
        if outcome == RunOutcome::Fail && facts.expected != Expected::Valid {
            parts.push("an anomaly was expected, and none was found".into());
        }
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use squall_checkers::Anomaly;

    use super::*;
    use crate::exit_code;

    fn anomaly(kind: &str) -> Anomaly {
        Anomaly {
            kind: kind.into(),
            signature: format!("c:{kind}"),
            explanation: format!("#3 shows {kind}."),
            operations: vec![3],
            details: Default::default(),
        }
    }

    fn fold(verdicts: &[Verdict], facts: &Facts) -> RunResult {
        run_result(&History::default(), verdicts, facts)
    }

    #[test]
    fn invalid_outranks_unknown_outranks_valid() {
        let bad = Verdict::from_anomalies("linearizable", vec![anomaly("nonlinearizable")]);
        let unsure = Verdict::unknown("vacuity", "`partition` was never injected");
        let good = Verdict::valid("stats");
        let r = fold(&[good.clone(), unsure.clone(), bad], &Facts::default());
        assert_eq!((r.valid, r.outcome), (Valid::No, RunOutcome::Fail));
        assert_eq!(r.reason, "linearizable: #3 shows nonlinearizable.");
        let r = fold(&[good.clone(), unsure], &Facts::default());
        assert_eq!((r.valid, r.outcome), (Valid::Unknown, RunOutcome::Unknown));
        assert_eq!(r.reason, "vacuity: `partition` was never injected");
        let r = fold(&[good], &Facts::default());
        assert_eq!(
            (r.valid, r.outcome, &*r.reason),
            (Valid::Yes, RunOutcome::Pass, "not violated in 0 operations")
        );
        assert_eq!(fold(&[], &Facts::default()).valid, Valid::Unknown, "nothing judged is not valid");
    }

    #[test]
    fn liveness_fails_the_run_without_touching_safety_or_only_warns() {
        let stuck = Verdict::from_anomalies("recovery", vec![anomaly("not-recovered")])
            .with("recovered", false)
            .with("recovery_seconds", Json::Null);
        let verdicts = [Verdict::valid("linearizable"), stuck];
        let r = fold(&verdicts, &Facts::default());
        assert_eq!((r.valid, r.outcome), (Valid::Yes, RunOutcome::Fail));
        assert_eq!(r.liveness, Liveness { recovered: Some(false), recovery_seconds: None });
        assert_eq!(exit_code([r.outcome], false), 1);
        let r = fold(&verdicts, &Facts { liveness_is_warning: true, ..Facts::default() });
        assert_eq!((r.outcome, r.warnings.len()), (RunOutcome::Pass, 1));
    }

    #[test]
    fn a_broken_harness_is_an_error_and_never_valid() {
        let facts = Facts { error: Some("node n3 never became ready".into()), ..Facts::default() };
        let r = fold(&[Verdict::valid("stats")], &facts);
        assert_eq!((r.valid, r.outcome), (Valid::Unknown, RunOutcome::Error));
        assert_eq!(r.reason, "the run broke: node n3 never became ready");
        assert_eq!(document(None, vec![r]).valid, Valid::Unknown);
    }

    #[test]
    fn the_document_has_exactly_the_keys_that_are_api() {
        let r = fold(&[Verdict::valid("stats")], &Facts::default());
        let doc = serde_json::to_value(document(Some("store/a/b".into()), vec![r])).unwrap();
        let keys = |v: &Json| v.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&doc), ["reason", "runs", "schema_version", "store", "valid"]);
        let run = &doc["runs"][0];
        let mut expected: Vec<_> = "name target target_version workload seed outcome valid expected reason \
            operations checks liveness faults warnings report"
            .split_whitespace()
            .collect();
        expected.sort_unstable();
        assert_eq!(keys(run), expected);
        assert_eq!(run["checks"], json!({"stats": {"valid": true, "anomalies": []}}));
        assert_eq!(run["liveness"], json!({"recovered": null, "recovery_seconds": null}));
        assert_eq!(keys(&run["operations"]), ["fail", "info", "offered", "ok", "started"]);
        assert_eq!(run["outcome"], "pass");
    }

    #[test]
    fn results_are_read_back_as_they_were_written() {
        let verdicts =
            [Verdict::from_anomalies("set", vec![anomaly("lost")]), Verdict::valid("stats").with("count", 3)];
        let written = results(&History::default(), &verdicts, &Facts::default());
        let text = serde_json::to_string_pretty(&written).unwrap();
        assert_eq!(serde_json::from_str::<Results>(&text).unwrap(), written);
    }

    #[test]
    fn two_checks_of_one_name_do_not_hide_each_other() {
        let bad = Verdict::from_anomalies("set", vec![anomaly("lost")]);
        let r = fold(&[bad.clone(), Verdict::valid("set"), bad], &Facts::default());
        assert_eq!((r.checks["set"].valid, r.checks["set"].anomalies.len()), (Valid::No, 2));
    }

    #[test]
    fn several_runs_are_tallied_and_the_worst_is_named() {
        let named = |name: &str, verdict: Verdict| RunResult {
            name: name.into(),
            ..fold(&[verdict], &Facts::default())
        };
        let bad = Verdict::from_anomalies("set", vec![anomaly("lost")]);
        let doc = document(None, vec![named("a", Verdict::valid("set")), named("b", bad)]);
        assert_eq!(
            (doc.valid, &*doc.reason),
            (Valid::No, "2 runs: 1 passed, 1 failed; b: set: #3 shows lost.")
        );
    }
}
