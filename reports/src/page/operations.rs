//! The table of operations: its frame, and the data from which the script draws the rows in sight.
//!
//! Columns of JSON, small enough that a million operations stay under ten megabytes: beyond [`ROOM`]
//! operations those that ended `ok` are sampled evenly (and the page says so); `info`, `fail` and the
//! operations of an anomaly, with what happened around them, are always there.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use rustc_hash::FxHashMap;
use squall_history::{Meta, Op, Outcome, Value};

use super::run::{Run, fault_name};
use crate::plot::DARK;
use crate::text::{count, cut, inert, transaction, value};

/// Operations that a page holds before it begins to sample.
const ROOM: usize = 100_000;
/// Neighbours of each operation of an anomaly that are kept, on either side.
const AROUND: u32 = 60;
/// Characters of a transaction.
const TRANSACTION: usize = 200;
/// Operations of anomalies whose neighbours are kept.
const WITH_NEIGHBOURS: usize = 100;

/// The timeline of all operations by worker, drawn by the script.
pub fn timeline(run: &Run<'_>) -> Markup {
    let (total, held) = (run.history.len(), chosen(run).len());
    html! {
        section id="timeline-section" {
            h2 { "Timeline" }
            p.soft {
                "A lane a worker, by node; its processes follow each other. Drag or use the arrow keys to move; zoom with the buttons, + and −, or Ctrl and the wheel. "
                "A click opens the operation. " @if held < total { "Drawn are the " (count(held as u64)) " operations that this page holds. " }
                span id="timeline-note" {}
            }
            div.tools id="timeline-tools" hidden {
                button type="button" id="zoom-in" { "Zoom in" } button type="button" id="zoom-out" { "Zoom out" } button type="button" id="zoom-all" { "Show all" }
            }
            div.timeline {
                canvas id="timeline" tabindex="0" role="application" aria-label="Timeline of operations by worker; arrow keys move, plus and minus zoom; the table below has the same operations" {}
                div.tip id="tip" hidden {}
            }
        }
    }
}

/// The section.
pub fn section(run: &Run<'_>) -> Markup {
    let (total, held) = (run.history.len(), chosen(run).len());
    html! {
        section id="operations" {
            h2 { "Operations" }
            @if held < total {
                p.soft {
                    "This page holds " (count(held as u64)) " of " (count(total as u64)) " operations: every fail and info, every operation of an anomaly and its neighbours, "
                    "and an even sample of the others. The run's history has all of them."
                }
            } @else { p.soft { "All " (count(total as u64)) " operations. Each has an address: add " code { "#op=12" } " to this page's." } }
            noscript { p { "The table of operations needs JavaScript; everything else on this page does not." } }
            div.tools id="tools" hidden {
                label { "Find " input type="search" id="find" placeholder="value, node, error, #number"; }
                label { "Outcome " select id="outcome" {
                    option value="" { "all" } option value="0" { "ok" } option value="1" { "fail" } option value="2" { "info" }
                    option value="proof" { "of an anomaly ◆" }
                } }
                label { "Function " select id="function" { option value="" { "all" } } }
                span.soft id="shown" role="status" {}
            }
            div.ops id="ops" tabindex="0" role="region" aria-label="Table of operations" {
                table id="ops-table" {
                    thead { tr {
                        @for (name, width) in [("#", "9%"), ("Invoked, s", "10%"), ("Took", "9%"), ("Process", "7%"), ("Node", "7%"), ("Operation", "24%"), ("Outcome", "8%"), ("Note", "26%")] {
                            th scope="col" style={"width:" (width)} { (name) }
                        }
                    } }
                    tbody id="ops-body" {}
                }
            }
            div.chosen-op id="chosen" role="status" hidden {}
        }
    }
}

