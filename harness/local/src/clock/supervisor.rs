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

use super::inject::{Refused, failed, give_clock};
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
        let mut execution = Execution { tracee, executed: false };
        match execution.run(self.listener.as_fd(), announced, &self.page) {
            Ok(Outcome::Patched) => self.report = None,
            Ok(Outcome::NotExecuted | Outcome::Gone) | Err(Refused::Gone) => {}
            Err(refused) => {
                if !refused.is_end() {
                    self.refuse(execution.tracee.0, &refused.to_string());
                }
                kill(execution.tracee);
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

/// An announced `execve` on its way.
struct Execution {
    /// Who executes. A thread that is not its process's first takes the first one's number when it succeeds.
    tracee: Tracee,
    executed: bool,
}

impl Execution {
    /// Lets the `execve` happen and patches the program that comes of it.
    fn run(
        &mut self,
        listener: BorrowedFd<'_>,
        announced: Announced,
        page: &MappedPage,
    ) -> Result<Outcome, Refused> {
        seccomp::answer(listener, announced, None).map_err(failed("letting it execute"))?;
        // Wherever it is by now: it stops after `execve` has failed, or, if that succeeds, inside of it. Its
        // number may have changed already, in which case it will stop without being asked.
        self.tracee.interrupt().ok();
        loop {
            let (tracee, stop) = wait().map_err(failed("waiting for it"))?;
            self.tracee = tracee;
            match stop {
                Stop::Gone => return Ok(Outcome::Gone),
                Stop::Exec => {
                    self.executed = true;
                    self.resume(0)?;
                }
                Stop::Syscall if self.executed => {
                    give_clock(tracee, page.fd())?;
                    // Counted before it runs: who sees it run, sees it counted.
                    page.get().patched.0.fetch_add(1, Ordering::Relaxed);
                    tracee.detach().map_err(failed("letting it go"))?;
                    return Ok(Outcome::Patched);
                }
                Stop::Interrupted if !self.executed => {
                    tracee.detach().map_err(failed("letting it go"))?;
                    return Ok(Outcome::NotExecuted);
                }
                Stop::Signal(signal) => self.resume(signal)?,
                Stop::Syscall | Stop::Interrupted | Stop::Other => self.resume(0)?,
            }
        }
    }

    fn resume(&self, signal: i32) -> Result<(), Refused> {
        let resumed = match self.executed {
            true => self.tracee.resume_to_syscall(signal),
            false => self.tracee.resume(signal),
        };
        resumed.map_err(failed("letting it run on"))
    }
}

/// Kills a tracee and waits until its end has been told to us, which its parent's own waiting depends on.
fn kill(tracee: Tracee) {
    // SAFETY: takes no memory. The process is held by ptrace, so its number cannot be another's.
    unsafe { libc::kill(tracee.0, libc::SIGKILL) };
    while !matches!(wait(), Ok((_, Stop::Gone)) | Err(_)) {}
}
