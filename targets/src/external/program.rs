//! A client program that runs: questions go out, answers come back, each to who asked.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use squall_engine::Error;
use squall_history::{Meta, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

use super::PROTOCOL;
use super::host::{Handle, Host, Spec};
use super::log::{cut, flooded, last_words};
use super::message::{Answer, Hello, Kind, Question, hello_line, quote, write_close};

/// A longer line is no answer.
const LINE_BYTES_MAX: usize = 1 << 20;
/// What a program that does not read may leave waiting.
const UNREAD_BYTES_MAX: usize = 4 << 20;
/// How long a program may take to say hello.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// Questions given up on whose answers may still come; older ones are forgotten.
const EXPIRED_MAX: usize = 1 << 16;

/// What a program did that ends the trust in it, or that it died.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// It ended, or was ended.
    Died(String),
    /// It broke the protocol.
    Broke(String),
}

impl Trouble {
    /// For people.
    pub fn text(&self) -> &str {
        match self {
            Trouble::Died(text) | Trouble::Broke(text) => text,
        }
    }
}

/// What was answered.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Ok(Option<Value>, Option<Box<Meta>>),
    /// With whether the process's connection is of no further use.
    Fail(Box<Meta>, bool),
    Info(Box<Meta>),
    /// Nothing, and nothing will come.
    Lost(String),
    /// The question was not sent, so certainly nothing happened.
    Unsent(String),
}

/// See the module.
#[derive(Debug)]
pub struct Program {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    next_process: AtomicU64,
    /// What it said of itself.
    pub client: String,
    /// Functions that it says it can do; empty if it does not say.
    pub supports: Vec<String>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    written: Notify,
    handle: Handle,
    called: String,
    log: PathBuf,
}

/// Who is told of the first trouble.
struct Told(Box<dyn FnOnce(&Trouble) + Send>);

impl std::fmt::Debug for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Told")
    }
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    out: Vec<u8>,
    /// Its standard input, until it is let go.
    pipe: Option<Arc<Sender>>,
    /// Whether the writer has taken what was in `out`, and may still be at it.
    writing: bool,
    waiting: HashMap<u64, Waiting>,
    expired: BTreeSet<u64>,
    forgotten: u64,
    trouble: Option<Trouble>,
    told: Option<Told>,
    answered: u64,
}

impl State {
    /// Writes what waits, if the pipe takes all of it at once.
    fn write_now(&mut self) -> bool {
        let Some(pipe) = &self.pipe else { return false };
        if let Ok(count) = pipe.try_write(&self.out) {
            self.out.drain(..count);
        }
        self.out.is_empty()
    }
}

#[derive(Debug)]
struct Waiting {
    process: u64,
    needs_value: bool,
    answer: oneshot::Sender<Reply>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody who waits is told that nothing will come. The first trouble stays.
    fn fall(&self, trouble: Trouble) {
        let (waiting, told) = {
            let mut state = self.state();
            state.trouble.get_or_insert_with(|| trouble.clone());
            state.pipe = None;
            (std::mem::take(&mut state.waiting), state.told.take())
        };
        if let Some(told) = told {
            (told.0)(&trouble);
        }
        for (_, waiting) in waiting {
            // Nobody may wait any more.
            waiting.answer.send(Reply::Lost(trouble.text().to_owned())).ok();
        }
        self.written.notify_one();
    }
}

impl Program {
    /// Starts a program and hears its hello. `called` is what people call it: `the client of n1`.
    pub async fn start(host: &Host, spec: &Spec, called: &str, hello: &Hello) -> Result<Self, Error> {
        let (conversation, handle) = host.start(spec).await?;
        let called = format!("{called} (`{}`)", spec.command());
        let pipe = |e| Error::io(format!("the pipes of {called}"), e);
        let mut stdin = Sender::from_owned_fd(conversation.stdin).map_err(pipe)?;
        let stdout = Receiver::from_owned_fd(conversation.stdout).map_err(pipe)?;
        let mut lines = Lines { stdout, buffer: Vec::new(), at: 0, scanned: 0 };
        let log = host.log(&spec.name);
        let greeted = tokio::time::timeout(HELLO_LIMIT, greet(&mut stdin, &mut lines, hello)).await;
        let problem = match greeted {
            Ok(Ok(answer)) => {
                let pipe = Arc::new(stdin);
                let state = Mutex::new(State { pipe: Some(pipe.clone()), ..State::default() });
                let shared = Arc::new(Shared { state, written: Notify::new(), handle, called, log });
                let tasks = vec![
                    tokio::spawn(write(shared.clone(), pipe)),
                    tokio::spawn(read(shared.clone(), lines)),
                    tokio::spawn(watch(shared.clone())),
                ];
                return Ok(Program {
                    shared,
                    tasks,
                    next_process: AtomicU64::new(1),
                    client: answer.client.unwrap_or_default(),
                    supports: answer.supports,
                });
            }
            Ok(Err(Heard::End)) => format!("{} before it said hello", handle.exit().await),
            Ok(Err(Heard::Nonsense(text))) => format!("was greeted and {text}"),
            Err(_) => format!("did not answer the hello within {} s", HELLO_LIMIT.as_secs()),
        };
        handle.end().await;
        Err(Error::Target(format!("{called} {problem}{}", last_words(&log))))
    }

