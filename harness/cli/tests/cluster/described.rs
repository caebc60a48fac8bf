//! Targets that are described in YAML, with clients in other languages: the examples, and what goes wrong.

use std::path::{Path, PathBuf};

use crate::support::{Done, finish, lives, run, squall, tree};

/// A worked example's campaign.
fn example(name: &str, file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name).join(file)
}

fn campaign(name: &str, file: &str) -> Done {
    let store = tempfile::tempdir().expect("a folder");
    let path = example(name, file);
    finish(squall().arg("run").arg(path).arg("--store").arg(store.path()).args(["--format", "json"]))
}

fn as_expected(done: &Done) {
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    for run in done.json["runs"].as_array().expect("runs") {
        assert_eq!(run["outcome"], "pass", "{run}\n{}", done.stderr);
    }
}

pub fn redis_loses_what_it_acknowledged() {
    as_expected(&campaign("redis-sentinel", "campaign.yaml"));
}

/// Write skew at repeatable read, lost updates at read committed, nothing at serializable, old news on standbys.
pub fn postgresql_keeps_to_its_levels() {
    for file in ["read-committed.yaml", "repeatable-read.yaml", "serializable.yaml", "standbys.yaml"] {
        as_expected(&campaign("postgresql", file));
    }
}

/// Plain reads are not linearizable; reads after a sync are, and so are writes.
pub fn zookeeper_reads_want_a_sync() {
    as_expected(&campaign("zookeeper", "plain-reads.yaml"));
    as_expected(&campaign("zookeeper", "sync-reads.yaml"));
}

/// The conformance test passes a good client, and names what a bad one does.
pub fn clients_are_tried_out() {
    let server = squall_listener();
    let client = example("redis-sentinel", "client.py");
    let check = |edit: &dyn Fn(String) -> String, with: &[&str]| {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("client.py");
        let text = edit(std::fs::read_to_string(&client).expect("the example"));
        std::fs::write(&path, text).expect("own file");
        finish(
            squall().args(["check-client", "--format", "json"]).args(with).args(["--", "python3"]).arg(&path),
        )
    };
    let mark = |done: &Done, name: &str| {
        let findings = done.json["findings"].as_array().expect("findings").clone();
        let of = findings
            .iter()
            .filter(|f| f["name"] == name)
            .map(|f| f["result"].as_str().unwrap_or("").to_owned());
        of.collect::<Vec<_>>()
    };
    let good = check(&|text| text, &["--server", &server]);
    assert_eq!(good.code, Some(0), "{}\n{}", good.json, good.stderr);
    assert_eq!(mark(&good, "numbers"), ["pass"], "{}", good.json);
    let fails = check(&|text| text.replace("\"type\": \"info\"", "\"type\": \"fail\""), &[]);
    assert_eq!((fails.code, mark(&fails, "hang-up")), (Some(1), vec!["fail".to_owned()]), "{}", fails.json);
    assert_eq!(mark(&fails, "silence"), ["fail"], "{}", fails.json);
    // One thread for all: whoever waits holds up the rest.
    let blocks = check(
        &|text| {
            text.replace("threading.Thread(target=process, args=(processes[ask[\"process\"]],), daemon=True).start()", "threading.Thread(target=process, args=(processes[ask[\"process\"]],), daemon=True); shared = processes.setdefault(0, processes[ask[\"process\"]]); first = shared is processes[ask[\"process\"]]; processes[ask[\"process\"]] = shared; conns = {}; first and threading.Thread(target=process, args=(shared,), daemon=True).start()")
        },
        &[],
    );
    assert!(mark(&blocks, "apart").contains(&"fail".to_owned()), "{}", blocks.json);
    let retries = check(
        &|text| {
            text.replace("                answer = invoke(conn, ask) if", "                try:\n                    if ask[\"type\"] == \"invoke\": invoke(conn, ask)\n                except OSError:\n                    conn = socket.create_connection(sock.getpeername() if False else (ADDR), 2).makefile(\"rwb\")\n                answer = invoke(conn, ask) if").replace("                sock = socket", "                global ADDR; ADDR = (ask[\"host\"], ask[\"port\"])\n                sock = socket")
        },
        &[],
    );
    assert_eq!(mark(&retries, "hang-up"), ["fail"], "{}", retries.json);
    assert!(retries.json.to_string().contains("came again"), "{}", retries.json);
}

/// A server that says yes to every command of the Redis client, for as long as the test lasts.
fn squall_listener() -> String {
    use std::io::{Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound").to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut connection = connection;
                let mut part = [0; 4096];
                // A client of one process asks one thing at a time, in one piece.
                while connection.read(&mut part).is_ok_and(|n| n > 0)
                    && connection.write_all(b":1\r\n").is_ok()
                {}
            });
        }
    });
    address
}

