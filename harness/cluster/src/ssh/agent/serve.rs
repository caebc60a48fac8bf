//! The agent's loop: one request after the other, each answered at once.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use super::clock::{Anchor, HostClock, System};
use super::processes;
use super::programs::{MOST, Programs, collect, exit, soon};
use super::undo::Undo;
use super::{COMMAND, damage};
use crate::empty_folder;
use crate::ssh::wire::{Answer, Bytes, Command, Hello, PROTOCOL, Reply, Request, Trouble};

/// How long one command of [`Undo`] may take.
pub(super) const UNDO_LIMIT: Duration = Duration::from_secs(10);

/// Arguments after the folder: seconds of silence after which the harness counts as gone, and where it
/// connects from and to.
pub(super) fn serve(dir: &Path, args: &[String]) -> i32 {
    let silence = args.first().and_then(|a| a.parse::<f64>().ok()).unwrap_or(10.0).clamp(1.0, 3600.0);
    let connection = args.get(1).cloned().unwrap_or_default();
    let mut agent = match Agent::start(dir) {
        Ok(agent) => agent,
        Err(failed) => {
            say(&Reply { answer: failed, ended: Vec::new() });
            return 1;
        }
    };
    let root = nix::unistd::geteuid().is_root();
    let hello = Answer::Hello(Hello { protocol: PROTOCOL, root, connection });
    say(&Reply { answer: hello, ended: Vec::new() });
    let requests = listen();
    loop {
        match requests.recv_timeout(Duration::from_secs_f64(silence)) {
            Ok(line) => {
                let bye = agent.hear(&line);
                if bye {
                    return 0;
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                agent.undo_all();
                return 0;
            }
        }
    }
}

/// Lines of standard input; the channel closes with it.
fn listen() -> Receiver<String> {
    let (heard, requests) = channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if heard.send(line).is_err() {
                return;
            }
        }
    });
    requests
}

/// A reply that cannot be written is for nobody: the end of standard input follows.
fn say(reply: &Reply) -> bool {
    let Ok(mut line) = serde_json::to_vec(reply) else { return false };
    line.push(b'\n');
    let mut out = io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).is_ok()
}

struct Agent {
    dir: PathBuf,
    programs: Programs,
    undo: Undo,
    clock: Option<HostClock>,
    // Held, they keep other agents out and tell the guard that this one lives.
    _lock: Flock<File>,
    _guard: Child,
}

impl Agent {
    fn start(dir: &Path) -> Result<Agent, Answer> {
        let step = |what: &str| {
            let what = format!("{what} {}", dir.display());
            move |error: io::Error| failed(what, &error)
        };
        for folder in ["data", "logs", "run"] {
            fs::create_dir_all(dir.join(folder)).map_err(step("making folders in"))?;
        }
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(dir.join("lock"));
        let lock = lock.map_err(step("opening the lock in"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, error)| {
            let what = match error {
                Errno::EWOULDBLOCK => "another squall is using this host".to_owned(),
                other => format!("locking {}: {other}", dir.display()),
            };
            Answer::Failed { what, kind: Trouble::Invalid }
        })?;
        // What an agent and its guard left that were both killed.
        let stale = Undo::read(dir).unwrap_or_default().perform(dir);
        if !stale.is_empty() {
            let what = format!("an earlier run's faults cannot be undone: {}", stale.join("; "));
            return Err(Answer::Failed { what, kind: Trouble::Invalid });
        }
        for (folder, of) in [("data", "data"), ("logs", "logs"), ("run", "files")] {
            empty_folder(&dir.join(folder)).map_err(step(&format!("removing the last run's {of} in")))?;
        }
        let guard = start_guard(dir).map_err(step("starting the guard of"))?;
        let mut agent = Agent {
            dir: dir.to_owned(),
            programs: Programs::new(dir),
            undo: Undo::default(),
            clock: None,
            _lock: lock,
            _guard: guard,
        };
        agent.arm(Vec::new()).map_err(step("writing what is to be undone in"))?;
        Ok(agent)
    }

    fn arm(&mut self, commands: Vec<Command>) -> io::Result<()> {
        self.undo.commands = commands;
        self.undo.write(&self.dir)
    }

    fn undo_all(&mut self) -> Vec<String> {
        // First of all, or its thread would go on setting it.
        self.clock = None;
        self.undo.perform(&self.dir)
    }

    /// Answers a line. Says whether it was the last.
    fn hear(&mut self, line: &str) -> bool {
        let request = match serde_json::from_str::<Request>(line) {
            Ok(request) => request,
            Err(error) => {
                let what = format!("a request was not understood: {error}");
                return !say(&Reply { answer: invalid(what), ended: Vec::new() });
            }
        };
        let bye = request == Request::Bye;
        let answer = self.answer(request).unwrap_or_else(|failed| failed);
        // A reply that nobody reads is no reason to end: end of input is.
        say(&Reply { answer, ended: self.programs.ended() });
        bye
    }

