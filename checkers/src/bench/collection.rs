//! Queues and sets under load, every element once.

use std::collections::VecDeque;
use std::sync::Arc;

use squall_history::{History, Value};

use super::busy::{Answer, Asked, Load, busy};

/// Half enqueues, half dequeues; a dequeue of an empty queue answers nil.
pub fn queue(load: Load) -> History {
    let names: [Arc<str>; 2] = ["enqueue".into(), "dequeue".into()];
    let mut next = 0;
    let ask = move |dice: &mut super::Dice, _client: u32| {
        let f = dice.roll(2) as usize;
        let mut element = || {
            next += 1;
            Value::Int(next)
        };
        let input = if f == 0 { element() } else { Value::Nil };
        Asked { f: names[f].clone(), key: Value::Nil, input, may_be_lost: f == 0 }
    };
    let mut held = VecDeque::new();
    busy(load, ask, move |asked, _client| {
        if &*asked.f == "enqueue" {
            held.push_back(asked.input.clone());
            return Answer::Ok(Value::Nil);
        }
        Answer::Ok(held.pop_front().unwrap_or_default())
    })
}

/// Adds, and about `reads` reads of the whole set among them.
pub fn set(load: Load, reads: u32) -> History {
    let names: [Arc<str>; 2] = ["add".into(), "read".into()];
    let mut next = 0;
    let share = u64::from(reads) * 1_000_000 / u64::from(load.operations);
    let ask = move |dice: &mut super::Dice, _client: u32| {
        let read = dice.chance(share);
        next += 1;
        let input = if read { Value::Nil } else { Value::Int(next) };
        Asked { f: names[usize::from(read)].clone(), key: Value::Nil, input, may_be_lost: !read }
    };
    let mut held: Vec<Value> = Vec::new();
    busy(load, ask, move |asked, _client| {
        if &*asked.f == "add" {
            held.push(asked.input.clone());
            return Answer::Ok(Value::Nil);
        }
        Answer::Ok(Value::list(held.clone()))
    })
}
