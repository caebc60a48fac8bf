//! Histories made up from a seed: for tests, and for measuring the checkers.

use squall_history::{Builder, Event, EventKind, History, Order, Value};

use super::random::Random;

/// An event without key, due when it was sent.
pub fn event(kind: EventKind, process: u32, time: u64, f: &str, value: Value) -> Event {
    Event { kind, process, time, intended: time, f: f.into(), key: Value::Nil, value, meta: None }
}

/// The events of a history, as a run would tell them.
pub fn events(h: &History) -> Vec<Event> {
    let made = h.events().into_iter().enumerate().map(|(time, (kind, index))| {
        let op = h.op(index as usize);
        let value = if kind == EventKind::Ok { op.output } else { op.input };
        event(kind, op.process, time as u64, op.f, value.clone())
    });
    made.collect()
}

/// A micro-operation.
pub fn micro(f: &str, key: i64, value: Value) -> Value {
    Value::list([Value::str(f), Value::Int(key), value])
}

/// What is done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Micro {
    /// Read it.
    Read(i64),
    /// Append this, or write it.
    Change(i64, i64),
}

/// Puts invocations and completions together.
#[derive(Debug)]
pub struct Recorder {
    builder: Builder,
    time: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        Recorder { builder: Builder::new(Order::AsGiven), time: 0 }
    }
}

impl Recorder {
    /// Adds an event a microsecond after the last one. Panics if the process may not do this now.
    pub fn push(&mut self, kind: EventKind, process: u32, f: &str, value: Value) {
        self.time += 1000;
        self.builder
            .push(event(kind, process, self.time, f, value))
            .expect("generators complete what they invoked");
    }

    /// The history.
    pub fn finish(self) -> History {
        self.builder.finish().expect("events came in order")
    }
}

/// A few transactions with arbitrary outcomes, times and answers, many of them impossible: food for
/// comparisons with definitions. `lists` chooses between appends and plain writes.
pub fn wild(random: &mut Random, lists: bool, most: u64) -> History {
    let n = 1 + random.below(most);
    let (mut fresh, mut bodies) = ([0i64; 2], Vec::new());
    for _ in 0..n {
        let body: Vec<Micro> = (0..1 + random.below(3))
            .map(|_| {
                let key = random.below(2) as i64;
                if random.below(2) == 0 {
                    return Micro::Read(key);
                }
                fresh[key as usize] += 1;
                Micro::Change(key, fresh[key as usize])
            })
            .collect();
        bodies.push(body);
    }
    // For each key one order of most of its changes, of which reads see prefixes.
    let orders: Vec<Vec<i64>> = (0..2)
        .map(|key| {
            let mut order: Vec<i64> = (1..=fresh[key]).filter(|_| !random.one_in(8)).collect();
            for i in (1..order.len()).rev() {
                if random.one_in(3) {
                    order.swap(i, i - 1);
                }
            }
            order
        })
        .collect();
    record_wild(random, lists, &bodies, &orders)
}

fn record_wild(random: &mut Random, lists: bool, bodies: &[Vec<Micro>], orders: &[Vec<i64>]) -> History {
    let mut recorder = Recorder::default();
    let (mut open, mut next, mut processes): (Vec<(u32, usize)>, usize, u32) = (Vec::new(), 0, 0);
    let mut idle: Vec<u32> = Vec::new();
    while next < bodies.len() || !open.is_empty() {
        if next < bodies.len() && (open.is_empty() || random.below(2) == 0) {
            let process = idle.pop().unwrap_or_else(|| {
                processes += 1;
                processes - 1
            });
            recorder.push(EventKind::Invoke, process, "txn", asked(lists, &bodies[next]));
            open.push((process, next));
            next += 1;
            continue;
        }
        let (process, i) = open.swap_remove(random.below(open.len() as u64) as usize);
        let kind = match random.below(12) {
            0 => EventKind::Fail,
            1 => EventKind::Info,
            _ => EventKind::Ok,
        };
        let value =
            if kind == EventKind::Ok { answered(random, lists, &bodies[i], orders) } else { Value::Nil };
        recorder.push(kind, process, "txn", value);
        if kind != EventKind::Info {
            idle.push(process);
        }
    }
    recorder.finish()
}

/// A transaction as it is asked for.
pub fn asked(lists: bool, body: &[Micro]) -> Value {
    let change = if lists { "append" } else { "w" };
    let items: Vec<Value> = body
        .iter()
        .map(|m| match *m {
            Micro::Read(key) => micro("r", key, Value::Nil),
            Micro::Change(key, v) => micro(change, key, Value::Int(v)),
        })
        .collect();
    Value::list(items)
}

fn answered(random: &mut Random, lists: bool, body: &[Micro], orders: &[Vec<i64>]) -> Value {
    let change = if lists { "append" } else { "w" };
    let mut seen: [Option<Vec<i64>>; 2] = [None, None];
    let mut items = Vec::new();
    for m in body {
        match *m {
            Micro::Change(key, v) => {
                if let Some(state) = &mut seen[key as usize] {
                    state.push(v);
                }
                items.push(micro(change, key, Value::Int(v)));
            }
            Micro::Read(key) => {
                let order = &orders[key as usize];
                let fresh: Vec<i64> = order[..random.below(order.len() as u64 + 1) as usize].to_vec();
                let state = match seen[key as usize].take() {
                    Some(state) if !random.one_in(8) => state,
                    Some(_) | None => fresh,
                };
                let value = if lists {
                    Value::list(state.iter().map(|&v| Value::Int(v)).collect::<Vec<_>>())
                } else {
                    state.last().copied().into()
                };
                items.push(micro("r", key, value));
                seen[key as usize] = Some(state);
            }
        }
    }
    Value::list(items)
}

/// Single reads and writes (as transactions of one) by `processes` processes on `keys` keys, with arbitrary
/// answers: some operations overlap, none is unknown.
pub fn registers(random: &mut Random, most: u64, processes: u32, keys: u64) -> History {
    let n = 1 + random.below(most);
    let mut fresh = 0;
    let mut body: Vec<(u32, Micro)> = Vec::new();
    for _ in 0..n {
        let (process, key) = (random.below(u64::from(processes)) as u32, random.below(keys) as i64);
        if random.below(5) < 3 {
            body.push((process, Micro::Read(key)));
        } else {
            fresh += 1;
            body.push((process, Micro::Change(key, fresh)));
        }
    }
    let mut recorder = Recorder::default();
    for &(process, m) in &body {
        recorder.push(EventKind::Invoke, process, "txn", asked(false, &[m]));
        let value = match m {
            Micro::Change(..) => asked(false, &[m]),
            Micro::Read(key) => {
                let written: Vec<i64> = body
                    .iter()
                    .filter_map(|&(_, m)| match m {
                        Micro::Change(k, v) if k == key => Some(v),
                        Micro::Change(..) | Micro::Read(_) => None,
                    })
                    .collect();
                let pick = random.below(written.len() as u64 + 1) as usize;
                let value: Value = written.get(pick).copied().into();
                Value::list([micro("r", key, value)])
            }
        };
        recorder.push(EventKind::Ok, process, "txn", value);
    }
    recorder.finish()
}
