//! Whatever a log holds, every check answers and a page is written.

use proptest::prelude::*;
use serde_json::json;
use squall_checkers::{Anomaly, Valid, Verdict};
use squall_history::{
    Builder, Event, EventKind, Fault, FaultPhase, History, Note, Order, Phase, ProcessInfo, Value,
};
use squall_reports::{Facts, LogLine, Message, document, index, junit, report, run_result, terminal};

use crate::demo;

fn time() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), 0..1000u64, 0..60_000_000_000u64, Just(u64::MAX - 1), Just(u64::MAX)]
}

fn word() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), Just("n1".to_owned()), "n[1-3]", "\\PC{0,6}"]
}

/// Any order of invocations and completions of four processes, each with what may stand beside it.
fn history() -> impl Strategy<Value = History> {
    let op = (0..4u32, time(), 0..4usize, word(), -3i64..3);
    let fault = (time(), any::<bool>(), 0..3u32, word(), word());
    let note_kinds = ["leader", "exit", "panic", "recovery", "clock", "offered", "warning", ""];
    let note = (time(), prop::sample::select(note_kinds.to_vec()), word(), -1.0..1e6f64, any::<bool>());
    let lists = (
        prop::collection::vec(op, 0..30),
        prop::collection::vec(fault, 0..6),
        prop::collection::vec(note, 0..8),
    );
    let phases =
        prop::collection::vec((time(), prop::sample::select(&["main", "heal", "end", "x"][..])), 0..4);
    (lists, phases).prop_map(|((ops, faults, notes), phases)| {
        let mut b = Builder::new(Order::ByTime);
        let h = b.history_mut();
        h.processes =
            (0..3).map(|p| ProcessInfo { time: 0, process: p, worker: p, node: format!("n{p}") }).collect();
        h.phases = phases.into_iter().map(|(time, name)| Phase { time, name: name.into() }).collect();
        h.faults = faults
            .into_iter()
            .map(|(time, begins, id, kind, node)| Fault {
                time,
                phase: if begins { FaultPhase::Begin } else { FaultPhase::End },
                id,
                kind,
                nodes: vec![node],
                description: String::new(),
                detail: json!(null),
                effective: Some(begins),
                evidence: Default::default(),
            })
            .collect();
        h.notes = notes
            .into_iter()
            .map(|(time, kind, node, x, flag)| Note {
                time,
                kind: kind.into(),
                node: Some(node),
                text: "t".into(),
                data: [
                    ("term", json!(x as i64)),
                    ("offset_seconds", json!(x)),
                    ("recovered", json!(flag)),
                    ("seconds", json!(x)),
                    ("expected", json!(flag)),
                    ("offered", json!(x as i64)),
                ]
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect(),
            })
            .collect();
        let mut last = [None::<u64>; 4];
        let mut events = Vec::new();
        for (process, time, how, key, value) in ops {
            // Within a process time goes on; an operation may stay open, and then it is the process's last.
            let start = match last[process as usize] {
                Some(u64::MAX) => continue,
                Some(before) => time.max(before + 1),
                None => time,
            };
            let event = |kind, time: u64| Event {
                kind,
                process,
                time,
                intended: time.saturating_sub(5),
                f: "f".into(),
                key: Value::str(key.clone()),
                value: value.into(),
                meta: None,
            };
            events.push(event(EventKind::Invoke, start));
            let kind = [EventKind::Ok, EventKind::Fail, EventKind::Info, EventKind::Invoke][how];
            let end = start.saturating_add(1 + value.unsigned_abs() * 400_000_000);
            last[process as usize] = Some(if kind == EventKind::Invoke { u64::MAX } else { end });
            if kind != EventKind::Invoke {
                events.push(event(kind, end));
            }
        }
        events.into_iter().for_each(|e| b.push(e).unwrap());
        b.finish().unwrap_or_default()
    })
}

proptest! {
    #[test]
    fn every_history_gives_a_page(h in history(), ops in prop::collection::vec(0..40u32, 0..4), text in "\\PC{0,30}", t in time()) {
        let anomaly = Anomaly {
            kind: text.clone(), signature: text.clone(), explanation: format!("#1 {text}"), operations: ops,
            details: Default::default(),
        };
        let verdicts = demo::verdicts(&h, Verdict::from_anomalies("model", vec![anomaly]));
        let node = || "n1".to_owned();
        let facts = Facts {
            messages: vec![Message { sent: t, arrived: Some(t), from: node(), to: text.clone(), what: text.clone() }],
            logs: vec![LogLine { time: t, node: node(), text: text.clone() }],
            ..Facts::default()
        };
        let result = run_result(&h, &verdicts, &facts);
        prop_assert_eq!(result.valid, Valid::No);
        let page = report(&h, &verdicts, &result, &facts);
        prop_assert!(page.ends_with("</html>"));
        prop_assert!(!terminal::summary(&result).is_empty());
        let document = document(None, vec![result]);
        prop_assert!(junit(&document).contains("</testsuites>"));
        prop_assert!(index(&text, &document, &[], &squall_reports::Past::default()).ends_with("</html>"));
    }
}
