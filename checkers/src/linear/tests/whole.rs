//! From history to verdict and certificate, for every model by name.

use squall_history::{History, NEVER, Value};

use super::build::{Did, history};
use super::search::random_shape;
use crate::bench::Dice;
use crate::linear::{Options, check_model, verify};
use crate::models::{ModelName, list};
use crate::{Budget, Certificate, Valid, Verdict};

fn ints(items: &[i64]) -> Value {
    Value::list(items.iter().map(|&i| Value::Int(i)).collect::<Vec<_>>())
}

fn access(f: &str, key: i64, value: i64) -> Value {
    Value::list([Value::str(f), Value::Int(key), Value::Int(value)])
}

fn asked(key: i64) -> Value {
    Value::list([Value::str("r"), Value::Int(key), Value::Nil])
}

/// What operations of a model may look like; few values, so that legal orders are common.
fn vocabulary(model: ModelName) -> Vec<Did> {
    const N: Value = Value::Nil;
    let i = Value::Int;
    let s = |t: &str| Value::str(t);
    match model {
        ModelName::Register => vec![
            ("write", i(1), N),
            ("write", i(2), N),
            ("write", i(3), N),
            ("read", N, i(1)),
            ("read", N, i(2)),
            ("read", N, N),
        ],
        ModelName::CasRegister | ModelName::VersionedRegister => vec![
            ("write", i(1), N),
            ("write", i(2), N),
            ("read", N, i(1)),
            ("read", N, i(2)),
            ("cas", ints(&[1, 2]), N),
            ("cas", ints(&[2, 1]), N),
            ("cas", ints(&[1, 3]), s("mismatch")),
        ],
        ModelName::MultiRegister => vec![
            ("txn", Value::list([access("w", 0, 1)]), N),
            ("txn", Value::list([access("w", 0, 2), access("w", 1, 2)]), N),
            ("txn", Value::list([asked(0)]), Value::list([access("r", 0, 1)])),
            ("txn", Value::list([asked(0), asked(1)]), Value::list([access("r", 0, 2), access("r", 1, 2)])),
            ("txn", Value::list([access("w", 1, 1)]), N),
        ],
        ModelName::Mutex | ModelName::OwnerMutex => vec![("acquire", N, N), ("release", N, N)],
        ModelName::FencedMutex => {
            vec![("acquire", N, i(1)), ("acquire", N, i(2)), ("acquire", N, N), ("release", N, N)]
        }
        ModelName::Semaphore => {
            vec![("acquire", N, N), ("acquire", i(2), N), ("release", N, N), ("release", i(2), N)]
        }
        ModelName::Set => vec![
            ("add", i(1), N),
            ("add", i(2), N),
            ("add", i(3), N),
            ("read", N, ints(&[1])),
            ("read", N, ints(&[2, 1])),
            ("read", N, ints(&[])),
            ("read", N, ints(&[3])),
        ],
        ModelName::FifoQueue | ModelName::UnorderedQueue | ModelName::PriorityQueue => vec![
            ("enqueue", i(1), N),
            ("enqueue", i(2), N),
            ("enqueue", i(3), N),
            ("dequeue", N, i(1)),
            ("dequeue", N, i(2)),
            ("dequeue", N, i(3)),
            ("dequeue", N, N),
        ],
        ModelName::Stack => vec![
            ("push", i(1), N),
            ("push", i(2), N),
            ("push", i(3), N),
            ("pop", N, i(1)),
            ("pop", N, i(2)),
            ("pop", N, i(3)),
            ("pop", N, N),
        ],
        ModelName::Counter => vec![
            ("add", i(1), N),
            ("decrement", i(1), N),
            ("read", N, i(1)),
            ("read", N, i(0)),
            ("add-and-get", i(1), i(2)),
        ],
        ModelName::KvAppend => {
            vec![
                ("put", s("a"), N),
                ("append", s("b"), N),
                ("get", N, s("ab")),
                ("get", N, s("b")),
                ("get", N, s("a")),
            ]
        }
    }
}

fn options(model: ModelName) -> Options {
    let initial = if model == ModelName::Semaphore { Value::Int(2) } else { Value::Nil };
    Options { initial, certificate: true, ..Options::new(model) }
}

