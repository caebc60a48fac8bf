//! A log is cut and damaged everywhere; what is read must stay a prefix of what was recorded.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::*;

/// A frame's events and its watermark.
type Sealed = (Vec<Event>, u64);

fn event(kind: EventKind, process: u32, time: u64, value: Value) -> Event {
    Event { kind, process, time, intended: time, f: "write".into(), key: Value::Nil, value, meta: None }
}

/// Writes a log; gives its bytes and the offset at which each frame ends.
fn write(frames: &[Sealed]) -> (Vec<u8>, Vec<usize>) {
    let mut log = LogWriter::new(Vec::new()).unwrap();
    let mut ends = Vec::new();
    for (events, watermark) in frames {
        for event in events {
            log.push_event(event);
        }
        log.seal(*watermark).unwrap();
        ends.push(log.bytes_written() as usize);
    }
    assert_eq!(log.entries(), frames.iter().map(|f| f.0.len() as u64).sum::<u64>());
    (log.into_inner(), ends)
}

/// Clients that take turns as chance has it, recorded by a log that is sealed now and then: each event reaches
/// the frame of its time or, being recorded late, the next one.
fn any_log(clients: u32, steps: usize) -> impl Strategy<Value = Vec<Sealed>> {
    prop::collection::vec((0..clients, 0u64..4, any::<bool>(), 0u8..10), 1..steps).prop_map(move |steps| {
        let mut frames = vec![(Vec::new(), 0)];
        let mut late: Vec<Event> = Vec::new();
        let mut open: Vec<Option<u64>> = vec![None; clients as usize];
        let mut process: Vec<u32> = (0..clients).collect();
        let (mut now, mut fresh) = (1, clients);
        for (n, (client, pause, hurry, dice)) in steps.into_iter().enumerate() {
            now += pause;
            let c = client as usize;
            // Times are strictly increasing within a process.
            if open[c].is_some_and(|since| since >= now) {
                now += 1;
            }
            let kind = match (open[c], dice) {
                (None, _) => EventKind::Invoke,
                (Some(_), 0) => EventKind::Info,
                (Some(_), 1) => EventKind::Fail,
                (Some(_), _) => EventKind::Ok,
            };
            let e = event(kind, process[c], now, Value::Int(n as i64 / 2));
            open[c] = if kind == EventKind::Invoke { Some(now) } else { None };
            if kind == EventKind::Info {
                process[c] = fresh;
                fresh += 1;
            }
            if kind != EventKind::Invoke {
                now += 1;
            }
            if hurry {
                frames.last_mut().unwrap().0.push(e)
            } else {
                late.push(e)
            }
            if dice == 9 {
                let earliest = late.iter().map(|e| e.time).min().unwrap_or(now).min(now);
                frames.last_mut().unwrap().1 = earliest - 1;
                frames.push((std::mem::take(&mut late), 0));
            }
        }
        let last = frames.last_mut().unwrap();
        last.0.append(&mut late);
        last.1 = now + 1;
        // A watermark never falls.
        let mut high = 0;
        for frame in &mut frames {
            high = high.max(frame.1);
            frame.1 = high;
        }
        frames
    })
}

/// `part` may differ from the beginning of `full` only in operations that were open at its watermark, and these
/// must be `info`.
fn assert_prefix(part: &History, full: &History, watermark: u64) {
    assert!(part.len() <= full.len());
    assert_eq!(part.len(), full.ops().filter(|op| op.start <= watermark).count());
    for (a, b) in part.ops().zip(full.ops()) {
        assert_eq!((a.process, a.f, a.key, a.input, a.start), (b.process, b.f, b.key, b.input, b.start));
        assert_eq!(a.invoked, b.invoked);
        if b.end <= watermark {
            assert_eq!((a.outcome, a.completed, a.end, a.output), (b.outcome, b.completed, b.end, b.output));
        } else {
            assert_eq!((a.outcome, a.completed, a.output), (Outcome::Info, NEVER, &Value::Nil));
        }
    }
}

fn last_watermark(frames: &[Sealed], ends: &[usize], cut: usize) -> u64 {
    let whole = ends.iter().filter(|&&end| end <= cut).count();
    if whole == 0 { 0 } else { frames[whole - 1].1 }
}

