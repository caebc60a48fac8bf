//! Lines of the nodes' logs around an anomaly, aligned in time.

use maud::{Markup, html};
use squall_checkers::run::node_of;
use squall_history::Op;

use super::run::Run;
use super::timeline;
use crate::LogLine;
use crate::text::{at, count, cut, inert};

/// Lines beside one operation, and in one list; characters of a line.
const BESIDE: usize = 3;
const LISTED: usize = 120;
const WIDE: usize = 300;
/// How far before and after an operation a line still belongs to it, in nanoseconds.
const AROUND: u64 = 2_000_000;

/// The lines that an operation's node wrote during it.
pub fn beside(run: &Run<'_>, op: &Op<'_>) -> Markup {
    let Some(node) = node_of(run.history, op) else { return html! {} };
    let (from, to) = (op.start.saturating_sub(AROUND), run.end_of(op).saturating_add(AROUND));
    let lines: Vec<&LogLine> =
        run.facts.logs.iter().filter(|l| l.node == node && (from..=to).contains(&l.time)).collect();
    html! {
        @for line in lines.iter().take(BESIDE) { br; span.log { (at(line.time)) " " (cut(&inert(&line.text), WIDE)) } }
        @if lines.len() > BESIDE { br; span.log { "… and " (lines.len() - BESIDE) " more lines" } }
    }
}

/// The lines of all nodes in the time of the anomaly's picture.
pub fn around(run: &Run<'_>, ops: &[Op<'_>]) -> Markup {
    let scale = timeline::scale(run, ops);
    let mut lines: Vec<&LogLine> =
        run.facts.logs.iter().filter(|l| (scale.from..=scale.to).contains(&l.time)).collect();
    if lines.is_empty() {
        return html! {};
    }
    lines.sort_by_key(|l| l.time);
    html! {
        details {
            summary { "Node logs of this time (" (count(lines.len() as u64)) ")" }
            div.scroll { table {
                thead { tr { th.right scope="col" { "At" } th scope="col" { "Node" } th scope="col" { "Line" } } }
                tbody { @for line in lines.iter().take(LISTED) { tr {
                    td.num.right { (at(line.time)) } td { (inert(&line.node)) } td { code { (cut(&inert(&line.text), WIDE)) } }
                } } }
            } }
            @if lines.len() > LISTED { p.soft { (count((lines.len() - LISTED) as u64)) " more lines stand in the nodes' logs." } }
        }
    }
}
