//! Starting a program inside a node: `fork`, descriptors, `exec`, and an exact word about what failed.

use std::ffi::{CString, OsStr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::sys::wait::waitpid;
use nix::unistd::{AccessFlags, ForkResult, access, execve, fork, pipe2, read, setsid, write};

use crate::clock::{Launch, LaunchError, exec_with_clock};
use crate::protocol::{self, Failed, FromNode, Spawn};
use crate::{surroundings, sys, usage};

/// Starts a program and returns its process id once its `exec` succeeded. `with` is its standard input
/// if it has one, its output and error, and its node's clock if that can be moved. Its last word before `exec` goes to the harness, whose credentials tell the outer process id.
pub(crate) fn start(
    spawn: &Spawn,
    with: &[OwnedFd],
    memory: Option<u64>,
    harness: BorrowedFd<'_>,
) -> Result<i32, Failed> {
    let (stdin, with) = with.split_at(usize::from(spawn.input).min(with.len()));
    let [stdout, stderr, clock @ ..] = with else {
        return Err(Failed::at("starting a program")(Errno::EBADF));
    };
    let stdin = stdin.first().map(AsFd::as_fd);
    let clock = clock.first().map(AsFd::as_fd);
    let command = Command::prepare(spawn)?;
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).map_err(Failed::at("making a pipe"))?;
    // SAFETY: a node's init has one thread, so the child may do anything that its parent might.
    match unsafe { fork() }.map_err(Failed::at("forking"))? {
        ForkResult::Child => {
            // Before anything of the program runs, or it could take what it likes first.
            let limited = memory.map_or(Ok(()), |bytes| usage::limit(0, Some(bytes)));
            let streams = (stdin, stdout.as_fd(), stderr.as_fd());
            let failed = match limited {
                Err(error) => Failed::at("limiting its memory")(error),
                Ok(()) => command.run(spawn.token, streams, clock, writer.as_fd(), harness),
            };
            let text = postcard::to_stdvec(&failed).unwrap_or_default();
            write(&writer, &text).ok();
            // SAFETY: ends the child at once, without the parent's destructors.
            unsafe { libc::_exit(127) }
        }
        ForkResult::Parent { child } => {
            drop(writer);
            match read_failure(reader.as_fd()) {
                None => Ok(child.as_raw()),
                Some(failed) => {
                    waitpid(child, None).ok();
                    Err(failed)
                }
            }
        }
    }
}

/// What the child said before it gave up; `None` when the pipe closed by itself, at `exec`.
fn read_failure(pipe: BorrowedFd<'_>) -> Option<Failed> {
    let mut text = Vec::new();
    let mut part = [0; 512];
    loop {
        match read(pipe, &mut part) {
            Ok(0) => break,
            Ok(length) => text.extend(&part[..length]),
            Err(Errno::EINTR) => {}
            Err(_) => break,
        }
    }
    if text.is_empty() {
        return None;
    }
    // What the clock's supervisor has to say is plain text.
    let plain = || Failed { step: String::from_utf8_lossy(&text).into_owned(), errno: libc::ENOEXEC };
    Some(postcard::from_bytes(&text).unwrap_or_else(|_| plain()))
}

/// Standard input, if it is not empty, output and error.
type Streams<'a> = (Option<BorrowedFd<'a>>, BorrowedFd<'a>, BorrowedFd<'a>);

/// A command in the form that `execve` takes.
struct Command {
    path: CString,
    argv: Vec<CString>,
    env: Vec<CString>,
    cwd: std::path::PathBuf,
}

impl Command {
    fn prepare(spawn: &Spawn) -> Result<Self, Failed> {
        let strings = |parts: &[Vec<u8>]| {
            let strings: Result<Vec<CString>, _> =
                parts.iter().map(|part| CString::new(part.as_slice())).collect();
            strings.map_err(|_| Failed::at("reading its arguments: a zero byte in one")(Errno::EINVAL))
        };
        let argv = strings(&spawn.argv)?;
        let env = strings(&spawn.env)?;
        let name = spawn.argv.first().filter(|name| !name.is_empty());
        let name =
            name.ok_or(Errno::EINVAL).map_err(Failed::at("reading its arguments: there is no executable"))?;
        let path = find(name, &spawn.env)?;
        Ok(Command { path, argv, env, cwd: spawn.cwd.clone() })
    }

