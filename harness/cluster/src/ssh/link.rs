//! The line to a host's agent: one session with one channel, owned by one thread, one request at a time.
//!
//! Many channels on one session get in each other's way, so everything that a run does goes over this one. The
//! thread asks for nothing every [`BEAT`], which is the agent's heartbeat and how ends of programs are heard of.
//! Once the line breaks it stays broken: the agent has undone everything by then, and a run on such a host would
//! prove nothing.

use std::io::{Read, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use ssh2::{Channel, Session};
use tokio::sync::oneshot;

use super::session::SILENCE;
use super::wire::{Answer, Command, Ended, Hello, PROTOCOL, Reply, Request, Trouble};
use crate::{Error, Exit};

/// How often a silent harness says that it lives.
const BEAT: Duration = Duration::from_millis(200);
/// How long a command of the system may take on a host.
const EXEC_LIMIT: Duration = Duration::from_secs(15);
/// No reply is longer: what is longer is not one.
const LONGEST: usize = 16 << 20;

/// Hears of ends of programs.
pub(super) trait Observer: Send + Sync {
    fn ended(&self, ended: &Ended);
}

type Job = (Request, oneshot::Sender<Result<Answer, Error>>);

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Link {
    name: Arc<str>,
    jobs: Sender<Job>,
}

impl Link {
    /// Starts the agent with this command of a shell, and hears its first word. Blocking.
    pub fn start(
        name: &str,
        session: Session,
        command: &str,
        observer: Arc<dyn Observer>,
    ) -> Result<(Link, Hello), Error> {
        session.set_timeout(SILENCE.as_millis() as u32);
        let broke = |e: std::io::Error| Error::io(format!("starting the agent on {name}"), e);
        let mut channel = session.channel_session().map_err(|e| broke(e.into()))?;
        channel.exec(command).map_err(|e| broke(e.into()))?;
        let mut line = Line { channel, heard: Vec::new() };
        let hello = match line.hear() {
            Ok(reply) => reply.answer,
            Err(error) => return Err(line.last_words(name, error)),
        };
        let hello = match hello {
            Answer::Hello(hello) if hello.protocol == PROTOCOL => hello,
            Answer::Failed { what, .. } => return Err(Error::Unavailable(format!("{name}: {what}"))),
            other => return Err(Error::Broken(format!("the agent on {name} began with {other:?}"))),
        };
        let (jobs, asked) = channel_of_jobs();
        let who: Arc<str> = name.into();
        let thread = std::thread::Builder::new().name(format!("squall-ssh-{name}"));
        let named = who.clone();
        thread.spawn(move || serve(&named, session, line, &asked, &*observer)).map_err(broke)?;
        Ok((Link { name: who, jobs }, hello))
    }

    /// Asks, and waits for the answer.
    pub async fn ask(&self, request: Request) -> Result<Answer, Error> {
        let gone = || Error::Broken(format!("the connection to {} is closed", self.name));
        let (reply, answer) = oneshot::channel();
        self.jobs.send((request, reply)).map_err(|_| gone())?;
        match answer.await.map_err(|_| gone())?? {
            Answer::Failed { what, kind } => Err(explain(&self.name, what, kind)),
            answer => Ok(answer),
        }
    }

    /// Asks for something whose answer is only that it was done.
    pub async fn done(&self, request: Request) -> Result<(), Error> {
        self.ask(request).await.map(drop)
    }

    /// Runs a command of the system; that it fails is an error.
    pub async fn exec(&self, command: Command) -> Result<String, Error> {
        let shown = command.argv.join(" ");
        match self.try_exec(command).await? {
            (Exit::Code(0), stdout, _) => Ok(stdout),
            (exit, _, stderr) => {
                let (name, stderr) = (&self.name, stderr.trim());
                Err(Error::Unavailable(format!("{name}: {shown} failed ({exit}): {stderr}")))
            }
        }
    }

    /// Runs a command of the system. Says how it ended, and what it said.
    pub async fn try_exec(&self, command: Command) -> Result<(Exit, String, String), Error> {
        let limit_millis = EXEC_LIMIT.as_millis() as u64;
        match self.ask(Request::Exec { command, limit_millis }).await? {
            Answer::Executed { exit, stdout, stderr } => {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                Ok((exit, text(stdout.0), text(stderr.0)))
            }
            other => Err(self.nonsense(&other)),
        }
    }

    /// An answer to another question.
    pub fn nonsense(&self, answer: &Answer) -> Error {
        Error::Broken(format!("the agent on {} answered with {answer:?}", self.name))
    }
}

fn channel_of_jobs() -> (Sender<Job>, Receiver<Job>) {
    channel()
}

fn explain(name: &str, what: String, kind: Trouble) -> Error {
    let text = format!("{name}: {what}");
    match kind {
        Trouble::Invalid => Error::Invalid(text),
        Trouble::Timeout => Error::Timeout(text),
        // The text has the system's answer already; its number says which.
        Trouble::System(errno) => Error::io(text, std::io::Error::from_raw_os_error(errno)),
    }
}

/// Does one job after the other until nobody can ask any more.
fn serve(name: &str, session: Session, mut line: Line, jobs: &Receiver<Job>, observer: &dyn Observer) {
    let mut broken: Option<String> = None;
    loop {
        let (request, reply) = match jobs.recv_timeout(BEAT) {
            Ok((request, reply)) => (request, Some(reply)),
            Err(RecvTimeoutError::Timeout) => (Request::Beat, None),
            Err(RecvTimeoutError::Disconnected) => break,
        };
        let answer = match &broken {
            Some(why) => Err(Error::Broken(why.clone())),
            None => match line.ask(&request) {
                Ok(heard) => {
                    heard.ended.iter().for_each(|ended| observer.ended(ended));
                    Ok(heard.answer)
                }
                Err(error) => {
                    let why = format!(
                        "the connection to {name} broke ({error}): its dead man's switch undoes everything there"
                    );
                    broken = Some(why.clone());
                    Err(Error::Broken(why))
                }
            },
        };
        if let Some(reply) = reply {
            // Who asked may have given up waiting.
            let _ = reply.send(answer);
        }
    }
    drop(line);
    let _ = session.disconnect(None, "done", None);
}

/// Documents over a channel, one a line.
struct Line {
    channel: Channel,
    heard: Vec<u8>,
}

impl Line {
    fn ask(&mut self, request: &Request) -> std::io::Result<Reply> {
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        self.channel.write_all(&line)?;
        self.channel.flush()?;
        self.hear()
    }

    fn hear(&mut self) -> std::io::Result<Reply> {
        let mut buffer = [0; 32 << 10];
        let mut searched = 0;
        loop {
            if let Some(end) = self.heard[searched..].iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.heard.drain(..=searched + end).collect();
                return Ok(serde_json::from_slice(&line)?);
            }
            searched = self.heard.len();
            if searched > LONGEST {
                return Err(std::io::Error::other("a reply without end"));
            }
            match self.channel.read(&mut buffer)? {
                0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                n => self.heard.extend_from_slice(&buffer[..n]),
            }
        }
    }

    /// Why an agent did not even begin: what it, `sudo` or the shell said.
    fn last_words(self, name: &str, error: std::io::Error) -> Error {
        let mut said = String::from_utf8_lossy(&self.heard).into_owned();
        let _ = self.channel.stderr().read_to_string(&mut said);
        let said = said.trim();
        match said.is_empty() {
            true => Error::io(format!("the agent on {name} said nothing"), error),
            false => Error::Unavailable(format!("the agent on {name} cannot be started: {said}")),
        }
    }
}
