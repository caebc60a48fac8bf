//! etcd 3.4 and 3.5, over its JSON gateway, which needs no generated code.
//!
//! Errors, by gRPC code and message (etcd's `rpctypes`, and gRPC's status codes):
//!
//! | code | message | a change is |
//! | --- | --- | --- |
//! | 3 InvalidArgument, 11 OutOfRange, 12 Unimplemented | any | `fail`: refused before it was proposed |
//! | 8 ResourceExhausted | `etcdserver: too many requests` | `fail`: refused before it was proposed |
//! | anything else: 4 DeadlineExceeded, 14 Unavailable (`request timed out`, `leader changed`, `no leader`), 2 Unknown | any | `info`: it may have been proposed |
//!
//! The gateway dials its own node, and its gRPC client does not retry what was sent.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_cluster::Program;
use squall_engine::protocol::{Client, Layout, LogPattern, NodeStatus, Status, Target, Via, options};
use squall_engine::{Completion, Error, Operation};
use squall_history::Value;

use crate::http::{Answer, Http};

const CLIENT_PORT: u16 = 2379;
const PEER_PORT: u16 = 2380;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// `system` for the one on the PATH, or the path of an executable.
    version: Option<String>,
    /// Reads from the node's own state: fast, and stale by design.
    serializable_reads: bool,
    /// Entries between snapshots.
    snapshot_count: Option<u64>,
    /// Do not flush the log: a mistake on purpose.
    unsafe_no_fsync: bool,
    /// More flags, as they stand.
    flags: Vec<String>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Etcd {
    options: Options,
    binary: OnceLock<PathBuf>,
}

impl Etcd {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Target>, Error> {
        Ok(Arc::new(Etcd { options: options("etcd", given)?, binary: OnceLock::new() }))
    }

    fn find(&self) -> Result<PathBuf, Error> {
        match self.options.version.as_deref() {
            None | Some("system") => find_on_path("etcd").ok_or_else(|| {
                Error::Missing(
                    "etcd is not on the PATH; on Debian and Ubuntu: apt-get install etcd-server \
                     (or name an executable: targets: [{etcd: {version: /path/to/etcd}}])"
                        .into(),
                )
            }),
            Some(path) if path.contains('/') => {
                std::path::absolute(path).map_err(|e| Error::io(format!("the path of etcd, {path}"), e))
            }
            Some(other) => Err(Error::Config(format!(
                "etcd's `version` is `system` or the path of an executable, not `{other}`"
            ))),
        }
    }
}

fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

#[async_trait]
impl Target for Etcd {
    fn name(&self) -> &str {
        "etcd"
    }

    async fn prepare(&self) -> Result<String, Error> {
        let binary = self.find()?;
        let output = tokio::process::Command::new(&binary)
            .arg("--version")
            .output()
            .await
            .map_err(|e| Error::Missing(format!("{} cannot be run: {e}", binary.display())))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().find_map(|l| l.strip_prefix("etcd Version: ")).ok_or_else(|| {
            Error::Missing(format!("{} --version does not say that it is etcd", binary.display()))
        })?;
        let version = version.trim().to_owned();
        self.binary.get_or_init(|| binary);
        Ok(version)
    }

    fn uses(&self) -> Vec<PathBuf> {
        self.binary.get().cloned().into_iter().collect()
    }

    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program> {
        let me = &layout.nodes[node];
        let url = |n: usize, port: u16| format!("http://{}", layout.socket(n, port));
        let members: Vec<_> = (0..layout.nodes.len())
            .map(|n| format!("{}={}", layout.nodes[n].name, url(n, PEER_PORT)))
            .collect();
        let data = me.data_dir.join("etcd").to_string_lossy().into_owned();
        let (client, peer) = (url(node, CLIENT_PORT), url(node, PEER_PORT));
        let binary = self.binary.get().map_or_else(|| OsString::from("etcd"), |b| b.clone().into());
        let mut argv = vec![binary];
        let flags: [(&str, &str); 9] = [
            ("--name", &me.name),
            ("--data-dir", &data),
            ("--listen-client-urls", &client),
            ("--advertise-client-urls", &client),
            ("--listen-peer-urls", &peer),
            ("--initial-advertise-peer-urls", &peer),
            ("--initial-cluster", &members.join(",")),
            ("--initial-cluster-state", "new"),
            ("--logger", "zap"),
        ];
        for (flag, value) in flags {
            argv.push(flag.into());
            argv.push(value.into());
        }
        if let Some(count) = self.options.snapshot_count {
            argv.push("--snapshot-count".into());
            argv.push(count.to_string().into());
        }
        if self.options.unsafe_no_fsync {
            argv.push("--unsafe-no-fsync".into());
        }
        argv.extend(self.options.flags.iter().map(OsString::from));
        vec![Program::new("etcd", argv)]
    }

