use std::env;
use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

pub(super) fn import(text: &str) -> Result<Imported, ImportError> {
    read(text.as_bytes(), &Options::default())
}

/// A line an operation: what a history holds, for people to compare.
fn show(history: &History) -> String {
    let line = |op: crate::Op<'_>| {
        let key = if op.key.is_nil() { String::new() } else { format!("{}: ", op.key) };
        let (input, output, outcome) = (op.input, op.output, op.outcome);
        format!(
            "{} {key}{} {input} -> {outcome:?} {output} [{} {}]\n",
            op.process, op.f, op.invoked, op.completed as i32
        )
    };
    history.ops().map(line).collect()
}

#[test]
fn every_labelled_history_is_read() {
    let Ok(root) = env::var("SQUALL_CORPORA").map(PathBuf::from) else {
        eprintln!("skipped: SQUALL_CORPORA is not set");
        return;
    };
    let labels = fs::read_to_string(root.join("labels.tsv")).unwrap();
    for row in labels.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let file = root.join(columns[0]);
        let imported =
            read_file(&file, &Options::default()).unwrap_or_else(|e| panic!("{}: {e}", columns[0]));
        assert_eq!(imported.format.name(), columns[1], "{}", columns[0]);
        assert!(!imported.history.is_empty(), "{}", columns[0]);
    }
}

