//! Why no order explains an anomaly, drawn into its picture: what checks put into an anomaly's details.
//!
//! Two forms are known; anything else is left alone:
//! - `last_states`: the legal orders that came furthest, each `{"order": [indexes], "state": text, "fails":
//!   {"operation": index, "why": text}}`, as the linearizability checker gives them;
//! - `edges`: a cycle, each `{"from": index, "to": index, "kind": "ww", "text": clause}`, as the checkers of
//!   transactions give them.

use std::fmt::Write;

use maud::{Markup, html};
use serde_json::Value as Json;
use squall_checkers::Anomaly;

use super::prose;
use crate::plot::escape;
use crate::text::{clip, cut, inert};

/// Orders that are told, and operations of one.
const WAYS: usize = 6;
const TOLD: usize = 40;
/// Characters of a state.
const STATE: usize = 160;

/// What an anomaly's details say.
#[derive(Debug, Default)]
pub struct Proof {
    /// Legal orders that came furthest.
    pub ways: Vec<Way>,
    /// Steps of a cycle.
    pub edges: Vec<Edge>,
}

/// A legal order of operations, and what cannot follow it.
#[derive(Debug)]
pub struct Way {
    /// Indexes, in the order of their effects.
    pub order: Vec<u32>,
    /// The state that it leads to, in words.
    pub state: String,
    /// The operation that cannot follow.
    pub fails: Option<u32>,
    /// Why it cannot.
    pub why: String,
}

/// One operation before another.
#[derive(Debug)]
pub struct Edge {
    /// Index of the first.
    pub from: u32,
    /// Index of the second.
    pub to: u32,
    /// `ww`, `wr`, `rw`, `process`, `realtime`, …
    pub kind: String,
    /// Why it is so.
    pub text: String,
    /// The key on which the two meet, if the step is one of data.
    pub key: Option<String>,
}

impl Edge {
    /// Kind and key: `rw on 3`.
    pub fn label(&self) -> String {
        match &self.key {
            Some(key) => inert(&format!("{} on {}", self.kind, clip(key, 24))),
            None => inert(&self.kind),
        }
    }

    /// The class that colours it.
    pub fn class(&self) -> &'static str {
        match self.kind.as_str() {
            "ww" => "e-ww",
            "wr" => "e-wr",
            "rw" => "e-rw",
            _ => "e-order",
        }
    }
}

impl Proof {
    /// Reads what it knows. `operations` says how many there are: other indexes are not believed.
    pub fn of(anomaly: &Anomaly, operations: usize) -> Self {
        let list = |key: &str| anomaly.details.get(key).and_then(Json::as_array).into_iter().flatten();
        let index = |json: &Json| {
            let i = u32::try_from(json.as_u64()?).ok()?;
            ((i as usize) < operations).then_some(i)
        };
        let text = |json: &Json, key: &str| json[key].as_str().unwrap_or_default().to_owned();
        let way = |json: &Json| {
            let order = json["order"].as_array()?.iter().filter_map(index).collect();
            let fails = &json["fails"];
            Some(Way {
                order,
                state: text(json, "state"),
                fails: index(&fails["operation"]),
                why: text(fails, "why"),
            })
        };
        let edge = |json: &Json| {
            let (from, to) = (index(&json["from"])?, index(&json["to"])?);
            let key = json.get("key").filter(|k| !k.is_null());
            let key = key.map(|k| k.as_str().map_or_else(|| k.to_string(), str::to_owned));
            Some(Edge { from, to, kind: text(json, "kind"), text: text(json, "text"), key })
        };
        Proof {
            ways: list("last_states").filter_map(way).collect(),
            edges: list("edges").filter_map(edge).collect(),
        }
    }

    /// The orders in words, below the picture.
    pub fn told(&self) -> Markup {
        html! {
            @if !self.ways.is_empty() {
                p {
                    @if self.ways.iter().all(|w| w.order.is_empty()) { "What was possible just before" }
                    @else { "Legal orders, as far as any goes" }
                    @if self.ways.len() > WAYS { " (" (WAYS) " of " (self.ways.len()) ")" } ":"
                }
                ol.ways { @for way in self.ways.iter().take(WAYS) { li { (told(way)) } } }
            }
            @if !self.edges.is_empty() {
                ol.ways { @for e in &self.edges {
                    li { (prose(&format!("#{} before #{}", e.from, e.to), true)) " " span.chip.(e.class()) { (e.label()) } " " (prose(&cut(&e.text, 400), true)) }
                } }
            }
        }
    }
}

fn told(way: &Way) -> Markup {
    let last = way.order.len().saturating_sub(TOLD);
    let order: Vec<String> = way.order[last..].iter().map(|i| format!("#{i}")).collect();
    html! {
        @if last > 0 { "… " }
        (prose(&order.join(" → "), true))
        @if !way.state.is_empty() {
            @if !way.order.is_empty() { " leaves " }
            code { (cut(&inert(&way.state), STATE)) }
        }
        @if !way.why.is_empty() { "; " (prose(&cut(&way.why, 400), true)) }
    }
}

/// Where an operation's bar stands: its left and right edge and its middle line.
pub type Place = (f64, f64, f64);

