use std::env;
use std::fs;
use std::path::PathBuf;

use super::*;

fn import(text: &str) -> Result<Imported, ImportError> {
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
        if columns[1] != "edn" {
            continue;
        }
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
    for (text, format) in [(edn, Format::Edn), (json, Format::JsonLines)] {
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
