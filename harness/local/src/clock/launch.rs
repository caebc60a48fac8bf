//! Starting a program with the clock of its node.
//!
//! This is the interface, the same on all architectures; `start.rs` does it where it can be done.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::BorrowedFd;

/// A program to start with a clock.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The clock: the descriptor of a [`ClockPage`](super::ClockPage).
    pub page: BorrowedFd<'a>,
    /// A close-on-exec pipe that is told how the program's own `exec` went: it is closed without a word once
    /// the program runs with its clock, and holds a text if that was refused and the program killed.
    pub report: Option<BorrowedFd<'a>>,
    /// The executable; it is not looked up in any PATH.
    pub path: &'a CStr,
    /// Its arguments, the first being its name.
    pub argv: &'a [CString],
    /// Its environment, `NAME=value` each.
    pub env: &'a [CString],
}

/// Why a program did not start.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// This machine cannot do it.
    #[error("a clock of its own needs {0}")]
    Unsupported(&'static str),
    /// A step before `execve` failed.
    #[error("{what}: {source}")]
    Prepare {
        /// What was being done.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// `execve` itself failed: most often there is no such program.
    #[error("executing {path}: {source}")]
    Execute {
        /// The executable.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// Whether this machine can give programs a clock; if not, the error says what that needs.
pub fn supported() -> Result<(), LaunchError> {
    #[cfg(target_arch = "x86_64")]
    return super::start::supported().map_err(LaunchError::Unsupported);
    #[cfg(not(target_arch = "x86_64"))]
    Err(LaunchError::Unsupported("an x86-64 machine: other architectures are not supported yet"))
}

/// Becomes a program that reads the clock of its node, as does everything that it starts. Returns only if
/// that failed; the process should then say so and end.
///
/// To be called in a freshly forked process with one thread. Needs Linux 5.9. Without a capability over its
/// user namespace the process gives up gaining privileges (`no_new_privs`).
pub fn exec_with_clock(launch: &Launch<'_>) -> LaunchError {
    if let Err(error) = supported() {
        return error;
    }
    #[cfg(target_arch = "x86_64")]
    match super::start::start(launch) {
        Ok(never) => match never {},
        Err(error) => error,
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("`supported` refuses launch {launch:?} on this architecture")
}
