//! What GitHub Actions shows: annotations (commands on standard output) and the job's summary (Markdown).

use std::fmt::Write;

use squall_checkers::Valid;

use crate::text::{count, cut, inert};
use crate::{Document, RunOutcome, RunResult, Signature, State};

/// GitHub shows ten annotations of a step; more would hide which run they are of.
const ANNOTATIONS: usize = 10;
/// Characters of a reason in an annotation or a table.
const REASON: usize = 400;

/// Workflow commands, a line each: an error for a failed or broken run, a warning for an undecided one.
pub fn annotations(document: &Document) -> String {
    let mut out = String::new();
    let told = document.runs.iter().filter(|r| r.outcome != RunOutcome::Pass);
    for run in told.clone().take(ANNOTATIONS) {
        let level = if run.outcome == RunOutcome::Unknown { "warning" } else { "error" };
        let title = format!("{} ({}, {}, seed {})", run.name, run.target, run.workload, run.seed);
        let _ = writeln!(out, "::{level} title={}::{}", property(&title), message(&cut(&run.reason, REASON)));
    }
    let more = told.count().saturating_sub(ANNOTATIONS);
    if more > 0 {
        let _ = writeln!(out, "::notice::{more} more runs did not pass; the summary has all");
    }
    out
}

/// A workflow command ends with its line; nothing in a value may begin another.
fn message(text: &str) -> String {
    inert(text).replace('%', "%25").replace("::", ": :")
}

fn property(text: &str) -> String {
    inert(text).replace('%', "%25").replace(':', "%3A").replace(',', "%2C")
}

/// The summary of a job: a sentence and a table of runs, those that did not pass first.
pub fn job_summary(document: &Document) -> String {
    let word = match document.valid {
        Valid::Yes => "✅ Valid",
        Valid::No => "❌ Invalid",
        Valid::Unknown => "❔ Unknown",
    };
    let mut out = format!("## {word}\n\n{}\n\n", markdown(&document.reason));
    out.push_str("| | run | target | workload | seed | operations | faults that took effect | why |\n");
    out.push_str("| --- | --- | --- | --- | ---: | ---: | ---: | --- |\n");
    let mut runs: Vec<&RunResult> = document.runs.iter().collect();
    runs.sort_by_key(|r| r.outcome == RunOutcome::Pass);
    for run in runs {
        let mark = match run.outcome {
            RunOutcome::Pass => "✅",
            RunOutcome::Fail => "❌",
            RunOutcome::Unknown => "❔",
            RunOutcome::Error => "💥",
        };
        let proven = run.faults.iter().filter(|f| f.effective == Some(true)).count();
        let version = format!("{} {}", run.target, run.target_version);
        let _ = writeln!(
            out,
            "| {mark} | {} | {} | {} | {} | {} | {proven} of {} | {} |",
            markdown(&run.name),
            markdown(version.trim()),
            markdown(&run.workload),
            run.seed,
            count(run.operations.started),
            run.faults.len(),
            markdown(&cut(&run.reason, REASON))
        );
    }
    out
}

/// The part of a job's summary on anomalies over the nights: a table, new ones first. Empty if there are none.
pub fn triage_summary(signatures: &[Signature]) -> String {
    if signatures.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n### Anomalies over time\n\n| state | signature | times | last seen |\n");
    out.push_str("| --- | --- | ---: | --- |\n");
    for s in signatures {
        let state = match s.state {
            State::New => "🆕 new",
            State::Known => "🔁 known",
            State::Gone => "✅ gone",
            State::Untested => "❔ not looked for",
        };
        let _ =
            writeln!(out, "| {state} | {} | {} | {} |", markdown(&s.signature), s.seen, markdown(&s.last));
    }
    out
}

/// Text that Markdown and the HTML within it leave alone.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    for c in inert(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // `@name` would call people, `#12` link to what has nothing to do with it.
            '@' => out.push_str("&#64;"),
            '#' => out.push_str("&#35;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '!' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use squall_checkers::Verdict;
    use squall_history::History;

    use super::*;
    use crate::{Facts, document, run_result};

    fn of(reason: &str) -> Document {
        let verdicts = [Verdict::unknown("vacuity", reason)];
        document(None, vec![run_result(&History::default(), &verdicts, &Facts::default())])
    }

    #[test]
    fn a_run_that_did_not_pass_is_annotated_in_one_line() {
        let text = annotations(&of("50% of\n::error::forged"));
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.starts_with("::warning title= (%2C %2C seed 0)::vacuity: 50%25 of\\n"), "{text}");
        assert_eq!(text.matches("::").count(), 2, "nothing can begin another command");
        let passed = document(None, vec![]);
        assert_eq!(annotations(&passed), "");
    }

    #[test]
    fn anomalies_over_time_are_a_table_that_values_cannot_leave() {
        let s = Signature {
            signature: "a|<b>".into(),
            seen: 3,
            first: "n1".into(),
            last: "n3".into(),
            state: State::Known,
        };
        assert!(triage_summary(&[s]).ends_with("| 🔁 known | a\\|&lt;b&gt; | 3 | n3 |\n"));
        assert_eq!(triage_summary(&[]), "");
    }

    #[test]
    fn the_summary_is_a_table_that_values_cannot_leave() {
        let text = job_summary(&of("a | b <img src=x> @octocat #1 `x`"));
        let row = text.lines().last().unwrap();
        assert!(row.starts_with("| ❔ |"));
        assert!(row.ends_with("a \\| b &lt;img src=x&gt; &#64;octocat &#35;1 \\`x\\` |"), "{row}");
    }
}
