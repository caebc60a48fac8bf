//! A run: what came of it or, while it goes on, what is seen of it so far; and its files.

use maud::{Markup, html};
use squall_checkers::run::{Counts, reigns, span, windows};
use squall_history::History;

use super::{link, page};
use crate::RunResult;
use crate::page::index::outcome_mark;
use crate::page::prose;
use crate::page::run::fault_name;
use crate::text::{at, count, inert, operation, outcome, percent};

const SCRIPT: &str = concat!("(() => {", include_str!("../script/live.js"), "})();");
/// Operations that are shown of a run that goes on.
const LAST: usize = 15;

/// A file of a run.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path in the store.
    pub path: String,
    /// Its length.
    pub bytes: u64,
}

/// What is known of a run at this moment.
#[derive(Debug)]
pub struct Now<'a> {
    /// Its log so far, while it goes on.
    pub history: Option<&'a History>,
    /// What came of it.
    pub result: Option<&'a RunResult>,
    /// Its files.
    pub files: &'a [File],
}

/// The page of a run; while the run goes on it follows it.
pub fn run(night: &str, name: &str, state: &Now<'_>) -> String {
    let heading = html! { (inert(name)) };
    let main = html! {
        p { a href={ (link("night", night)) "/" } { "campaign " (inert(night)) } }
        div id="now" aria-live="polite" { (content(state)) }
    };
    let script = if state.result.is_none() { SCRIPT } else { "" };
    page(name, &heading, &main, script)
}

/// What changes of it while the run goes on.
pub fn now(state: &Now<'_>) -> String {
    content(state).into_string()
}

fn content(state: &Now<'_>) -> Markup {
    html! {
        @match (state.result, state.history) {
            (Some(result), _) => (ended(result, state.files)),
            (None, Some(history)) => (going_on(history)),
            (None, None) => section { p { "Nothing was recorded yet." } },
        }
        section {
            h2 { "Files" }
            ul { @for f in state.files { li {
                a href=(link("files", &f.path)) { (inert(f.path.splitn(4, '/').last().unwrap_or_default())) }
                " " span.soft { (count(f.bytes)) " bytes" }
            } } }
        }
    }
}

fn ended(result: &RunResult, files: &[File]) -> Markup {
    let (sign, class, word) = outcome_mark(result.outcome);
    let report = files.iter().find(|f| f.path.ends_with("/report.html") && f.path.matches('/').count() == 3);
    let o = &result.operations;
    html! { section data-ended="yes" {
        h2 { span.chip.(class) { (sign) " " (word) } }
        p { (prose(&result.reason, false)) }
        @match report {
            Some(f) => p { a href=(link("files", &f.path)) { "The report" } },
            None => p.soft { "Its report is not kept." },
        }
        p.soft { (inert(&result.target)) " " (inert(&result.target_version)) ", " (inert(&result.workload)) ", seed " (result.seed) ", "
            (count(o.started)) " operations: " (count(o.ok)) " ok, " (count(o.fail)) " fail, " (count(o.info)) " info" }
    } }
}

fn going_on(history: &History) -> Markup {
    let counts = Counts::of(history);
    let on: Vec<String> = windows(history).iter().filter(|w| w.end.is_none()).map(fault_name).collect();
    let phase = history.phases.last().map_or("setup", |p| p.name.as_str());
    let reigns = reigns(history);
    let leader = reigns.last().and_then(|r| r.node).unwrap_or("not known");
    html! {
        section {
            h2 { "As it happens" }
            dl.meta {
                div { dt { "phase" } dd { (inert(phase)) } }
                div { dt { "time" } dd { (at(span(history).1)) } }
                div { dt { "ok" } dd { (count(counts.ok)) @if let Some(share) = counts.ok_share() { " (" (percent(share)) ")" } } }
                div { dt { "fail" } dd { (count(counts.fail)) } }
                div { dt { "info or open" } dd { (count(counts.info)) } }
                div { dt { "leader" } dd { (inert(leader)) } }
                div { dt { "faults now" } dd { @if on.is_empty() { "none" } @else { (on.join(", ")) } } }
            }
        }
        section {
            h2 { "Last operations" }
            div.scroll { table {
                thead { tr { th.right scope="col" { "Sent" } th.right scope="col" { "Process" } th scope="col" { "Operation" } th scope="col" { "Outcome" } } }
                tbody { @for i in (history.len().saturating_sub(LAST)..history.len()).rev() {
                    @let op = history.op(i);
                    tr { td.num.right { (at(op.start)) } td.num.right { (op.process) } td.mono { (operation(&op)) } td { span.chip.(outcome(op.outcome)) { (outcome(op.outcome)) } } }
                } }
            } }
        }
    }
}
