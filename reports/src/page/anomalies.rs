//! Why a run is not valid: every anomaly with its operations, and beside each the node, the leader and the
//! faults of its time.

use maud::{Markup, PreEscaped, html};
use squall_checkers::run::node_of;
use squall_checkers::{Anomaly, Valid};
use squall_history::Op;

use super::operations::noted;
use super::proof::Proof;
use super::run::{Run, fault_name};
use super::{cycle, linked, logs, prose, spacetime, timeline};
use crate::text::{at, counted, cut, duration, inert, operation, outcome};

/// Anomalies that are shown in full; the others are listed.
const IN_FULL: usize = 5;
/// Others that are listed; the rest is counted.
const LISTED: usize = 200;
/// Operations of one anomaly that its table shows.
const ROWS: usize = 60;
/// Operations of one anomaly that its pictures show.
const PICTURED: usize = 100;
/// Characters of an explanation.
const EXPLAINED: usize = 6_000;

/// Whether there is anything to explain.
pub fn shown(run: &Run<'_>) -> bool {
    run.result.valid != Valid::Yes || run.facts.error.is_some() || run.anomalies().next().is_some()
}

/// The section, or nothing for a valid run.
pub fn section(run: &Run<'_>) -> Markup {
    if !shown(run) {
        return html! {};
    }
    let all: Vec<(&str, &Anomaly)> = run.anomalies().collect();
    html! {
        section id="why" {
            h2 { @if all.is_empty() { "Why it is unknown" } @else { "What was violated" } }
            @if all.is_empty() { (undecided(run)) }
            @for (check, anomaly) in all.iter().take(IN_FULL) { (in_full(run, check, anomaly)) }
            @if all.len() > IN_FULL {
                details {
                    summary { (counted((all.len() - IN_FULL) as u64, "more anomaly").replace("anomalys", "anomalies")) }
                    ul { @for (check, a) in all.iter().skip(IN_FULL).take(LISTED) {
                        li { strong { (inert(&a.kind)) } " (" (inert(check)) ") " (linked(&cut(&a.explanation, EXPLAINED / 10))) }
                    } }
                    @if all.len() > IN_FULL + LISTED { p { "… and " (all.len() - IN_FULL - LISTED) " that only results.json lists." } }
                }
            }
        }
    }
}

fn undecided(run: &Run<'_>) -> Markup {
    let unknown = run.verdicts.iter().filter(|v| v.valid == Valid::Unknown);
    html! {
        @if let Some(error) = &run.facts.error { p.explanation { "The run broke: " (inert(error)) } }
        ul { @for v in unknown { li { strong { (inert(&v.check)) } ": " (prose(v.reason.as_deref().unwrap_or("undecided"), true)) } } }
    }
}

/// One anomaly with its operations, pictures and sentences.
pub fn in_full(run: &Run<'_>, check: &str, anomaly: &Anomaly) -> Markup {
    let ops: Vec<Op<'_>> = anomaly
        .operations
        .iter()
        .filter(|i| (**i as usize) < run.history.len())
        .map(|i| run.history.op(*i as usize))
        .collect();
    let proof = Proof::of(anomaly, run.history.len());
    html! {
        article {
            h3 { (inert(&anomaly.kind)) " " span.soft { "found by " (inert(check)) } }
            div.explanation { (linked(&cut(&anomaly.explanation, EXPLAINED))) }
            @if let Some(pictured) = ops.get(..ops.len().min(PICTURED)).filter(|ops| !ops.is_empty()) {
                (table(run, &ops))
                @if pictured.len() < ops.len() { p.soft { "The pictures show the first " (PICTURED) " operations." } }
                (PreEscaped(cycle::picture(run, &proof.edges)))
                (PreEscaped(timeline::around(run, pictured, &proof)))
                (proof.told())
                (PreEscaped(spacetime::around(run, pictured)))
                (logs::around(run, pictured))
            }
            @if !anomaly.signature.is_empty() { p.soft { "Signature: " code { (inert(&anomaly.signature)) } } }
        }
    }
}

fn table(run: &Run<'_>, ops: &[Op<'_>]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { "Operation" } th scope="col" { "" } th scope="col" { "Outcome" }
                    th scope="col" { "Invoked" } th scope="col" { "Took" } th scope="col" { "Process, node" }
                    th scope="col" { "Leader then" } th scope="col" { "Faults on" }
                } }
                tbody { @for op in ops.iter().take(ROWS) { (row(run, op)) } }
            }
        }
        @if ops.len() > ROWS { p.soft { "The first " (ROWS) " of " (ops.len()) " operations; the table below has all of them (choose “of an anomaly”)." } }
    }
}

fn row(run: &Run<'_>, op: &Op<'_>) -> Markup {
    let node = node_of(run.history, op).map_or(String::new(), |n| format!(", {}", inert(n)));
    let noted = run.history.meta(op.index as usize).map(noted).unwrap_or_default();
    let on: Vec<_> = run.faults_during(op);
    html! {
        tr data-op=(op.index) {
            td.num { a href={"#op=" (op.index)} { "#" (op.index) } }
            td { code { (operation(op)) } @if !noted.is_empty() { br; span.soft { (noted) } } (logs::beside(run, op)) }
            td { span.chip.(outcome(op.outcome)) { (outcome(op.outcome)) } }
            td.num.tight { (at(op.start)) }
            td.num.tight { @if op.end == u64::MAX { "never ended" } @else { (duration(op.end - op.start)) } }
            td { (op.process) (node) }
            td { (run.leader_name(op.start)) }
            td { @if on.is_empty() { span.soft { "none" } } @for w in on { div.kind style={"--c:" (run.colour(&w.begin.kind))} { (fault_name(w)) } } }
        }
    }
}
