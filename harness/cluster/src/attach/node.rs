//! A node of a running cluster: what its owner's commands can do to it.
//!
//! Programs count as running from the beginning: the cluster serves already. What was killed or paused is known
//! from the proving commands, not from having been asked for.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, broadcast};
use tokio::task::JoinSet;

use super::command::{Commands, Group};
use super::definition::{AttachFile, LogOf};
use super::template::{COMMAND, Values};
use crate::{Error, Exit, ExitEvent, Node, Output, Program, ProgramState};

/// How long programs may take to be gone, or to be there, once a command said that it did so.
const EFFECT_LIMIT: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(50);
/// How long a log that is followed rests before its command, having ended, is started again.
const FOLLOW_AGAIN: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug)]
pub(super) struct AttachedNode {
    pub(super) name: String,
    pub(super) index: usize,
    pub(super) address: IpAddr,
    log_dir: PathBuf,
    file: Arc<AttachFile>,
    commands: Commands,
    state: Mutex<State>,
    // One command that changes the node at a time.
    turn: AsyncMutex<()>,
    exits: broadcast::Sender<ExitEvent>,
    follows: Mutex<JoinSet<()>>,
    begun: Instant,
}

#[derive(Debug, Default)]
struct State {
    ended: Option<Exit>,
    paused: bool,
}

impl AttachedNode {
    pub(super) fn new(file: &Arc<AttachFile>, index: usize, address: IpAddr, log_dir: PathBuf) -> Self {
        AttachedNode {
            name: file.nodes[index].name.clone(),
            index,
            address,
            log_dir,
            commands: file.commands(),
            file: file.clone(),
            state: Mutex::default(),
            turn: AsyncMutex::default(),
            exits: broadcast::channel(64).0,
            follows: Mutex::default(),
            begun: Instant::now(),
        }
    }

