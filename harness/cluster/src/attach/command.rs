//! Commands of a file, run by `sh` on this machine, bounded in time and in what they may print.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::template::{Values, render};
use crate::{Error, Exit};

/// Nobody reads more of what a command printed.
const SAID_BYTES_MAX: usize = 64 << 10;
/// How long what a command printed may take to arrive once it has ended.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How commands are run.
#[derive(Clone, Debug)]
pub struct Commands {
    /// Where: the folder of the file.
    pub dir: PathBuf,
    /// For how long at most.
    pub limit: Duration,
}

/// What a command said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// How it ended.
    pub exit: Exit,
    /// What it printed, standard output before standard error; at most 64 KiB of each.
    pub printed: String,
}

impl Said {
    /// Whether it ended with exit code 0.
    pub fn is_yes(&self) -> bool {
        self.exit == Exit::Code(0)
    }

    /// Its end and the beginning of what it printed, on one line.
    pub fn short(&self) -> String {
        const CHARS_MAX: usize = 200;
        let text = self.printed.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = match text.char_indices().nth(CHARS_MAX) {
            Some((at, _)) => format!("{}…", &text[..at]),
            None => text,
        };
        if text.is_empty() { self.exit.to_string() } else { format!("{}: {text}", self.exit) }
    }
}

/// Everything that a command started, ended when it is given up.
pub(super) struct Group(pub Option<u32>);

impl Group {
    /// Leaves it alone from now on.
    pub(super) fn spare(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Gone already is what was wanted.
        if let Some(pid) = self.0.and_then(|pid| i32::try_from(pid).ok()) {
            let _ = killpg(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Commands {
    /// A command, ready to be started, as the leader of a process group of its own.
    pub(super) fn shell(&self, command: &str, values: &Values) -> Command {
        let mut shell = Command::new("sh");
        shell
            .arg("-c")
            .arg(render(command, values))
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .process_group(0)
            .kill_on_drop(true);
        shell
    }

    /// Runs a command to its end, whatever its exit code is. `what` names it in errors.
    pub async fn run(&self, what: &str, command: &str, values: &Values) -> Result<Said, Error> {
        let mut shell = self.shell(command, values);
        let child = shell.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.map_err(|e| Error::io(format!("starting the command of {what}"), e))?;
        let group = Group(child.id());
        let (out, err) = (Drained::start(child.stdout.take()), Drained::start(child.stderr.take()));
        let ended = tokio::time::timeout(self.limit, child.wait()).await;
        let status = ended.map_err(|_| {
            Error::Timeout(format!("the command of {what} did not end within {} s", self.limit.as_secs_f64()))
        })?;
        let status = status.map_err(|e| Error::io(format!("waiting for the command of {what}"), e))?;
        // What it left in the background lives on, as it would in a shell.
        group.spare();
        let mut printed = out.take().await;
        printed.push_str(&err.take().await);
        Ok(Said { exit: exit(status), printed })
    }

    /// Runs a command that is to end well.
    pub async fn must(&self, what: &str, command: &str, values: &Values) -> Result<Said, Error> {
        let said = self.run(what, command, values).await?;
        match said.is_yes() {
            true => Ok(said),
            false => Err(Error::Broken(format!("the command of {what} ended with {}", said.short()))),
        }
    }
}

pub(super) fn exit(status: std::process::ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().map_or_else(|| Exit::Signal(status.signal().unwrap_or_default()), Exit::Code)
}

/// An output that is read to its end, of which the beginning is kept. Reading goes on after [`Drained::take`]: a
/// server that a command left in the background may hold the pipe, and must neither block nor break on it.
struct Drained {
    kept: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Drained {
    fn start(from: Option<impl AsyncRead + Unpin + Send + 'static>) -> Self {
        let kept = Arc::<Mutex<Vec<u8>>>::default();
        let into = kept.clone();
        let task = tokio::spawn(async move {
            let Some(mut from) = from else { return };
            let mut piece = vec![0; 8 << 10];
            // What cannot be read was not said.
            while let Ok(read @ 1..) = from.read(&mut piece).await {
                let mut kept = into.lock().unwrap_or_else(PoisonError::into_inner);
                let room = SAID_BYTES_MAX.saturating_sub(kept.len());
                kept.extend_from_slice(&piece[..read.min(room)]);
            }
        });
        Drained { kept, task }
    }

    /// What was kept, once all is read or nobody should wait longer.
    async fn take(mut self) -> String {
        let _ = tokio::time::timeout(LAST_WORDS, &mut self.task).await;
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        String::from_utf8_lossy(&kept).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commands(limit: Duration) -> Commands {
        Commands { dir: std::env::temp_dir(), limit }
    }

    #[tokio::test]
    async fn a_command_says_its_end_and_what_it_printed() {
        let values = Values::from([("node", "n 1".to_owned())]);
        let all = commands(Duration::from_secs(20));
        let said = all.run("a test", "echo out {node}; echo err >&2; exit 3", &values).await.unwrap();
        assert_eq!(said, Said { exit: Exit::Code(3), printed: "out n 1\nerr\n".into() });
        let refused = all.must("a test", "echo no; exit 3", &values).await.unwrap_err();
        assert_eq!(refused.to_string(), "the command of a test ended with exit code 3: no");
    }

    #[tokio::test]
    async fn what_it_leaves_in_the_background_is_neither_waited_for_nor_ended() {
        let all = commands(Duration::from_secs(60));
        let said = all.run("a test", "sleep 600 & echo $!", &Values::new()).await.unwrap();
        let pid = Pid::from_raw(said.printed.trim().parse().unwrap());
        nix::sys::signal::kill(pid, Signal::SIGKILL).expect("it still runs");
    }

    #[tokio::test]
    async fn much_output_blocks_nobody_and_is_cut() {
        let all = commands(Duration::from_secs(20));
        let said = all.run("a test", "head -c 3000000 /dev/zero | tr '\\0' x", &Values::new()).await.unwrap();
        assert!(said.is_yes());
        assert_eq!(said.printed.len(), SAID_BYTES_MAX);
    }

    #[tokio::test]
    async fn one_that_does_not_end_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let text = format!("sleep 600 & echo $! > {}; wait", pid.display());
        let failed = commands(Duration::from_millis(500)).run("a test", &text, &Values::new()).await;
        assert_eq!(failed.unwrap_err().to_string(), "the command of a test did not end within 0.5 s");
        let pid: i32 = std::fs::read_to_string(pid).unwrap().trim().parse().unwrap();
        let gone = || {
            // An orphan that nobody has reaped yet is gone, too.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        for _ in 0..200 {
            if gone() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("what it started lives on");
    }
}
