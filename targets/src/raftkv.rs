//! squall's own Raft KV: the program is part of this very binary.
//!
//! Errors come with `definite` (its documentation, "Errors"): certain failures are `fail`, the rest `info`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_cluster::Program;
use squall_engine::protocol::{Client, Layout, NodeStatus, Status, Target, Via, options};
use squall_engine::{Completion, Error, Operation, units};
use squall_history::Value;

use crate::http::{Answer, Http};

const CLIENT_PORT: u16 = 7000;
const PEER_PORT: u16 = 7001;

/// How reads are done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Read {
    /// The leader confirms that it still leads.
    #[default]
    Linearizable,
    /// Whatever the node has applied.
    Local,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    read: Read,
    /// Serve linearizable reads without confirming leadership: a mistake on purpose.
    unsafe_reads: bool,
    /// Do not flush the log: a mistake on purpose.
    no_fsync: bool,
    /// A classic mistake by its name (`squall raftkv bugs`).
    bug: Option<String>,
    #[serde(with = "units::duration::option")]
    election_timeout: Option<Duration>,
    #[serde(with = "units::duration::option")]
    heartbeat: Option<Duration>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct RaftKv {
    options: Options,
}

impl RaftKv {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Target>, Error> {
        Ok(Arc::new(RaftKv { options: options("raftkv", given)? }))
    }
}

#[async_trait]
impl Target for RaftKv {
    fn name(&self) -> &str {
        "raftkv"
    }

    async fn prepare(&self) -> Result<String, Error> {
        Ok(env!("CARGO_PKG_VERSION").to_owned())
    }

    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program> {
        let me = &layout.nodes[node];
        let peers: Vec<_> = (0..layout.nodes.len())
            .map(|n| format!("{}={}", layout.nodes[n].name, layout.socket(n, PEER_PORT)))
            .collect();
        // The same executable: its path may not exist inside the node, but this always does.
        let mut argv = ["/proc/self/exe", "raftkv", "serve", "--id", &me.name, "--peers", &peers.join(",")]
            .map(str::to_owned)
            .to_vec();
        let client = layout.socket(node, CLIENT_PORT).to_string();
        argv.extend(["--client-addr".to_owned(), client, "--data-dir".to_owned()]);
        argv.push(me.data_dir.join("raftkv").to_string_lossy().into_owned());
        let o = &self.options;
        if o.unsafe_reads {
            argv.push("--unsafe-reads".into());
        }
        if o.no_fsync {
            argv.push("--no-fsync".into());
        }
        if let Some(bug) = &o.bug {
            argv.extend(["--bug".to_owned(), bug.clone()]);
        }
        for (flag, value) in [("--election-timeout", o.election_timeout), ("--heartbeat", o.heartbeat)] {
            if let Some(value) = value {
                argv.extend([flag.to_owned(), units::format_duration(value)]);
            }
        }
        vec![Program::new("raftkv", argv)]
    }

    async fn ready(&self, node: usize, via: Via<'_>) -> Result<(), Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::GET, "/kv/ready?consistency=linearizable", "").await;
        match answer.map_err(Error::Target)? {
            Answer { status: 200, .. } => Ok(()),
            Answer { status, body } => {
                Err(Error::Target(format!("HTTP {status}: {}", String::from_utf8_lossy(&body))))
            }
        }
    }

    async fn connect(&self, node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        let http = Http::connect(node, CLIENT_PORT, via).await?;
        let consistency = match self.options.read {
            Read::Linearizable => "linearizable",
            Read::Local => "local",
        };
        Ok(Box::new(KvClient { http, consistency }))
    }

    fn supports(&self, f: &str) -> bool {
        matches!(f, "read" | "write" | "cas")
    }

    fn promises(&self) -> &str {
        match self.options.read {
            Read::Linearizable => "linearizable",
            Read::Local => "sequential",
        }
    }

    fn status(&self) -> Option<&dyn Status> {
        Some(self)
    }
}

#[derive(Deserialize)]
struct StatusReply {
    role: String,
    term: u64,
    #[serde(default)]
    wall_clock_unix_nanos: Option<i128>,
}

#[async_trait]
impl Status for RaftKv {
    async fn status(&self, node: usize, via: Via<'_>) -> Result<NodeStatus, Error> {
        let mut http = Http::connect(node, CLIENT_PORT, via).await?;
        let answer = http.request(Method::GET, "/status", "").await.map_err(Error::Target)?;
        let reply: StatusReply = serde_json::from_slice(&answer.body)
            .map_err(|e| Error::Target(format!("the status is not what it should be: {e}")))?;
        Ok(NodeStatus {
            leads: reply.role == "leader",
            term: reply.term,
            wall_clock_unix_nanos: reply.wall_clock_unix_nanos,
        })
    }
}

#[derive(Debug)]
struct KvClient {
    http: Http,
    consistency: &'static str,
}

