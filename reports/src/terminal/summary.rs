//! The end of a run in a terminal: the verdict first, then why, how much, which faults, and where the report is.

use std::fmt::Write;

use squall_checkers::Valid;

use crate::text::{count, counted, cut, inert, inert_lines, seconds};
use crate::{FaultResult, RunOutcome, RunResult};

/// Faults that are listed one by one; more are counted by kind.
const LISTED: usize = 12;
/// Anomalies that are explained.
const EXPLAINED: usize = 3;
/// Characters of a fault's evidence: what a command printed may be long.
const EVIDENCE: usize = 400;
/// Characters of an explanation.
const EXPLANATION: usize = 2_000;

/// The end of a run: verdict, why, counts, faults with their evidence, warnings, the report's path.
pub fn summary(run: &RunResult) -> String {
    let mut out = String::new();
    let version =
        if run.target_version.is_empty() { String::new() } else { format!(" {}", run.target_version) };
    let what = inert(&format!("{}: {}{version}, {}, seed {}", run.name, run.target, run.workload, run.seed));
    line(&mut out, &headline(run));
    line(&mut out, &format!("  {what}"));
    anomalies(&mut out, run);
    let o = &run.operations;
    let late = if o.offered > o.started { format!(", {} offered", count(o.offered)) } else { String::new() };
    line(
        &mut out,
        &format!(
            "  {}: {} ok, {} fail, {} info{late}",
            counted(o.started, "operation"),
            count(o.ok),
            count(o.fail),
            count(o.info)
        ),
    );
    faults(&mut out, &run.faults);
    match (run.liveness.recovered, run.liveness.recovery_seconds) {
        (Some(true), Some(s)) => line(&mut out, &format!("  recovered {} after healing", seconds(s))),
        (Some(true), None) => line(&mut out, "  recovered after healing"),
        (Some(false), _) => line(&mut out, "  DID NOT RECOVER after healing"),
        (None, _) => {}
    }
    for warning in &run.warnings {
        line(&mut out, &format!("  warning: {}", inert(warning)));
    }
    if let Some(report) = &run.report {
        line(&mut out, &format!("  report: {}", inert(report)));
    }
    out
}

/// The verdict in a line.
pub fn headline(run: &RunResult) -> String {
    let verdict = match run.valid {
        Valid::Yes => "Valid",
        Valid::No => "INVALID",
        Valid::Unknown => "Unknown",
    };
    let expectation = match (run.outcome, run.valid) {
        (RunOutcome::Pass, Valid::No) => " (as expected)",
        (RunOutcome::Fail, Valid::Yes) => " (but the run failed)",
        (RunOutcome::Error, _) => " (the run broke)",
        _ => "",
    };
    format!("{verdict}{expectation}: {}", inert(&run.reason))
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

fn anomalies(out: &mut String, run: &RunResult) {
    let found: Vec<_> =
        run.checks.iter().flat_map(|(c, r)| r.anomalies.iter().map(move |a| (c, a))).collect();
    for (check, anomaly) in found.iter().take(EXPLAINED) {
        line(out, &format!("  {} ({}):", inert(&anomaly.kind), inert(check)));
        for sentence in inert_lines(&cut(&anomaly.explanation, EXPLANATION)).lines() {
            line(out, &format!("    {sentence}"));
        }
    }
    if found.len() > EXPLAINED {
        line(out, &format!("  … and {} more in the report", found.len() - EXPLAINED));
    }
}

fn faults(out: &mut String, faults: &[FaultResult]) {
    if faults.is_empty() {
        return;
    }
    let proven = faults.iter().filter(|f| f.effective == Some(true)).count();
    line(out, &format!("  {}, {proven} proven to have taken effect", counted(faults.len() as u64, "fault")));
    for fault in faults.iter().take(LISTED) {
        let effect = match fault.effective {
            Some(true) => "took effect",
            Some(false) => "NO EFFECT",
            None => "not measured",
        };
        let end = fault.end_seconds.map_or("end".to_owned(), |s| format!("{s:.1}"));
        let mut text = format!(
            "{:>7.1}–{end} s  {} on {}: {effect}",
            fault.start_seconds,
            fault.kind,
            fault.nodes.join(",")
        );
        let evidence: Vec<String> = fault.evidence.iter().map(|(k, v)| format!("{k}={v}")).collect();
        if !evidence.is_empty() {
            let _ = write!(text, " ({})", cut(&evidence.join(", "), EVIDENCE));
        }
        line(out, &format!("  {}", inert(&text)));
    }
    if faults.len() > LISTED {
        line(out, &format!("  … and {} more in the report", faults.len() - LISTED));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;
    use squall_checkers::{Anomaly, Verdict};
    use squall_history::History;

    use super::*;
    use crate::{Facts, run_result};

    fn invalid(explanation: &str) -> RunResult {
        let anomaly = Anomaly {
            kind: "nonlinearizable".into(),
            signature: String::new(),
            explanation: explanation.into(),
            operations: vec![12, 40],
            details: Default::default(),
        };
        let verdict = Verdict::from_anomalies("linearizable", vec![anomaly]);
        let facts = Facts { report: Some("store/latest/report.html".into()), ..Facts::default() };
        run_result(&History::default(), &[verdict], &facts)
    }

    #[test]
    fn the_summary_names_verdict_reason_faults_and_report() {
        let mut run = invalid("#40 read 3.\nBut #12 had written 4.");
        run.faults.push(FaultResult {
            kind: "partition".into(),
            nodes: vec!["n1".into(), "n2".into()],
            start_seconds: 3.0,
            end_seconds: Some(8.25),
            effective: Some(true),
            evidence: BTreeMap::from([("packets_dropped".into(), json!(120))]),
        });
        let text = summary(&run);
        for part in [
            "INVALID: linearizable: #40 read 3.",
            "    But #12 had written 4.\n",
            "3.0–8.2 s  partition on n1,n2: took effect (packets_dropped=120)",
            "report: store/latest/report.html",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
    }

    #[test]
    fn what_a_target_said_cannot_act_on_the_terminal() {
        let mut run = invalid("read \u{1b}[2Jgone\rover");
        run.target_version = "3.5\u{1b}]0;owned\u{7}".into();
        run.warnings.push("x\u{9b}31m".into());
        let text = summary(&run);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(text.contains("\\u{1b}]0;owned\\u{7}"));
    }
}
