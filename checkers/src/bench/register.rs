//! Registers under load: one third each of reads, writes and cas, or unique writes and reads.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use squall_history::{History, Value};

use super::busy::{Answer, Asked, Load, busy};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One of this many values, by a write or a cas.
    Few(u64),
    /// Every write its own value; no cas; two reads for each write.
    Unique,
}

/// A register history; keys are numbers from 0, initial value 0. A cas that does not match is `fail`.
pub fn register(load: Load, keys: u64, values: Values) -> History {
    let names: [Arc<str>; 3] = ["read".into(), "write".into(), "cas".into()];
    let mut next = 0;
    let ask = move |dice: &mut super::Dice, _client: u32| {
        let mut f = dice.roll(3) as usize;
        if f == 2 && values == Values::Unique {
            f = 0;
        }
        let mut draw = |dice: &mut super::Dice| match values {
            Values::Few(n) => Value::Int(dice.roll(n) as i64),
            Values::Unique => {
                next += 1;
                Value::Int(next)
            }
        };
        let input = match f {
            0 => Value::Nil,
            1 => draw(dice),
            _ => {
                let old = draw(dice);
                Value::list([old, draw(dice)])
            }
        };
        let key = if keys > 1 { Value::Int(dice.roll(keys) as i64) } else { Value::Nil };
        Asked { f: names[f].clone(), key, input, may_be_lost: f != 0 }
    };
    let mut state: FxHashMap<Value, Value> = FxHashMap::default();
    busy(load, ask, move |asked, _client| act(state.entry(asked.key.clone()).or_insert(Value::Int(0)), asked))
}

fn act(now: &mut Value, asked: &Asked) -> Answer {
    match (&*asked.f, asked.input.as_pair()) {
        ("read", _) => return Answer::Ok(now.clone()),
        ("write", _) => *now = asked.input.clone(),
        (_, Some((old, new))) if old == now => *now = new.clone(),
        _ => return Answer::Fail,
    }
    Answer::Ok(asked.input.clone())
}

/// One register with reads, writes and cas of a thousand values, of which one read, after four fifths of the
/// operations, answers a value that was overwritten long before.
pub fn stale_register(load: Load) -> History {
    let names: [Arc<str>; 3] = ["read".into(), "write".into(), "cas".into()];
    let ask = move |dice: &mut super::Dice, _client: u32| {
        let f = dice.roll(3) as usize;
        let mut draw = || Value::Int(dice.roll(1000) as i64);
        let input = match f {
            0 => Value::Nil,
            1 => draw(),
            _ => Value::list([draw(), draw()]),
        };
        Asked { f: names[f].clone(), key: Value::Nil, input, may_be_lost: f != 0 }
    };
    let (mut now, mut seen, mut past) = (Value::Int(0), 0u32, Vec::new());
    let late = load.operations / 5 * 4;
    let mut broken = false;
    busy(load, ask, move |asked, _client| {
        seen += 1;
        let answer = act(&mut now, asked);
        if past.last() != Some(&now) {
            past.push(now.clone());
        }
        // A value long gone, and not written again since.
        let recent = &past[past.len().saturating_sub(100)..];
        let stale = past.iter().rev().skip(100).find(|v| !recent.contains(v));
        if !broken && seen > late && &*asked.f == "read" && stale.is_some() {
            broken = true;
            return Answer::Ok(stale.cloned().unwrap_or_default());
        }
        answer
    })
}
