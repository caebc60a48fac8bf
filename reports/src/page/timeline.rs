//! The picture of an anomaly: operations by process around it, with the leader and the faults of that time.

use std::collections::BTreeMap;
use std::fmt::Write;

use rustc_hash::FxHashSet;
use squall_history::{Op, Outcome, ProcessId, Value};

use super::cluster::ticks;
use super::lanes::{Faults, leaders};
use super::proof::{Proof, draw_edges, draw_order};
use super::run::Run;
use crate::plot::{LEFT, Scale, WIDTH, escape};
use crate::text::{at, clip, count, duration, inert, operation, outcome, transaction, value};

const ROW: usize = 26;
/// Rows and operations of one picture.
const ROWS: usize = 36;
const BARS: usize = 600;
/// Characters of a label.
const LABEL: usize = 30;
/// A picture of fewer operations than this begins with what led to them: so many, from so many nanoseconds.
const ALONE: usize = 3;
const LED_TO: usize = 12;
const REACH: u64 = 2_000_000_000;

/// Draws what happened from a little before the first of `ops` to a little after the last. Other operations
/// are shown if they are about the same keys; what is left out is counted below the picture.
pub fn around(run: &Run<'_>, ops: &[Op<'_>], proof: &Proof) -> String {
    let scale = scale(run, ops);
    let (shown, left_out) = neighbours(run, ops, &scale);
    let mut rows: BTreeMap<ProcessId, usize> = shown.iter().map(|op| (op.process, 0)).collect();
    rows.values_mut().enumerate().for_each(|(row, place)| *place = row);
    let faults = Faults::new(run, &scale);
    let head = faults.bottom();
    let height = head + rows.len() * ROW;
    let mut svg = String::new();
    faults.draw(run, &scale, height, &mut svg);
    leaders(run, &scale, &mut svg);
    for (process, row) in &rows {
        let node = run.history.node_of(*process).map_or(String::new(), |n| format!(" {}", inert(n)));
        let (y, line) = (head + row * ROW + 17, head + (row + 1) * ROW);
        let _ = write!(
            svg,
            "<text class=\"lane-name\" x=\"{}\" y=\"{y}\" text-anchor=\"end\">{process}{}</text>\
             <line class=\"lane-line\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{line}\" y2=\"{line}\"/>",
            LEFT - 8,
            escape(&node)
        );
    }
    for op in &shown {
        let proof = ops.iter().any(|o| o.index == op.index);
        let top = head + rows[&op.process] * ROW;
        bar(run, &scale, op, top, proof, &mut svg);
        label(run, &scale, op, &shown, top, proof, &mut svg);
    }
    let place = |index: u32| {
        let op = run.history.op(index as usize);
        let (left, right) = edges(run, &scale, &op);
        Some((left, right, (head + rows.get(&op.process)? * ROW) as f64 + 13.0))
    };
    proof.ways.first().into_iter().for_each(|way| draw_order(way, place, &mut svg));
    draw_edges(&proof.edges, place, &mut svg);
    ticks(&scale, height, &mut svg);
    let omitted = match left_out {
        0 => String::new(),
        n => format!(
            "<p class=\"soft\">{} more operations of this time are left out of the picture; the table of operations has them.</p>",
            count(n as u64)
        ),
    };
    let numbered = match (proof.ways.first().is_none_or(|w| w.order.is_empty()), proof.edges.is_empty()) {
        (false, _) => "; numbered: a legal order, as far as it goes",
        (true, false) => "; arrows: what must come before what",
        (true, true) => "",
    };
    format!(
        "<figure class=\"plot wide\"><figcaption>Around it <span>a row a process; outlined: operations of the anomaly; \
         an info (dashed) may take effect at any later time{numbered}</span></figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"Operations by process around the anomaly; the table above lists those that prove it\">{svg}</svg></figure>{omitted}",
        height + 26
    )
}

/// The time around operations that pictures of them show.
pub fn scale(run: &Run<'_>, ops: &[Op<'_>]) -> Scale {
    let from = ops.iter().map(|op| op.start).min().unwrap_or(0);
    // An operation that nobody answered would stretch the picture to its time-out.
    let end = |op: &Op<'_>| if op.outcome == Outcome::Info { op.start } else { run.end_of(op) };
    let to = ops.iter().map(end).max().unwrap_or(from).max(from.saturating_add(1_000));
    let from = if ops.len() < ALONE { before(run, ops, from) } else { from };
    let pad = (to - from) / 12;
    Scale::new(from.saturating_sub(pad), to.saturating_add(pad))
}

/// Where a picture of few operations begins: with the last ones on their keys before them, since an answer
/// that cannot be is only seen beside what led to it.
fn before(run: &Run<'_>, ops: &[Op<'_>], from: u64) -> u64 {
    let earliest = from.saturating_sub(REACH);
    let at = run.history.ops().take_while(|op| op.start < from).count();
    let same_key = |op: &Op<'_>| ops.iter().any(|o| o.key == op.key) && op.outcome != Outcome::Fail;
    let near = (0..at).rev().map(|i| run.history.op(i)).take_while(|op| op.start >= earliest);
    near.filter(same_key).take(LED_TO).last().map_or(from, |op| op.start)
}

