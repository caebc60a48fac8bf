//! The first screen (the verdict, why, and the run in figures), and the last: how to do it again.

use maud::{Markup, html};
use serde_json::Value as Json;
use squall_checkers::Valid;
use squall_checkers::run::Quantiles;
use squall_history::{Outcome, RunHeader};

use super::run::Run;
use super::{linked, prose};
use crate::text::{count, counted, cut, date, duration, inert, percent, seconds};
use crate::{Expected, RunOutcome};

/// The verdict and the run in figures.
pub fn header(run: &Run<'_>) -> Markup {
    let r = run.result;
    html! {
        div.top {
            p.eyebrow { "squall report · " (inert(&r.name)) }
            div.verdict.(run.tone()) {
                h1 { b { (run.mark()) " " (run.word()) ":" } " " (rest(run)) }
                @if r.valid != Valid::Yes || r.outcome != RunOutcome::Pass || is_map(run) { div.why { (linked(&r.reason)) } }
                @if let Some(said) = expectation(run) { p.why { (said) } }
                (facts(run))
                @if !r.warnings.is_empty() {
                    p.warned { "⚠ " a href="#warnings" { (counted(r.warnings.len() as u64, "warning")) } ": " (prose(&cut(&r.warnings[0], 160), false)) }
                }
            }
            (tiles(run))
        }
    }
}

/// Whether a check was asked for the map of models instead of one of them.
fn is_map(run: &Run<'_>) -> bool {
    run.verdicts.iter().any(|v| v.details.contains_key("weakest_violated"))
}

/// What follows the verdict's word.
fn rest(run: &Run<'_>) -> String {
    let n = counted(run.history.len() as u64, "operation");
    match (run.result.outcome, run.result.valid) {
        (RunOutcome::Error, _) => "the run could not be finished".to_owned(),
        (_, Valid::No) => found(run).unwrap_or_else(|| "see below".to_owned()),
        (RunOutcome::Fail, Valid::Yes) => format!("though nothing was violated in {n}"),
        (_, Valid::Yes) if is_map(run) => format!("{n} have their place on the map of models"),
        (_, Valid::Yes) => format!("not violated in {n}"),
        (_, Valid::Unknown) => "neither violated nor shown to hold".to_owned(),
    }
}