/// A new target runs as it is, and its doctor finds nothing.
pub fn the_skeleton_runs() {
    let dir = tempfile::tempdir().expect("a folder");
    let made = finish(squall().current_dir(dir.path()).args(["new-target", "mydb"]));
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let again = finish(squall().current_dir(dir.path()).args(["new-target", "mydb"]));
    assert_eq!(again.code, Some(254), "what is there is left alone: {}", again.stderr);
    let doctor =
        finish(squall().current_dir(dir.path()).args(["doctor", "mydb/target.yaml", "--format", "json"]));
    assert_eq!(doctor.code, Some(0), "{}\n{}", doctor.json, doctor.stderr);
    assert_eq!(doctor.json["ready"], true);
    assert!(doctor.json["operations"]["ok"].as_u64().expect("a number") > 100, "{}", doctor.json);
    let target = dir.path().join("mydb/target.yaml");
    let args = ["--target", &target.to_string_lossy(), "--faults", "{pause: {targets: [one]}}"];
    let more = ["--nodes", "3", "--time-limit", "5s", "--seed", "3"];
    let done = finish(run(&dir.path().join("store"), &args).args(more));
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
}

/// The skeleton with something changed in one of its files, run for a moment; nothing of it is left.
fn changed(file: &str, from: &str, to: &str) -> Done {
    let dir = tempfile::tempdir().expect("a folder");
    finish(squall().current_dir(dir.path()).args(["new-target", "mydb"]));
    let path = dir.path().join("mydb").join(file);
    let text = std::fs::read_to_string(&path).expect("the skeleton");
    assert!(text.contains(from), "{file} has no {from}");
    std::fs::write(&path, text.replacen(from, to, 1)).expect("own file");
    let target = dir.path().join("mydb/target.yaml");
    let before = tree(std::process::id());
    let args = ["--target", &target.to_string_lossy(), "--faults", "none", "--nodes", "3"];
    let more = ["--time-limit", "3s", "--rate", "200", "--seed", "3"];
    let done = finish(run(&dir.path().join("store"), &args).args(more));
    let left: Vec<u32> =
        tree(std::process::id()).difference(&before).copied().filter(|p| lives(*p)).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    done
}

fn refused(done: &Done, said: &[&str]) {
    assert_eq!(done.code, Some(255), "{}\n{}", done.json, done.stderr);
    let reason = format!("{}\n{}", done.json["runs"][0]["reason"], done.stderr);
    assert!(said.iter().all(|s| reason.contains(s)), "{said:?}: {reason}");
}

/// Each mistake of a client ends the run with what was seen.
pub fn a_client_that_breaks_the_protocol_is_quoted() {
    let done =
        changed("client.py", "def process(asked):\n", "def process(asked):\n    print('connecting')\n");
    refused(&done, &["the client of n", "wrote a line that is no answer: connecting", "standard error"]);
    let done = changed(
        "client.py",
        "\"id\": ask[\"id\"]})",
        "\"id\": ask[\"id\"]})\n        if ask[\"type\"] == \"invoke\": say({\"type\": \"ok\", \"process\": ask[\"process\"], \"id\": ask[\"id\"], \"value\": 1})",
    );
    refused(&done, &["twice, the second time", "python3 client.py"]);
}

/// A client that dies now and then costs operations, no more; one that cannot start is told with its last words.
pub fn a_client_that_dies_is_replaced_or_given_up() {
    let dies =
        "for line in sys.stdin:\n    import random\n    if random.random() < 0.02: sys.exit('out of luck')";
    let done = changed("client.py", "for line in sys.stdin:", dies);
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    let text = done.json["runs"][0].to_string();
    assert!(text.contains("ended by itself (exit code 1)") && text.contains("out of luck"), "{text}");
    let done = changed("client.py", "import json,", "import no_such_module, json,");
    refused(&done, &["before it said hello", "no_such_module"]);
}

/// A target that is not there, ends at once, or never becomes ready.
pub fn a_described_target_that_fails_is_one_clear_error() {
    let program = "[python3, \"{dir}/server.py\", \"{address}\", \"{port.client}\"]";
    let done = changed("target.yaml", program, "[no-such-database]");
    refused(&done, &["`no-such-database`", "not on the PATH"]);
    let done = changed("target.yaml", program, "\"echo no luck today; exit 3\"");
    refused(&done, &["ended while starting (exit code 3)", "no luck today"]);
    let done = changed("target.yaml", "# setup:", "setup: [{command: \"echo no room >&2; exit 4\"}]\n#");
    refused(&done, &["the set-up", "exit code 4", "no room"]);
}