/// The operations that the page holds, ascending.
fn chosen(run: &Run<'_>) -> Vec<u32> {
    let total = run.history.len();
    if total <= ROOM {
        return (0..total as u32).collect();
    }
    let mut keep = vec![false; total];
    for op in run.history.ops() {
        keep[op.index as usize] = op.outcome != Outcome::Ok;
    }
    for &i in &run.proof {
        keep[i as usize] = true;
    }
    for &i in run.proof.iter().take(WITH_NEIGHBOURS) {
        let (from, to) = (i.saturating_sub(AROUND) as usize, (i + AROUND) as usize);
        keep[from..=to.min(total - 1)].fill(true);
    }
    let kept = keep.iter().filter(|k| **k).count();
    let rest = total - kept;
    let room = ROOM.saturating_sub(kept);
    // Of `rest` others, `room`, evenly: whenever the wanted number passes the next whole one.
    for (seen, k) in keep.iter_mut().filter(|k| !**k).enumerate() {
        *k = (seen + 1) * room / rest.max(1) > seen * room / rest.max(1);
    }
    (0..total as u32).filter(|i| keep[*i as usize]).collect()
}

/// What the script reads.
pub fn data(run: &Run<'_>) -> Markup {
    let mut json = String::from("{");
    let ops: Vec<Op<'_>> = chosen(run).into_iter().map(|i| run.history.op(i as usize)).collect();
    let _ = write!(json, "\"total\":{},", run.history.len());
    list(&mut json, "functions", run.history.functions(), |out, f| text(out, &inert(f)));
    let mut last = (0, 0);
    list(&mut json, "index", &ops, |out, op| {
        let _ = write!(out, "{}", op.index - last.0);
        last.0 = op.index;
    });
    // Microseconds, and each as the distance from the one before.
    list(&mut json, "start", &ops, |out, op| {
        let start = op.start / 1_000;
        let _ = write!(out, "{}", start as i64 - last.1 as i64);
        last.1 = start;
    });
    list(&mut json, "took", &ops, |out, op| {
        let _ = match op.end {
            u64::MAX => write!(out, "-1"),
            end => write!(out, "{}", (end - op.start) / 1_000),
        };
    });
    list(&mut json, "process", &ops, |out, op| put(out, op.process));
    list(&mut json, "f", &ops, |out, op| put(out, op.f_id));
    list(&mut json, "outcome", &ops, |out, op| put(out, op.outcome as u8));
    list(&mut json, "key", &ops, |out, op| cell(out, op.key));
    let steps: Vec<Option<String>> = ops.iter().map(transaction).collect();
    let told: Vec<_> = ops.iter().zip(&steps).collect();
    list(&mut json, "input", &told, |out, (op, steps)| match steps {
        Some(steps) => text(out, &cut(steps, TRANSACTION)),
        None => cell(out, op.input),
    });
    // An answer that only repeats the argument is 0; any other is a list of one.
    list(&mut json, "output", &told, |out, (op, steps)| match op.outcome {
        _ if steps.is_some() => out.push('0'),
        Outcome::Ok if op.input.is_nil() || op.output != op.input => {
            out.push('[');
            cell(out, op.output);
            out.push(']');
        }
        Outcome::Ok | Outcome::Fail | Outcome::Info => out.push('0'),
    });
    notes(&mut json, run, &ops);
    let nodes = nodes(&mut json, run, &ops);
    surroundings(&mut json, run, &nodes);
    json.push('}');
    html! { script type="application/json" id="data" { (PreEscaped(json)) } }
}

fn list<T>(json: &mut String, name: &str, items: &[T], mut one: impl FnMut(&mut String, &T)) {
    let _ = write!(json, "\"{name}\":[");
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            json.push(',');
        }
        one(json, item);
    }
    json.push_str("],");
}

fn put(out: &mut String, number: impl std::fmt::Display) {
    let _ = write!(out, "{number}");
}

/// Text as JSON that may stand in a script element: no `<`, so nothing can end or open an element there.
fn text(out: &mut String, text: &str) {
    let quoted = serde_json::Value::from(text).to_string();
    out.push_str(&quoted.replace('<', "\\u003c"));
}