#[test]
fn edn_and_json_lines_mean_the_same() {
    let edn = "{:index 0, :type :invoke, :process 3, :f :cas, :time 5, :value [1 2]}
        #jepsen.history.Op{:type :invoke :f :read :value nil :process 4 :time 6}
        {:process :nemesis, :type :info, :f :start, :value \"cut\", :time 7}
        {:type :ok, :process 3, :f :cas, :time 8, :value [1 2], :extra {:a [#{1 \\a} 1/2]}}
        {:type :fail, :process 4, :f :read, :time 9, :value nil, :error [:gone \"x\"]} ; done";
    let json = r#"{"index":0,"type":"invoke","process":3,"f":"cas","time":5,"value":[1,2]}
        {"f":"read","process":4,"type":"invoke","value":null,"time":6}
        {"process":"nemesis","type":"info","f":"start","value":"cut","time":7}
        {"type":"ok","process":3,"f":"cas","time":8,"value":[1,2],"extra":{"a":[1.5]}}
        {"type":"fail","process":4,"f":"read","time":9,"value":null,"error":["gone","x"]}"#;
    for (text, format) in [(edn, Format::Edn), (json, Format::JsonEvents)] {
        let imported = import(text).unwrap();
        assert_eq!(imported.format, format);
        let history = &imported.history;
        assert_eq!(show(history), "3 cas [1,2] -> Ok [1,2] [0 2]\n4 read null -> Fail null [1 3]\n");
        assert_eq!(history.meta(1).unwrap().error.as_deref(), Some("[\"gone\",\"x\"]"));
        assert_eq!(history.notes[0].text, "start \"cut\"");
        assert_eq!((history.op(0).start, history.op(0).end), (5, 8));
        assert_eq!(history.nil_reads_may_be_unknown, format == Format::Edn);
        assert_eq!(imported.warnings, Vec::<String>::new());
    }
}

#[test]
fn tuples_are_keys_when_a_read_shows_it() {
    let edn =
        "[{:type :invoke :process 0 :f :write :value [7 1]} {:type :ok :process 0 :f :write :value [7 1]}
        {:type :invoke :process 0 :f :read :value [7 nil]} {:type :ok :process 0 :f :read :value [7 1]}]";
    let keyed = "0 7: write 1 -> Ok 1 [0 1]\n0 7: read null -> Ok 1 [2 3]\n";
    assert_eq!(show(&import(edn).unwrap().history), keyed);
    let no = Options { keyed: Keyed::No, ..Options::default() };
    let plain = "0 write [7,1] -> Ok [7,1] [0 1]\n0 read [7,null] -> Ok [7,1] [2 3]\n";
    assert_eq!(show(&read(edn.as_bytes(), &no).unwrap().history), plain);
    let pairs =
        "{:type :invoke :process 0 :f :write :value [7 1]} {:type :ok :process 0 :f :write :value [7 1]}";
    assert_eq!(
        import(pairs).unwrap_err().to_string(),
        "line 1: every value of this history is a pair, so it may be keyed or not: pass --keyed yes if values are \
         [key value] tuples of independent keys, --keyed no if they are plain values"
    );
    let yes = Options { keyed: Keyed::Yes, ..Options::default() };
    assert_eq!(show(&read(pairs.as_bytes(), &yes).unwrap().history), "0 7: write 1 -> Ok 1 [0 1]\n");
}

#[test]
fn an_answer_without_a_key_shows_that_there_are_none() {
    let edn = "[{:type :invoke :process 0 :f :add :value [0 7]} {:type :ok :process 0 :f :add :value [0 7]}
        {:type :invoke :process 0 :f :read :value [0 nil]}
        {:type :ok :process 0 :f :read :value [0 1 2]}]";
    let imported = import(edn).unwrap();
    let plain = "0 add [0,7] -> Ok [0,7] [0 1]\n0 read [0,null] -> Ok [0,1,2] [2 3]\n";
    assert_eq!(show(&imported.history), plain);
    assert!(
        imported.warnings[0].contains("line 2 looks like a [key value] tuple"),
        "{:?}",
        imported.warnings
    );
}

#[test]
fn keys_of_json_lines() {
    let line = |kind: &str, key: &str, value: &str| {
        format!(r#"{{"type":"{kind}","process":0,"f":"read"{key},"value":{value}}}"#)
    };
    let named = [line("invoke", r#","key":"x""#, "[1,2]"), line("ok", r#","key":"x""#, "[1,2]")].join("\n");
    assert_eq!(show(&import(&named).unwrap().history), "0 \"x\": read [1,2] -> Ok [1,2] [0 1]\n");
    let tuples = [line("invoke", "", "[7,null]"), line("ok", "", "[7,3]")].join("\n");
    assert_eq!(show(&import(&tuples).unwrap().history), "0 7: read null -> Ok 3 [0 1]\n");
    let more = [tuples, line("invoke", "", "[8,null]"), line("ok", "", "[8,4]")].join("\n");
    assert_eq!(show(&import(&more).unwrap().history).lines().last(), Some("0 8: read null -> Ok 4 [2 3]"));
}

#[test]
fn processes_may_have_names() {
    let line = |kind: &str, process: &str| format!(r#"{{"type":"{kind}","process":{process},"f":"read"}}"#);
    let named = [line("invoke", "\"b\""), line("invoke", "\"a\""), line("ok", "\"b\"")].join("\n");
    assert_eq!(
        show(&import(&named).unwrap().history),
        "0 read null -> Ok null [0 2]\n1 read null -> Info null [1 -1]\n"
    );
    for (first, second) in [("\"b\"", "0"), ("0", "\"b\"")] {
        let mixed = [line("invoke", first), line("invoke", second)].join("\n");
        let message = import(&mixed).unwrap_err().to_string();
        assert!(
            message.starts_with("line 2, column 1: expected a n") && message.contains("as before"),
            "{message}"
        );
    }
}

#[test]
fn stamps_that_race_keep_their_order() {
    let at = |times: [&str; 4]| {
        let kinds = [(":invoke", 0), (":invoke", 1), (":ok", 0), (":ok", 1)];
        let line = |((kind, process), time): ((&str, i32), &str)| {
            format!("{{:type {kind} :process {process} :f :write :value 1 {time}}}\n")
        };
        kinds.into_iter().zip(times).map(line).collect::<String>()
    };
    let raced = import(&at([":time 1000", ":time 995", ":time 2000", ":time 1999"])).unwrap();
    assert_eq!(
        raced.history.ops().map(|op| (op.start, op.end)).collect::<Vec<_>>(),
        [(1000, 2000), (1000, 2000)]
    );
    assert_eq!(
        raced.warnings,
        ["2 events have a time slightly before that of the event before: the order of lines is kept"]
    );
    let other_clock = import(&at([":time 1000", ":time 985", ":time 2000", ":time 2000"])).unwrap_err();
    assert_eq!(other_clock.to_string(), "line 2: time goes backwards: 985 ns after 1000 ns");
    let missing = import(&at([":time 1000", "", ":time 2000", ":time nil"])).unwrap();
    assert_eq!(missing.history.op(1).start, 1000);
    assert_eq!(missing.warnings, ["2 events have no time: that of the event before stands in"]);
}

#[test]
fn the_line_of_an_error_is_right_wherever_the_window_stands() {
    for n in [1, 2, 5, 50, 500] {
        let good = "{\"f\":\"r\",\"start\":5,\"end\":6}\n\n".repeat(n);
        let message = import(&format!("{good}\n  {{\"f\":7}}")).unwrap_err().to_string();
        let expected = format!("line {}, column 8: expected a text as `f`, found `7}}`", 2 * n + 2);
        assert_eq!(message, expected);
        let good = "{:type :invoke :process 0 :f :r} {:type :ok\n:process 0 :f :r}\n".repeat(n);
        let message = import(&format!("{good}\n  {{:type 7}}")).unwrap_err().to_string();
        let expected = format!(
            "line {}, column 10: expected :invoke, :ok, :fail or :info as `:type`, found `7}}`",
            2 * n + 2
        );
        assert_eq!(message, expected);
    }
}

#[test]
fn lines_of_jepsen_workers() {
    let log = "2024-01-01 INFO jepsen.core - running
INFO  jepsen.util - 0\t:invoke\t:write\t3
INFO [2024-01-01 10:00:00] jepsen worker 1 - jepsen.util 1   :invoke :cas    [3 4]
INFO  jepsen.util - :nemesis\t:info\t:start\t\"cut\"
INFO  jepsen.util - 0\t:ok\t:write\t3
INFO  jepsen.util - 1\t:info\t:cas\t:timed-out
INFO  jepsen.util - 12\t:invoke\t:read\tnil
INFO  jepsen.util - 12\t:fail\t:read\tnil\t[:refused]";
    let imported = import(log).unwrap();
    let expected =
        "0 write 3 -> Ok 3 [0 2]\n1 cas [3,4] -> Info null [1 -1]\n12 read null -> Fail null [4 5]\n";
    assert_eq!(show(&imported.history), expected);
    assert_eq!(imported.format, Format::JepsenLog);
    let errors: Vec<_> = (1..3).map(|i| imported.history.meta(i).and_then(|m| m.error.clone())).collect();
    assert_eq!(errors, [Some("timed-out".to_owned()), Some("[\"refused\"]".to_owned())]);
    assert_eq!(imported.history.notes[0].text, "start \"cut\"");
    assert!(!imported.history.nil_reads_may_be_unknown);
    assert_eq!(imported.warnings[0], "1 lines of the log are not about operations");
}

#[test]
fn transactions_of_awdit() {
    let imported = import("w 0 1\nr 1 0\n-----\nr 0 1\n=====\nw 2 0\n-----\nr  2 0 \n\n").unwrap();
    let expected = r#"0 txn [["w",0,1],["r",1,null]] -> Ok [["w",0,1],["r",1,null]] [0 4]
0 txn [["r",0,1]] -> Ok [["r",0,1]] [1 5]
1 txn [["w",2,0]] -> Ok [["w",2,0]] [2 6]
1 txn [["r",2,0]] -> Ok [["r",2,0]] [3 7]
"#;
    assert_eq!(show(&imported.history), expected);
    assert_eq!((imported.format, imported.history.initial_operation), (Format::AwditText, None));
}

#[test]
fn transactions_of_plume() {
    // The second session reads 0 before the line that writes it; the fourth transaction is aborted.
    let text = "w(1,0,0,0)\nr(2,0,3,1)\nw(1,5,4,7)\nr(1,0,3,1)\nw(2,9,4,-1)\nw(2,0,5,8)\n";
    let imported = import(text).unwrap();
    let expected = r#"0 txn [["w",1,0]] -> Ok [["w",1,0]] [0 1]
3 txn [["r",2,0],["r",1,0]] -> Ok [["r",2,0],["r",1,0]] [2 6]
4 txn [["w",1,5]] -> Ok [["w",1,5]] [3 7]
4 txn [["w",2,9]] -> Fail null [4 8]
5 txn [["w",2,0]] -> Ok [["w",2,0]] [5 9]
"#;
    assert_eq!(show(&imported.history), expected);
    assert_eq!((imported.format, imported.history.initial_operation), (Format::PlumeText, Some(0)));
    let not_initial = import("w(1,7,0,0)\nr(1,7,1,1)\n").unwrap();
    assert_eq!(not_initial.history.initial_operation, None);
}

#[test]
fn one_line_an_operation() {
    let text = r#"{"f":"write","value":1,"start":10,"end":20,"key":"x"}
{"end":30,"start":20,"f":"cas","key":"x","input":[1,2],"output":"mismatch","type":"ok"}
{"f":"write","value":3,"start":5,"end":null,"key":"x"}
{"f":"read","value":1,"start":31,"end":40,"key":"x","type":"fail","error":"gone"}"#;
    let imported = import(text).unwrap();
    let expected = "0 \"x\": write 3 -> Info null [0 -1]
1 \"x\": write 1 -> Ok 1 [1 3]
2 \"x\": cas [1,2] -> Ok \"mismatch\" [2 4]
1 \"x\": read 1 -> Fail null [5 6]
";
    assert_eq!(show(&imported.history), expected, "operations that touch overlap");
    assert_eq!(imported.format, Format::JsonOperations);
    let wide = read(text.as_bytes(), &Options { clock_error: 1, ..Options::default() }).unwrap();
    assert_eq!(
        (wide.history.op(3).invoked, wide.history.op(2).completed),
        (4, 5),
        "30 and 31 may be the same time"
    );
}

#[test]
fn clocks_that_differ_make_operations_overlap() {
    let edn = "{:type :invoke :process 0 :f :write :value 1 :time 10} {:type :ok :process 0 :f :write :value 1 :time 20}
        {:type :invoke :process 0 :f :read :time 25} {:type :ok :process 0 :f :read :value 1 :time 50}
        {:type :invoke :process 1 :f :read :time 99} {:type :ok :process 1 :f :read :value 1 :time 100}";
    let ranks = |clock_error| {
        let imported = read(edn.as_bytes(), &Options { clock_error, ..Options::default() }).unwrap();
        imported.history.ops().map(|op| (op.invoked, op.completed)).collect::<Vec<_>>()
    };
    assert_eq!(ranks(0), [(0, 1), (2, 3), (4, 5)]);
    assert_eq!(ranks(2), [(0, 1), (2, 3), (4, 5)]);
    assert_eq!(ranks(3), [(0, 2), (1, 3), (4, 5)]);
    assert_eq!(ranks(80), [(0, 3), (1, 4), (2, 5)]);
    let untimed = edn.replace(":time", ":tome");
    let refused = read(untimed.as_bytes(), &Options { clock_error: 5, ..Options::default() }).unwrap_err();
    assert_eq!(refused.to_string(), "--clock-error needs operations with times");
}

#[test]
fn compressed_histories_are_unpacked() {
    let edn = "{:type :invoke :process 0 :f :write :value 1} {:type :ok :process 0 :f :write :value 1}";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, edn.as_bytes()).unwrap();
    for packed in [gzip.finish().unwrap(), zstd::stream::encode_all(edn.as_bytes(), 1).unwrap()] {
        let imported = read(&packed[..], &Options::default()).unwrap();
        assert_eq!(
            (imported.format, imported.history.len(), imported.bytes),
            (Format::Edn, 1, edn.len() as u64)
        );
    }
}

#[test]
fn a_run_log_is_known_packed_and_unpacked() {
    use crate::{Entry, Event, EventKind, RunHeader, Value};
    let event = |kind, process, time| Event {
        kind,
        process,
        time,
        intended: time,
        f: "write".into(),
        key: Value::Int(4),
        value: Value::Int(1),
        meta: None,
    };
    let mut log = crate::runlog::LogWriter::new(Vec::new()).unwrap();
    log.push(&Entry::Run(Box::new(RunHeader { name: "storm".into(), ..RunHeader::default() })));
    log.push_event(&event(EventKind::Ok, 0, 9));
    log.push_event(&event(EventKind::Invoke, 0, 5));
    log.push_event(&event(EventKind::Invoke, 1, 6));
    log.seal(9).unwrap();
    log.push_event(&event(EventKind::Ok, 1, 12));
    log.seal(11).unwrap();
    let log = log.into_inner();
    let unpacked = zstd::stream::decode_all(&log[..]).unwrap();
    let cut = &unpacked[..unpacked.len() - 10];
    let expected = "0 4: write 1 -> Ok 1 [0 2]\n1 4: write 1 -> Info null [1 -1]\n";
    for bytes in [&log[..], &unpacked[..], cut] {
        let imported = read(bytes, &Options::default()).unwrap();
        assert_eq!(imported.format, Format::RunLog);
        assert_eq!(show(&imported.history), expected);
        assert_eq!(imported.history.run.unwrap().name, "storm");
        assert_eq!(imported.skipped.events, 1);
        assert_eq!(imported.warnings.len(), 1);
    }
}

/// Processes that take turns, as fields of EDN: type, process, f, value.
fn turns(steps: &[(u8, u8, i8)]) -> Vec<[(&'static str, String); 4]> {
    let mut open = [None; 4];
    let mut events = Vec::new();
    for &(process, f, n) in steps {
        let p = usize::from(process % 4);
        let (kind, f) = match open[p].take() {
            None => (":invoke", f % 3),
            Some(f) => ([":ok", ":fail", ":info", ":ok"][usize::from(n.unsigned_abs() % 4)], f),
        };
        if kind == ":invoke" {
            open[p] = Some(f);
        }
        let value = match f {
            0 => format!("[[:r {n} nil] [:append {n} \"a;{n}\"]]"),
            1 => format!("{{:a #{{{n} 1000}} {n} (1 2)}}"),
            _ => format!("{n}"),
        };
        let name = [":txn", ":map", ":write"][usize::from(f)];
        events.push([
            ("type", kind.to_owned()),
            ("process", p.to_string()),
            ("f", name.to_owned()),
            ("value", value),
        ]);
    }
    events
}

proptest! {
    /// White space, commas, comments, discarded forms, tags, brackets around it all, unknown keywords and the
    /// order of keywords mean nothing.
    #[test]
    fn the_layout_of_edn_means_nothing(
        steps in prop::collection::vec((any::<u8>(), any::<u8>(), any::<i8>()), 1..40),
        layout in prop::collection::vec(any::<u8>(), 1..60),
        wrap in 0usize..3,
    ) {
        let events = turns(&steps);
        let plain: String = events
            .iter()
            .map(|fields| format!("{{{}}}\n", fields.each_ref().map(|(k, v)| format!(":{k} {v}")).join(" ")))
            .collect();
        let mut dice = layout.iter().cycle();
        let mut roll = |n: usize| usize::from(*dice.next().unwrap()) % n;
        let gaps = [" ", "\n", ", ", " ;, [x\n", " #_[1 {:a \"}\"}] ", "\t\r\n ", " #_ #_ 1 2 "];
        let mut fancy = ["", "[", "("][wrap].to_owned();
        for mut fields in events {
            fields.rotate_left(roll(4));
            fancy += ["{", "#jepsen.history.Op{", "#knossos.op.Op {"][roll(3)];
            for (key, value) in fields {
                fancy += &format!("{}:{key}{}{value}", gaps[roll(7)], gaps[roll(7)]);
                if roll(3) == 0 {
                    fancy += " :other #inst \"2020\" :more \\space";
                }
            }
            fancy += &format!("{}}}{}", gaps[roll(7)], gaps[roll(7)]);
        }
        fancy += ["", "]", ")"][wrap];
        let no = Options { keyed: Keyed::No, ..Options::default() };
        let (plain, fancy) = (read(plain.as_bytes(), &no).unwrap(), read(fancy.as_bytes(), &no).unwrap());
        prop_assert_eq!(show(&plain.history), show(&fancy.history));
        prop_assert_eq!(plain.warnings, fancy.warnings);
    }

    #[test]
    fn no_bytes_crash_a_reader(
        start in prop::sample::select(vec!["{:type ", "[{:type :ok :value ", "{\"type\":", "{\"start\":1,", "w(1,2,", "r 1 ", "INFO jepsen.util - 0 :ok ", ""]),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(b"{}[]()#:\"\\ \n,;0123456789-nilrwu_".to_vec())], 0..80),
    ) {
        let text = [start.as_bytes(), &bytes].concat();
        let _ = read(&text[..], &Options::default());
    }
}

#[test]
fn a_run_log_is_known_by_its_first_line_however_long_its_first_block() {
    let mut log = crate::runlog::LogWriter::new(Vec::new()).unwrap();
    let mut state = 7u64;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        format!("{state:016x}")
    };
    let options = serde_json::Value::from((0..20_000).map(|_| noise()).collect::<String>());
    log.push(&crate::Entry::Run(Box::new(crate::RunHeader { options, ..crate::RunHeader::default() })));
    log.seal(0).unwrap();
    assert!(log.bytes_written() > PEEK_LESS_THAN_A_BLOCK);
    let log = log.into_inner();
    let unpacked = zstd::stream::decode_all(&log[..]).unwrap();
    for bytes in [log, unpacked] {
        let imported = read(&bytes[..], &Options::default()).unwrap();
        assert_eq!((imported.format, imported.history.run.is_some()), (Format::RunLog, true));
    }
}

/// A block of noise is longer than this, packed.
const PEEK_LESS_THAN_A_BLOCK: u64 = 1 << 17;
