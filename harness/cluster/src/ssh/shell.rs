//! What links and clocks ask of a host, as a trait, so that what they ask can be recorded and compared as text.

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::link::Link;
use super::wire::{Answer, Command, Request};
use crate::{Error, Exit};

/// A host that does what it is told.
#[async_trait]
pub(super) trait Shell: Send + Sync + std::fmt::Debug {
    /// Runs a command of the system. Says how it ended, its standard output and its standard error.
    async fn run(&self, command: Command) -> Result<(Exit, String, String), Error>;

    /// Asks the agent.
    async fn ask(&self, request: Request) -> Result<Answer, Error>;

    /// Has the dead man's switch run this, too: told before what it undoes is done.
    async fn arm(&self, undo: Command) -> Result<(), Error>;
}

/// Runs a command that must succeed.
pub(super) async fn must(on: &dyn Shell, name: &str, command: Command) -> Result<String, Error> {
    let shown = command.argv.join(" ");
    match on.run(command).await? {
        (Exit::Code(0), stdout, _) => Ok(stdout),
        (exit, _, stderr) => {
            Err(Error::Unavailable(format!("{name}: {shown} failed ({exit}): {}", stderr.trim())))
        }
    }
}

/// A host over its agent.
#[derive(Debug)]
pub(super) struct Remote {
    link: Link,
    armed: Mutex<Vec<Command>>,
}

impl Remote {
    pub fn new(link: Link) -> Self {
        Remote { link, armed: Mutex::default() }
    }

    pub fn link(&self) -> &Link {
        &self.link
    }
}

#[async_trait]
impl Shell for Remote {
    async fn run(&self, command: Command) -> Result<(Exit, String, String), Error> {
        self.link.try_exec(command).await
    }

    async fn ask(&self, request: Request) -> Result<Answer, Error> {
        self.link.ask(request).await
    }

    async fn arm(&self, undo: Command) -> Result<(), Error> {
        let mut armed = self.armed.lock().await;
        if armed.contains(&undo) {
            return Ok(());
        }
        let mut all = armed.clone();
        all.push(undo);
        self.link.done(Request::Arm(all.clone())).await?;
        *armed = all;
        Ok(())
    }
}

/// A host that only writes down what it is asked, and says what it was told to say.
#[cfg(test)]
#[derive(Debug, Default)]
pub(super) struct Recorded {
    pub asked: std::sync::Mutex<String>,
    /// What commands that begin so print, and their exit codes.
    pub says: Vec<(&'static str, i32, &'static str)>,
}

#[cfg(test)]
impl Recorded {
    fn note(&self, text: &str) {
        self.asked.lock().expect("nobody panics with it").push_str(text);
    }

    /// What was asked since the last time.
    pub fn taken(&self) -> String {
        std::mem::take(&mut self.asked.lock().expect("nobody panics with it"))
    }
}

#[cfg(test)]
#[async_trait]
impl Shell for Recorded {
    async fn run(&self, command: Command) -> Result<(Exit, String, String), Error> {
        let shown = command.argv.join(" ");
        self.note(&format!("$ {shown}\n"));
        for line in command.input.lines() {
            self.note(&format!("  {line}\n"));
        }
        let said = self.says.iter().find(|(begin, ..)| shown.starts_with(begin));
        let (code, text) = said.map_or((0, ""), |(_, code, text)| (*code, *text));
        Ok((Exit::Code(code), text.to_owned(), String::new()))
    }

    async fn ask(&self, request: Request) -> Result<Answer, Error> {
        self.note(&format!("> {}\n", serde_json::to_string(&request).expect("a request is JSON")));
        let (rate, offset_nanos) = match request {
            Request::Clock(super::wire::ClockOrder::Jump(nanos)) => (1.0, nanos),
            Request::Clock(super::wire::ClockOrder::Rate(rate)) => (rate, 0),
            _ => (1.0, 0),
        };
        Ok(Answer::Clock { offset_nanos, rate, generation: 1, seen: true })
    }

    async fn arm(&self, undo: Command) -> Result<(), Error> {
        self.note(&format!("undo: {}\n", undo.argv.join(" ")));
        Ok(())
    }
}
