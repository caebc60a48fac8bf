//! Every injection with what proves that it took effect, and what clients felt of it.

use maud::{Markup, html};
use serde_json::Value as Json;
use squall_checkers::run::{Availability, Quantiles, Window};
use squall_checkers::{Budget, Check};
use squall_history::Outcome;

use super::run::Run;
use crate::text::{count, counted, cut, duration, inert, percent, seconds};

/// Injections that are listed at once; the others can be unfolded.
const LISTED: usize = 30;

/// The section, or nothing for a run without faults.
pub fn section(run: &Run<'_>) -> Markup {
    if run.windows.is_empty() {
        return html! {};
    }
    let felt = Availability.check(run.history, &Budget::default()).details;
    let felt: Vec<Json> = felt.get("faults").and_then(Json::as_array).cloned().unwrap_or_default();
    let answers = answers(run);
    let rows: Vec<Markup> =
        run.windows.iter().enumerate().map(|(i, w)| row(run, w, felt.get(i), &answers)).collect();
    html! {
        section id="faults" {
            h2 { "Faults and their evidence" }
            p.soft { "Measured, not assumed: what each fault did, and what clients saw of it." }
            (table(&rows[..rows.len().min(LISTED)]))
            @if rows.len() > LISTED {
                details { summary { (counted((rows.len() - LISTED) as u64, "more fault")) } (table(&rows[LISTED..])) }
            }
        }
    }
}

fn table(rows: &[Markup]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { "Fault" } th scope="col" { "Nodes" } th.right scope="col" { "From" } th.right scope="col" { "For" }
                th scope="col" { "Effect" } th scope="col" { "Evidence" } th.right scope="col" { "Answered ok" } th.right scope="col" { "99 % within" } th.right scope="col" { "Longest silence" } th.right scope="col" { "Served again" }
            } }
            tbody { @for row in rows { (row) } }
        } }
    }
}

/// Ends and latencies of the operations that were ok, by their ends.
fn answers(run: &Run<'_>) -> Vec<(u64, u64)> {
    let ok = run.history.ops().filter(|op| op.outcome == Outcome::Ok);
    let mut ok: Vec<(u64, u64)> = ok.map(|op| (op.end, op.end - op.start)).collect();
    ok.sort_unstable();
    ok
}

/// The latency within which 99 % of what was answered while a fault was on stayed.
fn slowest(run: &Run<'_>, w: &Window<'_>, answers: &[(u64, u64)]) -> Option<u64> {
    let (from, to) = (w.from(), w.to().min(run.span.1));
    let on = &answers[answers.partition_point(|a| a.0 < from)..answers.partition_point(|a| a.0 <= to)];
    Quantiles::of(&mut on.iter().map(|a| a.1).collect::<Vec<_>>()).map(|q| q.p99)
}

fn row(run: &Run<'_>, w: &Window<'_>, felt: Option<&Json>, answers: &[(u64, u64)]) -> Markup {
    let figure = |key: &str| felt.and_then(|f| f.get(key)).and_then(Json::as_f64);
    let start = w.from() as f64 / 1e9;
    html! {
        tr {
            td { span.kind style={"--c:" (run.colour(&w.begin.kind))} { (inert(&w.begin.kind)) }
                @if !w.begin.description.is_empty() { br; span.soft { (inert(&w.begin.description)) } } }
            td { (inert(&w.begin.nodes.join(", "))) }
            td.num.right { (format!("{start:.2} s")) }
            td.num.right { @match w.end { Some(end) => (seconds((end.time - w.from()) as f64 / 1e9)), None => "to the end" } }
            td { @match w.effective() {
                Some(true) => span.chip.yes { "✓ took effect" },
                Some(false) => span.chip.no { "✗ no effect" },
                None => span.chip.maybe { "not measured" },
            } }
            td { (evidence(w)) }
            td.num.right { @match figure("ok_share") { Some(s) => (percent(s)), None => "–" } }
            td.num.right { @match slowest(run, w, answers) { Some(took) => (duration(took)), None => "–" } }
            td.num.right { @match figure("longest_gap_seconds") { Some(s) => (seconds(s)), None => "–" } }
            td.num.right { @match figure("served_again_seconds") { Some(s) => { "after " (seconds(s)) }, None => "–" } }
        }
    }
}

fn evidence(w: &Window<'_>) -> Markup {
    let Some(end) = w.end else { return html! { span.soft { "the log ends first" } } };
    html! {
        dl.evidence { @for (key, value) in &end.evidence {
            div { dt { (name(key)) } dd { (plain(key, value)) } }
        } }
        @if !end.description.is_empty() && end.description != w.begin.description { span.soft { (inert(&end.description)) } }
    }
}

/// What a key measures, in words: its unit stands with the value.
fn name(key: &str) -> String {
    let bare = ["_seconds", "_ms", "_bytes"].iter().find_map(|unit| key.strip_suffix(unit)).unwrap_or(key);
    inert(&bare.replace('_', " "))
}

fn plain(key: &str, value: &Json) -> String {
    let text = match value {
        Json::Null => "–".to_owned(),
        Json::Bool(true) => "yes".to_owned(),
        Json::Bool(false) => "no".to_owned(),
        Json::String(s) => inert(s),
        Json::Number(n) => number(key, n),
        Json::Array(items) => items.iter().map(|i| plain(key, i)).collect::<Vec<_>>().join(", "),
        Json::Object(parts) => {
            let parts = parts.iter().map(|(key, part)| format!("{} {}", name(key), plain(key, part)));
            parts.collect::<Vec<_>>().join(", ")
        }
    };
    cut(&text, 200)
}

/// A number with the unit that its key names.
fn number(key: &str, n: &serde_json::Number) -> String {
    let x = n.as_f64().unwrap_or_default();
    match (key.ends_with("_seconds"), key.ends_with("_ms"), n.as_u64()) {
        (true, ..) => seconds(x),
        (_, true, _) => seconds(x / 1e3),
        (.., Some(whole)) if key.ends_with("_bytes") => format!("{} B", count(whole)),
        (.., Some(whole)) => count(whole),
        (.., None) if n.is_f64() => format!("{x:.3}"),
        (.., None) => n.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn evidence_is_told_with_its_units() {
        let seen = json!({"offset_seconds": -0.004_336, "seen": true});
        assert_eq!(plain("n2", &seen), "offset −4.34 ms, seen yes");
        assert_eq!(plain("packets_dropped", &json!(12_345)), "12,345");
        assert_eq!(plain("unsynced_bytes", &json!([4096, 1])), "4,096 B, 1 B");
        assert_eq!(
            (name("offset_seconds_seen"), name("gap_ms")),
            ("offset seconds seen".into(), "gap".into())
        );
    }
}
