//! A lock that clients try to take and give back.

use std::sync::Arc;

use squall_history::{History, Value};

use super::busy::{Answer, Asked, Load, busy};

/// Half of the operations try to acquire, half to release; what was not free or not held is `fail`.
pub fn mutex(load: Load) -> History {
    let names: [Arc<str>; 2] = ["acquire".into(), "release".into()];
    let ask = move |dice: &mut super::Dice, _client: u32| Asked {
        f: names[dice.roll(2) as usize].clone(),
        key: Value::Nil,
        input: Value::Nil,
        may_be_lost: true,
    };
    let mut held = false;
    busy(load, ask, move |asked, _client| {
        let acquires = &*asked.f == "acquire";
        if acquires == held {
            return Answer::Fail;
        }
        held = acquires;
        Answer::Ok(Value::Nil)
    })
}
