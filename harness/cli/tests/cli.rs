//! The built binary from outside: exit codes, what goes to which stream, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "cli/book.rs"]
mod book;
#[path = "cli/ready_made.rs"]
mod ready_made;
#[path = "cli/store.rs"]
mod store;

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

const GOOD: &str = "{:process 0, :type :invoke, :f :write, :value 1}
{:process 0, :type :ok, :f :write, :value 1}
{:process 1, :type :invoke, :f :read, :value nil}
{:process 1, :type :ok, :f :read, :value 1}
";

/// `squall` in a folder of its own, without anything of ours in its environment.
fn squall(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args(args).current_dir(dir).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SQUALL_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(args: &[&str]) -> Output {
    squall(&std::env::temp_dir(), args).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("no signal ends it")
}

/// A folder with a good, a bad and a broken history.
fn histories() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
    put("good.edn", GOOD);
    put("bad.edn", &GOOD.replace(":read, :value 1", ":read, :value 2"));
    put("cut.edn", &GOOD[..GOOD.len() - 20]);
    put("empty", "");
    dir
}

#[test]
fn what_was_asked_for_is_not_an_error() {
    for args in
        [&["--help"][..], &["--version"], &["run", "--help"], &["help", "check"], &["raftkv", "--help"]]
    {
        let output = run(args);
        assert_eq!(code(&output), 0, "{args:?}");
        assert!(!output.stdout.is_empty(), "{args:?}");
        assert_eq!(stderr(&output), "", "{args:?}");
    }
    assert!(stdout(&run(&["--version"])).starts_with("squall "));
}

#[test]
fn bad_arguments_are_254_with_a_message_and_nothing_on_stdout() {
    for args in [
        &[][..],
        &["rum"],
        &["run", "--time-limit", "30"],
        &["run", "--nodes", "zero"],
        &["run", "--no-such-flag"],
        &["run", "no-such-file.yaml"],
        &["run", "--target", "no-such-target"],
        &["run", "--shard", "3/2"],
        &["run", "--provider", "cloud"],
        &["check", "--model", "register"],
        &["check", "x", "--model", "regster"],
        &["check", "x", "--model", "register", "--initial", "{"],
        &["check", "x", "--model", "register", "--memory-limit", "2"],
        &["check", "x", "--model", "register", "--consistency", "serializable"],
        &["analyze", "no-such-run"],
        &["export", "no-such-run", "--to", "edn"],
        &["list", "planets"],
        &["schema", "planets"],
        &["completions", "planets"],
        &["bench", "planets"],
        &["raftkv", "planets"],
    ] {
        let output = run(args);
        assert_eq!(code(&output), 254, "{args:?}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{args:?}");
        assert!(!stderr(&output).trim().is_empty(), "{args:?}");
        assert!(!stderr(&output).contains("panicked"), "{args:?}");
    }
}

#[test]
fn a_bad_campaign_is_refused_with_a_caret_and_leaves_no_store() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("c.yaml"), "name: x\nfaults: [partitoin]\n").unwrap();
    let output = squall(dir.path(), &["run", "c.yaml"]).output().unwrap();
    assert_eq!(code(&output), 254);
    let expected = "squall: c.yaml:2:10: no fault is named `partitoin`; did you mean `partition`?\n  |\n\
                    2 | faults: [partitoin]\n  |          ^^^^^^^^^\n";
    assert_eq!(stderr(&output), expected);
    assert!(!dir.path().join("store").exists());
}

#[test]
fn the_environment_stands_between_flag_and_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("c.yaml"), "targets: [of-the-file]\n").unwrap();
    let who = |args: &[&str], env: Option<&str>| {
        let mut command = squall(dir.path(), args);
        env.map(|value| command.env("SQUALL_TARGET", value));
        let output = command.output().unwrap();
        assert_eq!(code(&output), 254);
        stderr(&output).to_owned()
    };
    assert!(who(&["run", "c.yaml"], None).contains("`of-the-file`"));
    assert!(who(&["run", "c.yaml"], Some("of-the-environment")).contains("`of-the-environment`"));
    let flag = ["run", "c.yaml", "--target", "of-the-flag"];
    assert!(who(&flag, Some("of-the-environment")).contains("`of-the-flag`"));
}

