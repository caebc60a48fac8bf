use std::collections::BTreeMap;

use squall_history::EventKind::{Invoke, Ok};

use super::*;
use crate::causal::brute::{self, Sees};
use crate::txn::brute::{Follow, Plain as Txn, choices, plain as definitions, serializable};
use crate::txn::r#gen::{Recorder, registers, wild};
use crate::txn::models::model;
use crate::txn::random::Random;

fn verdict(h: &History, name: &str) -> Verdict {
    Causal { model: model(name).unwrap(), initial: Value::Nil }.check(h, &Budget::default())
}

fn compare(h: &History, met: &mut BTreeMap<(&'static str, bool), u32>, what: &str) {
    let all = definitions(h);
    if all.len() > 6 || !all.iter().any(|t| t.txn.committed()) {
        return;
    }
    let some = |holds: &dyn Fn(&[&Txn<'_>]) -> bool| choices(&all).any(|chosen| holds(&chosen));
    let sequential = serializable(&all, Follow::Process);
    let truths = [
        ("read-committed", some(&brute::read_committed)),
        ("read-atomic", some(&|t| brute::axiom(t, Sees::AllReads, false))),
        ("strong-session-read-committed", some(&|t| brute::axiom(t, Sees::EarlierReads, true))),
        ("strong-session-read-atomic", some(&|t| brute::axiom(t, Sees::AllReadsAndSession, true))),
        ("weak-causal", some(&brute::weak_causal)),
        ("causal", some(&brute::convergent)),
        ("causal-memory", some(&brute::memory)),
        ("pram", some(&brute::pram)),
    ];
    for (name, truth) in truths {
        assert!(truth || !sequential, "sequential implies {name}");
        let says = verdict(h, name);
        *met.entry((name, truth)).or_default() += 1;
        let ops: Vec<_> = h.ops().collect();
        assert_eq!(says.valid == Valid::Yes, truth, "{what}: {name}\n{ops:#?}\n{says:#?}");
    }
    for (i, j) in [(1, 0), (2, 0), (3, 1), (3, 2), (5, 3), (5, 4), (6, 4), (6, 7)] {
        assert!(!truths[i].1 || truths[j].1, "{what}: {} implies {}", truths[i].0, truths[j].0);
    }
}

#[test]
fn definitions_decide_single_operations() {
    let mut random = Random::new(21);
    let mut met = BTreeMap::new();
    for round in 0..15_000 {
        let h = registers(&mut random, 6, 3, 2);
        compare(&h, &mut met, &format!("round {round}"));
    }
    assert!(met.len() == 14 && met.values().all(|&n| n > 300), "{met:?}");
}

#[test]
fn definitions_decide_transactions() {
    let mut random = Random::new(22);
    let mut met = BTreeMap::new();
    for round in 0..8_000 {
        let h = wild(&mut random, false, 4);
        compare(&h, &mut met, &format!("round {round}"));
    }
    assert!(met.len() == 16 && met.values().all(|&n| n > 100), "{met:?}");
}

/// Single operations, each by a process, completed at once: `w x 1`, `r x 1`, `r x nil`.
fn ops(lines: &[(u32, &str)]) -> History {
    let mut recorder = Recorder::default();
    for (process, line) in lines {
        let words: Vec<&str> = line.split(' ').collect();
        let value = words[2].parse::<i64>().map_or(Value::Nil, Value::Int);
        let op = Value::list([Value::list([Value::str(words[0]), Value::str(words[1]), value])]);
        recorder.push(Invoke, *process, "txn", op.clone());
        recorder.push(Ok, *process, "txn", op);
    }
    recorder.finish()
}

fn holds(h: &History) -> Vec<&'static str> {
    ["weak-causal", "causal", "causal-memory", "pram"]
        .into_iter()
        .filter(|name| verdict(h, name).valid == Valid::Yes)
        .collect()
}

#[test]
fn known_examples_tell_the_models_apart() {
    // Bouajjani et al., figure 3: (a) CM but not CCv, (b) CCv but not CM.
    let a = ops(&[(0, "w x 1"), (1, "w x 2"), (0, "r x 2"), (1, "r x 1")]);
    assert_eq!(holds(&a), ["weak-causal", "causal-memory", "pram"]);
    let b = ops(&[
        (0, "w z 1"),
        (0, "w x 1"),
        (0, "w y 1"),
        (1, "w x 2"),
        (1, "r z nil"),
        (1, "r y 1"),
        (1, "r x 2"),
    ]);
    assert_eq!(holds(&b), ["weak-causal", "causal"]);
    // A reply is seen without its question.
    let c = ops(&[(0, "w q 1"), (1, "r q 1"), (1, "w a 1"), (2, "r a 1"), (2, "r q nil")]);
    assert_eq!(holds(&c), ["pram"]);
    assert_eq!(verdict(&c, "weak-causal").anomalies[0].kind, "WriteCOInitRead");
    // A process does not see its own write.
    let d = ops(&[(0, "w x 1"), (0, "r x nil")]);
    assert_eq!(holds(&d), [""; 0]);
    assert_eq!(verdict(&d, "pram").anomalies[0].kind, "pram-violation");
    // Two processes each read what the other wrote later.
    let e = ops(&[(0, "r x 1"), (1, "r y 1"), (0, "w y 1"), (1, "w x 1")]);
    assert_eq!(verdict(&e, "causal").anomalies[0].kind, "CyclicCO");
    let f = ops(&[(0, "w x 1"), (0, "w x 2"), (1, "r x 2"), (1, "r x 1")]);
    assert_eq!(verdict(&f, "weak-causal").anomalies[0].kind, "WriteCORead");
    assert_eq!(
        verdict(&f, "weak-causal").anomalies[0].explanation,
        "#0 comes before #1 because process 0 ran #0 before #1. Yet #1 comes before #0 because #3 read 1 from \
         key \"x\", which #0 wrote, although it knew #1, which wrote 2. So each comes before itself: a cycle."
    );
    assert_eq!(verdict(&ops(&[(0, "r x 7")]), "weak-causal").anomalies[0].kind, "ThinAirRead");
}

#[test]
fn each_session_guarantee_is_told_from_the_others() {
    use crate::causal::sessions::{Guarantees, session_guarantees};
    let broken = |h: &History| -> Vec<&str> {
        let prepared = prepare(h, &Value::Nil);
        [
            "read-your-writes",
            "monotonic-reads",
            "monotonic-writes",
            "writes-follow-reads",
            "session-guarantees",
        ]
        .into_iter()
        .filter(|name| {
            let wanted = Guarantees::of(name).unwrap();
            !session_guarantees(&prepared, "test", wanted, &Budget::default()).unwrap().is_empty()
        })
        .collect()
    };
    // An own write is not seen.
    assert_eq!(broken(&ops(&[(0, "w x 1"), (0, "r x nil")])), ["read-your-writes", "session-guarantees"]);
    // What was seen vanishes.
    let h = ops(&[(0, "w x 1"), (1, "r x 1"), (1, "r x nil")]);
    assert_eq!(broken(&h), ["monotonic-reads", "session-guarantees"]);
    // Two writes of a process are seen in the wrong order, without anything vanishing.
    let h = ops(&[(0, "w x 1"), (0, "w y 1"), (1, "r y 1"), (1, "r x nil")]);
    assert_eq!(broken(&h), ["session-guarantees"]);
    let h = ops(&[(0, "w x 1"), (0, "w x 2"), (1, "r x 2"), (1, "r x 1")]);
    assert_eq!(broken(&h), ["session-guarantees"]);
    // An answer is seen without its question.
    let h = ops(&[(0, "w q 1"), (1, "r q 1"), (1, "w a 1"), (2, "r a 1"), (2, "r q nil")]);
    assert_eq!(broken(&h), ["session-guarantees"]);
    // Seen together, in one transaction, they break their guarantee alone.
    let together = |first: &[(u32, &str)], last: &str| {
        let mut recorder = Recorder::default();
        let mut push = |process: u32, txn: Value| {
            recorder.push(Invoke, process, "txn", txn.clone());
            recorder.push(Ok, process, "txn", txn);
        };
        for &(process, txn) in first {
            push(process, serde_json::from_str(txn).unwrap());
        }
        push(9, serde_json::from_str(last).unwrap());
        recorder.finish()
    };
    let h = together(&[(0, r#"[["w","x",1]]"#), (0, r#"[["w","y",1]]"#)], r#"[["r","y",1],["r","x",null]]"#);
    assert_eq!(broken(&h), ["monotonic-writes", "session-guarantees"]);
    let h = together(
        &[(0, r#"[["w","x",1]]"#), (1, r#"[["r","x",1]]"#), (1, r#"[["w","y",1]]"#)],
        r#"[["r","y",1],["r","x",null]]"#,
    );
    assert_eq!(broken(&h), ["writes-follow-reads", "session-guarantees"]);
    // A process may disagree with another one for ever, but not with itself.
    let h = ops(&[(0, "w x 1"), (1, "w x 2"), (2, "r x 1"), (2, "r x 2"), (3, "r x 2"), (3, "r x 1")]);
    assert_eq!(broken(&h), [""; 0]);
    let h = ops(&[(0, "w x 1"), (1, "w x 2"), (2, "r x 1"), (2, "r x 2"), (2, "r x 1")]);
    assert_eq!(broken(&h), ["monotonic-reads", "session-guarantees"]);
}
