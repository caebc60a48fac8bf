//! A cycle as a picture of its own: its operations below each other, each coming before the next, and the
//! last before the first. Each step says of which kind it is, on which key, and how that is known.

use std::fmt::Write;

use super::proof::{Edge, MARKER};
use super::run::Run;
use crate::plot::{WIDTH, escape};
use crate::text::{at, clip, inert, operation};

const STEP: usize = 66;
const BOX: usize = 34;
const LEFT: usize = 12;
const RIGHT: usize = WIDTH as usize - 150;
/// Steps that are drawn; longer cycles are only told.
const STEPS: usize = 24;
/// Characters of an operation, and of a reason.
const WIDE: usize = 116;

/// Draws the cycle, if the steps are one.
pub fn picture(run: &Run<'_>, edges: &[Edge]) -> String {
    let closed = edges.iter().zip(edges.iter().cycle().skip(1)).all(|(a, b)| a.to == b.from);
    if edges.is_empty() || edges.len() > STEPS || !closed {
        return String::new();
    }
    let mut svg = String::from(MARKER);
    for (i, edge) in edges.iter().enumerate() {
        let top = 4 + i * STEP;
        node(run, edge.from, top, &mut svg);
        if i + 1 < edges.len() {
            let (x, from, to) = (LEFT + 40, top + BOX, top + STEP - 1);
            let why = escape(&clip(&inert(&edge.text), WIDE));
            let _ = write!(
                svg,
                "<g class=\"edge {}\"><path d=\"M{x} {from}V{to}\" marker-end=\"url(#arrow)\"/></g>\
                 <text x=\"{}\" y=\"{}\"><tspan class=\"edge-text\">{}</tspan><tspan class=\"lane-soft\" dx=\"8\">{why}</tspan></text>",
                edge.class(),
                x + 12,
                from + 20,
                escape(&edge.label())
            );
        }
    }
    back(edges, &mut svg);
    let height = (edges.len() - 1) * STEP + BOX + 8;
    format!(
        "<figure class=\"plot wide\"><figcaption>The cycle <span>each must come before the next, and the last before the first</span></figcaption>\
         <svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"The cycle, step by step; the list below tells it\">{svg}</svg></figure>"
    )
}

fn node(run: &Run<'_>, index: u32, top: usize, svg: &mut String) {
    let op = run.history.op(index as usize);
    let label = format!("#{index}  {}", clip(&operation(&op), WIDE));
    let title = format!("#{index}, process {}, at {}", op.process, at(op.start));
    let _ = write!(
        svg,
        "<a href=\"#op={index}\"><rect class=\"node\" x=\"{LEFT}\" y=\"{top}\" width=\"{}\" height=\"{BOX}\" rx=\"6\"><title>{}</title></rect>\
         <text class=\"node-text\" x=\"{}\" y=\"{}\">{}</text></a>",
        RIGHT - LEFT,
        escape(&title),
        LEFT + 12,
        top + 22,
        escape(&label)
    );
}

/// The step that closes the cycle, from the last box around to the first.
fn back(edges: &[Edge], svg: &mut String) {
    let Some(edge) = edges.last() else { return };
    let (first, last) = (4 + BOX / 2, 4 + (edges.len() - 1) * STEP + BOX / 2);
    let far = RIGHT + 70;
    let _ = write!(
        svg,
        "<g class=\"edge closing\"><path d=\"M{RIGHT} {last}C{far} {last} {far} {first} {} {first}\" marker-end=\"url(#arrow)\"/>\
         <text class=\"edge-text\" x=\"{}\" y=\"{}\">{}</text><title>{}</title></g>",
        RIGHT + 1,
        far - 8,
        usize::midpoint(first, last) + 4,
        escape(&edge.label()),
        escape(&inert(&edge.text))
    );
}