#[test]
fn verdicts_are_exit_codes_and_the_worst_of_several_counts() {
    let dir = histories();
    let check = |files: &[&str]| {
        let args = [&["check", "--model", "register"], files].concat();
        code(&squall(dir.path(), &args).output().unwrap())
    };
    assert_eq!(check(&["good.edn"]), 0);
    assert_eq!(check(&["bad.edn"]), 1);
    assert_eq!(check(&["cut.edn"]), 254);
    assert_eq!(check(&["empty"]), 254);
    assert_eq!(check(&["nowhere.edn"]), 254);
    assert_eq!(check(&["good.edn", "cut.edn"]), 254);
    assert_eq!(check(&["bad.edn", "cut.edn", "good.edn"]), 1);
}

#[test]
fn json_has_a_line_a_file_and_people_have_the_other_stream() {
    let dir = histories();
    let args = ["check", "good.edn", "cut.edn", "bad.edn", "--model", "register", "--format", "json"];
    let output = squall(dir.path(), &args).output().unwrap();
    let lines: Vec<Json> = stdout(&output).lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(lines.len(), 3);
    assert_eq!((&lines[0]["file"], &lines[0]["valid"]), (&"good.edn".into(), &true.into()));
    for key in ["schema_version", "model", "consistency", "operations", "algorithm", "parse_seconds"] {
        assert!(!lines[0][key].is_null(), "{key}");
    }
    for key in ["check_seconds", "peak_bytes", "warnings", "anomalies"] {
        assert!(!lines[0][key].is_null(), "{key}");
    }
    assert!(lines[1].get("valid").is_none(), "no verdict on what is no history");
    assert!(lines[1]["error"].as_str().unwrap().contains("line"));
    let anomaly = &lines[2]["anomalies"][0];
    assert_eq!((&lines[2]["valid"], &anomaly["type"]), (&false.into(), &"nonlinearizable".into()));
    assert!(anomaly["signature"].is_string() && anomaly["operations"].is_array());
    assert!(stderr(&output).contains("cut.edn"), "{}", stderr(&output));
    let human = squall(dir.path(), &["check", "bad.edn", "--model", "register"]).output().unwrap();
    assert_eq!(stdout(&human), "");
    assert!(stderr(&human).contains("INVALID"), "{}", stderr(&human));
}

