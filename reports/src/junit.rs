//! JUnit XML for CI systems: a suite a run, a case a check.
//!
//! `invalid` is a failure, `unknown` an error (most systems have no third word), and so is a run that broke.
//! A failure that the campaign expected passes, and its anomaly stands in the case's output. Properties name
//! target, versions, seed and report.

use std::fmt::Write;

use squall_checkers::Valid;

use crate::text::{inert, inert_lines};
use crate::{CheckResult, Document, RunOutcome, RunResult};

/// Writes the document of a campaign.
pub fn junit(document: &Document) -> String {
    let suites: Vec<Suite> = document.runs.iter().map(suite).collect();
    let sum = |part: fn(&Suite) -> usize| suites.iter().map(part).sum::<usize>();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"squall\" tests=\"{}\" failures=\"{}\" errors=\"{}\">",
        sum(|s| s.cases),
        sum(|s| s.failures),
        sum(|s| s.errors)
    );
    suites.iter().for_each(|s| out.push_str(&s.xml));
    out.push_str("</testsuites>\n");
    out
}

#[derive(Default)]
struct Suite {
    xml: String,
    cases: usize,
    failures: usize,
    errors: usize,
}

fn suite(run: &RunResult) -> Suite {
    let mut body = Suite::default();
    properties(&mut body.xml, run);
    for (name, check) in &run.checks {
        let expected = run.outcome == RunOutcome::Pass;
        case(&mut body, run, name, |body| judged(body, check, expected));
    }
    // What fails a run without failing any check, and what broke, need a case of their own.
    case(&mut body, run, "run", |body| whole(body, run));
    let name = escape(&run.name);
    let head = format!(
        "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{}\">\n",
        body.cases, body.failures, body.errors
    );
    Suite { xml: format!("{head}{}  </testsuite>\n", body.xml), ..body }
}

fn properties(out: &mut String, run: &RunResult) {
    let seed = run.seed.to_string();
    let pairs = [
        ("target", run.target.as_str()),
        ("target_version", &run.target_version),
        ("workload", &run.workload),
        ("seed", &seed),
        ("squall_version", env!("CARGO_PKG_VERSION")),
        ("report", run.report.as_deref().unwrap_or_default()),
    ];
    out.push_str("    <properties>\n");
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = writeln!(out, "      <property name=\"{name}\" value=\"{}\"/>", escape(value));
    }
    out.push_str("    </properties>\n");
}

fn case(body: &mut Suite, run: &RunResult, name: &str, content: impl FnOnce(&mut Suite)) {
    body.cases += 1;
    let _ = write!(body.xml, "    <testcase classname=\"{}\" name=\"{}\">", escape(&run.name), escape(name));
    content(body);
    body.xml.push_str("</testcase>\n");
}

fn judged(body: &mut Suite, check: &CheckResult, expected: bool) {
    let first = check.anomalies.first();
    let kind = first.map_or("invalid", |a| a.kind.as_str());
    let all: Vec<String> = check.anomalies.iter().map(|a| format!("{}: {}", a.kind, a.explanation)).collect();
    match check.valid {
        Valid::Yes => {}
        Valid::No if expected => element(body, "system-out", None, &all.join("\n")),
        Valid::No => {
            body.failures += 1;
            element(
                body,
                "failure",
                Some((kind, first.map_or("", |a| a.explanation.as_str()))),
                &all.join("\n"),
            );
        }
        Valid::Unknown if expected => element(body, "system-out", None, "undecided"),
        Valid::Unknown => {
            body.errors += 1;
            element(body, "error", Some(("unknown", "undecided")), "");
        }
    }
}

fn whole(body: &mut Suite, run: &RunResult) {
    let any = |valid| run.checks.values().any(|c| c.valid == valid);
    match run.outcome {
        RunOutcome::Error => {
            body.errors += 1;
            element(body, "error", Some(("broken", &run.reason)), "");
        }
        RunOutcome::Fail if !any(Valid::No) => {
            body.failures += 1;
            element(body, "failure", Some(("failed", &run.reason)), "");
        }
        RunOutcome::Unknown if !any(Valid::Unknown) => {
            body.errors += 1;
            element(body, "error", Some(("unknown", &run.reason)), "");
        }
        RunOutcome::Pass | RunOutcome::Fail | RunOutcome::Unknown => {
            element(body, "system-out", None, &run.reason);
        }
    }
}

fn element(body: &mut Suite, name: &str, labels: Option<(&str, &str)>, text: &str) {
    let labels = labels.map_or(String::new(), |(kind, message)| {
        format!(" type=\"{}\" message=\"{}\"", escape(kind), escape(message))
    });
    let text = xml(&inert_lines(text));
    let _ = write!(body.xml, "<{name}{labels}>{text}</{name}>");
}

/// For attributes: one line, inert.
fn escape(text: &str) -> String {
    xml(&inert(text))
}

fn xml(text: &str) -> String {
    // XML 1.0 has no place at all for these two, escaped or not.
    crate::plot::escape(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use squall_checkers::{Anomaly, Verdict};
    use squall_history::History;

    use super::*;
    use crate::{Expected, Facts, document, run_result};

    fn verdict(explanation: &str) -> Verdict {
        let anomaly = Anomaly {
            kind: "lost".into(),
            signature: String::new(),
            explanation: explanation.into(),
            operations: vec![1],
            details: Default::default(),
        };
        Verdict::from_anomalies("set", vec![anomaly])
    }

    fn of(verdicts: &[Verdict], facts: &Facts) -> String {
        junit(&document(None, vec![run_result(&History::default(), verdicts, facts)]))
    }

    #[test]
    fn invalid_fails_unknown_is_an_error_and_valid_passes() {
        let verdicts = [verdict("5 was acknowledged"), Verdict::unknown("x", "why"), Verdict::valid("y")];
        let text = of(&verdicts, &Facts::default());
        assert!(
            text.contains("<testsuites name=\"squall\" tests=\"4\" failures=\"1\" errors=\"1\">"),
            "{text}"
        );
        assert!(text.contains(
            "name=\"set\"><failure type=\"lost\" message=\"5 was acknowledged\">lost: 5 was acknowledged</failure>"
        ));
        assert!(text.contains("name=\"x\"><error type=\"unknown\" message=\"undecided\"></error>"));
        assert!(text.contains("name=\"y\"></testcase>"));
        assert!(text.contains("<property name=\"seed\" value=\"0\"/>"));
    }

    #[test]
    fn what_was_expected_passes_and_what_broke_does_not() {
        let expected = Facts { expected: Expected::Invalid(vec!["lost".into()]), ..Facts::default() };
        let text = of(&[verdict("5 is gone")], &expected);
        assert!(text.contains("failures=\"0\" errors=\"0\"") && text.contains("5 is gone"), "{text}");
        assert!(of(&[Verdict::valid("set")], &expected).contains("failures=\"1\""), "it was not found");
        let broken = Facts { error: Some("no node came up".into()), ..Facts::default() };
        assert!(
            of(&[], &broken).contains("<error type=\"broken\" message=\"the run broke: no node came up\">")
        );
    }

    #[test]
    fn hostile_text_stays_text() {
        let text = of(&[verdict("]]></failure><x a='\"&\u{1b}[0m\u{ffff}\n<y>")], &Facts::default());
        let markup: usize =
            ["<x", "<y", "]]></", "\u{1b}", "\u{ffff}"].map(|m| text.matches(m).count()).iter().sum();
        assert_eq!(markup, 0, "{text}");
    }
}