    /// Becomes the program; returns only what failed. `report` is told what goes wrong once another process
    /// has to see to its clock.
    fn run(
        self,
        token: u64,
        streams: Streams<'_>,
        clock: Option<BorrowedFd<'_>>,
        report: BorrowedFd<'_>,
        harness: BorrowedFd<'_>,
    ) -> Failed {
        match self.try_run(token, streams, clock, report, harness) {
            Ok(never) => match never {},
            Err(failed) => failed,
        }
    }

    fn try_run(
        self,
        token: u64,
        (stdin, stdout, stderr): Streams<'_>,
        clock: Option<BorrowedFd<'_>>,
        report: BorrowedFd<'_>,
        harness: BorrowedFd<'_>,
    ) -> Result<std::convert::Infallible, Failed> {
        // A session of its own, so that its group can be signalled without its neighbours.
        setsid().map_err(Failed::at("making a session"))?;
        std::env::set_current_dir(&self.cwd)
            .map_err(surroundings::failed(format!("entering {}", self.cwd.display())))?;
        let null = std::fs::File::open("/dev/null").map_err(surroundings::failed("opening /dev/null"))?;
        for (fd, target) in [(stdin.unwrap_or(null.as_fd()), 0), (stdout, 1), (stderr, 2)] {
            sys::place(fd, target).map_err(Failed::at("placing its standard streams"))?;
        }
        reset_signals().map_err(Failed::at("resetting signals"))?;
        protocol::send(harness, &FromNode::Hello { token }, &[])
            .map_err(Failed::at("telling the harness"))?;
        let path = self.path.to_string_lossy().into_owned();
        let hidden = surroundings::is_covered(Path::new(&path)) && !Path::new(&path).exists();
        let hint = if hidden { " (each node has a /tmp, /run and /dev/shm of its own)" } else { "" };
        let Some(page) = clock else {
            return execve(&self.path, &self.argv, &self.env)
                .map_err(Failed::at(format!("executing {path}{hint}")));
        };
        let launch =
            Launch { page, report: Some(report), path: &self.path, argv: &self.argv, env: &self.env };
        Err(match exec_with_clock(&launch) {
            LaunchError::Execute { path, source } => {
                surroundings::failed(format!("executing {path}{hint}"))(source)
            }
            other => Failed { step: other.to_string(), errno: libc::ENOSYS },
        })
    }
}

/// Gives back what this process, or whoever started the harness, blocked or ignored: `exec` would keep it.
fn reset_signals() -> nix::Result<()> {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    for signal in Signal::iterator().filter(|signal| !matches!(signal, Signal::SIGKILL | Signal::SIGSTOP)) {
        // SAFETY: the default action runs no code of ours.
        unsafe { sigaction(signal, &default) }?;
    }
    SigSet::empty().thread_set_mask()
}

/// The executable's path: as it is with a slash in it, otherwise looked up in the environment's PATH.
fn find(name: &[u8], env: &[Vec<u8>]) -> Result<CString, Failed> {
    let made = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL);
    let shown = String::from_utf8_lossy(name).into_owned();
    let given = Path::new(OsStr::from_bytes(name));
    if name.contains(&b'/') {
        return made(given).map_err(Failed::at(format!("executing {shown}")));
    }
    let path = env.iter().find_map(|entry| entry.strip_prefix(b"PATH=")).unwrap_or_default();
    for folder in path.split(|byte| *byte == b':') {
        let candidate = Path::new(OsStr::from_bytes(folder)).join(given);
        if candidate.is_file() && access(&candidate, AccessFlags::X_OK).is_ok() {
            return made(&candidate).map_err(Failed::at(format!("executing {shown}")));
        }
    }
    let path = String::from_utf8_lossy(path).into_owned();
    Err(Failed::at(format!("executing {shown}, which is in no folder of PATH={path}"))(Errno::ENOENT))
}
