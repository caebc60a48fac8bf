//! Messages between nodes around an anomaly: a space-time diagram as Lamport drew them, time to the right.

use std::fmt::Write;

use squall_history::Op;

use super::cluster::ticks;
use super::run::Run;
use super::timeline;
use crate::Message;
use crate::plot::{FAIL, LEFT, OK, Scale, WIDTH, escape};
use crate::text::{at, count, duration, inert, operation};

const ROW: usize = 44;
const TOP: usize = 14;
/// Rows and messages of one diagram.
const ROWS: usize = 20;
const MESSAGES: usize = 1500;

/// Draws the messages of the same time as the picture of `ops`; nothing if none were seen.
pub fn around(run: &Run<'_>, ops: &[Op<'_>]) -> String {
    let scale = timeline::scale(run, ops);
    let within = |m: &&Message| m.sent <= scale.to && m.arrived.unwrap_or(m.sent) >= scale.from;
    let mut messages: Vec<&Message> = run.facts.messages.iter().filter(within).collect();
    if messages.is_empty() {
        return String::new();
    }
    // Those nearest to the anomaly's operations first; then back into the order of time.
    let near = |m: &Message| ops.iter().map(|op| op.start.abs_diff(m.sent)).min().unwrap_or(0);
    let all = messages.len();
    messages.sort_by_key(|m| (near(m), m.sent));
    messages.truncate(MESSAGES);
    messages.sort_by_key(|m| m.sent);
    let rows = rows(run, &messages);
    let row = |name: &str| rows.iter().position(|r| *r == name).map(|r| (TOP + r * ROW + ROW / 2) as f64);
    let height = TOP + rows.len() * ROW;
    let mut svg = String::new();
    operations(run, &scale, ops, height, &mut svg);
    for name in &rows {
        let y = row(name).unwrap_or_default();
        let _ = write!(
            svg,
            "<line class=\"world\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/>\
             <text class=\"lane-name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
            WIDTH - 12,
            LEFT - 8,
            y + 4.0,
            escape(&inert(name))
        );
    }
    let mut drawn = 0;
    for m in &messages {
        if let (Some(from), Some(to)) = (row(&m.from), row(&m.to)) {
            message(&scale, m, from, to, &mut svg);
            drawn += 1;
        }
    }
    ticks(&scale, height, &mut svg);
    let left_out = match all - drawn {
        0 => String::new(),
        n => format!(
            "<p class=\"soft\">{} more messages of this time are left out of the diagram.</p>",
            count(n as u64)
        ),
    };
    format!(
        "<figure class=\"plot wide\"><figcaption>Messages <span>a row a node, time to the right; dashed with ×: never arrived; \
         shaded: operations of the anomaly</span></figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"Messages between nodes around the anomaly\">{svg}</svg></figure>{left_out}",
        height + 26
    )
}

/// Nodes in the cluster's order, then whoever else spoke.
fn rows<'a>(run: &Run<'a>, messages: &[&'a Message]) -> Vec<&'a str> {
    let spoke = |name: &str| messages.iter().any(|m| m.from == name || m.to == name);
    let header = run.history.run.iter().flat_map(|h| &h.nodes).map(|n| n.name.as_str());
    let mut rows: Vec<&str> = header.filter(|n| spoke(n)).collect();
    for name in messages.iter().flat_map(|m| [m.from.as_str(), m.to.as_str()]) {
        if !rows.contains(&name) && rows.len() < ROWS {
            rows.push(name);
        }
    }
    rows
}

fn operations(run: &Run<'_>, scale: &Scale, ops: &[Op<'_>], height: usize, svg: &mut String) {
    for op in ops {
        let (x, right) = (scale.x(op.start), scale.x(run.end_of(op)));
        let _ = write!(
            svg,
            "<a href=\"#op={0}\"><rect class=\"during\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{1:.1}\" height=\"{2}\"><title>#{0} {3}</title></rect>\
             <text class=\"lane-soft\" x=\"{x:.1}\" y=\"10\">#{0}</text></a>",
            op.index,
            (right - x).max(2.0),
            height - TOP,
            escape(&operation(op))
        );
    }
}

fn message(scale: &Scale, m: &Message, from: f64, to: f64, svg: &mut String) {
    let title = format!("{} → {}: {}", inert(&m.from), inert(&m.to), inert(&m.what));
    let x = scale.x(m.sent);
    let _ = match m.arrived {
        Some(arrived) => {
            let right = scale.x(arrived);
            let title = escape(&format!(
                "{title}, sent {}, took {}",
                at(m.sent),
                duration(arrived.saturating_sub(m.sent))
            ));
            write!(
                svg,
                "<g class=\"message\"><path d=\"M{x:.1} {from}L{right:.1} {to}\" stroke=\"{OK}\"/>\
                 <circle cx=\"{right:.1}\" cy=\"{to}\" r=\"2.2\" fill=\"{OK}\"/><title>{title}</title></g>"
            )
        }
        None => {
            let title = escape(&format!("{title}, sent {}, never arrived", at(m.sent)));
            let (mx, my) = (x + 9.0, from + (to - from) * 0.45);
            write!(
                svg,
                "<g class=\"message\"><path d=\"M{x:.1} {from}L{mx:.1} {my:.1}\" stroke=\"{FAIL}\" stroke-dasharray=\"4 3\"/>\
                 <path d=\"M{:.1} {:.1}l6 6m0-6l-6 6\" stroke=\"{FAIL}\"/><title>{title}</title></g>",
                mx - 3.0,
                my - 3.0
            )
        }
    };
}
