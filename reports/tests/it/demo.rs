//! Histories that look like real runs: a simulated register store under partitions, pauses and skewed
//! clocks. Pure and seeded. Values are right by construction: each operation takes effect at one moment
//! between its invocation and its completion, in the order of those moments.

use std::collections::BTreeMap;

use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::{Rng, SeedableRng};
use serde_json::{Value as Json, json};
use squall_checkers::run::{
    Availability, Errors, Exits, Failover, Latency, LogScan, Recovery, Stats, Vacuity,
};
use squall_checkers::{Anomaly, Budget, Check, Verdict};
use squall_history::{
    Builder, Event, EventKind, Fault, FaultPhase, History, Meta, NodeInfo, Note, Order, Outcome, Phase,
    ProcessInfo, RunHeader, SCHEMA_VERSION, Value,
};
use squall_reports::{Facts, LogLine, Message};

pub const S: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

pub struct Random(Pcg64Mcg);

impl Random {
    pub fn new(seed: u64) -> Self {
        Random(Pcg64Mcg::seed_from_u64(seed))
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0.next_u64() % n.max(1)
    }

    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Skewed to the right, as latencies are.
    fn latency(&mut self) -> u64 {
        let spread = (1.0 - self.unit()).ln().mul_add(-0.45, 0.25);
        let slow = if self.unit() < 0.01 { 6.0 } else { 1.0 };
        (spread * slow * 1.3 * MS as f64) as u64 + 180_000
    }
}

/// How long and how busy.
#[derive(Clone, Copy)]
pub struct Size {
    pub seconds: u64,
    pub workers: u32,
    /// Mean time between the operations of one worker.
    pub pause: u64,
}

pub const USUAL: Size = Size { seconds: 30, workers: 10, pause: 8 * MS };

