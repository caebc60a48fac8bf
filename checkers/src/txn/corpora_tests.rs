//! Labelled histories of other projects, where the folder named by `SQUALL_CORPORA` holds them.

use std::path::PathBuf;

use squall_history::EventKind::{self, Fail, Invoke, Ok};
use squall_history::{History, Value};

use super::append::check::ListAppend;
use super::r#gen::Recorder;
use super::models::model;
use super::strongest::{Plain, Reading};
use crate::{Budget, Check, Valid};

pub(super) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("SQUALL_CORPORA").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("skipped: SQUALL_CORPORA is not set");
    }
    folder
}

fn number(text: &str) -> Value {
    Value::Int(text.trim().parse().unwrap())
}

fn micro(f: &str, key: &str, value: &str) -> Value {
    Value::list([Value::str(f), number(key), number(value)])
}

fn record(txns: Vec<(u32, bool, Vec<Value>)>) -> History {
    let mut recorder = Recorder::default();
    for (session, aborted, items) in txns {
        let value = Value::list(items);
        recorder.push(Invoke, session, "txn", value.clone());
        recorder.push(if aborted { Fail } else { Ok }, session, "txn", value);
    }
    recorder.finish()
}

/// `r KEY VALUE` lines; `-----` ends a transaction, `=====` a session.
fn awdit(text: &str) -> History {
    let mut txns = Vec::new();
    for (session, part) in text.split("=====").enumerate() {
        for txn in part.split("-----") {
            let words =
                txn.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).filter(|w| w.len() == 3);
            let items: Vec<Value> = words.map(|w| micro(w[0], w[1], w[2])).collect();
            if !items.is_empty() {
                txns.push((session as u32, false, items));
            }
        }
    }
    record(txns)
}

/// `r(key,value,session,transaction)` lines.
fn plume(text: &str) -> History {
    let mut txns: Vec<(u32, bool, Vec<Value>)> = Vec::new();
    let mut last = (String::new(), String::new());
    for line in text.lines().filter(|l| l.contains('(')) {
        let inner = &line[2..line.rfind(')').unwrap()];
        let parts: Vec<&str> = inner.split(',').collect();
        let now = (parts[2].to_owned(), parts[3].to_owned());
        if now != last {
            txns.push((parts[2].parse().unwrap(), parts[3] == "-1", Vec::new()));
            last = now;
        }
        txns.last_mut().unwrap().2.push(micro(&line[..1], parts[0], parts[1]));
    }
    record(txns)
}

#[test]
fn plain_transactions_satisfy_what_their_labels_say() {
    let Some(folder) = folder() else { return };
    let levels = ["strong-session-read-committed", "strong-session-read-atomic", "causal"];
    let reading = Reading { initial: Value::Int(0), realtime: false };
    let mut files = 0;
    for entry in std::fs::read_dir(folder.join("transactional/text")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let (h, holding) = if let Some(rest) = name.strip_prefix("awdit-") {
            let holding = match rest {
                r if r.starts_with("causal") => 3,
                r if r.starts_with("read-atomic") => 2,
                r if r.starts_with("read-committed") => 1,
                _ => 0,
            };
            (awdit(&text), holding)
        } else {
            (plume(&text), 2)
        };
        for (i, level) in levels.iter().enumerate() {
            let check = Plain { model: model(level).unwrap(), reading: reading.clone() };
            let v = check.check(&h, &Budget::default());
            // Of the other file only the last level is labelled.
            if name.starts_with("awdit-") || i == 2 {
                assert_eq!(v.valid == Valid::Yes, i < holding, "{name}: {level}: {v:#?}");
            }
        }
        for level in ["read-committed", "read-atomic"] {
            if name == "awdit-none-hb-cycle.txt" {
                let check = Plain { model: model(level).unwrap(), reading: reading.clone() };
                assert_eq!(check.check(&h, &Budget::default()).valid, Valid::Yes, "{level}");
            }
        }
        files += 1;
    }
    assert!(files >= 9, "{files}");
}

#[test]
fn list_append_examples_are_invalid() {
    let Some(folder) = folder() else { return };
    for (file, level, anomaly) in
        [("gh-30.edn", "serializable", "G2-item"), ("paper-example.edn", "strict-serializable", "G-single")]
    {
        let text = std::fs::read_to_string(folder.join("transactional/list-append").join(file)).unwrap();
        let mut recorder = Recorder::default();
        for line in text.lines().filter(|l| l.contains(":value")) {
            let kind = if line.contains(":type :ok") { EventKind::Ok } else { Invoke };
            let process = line.split(":process ").nth(1).map_or(0, |rest| rest[..1].parse().unwrap());
            let body = line.split(":value").nth(1).unwrap().trim().trim_end_matches('}');
            let json = body.replace(":append", "\"append\"").replace(":r", "\"r\"").replace("nil", "null");
            let json = json.split_whitespace().collect::<Vec<_>>().join(",");
            let json = json.replace("[,", "[").replace(",]", "]");
            recorder.push(kind, process, "txn", serde_json::from_str(&json).unwrap());
        }
        let check = ListAppend { model: model(level).unwrap(), realtime: true };
        let v = check.check(&recorder.finish(), &Budget::default());
        assert_eq!(v.valid, Valid::No, "{file}: {v:#?}");
        assert!(v.anomalies.iter().any(|a| a.kind == anomaly), "{file}: {:?}", v.details["anomaly_types"]);
    }
}