fn check_cut(frames: &[Sealed], log: &[u8], ends: &[usize], full: &History, cut: usize) {
    if cut == 0 {
        assert!(matches!(read_log(&log[..0]), Err(ReadError::Empty)));
        return;
    }
    let (part, skipped) = read_log(&log[..cut]).unwrap();
    assert_prefix(&part, full, last_watermark(frames, ends, cut));
    let whole = ends.iter().rev().find(|&&end| end <= cut).copied().unwrap_or(0);
    assert_eq!(skipped.bytes, (cut - whole) as u64);
    assert_eq!(skipped.reason.is_empty(), skipped.bytes == 0 && skipped.events == 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_log_cut_at_any_byte_is_a_prefix(frames in any_log(3, 60)) {
        let (log, ends) = write(&frames);
        let (full, skipped) = read_log(&log[..]).unwrap();
        prop_assert_eq!(skipped, Skipped::default());
        prop_assert_eq!(full.len(), frames.iter().flat_map(|f| &f.0).filter(|e| e.kind == EventKind::Invoke).count());
        for cut in 0..log.len() {
            check_cut(&frames, &log, &ends, &full, cut);
        }
    }

    #[test]
    fn a_larger_log_cut_at_many_bytes_is_a_prefix(frames in any_log(9, 2000), cuts in prop::collection::vec(any::<prop::sample::Index>(), 40)) {
        let (log, ends) = write(&frames);
        let (full, _) = read_log(&log[..]).unwrap();
        for cut in cuts {
            check_cut(&frames, &log, &ends, &full, cut.index(log.len()));
        }
    }

    #[test]
    fn a_flipped_byte_never_makes_another_history(frames in any_log(3, 60), bit in 0u32..8) {
        let (mut log, ends) = write(&frames);
        let (full, _) = read_log(&log[..]).unwrap();
        let last_frame = ends.len().checked_sub(2).map_or(0, |i| ends[i]);
        for at in 0..log.len() {
            log[at] ^= 1 << bit;
            match read_log(&log[..]) {
                Err(ReadError::Damaged { offset, .. }) => prop_assert!(offset as usize <= at),
                Err(e) => prop_assert!(matches!(e, ReadError::NotALog { .. }) && at < 4, "{}", e),
                // Some bits of a frame's header mean nothing.
                Ok((read, skipped)) if skipped == Skipped::default() => assert_prefix(&read, &full, u64::MAX - 1),
                Ok((read, skipped)) => {
                    prop_assert!(at >= last_frame, "damage at {at} was taken for a torn tail");
                    prop_assert_eq!(skipped.bytes as usize, log.len() - last_frame);
                    assert_prefix(&read, &full, last_watermark(&frames, &ends, last_frame));
                }
            }
            log[at] ^= 1 << bit;
        }
    }

    #[test]
    fn the_merger_gives_out_the_order_of_the_history(frames in any_log(4, 120)) {
        let mut merger = Merger::new();
        let mut given = Vec::new();
        for (events, watermark) in &frames {
            events.iter().for_each(|e| merger.push(e.clone()));
            given.extend(merger.advance(*watermark));
            prop_assert!(given.iter().all(|e| e.time <= *watermark));
        }
        prop_assert_eq!((merger.late(), merger.waiting()), (0, 0));
        let mut all: Vec<Event> = frames.into_iter().flat_map(|f| f.0).collect();
        all.sort_by_key(|e| (e.time, e.kind != EventKind::Invoke));
        prop_assert_eq!(given, all);
    }
}

fn every_kind_of_entry() -> Vec<Entry> {
    let mut noted = event(EventKind::Invoke, 7, 40, Value::list([Value::Int(1), Value::Nil]));
    noted.key = Value::str("k\"ey");
    noted.intended = 35;
    let mut answer = event(EventKind::Fail, 7, 50, Value::Nil);
    answer.meta = Some(Box::new(Meta {
        node: Some("n1".into()),
        error: Some("refused \u{1} \\".into()),
        row: Some("connect".into()),
        revision: Some(-3),
        more: BTreeMap::from([("tries".into(), serde_json::json!([1, {"a": 0.5}]))]),
    }));
    let mut bare = event(EventKind::Ok, 8, u64::MAX / 2, Value::str("é\n"));
    bare.meta = Some(Box::default());
    let run = RunHeader {
        schema_version: SCHEMA_VERSION,
        name: "a run".into(),
        nodes: vec![NodeInfo { name: "n1".into(), address: "10.0.0.1".into() }],
        started_unix_nanos: 1_700_000_000_000_000_000,
        options: serde_json::json!({"type": "mark", "entries": [1]}),
        ..RunHeader::default()
    };
    let fault = Fault {
        time: 42,
        phase: FaultPhase::End,
        id: 3,
        kind: "partition".into(),
        nodes: vec!["n1".into(), "n2".into()],
        description: "cut".into(),
        detail: serde_json::Value::Null,
        effective: Some(true),
        evidence: BTreeMap::from([("dropped".into(), 7.into())]),
    };
    let note = Note { time: 43, kind: "leader".into(), node: Some("n2".into()), ..Note::default() };
    vec![
        Entry::Run(Box::new(run)),
        Entry::Process(ProcessInfo { time: 1, process: 7, worker: 2, node: "n1".into() }),
        Entry::Phase(Phase { time: 2, name: "main".into() }),
        Entry::Op(noted),
        Entry::Fault(Box::new(fault)),
        Entry::Note(Box::new(note)),
        Entry::Op(answer),
        Entry::Op(bare),
    ]
}

#[test]
fn every_kind_of_entry_comes_back_as_it_was() {
    let entries = every_kind_of_entry();
    let mut log = LogWriter::new(Vec::new()).unwrap();
    entries.iter().take(5).for_each(|e| log.push(e));
    log.seal(42).unwrap();
    entries.iter().skip(5).for_each(|e| log.push(e));
    log.seal(u64::MAX).unwrap();
    let log = log.into_inner();
    let back: Vec<Entry> = LogReader::new(&log[..]).entries().collect::<Result<_, _>>().unwrap();
    assert_eq!(back, entries);
}

#[test]
fn a_log_of_a_later_format_is_refused_by_name() {
    for (version, read) in [(SCHEMA_VERSION, true), (SCHEMA_VERSION + 1, false)] {
        let mut log = LogWriter::new(Vec::new()).unwrap();
        log.push(&Entry::Run(Box::new(RunHeader { schema_version: version, ..RunHeader::default() })));
        log.seal(1).unwrap();
        match read_log(&log.into_inner()[..]) {
            Ok(_) => assert!(read),
            Err(e) => assert!(!read && e.to_string().contains("a later version of squall (format"), "{e}"),
        }
    }
}

#[test]
fn a_log_is_lines_of_json_to_anyone_who_unpacks_it() {
    let mut log = LogWriter::new(Vec::new()).unwrap();
    every_kind_of_entry().iter().for_each(|e| log.push(e));
    log.seal(60).unwrap();
    log.push(&Entry::Phase(Phase { time: 61, name: "end".into() }));
    log.seal(61).unwrap();
    let unpacked = zstd::stream::decode_all(&log.into_inner()[..]).unwrap();
    let lines: Vec<serde_json::Value> = unpacked
        .split(|&b| b == b'\n')
        .filter(|l| !l.is_empty())
        .map(|l| serde_json::from_slice(l).unwrap())
        .collect();
    let kinds: Vec<&str> = lines.iter().map(|l| l["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["run", "process", "phase", "invoke", "fault", "note", "fail", "ok", "mark", "phase", "mark"]
    );
    assert_eq!(lines[8], serde_json::json!({"type": "mark", "time": 60, "entries": 8}));
    assert_eq!(lines[3]["intended"], 35);
}

#[test]
fn a_completion_after_the_watermark_is_dropped_and_its_operation_open() {
    let events = vec![event(EventKind::Invoke, 0, 5, 1.into()), event(EventKind::Ok, 0, 9, 1.into())];
    let (log, _) = write(&[(events, 8)]);
    let (history, skipped) = read_log(&log[..]).unwrap();
    assert_eq!((history.len(), history.op(0).outcome, history.op(0).end), (1, Outcome::Info, u64::MAX));
    assert_eq!((skipped.bytes, skipped.events), (0, 1));
    assert_eq!(skipped.reason, "the last events are later than the last watermark");
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let message = |bytes: &[u8]| read_log(bytes).unwrap_err().to_string();
    assert_eq!(message(b""), "the log is empty: expected at least one zstd frame of JSON lines");
    assert_eq!(
        message(b"{\"type\":\"run\"}"),
        "this is no run log: expected a zstd frame (bytes 28 b5 2f fd) at its start, found 7b 22 74 79 70 65 22 3a"
    );
    let frames = [(vec![event(EventKind::Invoke, 0, 5, 1.into())], 6), (Vec::new(), 7)];
    let (mut log, ends) = write(&frames);
    log[ends[0] - 1] ^= 1;
    assert_eq!(
        message(&log),
        "the log is damaged in frame 1, at byte 0: Restored data doesn't match checksum"
    );
    let (log, _) = write(&[(Vec::new(), 4), (vec![event(EventKind::Ok, 0, 5, 1.into())], 6)]);
    assert_eq!(
        message(&log),
        "the log contradicts itself: process 0 completes `write` (Ok), but has invoked nothing"
    );
    let (late, ends) = write(&[(Vec::new(), 4), (vec![event(EventKind::Invoke, 0, 3, 1.into())], 6)]);
    assert_eq!(
        message(&late),
        format!(
            "the log is damaged in frame 2, at byte {}: it holds an event that an earlier watermark had ruled out",
            ends[0]
        )
    );
    let foreign = [frame_of("{\"type\":\"invoke\"}\n"), frame_of("{}\n")].concat();
    assert_eq!(
        message(&foreign),
        "the log is damaged in frame 1, at byte 0: its line 1: expected an operation with `process`, `time` and `f`"
    );
}

#[test]
fn a_frame_has_one_mark_at_its_end_that_counts_right() {
    let phase = "{\"type\":\"phase\",\"time\":1,\"name\":\"main\"}\n";
    let mark = |n: u32| format!("{{\"type\":\"mark\",\"time\":2,\"entries\":{n}}}\n");
    let sound = frame_of(&mark(0));
    let reason = |lines: &str| {
        let log = [frame_of(lines), sound.clone()].concat();
        read_log(&log[..])
            .unwrap_err()
            .to_string()
            .split_off("the log is damaged in frame 1, at byte 0: ".len())
    };
    assert_eq!(reason(&[phase, &mark(2)].concat()), "its mark counts 2 entries, but it holds 1");
    assert_eq!(reason(&[&mark(0), phase].concat()), "something follows its mark");
    assert_eq!(reason(phase), "it does not end in a mark");
    assert_eq!(reason(""), "it does not end in a mark");
    assert_eq!(reason("{\"type\":\"mark\",\"time\":2}\n"), "its mark lacks `time` or `entries`");
    assert_eq!(reason(&mark(0).replace('}', "} ")), "its line 1: expected the line to end after its object");
    assert_eq!(reason(&phase[..20]), "its line 1 is cut short");
    assert_eq!(read_log(&sound[..]).unwrap().0.len(), 0);
}

fn frame_of(lines: &str) -> Vec<u8> {
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    compressor.set_parameter(zstd::zstd_safe::CParameter::ChecksumFlag(true)).unwrap();
    compressor.compress(lines.as_bytes()).unwrap()
}

#[test]
fn a_tail_of_zeros_is_torn_too() {
    let frames = [(vec![event(EventKind::Invoke, 0, 5, 1.into())], 6), (Vec::new(), 7)];
    let (mut log, ends) = write(&frames);
    log[ends[0]..].fill(0);
    let (history, skipped) = read_log(&log[..]).unwrap();
    assert_eq!((history.len(), skipped.bytes as usize), (1, log.len() - ends[0]));
}

/// Every line that is written has the fields that the published schema requires, and no others.
#[test]
fn the_published_schema_knows_every_line() {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../../docs/history.schema.json")).unwrap();
    let mut log = LogWriter::new(Vec::new()).unwrap();
    every_kind_of_entry().iter().for_each(|e| log.push(e));
    log.seal(u64::MAX).unwrap();
    let lines = zstd::stream::decode_all(&log.into_inner()[..]).unwrap();
    let mut kinds = 0;
    for line in lines.split(|&b| b == b'\n').filter(|l| !l.is_empty()) {
        let line: serde_json::Value = serde_json::from_slice(line).unwrap();
        let name = match line["type"].as_str().unwrap() {
            "invoke" | "ok" | "fail" | "info" => "event",
            other => other,
        };
        let definition = &schema["definitions"][name];
        let reference = serde_json::json!({"$ref": format!("#/definitions/{name}")});
        assert!(schema["anyOf"].as_array().unwrap().contains(&reference), "{name}");
        for field in line.as_object().unwrap().keys() {
            assert!(definition["properties"].get(field).is_some(), "{name} has no {field}");
        }
        for field in definition["required"].as_array().unwrap() {
            assert!(line.get(field.as_str().unwrap()).is_some(), "{name} lacks {field}");
        }
        kinds += 1;
    }
    assert_eq!(kinds, 9);
}
