//! Offsets of the nodes' wall clocks over time, as the log notes them.
//!
//! Offsets reach from milliseconds to minutes in both directions, so the scale is logarithmic on either side
//! of zero and linear within a millisecond of it.

use squall_history::History;

use super::canvas::{Axis, Bands, Canvas, Line};
use super::palette::{Colour, kind_colour};
use crate::text::round_seconds;

type Points = Vec<(u64, Option<f64>)>;

/// Seconds around zero in which the scale is linear.
const LINEAR: f64 = 0.001;

fn bend(offset: f64) -> f64 {
    offset.signum() * (1.0 + offset.abs() / LINEAR).log10()
}

/// What a height means. Whole heights are powers of ten, but for the [`LINEAR`] that is added to each.
fn tick(y: f64) -> String {
    if y == 0.0 { "0".to_owned() } else { round_seconds(y.signum() * LINEAR * 10f64.powf(y.abs())) }
}

/// Draws a line a node, which steps where a note says so, and names the colours; `None` if no note does.
pub fn offsets(
    history: &History,
    span: (u64, u64),
    bands: &Bands,
    height: u32,
) -> Option<(String, Vec<(String, Colour)>)> {
    let mut nodes: Vec<(&str, Points)> = Vec::new();
    for note in history.notes.iter().filter(|n| n.kind == "clock") {
        let offset = note.data.get("offset_seconds").and_then(serde_json::Value::as_f64);
        let (Some(node), Some(offset)) = (note.node.as_deref(), offset) else { continue };
        let place = nodes.iter().position(|(n, _)| *n == node).unwrap_or_else(|| {
            nodes.push((node, vec![(span.0, Some(0.0))]));
            nodes.len() - 1
        });
        let line = &mut nodes[place].1;
        let before = line.last().and_then(|(_, v)| *v);
        line.extend([(note.time, before), (note.time, Some(bend(offset)))]);
    }
    if nodes.is_empty() {
        return None;
    }
    nodes.sort_by_key(|(n, _)| *n);
    for (_, line) in &mut nodes {
        let last = line.last().and_then(|(_, v)| *v);
        line.push((span.1, last));
    }
    let names = nodes.iter().enumerate().map(|(i, (n, _))| ((*n).to_owned(), kind_colour(i))).collect();
    let far = nodes.iter().flat_map(|(_, l)| l).filter_map(|(_, v)| *v).map(f64::abs).fold(1.0, f64::max);
    let lines: Vec<Line> = nodes.into_iter().enumerate().map(|(i, (_, l))| (kind_colour(i), l)).collect();
    let axis = Axis { label: &tick };
    let mut canvas = Canvas::new(span, height, (-far * 1.1, far * 1.1, false), &axis, &lines);
    canvas.bands(bands);
    Some((canvas.finish("Offsets of the nodes' wall clocks over time"), names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_decades_on_either_side_of_zero() {
        assert_eq!([bend(0.0), bend(-0.0)], [0.0, 0.0]);
        for (offset, height) in [(0.1, 2.0), (-0.1, -2.0), (10.0, 4.0), (-100.0, -5.0)] {
            assert!((bend(offset) - height).abs() < 0.01, "{offset}");
        }
        assert_eq!([tick(2.0), tick(-4.0), tick(0.0)], ["100 ms", "−10 s", "0"]);
    }
}
