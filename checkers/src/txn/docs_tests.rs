//! The histories in the pages about models, judged: what a page calls satisfied is, and what it calls violated is.

use std::path::PathBuf;

use squall_history::EventKind::{Invoke, Ok};
use squall_history::{History, Value};

use super::any::Transactions;
use super::r#gen::Recorder;
use super::models::MODELS;
use super::strongest::Reading;
use crate::{Budget, Check, Valid};

fn page(name: &str) -> String {
    let path =
        PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/models")).join(format!("{name}.md"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn block<'a>(page: &'a str, kind: &str) -> &'a str {
    let fence = format!("```{kind}\n");
    let from = page.find(&fence).unwrap_or_else(|| panic!("no {kind} history in\n{page}")) + fence.len();
    &page[from..from + page[from..].find("```").unwrap()]
}

/// `w x 1`, `append x 1`, `r x nil`, `r x [1 2]`.
fn micro(text: &str) -> Value {
    let (f, rest) = text.trim().split_once(' ').unwrap();
    let (key, value) = rest.split_once(' ').unwrap();
    let number = |t: &str| Value::Int(t.parse().unwrap());
    let value = match value.strip_prefix('[').and_then(|v| v.strip_suffix(']')) {
        Some(items) => Value::list(items.split_whitespace().map(number).collect::<Vec<_>>()),
        None if value == "nil" => Value::Nil,
        None => number(value),
    };
    Value::list([Value::str(f), Value::str(key), value])
}

fn history(text: &str) -> History {
    let mut recorder = Recorder::default();
    for phase in text.split("---\n") {
        // Of each process of the phase: its transactions, in order.
        let mut processes: Vec<(u32, Vec<Value>)> = Vec::new();
        for line in phase.lines() {
            let (name, body) = line.split_once(": ").unwrap();
            let process = u32::from(name.as_bytes()[0]);
            let txn = Value::list(body.split(", ").map(micro).collect::<Vec<_>>());
            match processes.iter_mut().find(|p| p.0 == process) {
                Some(known) => known.1.push(txn),
                None => processes.push((process, vec![txn])),
            }
        }
        let longest = processes.iter().map(|p| p.1.len()).max().unwrap();
        for round in 0..=longest {
            for (process, txns) in &processes {
                if let Some(done) = round.checked_sub(1).and_then(|r| txns.get(r)) {
                    recorder.push(Ok, *process, "txn", done.clone());
                }
                if let Some(txn) = txns.get(round) {
                    recorder.push(Invoke, *process, "txn", txn.clone());
                }
            }
        }
    }
    recorder.finish()
}

#[test]
fn every_page_about_a_model_is_right() {
    for m in MODELS {
        let page = page(m.name);
        assert!(page.contains(m.about), "{}: the page does not say what the table says", m.name);
        for weaker in m.implies {
            assert!(page.contains(&format!("({weaker}.md)")), "{}: {weaker} is not named", m.name);
        }
        for (kind, expected) in [("satisfied", Valid::Yes), ("violated", Valid::No)] {
            let reading = Reading { initial: Value::Nil, realtime: true };
            let check = Transactions { model: Some(m), reading };
            let verdict = check.check(&history(block(&page, kind)), &Budget::default());
            assert_eq!(verdict.valid, expected, "{}: {kind}: {verdict:#?}", m.name);
        }
    }
}
