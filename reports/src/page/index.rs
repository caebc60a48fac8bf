//! A campaign's `index.html`: every run in a matrix, what was found by signature, and a list to search.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use squall_checkers::Valid;

use super::past::{Past, state, trends, unseen};
use super::{head, prose, valid_chip};
use crate::text::{count, counted, cut, inert, percent, seconds};
use crate::{Document, RunOutcome, RunResult};

const SCRIPT: &str = concat!("(() => {", include_str!("script/index.js"), "})();");
/// Characters of a reason in the list of runs.
const REASON: usize = 220;

/// Writes the page. `links` leads from the page's folder to each run's report, in the order of the runs; `past`
/// is what earlier nights say.
pub fn index(name: &str, document: &Document, links: &[Option<String>], past: &Past) -> String {
    let runs: Vec<Linked<'_>> = document
        .runs
        .iter()
        .enumerate()
        .map(|(i, run)| Linked { run, href: links.get(i).cloned().flatten().map(|path| href(&path)) })
        .collect();
    let (word, tone) = headline(document);
    let operations: u64 = document.runs.iter().map(|r| r.operations.started).sum();
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&format!("{word}: {}", inert(name))))
            body class=(tone) {
                a.skip href="#main" { "Skip to the runs" }
                div.top {
                    p.eyebrow { "squall campaign · " (inert(name)) }
                    div.verdict.(tone) {
                        h1 { b { (word) ":" } " " (counted(document.runs.len() as u64, "run")) ", " (counted(operations, "operation")) }
                        p.why { (prose(&document.reason, false)) }
                    }
                }
                main id="main" {
                    (matrix(&runs))
                    (signatures(&runs, past))
                    (unseen(past))
                    (list(&runs))
                    (trends(past))
                }
                footer { p { "Written by squall " (env!("CARGO_PKG_VERSION")) ". “Valid” means: not violated in the operations that were seen." } }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The campaign in a word, by the worst of its runs, and the class that colours the page.
fn headline(document: &Document) -> (&'static str, &'static str) {
    let any = |outcome| document.runs.iter().any(|r| r.outcome == outcome);
    match document.valid {
        Valid::No if any(RunOutcome::Fail) => ("✗ Invalid", "invalid"),
        _ if any(RunOutcome::Fail) => ("✗ Failed", "invalid"),
        _ if any(RunOutcome::Error) => ("! Broke", "unknown"),
        _ if any(RunOutcome::Unknown) || document.runs.is_empty() => ("? Unknown", "unknown"),
        Valid::No => ("✓ As expected", "valid"),
        Valid::Yes | Valid::Unknown => ("✓ Valid", "valid"),
    }
}

struct Linked<'a> {
    run: &'a RunResult,
    href: Option<String>,
}

