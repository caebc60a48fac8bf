//! The map of consistency models: what a history satisfies, violates, and what stays open.
//!
//! Strong models stand above the weaker ones that they imply; implications that follow from others are not
//! drawn. What is known is read from verdicts: one that asked for the strongest models says a word for each;
//! any other says which model it judged by, and which its anomalies rule out.

use std::collections::BTreeMap;
use std::fmt::Write;

use maud::{Markup, PreEscaped, html};
use petgraph::algo::toposort;
use petgraph::algo::tred::{dag_to_toposorted_adjacency_list, dag_transitive_reduction_closure};
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::IntoNeighbors;
use serde_json::Value as Json;
use squall_checkers::txn::models::implied;
use squall_checkers::{Anomaly, MODELS, Model, Valid, Verdict, model};

use super::anomalies::in_full;
use super::layered::layout;
use super::prose;
use super::run::Run;
use crate::plot::escape;
use crate::text::cut;

const BOX: (f64, f64) = (132.0, 34.0);
const STEP: f64 = 68.0;
const EDGE: f64 = 3.0;
/// Violations of a map that are shown with their operations.
const IN_FULL: usize = 3;
/// Characters of an explanation.
const EXPLAINED: usize = 420;

/// What is known of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    Holds,
    Violated,
    Open,
}

/// What a verdict says of every model; nothing if it speaks of none.
pub fn of(verdict: &Verdict) -> Option<BTreeMap<&'static str, Stands>> {
    if let Some(words) = verdict.details.get("models").and_then(Json::as_object) {
        let word = |m: &Model| match words.get(m.name).and_then(Json::as_str) {
            Some("holds") => Stands::Holds,
            Some("violated") => Stands::Violated,
            Some(_) | None => Stands::Open,
        };
        return Some(MODELS.iter().map(|m| (m.name, word(m))).collect());
    }
    let judged = model(verdict.details.get("consistency")?.as_str()?)?;
    let lists = ["not", "also_not"].map(|key| verdict.details.get(key).and_then(Json::as_array));
    let ruled_out: Vec<&str> = lists.into_iter().flatten().flatten().filter_map(Json::as_str).collect();
    let held = if verdict.valid == Valid::Yes { implied(judged) } else { Vec::new() };
    let word = |m: &'static Model| {
        let below = implied(m);
        let violated = ruled_out.contains(&m.name)
            || (verdict.valid == Valid::No && below.iter().any(|w| w.name == judged.name));
        match (violated, held.iter().any(|h| h.name == m.name)) {
            (true, _) => Stands::Violated,
            (false, true) => Stands::Holds,
            (false, false) => Stands::Open,
        }
    };
    Some(MODELS.iter().map(|m| (m.name, word(m))).collect())
}

/// Whether there is a map to show.
pub fn shown(run: &Run<'_>) -> bool {
    run.verdicts.iter().any(|v| of(v).is_some())
}

/// The section: for each verdict that has one, the borders in words, and the map.
pub fn section(run: &Run<'_>) -> Markup {
    let maps: Vec<_> = run.verdicts.iter().filter_map(|v| Some((v, of(v)?))).collect();
    if maps.is_empty() {
        return html! {};
    }
    html! {
        section id="models" {
            h2 { "Consistency models" }
            @for (verdict, map) in &maps {
                (borders(verdict, map))
                (PreEscaped(picture(map)))
                @for found in violations(verdict).iter().take(IN_FULL) { (in_full(run, &verdict.check, found)) }
            }
        }
    }
}

fn borders(verdict: &Verdict, map: &BTreeMap<&'static str, Stands>) -> Markup {
    let all = |wanted: Stands| -> Vec<&'static Model> {
        MODELS.iter().filter(|m| map.get(m.name) == Some(&wanted)).collect()
    };
    let (holds, violated) = (all(Stands::Holds), all(Stands::Violated));
    // A violated model is a border if nothing that it implies is violated; one that holds, if nothing implies it.
    let strongest: Vec<_> = holds
        .iter()
        .filter(|m| !holds.iter().any(|s| s.name != m.name && implied(s).iter().any(|w| w.name == m.name)))
        .collect();
    let weakest: Vec<_> = violated
        .iter()
        .filter(|m| {
            !implied(m).iter().any(|w| w.name != m.name && map.get(w.name) == Some(&Stands::Violated))
        })
        .collect();
    html! {
        p {
            @if !strongest.is_empty() {
                "Not violated, the strongest: "
                @for (i, m) in strongest.iter().enumerate() { @if i > 0 { ", " } strong { (m.name) } }
                ". "
            }
            @if !weakest.is_empty() {
                "Violated, the weakest: "
                @for (i, m) in weakest.iter().enumerate() { @if i > 0 { ", " } strong.alarmed { (m.name) } }
                "."
            }
        }
        @for m in &weakest {
            @if let Some(found) = violation(verdict, m.name) {
                p.soft { strong { (found.kind) } ": " (prose(&cut(&found.explanation, EXPLAINED), true)) }
            }
        }
    }
}