    async fn ready(&self, node: usize, via: Via<'_>) -> Result<(), Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::POST, "/v3/kv/range", range("ready", false)).await;
        match answer.map_err(Error::Target)? {
            Answer { status: 200, .. } => Ok(()),
            answer => Err(Error::Target(answer_text(&answer))),
        }
    }

    async fn connect(&self, node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        let http = Http::connect(node, CLIENT_PORT, via).await?;
        Ok(Box::new(EtcdClient { http, serializable: self.options.serializable_reads }))
    }

    fn supports(&self, f: &str) -> bool {
        matches!(f, "read" | "write" | "cas")
    }

    /// "etcd ensures linearizability for all other operations by default" (API guarantees); serializable
    /// reads may be stale, and each node serves what it has applied, in order.
    fn promises(&self) -> &str {
        if self.options.serializable_reads { "sequential" } else { "linearizable" }
    }

    fn status(&self) -> Option<&dyn Status> {
        Some(self)
    }

    fn log_patterns(&self) -> Vec<LogPattern> {
        ["panic: ", "fatal error: ", "\"level\":\"panic\"", "\"level\":\"fatal\""].map(LogPattern::new).into()
    }
}

/// The gateway writes 64-bit numbers as strings, and leaves out zeros.
#[derive(Deserialize, Default)]
#[serde(default)]
struct StatusReply {
    header: Header,
    leader: String,
    #[serde(rename = "raftTerm")]
    raft_term: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Header {
    member_id: String,
    revision: String,
}

#[async_trait]
impl Status for Etcd {
    async fn status(&self, node: usize, via: Via<'_>) -> Result<NodeStatus, Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::POST, "/v3/maintenance/status", "{}").await;
        let answer = answer.map_err(Error::Target)?;
        let reply: StatusReply = serde_json::from_slice(&answer.body)
            .map_err(|e| Error::Target(format!("the status is not what it should be: {e}")))?;
        Ok(NodeStatus {
            leads: !reply.leader.is_empty() && reply.leader == reply.header.member_id,
            term: reply.raft_term.parse().unwrap_or(0),
            wall_clock_unix_nanos: None,
        })
    }
}

#[derive(Debug)]
struct EtcdClient {
    http: Http,
    serializable: bool,
}

#[async_trait]
impl Client for EtcdClient {
    async fn invoke(&mut self, op: &Operation) -> Completion {
        let (path, body) = match request_for(op, self.serializable) {
            Ok(request) => request,
            Err(why) => return Completion::fail("not-asked", why),
        };
        match self.http.request(Method::POST, path, body).await {
            Ok(answer) => complete(op, &answer),
            Err(e) => Completion::unclear(op, "connection-broke", e),
        }
    }

    fn is_usable(&self) -> bool {
        self.http.is_usable()
    }
}

fn request_for(op: &Operation, serializable: bool) -> Result<(&'static str, String), String> {
    let key = format!("r{}", op.key);
    match &*op.f {
        "read" => Ok(("/v3/kv/range", range(&key, serializable))),
        "write" => Ok(("/v3/kv/put", json!({ "key": base64(&key), "value": encode(&op.value) }).to_string())),
        "cas" => {
            let (old, new) = op.value.as_pair().ok_or("a cas takes [old, new]")?;
            let compare = if old.is_nil() {
                json!({ "key": base64(&key), "target": "CREATE", "result": "EQUAL", "create_revision": "0" })
            } else {
                json!({ "key": base64(&key), "target": "VALUE", "result": "EQUAL", "value": encode(old) })
            };
            let put = json!({ "request_put": { "key": base64(&key), "value": encode(new) } });
            Ok(("/v3/kv/txn", json!({ "compare": [compare], "success": [put] }).to_string()))
        }
        other => Err(format!("etcd's client does not know `{other}`")),
    }
}

fn range(key: &str, serializable: bool) -> String {
    json!({ "key": base64(key), "serializable": serializable }).to_string()
}

fn encode(value: &Value) -> String {
    base64(&value.to_string())
}

#[derive(Deserialize)]
struct RangeReply {
    #[serde(default)]
    kvs: Vec<Kv>,
}

#[derive(Deserialize)]
struct Kv {
    value: String,
    mod_revision: String,
}

#[derive(Deserialize)]
struct ChangeReply {
    header: Header,
    // Of a transaction; the gateway leaves out what is false.
    #[serde(default)]
    succeeded: bool,
}

#[derive(Deserialize)]
struct ErrorReply {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    error: String,
}

fn complete(op: &Operation, answer: &Answer) -> Completion {
    if answer.status != 200 {
        return failed(op, answer);
    }
    let understood = match &*op.f {
        "read" => read(&answer.body),
        f => change(&answer.body).map(|(revision, succeeded)| {
            let mismatch = f == "cas" && !succeeded;
            Completion::ok_at(if mismatch { Value::str("mismatch") } else { op.value.clone() }, revision)
        }),
    };
    understood.unwrap_or_else(|| Completion::unclear(op, "not-understood", answer_text(answer)))
}

fn read(body: &[u8]) -> Option<Completion> {
    let reply: RangeReply = serde_json::from_slice(body).ok()?;
    let Some(kv) = reply.kvs.first() else {
        return Some(Completion::ok_at(Value::Nil, 0));
    };
    let value: Value = serde_json::from_slice(&unbase64(&kv.value)?).ok()?;
    Some(Completion::ok_at(value, kv.mod_revision.parse().ok()?))
}

fn change(body: &[u8]) -> Option<(i64, bool)> {
    let reply: ChangeReply = serde_json::from_slice(body).ok()?;
    Some((reply.header.revision.parse().ok()?, reply.succeeded))
}

fn failed(op: &Operation, answer: &Answer) -> Completion {
    let Ok(reply) = serde_json::from_slice::<ErrorReply>(&answer.body) else {
        return Completion::unclear(op, "not-understood", answer_text(answer));
    };
    let text = if reply.message.is_empty() { reply.error } else { reply.message };
    match reply.code {
        3 | 11 | 12 => Completion::fail(format!("grpc-{}", reply.code), text),
        8 if text == "etcdserver: too many requests" => Completion::fail("grpc-8-too-many-requests", text),
        code => Completion::unclear(op, format!("grpc-{code}"), text),
    }
}

fn answer_text(answer: &Answer) -> String {
    format!("HTTP {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use squall_engine::Outcome;

    use super::*;

    fn op(f: &str, value: Value) -> Operation {
        Operation { read_only: f == "read", ..Operation::new(&f.into(), 7.into(), value) }
    }

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned().into() }
    }