#[derive(Deserialize)]
struct ReadReply {
    value: Value,
    version: i64,
}

#[derive(Deserialize)]
struct WriteReply {
    version: i64,
}

#[derive(Deserialize)]
struct CasReply {
    ok: bool,
    version: i64,
}

#[derive(Deserialize)]
struct ErrorReply {
    error: String,
    definite: bool,
    message: String,
}

#[async_trait]
impl Client for KvClient {
    async fn invoke(&mut self, op: &Operation) -> Completion {
        let (method, path, body) = match self.request_for(op) {
            Ok(request) => request,
            Err(why) => return Completion::fail("not-asked", why),
        };
        match self.http.request(method, &path, body).await {
            Ok(answer) => complete(op, &answer),
            Err(e) => Completion::unclear(op, "connection-broke", e),
        }
    }

    fn is_usable(&self) -> bool {
        self.http.is_usable()
    }
}

impl KvClient {
    fn request_for(&self, op: &Operation) -> Result<(Method, String, String), String> {
        let path = format!("/kv/r{}", op.key);
        match &*op.f {
            "read" => Ok((Method::GET, format!("{path}?consistency={}", self.consistency), String::new())),
            "write" => Ok((Method::PUT, path, json!({ "value": op.value }).to_string())),
            "cas" => {
                let (old, new) = op.value.as_pair().ok_or("a cas takes [old, new]")?;
                Ok((
                    Method::POST,
                    format!("{path}/cas"),
                    json!({ "expected": old, "value": new }).to_string(),
                ))
            }
            other => Err(format!("raftkv's client does not know `{other}`")),
        }
    }
}

fn complete(op: &Operation, answer: &Answer) -> Completion {
    if answer.status != 200 {
        return match serde_json::from_slice::<ErrorReply>(&answer.body) {
            Ok(e) if e.definite => Completion::fail(e.error, e.message),
            Ok(e) => Completion::unclear(op, e.error, e.message),
            Err(_) => Completion::unclear(op, "not-understood", answer_text(answer)),
        };
    }
    let parsed = match &*op.f {
        "read" => {
            serde_json::from_slice(&answer.body).map(|r: ReadReply| Completion::ok_at(r.value, r.version))
        }
        "write" => serde_json::from_slice(&answer.body)
            .map(|r: WriteReply| Completion::ok_at(op.value.clone(), r.version)),
        _ => serde_json::from_slice(&answer.body).map(|r: CasReply| {
            let reply = if r.ok { op.value.clone() } else { Value::str("mismatch") };
            Completion::ok_at(reply, r.version)
        }),
    };
    parsed.unwrap_or_else(|_| Completion::unclear(op, "not-understood", answer_text(answer)))
}

fn answer_text(answer: &Answer) -> String {
    format!("HTTP {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
}

#[cfg(test)]
mod tests {
    use squall_engine::Outcome;

    use super::*;

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, body: body.to_owned().into() }
    }

    fn op(f: &str, value: Value) -> Operation {
        Operation { read_only: f == "read", ..Operation::new(&f.into(), 1.into(), value) }
    }

    #[test]
    fn errors_become_fail_only_where_they_are_definite() {
        let unsure = answer(504, r#"{"error":"timeout","definite":false,"message":"m"}"#);
        let certain = answer(503, r#"{"error":"busy","definite":true,"message":"m"}"#);
        let garbage = answer(502, "<html>");
        let write = op("write", 3.into());
        assert_eq!(complete(&write, &unsure).outcome, Outcome::Info);
        assert_eq!(complete(&write, &certain).outcome, Outcome::Fail);
        assert_eq!(complete(&write, &garbage).outcome, Outcome::Info);
        assert_eq!(complete(&op("read", Value::Nil), &unsure).outcome, Outcome::Fail);
        let meta = complete(&write, &unsure).meta.unwrap();
        assert_eq!((meta.row.as_deref(), meta.error.as_deref()), (Some("timeout"), Some("m")));
    }

    #[test]
    fn a_mismatch_is_an_observation() {
        let cas = op("cas", Value::list([1.into(), 2.into()]));
        let mismatch = complete(&cas, &answer(200, r#"{"ok":false,"actual":9,"version":4}"#));
        assert_eq!(mismatch.outcome, Outcome::Ok(Value::str("mismatch")));
        let matched = complete(&cas, &answer(200, r#"{"ok":true,"version":5}"#));
        assert_eq!(matched.outcome, Outcome::Ok(cas.value.clone()));
        assert_eq!(matched.meta.unwrap().revision, Some(5));
    }

    #[test]
    fn absence_is_a_state() {
        let read =
            complete(&op("read", Value::Nil), &answer(200, r#"{"value":null,"version":0,"applied":3}"#));
        assert_eq!(read.outcome, Outcome::Ok(Value::Nil));
    }
}
