//! The live check says what the batch check says of the history so far, as soon as nothing that was read from is
//! open; and never says more.

use std::collections::BTreeMap;

use squall_history::History;

use super::*;
use crate::txn::r#gen::{events, registers, wild};
use crate::txn::gen_store::Store;
use crate::txn::gen_weak::LaggingStore;
use crate::txn::models::MODELS;
use crate::txn::random::Random;
use crate::txn::strongest::{Plain, Reading};

fn batch_check(model: &'static Model) -> Box<dyn Check> {
    Box::new(Plain { model, reading: Reading { initial: Value::Nil, realtime: true } })
}

fn batch(events: &[Event], model: &'static Model) -> Verdict {
    batch_check(model).check(&history_of(events).unwrap(), &Budget::default())
}

/// Gives where the live check found something, and how many events after the batch check that was.
fn compare(h: &History, model: &'static Model, what: &str) -> Option<(usize, usize)> {
    let events = events(h);
    let mut live = LiveCausal::new(batch_check(model), 1);
    let mut first = None;
    for (i, e) in events.iter().enumerate() {
        live.push(e.clone());
        let says = live.judge(&Budget::default());
        let truth = batch(&events[..=i], model);
        let is_invalid = truth.valid == Valid::No;
        if is_invalid && first.is_none() {
            first = Some(i);
        }
        let quiet = live.txns.iter().all(|t| t.ended || !t.observed);
        if says.valid == Valid::No {
            assert!(is_invalid, "{what}, {}, event {i}: {says:#?}", model.name);
            assert_eq!(serde_json::to_string(&says).unwrap(), serde_json::to_string(&truth).unwrap());
            return Some((i, i - first.unwrap_or(i)));
        }
        assert!(!is_invalid || !quiet, "{what}, {}, event {i}: {truth:#?} {events:#?}", model.name);
    }
    None
}

fn followed() -> impl Iterator<Item = &'static Model> {
    MODELS.iter().filter(|m| LiveCausal::follows(m))
}

#[test]
fn an_invalid_prefix_is_found_once_what_was_read_from_has_ended() {
    let mut random = Random::new(33);
    let mut met: BTreeMap<&str, [u32; 3]> = BTreeMap::new();
    for round in 0..250 {
        let h = match round % 2 {
            0 => wild(&mut random, false, 7),
            _ => registers(&mut random, 9, 3, 2),
        };
        for m in followed() {
            let met = met.entry(m.name).or_default();
            match compare(&h, m, &format!("round {round}")) {
                None => met[0] += 1,
                Some((_, 0)) => met[1] += 1,
                Some(_) => met[2] += 1,
            }
        }
    }
    assert!(met.len() > 8 && met.iter().all(|(name, n)| *name == "read-uncommitted" || n[0] > 5), "{met:?}");
    assert!(met["causal"][1] > 20 && met["causal"][1] > 5 * met["causal"][2], "{met:?}");
}

#[test]
fn an_event_costs_the_same_however_long_the_run_is() {
    let causal = model("causal").unwrap();
    let histories = [
        Store { transactions: 8_000, lists: false, ..Store::default() }.run(5),
        LaggingStore { transactions: 3_000, sessions: 6, keys: 10, length: 3 }.run(6),
    ];
    for h in &histories {
        let mut live = LiveCausal::new(batch_check(causal), 1);
        for e in events(h) {
            live.push(e);
            assert_eq!(live.judge(&Budget::default()).valid, Valid::Yes);
        }
        // Nothing was ever judged as a whole, and nothing is left to look at.
        assert!(live.is_exact() && live.pace.judged == 0);
        assert!(live.txns.iter().all(|t| t.state == State::Settled));
    }
}

#[test]
fn other_models_are_not_followed() {
    let names: Vec<&str> = followed().map(|m| m.name).collect();
    assert!(names.contains(&"causal") && names.contains(&"monotonic-reads"), "{names:?}");
    assert!(!names.contains(&"serializable") && !names.contains(&"pram"), "{names:?}");
}
