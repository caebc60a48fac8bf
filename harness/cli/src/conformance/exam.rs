//! The exam: each question to the client, and what its answer means.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use squall_engine::protocol::Client;
use squall_engine::{Operation, Outcome};
use squall_history::Value;
use squall_targets::external::{ExternalClient, Open, Program, Trouble};

use super::server::{Mode, Server};

/// How long a client is given for what needs no answer from anybody else.
const SOON: Duration = Duration::from_secs(3);
/// How long it is watched where the server keeps silent.
const SILENCE: Duration = Duration::from_secs(6);
/// Operations in a row.
const MANY: usize = 200;

/// What came of one question.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finding {
    pub name: &'static str,
    pub result: Mark,
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mark {
    Pass,
    Fail,
    Skipped,
}

pub(super) struct Exam<'a> {
    pub program: &'a Arc<Program>,
    pub server: &'a Server,
    /// Whether a real system stands behind the server.
    pub real: bool,
    pub findings: Vec<Finding>,
}

impl Exam<'_> {
    fn found(&mut self, name: &'static str, result: Mark, text: impl Into<String>) {
        self.findings.push(Finding { name, result, text: text.into() });
    }

    fn place(&self, refused: bool) -> Open {
        // Nobody listens on port 1 of the loopback.
        let port = if refused { 1 } else { self.server.address.port() };
        Open { node: "n1".into(), host: "127.0.0.1".into(), port, bind: Some("127.0.0.1".into()) }
    }

    async fn open(&self) -> Result<ExternalClient, String> {
        let place = self.place(false);
        match tokio::time::timeout(SOON, ExternalClient::open(self.program.clone(), &place, false)).await {
            Ok(Ok(client)) => Ok(client),
            Ok(Err(e)) => Err(e.to_string()),
            Err(_) => Err(format!("no answer to `open` within {} s", SOON.as_secs())),
        }
    }

    /// Everything, in order. A client that broke the protocol is asked no more.
    pub async fn sit(&mut self) {
        match self.open().await {
            Ok(client) => {
                self.found("open", Mark::Pass, "a process was opened");
                self.many().await;
                self.silence(client).await;
                self.hang_up().await;
            }
            Err(why) if self.real => self.found("open", Mark::Fail, why),
            Err(why) => {
                let text = format!("{why}; if opening needs an answer, name a running server with --server");
                self.found("open", Mark::Skipped, text);
                self.apart().await;
            }
        }
        match self.program.trouble() {
            Some(Trouble::Broke(text) | Trouble::Died(text)) => self.found("protocol", Mark::Fail, text),
            None => self.found("protocol", Mark::Pass, "every answer had its question"),
        }
    }

    /// An operation that changes something, of a kind that the client knows.
    fn change(&self) -> Option<Operation> {
        let key = || Value::Int(1);
        let append = Value::list([Value::list([Value::str("append"), key(), key()])]);
        let write = Value::list([Value::list([Value::str("w"), key(), key()])]);
        let known = [
            ("write", Operation::new(&"write".into(), key(), 1.into())),
            ("set.add", Operation::new(&"add".into(), key(), 1.into()).on("set")),
            ("append.txn", Operation::new(&"txn".into(), Value::Nil, append).on("append")),
            ("wr.txn", Operation::new(&"txn".into(), Value::Nil, write).on("wr")),
        ];
        known.into_iter().find(|(f, _)| self.program.supports.iter().any(|s| s == f)).map(|(_, op)| op)
    }

    /// Many operations of several processes at once: every one must be answered, under its own number.
    async fn many(&mut self) {
        let Some(op) = self.change().filter(|_| self.real) else {
            let text = "needs a running server (--server) and a client that says what it supports";
            return self.found("numbers", Mark::Skipped, text);
        };
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..4 {
            let Ok(mut client) = self.open().await else {
                return self.found(
                    "numbers",
                    Mark::Fail,
                    "a second process could not be opened beside the first",
                );
            };
            let op = op.clone();
            tasks.spawn(async move {
                let mut answered = 0;
                for _ in 0..MANY / 4 {
                    answered += usize::from(tokio::time::timeout(SOON, client.invoke(&op)).await.is_ok());
                }
                answered
            });
        }
        let answered: usize = tasks.join_all().await.into_iter().sum();
        let text = format!("{answered} of {MANY} operations of four processes were answered");
        self.found("numbers", if answered == MANY { Mark::Pass } else { Mark::Fail }, text);
    }

    /// The server takes a request and keeps silent. Others must not have to wait for it.
    async fn silence(&mut self, mut client: ExternalClient) {
        let Some(op) = self.change() else {
            let text = "the client's hello names nothing known to ask in `supports`: write, set.add, …";
            return self.found("silence", Mark::Skipped, text);
        };
        self.server.behave(Mode::Silent);
        let asked = tokio::spawn(async move { tokio::time::timeout(SILENCE, client.invoke(&op)).await });
        self.apart().await;
        let answer = asked.await.ok().and_then(Result::ok);
        let arrived = !self.server.seen().is_empty();
        let (mark, text) = match answer.map(|a| a.outcome) {
            _ if !arrived => (Mark::Skipped, "the request did not arrive".to_owned()),
            None => (Mark::Pass, "a request without an answer stays unanswered".to_owned()),
            Some(Outcome::Info) => (Mark::Pass, "a request without an answer is `info`".to_owned()),
            Some(Outcome::Fail) => (
                Mark::Fail,
                "the server took a request and never answered, and the client said `fail`; it may have \
                 happened: say `info`"
                    .to_owned(),
            ),
            Some(Outcome::Ok(value)) => {
                (Mark::Fail, format!("the server never answered, and the client said `ok` with {value}"))
            }
        };
        self.found("silence", mark, text);
    }

    /// One process waits; another, whose node refuses connections, must be answered all the same.
    async fn apart(&mut self) {
        let place = self.place(true);
        let refused = tokio::time::timeout(SOON, ExternalClient::open(self.program.clone(), &place, false));
        let answered = match self.real {
            true => refused.await.is_ok(),
            false => tokio::join!(self.open(), refused).1.is_ok(),
        };
        let seconds = SOON.as_secs();
        match answered {
            true => self.found("apart", Mark::Pass, "a process that waits does not hold up another"),
            false => {
                let text = format!(
                    "while one process waited for its server, another was not answered within {seconds} s: \
                     each process must go on by itself"
                );
                self.found("apart", Mark::Fail, text);
            }
        }
    }

    /// The server hangs up once the request is in: it may have happened, and must not be sent again.
    async fn hang_up(&mut self) {
        self.server.behave(Mode::Pass);
        let opened = self.open().await;
        let (Some(op), Ok(mut client)) = (self.change(), opened) else {
            return self.found("hang-up", Mark::Skipped, "no process could be opened for it");
        };
        self.server.behave(Mode::HangUp);
        let answer = tokio::time::timeout(SILENCE, client.invoke(&op)).await;
        // A client that tries again later than this is not caught.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let seen = self.server.seen();
        let again = seen.first().is_some_and(|first| seen[1..].contains(first));
        let (mark, text) = match answer.map(|a| a.outcome) {
            _ if seen.is_empty() => (Mark::Skipped, "the request did not arrive".to_owned()),
            _ if again => (
                Mark::Fail,
                "the server hung up after a request, and the same request came again: a client never retries"
                    .to_owned(),
            ),
            Ok(Outcome::Fail) => (
                Mark::Fail,
                "the server hung up after a request, and the client said `fail`; it may have happened: say `info`"
                    .to_owned(),
            ),
            Ok(Outcome::Ok(value)) => {
                (Mark::Fail, format!("the server hung up, and the client said `ok` with {value}"))
            }
            Err(_) => (
                Mark::Fail,
                format!("the server hung up, and the client did not notice within {} s", SILENCE.as_secs()),
            ),
            Ok(Outcome::Info) => (Mark::Pass, "a broken connection is `info`, and nothing is sent again".to_owned()),
        };
        self.found("hang-up", mark, text);
    }
}
