//! Programs: started as plain processes, each leading a group of its own, and awaited.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::processes::MARK;
use crate::Exit;
use crate::ssh::wire::{Ended, Spawn};

/// At most so much of a command's output is kept.
pub(super) const MOST: u64 = 1 << 20;

/// See the module.
pub(super) struct Programs {
    dir: PathBuf,
    pids: BTreeMap<u64, i32>,
    captured: BTreeMap<u64, Captured>,
    ends: (Sender<Ended>, Receiver<Ended>),
}

struct Captured {
    stdout: JoinHandle<Vec<u8>>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Programs {
    pub fn new(dir: &Path) -> Self {
        Programs { dir: dir.to_owned(), pids: BTreeMap::new(), captured: BTreeMap::new(), ends: channel() }
    }

    /// Starts a program; its `exec` has succeeded when this returns.
    pub fn spawn(&mut self, spawn: &Spawn) -> io::Result<u32> {
        let data = self.dir.join("data");
        for (path, contents) in &spawn.files {
            let path = data.join(path);
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
            fs::write(path, &contents.0)?;
        }
        let Some((program, args)) = spawn.argv.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a program without a command"));
        };
        let mut command = Command::new(program);
        command.args(args).envs(&spawn.env).env(MARK, &self.dir).current_dir(data.join(&spawn.cwd));
        command.stdin(Stdio::null()).process_group(0);
        if spawn.captured {
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
        } else {
            let log = self.log(&spawn.name)?;
            command.stdout(log.try_clone()?).stderr(log);
        }
        let mut child = command.spawn()?;
        let pid = child.id();
        if let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) {
            self.captured.insert(spawn.token, Captured::of(stdout, stderr));
        } else {
            fs::write(self.dir.join("run").join(format!("{}.pid", spawn.name)), format!("{pid}\n"))?;
        }
        self.pids.insert(spawn.token, pid as i32);
        self.await_end(spawn.token, child)?;
        Ok(pid)
    }

    fn await_end(&self, token: u64, mut child: Child) -> io::Result<()> {
        let ends = self.ends.0.clone();
        let wait = move || {
            if let Ok(status) = child.wait() {
                // Nobody listens any more only when the agent ends.
                let _ = ends.send(Ended { token, exit: exit(status) });
            }
        };
        std::thread::Builder::new().name("squall-wait".into()).spawn(wait).map(drop)
    }

    /// The log of a program, to append to.
    fn log(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().create(true).append(true).open(self.dir.join("logs").join(format!("{name}.log")))
    }

    /// The process that was started under this token; its group has the same number.
    pub fn pid(&self, token: u64) -> Option<i32> {
        self.pids.get(&token).copied()
    }

    /// What a captured program wrote. It has ended.
    pub fn output(&mut self, token: u64) -> Option<(Vec<u8>, Vec<u8>)> {
        let captured = self.captured.remove(&token)?;
        Some((soon(captured.stdout), soon(captured.stderr)))
    }

    /// What has ended since the last time.
    pub fn ended(&mut self) -> Vec<Ended> {
        let ended: Vec<Ended> = self.ends.1.try_iter().collect();
        for one in &ended {
            self.pids.remove(&one.token);
        }
        ended
    }
}

impl Captured {
    fn of(stdout: ChildStdout, stderr: ChildStderr) -> Self {
        Captured {
            stdout: std::thread::spawn(move || collect(stdout)),
            stderr: std::thread::spawn(move || collect(stderr)),
        }
    }
}

/// Reads to the end, and keeps the first [`MOST`] bytes.
pub(super) fn collect(mut from: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    let _ = from.by_ref().take(MOST).read_to_end(&mut kept);
    let _ = io::copy(&mut from, &mut io::sink());
    kept
}

/// What was read, of a writer that has ended. Somebody else may hold its end of the pipe and never let go: then
/// nothing is known, and nobody waits for it.
pub(super) fn soon(reading: JoinHandle<Vec<u8>>) -> Vec<u8> {
    let begun = Instant::now();
    while !reading.is_finished() {
        if begun.elapsed() > Duration::from_secs(1) {
            return Vec::new();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    reading.join().unwrap_or_default()
}

pub(super) fn exit(status: ExitStatus) -> Exit {
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn programs() -> (tempfile::TempDir, Programs) {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["data", "logs", "run"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        let programs = Programs::new(dir.path());
        (dir, programs)
    }

    fn wait(programs: &mut Programs) -> Ended {
        let begun = Instant::now();
        loop {
            if let Some(ended) = programs.ended().pop() {
                return ended;
            }
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn spawn(token: u64, script: &str, captured: bool) -> Spawn {
        let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
        Spawn { token, name: "p".into(), argv, captured, ..Spawn::default() }
    }

    #[test]
    fn a_program_writes_its_log_and_its_end_is_told() {
        let (dir, mut programs) = programs();
        let script = Spawn {
            files: vec![("in/a".into(), crate::ssh::wire::Bytes(b"x".to_vec()))],
            ..spawn(7, "cat in/a; exit 3", false)
        };
        programs.spawn(&script).unwrap();
        assert_eq!(wait(&mut programs), Ended { token: 7, exit: Exit::Code(3) });
        assert_eq!(fs::read_to_string(dir.path().join("logs/p.log")).unwrap(), "x");
        assert!(dir.path().join("run/p.pid").exists());
    }

    #[test]
    fn a_command_is_captured_and_a_missing_one_is_an_error() {
        let (_dir, mut programs) = programs();
        programs.spawn(&spawn(1, "echo out; echo err >&2; kill -9 $$", true)).unwrap();
        assert_eq!(wait(&mut programs).exit, Exit::Signal(9));
        assert_eq!(programs.output(1).unwrap(), (b"out\n".to_vec(), b"err\n".to_vec()));
        assert_eq!(programs.output(1), None);
        let missing = Spawn { argv: vec!["/no/such/program".into()], ..spawn(2, "", false) };
        assert_eq!(programs.spawn(&missing).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
