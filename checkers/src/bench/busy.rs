//! Histories of clients that are always busy.
//!
//! An operation lasts 10 to 109 ticks, the next begins 1 to 20 ticks later, and each takes effect at a
//! uniformly chosen instant in between; so a history is linearizable by construction, and about
//! 0.85 × clients operations overlap at any time. What an operation does and answers is decided in the
//! order of these instants, by a closure that plays the object.

use std::sync::Arc;

use squall_history::{Builder, Event, EventKind, History, Order, Value};

use super::Dice;

/// How many operations by how many clients, and how many of them stay without an answer.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Operations invoked.
    pub operations: u32,
    /// Clients at a time.
    pub clients: u32,
    /// Of operations that change something, how many end as `info`, in parts of a million.
    pub info_ppm: u64,
    /// Other seeds, other histories.
    pub seed: u64,
}

/// An operation as it is asked for.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The function.
    pub f: Arc<str>,
    /// The object, or nil.
    pub key: Value,
    /// The argument.
    pub input: Value,
    /// Whether it may end as `info`.
    pub may_be_lost: bool,
}

/// How the object answers.
#[derive(Clone, Debug)]
pub enum Answer {
    /// It took effect.
    Ok(Value),
    /// It did not.
    Fail,
}

#[derive(Clone, Copy)]
struct Planned {
    call: u32,
    effect: u32,
    ret: u32,
    process: u32,
    lost: bool,
    happens: bool,
}

/// Makes a history. `ask` draws an operation for a client; `answer` plays the object, in the order of effects.
pub fn busy(
    load: Load,
    mut ask: impl FnMut(&mut Dice, u32) -> Asked,
    mut answer: impl FnMut(&Asked, u32) -> Answer,
) -> History {
    let mut dice = Dice::new(load.seed);
    let mut asked = Vec::with_capacity(load.operations as usize);
    let plan = plan(load, &mut dice, |dice, client| {
        asked.push(ask(dice, client));
        asked[asked.len() - 1].may_be_lost
    });
    let mut order: Vec<u32> = (0..load.operations).collect();
    order.sort_by_key(|&i| plan[i as usize].effect);
    let mut answers: Vec<Option<Value>> = vec![None; plan.len()];
    for i in order {
        let at = i as usize;
        if plan[at].happens
            && let Answer::Ok(value) = answer(&asked[at], i % load.clients)
        {
            answers[at] = Some(value);
        }
    }
    build(&plan, &asked, answers)
}

fn plan(load: Load, dice: &mut Dice, mut ask: impl FnMut(&mut Dice, u32) -> bool) -> Vec<Planned> {
    let mut ready = vec![0u32; load.clients as usize];
    let mut process: Vec<u32> = (0..load.clients).collect();
    let mut fresh = load.clients;
    let mut plan = Vec::with_capacity(load.operations as usize);
    for i in 0..load.operations {
        let client = i % load.clients;
        let at = client as usize;
        let call = ready[at] + 1 + dice.roll(20) as u32;
        let lasts = 10 + dice.roll(100) as u32;
        let effect = call + dice.roll(u64::from(lasts)) as u32;
        let ret = call + lasts;
        ready[at] = ret;
        let lost = ask(dice, client) && dice.chance(load.info_ppm);
        let happens = !lost || dice.roll(2) == 0;
        plan.push(Planned { call, effect, ret, process: process[at], lost, happens });
        if lost {
            process[at] = fresh;
            fresh += 1;
        }
    }
    plan
}

fn build(plan: &[Planned], asked: &[Asked], mut answers: Vec<Option<Value>>) -> History {
    // At one tick invocations come first, as the house rule has it.
    let mut events: Vec<u64> = Vec::with_capacity(2 * plan.len());
    for (i, p) in plan.iter().enumerate() {
        events.push(u64::from(p.call) << 33 | i as u64);
        events.push(u64::from(p.ret) << 33 | 1 << 32 | i as u64);
    }
    events.sort_unstable();
    let mut builder = Builder::new(Order::AsGiven);
    for event in events {
        let (tick, completes, i) = (event >> 33, event >> 32 & 1 == 1, event as u32 as usize);
        let kind = match (completes, plan[i].lost, &answers[i]) {
            (false, ..) => EventKind::Invoke,
            (true, true, _) => EventKind::Info,
            (true, false, Some(_)) => EventKind::Ok,
            (true, false, None) => EventKind::Fail,
        };
        let value = if completes { answers[i].take().unwrap_or_default() } else { asked[i].input.clone() };
        let time = tick * 1000;
        let (f, key) = (asked[i].f.clone(), asked[i].key.clone());
        let event = Event { kind, process: plan[i].process, time, intended: time, f, key, value, meta: None };
        builder.push(event).expect("each client waits for its answer, and events are in order of time");
    }
    builder.finish().expect("events in the order given are accepted when pushed")
}
