//! A node as the harness holds it: what it was asked to run, and what became of it.

use std::collections::{BTreeMap, HashMap};
use std::fs::OpenOptions;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe2;
use squall_cluster::{
    Clock, Conversation, Disk, Error, Exit, ExitEvent, Limits, Node, Output, Program, ProgramState,
    empty_folder,
};
use tokio::sync::{broadcast, watch};

use crate::channel::{Channel, Happening, Observer};
use crate::clock::ClockPage;
use crate::faultfs::{FaultFs, Options, Owner};
use crate::limits::LocalLimits;
use crate::output;
use crate::protocol::{Answer, Request, Spawn};
use crate::sys;

/// Ends of programs that a slow listener may lag behind.
const EXITS: usize = 1024;
/// How long a pause may take to show on every process.
const PAUSE_LIMIT: Duration = Duration::from_secs(5);

/// A node of a local cluster.
#[derive(Debug)]
pub(crate) struct LocalNode {
    name: String,
    index: usize,
    address: Ipv4Addr,
    data: PathBuf,
    logs: PathBuf,
    channel: Arc<Channel>,
    book: Arc<Book>,
    clock: Option<Arc<ClockPage>>,
    disk: OnceLock<Arc<FaultFs>>,
    limits: Arc<LocalLimits>,
}

/// What is known of a node's processes. The cluster's thread writes it, the node's methods read it.
#[derive(Debug)]
pub(crate) struct Book {
    index: usize,
    state: Mutex<State>,
    exits: broadcast::Sender<ExitEvent>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    paused: bool,
    /// Every process started and not yet forgotten, by token.
    processes: HashMap<u64, Process>,
    /// The latest process of each program.
    programs: HashMap<String, u64>,
}

#[derive(Debug)]
struct Process {
    name: String,
    /// Whether it is one of the node's programs, and no passing command.
    listed: bool,
    /// Process id inside the node, 0 until it is known.
    inner: i32,
    /// Process id on the harness's machine, 0 until it is known.
    outer: u32,
    expected: bool,
    exit: watch::Sender<Option<Exit>>,
}

impl Book {
    pub(crate) fn new(index: usize) -> Self {
        Book { index, state: Mutex::default(), exits: broadcast::channel(EXITS).0 }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ended(&self, token: u64, exit: Exit, at: Instant) {
        let mut state = self.state();
        let Some(process) = state.processes.get(&token) else { return };
        process.exit.send_replace(Some(exit));
        if process.listed {
            let program = process.name.clone();
            let expected = process.expected;
            // Nobody may be listening.
            self.exits.send(ExitEvent { node: self.index, program, exit, at, expected }).ok();
        } else {
            state.processes.remove(&token);
        }
    }
}

impl Observer for Book {
    fn observe(&self, what: Happening) {
        match what {
            Happening::Hello { token, pid } => {
                if let Some(process) = self.state().processes.get_mut(&token) {
                    process.outer = pid;
                }
            }
            Happening::Exited { token, exit, at } => self.ended(token, exit, at),
            Happening::Gone => {
                let running: Vec<u64> = {
                    let mut state = self.state();
                    state.processes.values_mut().for_each(|process| process.expected = true);
                    state
                        .processes
                        .iter()
                        .filter(|(_, process)| process.runs())
                        .map(|(token, _)| *token)
                        .collect()
                };
                for token in running {
                    self.ended(token, Exit::Signal(libc::SIGKILL), Instant::now());
                }
            }
        }
    }
}

impl Process {
    fn runs(&self) -> bool {
        self.exit.borrow().is_none()
    }
}

impl LocalNode {
    /// For a node whose init answers on `channel`.
    pub(crate) fn new(
        name: &str,
        address: Ipv4Addr,
        data: PathBuf,
        logs: PathBuf,
        channel: Arc<Channel>,
        book: Arc<Book>,
        clock: Option<Arc<ClockPage>>,
    ) -> Self {
        let limits = Arc::new(LocalLimits::new(name, Arc::clone(&channel)));
        LocalNode {
            limits,
            name: name.to_owned(),
            index: book.index,
            address,
            data,
            logs,
            channel,
            book,
            clock,
            disk: OnceLock::new(),
        }
    }

