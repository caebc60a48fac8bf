//! A node that is a host of its own, driven through its agent.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Mutex as AsyncMutex, broadcast, watch};

use super::book::Book;
use super::files::Mapping;
use super::inventory::{Processes, is_plain};
use super::shell::{Remote, Shell};
use super::wire::{Answer, Bytes, Request, Spawn};
use crate::{
    Clock, Damage, Damaged, Discarded, Disk, DiskCounters, DiskFault, Error, Exit, ExitEvent, Node, Output,
    PowerLoss, Program, ProgramState,
};

/// How long programs may take to be gone after they were killed.
const KILL_LIMIT: Duration = Duration::from_secs(10);
/// How often is asked whether something has ended, while somebody waits for it.
const LOOK: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug)]
pub(super) struct SshNode {
    pub name: String,
    pub index: usize,
    pub address: IpAddr,
    /// On the host.
    pub data: PathBuf,
    /// Here.
    pub logs: PathBuf,
    pub remote: Arc<Remote>,
    pub book: Arc<Book>,
    pub mapping: Arc<Mapping>,
    pub processes: Processes,
    pub clock: Option<Arc<dyn Clock>>,
    pub damage: bool,
    /// How much of each program's log is here already.
    pub fetched: AsyncMutex<HashMap<String, u64>>,
}

impl SshNode {
    async fn done(&self, request: Request) -> Result<(), Error> {
        self.remote.link().done(request).await
    }

    /// Starts a process; it runs when this returns.
    async fn launch(
        &self,
        program: &Program,
        listed: bool,
    ) -> Result<(u64, watch::Receiver<Option<Exit>>), Error> {
        if !is_plain(&program.name) || program.name.contains('/') {
            let name = &program.name;
            return Err(Error::Invalid(format!("{name:?} cannot be a program's name: it names a file")));
        }
        let (token, ends) = self.book.enter(&program.name, listed)?;
        let started = async {
            let spawn = self.spawn(program, token, listed)?;
            self.remote.link().ask(Request::Spawn(spawn)).await
        };
        match started.await {
            Ok(Answer::Started { .. }) => Ok((token, ends)),
            other => {
                self.book.forget(token);
                other.and_then(|answer| Err(self.remote.link().nonsense(&answer)))
            }
        }
    }

    fn spawn(&self, program: &Program, token: u64, listed: bool) -> Result<Spawn, Error> {
        let mut argv =
            program.argv.iter().map(|part| self.mapping.on_host(part)).collect::<Result<Vec<_>, _>>()?;
        if let (Some(first), Some(given)) = (argv.first_mut(), program.argv.first()) {
            *first = self.mapping.executable(given)?;
        }
        if self.processes == Processes::Systemd && listed {
            argv = in_scope(&self.name, &program.name, token, argv);
        }
        let env = program
            .env
            .iter()
            .map(|(name, value)| Ok((name.clone(), self.mapping.on_host(OsStr::new(value))?)))
            .collect::<Result<_, Error>>()?;
        let files = program.files.iter().map(|(path, bytes)| (path.clone(), Bytes(bytes.clone()))).collect();
        let cwd = program.cwd.clone().unwrap_or_default();
        Ok(Spawn { token, name: program.name.clone(), argv, env, cwd, files, captured: !listed })
    }

    /// Waits for an end, and asks for it often. `None` if it does not come in time.
    async fn ended(
        &self,
        ends: &mut watch::Receiver<Option<Exit>>,
        limit: Duration,
    ) -> Result<Option<Exit>, Error> {
        let begun = Instant::now();
        loop {
            if let Some(exit) = *ends.borrow_and_update() {
                return Ok(Some(exit));
            }
            if begun.elapsed() > limit {
                return Ok(None);
            }
            // Whether it came or not is looked at above.
            let _ = tokio::time::timeout(LOOK, ends.changed()).await;
            self.done(Request::Beat).await?;
        }
    }
}

/// A command that runs another in a transient scope: the process stays the agent's child, and systemd knows it.
fn in_scope(node: &str, program: &str, token: u64, argv: Vec<String>) -> Vec<String> {
    let unit = format!("--unit=squall-{node}-{program}-{token}");
    let scope = ["systemd-run", "--scope", "--quiet", "--collect", &unit, "--"].map(str::to_owned);
    scope.into_iter().chain(argv).collect()
}

