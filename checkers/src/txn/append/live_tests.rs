//! Event by event the live check says what the batch check says of the history so far.

use std::collections::BTreeMap;

use squall_history::History;

use super::*;
use crate::txn::r#gen::{events, wild};
use crate::txn::gen_store::Store;
use crate::txn::gen_weak::SnapshotStore;
use crate::txn::models::{Family, MODELS, model};
use crate::txn::random::Random;
use crate::txn::watch::history_of;

fn batch(events: &[Event], model: &'static Model) -> Verdict {
    ListAppend { model, realtime: true }.check(&history_of(events).unwrap(), &Budget::default())
}

fn text(verdict: &Verdict) -> String {
    serde_json::to_string(verdict).unwrap()
}

/// Feeds everything; both must find the same first invalid prefix, and say the same of it. Gives where.
fn compare(h: &History, model: &'static Model, what: &str) -> (Option<usize>, bool) {
    let events = events(h);
    let mut live = LiveAppend::new(model, 1);
    for (i, e) in events.iter().enumerate() {
        live.push(e.clone());
        let exact = live.is_exact();
        let says = live.judge(&Budget::default());
        let truth = batch(&events[..=i], model);
        let (found, is_invalid) = (says.valid == Valid::No, truth.valid == Valid::No);
        // As a whole it is judged at completions. Weak models allow reads of what is not appended yet, so there an
        // invocation may be the last straw.
        if !exact && e.kind == EventKind::Invoke && !found {
            continue;
        }
        assert_eq!(found, is_invalid, "{what}, {}, event {i}: {says:#?} {truth:#?}", model.name);
        if is_invalid {
            assert_eq!(text(&says), text(&truth), "{what}, {}", model.name);
            return (Some(i), exact);
        }
    }
    (None, live.is_exact())
}

#[test]
fn the_first_invalid_prefix_is_found_at_its_last_event() {
    let mut random = Random::new(31);
    let mut met: BTreeMap<&str, [u32; 3]> = BTreeMap::new();
    for round in 0..500 {
        let h = wild(&mut random, true, 8);
        for m in MODELS.iter().filter(|m| m.family == Family::Transactions) {
            let (found, exact) = compare(&h, m, &format!("round {round}"));
            let met = met.entry(m.name).or_default();
            met[usize::from(found.is_some())] += 1;
            met[2] += u32::from(exact);
        }
    }
    assert!(met.iter().all(|(_, n)| n[0] > 20 && n[1] > 20 && n[2] > 60), "{met:?}");
}

#[test]
fn strong_models_are_followed_event_by_event_to_the_end() {
    for seed in 0..4 {
        let h = Store { transactions: 120, sessions: 6, ..Store::default() }.run(seed);
        for name in ["strict-serializable", "serializable", "snapshot-isolation", "read-committed"] {
            assert_eq!(compare(&h, model(name).unwrap(), name), (None, true));
        }
        let h = SnapshotStore { transactions: 150, sessions: 6, keys: 4 }.run(seed);
        let (found, exact) = compare(&h, model("serializable").unwrap(), "skew");
        assert!(found.is_some() && exact);
        assert_eq!(compare(&h, model("snapshot-isolation").unwrap(), "skew"), (None, true));
        assert_eq!(compare(&h, model("strong-snapshot-isolation").unwrap(), "skew"), (None, true));
    }
}

#[test]
fn answers_of_another_shape_are_judged_as_a_whole() {
    let h = Store { transactions: 30, ..Store::default() }.run(1);
    let mut events = events(&h);
    // One transaction answers with a read that it was not asked for.
    let odd = Value::list([crate::txn::r#gen::micro("r", -5, Value::list([Value::Int(1)]))]);
    let at = events.iter().position(|e| e.kind == EventKind::Ok).unwrap();
    events[at].value = odd;
    let model = model("strict-serializable").unwrap();
    let mut live = LiveAppend::new(model, 1);
    for (i, e) in events.iter().enumerate() {
        live.push(e.clone());
        let (says, truth) = (live.judge(&Budget::default()), batch(&events[..=i], model));
        assert_eq!(says.valid == Valid::No, truth.valid == Valid::No, "event {i}");
        if truth.valid == Valid::No {
            assert_eq!((i, text(&says)), (at, text(&truth)));
            return;
        }
    }
    panic!("what nobody appended was read");
}

#[test]
fn an_event_costs_the_same_however_long_the_run_is() {
    let h = Store { transactions: 20_000, ..Store::default() }.run(5);
    let mut live = LiveAppend::new(model("strict-serializable").unwrap(), 1);
    for e in events(&h) {
        live.push(e);
        assert_eq!(live.judge(&Budget::default()).valid, Valid::Yes);
    }
    // Nothing was ever judged as a whole.
    assert!(live.is_exact() && live.pace.judged == 0);
}