/// A value as the table shows it. Integers that JavaScript would round are text.
fn cell(out: &mut String, v: &Value) {
    match v {
        Value::Nil => out.push_str("null"),
        Value::Int(i) if i.unsigned_abs() < 1 << 53 => put(out, i),
        other => text(out, &value(other)),
    }
}

/// What clients noted, each different text once.
fn notes(json: &mut String, run: &Run<'_>, ops: &[Op<'_>]) {
    let mut all: Vec<String> = vec![String::new()];
    let mut known: FxHashMap<String, usize> = FxHashMap::default();
    known.insert(String::new(), 0);
    list(json, "note", ops, |out, op| {
        let note = run.history.meta(op.index as usize).map(noted).unwrap_or_default();
        let place = *known.entry(note).or_insert_with_key(|note| {
            all.push(note.clone());
            all.len() - 1
        });
        let _ = write!(out, "{place}");
    });
    list(json, "notes", &all, |out, note| text(out, note));
}

/// What a client noted, in a line: the row that decided, the raw error or reply, the revision.
pub fn noted(meta: &Meta) -> String {
    let revision = meta.revision.map(|r| format!("revision {r}"));
    let parts = [meta.row.as_deref().map(str::to_owned), meta.error.clone(), revision];
    let parts: Vec<String> = parts.into_iter().flatten().map(|p| inert(&p)).collect();
    cut(&parts.join(": "), 240)
}

fn nodes<'a>(json: &mut String, run: &Run<'a>, ops: &[Op<'_>]) -> Vec<&'a str> {
    let mut all: Vec<&str> = run.history.processes.iter().map(|p| p.node.as_str()).collect();
    all.sort_unstable();
    all.dedup();
    list(json, "nodes", &all, |out, node| text(out, &inert(node)));
    list(json, "processes", &run.history.processes, |out, p| {
        let place = all.binary_search(&p.node.as_str()).unwrap_or_default();
        let _ = write!(out, "[{},{place},{}]", p.process, p.worker);
    });
    // Only where another node was asked than the process's own.
    json.push_str("\"asked\":{");
    let mut first = true;
    for op in ops {
        let Some(node) = run.history.meta(op.index as usize).and_then(|m| m.node.as_deref()) else {
            continue;
        };
        let _ = write!(json, "{}\"{}\":", if first { "" } else { "," }, op.index);
        text(json, &inert(node));
        first = false;
    }
    json.push_str("},");
    all
}

fn surroundings(json: &mut String, run: &Run<'_>, nodes: &[&str]) {
    let _ = write!(json, "\"begin\":{},\"end\":{},", run.span.0 / 1_000, run.span.1 / 1_000);
    list(json, "faults", &run.windows, |out, w| {
        let to = w.end.map_or(-1, |f| (f.time / 1_000) as i64);
        let _ = write!(out, "[{},{to},", w.from() / 1_000);
        text(out, &fault_name(w));
        let kind = run.kinds.iter().position(|k| *k == w.begin.kind).unwrap_or_default();
        let struck: Vec<usize> =
            w.begin.nodes.iter().filter_map(|n| nodes.binary_search(&n.as_str()).ok()).collect();
        let _ = write!(out, ",{kind},{struck:?}]");
    });
    list(json, "colours", &run.kinds, |out, kind| {
        let light = run.colour(kind);
        let dark = DARK.iter().find(|(l, _)| *l == light).map_or(light, |(_, d)| d);
        let _ = write!(out, "[\"{light}\",\"{dark}\"]");
    });
    list(json, "reigns", &run.reigns, |out, r| {
        let _ = write!(out, "[{},", r.from / 1_000);
        text(out, &run.leader_name(r.from));
        out.push(']');
    });
    list(json, "proof", &run.proof, |out, i| put(out, i));
    json.pop();
}