    /// A number for a process that begins.
    pub(super) fn process(&self) -> u64 {
        self.next_process.fetch_add(1, Ordering::Relaxed)
    }

    /// What it did, if it is of no more use.
    pub fn trouble(&self) -> Option<Trouble> {
        self.shared.state().trouble.clone()
    }

    /// Has somebody told when it falls into trouble, at once if it has already.
    pub fn on_trouble(&self, tell: impl FnOnce(&Trouble) + Send + 'static) {
        let mut state = self.shared.state();
        match state.trouble.clone() {
            None => state.told = Some(Told(Box::new(tell))),
            Some(trouble) => {
                drop(state);
                tell(&trouble);
            }
        }
    }

    /// How many questions it has answered.
    pub fn answered(&self) -> u64 {
        self.shared.state().answered
    }

    /// Ends it.
    pub async fn end(&self) {
        self.shared.fall(Trouble::Died(format!("{} was ended", self.shared.called)));
        self.shared.handle.end().await;
    }

    /// Asks, and waits for the answer. Giving up half-way is fine: a late answer is let pass.
    pub(super) async fn ask(&self, process: u64, question: &Question<'_>) -> Reply {
        let (id, answer) = match self.put(process, question) {
            Ok(sent) => sent,
            Err(why) => return Reply::Unsent(why),
        };
        let mut guard = Guard { shared: &self.shared, id: Some(id) };
        let reply = answer.await.unwrap_or_else(|_| Reply::Lost("the harness forgot the question".into()));
        guard.id = None;
        reply
    }

    fn put(&self, process: u64, question: &Question<'_>) -> Result<(u64, oneshot::Receiver<Reply>), String> {
        let mut state = self.shared.state();
        if let Some(trouble) = &state.trouble {
            return Err(trouble.text().to_owned());
        }
        if state.out.len() > UNREAD_BYTES_MAX {
            let text = format!(
                "{} does not read its standard input: {} bytes wait",
                self.shared.called,
                state.out.len()
            );
            return Err(text);
        }
        state.next += 1;
        let id = state.next;
        let (sender, receiver) = oneshot::channel();
        let needs_value = matches!(question, Question::Invoke(op) if op.read_only);
        state.waiting.insert(id, Waiting { process, needs_value, answer: sender });
        let idle = state.out.is_empty();
        question.write(process, id, &mut state.out);
        // While many ask, what they ask is written together. One alone need not wait for another task's turn.
        let alone = idle && !state.writing && state.waiting.len() == 1;
        let sent = alone && state.write_now();
        drop(state);
        if idle && !sent {
            self.shared.written.notify_one();
        }
        Ok((id, receiver))
    }

    /// Says goodbye to a process. It has no answer.
    pub(super) fn close(&self, process: u64) {
        let mut state = self.shared.state();
        if state.trouble.is_none() && state.out.len() <= UNREAD_BYTES_MAX {
            write_close(process, &mut state.out);
            drop(state);
            self.shared.written.notify_one();
        }
    }
}

impl Program {
    /// Closes its standard input, which is how it knows that nothing more will come.
    pub fn let_go(&self) {
        self.shared.state().pipe = None;
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// A question that is given up on has its late answer expected.
struct Guard<'a> {
    shared: &'a Shared,
    id: Option<u64>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        let mut state = self.shared.state();
        if state.waiting.remove(&id).is_some() {
            state.expired.insert(id);
            if state.expired.len() > EXPIRED_MAX
                && let Some(oldest) = state.expired.pop_first()
            {
                state.forgotten = oldest;
            }
        }
    }
}

async fn write(shared: Arc<Shared>, pipe: Arc<Sender>) {
    let mut batch = Vec::new();
    loop {
        batch.clear();
        {
            let mut state = shared.state();
            if state.trouble.is_some() {
                return;
            }
            std::mem::swap(&mut state.out, &mut batch);
            state.writing = !batch.is_empty();
        }
        if batch.is_empty() {
            shared.written.notified().await;
        } else if write_all(&pipe, &batch).await.is_err() {
            // The reader sees its end too, and says what there is to say.
            return;
        }
    }
}

