//! Every form of one history, and the way back.

use serde_json::Value as Json;
use squall_history::import::{self, Keyed, Options};
use squall_history::{
    Builder, Event, EventKind, Fault, FaultPhase, History, Meta, Order, Outcome, ProcessInfo, Value,
};

use super::{csv, edn, jsonl, perfetto};

fn event(kind: EventKind, process: u32, time: u64, f: &str, value: Value) -> Event {
    Event { kind, process, time, intended: time, f: f.into(), key: Value::Int(7), value, meta: None }
}

/// Two processes; a write, a read, a cas that did not match, an answer that never came, one that was open.
fn history() -> History {
    let pair = Value::list([Value::Int(1), Value::str("a \"b\"\n")]);
    let mut lost = event(EventKind::Info, 1, 60, "write", 2.into());
    lost.meta = Some(Box::new(Meta { error: Some("reset, \"by\" peer".into()), ..Meta::default() }));
    let mut builder = Builder::new(Order::ByTime);
    for e in [
        event(EventKind::Invoke, 0, 10, "write", 1.into()),
        event(EventKind::Ok, 0, 20, "write", 1.into()),
        event(EventKind::Invoke, 1, 15, "read", Value::Nil),
        event(EventKind::Ok, 1, 30, "read", 1.into()),
        event(EventKind::Invoke, 0, 40, "cas", pair),
        event(EventKind::Ok, 0, 50, "cas", "mismatch".into()),
        event(EventKind::Invoke, 1, 55, "write", 2.into()),
        lost,
        event(EventKind::Invoke, 2, 70, "read", Value::Nil),
        event(EventKind::Fail, 2, 80, "read", Value::Nil),
        event(EventKind::Invoke, 3, 90, "write", 3.into()),
    ] {
        builder.push(e).unwrap();
    }
    let mut history = builder.finish().unwrap();
    history.processes.push(ProcessInfo { time: 0, process: 0, worker: 0, node: "n1".into() });
    for (phase, time) in [(FaultPhase::Begin, 25), (FaultPhase::End, 65)] {
        history.faults.push(Fault {
            time,
            phase,
            id: 0,
            kind: "kill".into(),
            nodes: vec!["n2".into()],
            description: "killed n2".into(),
            detail: Json::Null,
            effective: None,
            evidence: Default::default(),
        });
    }
    history
}

fn text(write: impl Fn(&History, &mut dyn std::io::Write) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&history(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn shape(history: &History) -> Vec<(u32, String, Value, Outcome, u64, u64)> {
    let of =
        |o: squall_history::Op<'_>| (o.process, o.f.to_owned(), o.key.clone(), o.outcome, o.start, o.end);
    history.ops().map(of).collect()
}

#[test]
fn every_form_is_as_it_was() {
    let all = [("jsonl", text(jsonl::write)), ("edn", text(edn::write)), ("csv", text(csv::write))];
    let all: Vec<String> = all.iter().map(|(name, text)| format!("## {name}\n{text}")).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn json_lines_read_back_as_the_same_history() {
    let read = import::read(text(jsonl::write).as_bytes(), &Options::default()).unwrap().history;
    assert_eq!(shape(&read), shape(&history()));
    for (a, b) in read.ops().zip(history().ops()) {
        assert_eq!((a.input, a.output, a.invoked, a.completed), (b.input, b.output, b.invoked, b.completed));
    }
}

#[test]
fn edn_reads_back_with_a_mismatch_as_a_failure() {
    let options = Options { keyed: Keyed::Yes, ..Options::default() };
    let read = import::read(text(edn::write).as_bytes(), &options).unwrap().history;
    let mut expected = shape(&history());
    expected[2].3 = Outcome::Fail;
    assert_eq!(shape(&read), expected);
}

#[test]
fn an_info_stands_before_the_next_act_of_its_process() {
    // At one time only the order of each process is left.
    let edn = "{:process 0, :type :invoke, :f :write, :value 1, :time 5}
        {:process 0, :type :info, :f :write, :value 1, :time 5}
        {:process 0, :type :invoke, :f :read, :value nil, :time 5}
        {:process 0, :type :ok, :f :read, :value 1, :time 5}";
    let read = import::read(edn.as_bytes(), &Options::default()).unwrap().history;
    let mut out = Vec::new();
    jsonl::write(&read, &mut out).unwrap();
    let again = import::read(out.as_slice(), &Options::default()).unwrap().history;
    assert_eq!(shape(&again), shape(&read));
}

#[test]
fn a_trace_is_json_with_a_span_an_operation_and_a_fault() {
    let trace: Json = serde_json::from_str(&text(perfetto::write)).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let spans: Vec<&Json> = events.iter().filter(|e| e["ph"] == "X").collect();
    assert_eq!(spans.len(), 6 + 1);
    let fault = spans.iter().find(|s| s["cat"] == "kill").unwrap();
    assert_eq!((fault["ts"].as_f64(), fault["dur"].as_f64()), (Some(0.025), Some(0.04)));
}
