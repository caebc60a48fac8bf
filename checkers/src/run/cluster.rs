//! What the nodes' programs did: panics in their logs, and exits that nobody asked for.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};
use squall_history::{History, Note};

use crate::{Anomaly, Budget, Check, Verdict};

/// The check `log-scan`: every note of kind `panic` is an anomaly, one for each node and file.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogScan;

impl Check for LogScan {
    fn name(&self) -> &str {
        "log-scan"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut found: BTreeMap<(&str, String), Vec<&Note>> = BTreeMap::new();
        for note in history.notes.iter().filter(|n| n.kind == "panic") {
            found.entry((node(note), text(note, "file"))).or_default().push(note);
        }
        let panics: usize = found.values().map(Vec::len).sum();
        let anomalies = found.iter().map(|((node, file), notes)| {
            let line = notes[0].data.get("line").map(plain).filter(|l| !l.is_empty());
            let line = line.unwrap_or_else(|| notes[0].text.clone());
            let more = match notes.len() - 1 {
                0 => String::new(),
                n => format!(" (and {n} more in the same file)"),
            };
            let from = if file.is_empty() { String::new() } else { format!(" ({file})") };
            let explanation = format!("The log of {node}{from} shows a panic: {line}{more}");
            anomaly(history, "log-scan", "panic", "", explanation, notes[0])
        });
        Verdict::from_anomalies("log-scan", anomalies.collect()).with("panics", panics)
    }
}

/// The check `exits`: a program that ended although nobody asked it to is an anomaly, unless the log excuses
/// it (a node whose disk was being harmed may give up).
///
/// Figures: `unexpected`, `excused`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Exits;

impl Check for Exits {
    fn name(&self) -> &str {
        "exits"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let is = |note: &Note, key: &str, what: bool| note.data.get(key) == Some(&Json::Bool(what));
        let unexpected = |n: &&Note| n.kind == "exit" && is(n, "expected", false);
        let (excused, guilty): (Vec<&Note>, Vec<&Note>) =
            history.notes.iter().filter(unexpected).partition(|n| is(n, "excused", true));
        let anomalies = guilty.iter().map(|note| {
            let program = text(note, "program");
            let how = match (note.data.get("signal"), note.data.get("code")) {
                (Some(signal), _) if !signal.is_null() => format!("signal {}", plain(signal)),
                (_, Some(code)) if !code.is_null() => format!("code {}", plain(code)),
                _ => "an unknown status".to_owned(),
            };
            let at = note.time as f64 / 1e9;
            let what = if program.is_empty() { "A program".to_owned() } else { format!("`{program}`") };
            let explanation = format!("{what} on {} ended by itself with {how} at {at:.3} s.", node(note));
            anomaly(history, "exits", "unexpected-exit", &how.replace(' ', "-"), explanation, note)
        });
        Verdict::from_anomalies("exits", anomalies.collect())
            .with("unexpected", guilty.len())
            .with("excused", excused.len())
    }
}

fn node(note: &Note) -> &str {
    note.node.as_deref().unwrap_or("a node")
}

fn text(note: &Note, key: &str) -> String {
    note.data.get(key).map(plain).unwrap_or_default()
}

fn plain(value: &Json) -> String {
    match value {
        Json::String(s) => s.clone(),
        Json::Null => String::new(),
        other => other.to_string(),
    }
}

/// An anomaly that a note of a node shows.
pub(super) fn anomaly(
    h: &History,
    check: &str,
    kind: &str,
    shape: &str,
    explanation: String,
    note: &Note,
) -> Anomaly {
    let target = h.run.as_ref().map_or("", |r| r.target.as_str());
    let mut details = Map::new();
    details.insert("node".into(), note.node.clone().into());
    details.insert("at_seconds".into(), (note.time as f64 / 1e9).into());
    let signature = [check, kind, target, shape].into_iter().filter(|s| !s.is_empty());
    Anomaly {
        kind: kind.into(),
        signature: signature.collect::<Vec<_>>().join("/"),
        explanation,
        operations: Vec::new(),
        details,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Valid;
    use crate::run::testing::Script;

    #[test]
    fn panics_convict_once_for_each_node_and_file() {
        let panic = |script: Script, time, node: &str, line: &str| {
            script.note(time, "panic", Some(node), &[("file", json!("server.log")), ("line", json!(line))])
        };
        let script = panic(Script::new(), 1, "n1", "panicked at 'index out of bounds'");
        let script = panic(panic(script, 2, "n1", "second"), 3, "n2", "other");
        let v = LogScan.check(&script.history(), &Budget::default());
        assert_eq!((v.valid, v.anomalies.len(), &v.details["panics"]), (Valid::No, 2, &json!(3)));
        assert!(v.anomalies[0].explanation.contains("index out of bounds' (and 1 more in the same file)"));
        assert_eq!(LogScan.check(&History::default(), &Budget::default()).valid, Valid::Yes);
    }

    #[test]
    fn only_exits_that_nobody_asked_for_and_nothing_excuses_convict() {
        let exit = |expected: bool, excused: bool| {
            [
                ("program", json!("etcd")),
                ("signal", json!(6)),
                ("expected", json!(expected)),
                ("excused", json!(excused)),
            ]
        };
        let fine = Script::new()
            .note(1, "exit", Some("n1"), &exit(true, false))
            .note(2, "exit", Some("n2"), &exit(false, true))
            .history();
        let v = Exits.check(&fine, &Budget::default());
        assert_eq!((v.valid, &v.details["excused"]), (Valid::Yes, &json!(1)));
        let bad = Script::new().note(1, "exit", Some("n1"), &exit(false, false)).history();
        let v = Exits.check(&bad, &Budget::default());
        assert_eq!(v.valid, Valid::No);
        assert!(v.anomalies[0].explanation.contains("`etcd` on n1 ended by itself with signal 6"));
        assert_eq!(v.anomalies[0].signature, "exits/unexpected-exit/signal-6");
    }
}
