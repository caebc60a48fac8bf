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
    assert_eq!(names(&v, "weakest_violated"), ["repeatable-read"]);
    assert_eq!(v.details["violations"]["repeatable-read"]["type"], "G2-item");
    let plain = Plain { model: model("serializable").unwrap(), reading: reading() };
    let v = plain.check(&h, &Budget::default());
    assert_eq!((v.valid, v.anomalies[0].kind.as_str()), (Valid::No, "G2-item"));
    let plain = Plain { model: model("monotonic-view").unwrap(), reading: reading() };
    assert_eq!(plain.check(&h, &Budget::default()).valid, Valid::Yes);
    let plain = Plain { model: model("update-serializable").unwrap(), reading: reading() };
    assert_eq!(plain.check(&h, &Budget::default()).valid, Valid::Unknown);
}