/// The types of anomaly that were found, in a few words.
fn found(run: &Run<'_>) -> Option<String> {
    let mut kinds: Vec<&str> = run.anomalies().map(|(_, a)| a.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    let shown = kinds.iter().take(4).map(|k| inert(k)).collect::<Vec<_>>().join(", ");
    let more = kinds.len().saturating_sub(4);
    (!kinds.is_empty()).then(|| if more > 0 { format!("{shown} and {more} more") } else { shown })
}

fn expectation(run: &Run<'_>) -> Option<String> {
    match (&run.result.expected, run.result.outcome) {
        (Expected::Invalid(kinds), outcome) => {
            let kinds = inert(&kinds.join(", "));
            Some(match outcome {
                RunOutcome::Pass => format!("As expected: this campaign must find {kinds}."),
                RunOutcome::Fail | RunOutcome::Unknown | RunOutcome::Error => {
                    format!("This campaign must find {kinds}, and nothing else.")
                }
            })
        }
        (Expected::Valid, _) => None,
    }
}

fn facts(run: &Run<'_>) -> Markup {
    let r = run.result;
    let header = run.history.run.as_deref();
    let consistency = header.map_or("", |h| h.consistency.as_str());
    html! {
        dl.meta {
            div { dt { "target" } dd { (inert(&r.target)) " " (inert(&r.target_version)) } }
            div { dt { "workload" } dd { (inert(&r.workload)) } }
            @if !consistency.is_empty() { div { dt { "judged as" } dd { (inert(consistency)) } } }
            @if let Some(h) = header {
                div { dt { "cluster" } dd { (counted(h.nodes.len() as u64, "node")) ", " (h.concurrency) " processes" } }
            }
            div { dt { "seed" } dd { (r.seed) } }
            div { dt { "length" } dd { (duration(run.span.1 - run.span.0)) } }
            @if let Some(h) = header.filter(|h| h.started_unix_nanos > 0) {
                div { dt { "began" } dd { (date(h.started_unix_nanos)) } }
            }
        }
    }
}

fn tiles(run: &Run<'_>) -> Markup {
    let o = &run.result.operations;
    let all = (o.ok + o.fail + o.info).max(1);
    let part = |n: u64| format!("width:{:.2}%", n as f64 * 100.0 / all as f64);
    let mut took: Vec<u64> =
        run.history.ops().filter(|op| op.outcome == Outcome::Ok).map(|op| op.end - op.start).collect();
    let took = Quantiles::of(&mut took);
    let proven = run.result.faults.iter().filter(|f| f.effective == Some(true)).count();
    let changes = run.reigns.len().saturating_sub(1) as u64;
    html! {
        div.tiles {
            div.tile {
                p.label { "Operations" } p.figure { (count(o.started)) }
                div.share aria-hidden="true" {
                    @for (n, colour) in [(o.ok, "ok"), (o.info, "info"), (o.fail, "fail")] {
                        @if n > 0 { i style={ (part(n)) ";background:var(--" (colour) ")" } {} }
                    }
                }
                p.detail { (count(o.ok)) " ok · " (count(o.fail)) " fail · " (count(o.info)) " info" }
            }
            @if let Some(q) = took {
                div.tile {
                    p.label { "Median latency" } p.figure { (duration(q.p50)) }
                    p.detail { "99 % within " (duration(q.p99)) ", longest " (duration(q.max)) }
                }
            }
            div.tile {
                p.label { "Faults" } p.figure { (run.result.faults.len()) }
                p.detail { @if run.result.faults.is_empty() { "none injected" } @else { (proven) " proven to have taken effect" } }
            }
            @if !run.reigns.is_empty() {
                div.tile {
                    p.label { "Leader changes" } p.figure { (changes) }
                    p.detail { "last: " (run.leader_name(u64::MAX)) }
                }
            }
            @match run.result.liveness.recovered {
                Some(true) => div.tile {
                    p.label { "Recovery" }
                    p.figure { (run.result.liveness.recovery_seconds.map_or("yes".to_owned(), seconds)) }
                    p.detail { "until it served again after healing" }
                },
                Some(false) => div.tile { p.label { "Recovery" } p.figure { "did not recover" } p.detail { "after every fault was healed" } },
                None => {},
            }
            @if o.offered > o.started {
                div.tile {
                    p.label { "Load" } p.figure { (percent(o.started as f64 / o.offered as f64)) }
                    p.detail { "of " (count(o.offered)) " due found a free process" }
                }
            }
        }
    }
}

/// One command that does it again, and on what it was done.
pub fn reproduce(run: &Run<'_>) -> Markup {
    let header = run.history.run.as_deref();
    html! {
        section id="reproduce" {
            h2 { "Do it again" }
            @if let Some(command) = run.facts.reproduce.clone().or_else(|| header.map(command)) {
                p.soft { "The same seed draws the same operations and faults." }
                pre tabindex="0" { (inert(&command)) }
            }
            @if let Some(h) = header {
                @if !h.nodes.is_empty() {
                    p.soft { "Nodes: " @for (i, n) in h.nodes.iter().enumerate() { @if i > 0 { ", " } (inert(&n.name)) " " span.mono { (inert(&n.address)) } } }
                }
                (machine(h))
                @if !h.options.is_null() {
                    details { summary { "Every option, resolved" } pre tabindex="0" { (pretty(&h.options)) } }
                }
            }
            @if !run.result.warnings.is_empty() {
                h3 id="warnings" { "Warnings" }
                ul { @for w in &run.result.warnings { li { (prose(w, false)) } } }
            }
        }
    }
}

/// What it was done on, as the header has it.
fn machine(h: &RunHeader) -> Markup {
    let Some(machine) = h.options.get("machine").and_then(Json::as_object) else { return html! {} };
    let told = |name: &str, value: &Json| match value {
        Json::String(text) => Some(inert(text)),
        Json::Number(n) if name == "memory_bytes" => {
            Some(format!("{:.1} GiB", n.as_f64()? / 1024f64.powi(3)))
        }
        Json::Number(n) => Some(n.to_string()),
        _ => None,
    };
    let parts = machine.iter().filter_map(|(name, value)| {
        Some((inert(&name.trim_end_matches("_bytes").replace('_', " ")), told(name, value)?))
    });
    html! {
        h3 { "Machine and versions" }
        dl.meta {
            div { dt { (inert(&h.target)) } dd { (inert(&h.target_version)) } }
            @for (name, value) in parts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// The command that the log's header names, or implies.
fn command(h: &RunHeader) -> String {
    if let Some(command) = h.options.get("reproduce").and_then(Json::as_str) {
        return command.to_owned();
    }
    let name = |fault: &Json| fault.as_str().or_else(|| fault.get("name")?.as_str()).map(str::to_owned);
    let faults = h.options.get("faults").and_then(Json::as_array).into_iter().flatten();
    let faults: Vec<String> = faults.filter_map(name).collect();
    let faults = if faults.is_empty() { String::new() } else { format!(" --faults {}", faults.join(",")) };
    let nodes = if h.nodes.is_empty() { String::new() } else { format!(" --nodes {}", h.nodes.len()) };
    format!("squall run --target {} --workload {}{faults}{nodes} --seed {}", h.target, h.workload, h.seed)
}

/// JSON for people: indented, inert, lines kept.
pub fn pretty(json: &Json) -> String {
    crate::text::inert_lines(&serde_json::to_string_pretty(json).unwrap_or_default())
}
