//! This machine as the host of client programs: ordinary children of the harness, each with a process group of its
//! own. They end with the harness as far as an ordinary parent can see to it: when it drops them.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::{Child, Command};
use tokio::sync::{broadcast, watch};

use super::command::{Group, exit};
use crate::{Conversation, Error, Exit, ExitEvent, Node, Output, Program, ProgramState};

/// See the module.
#[derive(Debug)]
pub(crate) struct Here {
    index: usize,
    log_dir: PathBuf,
    data_dir: PathBuf,
    running: Mutex<BTreeMap<String, Started>>,
    exits: broadcast::Sender<ExitEvent>,
}

/// A program that was started.
#[derive(Debug)]
struct Started {
    pid: u32,
    ended: watch::Receiver<Option<Exit>>,
    // Dropped or told, it ends the program.
    _end: watch::Sender<bool>,
}

impl Here {
    /// Its logs and data go below this folder of the run.
    pub(crate) fn new(index: usize, log_dir: PathBuf) -> Result<Self, Error> {
        let data_dir = log_dir.join("data");
        std::fs::create_dir_all(&data_dir)
            .map_err(|e| Error::io(format!("making {}", data_dir.display()), e))?;
        Ok(Here { index, log_dir, data_dir, running: Mutex::default(), exits: broadcast::channel(64).0 })
    }

    fn command(&self, program: &Program) -> Result<Command, Error> {
        let executable = program.argv.first();
        let executable = executable
            .ok_or_else(|| Error::Invalid(format!("the command of `{}` is empty", program.name)))?;
        for (path, contents) in &program.files {
            let path = self.data_dir.join(path);
            let folder = path.parent().unwrap_or(Path::new("/"));
            let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(&path, contents));
            written.map_err(|e| Error::io(format!("writing {}", path.display()), e))?;
        }
        let mut command = Command::new(executable);
        command
            .args(&program.argv[1..])
            .envs(&program.env)
            .current_dir(program.cwd.as_deref().unwrap_or(&self.data_dir))
            .process_group(0)
            .kill_on_drop(true);
        Ok(command)
    }

    fn spawn(&self, program: &Program, mut command: Command) -> Result<Child, Error> {
        if let ProgramState::Running { .. } = self.state(&program.name) {
            return Err(Error::Invalid(format!("`{}` runs already", program.name)));
        }
        let log = self.log_dir.join(format!("{}.log", program.name));
        let opened = OpenOptions::new().create(true).append(true).open(&log);
        command.stderr(opened.map_err(|e| Error::io(format!("opening {}", log.display()), e))?);
        let named = || program.argv.first().map(|a| a.to_string_lossy().into_owned()).unwrap_or_default();
        command.spawn().map_err(|e| Error::Invalid(format!("`{}` cannot be started: {e}", named())))
    }

    /// Watches a child until it ends or is to be ended.
    fn watch(&self, program: &Program, mut child: Child) {
        let (end, mut ending) = watch::channel(false);
        let (over, ended) = watch::channel(None);
        let pid = child.id().unwrap_or_default();
        let started = Started { pid, ended, _end: end };
        self.running.lock().unwrap_or_else(PoisonError::into_inner).insert(program.name.clone(), started);
        let (node, program, exits) = (self.index, program.name.clone(), self.exits.clone());
        tokio::spawn(async move {
            let group = Group(Some(pid));
            let (status, expected) = tokio::select! {
                status = child.wait() => (status, false),
                _ = ending.changed() => {
                    drop(group);
                    (child.wait().await, true)
                }
            };
            let exit = status.map_or(Exit::Code(-1), exit);
            // Nobody may listen any more.
            let at = std::time::Instant::now();
            let _ = exits.send(ExitEvent { node, program, exit, at, expected });
            let _ = over.send(Some(exit));
        });
    }
}

#[async_trait]
impl Node for Here {
    fn name(&self) -> &str {
        "clients"
    }

    fn index(&self) -> usize {
        self.index
    }

    fn address(&self) -> IpAddr {
        Ipv4Addr::LOCALHOST.into()
    }

    fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    async fn start(&self, program: &Program) -> Result<(), Error> {
        let mut command = self.command(program)?;
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = self.spawn(program, command)?;
        self.watch(program, child);
        Ok(())
    }

    async fn converse(&self, program: &Program) -> Result<Conversation, Error> {
        let mut command = self.command(program)?;
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = self.spawn(program, command)?;
        let broken = |e| Error::io(format!("taking the pipes of `{}`", program.name), e);
        let missing = || broken(std::io::Error::other("a pipe that was asked for is not there"));
        let stdin = child.stdin.take().ok_or_else(missing)?.into_owned_fd().map_err(broken)?;
        let stdout = child.stdout.take().ok_or_else(missing)?.into_owned_fd().map_err(broken)?;
        self.watch(program, child);
        Ok(Conversation { stdin, stdout })
    }

    async fn kill(&self) -> Result<usize, Error> {
        let all = std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        let mut count = 0;
        for (_, mut started) in all {
            count += usize::from(started.ended.borrow().is_none());
            drop(started._end);
            // It is killed: there is nothing that it could do about it.
            let _ = started.ended.wait_for(Option::is_some).await;
        }
        Ok(count)
    }

    async fn pause(&self) -> Result<(), Error> {
        Err(Error::Unavailable("the machine of the clients cannot be paused".into()))
    }

    async fn resume(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn stop(&self, program: &str, _grace: Duration) -> Result<Exit, Error> {
        let started = self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(program);
        let Some(mut started) = started else {
            return Err(Error::Invalid(format!("`{program}` was not started")));
        };
        drop(started._end);
        let ended = started.ended.wait_for(Option::is_some).await.map(|exit| *exit);
        Ok(ended.ok().flatten().unwrap_or(Exit::Code(-1)))
    }

    fn state(&self, program: &str) -> ProgramState {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        match running.get(program).map(|started| (started.pid, *started.ended.borrow())) {
            None => ProgramState::Absent,
            Some((pid, None)) => ProgramState::Running { pid },
            Some((_, Some(exit))) => ProgramState::Exited(exit),
        }
    }

    async fn is_paused(&self) -> Result<bool, Error> {
        Ok(false)
    }

    async fn run(&self, program: &Program, limit: Duration) -> Result<Output, Error> {
        let mut command = self.command(program)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let child =
            child.map_err(|e| Error::Invalid(format!("`{}` cannot be started: {e}", program.name)))?;
        let _group = Group(child.id());
        let output = tokio::time::timeout(limit, child.wait_with_output()).await;
        let output = output.map_err(|_| Error::Timeout(format!("`{}` did not end in time", program.name)))?;
        let output = output.map_err(|e| Error::io(format!("waiting for `{}`", program.name), e))?;
        Ok(Output { exit: exit(output.status), stdout: output.stdout, stderr: output.stderr })
    }

    async fn wipe(&self) -> Result<(), Error> {
        Err(Error::Unavailable("the machine of the clients is not wiped".into()))
    }

    fn exits(&self) -> broadcast::Receiver<ExitEvent> {
        self.exits.subscribe()
    }
}

/// So that nothing outlives the run.
pub(crate) async fn end(host: &Arc<Here>) {
    // Everything was told to end; nothing can fail here.
    let _ = host.kill().await;
}