/// Why a model is violated, where the verdict of a whole map says so.
pub fn violation(verdict: &Verdict, model: &str) -> Option<Anomaly> {
    serde_json::from_value(with_signature(verdict.details.get("violations")?.get(model)?.clone())).ok()
}

/// All violations of a map, one for each kind, small ones first.
pub fn violations(verdict: &Verdict) -> Vec<Anomaly> {
    let Some(all) = verdict.details.get("violations").and_then(Json::as_object) else { return Vec::new() };
    let mut found: Vec<Anomaly> = all.keys().filter_map(|name| violation(verdict, name)).collect();
    found.sort_by(|a, b| (&a.kind, a.operations.len()).cmp(&(&b.kind, b.operations.len())));
    found.dedup_by(|a, b| a.kind == b.kind);
    // Who has read the short ones understands the long ones.
    found.sort_by_key(|a| a.operations.len());
    found
}

fn with_signature(mut anomaly: Json) -> Json {
    if let Some(fields) = anomaly.as_object_mut() {
        fields.entry("signature").or_insert_with(|| "".into());
        if fields.get("details").is_some_and(Json::is_null) {
            fields.remove("details");
        }
    }
    anomaly
}

/// The models above those that they imply, without implications that follow from others.
fn graph() -> DiGraph<f64, ()> {
    let mut full: DiGraph<f64, ()> = DiGraph::new();
    let nodes: Vec<NodeIndex> = MODELS.iter().map(|_| full.add_node(BOX.0)).collect();
    let place = |name: &str| MODELS.iter().position(|m| m.name == name);
    for (i, m) in MODELS.iter().enumerate() {
        for weaker in m.implies.iter().filter_map(|&name| place(model(name)?.name)) {
            full.add_edge(nodes[i], nodes[weaker], ());
        }
    }
    let Ok(order) = toposort(&full, None) else { return full };
    let (list, _) = dag_to_toposorted_adjacency_list::<_, u32>(&full, &order);
    let (reduced, _) = dag_transitive_reduction_closure(&list);
    let mut graph: DiGraph<f64, ()> = DiGraph::new();
    for _ in MODELS {
        graph.add_node(BOX.0);
    }
    for from in 0..order.len() {
        for to in (&reduced).neighbors(from as u32) {
            graph.add_edge(order[from], order[to as usize], ());
        }
    }
    graph
}

/// Draws the map.
pub fn picture(map: &BTreeMap<&'static str, Stands>) -> String {
    let graph = graph();
    let Some(l) = layout(&graph, STEP) else { return String::new() };
    let (width, height) = (l.width + 2.0 * EDGE, (l.layers as f64 - 1.0) * STEP + BOX.1 + 2.0 * EDGE);
    let at = |(x, y): (f64, f64)| (x + EDGE, y + EDGE + BOX.1 / 2.0);
    let word = |i: usize| map.get(MODELS[i].name).copied().unwrap_or(Stands::Open);
    let mut svg = String::new();
    for edge in graph.edge_indices() {
        let Some((from, to)) = graph.edge_endpoints(edge) else { continue };
        let border = word(from.index()) == Stands::Violated && word(to.index()) == Stands::Holds;
        let path = way(&l.edges[edge.index()].iter().map(|&p| at(p)).collect::<Vec<_>>());
        let class = if border { "implies border" } else { "implies" };
        let _ = write!(
            svg,
            "<path class=\"{class}\" d=\"{path}\"><title>{} implies {}</title></path>",
            MODELS[from.index()].name,
            MODELS[to.index()].name
        );
    }
    for (i, m) in MODELS.iter().enumerate() {
        let (x, y) = at(l.nodes[i]);
        node(m, word(i), x, y, &mut svg);
    }
    format!(
        "<figure class=\"plot wide\"><figcaption>The map <span>each model above those that it implies</span></figcaption>\
         <div class=\"legend\"><span><i class=\"m-holds\"></i>✓ not violated</span><span><i class=\"m-violated\"></i>✗ violated</span>\
         <span><i class=\"m-open\"></i>? undecided</span></div>\
         <svg class=\"models\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\" aria-label=\"The map of consistency models; the borders are told above\">{svg}</svg></figure>"
    )
}

