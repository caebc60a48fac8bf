//! What earlier nights say: each run's name over time, as marks and small curves, with what changed.

use std::fmt::Write;

use maud::{Markup, PreEscaped, html};

use super::index::outcome_mark;
use crate::terminal::{figure_name, figure_value};
use crate::text::{counted, inert};
use crate::{Change, Signature, State, Trend};

/// What a campaign's page says beside its own runs. Empty for a first night.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Every anomaly of this and earlier nights: [`crate::triage`].
    pub signatures: Vec<Signature>,
    /// The runs over time, this night's last: [`crate::trends`].
    pub trends: Vec<Trend>,
}

/// Nights whose marks are shown.
const NIGHTS: usize = 14;
/// Figures that have a curve.
const CURVES: [&str; 3] = ["ok_per_second", "p99_seconds", "recovery_seconds"];
/// Size of a curve.
const CURVE: (f64, f64) = (96.0, 20.0);

/// The state of an anomaly as a label; nothing on a first night, when all are new.
pub fn state(past: &Past, signature: &str) -> Markup {
    let Some(s) = past.signatures.iter().find(|s| s.signature == signature) else { return html! {} };
    match s.state {
        State::New => html! { span.chip.no { "new" } },
        State::Known => html! { span.chip.maybe { "seen in " (counted(s.seen as u64, "night")) } },
        State::Gone | State::Untested => html! {},
    }
}

/// Anomalies of earlier nights that were not seen this time.
pub fn unseen(past: &Past) -> Markup {
    let unseen: Vec<&Signature> =
        past.signatures.iter().filter(|s| matches!(s.state, State::Gone | State::Untested)).collect();
    if unseen.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Not seen this time" }
            div.scroll { table {
                thead { tr { th scope="col" { "Signature" } th scope="col" { "State" } th scope="col" { "Last seen" } th.right scope="col" { "Nights" } } }
                tbody { @for s in unseen { tr {
                    td { code { (inert(&s.signature)) } }
                    td { @if s.state == State::Gone { span.chip.yes { "gone" } } @else { span.chip.maybe { "not looked for" } } }
                    td { (inert(&s.last)) } td.num.right { (s.seen) }
                } } }
            } }
        }
    }
}

/// A row a name; nothing on a first night.
pub fn trends(past: &Past) -> Markup {
    let trends: Vec<&Trend> = past.trends.iter().filter(|t| t.points.len() > 1).collect();
    if trends.is_empty() {
        return html! {};
    }
    html! {
        section {
            h2 { "Over time" }
            p.soft { "The last nights of each run, the newest to the right. A figure is marked as changed only beyond the spread of the runs before." }
            div.scroll { table {
                thead { tr { th scope="col" { "Run" } th scope="col" { "Verdicts" } @for f in CURVES { th scope="col" { (figure_name(f)) } } } }
                tbody { @for t in trends { tr {
                    td { (inert(&t.name)) }
                    td.tight { (marks(t)) }
                    @for f in CURVES { td.tight { (curve(t, f)) } }
                } } }
            } }
        }
    }
}

fn marks(trend: &Trend) -> Markup {
    let skip = trend.points.len().saturating_sub(NIGHTS);
    html! { @for point in &trend.points[skip..] {
        @let (sign, class, word) = outcome_mark(point.outcome);
        span.night.(class) title=(format!("{}: {word}", inert(&point.label))) { (sign) span.hidden { " " (word) " " } }
    } }
}

/// The values as a line from the first night to the last, then the last value in figures.
fn curve(trend: &Trend, figure: &str) -> Markup {
    let values: Vec<(usize, f64)> = trend
        .points
        .iter()
        .enumerate()
        .filter_map(|(i, p)| Some((i, *p.figures.get(figure)?)).filter(|(_, v)| v.is_finite()))
        .collect();
    let Some((_, last)) = values.last() else { return html! { "–" } };
    let changed = trend.changes.iter().find(|c| c.figure == figure);
    html! { (PreEscaped(line(&values, trend.points.len()))) " " (figure_value(figure, *last)) @if let Some(c) = changed { " " (change(c)) } }
}

fn change(c: &Change) -> Markup {
    html! { span.chip.maybe title=(format!("before: {}", figure_value(c.figure, c.median))) { @if c.last > c.median { "▲ changed" } @else { "▼ changed" } } }
}

fn line(values: &[(usize, f64)], nights: usize) -> String {
    let (width, height) = CURVE;
    let most = values.iter().map(|(_, v)| *v).fold(0.0, f64::max);
    let step = width / (nights.max(2) - 1) as f64;
    let mut path = String::new();
    for (i, v) in values {
        // From zero, so that a small change looks small.
        let y = if most > 0.0 { height - v / most * (height - 2.0) - 1.0 } else { height - 1.0 };
        let _ = write!(path, "{}{:.1} {y:.1}", if path.is_empty() { "M" } else { "L" }, *i as f64 * step);
    }
    format!(
        "<svg class=\"curve\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" aria-hidden=\"true\"><path d=\"{path}\"/></svg>"
    )
}
