//! The process beside a program that patches what the program's tree executes, and does nothing else.
//!
//! It is not the program's parent, so process ids, exit statuses, signals and stops are exactly as without it;
//! it holds a process by ptrace only from the moment an `execve` is announced until its result is patched,
//! some hundred microseconds. It ends when nobody is left in the tree. If it is killed earlier, running
//! programs keep their clock and no further `execve` succeeds.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::Ordering;

use libc::pid_t;

use super::inject::{Refused, give_clock};
use super::page::MappedPage;
use super::seccomp::{self, Announced};
use super::tracee::{Stop, Tracee, wait};

/// What a supervisor works with. `report` is where the first program's success (closing) or refusal (a text)
/// is told.
#[derive(Debug)]
pub(super) struct Supervisor {
    pub listener: OwnedFd,
    pub page: MappedPage,
    pub report: Option<File>,
}

/// How an announced `execve` went.
enum Outcome {
    Patched,
    /// It failed, or is started again because of a signal; either way nothing new runs.
    NotExecuted,
    Gone,
}

impl Supervisor {
    /// Serves until the tree is gone.
    pub fn run(mut self) -> io::Result<()> {
        while let Some(announced) = seccomp::next(self.listener.as_fd())? {
            self.serve(announced)?;
        }
        Ok(())
    }

    fn serve(&mut self, announced: Announced) -> io::Result<()> {
        let tracee = match Tracee::seize(announced.pid) {
            Ok(tracee) => tracee,
            Err(error) => {
                // It may be gone already; if not, it must not run without its clock.
                seccomp::answer(self.listener.as_fd(), announced, Some(libc::EPERM))?;
                if error.raw_os_error() != Some(libc::ESRCH) {
                    self.refuse(announced.pid, &format!("it may not be traced: {error}"));
                }
                return Ok(());
            }
        };
        match execute(tracee, self.listener.as_fd(), announced, self.page.fd()) {
            Ok(Outcome::Patched) => {
                self.page.get().patched.0.fetch_add(1, Ordering::Relaxed);
                self.report = None;
            }
            Ok(Outcome::NotExecuted | Outcome::Gone) | Err(Refused::Gone) => {}
            Err(refused) => {
                self.refuse(announced.pid, &refused.to_string());
                kill(tracee);
            }
        }
        Ok(())
    }

    /// Counts a refusal and says why: to who launched the tree, while that waits, and on the program's own
    /// standard error.
    fn refuse(&mut self, pid: pid_t, why: &str) {
        self.page.get().refused.0.fetch_add(1, Ordering::Relaxed);
        let text = format!("squall: cannot give this program the clock of its node: {why}\n");
        if let Some(mut report) = self.report.take() {
            report.write_all(text.as_bytes()).ok();
        }
        let standard_error = OpenOptions::new().append(true).open(format!("/proc/{pid}/fd/2"));
        if let Ok(mut standard_error) = standard_error {
            standard_error.write_all(text.as_bytes()).ok();
        }
    }
}

/// Lets an announced `execve` happen and patches the program that comes of it.
fn execute(
    tracee: Tracee,
    listener: BorrowedFd<'_>,
    announced: Announced,
    page: BorrowedFd<'_>,
) -> Result<Outcome, Refused> {
    let failed = |what: &'static str| {
        move |source: io::Error| match source.raw_os_error() {
            Some(libc::ESRCH) => Refused::Gone,
            _ => Refused::Call { what, source },
        }
    };
    seccomp::answer(listener, announced, None).map_err(failed("letting it execute"))?;
    // Wherever it is by now: it stops after `execve` has failed, or, if it succeeds, inside of it.
    tracee.interrupt().map_err(failed("interrupting it"))?;
    let mut executed = false;
    loop {
        let (tracee, stop) = wait().map_err(failed("waiting for it"))?;
        match stop {
            Stop::Gone => return Ok(Outcome::Gone),
            Stop::Exec => {
                executed = true;
                tracee.resume_to_syscall(0).map_err(failed("letting it leave execve"))?;
            }
            Stop::Syscall if executed => {
                give_clock(tracee, page)?;
                tracee.detach().map_err(failed("letting it go"))?;
                return Ok(Outcome::Patched);
            }
            Stop::Interrupted if !executed => {
                tracee.detach().map_err(failed("letting it go"))?;
                return Ok(Outcome::NotExecuted);
            }
            Stop::Signal(signal) => {
                resume(tracee, executed, signal).map_err(failed("passing on a signal"))?
            }
            Stop::Syscall | Stop::Interrupted | Stop::Other => {
                resume(tracee, executed, 0).map_err(failed("letting it run on"))?;
            }
        }
    }
}

fn resume(tracee: Tracee, executed: bool, signal: i32) -> io::Result<()> {
    if executed { tracee.resume_to_syscall(signal) } else { tracee.resume(signal) }
}

/// Kills a tracee and waits until its end has been told to us, which its parent's own waiting depends on.
fn kill(tracee: Tracee) {
    // SAFETY: takes no memory. The process is held by ptrace, so its number cannot be another's.
    unsafe { libc::kill(tracee.0, libc::SIGKILL) };
    while !matches!(wait(), Ok((_, Stop::Gone)) | Err(_)) {}
}
