//! JSON lines: the run log's, in order and without marks.

use std::io::{self, Write};

use crate::{Entry, Fault, History, Note, Phase, lines};

/// What stands beside operations, by time.
enum Beside<'a> {
    Phase(&'a Phase),
    Fault(&'a Fault),
    Note(&'a Note),
}

/// Writes a history as lines that squall reads back: see `docs/format.md`.
///
/// A history with a header gives everything that its log holds; one without gives its operations only, in the
/// order that it has.
pub fn jsonl(history: &History, mut out: impl Write) -> io::Result<()> {
    let mut line = Vec::new();
    let mut beside = Vec::new();
    if let Some(run) = &history.run {
        lines::write_entry(&Entry::Run(run.clone()), &mut line);
        for process in &history.processes {
            lines::write_entry(&Entry::Process(process.clone()), &mut line);
        }
        beside.extend(history.phases.iter().map(|p| (p.time, Beside::Phase(p))));
        beside.extend(history.faults.iter().map(|f| (f.time, Beside::Fault(f))));
        beside.extend(history.notes.iter().map(|n| (n.time, Beside::Note(n))));
        beside.sort_by_key(|b| b.0);
    }
    let mut beside = beside.into_iter().peekable();
    for (kind, index) in history.events() {
        let event = history.event(kind, index);
        while let Some((_, entry)) = beside.next_if(|b| b.0 <= event.time) {
            write_beside(&entry, &mut line);
        }
        lines::write_event(&event, &mut line);
        out.write_all(&line)?;
        line.clear();
    }
    beside.for_each(|(_, entry)| write_beside(&entry, &mut line));
    out.write_all(&line)
}

fn write_beside(entry: &Beside<'_>, line: &mut Vec<u8>) {
    let entry = match entry {
        Beside::Phase(phase) => Entry::Phase((*phase).clone()),
        Beside::Fault(fault) => Entry::Fault(Box::new((*fault).clone())),
        Beside::Note(note) => Entry::Note(Box::new((*note).clone())),
    };
    lines::write_entry(&entry, line);
}
