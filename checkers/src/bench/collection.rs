//! Queues, stacks and sets under load, every element once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use squall_history::{History, Value};

use super::busy::{Answer, Asked, Load, busy};

/// Half enqueues, half dequeues; a dequeue of an empty queue answers nil.
pub fn queue(load: Load) -> History {
    let mut held = VecDeque::new();
    half(load, ["enqueue", "dequeue"], false, move |put| match put {
        Some(element) => {
            held.push_back(element.clone());
            Value::Nil
        }
        None => held.pop_front().unwrap_or_default(),
    })
}

/// Half pushes, half pops; a pop of an empty stack answers nil.
pub fn stack(load: Load) -> History {
    let mut held = Vec::new();
    half(load, ["push", "pop"], false, move |put| match put {
        Some(element) => {
            held.push(element.clone());
            Value::Nil
        }
        None => held.pop().unwrap_or_default(),
    })
}

/// Half enqueues, in no order, half dequeues of the least; of an empty queue they answer nil.
pub fn priority_queue(load: Load) -> History {
    let mut held = BinaryHeap::new();
    half(load, ["enqueue", "dequeue"], true, move |put| match put {
        Some(element) => {
            held.push(Reverse(element.clone()));
            Value::Nil
        }
        None => held.pop().map(|Reverse(element)| element).unwrap_or_default(),
    })
}

/// Puts of unique numbers, growing or `mixed`, and as many takes; `act` plays the object.
fn half(load: Load, names: [&str; 2], mixed: bool, mut act: impl FnMut(Option<&Value>) -> Value) -> History {
    let names: [Arc<str>; 2] = names.map(Into::into);
    let mut next = 0i64;
    let ask = |dice: &mut super::Dice, _client: u32| {
        let f = dice.roll(2) as usize;
        let mut element = || {
            next += 1;
            // An odd factor gives each number below 2^31 another one.
            let number = if mixed { (next * 0x2c1b_3c6d) & 0x7fff_ffff } else { next };
            Value::Int(number)
        };
        let input = if f == 0 { element() } else { Value::Nil };
        Asked { f: names[f].clone(), key: Value::Nil, input, may_be_lost: f == 0 }
    };
    busy(load, ask, |asked, _client| {
        let put = *asked.f == *names[0];
        Answer::Ok(act(put.then_some(&asked.input)))
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