/// Draws the first legal order as numbered points joined by a line, up to the operation that cannot follow.
pub fn draw_order(way: &Way, place: impl Fn(u32) -> Option<Place>, svg: &mut String) {
    // A point lies within its bar, and none before the one that it follows.
    let mut at = f64::MIN;
    let mut points: Vec<(f64, f64)> = Vec::new();
    for &index in &way.order {
        let Some((left, right, y)) = place(index) else { continue };
        at = (left + 8.0).min(right).max(at).min(right.max(left));
        points.push((at, y));
    }
    let mut path = String::new();
    for (i, (x, y)) in points.iter().enumerate() {
        let _ = write!(path, "{}{x:.1} {y:.1}", if i == 0 { "M" } else { "L" });
    }
    let _ = write!(svg, "<path class=\"order\" d=\"{path}\"/>");
    if let (Some((x, y)), Some((left, _, fails))) = (points.last(), way.fails.and_then(&place)) {
        let end = (left + 8.0).max(*x);
        let _ = write!(svg, "<path class=\"order fails\" d=\"M{x:.1} {y:.1}L{end:.1} {fails:.1}\"/>");
        let _ = write!(
            svg,
            "<path class=\"order cross\" d=\"M{:.1} {:.1}l10 10m0-10l-10 10\"/>",
            end - 5.0,
            fails - 5.0
        );
    }
    for (i, (x, y)) in points.iter().enumerate() {
        let number = i + 1;
        let _ = write!(
            svg,
            "<circle class=\"point\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"7.5\"/>\
             <text class=\"point-text\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{number}</text>",
            y + 3.5
        );
    }
}

/// The head of an arrow; each picture that has arrows brings it along.
pub const MARKER: &str = "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" markerWidth=\"7\" \
    markerHeight=\"7\" orient=\"auto\"><path class=\"arrow-head\" d=\"M0 0L8 4L0 8z\"/></marker></defs>";

/// Draws a cycle's steps as arrows between bars.
pub fn draw_edges(edges: &[Edge], place: impl Fn(u32) -> Option<Place>, svg: &mut String) {
    if edges.is_empty() {
        return;
    }
    svg.push_str(MARKER);
    for edge in edges {
        let (Some((l1, r1, y1)), Some((l2, r2, y2))) = (place(edge.from), place(edge.to)) else { continue };
        let (x1, x2) = (f64::midpoint(l1, r1), f64::midpoint(l2, r2));
        // Two arrows between the same bars bend to different sides.
        let bend = if x2 >= x1 { -26.0 } else { 26.0 };
        let (mx, my) =
            (f64::midpoint(x1, x2) + if y1 == y2 { 0.0 } else { bend }, f64::midpoint(y1, y2) + bend * 0.6);
        let (kind, text, class) = (escape(&edge.label()), escape(&inert(&edge.text)), edge.class());
        let _ = write!(
            svg,
            "<g class=\"edge faint {class}\"><path d=\"M{x1:.1} {y1:.1}Q{mx:.1} {my:.1} {x2:.1} {y2:.1}\" marker-end=\"url(#arrow)\"/>\
             <text class=\"edge-text\" x=\"{mx:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{kind}</text>\
             <title>#{} before #{}: {text}</title></g>",
            my + 4.0,
            edge.from,
            edge.to
        );
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn anomaly(details: Json) -> Anomaly {
        let Json::Object(details) = details else { panic!("an object") };
        Anomaly {
            kind: String::new(),
            signature: String::new(),
            explanation: String::new(),
            operations: vec![],
            details,
        }
    }

    #[test]
    fn what_checks_say_is_read_and_what_cannot_be_is_not_believed() {
        let a = anomaly(json!({
            "last_states": [{"order": [3, 1, 99, "x"], "state": "5", "fails": {"operation": 4, "why": "#4 read 3"}}, 7],
            "edges": [{"from": 1, "to": 2, "kind": "rw", "text": "t"}, {"from": 1, "to": 50}, {}],
        }));
        let p = Proof::of(&a, 10);
        assert_eq!((p.ways.len(), p.edges.len()), (1, 1));
        assert_eq!((&*p.ways[0].order, p.ways[0].fails), (&[3, 1][..], Some(4)));
        let told = p.told().into_string();
        assert!(
            told.contains("<a href=\"#op=3\">#3</a> → <a href=\"#op=1\">#1</a> leaves <code>5</code>; <a"),
            "{told}"
        );
        assert!(Proof::of(&anomaly(json!({"edges": 3})), 10).told().into_string().is_empty());
    }

    #[test]
    fn points_of_an_order_never_go_back_in_time_nor_leave_their_bars() {
        let way = Way { order: vec![0, 1, 2], state: String::new(), fails: Some(3), why: String::new() };
        let places = [(100.0, 300.0, 10.0), (50.0, 200.0, 30.0), (150.0, 160.0, 50.0), (170.0, 190.0, 70.0)];
        let mut svg = String::new();
        draw_order(&way, |i| places.get(i as usize).copied(), &mut svg);
        assert!(svg.contains("d=\"M108.0 10.0L108.0 30.0L158.0 50.0\""), "{svg}");
        assert!(svg.contains("d=\"M158.0 50.0L178.0 70.0\""), "{svg}");
    }
}