/// The operations of the picture by invocation, and how many of the same time and keys it lacks.
fn neighbours<'a>(run: &Run<'a>, ops: &[Op<'a>], scale: &Scale) -> (Vec<Op<'a>>, usize) {
    let overlaps = |op: &Op<'_>| op.start <= scale.to && run.end_of(op) >= scale.from;
    let (indexes, keys): (FxHashSet<u32>, FxHashSet<&Value>) = ops.iter().map(|o| (o.index, o.key)).unzip();
    let mut others: Vec<Op<'a>> = run
        .history
        .ops()
        .take_while(|op| op.start <= scale.to)
        .filter(|op| overlaps(op) && keys.contains(op.key) && !indexes.contains(&op.index))
        .collect();
    // Those that may have taken effect first, then by how near they are in time.
    let near = |op: &Op<'_>| ops.iter().map(|o| o.start.abs_diff(op.start)).min().unwrap_or(0);
    others.sort_by_key(|op| (op.outcome == Outcome::Fail, near(op), op.index));
    let mut shown: Vec<Op<'a>> = ops.to_vec();
    let mut processes: Vec<ProcessId> = ops.iter().map(|op| op.process).collect();
    processes.sort_unstable();
    processes.dedup();
    let mut left_out = 0;
    for op in others {
        let known = processes.contains(&op.process);
        if shown.len() >= BARS || (!known && processes.len() >= ROWS) {
            left_out += 1;
            continue;
        }
        if !known {
            processes.push(op.process);
        }
        shown.push(op);
    }
    shown.sort_by_key(|op| op.index);
    (shown, left_out)
}

/// Where an operation's bar begins and ends.
fn edges(run: &Run<'_>, scale: &Scale, op: &Op<'_>) -> (f64, f64) {
    // An info may take effect at any time after its invocation, so its bar has no end.
    let end = if op.outcome == Outcome::Info { scale.to } else { run.end_of(op) };
    let left = scale.x(op.start);
    (left, scale.x(end).max(left + 2.5))
}

fn bar(run: &Run<'_>, scale: &Scale, op: &Op<'_>, top: usize, proof: bool, svg: &mut String) {
    let (x, right) = edges(run, scale, op);
    let width = right - x;
    let key = if proof { " key" } else { "" };
    let took = if op.end == u64::MAX { "never ended".to_owned() } else { duration(op.end - op.start) };
    let _ = write!(
        svg,
        "<a href=\"#op={0}\"><rect class=\"bar bar-{1}{key}\" x=\"{x:.1}\" y=\"{2}\" width=\"{width:.1}\" height=\"18\" rx=\"2\">\
         <title>#{0} {3}: {1}, at {4}, {took}</title></rect></a>",
        op.index,
        outcome(op.outcome),
        top + 4,
        escape(&operation(op)),
        at(op.start)
    );
}

/// Writes what an operation did, in its bar or beside it. Beside it only if it is of the anomaly, and rather
/// where no other bar of its row is.
fn label(
    run: &Run<'_>,
    scale: &Scale,
    op: &Op<'_>,
    shown: &[Op<'_>],
    top: usize,
    proof: bool,
    svg: &mut String,
) {
    let (x, right) = edges(run, scale, op);
    let label = short(op);
    // Bold digits are about this wide.
    let needed = label.chars().count() as f64 * 6.9 + 8.0;
    let inside = right - x >= needed;
    if !inside && !proof {
        return;
    }
    let covered = |from: f64, to: f64| {
        let others = shown.iter().filter(|o| o.process == op.process && o.index != op.index);
        others.map(|o| edges(run, scale, o)).any(|(left, right)| left < to && from < right)
    };
    let on_left = x - needed > f64::from(LEFT) && !covered(x - needed, x);
    let on_right = right + needed < f64::from(WIDTH) && !covered(right, right + needed);
    let at_edge = right + needed >= f64::from(WIDTH);
    let (x, anchor) = match (inside, on_right, on_left || at_edge) {
        (true, ..) => (x + 4.0, "start"),
        (false, false, true) => (x - 5.0, "end"),
        (false, ..) => (right + 4.0, "start"),
    };
    let _ = write!(
        svg,
        "<text class=\"bar-text{}\" x=\"{x:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{}</text>",
        if proof { " key" } else { "" },
        top + 17,
        escape(&label)
    );
}

/// An operation without its key: `read → 3`, `write 4`.
fn short(op: &Op<'_>) -> String {
    if let Some(steps) = transaction(op) {
        return clip(&steps, LABEL);
    }
    let input = if op.input.is_nil() { String::new() } else { format!(" {}", value(op.input)) };
    let output = match op.outcome {
        Outcome::Ok if op.input.is_nil() || op.output != op.input => format!(" → {}", value(op.output)),
        Outcome::Ok | Outcome::Fail | Outcome::Info => String::new(),
    };
    clip(&format!("{}{input}{output}", inert(op.f)), LABEL)
}
