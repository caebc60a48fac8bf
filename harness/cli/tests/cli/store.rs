//! Commands that look at the store, on stores that were made up: `trend`, `diff`, `export --to junit`, `serve`.

#[path = "../../../../reports/tests/it/browser/open.rs"]
mod browser;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;
use squall_checkers::{Anomaly, Verdict};
use squall_history::{History, RunHeader};
use squall_reports::{Facts, Figures, Results};

const HOSTILE: &str = "<img src=x onerror=alert(1)>\u{1b}[31m";

fn squall(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_squall"));
    command.args(args).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SQUALL_") {
            command.env_remove(name);
        }
    }
    command
}

fn output(args: &[&str]) -> Output {
    squall(args).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// What a run of a made-up store is like.
struct Made<'a> {
    name: &'a str,
    seed: u64,
    rate: f64,
    found: Option<&'a str>,
}

fn put(store: &Path, night: &str, made: &Made<'_>) -> PathBuf {
    let dir = store.join(night).join(made.name);
    fs::create_dir_all(dir.join("nodes/n1")).unwrap();
    fs::write(dir.join("run.yaml"), "name: x\n").unwrap();
    fs::write(dir.join("nodes/n1/server.log"), HOSTILE).unwrap();
    fs::write(dir.join("report.html"), "<!DOCTYPE html><title>a report</title>").unwrap();
    let mut history = History::default();
    let header = RunHeader {
        name: made.name.into(),
        target: "etcd".into(),
        workload: "register".into(),
        seed: made.seed,
        ..RunHeader::default()
    };
    history.run = Some(Box::new(header));
    let anomaly = |signature: &str| Anomaly {
        kind: "lost".into(),
        signature: signature.into(),
        explanation: HOSTILE.into(),
        operations: vec![],
        details: Default::default(),
    };
    let verdict = Verdict::from_anomalies("linearizable", made.found.map(anomaly).into_iter().collect());
    let results = squall_reports::results(&history, &[verdict], &Facts::default());
    let figures = Some(Figures { ok_per_second: made.rate, ..Figures::default() });
    let results = Results { figures, ..results };
    fs::write(dir.join("results.json"), serde_json::to_vec(&results).unwrap()).unwrap();
    dir
}

/// Seven nights of seven runs; in the last all are slower, and one has an anomaly that is new.
fn store() -> tempfile::TempDir {
    let dir = tempfile::Builder::new().prefix("a störe ").tempdir().unwrap();
    for night in 1..=7 {
        for r in 1..=7 {
            let last = night == 7;
            let found = match (night, r) {
                (2, 1) => Some("old-one"),
                (7, 3) => Some("new-one"),
                _ => None,
            };
            let rate = 1000.0 + f64::from(r) - if last { 300.0 } else { f64::from(night) };
            let name = format!("etcd-register-none-r{r}");
            let made = Made { name: &name, seed: 40 + r as u64, rate, found };
            put(dir.path(), &format!("nightly/2026010{night}T000000Z"), &made);
        }
    }
    dir
}

