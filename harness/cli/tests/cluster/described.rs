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

/// An answer that is lost on a silent connection, or a datagram that comes twice, adds an element a second time; the
/// same client without its retry is right.
pub fn a_retry_that_is_one_too_many_is_found() {
    for file in ["half-open.yaml", "duplication.yaml", "sound.yaml"] {
        as_expected(&campaign("toy-retry", file));
    }
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

/// Names an executable of etcd 3.5.0: `examples/etcd-divergence` says how to get it.
pub const ETCD_3_5_0: &str = "SQUALL_ETCD_3_5_0";

/// A node that is killed between two steps leaves an entry out, and differs from the others for good.
pub fn replicas_of_etcd_3_5_0_diverge() {
    let binary = std::env::var(ETCD_3_5_0).expect("the test needs it");
    let dir = tempfile::tempdir().expect("a folder");
    let text = std::fs::read_to_string(example("etcd-divergence", "campaign.yaml")).expect("the example");
    assert!(text.contains("./etcd-3.5.0"), "{text}");
    let path = dir.path().join("campaign.yaml");
    std::fs::write(&path, text.replace("./etcd-3.5.0", &binary)).expect("own folder");
    let store = dir.path().join("store");
    let done = finish(squall().arg("run").arg(path).arg("--store").arg(&store).args(["--format", "json"]));
    as_expected(&done);
    assert!(done.json.to_string().contains("diverged-replicas"), "{}", done.json);
    // The same storm, for about as long as that took, on a version that has it right.
    let sound = finish(&mut run(
        &store,
        &[&example("etcd-divergence", "sound.yaml").to_string_lossy(), "--time-limit", "20s"],
    ));
    as_expected(&sound);
}

/// A client in one loop: whoever waits holds up the rest. LIMIT is how long it waits, TRIES how often it tries.
const ONE_LOOP: &str = r#"
import json, socket, sys
connections, places = {}, {}
for line in sys.stdin:
    ask = json.loads(line)
    answer = {"type": "ok"}
    if ask["type"] == "hello":
        print(json.dumps({"type": "hello", "protocol": 1, "supports": ["write"]}), flush=True)
        continue
    if ask["type"] == "close":
        continue
    try:
        if ask["type"] == "open":
            places[ask["process"]] = place = (ask["host"], ask["port"])
            connections[ask["process"]] = socket.create_connection(place, LIMIT)
        else:
            place = places[ask["process"]]
            for again in range(TRIES):
                try:
                    connections[ask["process"]].sendall(b"write 1\n")
                    if connections[ask["process"]].recv(100) == b"":
                        raise ConnectionError("closed")
                except ConnectionError:
                    if again + 1 == TRIES:
                        raise
                    connections[ask["process"]] = socket.create_connection(place, LIMIT)
    except OSError as e:
        answer = {"type": "info", "error": str(e)}
    print(json.dumps({**answer, "process": ask["process"], "id": ask["id"]}), flush=True)
"#;

/// The conformance test passes a good client, and names what a bad one does.
pub fn clients_are_tried_out() {
    let good = std::fs::read_to_string(example("redis-sentinel", "client.py")).expect("the example");
    let check = |text: &str, with: &[&str]| {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("client.py");
        std::fs::write(&path, text).expect("own file");
        let mut command = squall();
        finish(
            command.args(["check-client", "--format", "json"]).args(with).args(["--", "python3"]).arg(&path),
        )
    };
    let marks = |done: &Done, name: &str| -> Vec<String> {
        let findings = done.json["findings"].as_array().expect("findings");
        let of = findings.iter().filter(|f| f["name"] == name);
        of.map(|f| f["result"].as_str().unwrap_or("").to_owned()).collect()
    };
    let passed = check(&good, &["--server", &yes_man()]);
    assert_eq!(passed.code, Some(0), "{}\n{}", passed.json, passed.stderr);
    assert_eq!(marks(&passed, "numbers"), ["pass"], "{}", passed.json);
    let fails = check(&good.replace("\"type\": \"info\"", "\"type\": \"fail\""), &[]);
    assert_eq!(fails.code, Some(1), "{}", fails.json);
    assert_eq!(
        (marks(&fails, "hang-up"), marks(&fails, "silence")),
        (vec!["fail".into()], vec!["fail".into()])
    );
    let blocks = check(&ONE_LOOP.replace("LIMIT", "20").replace("TRIES", "1"), &[]);
    assert_eq!((blocks.code, marks(&blocks, "apart")), (Some(1), vec!["fail".into()]), "{}", blocks.json);
    let retries = check(&ONE_LOOP.replace("LIMIT", "1").replace("TRIES", "2"), &[]);
    assert_eq!(
        (retries.code, marks(&retries, "hang-up")),
        (Some(1), vec!["fail".into()]),
        "{}",
        retries.json
    );
    assert!(retries.json.to_string().contains("the same request came again"), "{}", retries.json);
}

/// A server that says yes to every command of the Redis client, for as long as the test lasts.
fn yes_man() -> String {
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

/// Its default is to sync every two minutes: what it acknowledged is gone when the power is.
pub fn nats_loses_what_it_acknowledged() {
    as_expected(&campaign("nats-jetstream", "campaign.yaml"));
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

/// A client in a language that no example uses, written from `docs/client-protocol.md` alone; one program a process.
const BASH: &str = r#"#!/bin/bash
field() { [[ $line =~ \"$1\":\"?(\[[^]]*\]|[^,\"}]*) ]] && echo "${BASH_REMATCH[1]}"; }
answer() { echo "{\"type\":\"$1\",\"process\":$process,\"id\":$id$2}"; }
number() { [ "$1" = null ] && echo none || echo "$1"; }
ask() { echo "$1" >&3 && IFS= read -r -t 2 reply <&3; }
while IFS= read -r line; do
  process=$(field process) id=$(field id) key=$(field key) value=$(field value)
  case $(field type) in
    hello) echo '{"type":"hello","protocol":1,"client":"bash","supports":["read","write","cas"]}' ;;
    open) if exec 3<>"/dev/tcp/$(field host)/$(field port)"; then answer ok; else answer fail; fi ;;
    setup) answer ok ;;
    invoke)
      case $(field f) in
        read) if ask "get r$key"; then answer ok ",\"value\":${reply/none/null}"; else answer info; fi ;;
        write) if ask "set r$key $value"; then answer ok; else answer info; fi ;;
        cas)
          pair=${value#[} pair=${pair%]}
          if ! ask "cas r$key $(number "${pair%,*}") $(number "${pair#*,}")"; then answer info
          elif [ "$reply" = mismatch ]; then answer ok ',"value":"mismatch"'
          else answer ok; fi ;;
      esac ;;
    close) exec 3>&- ;;
  esac
done
"#;

/// Another, one program for all processes of a node: whoever waits holds up nobody.
const PERL: &str = r#"use strict; use warnings; use IO::Select; use IO::Socket::INET;
$| = 1;
my $ready = IO::Select->new(\*STDIN);
my (%socket, %asked, %partly);    # by process; by socket: the question it works on, and what it was told so far
sub field { $_[0] =~ /"$_[1]":(?:"([^"]*)"|(\[[^\]]*\]|[^,}]+))/ ? $1 // $2 : undef }
sub answer { my ($to, $kind, $more) = @_; printf qq({"type":"$kind","process":%s,"id":%s%s}\n), field($to, 'process'), field($to, 'id'), $more // '' }
sub leave { my $s = shift; $ready->remove($s); delete $partly{$s}; close $s }
sub none { $_[0] eq 'null' ? 'none' : $_[0] }
sub question {
    my $line = shift;
    my ($type, $process) = (field($line, 'type'), field($line, 'process'));
    my $s = defined $process ? $socket{$process} : undef;
    if ($type eq 'hello') { print qq({"type":"hello","protocol":1,"client":"perl","supports":["read","write","cas"]}\n) }
    elsif ($type eq 'setup') { answer($line, 'ok') }
    elsif ($type eq 'close') { leave($s) if $s; delete $socket{$process} }
    elsif ($type eq 'open') {
        $s = IO::Socket::INET->new(PeerAddr => field($line, 'host'), PeerPort => field($line, 'port'), LocalAddr => field($line, 'bind'), Timeout => 1);
        return answer($line, 'fail', ',"error":"no connection"') unless $s;
        $ready->add($socket{$process} = $s);
        answer($line, 'ok');
    } elsif ($type eq 'invoke') {
        return answer($line, 'fail', ',"closed":true') unless $s && $ready->exists($s);
        my ($f, $key, $value) = map { field($line, $_) } qw(f key value);
        my $ask = $f eq 'read' ? "get r$key" : $f eq 'write' ? "set r$key $value" : join ' ', "cas r$key", map { none($_) } $value =~ /[^\[\], ]+/g;
        $asked{$s} = $line;
        syswrite $s, "$ask\n";
    }
}
sub told {
    my ($s, $text) = @_;
    my $line = delete $asked{$s} // return;
    return answer($line, 'ok', field($line, 'f') eq 'read' ? ',"value":' . ($text eq 'none' ? 'null' : $text) : '') if $text ne 'mismatch';
    answer($line, 'ok', ',"value":"mismatch"');
}
while (1) {
    for my $from ($ready->can_read) {
        my $input = fileno $from == fileno STDIN;
        my $got = sysread $from, my $part, 65536;
        exit if $input && !$got;
        if (!$got) { answer(delete $asked{$from}, 'info', ',"error":"the connection broke"') if $asked{$from}; leave($from); next }
        $partly{$from} .= $part;
        while ($partly{$from} =~ s/^(.*)\n//) { $input ? question($1) : told($from, $1) }
    }
}
"#;

/// The page of specification is enough, with a program for each process or with one for all of a node.
pub fn clients_in_bash_and_perl_work() {
    a_client_works("client.sh", BASH, "{command: [bash, client.sh], per_process: true}");
    a_client_works("client.pl", PERL, "{command: [perl, client.pl]}");
}

fn a_client_works(file: &str, text: &str, client: &str) {
    let dir = tempfile::tempdir().expect("a folder");
    finish(squall().current_dir(dir.path()).args(["new-target", "mydb"]));
    std::fs::write(dir.path().join("mydb").join(file), text).expect("own file");
    let target = dir.path().join("mydb/target.yaml");
    let skeleton = std::fs::read_to_string(&target).expect("the skeleton");
    let python = "client: {command: [python3, client.py]}";
    assert!(skeleton.contains(python), "{skeleton}");
    std::fs::write(&target, skeleton.replace(python, &format!("client: {client}"))).expect("own file");
    let args = ["--target", &target.to_string_lossy(), "--faults", "none", "--nodes", "3", "--rate", "100"];
    let done = finish(run(&dir.path().join("store"), &args).args(["--time-limit", "3s", "--seed", "3"]));
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    let ok = done.json["runs"][0]["operations"]["ok"].as_u64().expect("a number");
    assert!(ok > 50, "{}", done.json);
}

/// From nothing to a first verdict: a description and a client of fewer than 60 lines each.
pub fn a_real_system_takes_less_than_sixty_lines_twice() {
    for file in ["target.yaml", "client.py"] {
        let text = std::fs::read_to_string(example("redis-sentinel", file)).expect("the example");
        let lines =
            text.lines().filter(|line| !line.trim().is_empty() && !line.trim().starts_with('#')).count();
        assert!((10..60).contains(&lines), "{file} has {lines}");
    }
}

/// The skeleton with something changed in one of its files, run for a moment; nothing of it is left.
fn changed(file: &str, from: &str, to: &str) -> Done {
    changed_with(file, from, to, "")
}

/// The same with more in its campaign.
fn changed_with(file: &str, from: &str, to: &str, more: &str) -> Done {
    let dir = tempfile::tempdir().expect("a folder");
    finish(squall().current_dir(dir.path()).args(["new-target", "mydb"]));
    let path = dir.path().join("mydb").join(file);
    let text = std::fs::read_to_string(&path).expect("the skeleton");
    assert!(text.contains(from), "{file} has no {from}");
    std::fs::write(&path, text.replacen(from, to, 1)).expect("own file");
    let campaign = dir.path().join("mydb/campaign.yaml");
    let text =
        "seed: 3\nnodes: 3\ntime_limit: 3s\nrate: 200\ntargets: [./target.yaml]\nworkloads: [register]";
    std::fs::write(&campaign, format!("{text}\nfaults: [none]\n{more}\n")).expect("own file");
    let campaign = campaign.to_string_lossy();
    let done = finish(&mut run(&dir.path().join("store"), &[&campaign]));
    let left: Vec<u32> = tree(1).into_iter().filter(|pid| lives(*pid) && is_of(*pid, dir.path())).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    done
}

/// Whether a process works in a folder, or was told of it.
fn is_of(pid: u32, folder: &Path) -> bool {
    let told = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let works = std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default();
    String::from_utf8_lossy(&told).contains(&*folder.to_string_lossy()) || works.starts_with(folder)
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
    let dies = "for count, line in enumerate(sys.stdin):\n    if count == 60: sys.exit('out of luck')";
    let done = changed("client.py", "for line in sys.stdin:", dies);
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
    let text = done.json["runs"][0].to_string();
    assert!(text.contains("ended by itself (exit code 1)") && text.contains("out of luck"), "{text}");
    let done = changed("client.py", "import json,", "import no_such_module, json,");
    refused(&done, &["before it said hello", "no_such_module"]);
}

/// A client may say much on its standard error, but not without end.
pub fn a_client_that_floods_its_log_is_ended() {
    let flood = "import os; os.write(2, b'all is well\\n' * (6 << 20))\nimport json,";
    let done = changed("client.py", "import json,", flood);
    refused(&done, &["the client of n", "more than 64 MiB to its standard error", "all is well"]);
}

/// A target that is not there, ends at once, goes away, or never becomes ready.
pub fn a_described_target_that_fails_is_one_clear_error() {
    let program = "[python3, \"{dir}/server.py\", \"{address}\", \"{port.client}\"]";
    let done = changed("target.yaml", program, "[no-such-database]");
    refused(&done, &["`no-such-database`", "not on the PATH"]);
    let done = changed("target.yaml", program, "\"echo no luck today; exit 3\"");
    refused(&done, &["ended while starting (exit code 3)", "no luck today"]);
    let done = changed("target.yaml", "# setup:", "setup: [{command: \"echo no room >&2; exit 4\"}]\n#");
    refused(&done, &["the set-up", "exit code 4", "no room"]);
    let away = "\"(sleep 2; exec python3 {dir}/server.py {address} {port.client}) & exit 0\"";
    let done = changed("target.yaml", program, away);
    refused(&done, &["ended while starting (exit code 0", "stay in the foreground"]);
    let done = changed_with(
        "target.yaml",
        program,
        "\"echo waiting for a sign; exec sleep 600\"",
        "ready_limit: 2s",
    );
    refused(&done, &["did not become ready within 2 s", "no connection to", "waiting for a sign"]);
}

/// A target that fills the disk is stopped while there is room for its log, which can be judged.
pub fn a_target_that_fills_its_disk_is_stopped() {
    let dir = tempfile::tempdir().expect("a folder");
    finish(squall().current_dir(dir.path()).args(["new-target", "mydb"]));
    let path = dir.path().join("mydb/target.yaml");
    let text = std::fs::read_to_string(&path).expect("the skeleton");
    let program = "[python3, \"{dir}/server.py\", \"{address}\", \"{port.client}\"]";
    let greedy = "\"(sleep 3; while head -c 3000000 /dev/zero >> junk; do sleep 0.1; done) & \
                  exec python3 {dir}/server.py {address} {port.client}\"";
    assert!(text.contains(program), "{text}");
    std::fs::write(&path, text.replace(program, greedy)).expect("own file");
    // A small disk of its own, that nobody else sees.
    let store = dir.path().join("small");
    std::fs::create_dir(&store).expect("own folder");
    let args = ["run", "--workload", "register", "--faults", "none", "--nodes", "3", "--time-limit", "60s"];
    let script = "mount -t tmpfs -o size=100m small \"$1\" && store=$1 && shift && \"$@\"; code=$?; \
                  rm -rf \"$store\"/*/*/*/*/nodes; cp -r \"$store\"/. \"$store-kept\"; exit $code";
    let mut command = std::process::Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(&store);
    command.arg(squall().get_program()).args(args).args(["--target"]).arg(&path);
    command.args(["--store"]).arg(store.join("runs")).args(["--format", "json"]);
    let done = finish(&mut command);
    refused(&done, &["nearly full", "MiB are left in", "Files of nodes there: n"]);
    let kept = dir.path().join("small-kept/runs");
    let log = walk(&kept).into_iter().find(|file| file.ends_with("history.jsonl.zst")).expect("its history");
    let again = finish(squall().arg("analyze").arg(log.parent().expect("a run")).args(["--format", "json"]));
    assert!(matches!(again.code, Some(0 | 2)), "{}\n{}", again.json, again.stderr);
}

/// Every file below a folder.
fn walk(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    entries.flat_map(|e| if e.path().is_dir() { walk(&e.path()) } else { vec![e.path()] }).collect()
}

/// A target that does not listen when it is asked to stop is made to, and the run is as good as any other.
pub fn a_target_that_ignores_its_end_is_ended() {
    let program = "[python3, \"{dir}/server.py\", \"{address}\", \"{port.client}\"]";
    let deaf = "\"trap '' TERM INT HUP; python3 {dir}/server.py {address} {port.client}; sleep 600\"";
    let done = changed("target.yaml", program, deaf);
    assert_eq!(done.code, Some(0), "{}\n{}", done.json, done.stderr);
}

/// Members come and go by the commands of a description, and the fault says that it happened.
pub fn members_of_a_described_target_come_and_go() {
    let done = campaign("etcd-members", "campaign.yaml");
    as_expected(&done);
    let faults = done.json["runs"][0]["faults"].as_array().expect("faults");
    let change = faults.iter().find(|f| f["kind"] == "membership").expect("a change of members");
    assert_eq!((&change["effective"], &change["evidence"]["standing"]), (&true.into(), &"member".into()));
}
