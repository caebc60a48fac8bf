//! The cluster over time, a row a node: how much it answered, who led, what harmed it, what ended.

use std::fmt::Write;

use rustc_hash::FxHashMap;
use squall_checkers::run::{Counts, node_of};
use squall_history::Outcome;

use super::figures::bucket;
use super::run::{Run, fault_name};
use crate::plot::{LEFT, Scale, WIDTH, escape};
use crate::text::{at, inert};

const ROW: usize = 34;
/// Room for the names of phases.
const HEAD: usize = 16;
const STRIP: f64 = 18.0;

/// Draws the rows; nothing if the log names no nodes.
pub fn lanes(run: &Run<'_>) -> Option<String> {
    let nodes = nodes(run);
    if nodes.is_empty() {
        return None;
    }
    let scale = Scale::new(run.span.0, run.span.1);
    let mut svg = String::new();
    let height = HEAD + nodes.len() * ROW + 26;
    phases(run, &scale, height - 26, &mut svg);
    for (row, node) in nodes.iter().enumerate() {
        let top = HEAD + row * ROW;
        harm(run, &scale, node, top, &mut svg);
        name(node, top, &mut svg);
        leading(run, &scale, node, top, &mut svg);
        alarms(run, &scale, node, top, &mut svg);
    }
    answers(run, &scale, &nodes, &mut svg);
    ticks(&scale, HEAD + nodes.len() * ROW, &mut svg);
    let label = "The cluster over time: for each node the share of operations answered, who led, and faults";
    Some(format!("<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{label}\">{svg}</svg>"))
}

/// Where each phase of the run begins, with its name where there is room.
fn phases(run: &Run<'_>, scale: &Scale, height: usize, svg: &mut String) {
    for (i, phase) in run.history.phases.iter().enumerate() {
        let next = run.history.phases.get(i + 1).map_or(run.span.1, |p| p.time);
        let (x, right) = (scale.x(phase.time), scale.x(next));
        let name = escape(&inert(&phase.name));
        let _ = write!(
            svg,
            "<line class=\"phase\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"3\" y2=\"{height}\"><title>{name} from {}</title></line>",
            at(phase.time)
        );
        if right - x > phase.name.chars().count() as f64 * 6.2 + 6.0 {
            let _ = write!(svg, "<text class=\"lane-soft\" x=\"{:.1}\" y=\"11\">{name}</text>", x + 4.0);
        }
    }
}

/// Nodes in the header's order, else in the order in which processes name them.
fn nodes<'a>(run: &Run<'a>) -> Vec<&'a str> {
    let header = run.history.run.iter().flat_map(|h| &h.nodes).map(|n| n.name.as_str());
    let mut all: Vec<&str> = Vec::new();
    for node in header.chain(run.history.processes.iter().map(|p| p.node.as_str())) {
        if !all.contains(&node) {
            all.push(node);
        }
    }
    all
}

fn name(node: &str, top: usize, svg: &mut String) {
    let name = escape(&inert(node));
    let (y, line) = (top + 20, top + ROW);
    let _ = write!(
        svg,
        "<text class=\"lane-name\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{name}</text>\
         <line class=\"lane-line\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{line}\" y2=\"{line}\"/>",
        LEFT - 8
    );
}

fn harm(run: &Run<'_>, scale: &Scale, node: &str, top: usize, svg: &mut String) {
    for w in run.windows.iter().filter(|w| w.begin.nodes.iter().any(|n| n == node)) {
        let (x, right) = (scale.x(w.from()), scale.x(w.to()));
        let _ = write!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\" fill=\"{}\" fill-opacity=\"0.28\"><title>{} ({}–{})</title></rect>",
            top + 1,
            (right - x).max(1.0),
            ROW - 1,
            run.colour(&w.begin.kind),
            escape(&fault_name(w)),
            at(w.from()),
            at(w.to().min(run.span.1))
        );
    }
}