    // The gateway ignores fields that it does not know: a misspelt guard would answer 200 and guard nothing.
    // So requests are compared with what etcd's API reference has, to the letter.
    #[test]
    fn requests_are_as_etcd_documents_them() {
        let (path, body) = request_for(&op("cas", Value::list([1.into(), 2.into()])), false).unwrap();
        assert_eq!(path, "/v3/kv/txn");
        let body: Json = serde_json::from_str(&body).unwrap();
        assert_eq!(
            body,
            json!({
                "compare": [{ "key": "cjc=", "target": "VALUE", "result": "EQUAL", "value": "MQ==" }],
                "success": [{ "request_put": { "key": "cjc=", "value": "Mg==" } }],
            })
        );
        let (_, absent) = request_for(&op("cas", Value::list([Value::Nil, 2.into()])), false).unwrap();
        let absent: Json = serde_json::from_str(&absent).unwrap();
        assert_eq!(absent["compare"][0]["create_revision"], "0");
        let (_, read) = request_for(&op("read", Value::Nil), true).unwrap();
        assert_eq!(
            serde_json::from_str::<Json>(&read).unwrap(),
            json!({ "key": "cjc=", "serializable": true })
        );
    }

    #[test]
    fn answers_are_read_with_their_revisions() {
        let read = complete(
            &op("read", Value::Nil),
            &answer(
                200,
                r#"{"header":{"revision":"9"},"kvs":[{"key":"cjc=","mod_revision":"4","value":"Mg=="}],"count":"1"}"#,
            ),
        );
        assert_eq!(read.outcome, Outcome::Ok(2.into()));
        assert_eq!(read.meta.unwrap().revision, Some(4));
        let absent = complete(&op("read", Value::Nil), &answer(200, r#"{"header":{"revision":"9"}}"#));
        assert_eq!(absent.outcome, Outcome::Ok(Value::Nil));
        let cas = op("cas", Value::list([1.into(), 2.into()]));
        let mismatch = complete(&cas, &answer(200, r#"{"header":{"revision":"9"}}"#));
        assert_eq!(mismatch.outcome, Outcome::Ok(Value::str("mismatch")));
        let matched = complete(&cas, &answer(200, r#"{"header":{"revision":"10"},"succeeded":true}"#));
        assert_eq!(matched.outcome, Outcome::Ok(cas.value.clone()));
    }

    #[test]
    fn only_documented_refusals_fail_a_change() {
        let write = op("write", 1.into());
        let outcome = |status, body| complete(&write, &answer(status, body)).outcome;
        assert_eq!(outcome(503, r#"{"code":14,"message":"etcdserver: leader changed"}"#), Outcome::Info);
        assert_eq!(outcome(503, r#"{"code":14,"message":"etcdserver: request timed out"}"#), Outcome::Info);
        assert_eq!(outcome(429, r#"{"code":8,"message":"etcdserver: too many requests"}"#), Outcome::Fail);
        assert_eq!(
            outcome(429, r#"{"code":8,"message":"etcdserver: mvcc: database space exceeded"}"#),
            Outcome::Info
        );
        assert_eq!(outcome(400, r#"{"code":3,"message":"etcdserver: key is not provided"}"#), Outcome::Fail);
        assert_eq!(outcome(200, "not json"), Outcome::Info);
        let read = op("read", Value::Nil);
        assert_eq!(complete(&read, &answer(503, r#"{"code":14}"#)).outcome, Outcome::Fail);
    }
}