    fn environment(&self, program: &Program) -> Vec<Vec<u8>> {
        let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
        let mut env: BTreeMap<&[u8], &[u8]> = BTreeMap::new();
        env.insert(b"PATH", path.as_bytes());
        env.insert(b"HOME", self.data.as_os_str().as_bytes());
        env.insert(b"LANG", b"C.UTF-8");
        for (name, value) in &program.env {
            env.insert(name.as_bytes(), value.as_bytes());
        }
        env.into_iter().map(|(name, value)| [name, b"=", value].concat()).collect()
    }

    async fn write_files(&self, program: &Program) -> Result<(), Error> {
        for (path, contents) in &program.files {
            let what = || format!("writing {} for {} on {}", path.display(), program.name, self.name);
            let failed = |error: std::io::Error| Error::io(what(), error);
            let memory = memfd_create(c"squall-file", MFdFlags::MFD_CLOEXEC).map_err(|e| failed(e.into()))?;
            let mut file = std::fs::File::from(memory);
            file.write_all(contents).map_err(failed)?;
            std::io::Seek::rewind(&mut file).map_err(failed)?;
            let request = Request::WriteFile { path: self.data.join(path) };
            self.channel.done("preparing a program", request, &[file.as_fd()]).await?;
        }
        Ok(())
    }

    /// Puts a disk that can be harmed under the data directory. Before any program of the node is started.
    pub(crate) async fn give_disk(&self, seed: u64) -> Result<(), Error> {
        let (result, fds) = self.channel.ask(Request::MountDisk { on: self.data.clone() }, &[]).await?;
        result.map_err(|failed| self.channel.failed("making a disk", &failed))?;
        let fuse = fds.into_iter().next();
        let fuse =
            fuse.ok_or_else(|| Error::Broken(format!("{} sent no descriptor of its disk", self.name)))?;
        let owner =
            if nix::unistd::geteuid().is_root() { Owner::Same } else { Owner::Single { uid: 0, gid: 0 } };
        let options = Options { owner, seed, ..Options::default() };
        // The mount is in the node's namespace only: the harness sees the folder below it.
        let data = self.data.clone();
        let served = tokio::task::spawn_blocking(move || FaultFs::serve(fuse, &data, options)).await;
        let served =
            served.map_err(|error| Error::Broken(format!("serving the disk of {}: {error}", self.name)))?;
        // Given once, by the provider.
        self.disk.set(Arc::new(served?)).ok();
        Ok(())
    }

    /// The log of a program, to append to.
    fn log(&self, program: &Program) -> Result<OwnedFd, Error> {
        if program.name.is_empty() || program.name.contains('/') {
            return Err(Error::Invalid(format!(
                "{:?} cannot be a program's name: it names a file",
                program.name
            )));
        }
        let path = self.logs.join(format!("{}.log", program.name));
        let opening = |error| Error::io(format!("opening the log {}", path.display()), error);
        OpenOptions::new().create(true).append(true).open(&path).map(OwnedFd::from).map_err(opening)
    }

