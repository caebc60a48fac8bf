use std::collections::BTreeMap;

use super::*;
use crate::txn::brute::{Follow, plain as definitions, serializable, snapshots};
use crate::txn::r#gen::{registers, wild};
use crate::txn::random::Random;

fn reading() -> Reading {
    Reading { initial: Value::Nil, realtime: true }
}

fn names(v: &Verdict, key: &str) -> Vec<String> {
    serde_json::from_value(v.details[key].clone()).unwrap()
}

/// Whoever implies something violated must not be said to hold.
fn consistent(ask: &dyn Fn(&'static Model) -> Option<Answer>, what: &str, h: &History) {
    let answers: Vec<(&'static Model, Answer)> =
        MODELS.iter().filter_map(|m| ask(m).map(|a| (m, a))).collect();
    for (m, a) in &answers {
        if !matches!(a, Answer::Holds(_)) {
            continue;
        }
        for (w, b) in &answers {
            let implies = implied(m).iter().any(|x| x.name == w.name);
            if implies && let Answer::Violated(why) = b {
                panic!("{what}: {} without {}: {why:#?}\n{:#?}", m.name, w.name, h.ops().collect::<Vec<_>>());
            }
        }
    }
}

#[test]
fn stronger_models_never_hold_where_weaker_ones_are_violated() {
    let mut random = Random::new(41);
    for round in 0..600 {
        let what = format!("round {round}");
        let h = if round % 2 == 0 { wild(&mut random, false, 5) } else { registers(&mut random, 9, 3, 2) };
        let asked = Plainly::new(&h, &Value::Nil, true, "test");
        consistent(&|m| asked.decide(m, &Budget::default()), &what, &h);
    }
    for round in 0..600 {
        let h = wild(&mut random, true, 5);
        let found = analysis(&h, true, &Budget::default());
        let ask = |m: &'static Model| {
            let verdict = found.verdict(m);
            Some(match verdict.valid {
                Valid::Yes if EXACT_ON_LISTS.contains(&m.name) => Answer::Holds(None),
                Valid::No => Answer::Violated(verdict.anomalies),
                Valid::Yes | Valid::Unknown => return None,
            })
        };
        consistent(&ask, &format!("lists, round {round}"), &h);
    }
}

#[test]
fn the_map_is_right_about_small_histories() {
    let mut random = Random::new(42);
    let mut met: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for round in 0..600 {
        let h = wild(&mut random, round % 2 == 0, 4);
        let all = definitions(&h);
        if all.len() > 4 || !all.iter().any(|t| t.txn.committed()) {
            continue;
        }
        let map = Strongest { reading: reading() }.map(&h, &Budget::default());
        for (name, truth) in [
            ("serializable", serializable(&all, Follow::Nothing)),
            ("strong-session-serializable", serializable(&all, Follow::Process)),
            ("strict-serializable", serializable(&all, Follow::Realtime)),
            ("snapshot-isolation", snapshots(&all, Follow::Nothing, true)),
            ("strong-snapshot-isolation", snapshots(&all, Follow::Realtime, true)),
            ("prefix", snapshots(&all, Follow::Nothing, false)),
        ] {
            let says = match map.answer(name) {
                Answer::Holds(_) => "holds",
                Answer::Violated(_) => "violated",
                Answer::Undecided(_) => "undecided",
            };
            *met.entry((name, says)).or_default() += 1;
            let lists_may_differ = form(&h) == Form::Lists && name.contains("snapshot");
            match says {
                "violated" => {
                    assert!(!truth, "round {round}: {name}: {map:#?} {:#?}", h.ops().collect::<Vec<_>>())
                }
                "holds" if !lists_may_differ => assert!(truth, "round {round}: {name}"),
                _ => {}
            }
        }
    }
    assert!(met.values().filter(|&&n| n > 10).count() >= 12, "{met:?}");
}

#[test]
fn a_verdict_names_both_borders() {
    use crate::txn::r#gen::Recorder;
    use squall_history::EventKind::{Invoke, Ok};
    // Write skew.
    let mut recorder = Recorder::default();
    let txns = [r#"[["r","x",null],["w","y",1]]"#, r#"[["r","y",null],["w","x",1]]"#];
    for kind in [Invoke, Ok] {
        for (i, t) in txns.iter().enumerate() {
            recorder.push(kind, i as u32, "txn", serde_json::from_str(t).unwrap());
        }
    }
    let h = recorder.finish();
    let v = Strongest { reading: reading() }.check(&h, &Budget::default());
    assert_eq!(names(&v, "strongest"), ["strong-snapshot-isolation", "causal-memory"]);
    assert_eq!(names(&v, "weakest_violated"), ["repeatable-read", "update-serializable"]);
    assert_eq!(v.details["violations"]["repeatable-read"]["type"], "G2-item");
    let plain = Plain { model: model("serializable").unwrap(), reading: reading() };
    let v = plain.check(&h, &Budget::default());
    assert_eq!((v.valid, v.anomalies[0].kind.as_str()), (Valid::No, "G2-item"));
    let plain = Plain { model: model("monotonic-view").unwrap(), reading: reading() };
    assert_eq!(plain.check(&h, &Budget::default()).valid, Valid::Yes);
    let plain = Plain { model: model("update-serializable").unwrap(), reading: reading() };
    let v = plain.check(&h, &Budget::default());
    assert_eq!((v.valid, v.anomalies[0].kind.as_str()), (Valid::No, "G-update"));
}

/// Transactions as JSON, one process each, all at once; `false`: it failed.
fn at_once(txns: &[(&str, bool)]) -> History {
    use crate::txn::r#gen::Recorder;
    use squall_history::EventKind::{Fail, Invoke, Ok};
    let mut recorder = Recorder::default();
    let value = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    for (process, (text, _)) in txns.iter().enumerate() {
        recorder.push(Invoke, process as u32, "txn", value(text));
    }
    for (process, (text, done)) in txns.iter().enumerate() {
        recorder.push(if *done { Ok } else { Fail }, process as u32, "txn", value(text));
    }
    recorder.finish()
}

fn judged(h: &History, name: &str) -> (Valid, Vec<String>) {
    let v = crate::Transactions { model: model(name), reading: reading() }.check(h, &Budget::default());
    assert!(v.valid != Valid::Unknown || v.reason.is_some());
    (v.valid, v.anomalies.into_iter().map(|a| a.kind).collect())
}

#[test]
fn duplicate_writes_leave_open_what_they_must_and_no_more() {
    let twice = [(r#"[["w","x",1]]"#, true), (r#"[["w","x",1]]"#, true), (r#"[["r","x",1]]"#, true)];
    assert_eq!(judged(&at_once(&twice), "serializable").0, Valid::Unknown);
    // If one of them failed, it was the other one.
    let one = [twice[0], (twice[1].0, false), twice[2]];
    assert_eq!(judged(&at_once(&one), "strict-serializable").0, Valid::Yes);
    // What is wrong elsewhere is still found.
    let more = [twice[0], twice[1], twice[2], (r#"[["r","y",7]]"#, true)];
    assert_eq!(judged(&at_once(&more), "serializable"), (Valid::No, vec!["ThinAirRead".to_owned()]));
    let lists =
        [(r#"[["append","x",1]]"#, true), (r#"[["append","x",1]]"#, true), (r#"[["r","x",[1]]]"#, true)];
    assert_eq!(judged(&at_once(&lists), "serializable").0, Valid::Unknown);
}

#[test]
fn reads_of_what_was_aborted_or_never_written_violate_read_committed() {
    let aborted = [(r#"[["w","x",1]]"#, false), (r#"[["r","x",1]]"#, true)];
    assert_eq!(judged(&at_once(&aborted), "read-committed"), (Valid::No, vec!["G1a".to_owned()]));
    let lists = [(r#"[["append","x",1]]"#, false), (r#"[["r","x",[1]]]"#, true)];
    assert_eq!(judged(&at_once(&lists), "read-committed"), (Valid::No, vec!["G1a".to_owned()]));
    let nobody = [(r#"[["w","x",1]]"#, true), (r#"[["r","x",2]]"#, true)];
    assert_eq!(judged(&at_once(&nobody), "read-committed"), (Valid::No, vec!["ThinAirRead".to_owned()]));
}

#[test]
fn a_transaction_may_touch_a_key_twice() {
    let twice = (r#"[["r","x",null],["w","x",1],["r","x",1],["w","x",2],["r","x",2]]"#, true);
    let after = (r#"[["r","x",2],["r","x",2]]"#, true);
    assert_eq!(judged(&at_once(&[twice, after]), "strict-serializable").0, Valid::Yes);
    let between = (r#"[["r","x",1]]"#, true);
    assert_eq!(judged(&at_once(&[twice, between]), "read-committed"), (Valid::No, vec!["G1b".to_owned()]));
    let forgets = (r#"[["w","y",1],["r","y",null]]"#, true);
    assert_eq!(judged(&at_once(&[forgets]), "read-atomic"), (Valid::No, vec!["internal".to_owned()]));
    assert_eq!(judged(&at_once(&[forgets]), "read-committed").0, Valid::Yes);
}

#[test]
fn initial_values_that_the_history_names_come_before_everything() {
    use squall_history::import;
    let read = |text: &str| import::read(text.as_bytes(), &import::Options::default()).unwrap().history;
    let valid = |h: &History, name: &str| {
        let reading = Reading { initial: Value::Nil, realtime: false };
        Plain { model: model(name).unwrap(), reading }.check(h, &Budget::default())
    };
    let first = "w(1,0,0,0)\nw(2,0,0,0)\n";
    let good = read(&format!("{first}r(1,0,1,0)\nw(1,5,1,1)\nr(1,5,2,0)\nr(2,0,2,1)\n"));
    assert_eq!(good.initial_operation, Some(0));
    let verdict = valid(&good, "serializable");
    assert_eq!((verdict.valid, &verdict.details["transactions"]), (Valid::Yes, &json!(4)));
    crate::txn::verify::verify(&good, &verdict.certificate.unwrap()).unwrap();
    // Going back to the initial value is a violation like any other.
    let bad = read(&format!("{first}w(1,5,1,0)\nr(1,5,2,0)\nr(1,0,2,1)\n"));
    let verdict = valid(&bad, "causal");
    assert_eq!((verdict.valid, verdict.anomalies[0].kind.as_str()), (Valid::No, "WriteCOInitRead"));
    crate::txn::verify::verify(&bad, &verdict.certificate.unwrap()).unwrap();
}

#[test]
fn what_nobody_can_read_leaves_everything_open() {
    use squall_history::import;
    let read = |outcome: &str| {
        let text = format!(
            "{{:type :invoke, :f :transfer, :value {{:from 0, :to 1}}, :process 0, :time 0, :index 0}}\n\
             {{:type :{outcome}, :f :transfer, :value {{:from 0, :to 1}}, :process 0, :time 10, :index 1}}\n\
             {{:type :invoke, :f :read, :value nil, :process 1, :time 20, :index 2}}\n\
             {{:type :ok, :f :read, :value 5, :process 1, :time 30, :index 3}}\n"
        );
        import::read(text.as_bytes(), &import::Options::default()).unwrap().history
    };
    let reading = Reading { initial: Value::Nil, realtime: true };
    let judged = |h: &History| {
        let causal = Plain { model: model("causal").unwrap(), reading: reading.clone() };
        let strongest = Strongest { reading: reading.clone() };
        [causal.check(h, &Budget::default()), strongest.check(h, &Budget::default())]
    };
    for outcome in ["ok", "info"] {
        for verdict in judged(&read(outcome)) {
            assert_eq!(verdict.valid, Valid::Unknown, "{verdict:?}");
        }
    }
    let [why, _] = judged(&read("ok"));
    assert!(why.reason.unwrap().contains("1 operation is neither"));
    // What failed has written nothing.
    assert_eq!(judged(&read("fail"))[0].valid, Valid::No);
}