    /// What placeholders stand for on this node.
    fn values(&self) -> Values {
        Values::from([
            ("node", self.name.clone()),
            ("address", self.address.to_string()),
            ("index", self.index.to_string()),
            ("dir", self.file.dir.to_string_lossy().into_owned()),
        ])
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn what(&self, command: &str) -> String {
        format!("`{command}` on {}", self.name)
    }

    /// A command that the file must have for what is wanted.
    fn needed<'a>(&self, name: &str, command: &'a Option<String>) -> Result<&'a str, Error> {
        command.as_deref().ok_or_else(|| {
            Error::Unavailable(format!("the cluster file has no command `{name}` under `programs`"))
        })
    }

    /// Asks a proving command until it says so; whether it did in time.
    async fn becomes(&self, name: &str, command: &str, wanted: bool) -> Result<bool, Error> {
        let begun = Instant::now();
        loop {
            let said = self.commands.run(&self.what(name), command, &self.values()).await?;
            if said.is_yes() == wanted {
                return Ok(true);
            }
            if begun.elapsed() > EFFECT_LIMIT {
                return Ok(false);
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Ends the programs by a command, and sees that they are gone.
    async fn put_down(&self, name: &str, command: &Option<String>, exit: Exit) -> Result<usize, Error> {
        let command = self.needed(name, command)?;
        let running = self.needed("running", &self.file.programs.running)?;
        let _turn = self.turn.lock().await;
        if self.state().ended.is_some() {
            return Ok(0);
        }
        self.commands.must(&self.what(name), command, &self.values()).await?;
        if !self.becomes("running", running, false).await? {
            let (name, seconds) = (&self.name, EFFECT_LIMIT.as_secs());
            return Err(Error::Broken(format!(
                "programs of {name} still run {seconds} s after they were ended, as `running` says"
            )));
        }
        *self.state() = State { ended: Some(exit), paused: false };
        let (node, program) = (self.index, "programs".to_owned());
        // Nobody may listen any more.
        let _ = self.exits.send(ExitEvent { node, program, exit, at: Instant::now(), expected: true });
        Ok(1)
    }

    /// Starts following the logs that are to be followed.
    pub(super) fn follow_logs(self: &Arc<Self>) -> Result<(), Error> {
        for (name, log) in &self.file.logs {
            let Some(command) = log.follow.clone() else { continue };
            let path = self.log_dir.join(format!("{name}.log"));
            let failed = |e| Error::io(format!("opening {}", path.display()), e);
            let into = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
            let node = Arc::downgrade(self);
            let mut follows = self.follows.lock().unwrap_or_else(PoisonError::into_inner);
            follows.spawn(async move {
                while let Some(node) = node.upgrade() {
                    let Ok(into) = into.try_clone() else { return };
                    let mut shell = node.commands.shell(&command, &node.values());
                    drop(node);
                    // A log that cannot be had now may be there again later, as after a restart of its node.
                    if let Ok(mut child) = shell.stdout(into).stderr(Stdio::null()).spawn() {
                        let group = Group(child.id());
                        let _ = child.wait().await;
                        drop(group);
                    }
                    tokio::time::sleep(FOLLOW_AGAIN).await;
                }
            });
        }
        Ok(())
    }

    async fn fetch(&self, name: &str, command: &str) -> Result<(), Error> {
        let mut values = self.values();
        values.insert("seconds", (self.begun.elapsed().as_secs() + 1).to_string());
        let path = self.log_dir.join(format!("{name}.log"));
        let failed = |e| Error::io(format!("writing {}", path.display()), e);
        let into = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
        let mut shell = self.commands.shell(command, &values);
        let mut child = shell.stdout(into).stderr(Stdio::null()).spawn().map_err(failed)?;
        let _group = Group(child.id());
        let ended = tokio::time::timeout(self.commands.limit, child.wait()).await;
        match ended {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Error::Broken(format!("the log `{name}` of {}: {status}", self.name))),
            Ok(Err(e)) => Err(failed(e)),
            Err(_) => Err(Error::Timeout(format!("the log `{name}` of {} was not there in time", self.name))),
        }
    }
}

#[async_trait]
impl Node for AttachedNode {
    fn name(&self) -> &str {
        &self.name
    }

    fn index(&self) -> usize {
        self.index
    }

    fn address(&self) -> IpAddr {
        self.address
    }

    fn data_dir(&self) -> &Path {
        &self.log_dir
    }

    fn log_dir(&self) -> &Path {
        &self.log_dir
    }

    /// Starts whatever the file's command starts; which program is asked for makes no difference.
    async fn start(&self, _program: &Program) -> Result<(), Error> {
        let start = self.needed("start", &self.file.programs.start)?;
        let running = self.needed("running", &self.file.programs.running)?;
        let _turn = self.turn.lock().await;
        if self.state().ended.is_none() {
            return Ok(());
        }
        self.commands.must(&self.what("start"), start, &self.values()).await?;
        if !self.becomes("running", running, true).await? {
            let (name, seconds) = (&self.name, EFFECT_LIMIT.as_secs());
            return Err(Error::Broken(format!(
                "programs of {name} do not run {seconds} s after they were started, as `running` says"
            )));
        }
        self.state().ended = None;
        Ok(())
    }

    async fn kill(&self) -> Result<usize, Error> {
        self.put_down("kill", &self.file.programs.kill, Exit::Signal(9)).await
    }

    async fn pause(&self) -> Result<(), Error> {
        let pause = self.needed("pause", &self.file.programs.pause)?;
        let paused = self.needed("paused", &self.file.programs.paused)?;
        let _turn = self.turn.lock().await;
        let nothing_to_do = {
            let state = self.state();
            state.ended.is_some() || state.paused
        };
        if nothing_to_do {
            return Ok(());
        }
        self.commands.must(&self.what("pause"), pause, &self.values()).await?;
        self.state().paused = true;
        // Whether it came to pass is asked again for the evidence.
        self.becomes("paused", paused, true).await.map(drop)
    }

    async fn resume(&self) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        if !self.state().paused {
            return Ok(());
        }
        let resume = self.needed("resume", &self.file.programs.resume)?;
        self.commands.must(&self.what("resume"), resume, &self.values()).await?;
        self.state().paused = false;
        Ok(())
    }

    async fn stop(&self, _program: &str, _grace: Duration) -> Result<Exit, Error> {
        self.put_down("stop", &self.file.programs.stop, Exit::Signal(15)).await?;
        Ok(self.state().ended.unwrap_or(Exit::Signal(15)))
    }

    fn state(&self, _program: &str) -> ProgramState {
        match self.state().ended {
            None => ProgramState::Running { pid: 0 },
            Some(exit) => ProgramState::Exited(exit),
        }
    }

    async fn is_paused(&self) -> Result<bool, Error> {
        let Some(paused) = &self.file.programs.paused else { return Ok(false) };
        Ok(self.commands.run(&self.what("paused"), paused, &self.values()).await?.is_yes())
    }

    async fn run(&self, program: &Program, limit: Duration) -> Result<Output, Error> {
        let Some(run) = &self.file.run else {
            let (what, name) = (&program.name, &self.name);
            return Err(Error::Unavailable(format!(
                "the {what} is a command on {name}, but the cluster file does not say how commands are run there \
                 (`run`)"
            )));
        };
        let words: Vec<String> =
            program.argv.iter().map(|a| crate::shell_word(&a.to_string_lossy())).collect();
        let mut values = self.values();
        values.insert(COMMAND, words.join(" "));
        let commands = Commands { limit, ..self.commands.clone() };
        let said = commands.run(&self.what(&program.name), run, &values).await?;
        Ok(Output { exit: said.exit, stdout: said.printed.into_bytes(), stderr: Vec::new() })
    }

    async fn wipe(&self) -> Result<(), Error> {
        Err(Error::Unavailable(format!("the data of {} is its owner's", self.name)))
    }

    fn exits(&self) -> broadcast::Receiver<ExitEvent> {
        self.exits.subscribe()
    }

    async fn gather_logs(&self) -> Result<(), Error> {
        self.follows.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        let fetched: BTreeMap<&String, &LogOf> =
            self.file.logs.iter().filter(|(_, log)| log.fetch.is_some()).collect();
        for (name, log) in fetched {
            self.fetch(name, log.fetch.as_deref().unwrap_or_default()).await?;
        }
        Ok(())
    }
}