    /// Starts a process and waits until it runs.
    async fn launch(
        &self,
        program: &Program,
        listed: bool,
        stdin: Option<OwnedFd>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> Result<(u64, i32, watch::Receiver<Option<Exit>>), Error> {
        let (exit, ends) = watch::channel(None);
        let token = self.enter(program, listed, exit)?;
        let spawn = Spawn {
            token,
            argv: program.argv.iter().map(|part| part.clone().into_vec()).collect(),
            env: self.environment(program),
            cwd: program.cwd.as_ref().map_or_else(|| self.data.clone(), |cwd| self.data.join(cwd)),
            input: stdin.is_some(),
        };
        let started = async {
            self.write_files(program).await?;
            let what = format!("starting {}", program.name);
            let mut with: Vec<_> = stdin.iter().map(AsFd::as_fd).collect();
            with.extend([stdout.as_fd(), stderr.as_fd()]);
            with.extend(self.clock.as_deref().map(ClockPage::fd));
            self.channel.done(&what, Request::Spawn(spawn), &with).await
        };
        match started.await {
            Ok(Answer::Started(pid)) => {
                if let Some(process) = self.book.state().processes.get_mut(&token) {
                    process.inner = pid;
                }
                Ok((token, pid, ends))
            }
            Ok(other) => Err(Error::Broken(format!("{} answered a start with {other:?}", self.name))),
            Err(error) => {
                let mut state = self.book.state();
                state.processes.remove(&token);
                state.programs.retain(|_, latest| *latest != token);
                Err(error)
            }
        }
    }

    /// Notes a process that is about to start.
    fn enter(
        &self,
        program: &Program,
        listed: bool,
        exit: watch::Sender<Option<Exit>>,
    ) -> Result<u64, Error> {
        let mut state = self.book.state();
        if state.paused {
            return Err(Error::Invalid(format!("{} is paused: nothing can start on it", self.name)));
        }
        let old = state.programs.get(&program.name).copied().filter(|_| listed);
        if let Some(old) = old {
            if state.processes.get(&old).is_some_and(Process::runs) {
                return Err(Error::Invalid(format!("{} runs on {} already", program.name, self.name)));
            }
            state.processes.remove(&old);
        }
        state.next += 1;
        let token = state.next;
        let name = program.name.clone();
        let process = Process { name, listed, inner: 0, outer: 0, expected: false, exit };
        state.processes.insert(token, process);
        if listed {
            state.programs.insert(program.name.clone(), token);
        }
        Ok(token)
    }

    async fn signal(&self, pid: i32, signal: i32, group: bool) -> Result<(), Error> {
        let request = Request::Signal { pid, signal, group };
        self.channel.done("sending a signal", request, &[]).await.map(drop)
    }

    async fn count(&self) -> Result<(usize, usize), Error> {
        match self.channel.done("counting processes", Request::Count, &[]).await? {
            Answer::Counted { all, stopped } => Ok((all, stopped)),
            other => Err(Error::Broken(format!("{} answered a count with {other:?}", self.name))),
        }
    }
}

/// Waits for a process's end.
async fn ended(ends: &mut watch::Receiver<Option<Exit>>) -> Option<Exit> {
    ends.wait_for(Option::is_some).await.ok().and_then(|exit| *exit)
}

#[async_trait]
impl Node for LocalNode {
    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> usize {
        self.index
    }

    fn address(&self) -> IpAddr {
        self.address.into()
    }

    fn data_dir(&self) -> &Path {
        &self.data
    }

    fn log_dir(&self) -> &Path {
        &self.logs
    }

    async fn start(&self, program: &Program) -> Result<(), Error> {
        let stdout = self.log(program)?;
        let stderr = self.log(program)?;
        self.launch(program, true, None, stdout, stderr).await.map(drop)
    }

    async fn converse(&self, program: &Program) -> Result<Conversation, Error> {
        let failed =
            |error: Errno| Error::io(format!("making a pipe for {}", program.name), sys::io_error(error));
        let (their_stdin, stdin) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let (stdout, their_stdout) = pipe2(OFlag::O_CLOEXEC).map_err(failed)?;
        let stderr = self.log(program)?;
        self.launch(program, true, Some(their_stdin), their_stdout, stderr).await?;
        Ok(Conversation { stdin, stdout })
    }

    async fn kill(&self) -> Result<usize, Error> {
        let running = {
            let mut state = self.book.state();
            let mut running = 0;
            for process in state.processes.values_mut().filter(|process| process.runs()) {
                process.expected = true;
                running += usize::from(process.listed);
            }
            running
        };
        self.channel.done("killing programs", Request::KillAll, &[]).await?;
        self.limits.let_go().await;
        self.book.state().paused = false;
        Ok(running)
    }