#[async_trait]
impl Node for SshNode {
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
        &self.data
    }

    fn log_dir(&self) -> &Path {
        &self.logs
    }

    async fn start(&self, program: &Program) -> Result<(), Error> {
        self.launch(program, true).await.map(drop)
    }

    async fn kill(&self) -> Result<usize, Error> {
        let ends = self.book.end_all();
        let running = ends.len();
        self.done(Request::KillAll).await?;
        for mut end in ends {
            if self.ended(&mut end, KILL_LIMIT).await?.is_none() {
                let text =
                    format!("a program of {} did not end within {KILL_LIMIT:?} of being killed", self.name);
                return Err(Error::Timeout(text));
            }
        }
        Ok(running)
    }

    async fn pause(&self) -> Result<(), Error> {
        self.book.set_paused(true);
        self.done(Request::StopAll).await
    }

    async fn resume(&self) -> Result<(), Error> {
        self.done(Request::ContinueAll).await?;
        self.book.set_paused(false);
        Ok(())
    }

    async fn stop(&self, program: &str, grace: Duration) -> Result<Exit, Error> {
        let (token, mut ends) = self.book.end(program)?;
        for (signal, group, limit) in [(15, false, grace), (9, true, KILL_LIMIT)] {
            if ends.borrow().is_none() {
                self.done(Request::Signal { token, signal, group }).await?;
            }
            if let Some(exit) = self.ended(&mut ends, limit).await? {
                return Ok(exit);
            }
        }
        Err(Error::Timeout(format!(
            "{program} on {} did not end within {KILL_LIMIT:?} of being killed",
            self.name
        )))
    }

    fn state(&self, program: &str) -> ProgramState {
        self.book.program_state(program)
    }

    async fn is_paused(&self) -> Result<bool, Error> {
        match self.remote.link().ask(Request::Count).await? {
            Answer::Counted { all, stopped } => Ok(all > 0 && all == stopped),
            other => Err(self.remote.link().nonsense(&other)),
        }
    }

    async fn run(&self, program: &Program, limit: Duration) -> Result<Output, Error> {
        let (token, mut ends) = self.launch(program, false).await?;
        let exit = self.ended(&mut ends, limit).await?;
        if exit.is_none() {
            self.done(Request::Signal { token, signal: 9, group: true }).await?;
            self.ended(&mut ends, KILL_LIMIT).await?;
        }
        let answer = self.remote.link().ask(Request::Output { token }).await?;
        let Answer::Output { stdout: Bytes(stdout), stderr: Bytes(stderr) } = answer else {
            return Err(self.remote.link().nonsense(&answer));
        };
        exit.map(|exit| Output { exit, stdout: stdout.clone(), stderr: stderr.clone() }).ok_or_else(|| {
            let said = String::from_utf8_lossy(if stderr.is_empty() { &stdout } else { &stderr });
            let (program, name, said) = (&program.name, &self.name, said.trim());
            Error::Timeout(format!("{program} on {name} did not end in {limit:?}; it said: {said}"))
        })
    }

    async fn wipe(&self) -> Result<(), Error> {
        if let Some(program) = self.book.running() {
            return Err(Error::Invalid(format!("{program} runs on {}: its data cannot be wiped", self.name)));
        }
        self.done(Request::Wipe).await
    }

    fn exits(&self) -> broadcast::Receiver<ExitEvent> {
        self.book.exits()
    }

    async fn gather_logs(&self) -> Result<(), Error> {
        let mut fetched = self.fetched.lock().await;
        for name in self.book.programs() {
            let path = self.logs.join(format!("{name}.log"));
            let failed = |e| Error::io(format!("writing {}", path.display()), e);
            let from = fetched.entry(name.clone()).or_default();
            loop {
                let answer = self.remote.link().ask(Request::Log { name: name.clone(), from: *from }).await?;
                let Answer::Log(Bytes(bytes)) = answer else {
                    return Err(self.remote.link().nonsense(&answer));
                };
                if bytes.is_empty() {
                    break;
                }
                let mut log = OpenOptions::new().create(true).append(true).open(&path).map_err(failed)?;
                log.write_all(&bytes).map_err(failed)?;
                *from += bytes.len() as u64;
            }
        }
        Ok(())
    }

    fn clock(&self) -> Option<Arc<dyn Clock>> {
        self.clock.clone()
    }

    fn disk(&self) -> Option<Arc<dyn Disk>> {
        let disk = SshDisk { name: self.name.clone(), remote: self.remote.clone() };
        self.damage.then(|| Arc::new(disk) as Arc<dyn Disk>)
    }
}

/// A host's disk: what is stored can be damaged; a real disk does nothing else on request.
#[derive(Debug)]
struct SshDisk {
    name: String,
    remote: Arc<Remote>,
}

impl SshDisk {
    fn lacks(&self) -> Error {
        let name = &self.name;
        Error::Unavailable(format!("the disk of {name} is a real one: its files can be damaged, no more"))
    }
}

#[async_trait]
impl Disk for SshDisk {
    async fn power_loss(&self, _: PowerLoss) -> Result<Discarded, Error> {
        Err(self.lacks())
    }

    async fn set_faults(&self, faults: &[DiskFault]) -> Result<(), Error> {
        if faults.is_empty() { Ok(()) } else { Err(self.lacks()) }
    }

    fn faults(&self) -> Vec<DiskFault> {
        Vec::new()
    }

    async fn damage(&self, damage: &Damage) -> Result<Vec<Damaged>, Error> {
        match self.remote.ask(Request::Damage(damage.clone())).await? {
            Answer::Damaged(damaged) => Ok(damaged),
            other => Err(self.remote.link().nonsense(&other)),
        }
    }

    fn counters(&self) -> DiskCounters {
        DiskCounters::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_systemd_is_a_scope() {
        let argv = in_scope("n1", "etcd", 7, vec!["/usr/bin/etcd".into(), "--name".into(), "n1".into()]);
        let expected =
            "systemd-run --scope --quiet --collect --unit=squall-n1-etcd-7 -- /usr/bin/etcd --name n1";
        assert_eq!(argv.join(" "), expected);
    }
}
