use proptest::prelude::*;

use super::*;
use crate::import::{self, Keyed, Options};
use crate::{Builder, Event, EventKind, Fault, FaultPhase, History, Meta, Order, Outcome, RunHeader, Value};

fn event(kind: EventKind, process: u32, time: u64, f: &str, key: Value, value: Value) -> Event {
    Event { kind, process, time, intended: time, f: f.into(), key, value, meta: None }
}

fn list(items: &[Value]) -> Value {
    Value::list(items.to_vec())
}

fn sample() -> History {
    let mut b = Builder::new(Order::ByTime);
    let txn = |read: Value| {
        list(&[list(&["r".into(), 1.into(), read]), list(&["append".into(), 1.into(), 7.into()])])
    };
    let x = || Value::str("x");
    b.push(event(EventKind::Invoke, 0, 1000, "txn", x(), txn(Value::Nil))).unwrap();
    b.push(event(EventKind::Invoke, 1, 1500, "read", x(), Value::Nil)).unwrap();
    b.push(event(EventKind::Ok, 0, 2000, "txn", x(), txn(list(&[3.into()])))).unwrap();
    let mut failed = event(EventKind::Fail, 1, 2500, "read", x(), Value::Nil);
    failed.meta = Some(Box::new(Meta {
        error: Some("no, \"gone\"".into()),
        node: Some("n2".into()),
        ..Meta::default()
    }));
    b.push(failed).unwrap();
    b.push(event(EventKind::Invoke, 2, 2600, "write", x(), 5.into())).unwrap();
    b.push(event(EventKind::Info, 2, 2700, "write", x(), 5.into())).unwrap();
    b.push(event(EventKind::Invoke, 3, 2800, "write", x(), 6.into())).unwrap();
    let mut fault = Fault {
        time: 1200,
        phase: FaultPhase::Begin,
        id: 0,
        kind: "partition".into(),
        nodes: vec!["n1".into()],
        description: "n1 alone".into(),
        detail: serde_json::Value::Null,
        effective: None,
        evidence: Default::default(),
    };
    b.history_mut().faults.push(fault.clone());
    (fault.time, fault.phase, fault.effective) = (2650, FaultPhase::End, Some(true));
    b.history_mut().faults.push(fault);
    b.history_mut().run = Some(Box::new(RunHeader { name: "storm".into(), ..RunHeader::default() }));
    b.finish().unwrap()
}