#[test]
fn trends_say_what_is_new_what_is_gone_and_what_changed() {
    let store = store();
    let path = store.path().to_str().unwrap();
    let done = output(&["trend", path]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    assert!(
        said.contains("new-one: NEW") && said.contains("old-one: gone, last seen 20260102T000000Z"),
        "{said}"
    );
    assert!(said.contains("CHANGED ok: "), "{said}");
    let done = output(&["trend", path, "--name", "none-r3", "--format", "json"]);
    let json: Json = serde_json::from_slice(&done.stdout).unwrap();
    let campaign = &json["campaigns"][0];
    assert_eq!((&campaign["campaign"], campaign["trends"].as_array().unwrap().len()), (&"nightly".into(), 1));
    assert_eq!(campaign["signatures"].as_array().unwrap().len(), 1);
    assert_eq!(campaign["trends"][0]["changes"][0]["figure"], "ok_per_second");
    for (args, why) in [
        (&["trend", "/no/such/store"][..], "no such folder"),
        (&["trend", path, "--name", "zz"], "no results"),
    ] {
        let done = output(args);
        assert_eq!(done.status.code(), Some(254));
        assert!(text(&done.stderr).contains(why), "{}", text(&done.stderr));
    }
}

#[test]
fn two_nights_are_compared_in_pairs() {
    let store = store();
    let night = |n: u32| format!("{}/nightly/2026010{n}T000000Z", store.path().display());
    let said = |a: u32, b: u32| text(&output(&["diff", &night(a), &night(b)]).stdout).to_owned();
    assert!(said(1, 7).contains("etcd-register-none, ok: 1,003/s → 704/s (7 pairs"), "{}", said(1, 7));
    assert!(said(1, 7).contains("etcd-register-none-r3 (seed 43): passed → FAILED"), "{}", said(1, 7));
    assert!(!said(5, 5).contains('→'), "{}", said(5, 5));
    let done = output(&["diff", &night(1), "/no/such"]);
    assert_eq!(done.status.code(), Some(254));
}

#[test]
fn verdicts_become_junit() {
    let store = store();
    let night = format!("{}/nightly", store.path().display());
    let done = output(&["export", &night, "--to", "junit"]);
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let said = text(&done.stdout);
    assert!(said.contains("<testsuites name=\"squall\" tests=\"14\" failures=\"1\" errors=\"0\">"), "{said}");
    assert!(!said.contains("<img") && !said.contains('\u{1b}'));
    let one = format!("{night}/20260107T000000Z/etcd-register-none-r1");
    let done = output(&["export", &one, "--to", "junit"]);
    assert!(text(&done.stdout).contains("tests=\"2\" failures=\"0\""));
}

/// A server that ends with its test.
struct Server {
    child: Child,
    url: String,
}

impl Server {
    fn start(store: &Path) -> Server {
        let mut command = squall(&["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.arg(store).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Server { child, url: line.trim().trim_end_matches('/').to_owned() }
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    /// Sends a request as it is written; gives the status, the headers and the body.
    fn ask(&self, method: &str, path: &str, host: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address()).unwrap();
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let answer = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        self.ask("GET", path, self.address())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const RUN: &str = "nightly/20260107T000000Z/etcd-register-none-r3";

#[test]
fn the_store_is_shown_and_nothing_beside_it() {
    let store = store();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.txt"), "secret").unwrap();
    std::os::unix::fs::symlink(outside.path(), store.path().join("nightly/link")).unwrap();
    let server = Server::start(store.path());
    let (status, headers, body) = server.get("/");
    assert_eq!((status, body.matches("<tr><td>").count()), (200, 49), "every run is listed");
    assert!(headers.contains("default-src 'none'") && headers.contains("nosniff"), "{headers}");
    assert!(!body.contains("<img") && !body.contains('\u{1b}'), "what a target said is inert");
    assert_eq!(server.get("/?q=r3+failed").2.matches("<tr><td>").count(), 1, "a search");
    for (path, shows) in [
        (format!("/run/{RUN}"), "✗ failed"),
        ("/night/nightly/20260107T000000Z/".to_owned(), "new-one"),
        ("/compare?a=nightly/20260101T000000Z&b=nightly/20260107T000000Z".to_owned(), "changed"),
        (format!("/files/{RUN}/report.html"), "a report"),
    ] {
        let (status, _, body) = server.get(&path);
        assert!(status == 200 && body.contains(shows), "{path}: {status} {body}");
    }
    let (_, headers, body) = server.get(&format!("/files/{RUN}/nodes/n1/server.log"));
    assert!(headers.contains("content-type: text/plain") && body == HOSTILE, "logs are text: {headers}");
    for path in [
        "/files/nightly/link/secret.txt",
        "/files/../secret.txt",
        "/files/nightly/%2e%2e/%2e%2e/etc/passwd",
        "/files//etc/passwd",
        "/files/nightly",
        "/files/nightly%2f..%2f..%2fetc%2fpasswd",
        "/run/nightly/../x/y",
        "/night/nightly/link",
        "/compare?a=../..&b=x",
        "/nothing",
    ] {
        let (status, _, body) = server.get(path);
        assert!(status == 404 && !body.contains("secret"), "{path}: {status} {body}");
    }
    assert_eq!(server.get("/files/%ff").0, 400);
    assert_eq!(server.ask("POST", "/", server.address()).0, 405);
    assert_eq!(server.ask("GET", "/", "evil.example:80").0, 403, "no other site's name");
    let head = server.ask("HEAD", &format!("/files/{RUN}/results.json"), server.address());
    assert!(head.0 == 200 && head.2.is_empty() && head.1.contains("content-length"), "{head:?}");
}

#[test]
fn only_loopback_is_listened_on() {
    let store = tempfile::tempdir().unwrap();
    let path = store.path().to_str().unwrap();
    let done = output(&["serve", path, "--listen", "0.0.0.0:0"]);
    assert_eq!(done.status.code(), Some(254));
    assert!(text(&done.stderr).contains("no loopback address"));
    assert_eq!(output(&["serve", "/no/such/store"]).status.code(), Some(254));
}

/// A run in its main phase: its log has an operation that ended and no results stand beside it.
#[test]
fn a_real_browser_shows_the_store_without_a_word_on_its_console() {
    let Some(chromium) = browser::browser() else { return };
    let store = store();
    fs::create_dir_all(store.path().join("nightly/20260107T000000Z/going-on")).unwrap();
    fs::write(store.path().join("nightly/20260107T000000Z/going-on/run.yaml"), "").unwrap();
    let server = Server::start(store.path());
    for (path, shows) in [
        ("/".to_owned(), "49 runs".replace("49", "50")),
        ("/night/nightly/20260107T000000Z/".to_owned(), "Over time".to_owned()),
        (format!("/run/{RUN}"), "The report".to_owned()),
        ("/run/nightly/20260107T000000Z/going-on".to_owned(), "Nothing was recorded yet".to_owned()),
        ("/compare?a=nightly/20260101T000000Z&b=nightly/20260107T000000Z".to_owned(), "By chance".to_owned()),
    ] {
        let (dom, log) = browser::visit(&chromium, &format!("{}{path}", server.url));
        browser::quiet(&log);
        assert!(dom.contains(&shows), "{path} shows no {shows}: {dom}");
        assert!(!dom.contains("<img"), "{path}");
    }
}

#[test]
fn a_run_of_a_later_version_is_refused_by_name_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let run =
        put(dir.path(), "nightly/20260101T000000Z", &Made { name: "r", seed: 1, rate: 1.0, found: None });
    let mut log = squall_history::runlog::LogWriter::new(Vec::new()).unwrap();
    let header = RunHeader { schema_version: 99, workload: "register".into(), ..RunHeader::default() };
    log.push(&squall_history::Entry::Run(Box::new(header)));
    log.seal(1).unwrap();
    let bytes = log.into_inner();
    fs::write(run.join("history.jsonl.zst"), &bytes).unwrap();
    let run = run.to_str().unwrap();
    for args in
        [&["analyze", run][..], &["check", run, "--model", "register"], &["export", run, "--to", "edn"]]
    {
        let done = output(args);
        assert_eq!(done.status.code(), Some(254), "{args:?}: {}", text(&done.stderr));
        assert!(
            text(&done.stderr).contains("a later version of squall (format 99"),
            "{}",
            text(&done.stderr)
        );
    }
    assert_eq!(fs::read(Path::new(run).join("history.jsonl.zst")).unwrap(), bytes);
    // Results of a later version count as not there: nothing of them is guessed.
    let results = Path::new(run).join("results.json");
    let later =
        fs::read_to_string(&results).unwrap().replace("\"schema_version\":1", "\"schema_version\":99");
    fs::write(&results, later).unwrap();
    let done = output(&["trend", dir.path().to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(254), "{}", text(&done.stdout));
}