struct Draft {
    process: u32,
    node: usize,
    start: u64,
    intended: u64,
    end: u64,
    effect: Option<u64>,
    f: &'static str,
    key: i64,
    input: Value,
    output: Value,
    kind: EventKind,
    error: Option<(&'static str, String)>,
}

/// One injection of the simulated run.
struct Storm {
    kind: &'static str,
    nodes: Vec<usize>,
    from: u64,
    to: u64,
    effective: Option<bool>,
}

fn storms(seconds: u64, effective: bool) -> Vec<Storm> {
    let mut all = Vec::new();
    for (i, from) in (3..seconds.saturating_sub(5)).step_by(7).enumerate() {
        let (kind, nodes) = match i % 3 {
            0 => ("partition", vec![i % 5, (i + 1) % 5]),
            1 => ("clock", vec![(i + 2) % 5]),
            _ => ("pause", vec![i % 5]),
        };
        let proof = Some(effective || kind != "partition");
        all.push(Storm { kind, nodes, from: from * S, to: (from + 4) * S, effective: proof });
    }
    all
}

/// A run that kept its promises; `effective` says whether its partitions did anything.
pub fn run(seed: u64, size: Size, effective: bool) -> History {
    let mut random = Random::new(seed);
    let storms = storms(size.seconds, effective);
    let mut drafts = Vec::new();
    let mut processes: Vec<ProcessInfo> = Vec::new();
    for worker in 0..size.workers {
        operate(worker, size, &storms, effective, &mut random, &mut drafts, &mut processes);
    }
    take_effect(&mut drafts);
    let mut builder = Builder::new(Order::ByTime);
    *builder.history_mut() = surroundings(seed, size, &storms, processes);
    for d in drafts {
        push(&mut builder, d);
    }
    builder.finish().unwrap()
}

/// One worker's operations; a process that gave up is retired, and the next takes its place.
fn operate(
    worker: u32,
    size: Size,
    storms: &[Storm],
    effective: bool,
    random: &mut Random,
    drafts: &mut Vec<Draft>,
    processes: &mut Vec<ProcessInfo>,
) {
    let node = worker as usize % 5;
    let open = |time, process| ProcessInfo { time, process, worker, node: format!("n{}", node + 1) };
    let mut process = worker;
    processes.push(open(0, process));
    let mut time = S / 2 + random.below(5 * MS);
    let mut due = time;
    let mut serial = 0i64;
    while time < size.seconds * S {
        let cut = storms.iter().find(|s| {
            effective && s.kind != "clock" && s.from <= time && time < s.to && s.nodes.contains(&node)
        });
        let election = storms
            .iter()
            .find(|s| effective && s.kind == "partition" && s.from <= time && time < s.from + 600 * MS);
        let wait = election.map_or(0, |s| s.from + 600 * MS - time);
        let key = (time / (10 * S)) as i64 * 8 + random.below(8) as i64;
        serial += 1;
        let unique = i64::from(worker) * 100_000 + serial;
        let (f, input) = match random.below(20) {
            0..10 => ("read", Value::Nil),
            10..17 => ("write", Value::Int(unique)),
            _ => ("cas", Value::list([Value::Int(random.below(50) as i64), Value::Int(unique)])),
        };
        let took = random.latency();
        let mut d = Draft {
            process,
            node,
            start: time,
            intended: due,
            end: time + wait + took,
            effect: Some(time + wait + took / 2 + random.below(took / 3)),
            f,
            key,
            input,
            output: Value::Nil,
            kind: EventKind::Ok,
            error: None,
        };
        if let Some(storm) = cut {
            give_up(&mut d, storm, random);
        }
        let retired = d.kind == EventKind::Info;
        time = d.end + 1 + random.below(2 * size.pause);
        due = time - random.below(size.pause / 4);
        drafts.push(d);
        if retired {
            process += size.workers;
            processes.push(open(time, process));
        }
    }
}

/// What an operation meets on a node that is cut off: reads fail, writes time out and nobody knows.
fn give_up(d: &mut Draft, storm: &Storm, random: &mut Random) {
    if d.f == "read" && storm.kind == "partition" {
        d.kind = EventKind::Fail;
        d.end = d.start + 250 * MS + random.below(20 * MS);
        d.effect = None;
        d.error = Some(("no leader", format!("503 Service Unavailable: no leader, asked n{}", d.node + 1)));
    } else {
        d.kind = EventKind::Info;
        d.end = d.start + 2 * S;
        // Some took effect late, some never.
        d.effect = (d.f != "read" && random.below(3) == 0).then_some(storm.to + random.below(50 * MS));
        d.error = Some(("time-out", "no answer within 2 s".into()));
    }
}

/// Runs the drafts against the simulated store, in the order of their effects.
fn take_effect(drafts: &mut [Draft]) {
    let mut order: Vec<usize> = (0..drafts.len()).filter(|i| drafts[*i].effect.is_some()).collect();
    order.sort_by_key(|i| drafts[*i].effect);
    let mut store: BTreeMap<i64, Value> = BTreeMap::new();
    for i in order {
        let d = &mut drafts[i];
        let state = store.entry(d.key).or_default();
        d.output = match d.f {
            "read" => state.clone(),
            "write" => {
                *state = d.input.clone();
                d.input.clone()
            }
            _ => match d.input.as_pair() {
                Some((old, new)) if *old == *state => {
                    *state = new.clone();
                    d.input.clone()
                }
                _ => Value::str("mismatch"),
            },
        };
    }
}

fn push(builder: &mut Builder, d: Draft) {
    let event = |kind, time, value, meta: Option<Meta>| Event {
        kind,
        process: d.process,
        time,
        intended: d.intended,
        f: d.f.into(),
        key: d.key.into(),
        value,
        meta: meta.map(Box::new),
    };
    let meta = d.error.clone().map(|(row, error)| Meta {
        row: Some(row.into()),
        error: Some(error),
        ..Meta::default()
    });
    let answer = if d.kind == EventKind::Ok { d.output.clone() } else { d.input.clone() };
    builder.push(event(EventKind::Invoke, d.start, d.input.clone(), None)).unwrap();
    builder.push(event(d.kind, d.end, answer, meta)).unwrap();
}

fn surroundings(seed: u64, size: Size, storms: &[Storm], mut processes: Vec<ProcessInfo>) -> History {
    processes.sort_by_key(|p| p.process);
    let end = size.seconds * S;
    let phase = |time, name: &str| Phase { time, name: name.into() };
    let phases = vec![
        phase(0, "setup"),
        phase(S / 2, "warm-up"),
        phase(2 * S, "main"),
        phase(end, "heal"),
        phase(end + S, "recovered"),
        phase(end + 2 * S, "end"),
    ];
    let name = |n: &usize| format!("n{}", n + 1);
    let mut history = History::default();
    (history.processes, history.phases) = (processes, phases);
    for (id, s) in storms.iter().enumerate() {
        let fault = |time, phase| Fault {
            time,
            phase,
            id: id as u32,
            kind: s.kind.into(),
            nodes: s.nodes.iter().map(name).collect(),
            description: match s.kind {
                "partition" => "both cut off from the other three".into(),
                "clock" => "wall clock 41.3 s ahead".into(),
                _ => "SIGSTOP".into(),
            },
            detail: Json::Null,
            effective: None,
            evidence: BTreeMap::new(),
        };
        history.faults.push(fault(s.from, FaultPhase::Begin));
        let dropped = if s.effective == Some(true) { 412 + id as u64 * 97 } else { 0 };
        let evidence = match s.kind {
            "partition" => BTreeMap::from([
                ("packets_dropped".into(), json!(dropped)),
                ("leader_changed".into(), json!(dropped > 0)),
            ]),
            "clock" => BTreeMap::from([("offset_seconds_seen".into(), json!(41.302))]),
            _ => BTreeMap::from([("state_seen".into(), json!("T (stopped)"))]),
        };
        history.faults.push(Fault { effective: s.effective, evidence, ..fault(s.to, FaultPhase::End) });
    }
    let note = |time, kind: &str, node: Option<String>, text: &str, data: Json| Note {
        time,
        kind: kind.into(),
        node,
        text: text.into(),
        data: serde_json::from_value(data).unwrap(),
    };
    history.notes.push(note(S / 3, "leader", Some("n1".into()), "n1 leads", json!({"term": 1})));
    for (i, s) in storms.iter().filter(|s| s.kind == "partition" && s.effective == Some(true)).enumerate() {
        let node = (s.nodes[0] + 2) % 5;
        history.notes.push(note(
            s.from + 500 * MS,
            "leader",
            Some(name(&node)),
            "leads",
            json!({"term": i + 2}),
        ));
    }
    history.notes.push(note(
        end + S,
        "recovery",
        None,
        "served again",
        json!({"recovered": true, "seconds": 0.84}),
    ));
    for s in storms.iter().filter(|s| s.kind == "clock") {
        for (time, offset) in [(s.from, 41.302), (s.from + 2 * S, -0.004), (s.to, 0.0)] {
            let node = Some(name(&s.nodes[0]));
            history.notes.push(note(time, "clock", node, "", json!({ "offset_seconds": offset })));
        }
    }
    for s in storms.iter().filter(|s| s.kind == "partition") {
        let others = (0..5).filter(|n| !s.nodes.contains(n));
        let pairs: Vec<(String, String)> =
            others.flat_map(|o| s.nodes.iter().map(move |n| (name(&o), name(n)))).collect();
        for (time, state) in [(s.from, "cut"), (s.to, "")] {
            let links: Vec<_> =
                pairs.iter().flat_map(|(a, b)| [json!([a, b, state]), json!([b, a, state])]).collect();
            history.notes.push(note(time, "links", None, "12 links changed", json!({ "links": links })));
        }
    }
    let faults: Vec<&str> = if storms.is_empty() { vec![] } else { vec!["partition", "clock", "pause"] };
    history.run = Some(Box::new(RunHeader {
        schema_version: SCHEMA_VERSION,
        name: "raftkv-register-partition-clock-pause".into(),
        target: "raftkv".into(),
        target_version: "0.1.0".into(),
        workload: "register".into(),
        consistency: "linearizable".into(),
        seed,
        nodes: (0..5).map(|n| NodeInfo { name: name(&n), address: format!("10.1.0.{}", n + 1) }).collect(),
        concurrency: size.workers,
        started_unix_nanos: 1_795_230_000 * S,
        options: json!({"faults": faults, "machine": {"kernel": "6.1.0", "cores": 2}, "rate": 1000}),
    }));
    history
}

/// Every check of a run, and a verdict in the place of the model's.
pub fn verdicts(history: &History, model: Verdict) -> Vec<Verdict> {
    let budget = Budget::default();
    let vacuity = Vacuity {
        floors: vec![("read".into(), 100), ("write".into(), 100)],
        faults: vec!["partition".into()],
    };
    let checks: [&dyn Check; 9] =
        [&Stats, &Errors, &Latency, &Availability, &Failover, &Recovery, &LogScan, &Exits, &vacuity];
    [model].into_iter().chain(checks.iter().map(|c| c.check(history, &budget))).collect()
}

/// A run in which one read returned a value that had been overwritten before it began, and the anomaly.
pub fn stale(seed: u64, size: Size) -> (History, Anomaly) {
    let history = run(seed, size, true);
    let (read, older, newer) = staleness(&history);
    let changed = with_answer(&history, read, history.op(older as usize).input.clone());
    let (r, o, n) = (changed.op(read as usize), changed.op(older as usize), changed.op(newer as usize));
    let explanation = format!(
        "#{read} read {} of key {}, but #{newer} had written {} and ended {:.1} ms before #{read} began.\n\
         The value that it read was written by #{older}, which had ended before #{newer} began: no order of \
         these operations that respects their times explains the answer.",
        r.output,
        r.key,
        n.input,
        (r.start - n.end) as f64 / 1e6
    );
    let anomaly = Anomaly {
        kind: "nonlinearizable".into(),
        signature: "linearizable/nonlinearizable/register/read".into(),
        explanation,
        operations: vec![o.index, n.index, r.index],
        details: [("last_states".to_owned(), json!([{
            "order": [o.index, n.index], "state": n.input.to_string(),
            "fails": {"operation": read, "why": format!("#{read} read {}, impossible with {}", r.output, n.input)},
        }]))]
        .into_iter()
        .collect(),
    };
    (changed, anomaly)
}

/// A read in the second fault window, and two writes to its key that had ended one after the other.
fn staleness(history: &History) -> (u32, u32, u32) {
    let ok = |f: &'static str| move |op: &squall_history::Op<'_>| op.f == f && op.outcome == Outcome::Ok;
    for read in history.ops().filter(ok("read")).filter(|r| r.start > 11 * S) {
        let same = |w: &squall_history::Op<'_>| w.key == read.key && w.end < read.start;
        let Some(newer) = history.ops().filter(ok("write")).rfind(same) else { continue };
        let Some(older) = history.ops().filter(ok("write")).filter(same).rfind(|w| w.end < newer.start)
        else {
            continue;
        };
        if read.start - older.start < S {
            return (read.index, older.index, newer.index);
        }
    }
    panic!("a run of this size has such a read");
}

/// The same history with another answer to one operation.
pub fn with_answer(history: &History, index: u32, answer: Value) -> History {
    let mut builder = Builder::new(Order::ByTime);
    let h = builder.history_mut();
    (h.run, h.processes) = (history.run.clone(), history.processes.clone());
    (h.phases, h.faults, h.notes) = (history.phases.clone(), history.faults.clone(), history.notes.clone());
    for op in history.ops() {
        let event = |kind, time, value: &Value, meta| Event {
            kind,
            process: op.process,
            time,
            intended: op.intended,
            f: op.f.into(),
            key: op.key.clone(),
            value: value.clone(),
            meta,
        };
        builder.push(event(EventKind::Invoke, op.start, op.input, None)).unwrap();
        let kind = match op.outcome {
            Outcome::Ok => EventKind::Ok,
            Outcome::Fail => EventKind::Fail,
            Outcome::Info => EventKind::Info,
        };
        let value = if op.index == index { &answer } else { op.output };
        builder
            .push(event(kind, op.end, value, history.meta(op.index as usize).cloned().map(Box::new)))
            .unwrap();
    }
    builder.finish().unwrap()
}

/// What the network and the nodes' logs might have shown around some operations: a leader's heartbeats to
/// followers of which one hears nothing.
pub fn seen(history: &History, around: &[u32], random: &mut Random) -> Facts {
    let from = history.op(around[0] as usize).start - 5 * MS;
    let to = history.op(*around.last().unwrap() as usize).end + 5 * MS;
    let (mut messages, mut logs) = (Vec::new(), Vec::new());
    for beat in (0..(to - from) / (2 * MS)).map(|i| from + i * 2 * MS) {
        for follower in ["n1", "n2", "n4", "n5"] {
            let sent = beat + random.below(80_000);
            let arrived = (follower != "n4").then(|| sent + 250_000 + random.below(400_000));
            let message = |sent, arrived, from: &str, to: &str, what: &str| Message {
                sent,
                arrived,
                from: from.into(),
                to: to.into(),
                what: what.into(),
            };
            messages.push(message(sent, arrived, "n3", follower, "append, term 2"));
            if let Some(heard) = arrived {
                let back = heard + 60_000;
                messages.push(message(back, Some(back + 300_000), follower, "n3", "append ok, term 2"));
            }
        }
        let text = format!("{} raft: no answer from n4 for {} ms", beat / MS, 40 + (beat - from) / MS);
        logs.push(LogLine { time: beat, node: "n3".into(), text });
    }
    Facts { messages, logs, ..Facts::default() }
}