fn judged(history: &History, model: ModelName) -> Verdict {
    check_model(history, &options(model), &Budget::default())
}

/// The same without asking for an order, so that fast algorithms answer.
fn judged_fast(history: &History, model: ModelName) -> Verdict {
    check_model(history, &Options { certificate: false, ..options(model) }, &Budget::default())
}

/// A random history. `once` gives every update at most once, so that fast algorithms apply.
fn draw(dice: &mut Dice, model: ModelName, once: bool) -> History {
    let words = vocabulary(model);
    let n = 3 + dice.roll(6) as usize;
    let open = if dice.roll(2) == 0 { 0 } else { 5 };
    let shape = random_shape(dice, n, 3, open);
    let mut did: Vec<Did> = Vec::new();
    let mut tries = 0;
    while did.len() < n {
        let word = words[dice.roll(words.len() as u64) as usize].clone();
        tries += 1;
        if !once || word.1.is_nil() || !did.contains(&word) || tries > 100 {
            did.push(word);
        }
    }
    // An operation without an answer answers nothing.
    for (did, shape) in did.iter_mut().zip(&shape) {
        if shape.1 == NEVER {
            did.2 = Value::Nil;
        }
    }
    history(&shape, &did)
}

#[test]
fn every_verdict_carries_a_certificate_that_the_verifier_accepts() {
    let mut dice = Dice::new(11);
    for info in list() {
        let mut answers = [0, 0];
        for round in 0..1500 {
            let history = draw(&mut dice, info.model, round % 2 == 0);
            let verdict = judged(&history, info.model);
            let certificate = verdict.certificate.clone().unwrap_or_else(|| panic!("{verdict:?}"));
            let accepted = verify::accept(&history, &certificate);
            assert_eq!(accepted, Ok(()), "{} {verdict:?} {:?}", info.name, history.ops().collect::<Vec<_>>());
            answers[usize::from(verdict.valid == Valid::Yes)] += 1;
            let fast = judged_fast(&history, info.model);
            assert_eq!(
                fast.valid,
                verdict.valid,
                "{} {fast:?} {:?}",
                info.name,
                history.ops().collect::<Vec<_>>()
            );
            if let Some(certificate) = &fast.certificate {
                assert_eq!(verify::accept(&history, certificate), Ok(()), "{} {fast:?}", info.name);
            }
        }
        assert!(answers.iter().all(|&n| n > 20), "{}: {answers:?}", info.name);
    }
}

#[test]
fn the_verifier_rejects_what_is_not_so() {
    let (w, r) =
        (|v: i64| ("write", Value::Int(v), Value::Nil), |v: i64| ("read", Value::Nil, Value::Int(v)));
    let shape = [(0, 1), (2, 3), (4, 5)];
    let good = history(&shape, &[w(1), w(2), r(2)]);
    let bad = history(&shape, &[w(1), w(2), r(1)]);
    let model = ModelName::CasRegister;
    let order = judged(&good, model).certificate.unwrap();
    let none = judged(&bad, model).certificate.unwrap();
    assert_eq!((order.kind.as_str(), none.kind.as_str()), ("linearization", "nonlinearizable"));
    assert!(verify::accept(&bad, &order).is_err(), "the read does not fit");
    assert!(verify::accept(&good, &none).is_err(), "there is an order");
    let change = |certificate: &Certificate, path: &str, to: serde_json::Value| {
        let mut changed = certificate.clone();
        *changed.body.pointer_mut(path).unwrap() = to;
        changed
    };
    let late = change(&order, "/objects/0/order", serde_json::json!([1, 0, 2]));
    assert!(verify::accept(&good, &late).unwrap_err().contains("when it had completed"));
    let less = change(&order, "/objects/0/order", serde_json::json!([0, 1]));
    assert!(verify::accept(&good, &less).unwrap_err().contains("not in the order"));
    // A lone read of 1 has no explanation, but its write was left out.
    let lone = serde_json::json!([{"index": 2, "open": false}]);
    let lone = change(&change(&none, "/operations", lone), "/any_start", false.into());
    assert!(verify::accept(&bad, &lone).unwrap_err().contains("#0 is left out"));
}