    fn answer(&mut self, request: Request) -> Result<Answer, Answer> {
        match request {
            Request::Beat => {}
            Request::Spawn(spawn) => {
                let what =
                    format!("starting {}: {}", spawn.name, spawn.argv.first().cloned().unwrap_or_default());
                let pid = self.programs.spawn(&spawn).map_err(|e| failed(what, &e))?;
                return Ok(Answer::Started { pid });
            }
            Request::Signal { token, signal, group } => self.signal(token, signal, group)?,
            Request::KillAll => self.until(Signal::SIGKILL, "gone", <[_]>::is_empty)?,
            Request::StopAll => {
                let stopped = |all: &[processes::Process]| all.iter().all(|p| p.state == 'T');
                self.until(Signal::SIGSTOP, "stopped", stopped)?;
            }
            Request::ContinueAll => processes::signal_all(&self.dir, Signal::SIGCONT)
                .map_err(|e| failed("resuming".into(), &e.into()))?,
            Request::Count => {
                let all = processes::find(&self.dir);
                let stopped = all.iter().filter(|p| p.state == 'T').count();
                return Ok(Answer::Counted { all: all.len(), stopped });
            }
            Request::Output { token } => {
                let output = self.programs.output(token);
                let (stdout, stderr) =
                    output.ok_or_else(|| invalid(format!("no output of {token} is kept")))?;
                return Ok(Answer::Output { stdout: Bytes(stdout), stderr: Bytes(stderr) });
            }
            Request::Exec { command, limit_millis } => {
                let what = format!("running {}", command.argv.join(" "));
                return exec(&command, Duration::from_millis(limit_millis)).map_err(|e| failed(what, &e));
            }
            Request::Arm(commands) => {
                self.arm(commands).map_err(|e| failed("writing what is to be undone".into(), &e))?;
            }
            Request::Clock(order) => {
                return self.clock(order).map_err(|e| failed("setting the clock".into(), &e));
            }
            Request::Damage(harm) => {
                let done = damage::damage(&self.dir.join("data"), &harm);
                return done.map(Answer::Damaged).map_err(|e| failed("damaging files".into(), &e));
            }
            Request::Wipe => {
                empty_folder(&self.dir.join("data"))
                    .map_err(|e| failed("emptying the data directory".into(), &e))?;
            }
            Request::Log { name, from } => {
                let read = read_from(&self.dir.join("logs").join(format!("{name}.log")), from);
                return read
                    .map(|b| Answer::Log(Bytes(b)))
                    .map_err(|e| failed(format!("reading the log of {name}"), &e));
            }
            Request::Bye => {
                let trouble = self.undo_all();
                if !trouble.is_empty() {
                    return Err(invalid(trouble.join("; ")));
                }
            }
        }
        Ok(Answer::Done)
    }

    fn until(
        &self,
        signal: Signal,
        what: &str,
        holds: impl Fn(&[processes::Process]) -> bool,
    ) -> Result<(), Answer> {
        match processes::until(&self.dir, signal, holds) {
            Ok(true) => Ok(()),
            Ok(false) => {
                let what = format!("some processes are not {what} in time");
                Err(Answer::Failed { what, kind: Trouble::Timeout })
            }
            Err(error) => Err(failed(format!("sending {signal}"), &error.into())),
        }
    }

    fn signal(&self, token: u64, signal: i32, group: bool) -> Result<(), Answer> {
        // What has ended needs no signal; its end is on its way.
        let Some(pid) = self.programs.pid(token) else { return Ok(()) };
        let signal = Signal::try_from(signal).map_err(|e| failed("a signal".into(), &e.into()))?;
        let pid = Pid::from_raw(pid);
        match if group { killpg(pid, signal) } else { kill(pid, signal) } {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(failed(format!("sending {signal}"), &error.into())),
        }
    }

    fn clock(&mut self, order: crate::ssh::wire::ClockOrder) -> io::Result<Answer> {
        let clock = match &mut self.clock {
            Some(clock) => clock,
            None => {
                let anchor = Anchor::now(&System)?;
                self.undo.clock = Some(anchor);
                self.undo.write(&self.dir)?;
                self.clock.insert(HostClock::new(anchor, System))
            }
        };
        clock.change(order)
    }
}

fn start_guard(dir: &Path) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    Process::new(std::env::current_exe()?)
        .args([COMMAND, "guard"])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
}

/// Runs a command of the system to its end, bounded.
pub(super) fn exec(command: &Command, limit: Duration) -> io::Result<Answer> {
    use std::os::unix::process::CommandExt;
    let Some((program, args)) = command.argv.split_first() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a command without a program"));
    };
    // An SSH session's PATH often lacks where the system's tools are.
    let path = std::env::var("PATH").unwrap_or_default();
    let mut child = Process::new(program)
        .args(args)
        .env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"))
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let input = command.input.clone();
    // Whoever does not read its input closes it: no trouble of ours.
    let writing = std::thread::spawn(move || stdin.map(|mut s| s.write_all(input.as_bytes())));
    let stdout = std::thread::spawn(move || stdout.map(collect).unwrap_or_default());
    let stderr = std::thread::spawn(move || stderr.map(collect).unwrap_or_default());
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > limit {
            let _ = killpg(Pid::from_raw(child.id() as i32), Signal::SIGKILL);
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, format!("not done in {limit:?}")));
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    drop(writing);
    Ok(Answer::Executed { exit: exit(status), stdout: Bytes(soon(stdout)), stderr: Bytes(soon(stderr)) })
}

fn read_from(path: &Path, from: u64) -> io::Result<Vec<u8>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        // Nothing was written yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    file.seek(SeekFrom::Start(from))?;
    let mut read = Vec::new();
    file.take(MOST).read_to_end(&mut read)?;
    Ok(read)
}

fn invalid(what: String) -> Answer {
    Answer::Failed { what, kind: Trouble::Invalid }
}

fn failed(what: String, error: &io::Error) -> Answer {
    let kind = match error.raw_os_error() {
        Some(errno) => Trouble::System(errno),
        None if error.kind() == io::ErrorKind::TimedOut => Trouble::Timeout,
        None => Trouble::Invalid,
    };
    Answer::Failed { what: format!("{what}: {error}"), kind }
}
