//! Lines of the nodes' logs, aligned in time with each other and with what happened: around an anomaly, beside an
//! operation, and over the whole run.

use maud::{Markup, html};
use squall_checkers::run::node_of;
use squall_history::Op;

use super::run::{Run, fault_name};
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

/// Lines of the whole run that a page holds.
const HELD: usize = 600;
/// Words of lines that are held before others.
const TELLING: [&str; 10] =
    ["panic", "fatal", "error", "fail", "warn", "elect", "leader", "vote", "timeout", "timed out"];

/// What stands in the log of a run: a node's line, or what happened.
enum Row<'a> {
    Line(&'a LogLine),
    Event(u64, String),
}

/// The logs of all nodes over the whole run, with faults, leaders and ends between them. Where there are too many
/// lines, those that tell of trouble or of elections stay, and of the others an even sample.
pub fn section(run: &Run<'_>) -> Markup {
    let all = &run.facts.logs;
    if all.is_empty() {
        return html! {};
    }
    let held = held(all);
    let mut rows: Vec<Row<'_>> = held.iter().map(|line| Row::Line(line)).chain(events(run)).collect();
    rows.sort_by_key(|row| match row {
        Row::Line(line) => line.time,
        Row::Event(time, _) => *time,
    });
    html! {
        section id="logs" {
            h2 { "Node logs" }
            p.soft {
                "Placed by the time that each line carries, which its node's clock said; what happened to the cluster stands between. "
                @if held.len() < all.len() {
                    "Of " (count(all.len() as u64)) " lines " (count(held.len() as u64)) " are here: those that tell of trouble and elections, and a sample of the others. The run's folder has all."
                }
            }
            details {
                summary { (count(held.len() as u64)) " lines" }
                div.scroll { table {
                    thead { tr { th.right scope="col" { "At" } th scope="col" { "Node" } th scope="col" { "Line" } } }
                    tbody { @for row in &rows { (shown(row)) } }
                } }
            }
        }
    }
}

fn shown(row: &Row<'_>) -> Markup {
    match row {
        Row::Line(line) => html! { tr {
            td.num.right.tight { (at(line.time)) } td { (inert(&line.node)) } td { code { (cut(&inert(&line.text), WIDE)) } }
        } },
        Row::Event(time, text) => {
            html! { tr.event { td.num.right.tight { (at(*time)) } td {} td { strong { (text) } } } }
        }
    }
}

fn held(all: &[LogLine]) -> Vec<&LogLine> {
    if all.len() <= HELD {
        return all.iter().collect();
    }
    let tells = |line: &&LogLine| {
        let text = line.text.to_lowercase();
        TELLING.iter().any(|word| text.contains(word))
    };
    let (telling, others): (Vec<_>, Vec<_>) = all.iter().partition(tells);
    let mut held = evenly(telling, HELD * 2 / 3);
    let room = HELD - held.len();
    held.extend(evenly(others, room));
    held
}

/// At most so many, evenly spread.
fn evenly<T>(items: Vec<T>, room: usize) -> Vec<T> {
    let count = items.len();
    let keeps = |i: usize| count <= room || (i + 1) * room / count > i * room / count;
    items.into_iter().enumerate().filter(|(i, _)| keeps(*i)).map(|(_, item)| item).collect()
}

/// Faults, leaders and ends.
fn events<'a>(run: &Run<'_>) -> Vec<Row<'a>> {
    let mut events = Vec::new();
    for w in &run.windows {
        events.push(Row::Event(w.from(), format!("{} begins", fault_name(w))));
        events.extend(w.end.map(|end| Row::Event(end.time, format!("{} ends", fault_name(w)))));
    }
    let leads = |time: u64| Row::Event(time, format!("leader: {}", run.leader_name(time)));
    events.extend(run.reigns.iter().map(|reign| leads(reign.from)));
    let ends = run.history.notes.iter().filter(|n| n.kind == "exit");
    events.extend(ends.map(|n| Row::Event(n.time, inert(&n.text))));
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tells_of_trouble_is_held_before_the_rest() {
        let line = |i: u64, text: &str| LogLine { time: i, node: "n1".into(), text: text.into() };
        let mut all: Vec<LogLine> = (0..5_000).map(|i| line(i, "nothing of note")).collect();
        all[4_321].text = "a PANIC, once".into();
        let shown = held(&all);
        assert_eq!(shown.len(), HELD);
        assert!(shown.iter().any(|l| l.time == 4_321));
        assert_eq!(held(&all[..9]).len(), 9);
        let many: Vec<LogLine> = (0..5_000).map(|i| line(i, "an error")).collect();
        assert_eq!(held(&many).len(), HELD * 2 / 3);
        assert_eq!(evenly((0..100).collect(), 3).len(), 3);
    }
}
