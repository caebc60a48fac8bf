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
    busy(load, ask, move |asked, _client| {
        let now = state.entry(asked.key.clone()).or_insert(Value::Int(0));
        match (&*asked.f, asked.input.as_pair()) {
            ("read", _) => return Answer::Ok(now.clone()),
            ("write", _) => *now = asked.input.clone(),
            (_, Some((old, new))) if old == now => *now = new.clone(),
            _ => return Answer::Fail,
        }
        Answer::Ok(asked.input.clone())
    })
}