#[test]
fn standard_input_is_a_file_too() {
    let mut child = squall(&std::env::temp_dir(), &["check", "-", "--model", "register", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(GOOD.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(code(&output), 0);
    assert_eq!(serde_json::from_slice::<Json>(&output.stdout).unwrap()["file"], "-");
}

#[test]
fn names_and_values_from_outside_cannot_act_on_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let evil = "evil\u{1b}[2J\u{202e}.edn";
    let history = GOOD.replace(":f :read, :value 1", ":f :read, :value \"\u{1b}]0;owned\u{7}\"");
    fs::write(dir.path().join(evil), history).unwrap();
    let output = squall(dir.path(), &["check", evil, "--model", "register"]).output().unwrap();
    assert_eq!(code(&output), 1);
    assert!(stderr(&output).chars().all(|c| c == '\n' || !c.is_control()), "{:?}", stderr(&output));
    assert!(!stderr(&output).contains('\u{202e}'));
    fs::write(dir.path().join("c.yaml"), "name: x\n\"\\e[2Jnodes\": 3\n").unwrap();
    let output = squall(dir.path(), &["run", "c.yaml"]).output().unwrap();
    assert_eq!(code(&output), 254);
    assert!(stderr(&output).chars().all(|c| c == '\n' || !c.is_control()), "{:?}", stderr(&output));
}

#[test]
fn a_reader_that_leaves_ends_output_quietly_and_changes_no_exit_code() {
    let dir = histories();
    let bad = ["check", "bad.edn", "--model", "register", "--format", "json"];
    for (args, expected) in [
        (&["schema", "campaign"][..], 0),
        (&["completions", "zsh"], 0),
        (&["list", "models"], 0),
        (&["--help"], 0),
        (&["raftkv", "bugs"], 0),
        (&["export", "good.edn", "--to", "csv"], 0),
        (&bad, 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = squall(dir.path(), args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(code(&output), expected, "{args:?}");
        assert!(!stderr(&output).contains("squall: "), "{args:?}: {}", stderr(&output));
    }
}

#[test]
fn lists_and_schemas_are_documents() {
    for what in ["targets", "workloads", "faults", "models"] {
        let output = run(&["list", what, "--format", "json"]);
        assert_eq!(code(&output), 0);
        let document: Json = serde_json::from_slice(&output.stdout).unwrap();
        assert!(!document["items"].as_array().unwrap().is_empty(), "{what}");
        assert!(document["schema_version"].is_number());
    }
    assert!(stdout(&run(&["list", "faults"])).contains("partition"));
    for of in ["campaign", "history", "check", "run"] {
        let document: Json = serde_json::from_slice(&run(&["schema", of]).stdout).unwrap();
        assert_eq!(document["$schema"], "http://json-schema.org/draft-07/schema#", "{of}");
    }
    assert!(stdout(&run(&["man"])).contains(".SH \"SQUALL CHECK\""));
}

#[test]
fn the_doctor_says_what_there_is() {
    let output = run(&["doctor", "--format", "json"]);
    let document: Json = serde_json::from_slice(&output.stdout).unwrap();
    let expected = if document["ready"] == true { 0 } else { 1 };
    assert_eq!(code(&output), expected);
    for probe in document["probes"].as_array().unwrap() {
        assert!(!probe["finding"].as_str().unwrap().is_empty(), "{probe}");
    }
    let raftkv = &document["targets"].as_array().unwrap()[0];
    assert_eq!((&raftkv["name"], &raftkv["available"]), (&"raftkv".into(), &true.into()));
}

#[test]
fn an_export_reads_back_with_the_same_verdict_and_overwrites_nothing() {
    let dir = histories();
    for (form, file) in [("jsonl", "out.jsonl"), ("edn", "out.edn")] {
        let args = ["export", "bad.edn", "--to", form, "--output", file];
        assert_eq!(code(&squall(dir.path(), &args).output().unwrap()), 0);
        let check = ["check", file, "--model", "register", "--keyed", "no"];
        assert_eq!(code(&squall(dir.path(), &check).output().unwrap()), 1, "{form}");
        let before = fs::read(dir.path().join(file)).unwrap();
        assert_eq!(code(&squall(dir.path(), &args).output().unwrap()), 254, "the file is there already");
        assert_eq!(fs::read(dir.path().join(file)).unwrap(), before);
    }
}

#[test]
fn certificates_are_written_accepted_and_rejected() {
    let dir = histories();
    let go = |args: &[&str]| squall(dir.path(), args).output().unwrap();
    for (history, expected) in [("good.edn", 0), ("bad.edn", 1)] {
        let proof = format!("{history}.json");
        let check = go(&["check", history, "--model", "register", "--certificate", &proof]);
        assert_eq!(code(&check), expected, "{}", stderr(&check));
        let verify = go(&["verify", history, "--certificate", &proof]);
        assert_eq!(code(&verify), 0, "{history}: {}", stderr(&verify));
    }
    let crossed = go(&["verify", "good.edn", "--certificate", "bad.edn.json"]);
    assert_eq!(code(&crossed), 1, "{}", stderr(&crossed));
    assert!(stderr(&crossed).contains("REJECTED"));
    let none = go(&["verify", "good.edn", "--certificate", "nowhere.json", "--format", "json"]);
    assert_eq!(code(&none), 2);
    assert_eq!(serde_json::from_slice::<Json>(&none.stdout).unwrap()["accepted"], Json::Null);
    let no_proof = go(&["verify", "good.edn", "--certificate", "good.edn"]);
    assert_eq!(code(&no_proof), 254, "that is no certificate");
}

/// What is no history: how it is called, its text, and what the message must name.
fn no_histories() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    const INVOKE: &str = "{:process 0, :type :invoke, :f :write, :value 1, :time 5}\n";
    let text = |t: String| t.into_bytes();
    vec![
        ("empty", vec![], "empty: expected a history"),
        ("cut", text(format!("{INVOKE}{{:process 0, :type :ok")), "line 2: the history is cut short"),
        ("not invoked", text(INVOKE.replace("invoke", "ok")), "line 1: process 0 completes `write`"),
        ("invoked twice", text(INVOKE.repeat(2)), "line 2: process 0 invokes `write` while"),
        (
            "times that go back",
            text(format!(
                "{INVOKE}{}",
                INVOKE.replace(":time 5", ":time 4").replace(":process 0", ":process 1")
            )),
            "line 2",
        ),
        (
            "an end before its start",
            text("{\"f\": \"write\", \"value\": 1, \"start\": 9, \"end\": 3}\n".to_owned()),
            "line 1",
        ),
        ("a process that is none", text(INVOKE.replace(":process 0", ":process \"x\"")), "line 1, column"),
        ("a value of the wrong type", text(GOOD.replace(":write", ":cas")), "operation #0"),
        ("bytes that are no text", [b"{:process 0, :type :invoke, :f :\xff\xfe".to_vec()].concat(), "line 1"),
        (
            "nesting",
            text(
                INVOKE.replace(":value 1", &format!(":value {}1{}", "[".repeat(10_000), "]".repeat(10_000))),
            ),
            "line 1",
        ),
    ]
}

#[test]
fn what_is_no_history_is_254_with_its_place_and_never_a_verdict() {
    let dir = tempfile::tempdir().unwrap();
    for (name, bytes, place) in no_histories() {
        let file = format!("{name}.history");
        fs::write(dir.path().join(&file), bytes).unwrap();
        let args = ["check", &file, "--model", "cas-register", "--format", "json"];
        let output = squall(dir.path(), &args).output().unwrap();
        assert_eq!(code(&output), 254, "{name}: {}{}", stdout(&output), stderr(&output));
        assert!(
            stderr(&output).contains(&file) && stderr(&output).contains(place),
            "{name}: {}",
            stderr(&output)
        );
        assert!(!stdout(&output).contains("\"valid\""), "{name}: {}", stdout(&output));
        assert!(!stderr(&output).contains("panicked"), "{name}");
    }
}

#[test]
fn a_line_of_two_gigabytes_is_refused_before_it_is_held() {
    let mut child = squall(&std::env::temp_dir(), &["check", "-", "--model", "register", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut to = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        let chunk = vec![b'1'; 1 << 20];
        // Who has read enough leaves, and that ends it.
        let begin = to.write_all(b"{:process 0, :type :invoke, :f :write, :value \"");
        (0..2048).try_fold((), |(), _| to.write_all(&chunk)).and(begin).is_ok()
    });
    let output = child.wait_with_output().unwrap();
    let all_of_it = writer.join().unwrap();
    assert_eq!(code(&output), 254, "{}", stderr(&output));
    assert!(stderr(&output).contains("line 1: expected an operation of at most"), "{}", stderr(&output));
    assert!(!all_of_it, "it does not wait for the end of the line");
}

#[test]
fn a_certificate_of_a_valid_history_is_rejected_once_it_is_tampered_with() {
    let dir = histories();
    let go = |args: &[&str]| squall(dir.path(), args).output().unwrap();
    let check = go(&["check", "good.edn", "--model", "register", "--certificate", "proof"]);
    assert_eq!(code(&check), 0, "{}", stderr(&check));
    let mut proof: Json = serde_json::from_slice(&fs::read(dir.path().join("proof")).unwrap()).unwrap();
    assert_eq!(proof["kind"], "linearization");
    proof["body"]["objects"][0]["order"].as_array_mut().unwrap().reverse();
    fs::write(dir.path().join("proof"), proof.to_string()).unwrap();
    let verify = go(&["verify", "good.edn", "--certificate", "proof"]);
    assert_eq!(code(&verify), 1, "{}", stderr(&verify));
    assert!(stderr(&verify).contains("REJECTED"), "{}", stderr(&verify));
}