async fn write_all(pipe: &Sender, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        pipe.writable().await?;
        match pipe.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

async fn read(shared: Arc<Shared>, mut lines: Lines) {
    let trouble = loop {
        match lines.next().await {
            Err(Heard::End) => {
                let text =
                    format!("{} {}{}", shared.called, shared.handle.exit().await, last_words(&shared.log));
                break Trouble::Died(text);
            }
            Err(Heard::Nonsense(text)) => break Trouble::Broke(format!("{} {text}", shared.called)),
            Ok(line) => {
                if let Err(text) = take(&shared, line) {
                    break Trouble::Broke(format!("{} {text}", shared.called));
                }
            }
        }
    };
    shared.fall(trouble);
    shared.handle.end().await;
}

/// Ends a program that floods its log.
async fn watch(shared: Arc<Shared>) {
    let text = flooded(&shared.log).await;
    shared.fall(Trouble::Broke(format!("{} {text}", shared.called)));
    shared.handle.end().await;
    cut(&shared.log);
}

/// Gives an answer to who waits for it; the error says what is wrong with it.
fn take(shared: &Shared, line: &[u8]) -> Result<(), String> {
    let answer = parse(line)?;
    let (Some(process), Some(id)) = (answer.process, answer.id) else {
        return Err(format!("answered without `process` and `id`: {}", quote(line)));
    };
    let waiting = {
        let mut state = shared.state();
        let Some(waiting) = state.waiting.remove(&id) else {
            if state.expired.remove(&id) || id <= state.forgotten || state.trouble.is_some() {
                return Ok(());
            }
            return Err(if id <= state.next {
                format!("answered question {id} twice, the second time: {}", quote(line))
            } else {
                format!("answered question {id}, which was never asked: {}", quote(line))
            });
        };
        state.answered += 1;
        waiting
    };
    let asked = waiting.process;
    let wrong = if process != asked {
        Some(format!(
            "answered question {id} for process {process}, but process {asked} asked it: {}",
            quote(line)
        ))
    } else if answer.kind == Kind::Ok && waiting.needs_value && answer.value.is_none() {
        Some(format!("answered a read with `ok` and no `value` (nothing there is `null`): {}", quote(line)))
    } else if answer.kind == Kind::Hello {
        Some(format!("said hello in place of an answer: {}", quote(line)))
    } else {
        None
    };
    if let Some(wrong) = wrong {
        waiting.answer.send(Reply::Lost(wrong.clone())).ok();
        return Err(wrong);
    }
    let noted = |answer: Answer| {
        let mut meta = answer.meta.unwrap_or_default();
        meta.error = meta.error.take().or(answer.error);
        meta
    };
    let reply = match answer.kind {
        Kind::Ok => Reply::Ok(answer.value, answer.meta),
        Kind::Fail => {
            let closed = answer.closed;
            Reply::Fail(noted(answer), closed)
        }
        Kind::Info | Kind::Hello => Reply::Info(noted(answer)),
    };
    // Whoever asked may have given up just now.
    waiting.answer.send(reply).ok();
    Ok(())
}

fn parse(line: &[u8]) -> Result<Answer, String> {
    serde_json::from_slice(line).map_err(|e| {
        let hint = if line.first() == Some(&b'{') {
            String::new()
        } else {
            " (standard output is for answers alone: print everything else to standard error)".to_owned()
        };
        format!("wrote a line that is no answer: {}: {e}{hint}", quote(line))
    })
}

async fn greet(stdin: &mut Sender, lines: &mut Lines, hello: &Hello) -> Result<Answer, Heard> {
    stdin.write_all(&hello_line(hello)).await.map_err(|_| Heard::End)?;
    let line = lines.next().await?;
    let answer = parse(line).map_err(Heard::Nonsense)?;
    match (answer.kind, answer.protocol) {
        (Kind::Hello, Some(PROTOCOL)) => Ok(answer),
        (Kind::Hello, Some(other)) => Err(Heard::Nonsense(format!(
            "speaks version {other} of the protocol; this is version {PROTOCOL}"
        ))),
        _ => Err(Heard::Nonsense(format!(
            "did not answer with {{\"type\":\"hello\",\"protocol\":{PROTOCOL}}} but with: {}",
            quote(line)
        ))),
    }
}

enum Heard {
    End,
    Nonsense(String),
}

/// Lines of a pipe, without a copy each.
struct Lines {
    stdout: Receiver,
    buffer: Vec<u8>,
    at: usize,
    scanned: usize,
}

impl Lines {
    async fn next(&mut self) -> Result<&[u8], Heard> {
        loop {
            if let Some(end) = self.buffer[self.scanned..].iter().position(|b| *b == b'\n') {
                let (from, to) = (self.at, self.scanned + end);
                self.at = to + 1;
                self.scanned = self.at;
                if self.buffer[from..to].iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                return Ok(&self.buffer[from..to]);
            }
            self.scanned = self.buffer.len();
            if self.at > 0 {
                self.buffer.drain(..self.at);
                self.scanned -= self.at;
                self.at = 0;
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                let (limit, seen) = (LINE_BYTES_MAX, quote(&self.buffer));
                return Err(Heard::Nonsense(format!("wrote a line longer than {limit} bytes: {seen}")));
            }
            self.buffer.reserve(64 << 10);
            match self.stdout.read_buf(&mut self.buffer).await {
                Ok(0) if self.buffer.iter().all(u8::is_ascii_whitespace) => return Err(Heard::End),
                Ok(0) => {
                    let seen = quote(&self.buffer);
                    return Err(Heard::Nonsense(format!("ended in the middle of a line: {seen}")));
                }
                Ok(_) => {}
                Err(_) => return Err(Heard::End),
            }
        }
    }
}