fn node(m: &Model, stands: Stands, x: f64, y: f64, svg: &mut String) {
    let (class, mark, told) = match stands {
        Stands::Holds => ("m-holds", "✓", "not violated"),
        Stands::Violated => ("m-violated", "✗", "violated"),
        Stands::Open => ("m-open", "?", "undecided"),
    };
    let _ = write!(
        svg,
        "<g class=\"model {class}\"><rect x=\"{:.1}\" y=\"{:.1}\" width=\"{}\" height=\"{}\" rx=\"7\"/>\
         <title>{}: {told}. {}</title>",
        x - BOX.0 / 2.0,
        y - BOX.1 / 2.0,
        BOX.0,
        BOX.1,
        m.name,
        escape(m.about)
    );
    let lines = lines(m.name);
    let first = y + 4.0 - 6.5 * (lines.len() as f64 - 1.0);
    for (i, line) in lines.iter().enumerate() {
        let lead = if i == 0 { format!("<tspan class=\"mark\">{mark}</tspan> ") } else { String::new() };
        let _ = write!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{lead}{line}</text>",
            first + 13.0 * i as f64
        );
    }
    svg.push_str("</g>");
}

/// A long name in two lines, broken at the hyphen nearest to its middle.
fn lines(name: &str) -> Vec<&str> {
    if name.len() <= 16 {
        return vec![name];
    }
    let breaks = name.char_indices().filter(|(_, c)| *c == '-').map(|(at, _)| at + 1);
    match breaks.min_by_key(|at| at.abs_diff(name.len() / 2)) {
        Some(at) => vec![&name[..at], &name[at..]],
        None => vec![name],
    }
}

/// From box to box, smoothly through the layers between.
fn way(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    let last = points.len().saturating_sub(1);
    for (i, pair) in points.windows(2).enumerate() {
        let from = if i == 0 { pair[0].1 + BOX.1 / 2.0 } else { pair[0].1 };
        let to = if i + 1 == last { pair[1].1 - BOX.1 / 2.0 } else { pair[1].1 };
        if i == 0 {
            let _ = write!(path, "M{:.1} {from:.1}", pair[0].0);
        }
        let middle = f64::midpoint(from, to);
        let _ = write!(
            path,
            "C{:.1} {middle:.1} {:.1} {middle:.1} {:.1} {to:.1}",
            pair[0].0, pair[1].0, pair[1].0
        );
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn implications_that_follow_from_others_are_not_drawn() {
        let g = graph();
        let place = |name: &str| NodeIndex::new(MODELS.iter().position(|m| m.name == name).unwrap());
        assert!(g.contains_edge(place("snapshot-isolation"), place("prefix")));
        assert!(!g.contains_edge(place("snapshot-isolation"), place("read-committed")));
        // Nothing is lost: what is implied can be reached.
        for m in MODELS {
            for w in implied(m).iter().filter(|w| w.name != m.name) {
                assert!(petgraph::algo::has_path_connecting(&g, place(m.name), place(w.name), None));
            }
        }
    }

    #[test]
    fn a_verdict_by_one_model_colours_what_follows() {
        let held = Verdict::valid("list-append").with("consistency", "serializable");
        let map = of(&held).unwrap();
        assert_eq!(map["read-committed"], Stands::Holds);
        assert_eq!(map["strict-serializable"], Stands::Open);
        let broken = Verdict { valid: Valid::No, ..held }.with("not", json!(["repeatable-read"]));
        let map = of(&broken).unwrap();
        assert_eq!(map["repeatable-read"], Stands::Violated);
        assert_eq!(map["strict-serializable"], Stands::Violated);
        assert_eq!(map["read-committed"], Stands::Open);
        assert!(of(&Verdict::valid("stats")).is_none());
    }

    #[test]
    fn every_model_is_drawn_with_its_word() {
        let verdict =
            Verdict::valid("strongest").with("models", json!({"causal": "holds", "prefix": "violated"}));
        let svg = picture(&of(&verdict).unwrap());
        assert_eq!(svg.matches("class=\"model m-").count(), MODELS.len());
        assert_eq!(svg.matches("class=\"model m-holds").count(), 1);
        assert_eq!(svg.matches("class=\"model m-violated").count(), 1);
        assert!(svg.contains("<title>causal: not violated"));
    }

    #[test]
    fn a_violation_of_the_map_is_an_anomaly_to_show() {
        let found =
            json!({"type": "G2-item", "explanation": "x", "operations": [1, 2], "details": {"edges": []}});
        let verdict = Verdict::valid("strongest").with("violations", json!({"a": found, "b": found}));
        assert_eq!(violations(&verdict).len(), 1);
        assert_eq!(violation(&verdict, "a").unwrap().operations, [1, 2]);
    }
}