#[test]
fn a_counterexample_is_minimal_and_says_why() {
    let (w, r) =
        (|v: i64| ("write", Value::Int(v), Value::Nil), |v: i64| ("read", Value::Nil, Value::Int(v)));
    let mut did = Vec::new();
    let mut shape = Vec::new();
    for i in 0..400u32 {
        did.push(if i % 2 == 0 { w(i64::from(i) % 10) } else { r(i64::from(i) % 10 - 1) });
        shape.push((2 * i, 2 * i + 1));
    }
    did[301] = r(4);
    let verdict = judged_fast(&history(&shape, &did), ModelName::CasRegister);
    let anomaly = &verdict.anomalies[0];
    assert_eq!(anomaly.operations, [300, 301], "{anomaly:?}");
    assert_eq!(anomaly.signature, "linearizable/nonlinearizable/cas-register/read");
    assert!(anomaly.explanation.contains("#301 read 4"), "{}", anomaly.explanation);
}

#[test]
fn a_spent_budget_ends_in_unknown_with_what_was_proven() {
    let load = crate::bench::Load { operations: 400, clients: 10, info_ppm: 0, seed: 2 };
    let history = crate::bench::register(load, 1, crate::bench::Values::Few(5));
    let options = Options { initial: 0.into(), ..Options::new(ModelName::CasRegister) };
    let mut budget = Budget::default();
    assert!(!budget.is_stopped());
    budget.memory_bytes = 64;
    let verdict = check_model(&history, &options, &budget);
    assert_eq!(verdict.valid, Valid::Unknown);
    let reason = verdict.reason.unwrap();
    assert!(reason.contains("memory limit") && reason.contains("completions are linearizable"), "{reason}");
    let budget = Budget::default();
    budget.stop();
    let verdict = check_model(&history, &options, &budget);
    assert!(verdict.valid == Valid::Unknown && verdict.reason.unwrap().contains("time limit"));
}

#[test]
fn more_pending_operations_than_a_word_has_bits_are_no_obstacle() {
    for clients in [63, 65, 130, 300, 1100] {
        // All writes overlap; then one read.
        let n = clients as u32;
        let mut shape: Vec<(u32, u32)> = (0..n).map(|i| (i, n + i)).collect();
        let mut did: Vec<Did> = (0..n).map(|_| ("write", Value::Int(1), Value::Nil)).collect();
        did[3].1 = Value::Int(2);
        shape.push((2 * n, 2 * n + 1));
        for (value, valid) in [(1, Valid::Yes), (2, Valid::Yes), (3, Valid::No)] {
            let read = ("read", Value::Nil, Value::Int(value));
            let did: Vec<Did> = did.iter().cloned().chain([read]).collect();
            let verdict = judged_fast(&history(&shape, &did), ModelName::CasRegister);
            assert_eq!(verdict.valid, valid, "{clients} {value} {:?}", verdict.reason);
        }
    }
}

#[test]
fn a_valid_run_of_busy_clients_has_a_certificate_and_a_changed_one_is_rejected() {
    let load = crate::bench::Load { operations: 600, clients: 8, info_ppm: 0, seed: 3 };
    let histories = [
        (ModelName::CasRegister, crate::bench::register(load, 1, crate::bench::Values::Unique)),
        (ModelName::CasRegister, crate::bench::register(load, 5, crate::bench::Values::Few(5))),
        (ModelName::Mutex, crate::bench::mutex(load)),
        (ModelName::FifoQueue, crate::bench::queue(load)),
        (ModelName::Set, crate::bench::set(load, 40)),
    ];
    for (model, history) in histories {
        let initial = if model == ModelName::CasRegister { Value::Int(0) } else { Value::Nil };
        let options = Options { initial, certificate: true, ..Options::new(model) };
        let verdict = check_model(&history, &options, &Budget::default());
        let mut certificate =
            verdict.certificate.unwrap_or_else(|| panic!("{model}: {:?}", verdict.warnings));
        assert_eq!(verify::accept(&history, &certificate), Ok(()), "{model}");
        let order = certificate.body.pointer_mut("/objects/0/order").unwrap().as_array_mut().unwrap();
        let (first, last) = (0, order.len() - 1);
        order.swap(first, last);
        assert!(verify::accept(&history, &certificate).is_err(), "{model}");
    }
}
