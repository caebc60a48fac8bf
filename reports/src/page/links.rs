//! The state of every link between nodes over time: a row a directed link that was ever harmed, as the log notes it.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value as Json;

use super::cluster::ticks;
use super::run::Run;
use crate::plot::{LEFT, Scale, WIDTH, escape};
use crate::text::{at, inert};

const ROW: usize = 13;
/// Rows that are drawn; more are counted.
const ROWS: usize = 60;

/// A stretch of time in which a link was not clear.
#[derive(Debug, PartialEq)]
struct Stretch {
    from: u64,
    to: u64,
    state: String,
}

/// Links, by their ends, with the times at which they were harmed.
type Matrix = BTreeMap<(String, String), Vec<Stretch>>;

/// The picture, and what it shows in words. Nothing if no link was ever harmed.
pub fn matrix(run: &Run<'_>) -> Option<(String, String)> {
    let links = harmed(run);
    if links.is_empty() {
        return None;
    }
    let shown = links.len().min(ROWS);
    let scale = Scale::new(run.span.0, run.span.1);
    let mut svg = String::new();
    for (row, ((from, to), stretches)) in links.iter().take(ROWS).enumerate() {
        draw(&mut svg, &scale, 2 + row * ROW, (from, to), stretches);
    }
    let height = 2 + shown * ROW;
    ticks(&scale, height, &mut svg);
    let label = format!(
        "Links over time: a row for each of the {shown} directed links between nodes that were harmed, with what was wrong and when"
    );
    let svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{label}\">{svg}</svg>",
        height + 26
    );
    let nodes = run.history.run.as_ref().map_or(0, |h| h.nodes.len());
    let clear = (nodes * nodes.saturating_sub(1)).saturating_sub(links.len());
    let told = match links.len() - shown {
        0 => format!("every directed link between nodes that was harmed; {clear} were clear throughout"),
        more => format!("directed links between nodes that were harmed; {more} more do not fit"),
    };
    Some((svg, told))
}

fn draw(svg: &mut String, scale: &Scale, top: usize, (from, to): (&str, &str), stretches: &[Stretch]) {
    let name = escape(&inert(&format!("{from} → {to}")));
    let _ = write!(
        svg,
        "<text class=\"link-name\" x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
         <line class=\"lane-line\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{y}\" y2=\"{y}\"/>",
        LEFT - 8,
        top + 10,
        y = top + ROW - 1
    );
    for s in stretches {
        let (x, right) = (scale.x(s.from), scale.x(s.to));
        let class = if s.state.split('+').any(|word| word == "cut") { "link-cut" } else { "link-bad" };
        let _ = write!(
            svg,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{}\" width=\"{:.1}\" height=\"{}\"><title>{name}: {} ({}–{})</title></rect>",
            top + 1,
            (right - x).max(1.0),
            ROW - 3,
            escape(&inert(&s.state.replace('+', ", "))),
            at(s.from),
            at(s.to)
        );
    }
}

fn harmed(run: &Run<'_>) -> Matrix {
    let mut matrix = Matrix::new();
    let mut open: BTreeMap<(String, String), (u64, String)> = BTreeMap::new();
    let mut close = |link: (String, String), from: u64, to: u64, state: String| {
        matrix.entry(link).or_default().push(Stretch { from, to, state });
    };
    for note in run.history.notes.iter().filter(|n| n.kind == "links") {
        for change in note.data.get("links").and_then(Json::as_array).into_iter().flatten() {
            let text = |i: usize| change.get(i).and_then(Json::as_str).map(str::to_owned);
            let (Some(from), Some(to), Some(state)) = (text(0), text(1), text(2)) else { continue };
            let link = (from, to);
            match open.remove(&link) {
                // It is as it was: another fault wants the same.
                Some((since, before)) if before == state => {
                    open.insert(link, (since, state));
                    continue;
                }
                Some((since, before)) => close(link.clone(), since, note.time, before),
                None => {}
            }
            if !state.is_empty() {
                open.insert(link, (note.time, state));
            }
        }
    }
    for (link, (since, state)) in open {
        close(link, since, run.span.1, state);
    }
    matrix
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use squall_history::{History, Note};

    use super::*;
    use crate::{Facts, run_result};

    #[test]
    fn a_link_is_harmed_from_one_note_to_the_next() {
        let mut history = History::default();
        let mut note = |time: u64, links: Json| {
            let data = [("links".to_owned(), links)].into();
            history.notes.push(Note { time, kind: "links".into(), node: None, text: String::new(), data });
        };
        note(10, json!([["a", "b", "cut"], ["b", "a", "cut"]]));
        note(20, json!([["a", "b", "cut+loss"], ["b", "a", "cut"]]));
        note(30, json!([["a", "b", ""], ["odd"], 7]));
        note(40, json!([["a", "b", "delay"]]));
        note(50, json!([["a", "b", ""]]));
        let facts = Facts::default();
        let result = run_result(&history, &[], &facts);
        let run = Run::new(&history, &[], &result, &facts);
        let matrix = harmed(&run);
        let of = |a: &str, b: &str| {
            let told = |s: &Stretch| format!("{} {} {}", s.from, s.to, s.state);
            matrix[&(a.to_owned(), b.to_owned())].iter().map(told).collect::<Vec<_>>()
        };
        assert_eq!(of("a", "b"), ["10 20 cut", "20 30 cut+loss", "40 50 delay"]);
        assert_eq!(of("b", "a"), [format!("10 {} cut", run.span.1)]);
    }
}