    async fn pause(&self) -> Result<(), Error> {
        let _turn = self.limits.hold_still().await;
        self.book.state().paused = true;
        self.channel.done("pausing", Request::StopAll, &[]).await?;
        let start = Instant::now();
        // The signal is sent, but each process stops on its own way back from the kernel.
        loop {
            let (all, stopped) = self.count().await?;
            if stopped >= all {
                return Ok(());
            }
            if start.elapsed() > PAUSE_LIMIT {
                let text =
                    format!("only {stopped} of {all} processes on {} stopped in {PAUSE_LIMIT:?}", self.name);
                return Err(Error::Timeout(text));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }

    async fn resume(&self) -> Result<(), Error> {
        self.limits.let_go().await;
        self.channel.done("resuming", Request::ContinueAll, &[]).await?;
        self.book.state().paused = false;
        Ok(())
    }

    async fn stop(&self, program: &str, grace: Duration) -> Result<Exit, Error> {
        let (pid, mut ends) = {
            let mut state = self.book.state();
            let process = state.programs.get(program).copied();
            let process = process.and_then(|token| state.processes.get_mut(&token));
            let absent = || Error::Invalid(format!("{program} was never started on {}", self.name));
            let process = process.ok_or_else(absent)?;
            if let Some(exit) = *process.exit.borrow() {
                return Ok(exit);
            }
            process.expected = true;
            (process.inner, process.exit.subscribe())
        };
        self.signal(pid, libc::SIGTERM, false).await?;
        let gone = || Error::Broken(format!("{} is gone", self.name));
        if let Ok(exit) = tokio::time::timeout(grace, ended(&mut ends)).await {
            return exit.ok_or_else(gone);
        }
        self.signal(pid, libc::SIGKILL, true).await?;
        ended(&mut ends).await.ok_or_else(gone)
    }

    fn state(&self, program: &str) -> ProgramState {
        let state = self.book.state();
        let process = state.programs.get(program).and_then(|token| state.processes.get(token));
        match process {
            None => ProgramState::Absent,
            Some(process) => match *process.exit.borrow() {
                None => ProgramState::Running { pid: process.outer },
                Some(exit) => ProgramState::Exited(exit),
            },
        }
    }

    async fn is_paused(&self) -> Result<bool, Error> {
        let (all, stopped) = self.count().await?;
        Ok(all > 0 && all == stopped)
    }

    async fn run(&self, program: &Program, limit: Duration) -> Result<Output, Error> {
        let failed = |error| Error::io(format!("making a pipe for {}", program.name), error);
        let (stdout, to_stdout) = output::pipe().map_err(failed)?;
        let (stderr, to_stderr) = output::pipe().map_err(failed)?;
        let (_, pid, mut ends) = self.launch(program, false, None, to_stdout, to_stderr).await?;
        let (stdout, stderr) = (output::collect(stdout), output::collect(stderr));
        let exit = tokio::time::timeout(limit, ended(&mut ends)).await;
        if exit.is_err() {
            self.signal(pid, libc::SIGKILL, true).await?;
        }
        let (stdout, stderr) = (stdout.finish().await, stderr.finish().await);
        match exit {
            Ok(Some(exit)) => Ok(Output { exit, stdout, stderr }),
            Ok(None) => Err(Error::Broken(format!("{} is gone", self.name))),
            Err(_) => Err(Error::Timeout(format!(
                "{} on {} did not end in {limit:?}; it said: {}",
                program.name,
                self.name,
                String::from_utf8_lossy(if stderr.is_empty() { &stdout } else { &stderr }).trim()
            ))),
        }
    }

    async fn wipe(&self) -> Result<(), Error> {
        let running = {
            let state = self.book.state();
            state
                .programs
                .iter()
                .find(|(_, token)| state.processes.get(token).is_some_and(Process::runs))
                .map(|(name, _)| name.clone())
        };
        if let Some(program) = running {
            return Err(Error::Invalid(format!("{program} runs on {}: its data cannot be wiped", self.name)));
        }
        let data = self.data.clone();
        let wiped = tokio::task::spawn_blocking(move || empty_folder(&data)).await;
        let wiped =
            wiped.map_err(|error| Error::Broken(format!("wiping the data of {}: {error}", self.name)))?;
        wiped.map_err(|error| Error::io(format!("wiping {}", self.data.display()), error))
    }

    fn disk(&self) -> Option<Arc<dyn Disk>> {
        self.disk.get().map(|disk| Arc::clone(disk) as Arc<dyn Disk>)
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.clock.clone().map(|clock| clock as Arc<dyn Clock>)
    }

    fn limits(&self) -> Option<Arc<dyn Limits>> {
        Some(Arc::clone(&self.limits) as Arc<dyn Limits>)
    }

    fn exits(&self) -> broadcast::Receiver<ExitEvent> {
        self.book.exits.subscribe()
    }
}
