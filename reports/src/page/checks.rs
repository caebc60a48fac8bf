//! Every check with its figures, operations by function, and what went wrong, grouped.

use maud::{Markup, html};
use serde_json::Value as Json;
use squall_checkers::run::{Counts, Errors, Quantiles};
use squall_checkers::{Budget, Check, Verdict};
use squall_history::{Op, Outcome};

use super::run::Run;
use super::top::pretty;
use super::{prose, valid_chip};
use crate::text::{count, cut, duration, inert};

/// Characters of a check's figures that are shown.
const FIGURES: usize = 20_000;
/// Warnings of a check that are shown.
const WARNINGS: usize = 50;

/// The section.
pub fn section(run: &Run<'_>) -> Markup {
    html! {
        section id="checks" {
            h2 { "Checks" }
            p.soft { "A run is valid only if every check decided and passed." }
            @for v in run.verdicts { (check(v)) }
            @if run.verdicts.is_empty() { p { "Nothing was judged." } }
            h3 { "Operations by function" }
            (by_function(run))
            (errors(run))
        }
    }
}

fn check(v: &Verdict) -> Markup {
    let reason = v.reason.clone().or_else(|| v.anomalies.first().map(|a| a.explanation.clone()));
    let reason = reason.as_deref().and_then(|r| r.lines().next()).unwrap_or_default();
    html! {
        details.check {
            summary {
                span.name { (inert(&v.check)) } " " (valid_chip(v.valid))
                span.soft { " " (prose(&cut(reason, 160), false)) @if let Some(a) = &v.algorithm { " (" (inert(a)) ")" } }
            }
            @if !v.warnings.is_empty() {
                ul.soft {
                    @for w in v.warnings.iter().take(WARNINGS) { li { (prose(w, false)) } }
                    @if v.warnings.len() > WARNINGS { li { "… and " (v.warnings.len() - WARNINGS) " more" } }
                }
            }
            @if v.details.is_empty() { p.soft { "This check has no figures." } }
            @else { pre tabindex="0" { (cut(&pretty(&Json::Object(v.details.clone())), FIGURES)) } }
        }
    }
}

fn by_function(run: &Run<'_>) -> Markup {
    let h = run.history;
    let quantiles = |since: fn(&Op<'_>) -> u64| -> Vec<Option<Quantiles>> {
        let mut took: Vec<Vec<u64>> = vec![Vec::new(); h.functions().len()];
        for op in h.ops().filter(|op| op.outcome == Outcome::Ok) {
            took[op.f_id as usize].push(op.end.saturating_sub(since(&op)));
        }
        took.iter_mut().map(|t| Quantiles::of(t)).collect()
    };
    let sent = quantiles(|op| op.start);
    // Under open load an operation may wait for a free process; then two latencies differ.
    let open_load = h.ops().any(|op| op.intended != op.start);
    let due = if open_load { quantiles(|op| op.intended) } else { vec![None; sent.len()] };
    let rows: Vec<_> = h.functions().iter().zip(Counts::by_f(h)).zip(sent.iter().zip(&due)).collect();
    let time = |q: &Option<Quantiles>, part: fn(&Quantiles) -> u64| -> Markup {
        html! { td.num.right { @match q { Some(q) => (duration(part(q))), None => "–" } } }
    };
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "Function" }
                @for name in ["Count", "ok", "fail", "info", "Median", "95 %", "99 %", "Longest"] { th.right scope="col" { (name) } }
                @if open_load { th.right scope="col" { "Median since due" } th.right scope="col" { "99 % since due" } }
            } }
            tbody { @for ((f, c), (sent, due)) in &rows { tr {
                td { code { (inert(f)) } }
                @for n in [c.total(), c.ok, c.fail, c.info] { td.num.right { (count(n)) } }
                (time(sent, |q| q.p50)) (time(sent, |q| q.p95)) (time(sent, |q| q.p99)) (time(sent, |q| q.max))
                @if open_load { (time(due, |q| q.p50)) (time(due, |q| q.p99)) }
            } } }
        } }
    }
}

fn errors(run: &Run<'_>) -> Markup {
    let figures = Errors.check(run.history, &Budget::default()).details;
    let groups: &[Json] = figures.get("errors").and_then(Json::as_array).map_or(&[], Vec::as_slice);
    if groups.is_empty() {
        return html! {};
    }
    let text = |g: &Json, key: &str| inert(g.get(key).and_then(Json::as_str).unwrap_or_default());
    let number = |g: &Json, key: &str| g.get(key).and_then(Json::as_u64).unwrap_or_default();
    html! {
        h3 { "What did not end ok, and why" }
        div.scroll { table {
            thead { tr { th.right scope="col" { "Count" } th scope="col" { "Function" } th scope="col" { "Outcome" } th scope="col" { "Reason" } th scope="col" { "First" } th scope="col" { "Example" } } }
            tbody { @for g in groups { tr {
                td.num.right { (count(number(g, "count"))) }
                td { code { (text(g, "f")) } }
                td { span.chip.(text(g, "outcome")) { (text(g, "outcome")) } }
                td { (text(g, "reason")) }
                td.num { a href={"#op=" (number(g, "first_operation"))} { "#" (number(g, "first_operation")) } }
                td.soft { (cut(&text(g, "example"), 200)) }
            } } }
        } }
    }
}