fn written(write: impl Fn(&History, &mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&sample(), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn edn_as_jepsen_writes_it() {
    let expected = r#"{:index 0, :type :invoke, :process 0, :f :txn, :time 1000, :value ["x" [[:r 1 nil] [:append 1 7]]]}
{:index 1, :type :info, :process :nemesis, :f :start-partition, :time 1200, :value "n1 alone"}
{:index 2, :type :invoke, :process 1, :f :read, :time 1500, :value ["x" nil]}
{:index 3, :type :ok, :process 0, :f :txn, :time 2000, :value ["x" [[:r 1 [3]] [:append 1 7]]]}
{:index 4, :type :fail, :process 1, :f :read, :time 2500, :value ["x" nil], :node "n2", :error "no, \"gone\""}
{:index 5, :type :invoke, :process 2, :f :write, :time 2600, :value ["x" 5]}
{:index 6, :type :info, :process :nemesis, :f :stop-partition, :time 2650, :value "n1 alone"}
{:index 7, :type :info, :process 2, :f :write, :time 2700, :value ["x" 5]}
{:index 8, :type :invoke, :process 3, :f :write, :time 2800, :value ["x" 6]}
"#;
    assert_eq!(written(|h, out| edn(h, out)), expected);
}

#[test]
fn csv_has_a_row_an_operation() {
    let expected = r#"index,process,node,f,key,input,output,outcome,intended_nanos,start_nanos,end_nanos,latency_nanos,error
0,0,,txn,"""x""","[[""r"",1,null],[""append"",1,7]]","[[""r"",1,[3]],[""append"",1,7]]",ok,1000,1000,2000,1000,
1,1,n2,read,"""x""",,,fail,1500,1500,2500,1000,"no, ""gone"""
2,2,,write,"""x""",5,,info,2600,2600,2700,100,
3,3,,write,"""x""",6,,info,2800,2800,,,
"#;
    assert_eq!(written(|h, out| csv(h, out)), expected);
}

#[test]
fn a_trace_is_json_with_a_track_a_process_and_a_fault() {
    let trace: serde_json::Value = serde_json::from_str(&written(|h, out| perfetto(h, out))).unwrap();
    let events = trace["traceEvents"].as_array().unwrap();
    let spans: Vec<_> = events
        .iter()
        .filter(|e| e["ph"] == "X")
        .map(|e| {
            (
                e["pid"].as_u64().unwrap(),
                e["tid"].as_u64().unwrap(),
                e["ts"].as_f64().unwrap(),
                e["dur"].as_f64().unwrap(),
            )
        })
        .collect();
    let clients = [(1, 0, 1.0, 1.0), (1, 1, 1.5, 1.0), (1, 2, 2.6, 0.1), (1, 3, 2.8, 0.0)];
    assert_eq!(spans, [clients.as_slice(), &[(2, 0, 1.2, 1.45)]].concat());
    assert!(events.iter().any(|e| e["args"]["effective"] == true));
}

#[test]
fn a_process_that_overlaps_itself_is_told_apart_in_edn() {
    let text = "w 0 1\n-----\nr 0 1\n";
    let history = import::read(text.as_bytes(), &Options::default()).unwrap().history;
    let mut out = Vec::new();
    edn(&history, &mut out).unwrap();
    let back = import::read(&out[..], &Options::default()).unwrap().history;
    assert_eq!(back.ops().map(|op| op.process).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((back.op(0).invoked, back.op(1).invoked, back.op(0).completed), (0, 1, 2));
}

/// What was asked and answered, and when.
type Said = (u32, String, Value, Value, Value);
type When = (Outcome, u32, u32, u64, u64);

/// Everything that a checker can see.
fn seen(history: &History) -> Vec<(Said, When)> {
    let one = |op: crate::Op<'_>| {
        let (f, key, input, output) = (op.f.to_owned(), op.key.clone(), op.input.clone(), op.output.clone());
        ((op.process, f, key, input, output), (op.outcome, op.invoked, op.completed, op.start, op.end))
    };
    history.ops().map(one).collect()
}

#[test]
fn json_lines_come_back_with_all_that_stands_beside() {
    let lines = written(|h, out| jsonl(h, out));
    let back = import::read(lines.as_bytes(), &Options::default()).unwrap();
    assert_eq!(back.format, import::Format::RunLog);
    let sample = sample();
    assert_eq!(seen(&back.history), seen(&sample));
    assert_eq!((back.history.faults, back.history.run), (sample.faults, sample.run));
}

proptest! {
    #[test]
    fn what_is_exported_comes_back(history in any_history()) {
        for write in [|h: &History, o: &mut Vec<u8>| edn(h, o), |h: &History, o: &mut Vec<u8>| jsonl(h, o)] {
            let mut out = Vec::new();
            write(&history, &mut out).unwrap();
            if history.is_empty() {
                continue;
            }
            let keyed = if history.is_keyed() && out.starts_with(b"{:") { Keyed::Yes } else { Keyed::No };
            let back = import::read(&out[..], &Options { keyed, clock_error: 0 }).unwrap();
            prop_assert_eq!(back.warnings, Vec::<String>::new());
            prop_assert_eq!(seen(&back.history), seen(&history));
        }
    }
}

/// A value that both formats have: neither keywords nor symbols.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z é\"\\\\\n]{0,5}".prop_map(Value::str),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..3)
                .prop_map(|m| Value::map(m.into_iter().map(|(k, v)| (Value::str(k), v)).collect())),
        ]
    })
}

/// Processes that take turns, each event at a later time.
fn any_history() -> impl Strategy<Value = History> {
    let step = (0u32..4, 0usize..3, any_value(), any_value(), 0u8..8);
    (any::<bool>(), prop::collection::vec(step, 0..30)).prop_map(|(keyed, steps)| {
        let mut b = Builder::new(Order::AsGiven);
        let mut open: Vec<Option<Event>> = vec![None; 4];
        for (n, (process, f, value, answer, dice)) in steps.into_iter().enumerate() {
            let time = 10 * n as u64;
            let event = match open[process as usize].take() {
                None => {
                    let key = if keyed { Value::Int(i64::from(dice)) } else { Value::Nil };
                    let e = event(EventKind::Invoke, process, time, ["read", "write", "cas"][f], key, value);
                    open[process as usize] = Some(e.clone());
                    e
                }
                Some(mut e) => {
                    e.kind = [EventKind::Ok, EventKind::Ok, EventKind::Fail, EventKind::Info]
                        [usize::from(dice % 4)];
                    (e.time, e.intended, e.value) = (time, time, answer);
                    e
                }
            };
            b.push(event).unwrap();
        }
        b.finish().unwrap()
    })
}
