//! One process's share of a client program.

use std::sync::Arc;

use async_trait::async_trait;
use squall_engine::protocol::Client;
use squall_engine::{Completion, Error, Operation, Outcome};

use super::message::{Open, Question};
use super::program::{Program, Reply};

/// See the module.
#[derive(Debug)]
pub struct ExternalClient {
    program: Arc<Program>,
    process: u64,
    usable: bool,
    owns: bool,
}

impl ExternalClient {
    /// Opens a process. With `owns` the program is the process's own, and ends with it.
    pub async fn open(program: Arc<Program>, open: &Open, owns: bool) -> Result<Self, Error> {
        // Made first: one that is given up on half-way says goodbye all the same.
        let client = ExternalClient { process: program.process(), program, usable: true, owns };
        match client.program.ask(client.process, &Question::Open(open)).await {
            Reply::Ok(..) => Ok(client),
            Reply::Fail(meta, _) | Reply::Info(meta) => {
                let why = meta.error.unwrap_or_else(|| "it does not say why".into());
                Err(Error::Target(format!("the client could not connect to {}: {why}", open.node)))
            }
            Reply::Lost(why) | Reply::Unsent(why) => Err(Error::Target(why)),
        }
    }
}

#[async_trait]
impl Client for ExternalClient {
    async fn setup(&mut self) -> Result<(), Error> {
        match self.program.ask(self.process, &Question::Setup).await {
            Reply::Ok(..) => Ok(()),
            Reply::Fail(meta, _) | Reply::Info(meta) => {
                let why = meta.error.unwrap_or_else(|| "it does not say why".into());
                Err(Error::Target(format!("the client's set-up failed: {why}")))
            }
            Reply::Lost(why) | Reply::Unsent(why) => Err(Error::Target(why)),
        }
    }

    async fn invoke(&mut self, op: &Operation) -> Completion {
        match self.program.ask(self.process, &Question::Invoke(op)).await {
            Reply::Ok(value, meta) => {
                Completion { outcome: Outcome::Ok(value.unwrap_or_else(|| op.value.clone())), meta }
            }
            Reply::Fail(meta, closed) => {
                self.usable = !closed;
                Completion { outcome: Outcome::Fail, meta: Some(meta) }
            }
            // A read that may not have been answered changed nothing, but what comes next on its connection may
            // be its late answer.
            Reply::Info(meta) if op.read_only => {
                self.usable = false;
                Completion { outcome: Outcome::Fail, meta: Some(meta) }
            }
            Reply::Info(meta) => Completion { outcome: Outcome::Info, meta: Some(meta) },
            Reply::Lost(why) => {
                self.usable = false;
                Completion::unclear(op, "client-lost", why)
            }
            Reply::Unsent(why) => {
                self.usable = false;
                Completion::fail("not-sent", why)
            }
        }
    }

    fn is_usable(&self) -> bool {
        self.usable && self.program.trouble().is_none()
    }
}

impl Drop for ExternalClient {
    fn drop(&mut self) {
        self.program.close(self.process);
        if self.owns {
            let program = self.program.clone();
            // Without a runtime everything is on its way down, this program too.
            if let Ok(runtime) = tokio::runtime::Handle::try_current() {
                runtime.spawn(async move { program.end().await });
            }
        }
    }
}
