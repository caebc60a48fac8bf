//! The two lock checks against their definitions, on many small histories.

use squall_history::EventKind::{Fail, Info, Invoke, Ok};

use super::*;
use crate::Valid;
use crate::linear::{Linearizable, Options};
use crate::models::ModelName;
use crate::txn::r#gen::Recorder;
use crate::txn::random::Random;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn history(events: &[(squall_history::EventKind, u32, &str, &str)]) -> History {
    let mut recorder = Recorder::default();
    for &(kind, process, f, value) in events {
        recorder.push(kind, process, f, json(value));
    }
    recorder.finish()
}

fn kinds(check: &dyn Check, history: &History) -> Vec<String> {
    check.check(history, &Budget::default()).anomalies.into_iter().map(|a| a.kind).collect()
}

#[test]
fn a_holder_who_still_believes_and_one_who_gave_up() {
    // No time to live: nobody owes them anything.
    let taken = [(Invoke, 0, "acquire", "0"), (Ok, 0, "acquire", "[5,1]")];
    let other = [(Invoke, 1, "acquire", "0"), (Ok, 1, "acquire", "[9,2]")];
    let renew = [(Invoke, 0, "renew", "1"), (Fail, 0, "renew", "1")];
    let release = [(Invoke, 0, "release", "[5,1]"), (Fail, 0, "release", "[5,1]")];
    let two = ["two-holders"];
    assert_eq!(kinds(&Exclusion, &history(&[taken, other, renew].concat())), two);
    assert_eq!(kinds(&Exclusion, &history(&[taken, other, release].concat())), two);
    // It had begun to release, whether or not it could.
    assert!(kinds(&Exclusion, &history(&[taken, release, other, renew].concat())).is_empty());
    // Nothing shows that it believed for longer: it may have crashed, and leases are there for that.
    assert!(kinds(&Exclusion, &history(&[taken, renew, other].concat())).is_empty());
    let unclear = [(Invoke, 1, "acquire", "2000"), (Info, 1, "acquire", "2000")];
    assert!(kinds(&Exclusion, &history(&[taken, unclear, renew].concat())).is_empty());
    let nobody = history(&[(Invoke, 0, "acquire", "2000"), (Fail, 0, "acquire", "2000")]);
    assert_eq!(Exclusion.check(&nobody, &Budget::default()).valid, Valid::Unknown);
}

/// Processes that acquire and release in turn, at any times.
fn random_holds(random: &mut Random) -> History {
    let mut recorder = Recorder::default();
    let mut at = [0u64; 3];
    for step in 0..4 + random.below(9) {
        let p = random.below(3) as usize;
        let f = if at[p] % 4 < 2 { "acquire" } else { "release" };
        let (kind, value) = if at[p] % 2 == 0 {
            (Invoke, Value::Nil)
        } else {
            (Ok, Value::list([Value::Int(step as i64), 0.into()]))
        };
        recorder.push(kind, p as u32, f, value);
        at[p] += 1;
    }
    // What is open is completed: an acquire without an answer need not have happened.
    for (p, n) in at.iter().enumerate().filter(|(_, n)| **n % 2 == 1) {
        let f = if n % 4 < 2 { "acquire" } else { "release" };
        recorder.push(Ok, p as u32, f, Value::list([Value::Int(0), 0.into()]));
    }
    recorder.finish()
}

#[test]
fn exclusion_agrees_with_the_search_over_all_orders() {
    let search = Linearizable::new(Options::new(ModelName::OwnerMutex));
    let mut random = Random::new(5);
    let mut seen = [0; 2];
    for _ in 0..3000 {
        let history = random_holds(&mut random);
        // One who never releases holds for ever in the model, and here only as long as it showed it.
        let each = |f: &str| history.ops().filter(|op| op.f == f).count();
        if each("acquire") != each("release") {
            continue;
        }
        let (mine, truth) =
            (Exclusion.check(&history, &Budget::default()), search.check(&history, &Budget::default()));
        if each("acquire") > 0 {
            assert_eq!(mine.valid, truth.valid, "{:?}", history.ops().collect::<Vec<_>>());
            seen[usize::from(truth.valid == Valid::Yes)] += 1;
        }
    }
    assert!(seen.iter().all(|n| *n > 20), "{seen:?}");
}

