use std::collections::BTreeMap;

use squall_history::EventKind::{self, Fail, Info, Invoke, Ok};

use super::*;
use crate::Valid;
use crate::txn::brute::{Follow, plain, serializable, snapshot_isolated};
use crate::txn::r#gen::{Recorder, wild};
use crate::txn::models::model;
use crate::txn::random::Random;

/// A history from lines of (event, process, transaction as JSON).
fn history(events: &[(EventKind, u32, &str)]) -> History {
    let mut recorder = Recorder::default();
    for &(kind, process, value) in events {
        recorder.push(kind, process, "txn", serde_json::from_str(value).unwrap());
    }
    recorder.finish()
}

/// Transactions one after the other, each by a process of its own.
fn serial(txns: &[&str]) -> History {
    let events: Vec<_> =
        txns.iter().enumerate().flat_map(|(i, &t)| [(Invoke, i as u32, t), (Ok, i as u32, t)]).collect();
    history(&events)
}

/// Transactions that all overlap.
fn concurrent(txns: &[&str]) -> History {
    let all = || txns.iter().enumerate();
    let events: Vec<_> =
        all().map(|(i, &t)| (Invoke, i as u32, t)).chain(all().map(|(i, &t)| (Ok, i as u32, t))).collect();
    history(&events)
}

fn verdict(h: &History, name: &str) -> Verdict {
    ListAppend { model: model(name).unwrap(), realtime: true }.check(h, &Budget::default())
}

fn types(h: &History) -> Vec<String> {
    let v = verdict(h, "strict-serializable");
    let mut types: Vec<String> = v.anomalies.iter().map(|a| a.kind.clone()).collect();
    types.dedup();
    // What follows from these is told apart elsewhere.
    types.retain(|t| !t.starts_with("fractured") && !t.starts_with("causality"));
    types
}

#[test]
fn orders_of_transactions_decide_serializability_and_snapshots() {
    let mut random = Random::new(1);
    let mut met: BTreeMap<(&str, bool), u32> = BTreeMap::new();
    for round in 0..12_000 {
        let h = wild(&mut random, true, 4);
        let all = plain(&h);
        if all.len() > 4 || !all.iter().any(|t| t.txn.committed()) {
            continue;
        }
        let found = analysis(&h, true, &Budget::default());
        let everything_read = (0..found.columns.appends.len()).all(|a| {
            let t = &found.columns.txns[found.columns.appends[a].txn as usize];
            found.versions.observed[a] || !t.committed()
        });
        let cases = [
            ("serializable", serializable(&all, Follow::Nothing), true),
            ("strong-session-serializable", serializable(&all, Follow::Process), true),
            ("strict-serializable", serializable(&all, Follow::Realtime), true),
            ("snapshot-isolation", snapshot_isolated(&all, Follow::Nothing), everything_read),
            ("strong-session-snapshot-isolation", snapshot_isolated(&all, Follow::Process), everything_read),
            ("strong-snapshot-isolation", snapshot_isolated(&all, Follow::Realtime), everything_read),
        ];
        for (name, truth, exact) in cases {
            let says = found.verdict(model(name).unwrap());
            *met.entry((name, truth)).or_default() += 1;
            if truth || exact {
                let ops: Vec<_> = h.ops().collect();
                assert_eq!(says.valid == Valid::Yes, truth, "round {round}: {name}\n{ops:#?}\n{says:#?}");
            }
        }
    }
    assert!(met.len() == 12 && met.values().all(|&n| n > 100), "both answers were met often: {met:?}");
}