fn leading(run: &Run<'_>, scale: &Scale, node: &str, top: usize, svg: &mut String) {
    for (i, reign) in run.reigns.iter().enumerate().filter(|(_, r)| r.node == Some(node)) {
        let to = run.reigns.get(i + 1).map_or(run.span.1, |next| next.from);
        let (x, right) = (scale.x(reign.from), scale.x(to));
        let term = reign.term.map_or(String::new(), |t| format!(", term {t}"));
        let _ = write!(
            svg,
            "<rect class=\"lead\" x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"5\" rx=\"2\"><title>{} leads{term} ({}–{})</title></rect>",
            top + 26,
            (right - x).max(1.5),
            escape(&inert(node)),
            at(reign.from),
            at(to)
        );
    }
}

fn alarms(run: &Run<'_>, scale: &Scale, node: &str, top: usize, svg: &mut String) {
    let alarming = |n: &&squall_history::Note| matches!(n.kind.as_str(), "exit" | "panic");
    for note in run.history.notes.iter().filter(alarming).filter(|n| n.node.as_deref() == Some(node)) {
        let (x, y) = (scale.x(note.time), top + 14);
        let _ = write!(
            svg,
            "<path class=\"alarm\" d=\"M{x:.1} {y}l5 9h-10z\"><title>{}: {} at {}</title></path>",
            escape(&inert(&note.kind)),
            escape(&inert(&note.text)),
            at(note.time)
        );
    }
}

/// A strip a node: the height of the bar is the share that ended `ok`; what is above it did not.
fn answers(run: &Run<'_>, scale: &Scale, nodes: &[&str], svg: &mut String) {
    let width = bucket(scale.to - scale.from);
    let mut cells: FxHashMap<(usize, u64), Counts> = FxHashMap::default();
    for op in run.history.ops() {
        let Some(node) = node_of(run.history, &op) else { continue };
        if let Some(row) = nodes.iter().position(|n| *n == node) {
            cells.entry((row, op.start.saturating_sub(scale.from) / width)).or_default().add(op.outcome);
        }
    }
    let mut cells: Vec<_> = cells.into_iter().collect();
    cells.sort_unstable_by_key(|(place, _)| *place);
    let mut paths = [String::new(), String::new(), String::new()];
    for ((row, place), counts) in cells {
        let from = scale.from.saturating_add(place * width);
        let (x, w) = (scale.x(from), scale.x(from.saturating_add(width)) - scale.x(from) - 0.6);
        let mut bottom = (HEAD + row * ROW) as f64 + 5.0 + STRIP;
        let parts = [(Outcome::Ok, counts.ok), (Outcome::Info, counts.info), (Outcome::Fail, counts.fail)];
        for (outcome, n) in parts.into_iter().filter(|(_, n)| *n > 0) {
            let h = STRIP * n as f64 / counts.total() as f64;
            let _ = write!(paths[outcome as usize], "M{x:.1} {bottom:.1}h{w:.1}v{:.1}h{:.1}z", -h, -w);
            bottom -= h;
        }
    }
    for (path, class) in paths.iter().zip(["bar-ok", "bar-fail", "bar-info"]) {
        let opacity = if class == "bar-ok" { "0.45" } else { "0.9" };
        let _ = write!(
            svg,
            "<path class=\"{class}\" fill-opacity=\"{opacity}\" d=\"{path}\" pointer-events=\"none\"/>"
        );
    }
}

/// Times below a picture.
pub fn ticks(scale: &Scale, top: usize, svg: &mut String) {
    let step = scale.ticks().windows(2).map(|t| t[1] - t[0]).next().unwrap_or(1);
    let digits = (9usize.saturating_sub(step.ilog10() as usize)).min(9);
    for tick in scale.ticks() {
        let _ = write!(
            svg,
            "<text class=\"lane-soft\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{:.digits$} s</text>",
            scale.x(tick),
            top + 18,
            tick as f64 / 1e9
        );
    }
}