/// A path as a relative link: every byte that could mean something else is escaped.
fn href(path: &str) -> String {
    let mut out = String::from("./");
    for byte in path.trim_start_matches('/').bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b'~' => {
                out.push(byte as char)
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

pub(super) fn outcome_mark(outcome: RunOutcome) -> (&'static str, &'static str, &'static str) {
    match outcome {
        RunOutcome::Pass => ("✓", "yes", "passed"),
        RunOutcome::Fail => ("✗", "no", "failed"),
        RunOutcome::Unknown => ("?", "maybe", "unknown"),
        RunOutcome::Error => ("!", "no", "broke"),
    }
}

/// What storms a run had, as a column: its kinds of fault.
fn storm(run: &RunResult) -> String {
    let mut kinds: Vec<&str> = run.faults.iter().map(|f| f.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.is_empty() { "none".to_owned() } else { kinds.join(" + ") }
}

fn target(run: &RunResult) -> String {
    format!("{} {}", run.target, run.target_version).trim().to_owned()
}

fn matrix(runs: &[Linked<'_>]) -> Markup {
    let mut columns: Vec<String> = runs.iter().map(|r| storm(r.run)).collect();
    columns.sort_by_key(|c| (c != "none", c.clone()));
    columns.dedup();
    let mut rows: BTreeMap<(String, String), BTreeMap<String, Vec<&Linked<'_>>>> = BTreeMap::new();
    for run in runs {
        let row = rows.entry((target(run.run), run.run.workload.clone())).or_default();
        row.entry(storm(run.run)).or_default().push(run);
    }
    html! {
        section {
            h2 { "Matrix" }
            p.soft { "A mark a run: ✓ passed, ✗ failed, ? unknown, ! broke." }
            div.scroll { table.matrix {
                thead { tr { th scope="col" { "Target" } th scope="col" { "Workload" } @for c in &columns { th scope="col" { (inert(c)) } } } }
                tbody { @for ((target, workload), cells) in &rows { tr {
                    th scope="row" { (inert(target)) } th scope="row" { (inert(workload)) }
                    @for c in &columns { td { @for run in cells.get(c).into_iter().flatten() { (mark(run)) " " } } }
                } } }
            } }
        }
    }
}

fn mark(linked: &Linked<'_>) -> Markup {
    let (sign, class, word) = outcome_mark(linked.run.outcome);
    let title = inert(&format!(
        "{word}: {} (seed {}): {}",
        linked.run.name,
        linked.run.seed,
        cut(&linked.run.reason, REASON)
    ));
    match &linked.href {
        Some(href) => html! { a.cell.(class) href=(href) title=(title) aria-label=(title) { (sign) } },
        None => html! { span.cell.(class) title=(title) { (sign) span.hidden { " " (word) } } },
    }
}

/// Anomalies by signature, the most frequent first.
fn signatures(runs: &[Linked<'_>], past: &Past) -> Markup {
    let mut found: BTreeMap<&str, (&str, Vec<&Linked<'_>>)> = BTreeMap::new();
    for linked in runs {
        let anomalies = linked.run.checks.values().flat_map(|c| &c.anomalies);
        for a in anomalies {
            let runs = &mut found.entry(&a.signature).or_insert_with(|| (&a.kind, Vec::new())).1;
            if runs.last().is_none_or(|last| !std::ptr::eq(*last, linked)) {
                runs.push(linked);
            }
        }
    }
    let mut found: Vec<_> = found.into_iter().collect();
    found.sort_by_key(|(_, (_, runs))| std::cmp::Reverse(runs.len()));
    if found.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "What was found" }
            p.soft { "A signature is the same wherever the same kind of thing went wrong." }
            div.scroll { table {
                thead { tr { th scope="col" { "Anomaly" } th scope="col" { "Signature" } th.right scope="col" { "Runs" } th scope="col" { "Where" } } }
                tbody { @for (signature, (kind, runs)) in &found { tr {
                    td { strong { (inert(kind)) } " " (state(past, signature)) } td { code { (inert(signature)) } } td.num.right { (runs.len()) }
                    td { @for run in runs.iter().take(12) { (mark(run)) " " } @if runs.len() > 12 { "and " (runs.len() - 12) " more" } }
                } } }
            } }
        }
    }
}

fn list(runs: &[Linked<'_>]) -> Markup {
    let mut runs: Vec<&Linked<'_>> = runs.iter().collect();
    runs.sort_by_key(|r| r.run.outcome == RunOutcome::Pass);
    html! {
        section {
            h2 { "Runs" }
            div.tools id="tools" hidden {
                label { "Find " input type="search" id="find" placeholder="name, target, fault, reason"; }
                label { "Outcome " select id="outcome" {
                    option value="" { "all" } @for o in ["passed", "failed", "unknown", "broke"] { option { (o) } }
                } }
                span.soft id="shown" role="status" {}
            }
            div.scroll { table {
                thead { tr {
                    th scope="col" { "Run" } th scope="col" { "Verdict" } th.right scope="col" { "Operations" } th.right scope="col" { "ok" }
                    th.right scope="col" { "Faults" } th.right scope="col" { "Recovery" } th scope="col" { "Why" }
                } }
                tbody id="runs" { @for r in runs { (row(r)) } }
            } }
        }
    }
}

fn row(linked: &Linked<'_>) -> Markup {
    let r = linked.run;
    let (sign, class, word) = outcome_mark(r.outcome);
    let o = &r.operations;
    let all = o.ok + o.fail + o.info;
    let proven = r.faults.iter().filter(|f| f.effective == Some(true)).count();
    html! {
        tr data-outcome=(word) {
            td { @match &linked.href { Some(href) => a href=(href) { (inert(&r.name)) }, None => (inert(&r.name)) }
                br; span.soft { (inert(&target(r))) ", " (inert(&r.workload)) ", " (inert(&storm(r))) ", seed " (r.seed) } }
            td { span.chip.(class) { (sign) " " (word) } @if r.outcome == RunOutcome::Pass && r.valid == Valid::No { " " (valid_chip(r.valid)) } }
            td.num.right { (count(o.started)) }
            td.num.right { @if all > 0 { (percent(o.ok as f64 / all as f64)) } @else { "–" } }
            td.num.right { (proven) " of " (r.faults.len()) }
            td.num.right { @match (r.liveness.recovered, r.liveness.recovery_seconds) {
                (Some(true), Some(s)) => (seconds(s)), (Some(true), None) => "yes", (Some(false), _) => "never", (None, _) => "–",
            } }
            td { (prose(&cut(&r.reason, REASON), false)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_to_files_whatever_their_names() {
        assert_eq!(href("a b/ä#1?.html"), "./a%20b/%C3%A4%231%3F.html");
        assert_eq!(href("javascript:alert(1)"), "./javascript%3Aalert%281%29");
        assert_eq!(href("//host/x"), "./host/x");
    }
}