#[test]
fn each_anomaly_is_named() {
    let cases: [(&str, History); 14] = [
        (
            "G0",
            concurrent(&[
                r#"[["append","x",1],["append","y",1]]"#,
                r#"[["append","x",2],["append","y",2]]"#,
                r#"[["r","x",[1,2]],["r","y",[2,1]]]"#,
            ]),
        ),
        ("G1c", concurrent(&[r#"[["append","x",1],["r","y",[1]]]"#, r#"[["append","y",1],["r","x",[1]]]"#])),
        (
            "G-single",
            concurrent(&[
                r#"[["append","x",1],["append","y",1]]"#,
                r#"[["r","x",[1]],["r","y",[]]]"#,
                r#"[["r","y",[1]]]"#,
            ]),
        ),
        (
            "G2-item",
            concurrent(&[r#"[["r","x",[]],["append","y",1]]"#, r#"[["r","y",[]],["append","x",1]]"#]),
        ),
        (
            "G-nonadjacent",
            concurrent(&[
                r#"[["append","x",1]]"#,
                r#"[["append","y",1]]"#,
                r#"[["r","x",[1]],["r","y",[]]]"#,
                r#"[["r","y",[1]],["r","x",[]]]"#,
            ]),
        ),
        ("G-single-realtime", serial(&[r#"[["append","x",1]]"#, r#"[["r","x",[]]]"#])),
        (
            "G1a",
            history(&[
                (Invoke, 0, r#"[["append","x",1]]"#),
                (Fail, 0, "null"),
                (Invoke, 0, r#"[["r","x",null]]"#),
                (Ok, 0, r#"[["r","x",[1]]]"#),
            ]),
        ),
        ("G1b", concurrent(&[r#"[["append","x",1],["append","x",2]]"#, r#"[["r","x",[1]]]"#])),
        ("internal", serial(&[r#"[["append","x",1],["r","x",[]]]"#])),
        ("future-read", serial(&[r#"[["r","x",[1]],["append","x",1]]"#])),
        (
            "incompatible-order",
            concurrent(&[
                r#"[["append","x",1]]"#,
                r#"[["append","x",2]]"#,
                r#"[["r","x",[1]]]"#,
                r#"[["r","x",[2]]]"#,
            ]),
        ),
        ("duplicate-elements", serial(&[r#"[["append","x",1]]"#, r#"[["r","x",[1,1]]]"#])),
        (
            "lost-update",
            concurrent(&[r#"[["r","x",[]],["append","x",1]]"#, r#"[["r","x",[]],["append","x",2]]"#]),
        ),
        (
            "dirty-update",
            history(&[
                (Invoke, 0, r#"[["append","x",1]]"#),
                (Fail, 0, "null"),
                (Invoke, 1, r#"[["append","x",2]]"#),
                (Ok, 1, r#"[["append","x",2]]"#),
                (Invoke, 2, r#"[["r","x",null]]"#),
                (Ok, 2, r#"[["r","x",[1,2]]]"#),
            ]),
        ),
    ];
    for (name, h) in cases {
        let found = types(&h);
        assert!(found.iter().any(|t| t == name), "{name} is not among {found:?}");
    }
    let process = history(&[
        (Invoke, 0, r#"[["append","x",1]]"#),
        (Ok, 0, r#"[["append","x",1]]"#),
        (Invoke, 0, r#"[["r","x",null]]"#),
        (Ok, 0, r#"[["r","x",[]]]"#),
    ]);
    assert_eq!(types(&process), ["G-single-process"]);
}

#[test]
fn what_cannot_be_known_is_not_claimed() {
    // Two equal appends: whose was read cannot be told.
    let twice = concurrent(&[r#"[["append","x",1]]"#, r#"[["append","x",1]]"#, r#"[["r","x",[1]]]"#]);
    assert_eq!(verdict(&twice, "serializable").valid, Valid::Unknown);
    // One of them failed: then the other one was read.
    let failed = history(&[
        (Invoke, 0, r#"[["append","x",1]]"#),
        (Fail, 0, "null"),
        (Invoke, 0, r#"[["append","x",1]]"#),
        (Ok, 0, r#"[["append","x",1]]"#),
        (Invoke, 0, r#"[["r","x",null]]"#),
        (Ok, 0, r#"[["r","x",[1]]]"#),
    ]);
    assert_eq!(verdict(&failed, "strict-serializable").valid, Valid::Yes);
    // An unknown outcome may take effect late, but only if it was.
    let late = history(&[
        (Invoke, 0, r#"[["append","x",1]]"#),
        (Info, 0, "null"),
        (Invoke, 1, r#"[["r","x",null]]"#),
        (Ok, 1, r#"[["r","x",[]]]"#),
        (Invoke, 1, r#"[["r","x",null]]"#),
        (Ok, 1, r#"[["r","x",[1]]]"#),
    ]);
    assert_eq!(verdict(&late, "strict-serializable").valid, Valid::Yes);
    assert_eq!(verdict(&history(&[]), "serializable").valid, Valid::Unknown);
    assert_eq!(types(&serial(&[r#"[["r","x",[7]]]"#])), ["thin-air-read"]);
}

#[test]
fn unread_appends_lie_behind_what_was_read() {
    // Many readers of nothing, many appends that nobody read, and one that did both and saw another's.
    let mut txns: Vec<String> = Vec::new();
    for i in 0..40 {
        txns.push(format!(r#"[["r","x",[]],["append","y{i}",1]]"#));
        txns.push(format!(r#"[["append","x",{i}]]"#));
    }
    let all: Vec<&str> = txns.iter().map(String::as_str).collect();
    assert_eq!(verdict(&concurrent(&all), "strict-serializable").valid, Valid::Yes);
    // The whole of x was read together with the effect of one who appended to it unread.
    txns.push(r#"[["append","z",1],["append","x",101]]"#.to_owned());
    txns.push(r#"[["r","x",[]],["r","z",[1]]]"#.to_owned());
    let all: Vec<&str> = txns.iter().map(String::as_str).collect();
    assert_eq!(types(&concurrent(&all)), ["G-single"]);
    // Everyone did both: any two of them lost an update.
    let txns: Vec<String> = (0..40).map(|i| format!(r#"[["r","x",[]],["append","x",{i}]]"#)).collect();
    let all: Vec<&str> = txns.iter().map(String::as_str).collect();
    assert_eq!(types(&concurrent(&all)), ["lost-update", "G2-item"]);
}

#[test]
fn sentences_name_operations_keys_and_values() {
    let h = concurrent(&[r#"[["r","x",[]],["append","y",1]]"#, r#"[["r","y",[]],["append","x",1]]"#]);
    let v = verdict(&h, "serializable");
    assert_eq!(
        v.anomalies[0].explanation,
        "#0 comes before #1 because #0 read nothing from key \"x\", and so did not see 1, which #1 appended. Yet \
         #1 comes before #0 because #1 read nothing from key \"y\", and so did not see 1, which #0 appended. So \
         each comes before itself: a cycle."
    );
    assert_eq!(v.anomalies[0].signature, "list-append/G2-item/rw,rw");
    assert_eq!(v.details["not"], serde_json::json!(["repeatable-read"]));
}

#[test]
fn what_a_list_must_not_lack() {
    let kinds = |h: &History| -> Vec<String> {
        let v = verdict(h, "strict-serializable");
        let mut kinds: Vec<String> = v.anomalies.into_iter().map(|a| a.kind).collect();
        kinds.retain(|t| t.starts_with("fractured") || t.starts_with("causality"));
        kinds.dedup();
        kinds
    };
    let half = concurrent(&[
        r#"[["append","x",1],["append","y",1]]"#,
        r#"[["r","x",[1]],["r","y",[]]]"#,
        r#"[["r","y",[1]]]"#,
    ]);
    assert_eq!(kinds(&half), ["causality-violation", "fractured-read"]);
    let causes = concurrent(&[
        r#"[["append","x",1]]"#,
        r#"[["r","x",[1]],["append","y",1]]"#,
        r#"[["r","y",[1]],["r","x",[]]]"#,
    ]);
    assert_eq!(kinds(&causes), ["causality-violation"]);
    let own = history(&[
        (Invoke, 0, r#"[["append","x",1]]"#),
        (Ok, 0, r#"[["append","x",1]]"#),
        (Invoke, 0, r#"[["r","x",null]]"#),
        (Ok, 0, r#"[["r","x",[]]]"#),
    ]);
    assert_eq!(kinds(&own), ["causality-violation-process", "fractured-read-process"]);
    let skew = concurrent(&[r#"[["r","x",[]],["append","y",1]]"#, r#"[["r","y",[]],["append","x",1]]"#]);
    assert_eq!(kinds(&skew), [""; 0]);
}