/// Whether operations fit into some order: tokens grow, and a write finds the token of the write before it.
fn has_order(uses: &[Use], done: &mut Vec<usize>) -> bool {
    if done.len() == uses.len() {
        return true;
    }
    (0..uses.len()).filter(|i| !done.contains(i)).collect::<Vec<_>>().into_iter().any(|i| {
        let used = &uses[i];
        let first = (0..uses.len()).all(|j| done.contains(&j) || uses[j].completed >= used.invoked || i == j);
        let tokens = done.iter().map(|&j| uses[j].token);
        let grows = match used.before {
            None => tokens.max().is_none_or(|t| t < used.token),
            Some(_) => tokens.max().is_none_or(|t| t <= used.token),
        };
        let last = done.iter().rev().map(|&j| &uses[j]).find(|u| u.before.is_some()).map(|u| u.token);
        let found = used.before.is_none_or(|before| before == last);
        if !(first && grows && found) {
            return false;
        }
        done.push(i);
        let fits = has_order(uses, done);
        done.pop();
        fits
    })
}

#[test]
fn what_fencing_convicts_has_no_order_and_what_it_acquits_of_tokens_has_one() {
    let mut random = Random::new(11);
    let mut seen = [0; 2];
    for _ in 0..4000 {
        let mut recorder = Recorder::default();
        // Tokens that mostly grow; each process acquires, then writes.
        let (mut token, mut last) = (0i64, None::<i64>);
        let mut mine = [None::<i64>; 3];
        let mut open: Vec<(u32, &str, Value)> = Vec::new();
        for _ in 0..3 + random.below(4) {
            let p = random.below(3) as u32;
            if open.iter().any(|o| o.0 == p) {
                continue;
            }
            let (f, answer) = match mine[p as usize] {
                Some(t) if random.below(3) > 0 => {
                    let before = last.map_or(Value::Nil, Value::Int);
                    last = Some(t);
                    ("write", Value::list([Value::Int(t), before]))
                }
                _ => {
                    token += if random.one_in(9) { 0 } else { 1 };
                    mine[p as usize] = Some(token);
                    ("acquire", Value::list([Value::Int(token), Value::Int(0)]))
                }
            };
            recorder.push(Invoke, p, f, Value::Nil);
            open.push((p, f, answer));
            while !open.is_empty() && !random.one_in(3) {
                let (p, f, answer) = open.swap_remove(random.below(open.len() as u64) as usize);
                recorder.push(Ok, p, f, answer);
            }
        }
        for (p, f, answer) in open {
            recorder.push(Ok, p, f, answer);
        }
        let history = recorder.finish();
        let uses: Vec<Use> = history.ops().filter_map(|op| usage(&op)).collect();
        if uses.iter().all(|u| u.before.is_none()) {
            continue;
        }
        let verdict = Fencing.check(&history, &Budget::default());
        let ordered = has_order(&uses, &mut Vec::new());
        // A write whose answer never came may explain what another one found, so of what was found only
        // going back is wrong: the check convicts less than this definition, and never more.
        assert!(!ordered || verdict.valid == Valid::Yes, "{uses:?}: {:?}", verdict.anomalies);
        let blind: Vec<Use> = uses
            .iter()
            .map(|u| if u.before.is_some() { Use { before: Some(None), ..*u } } else { *u })
            .collect();
        if verdict.valid == Valid::Yes {
            assert!(fits_without_finds(&blind), "{uses:?}");
        }
        seen[usize::from(verdict.valid == Valid::Yes)] += 1;
    }
    assert!(seen.iter().all(|n| *n > 50), "{seen:?}");
}

/// As `has_order`, whatever writes found.
fn fits_without_finds(uses: &[Use]) -> bool {
    let mut order: Vec<&Use> = uses.iter().collect();
    order.sort_by_key(|u| (u.token, u.before.is_some(), u.invoked));
    let twice = order.windows(2).any(|w| w[0].token == w[1].token && w[1].before.is_none());
    let reversed =
        order.iter().enumerate().any(|(i, a)| order[i + 1..].iter().any(|b| b.completed < a.invoked));
    !twice && !reversed
}
