//! Every process of the programs of a host's folder, children included, found by a mark in their environment.
//!
//! A child inherits the mark unless it clears its environment on purpose. No parent's memory is needed, so a
//! guard or a later agent finds what an earlier one left.

use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable whose value is the folder.
pub(super) const MARK: &str = "SQUALL_HOST_DIR";

/// How long processes may take to show what a signal did to them.
const LIMIT: Duration = Duration::from_secs(10);

/// A process and its state letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub pid: i32,
    pub state: char,
}

/// All of them that live. What cannot be read is not ours.
pub(super) fn find(dir: &Path) -> Vec<Process> {
    let mark = [MARK.as_bytes(), b"=", dir.as_os_str().as_encoded_bytes()].concat();
    let entries = std::fs::read_dir("/proc").into_iter().flatten().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        environ.split(|b| *b == 0).any(|variable| variable == mark).then_some(())?;
        let state = state(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
        (!matches!(state, 'Z' | 'X')).then_some(Process { pid, state })
    })
    .collect()
}

/// The state letter of a line of `/proc/<pid>/stat`; a name in brackets may hold anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

/// Signals all of them.
pub(super) fn signal_all(dir: &Path, signal: Signal) -> Result<(), Errno> {
    for process in find(dir) {
        match kill(Pid::from_raw(process.pid), signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Signals all of them again and again until this holds: a process may fork between the look and the signal.
pub(super) fn until(dir: &Path, signal: Signal, holds: impl Fn(&[Process]) -> bool) -> Result<bool, Errno> {
    let begun = Instant::now();
    loop {
        if holds(&find(dir)) {
            return Ok(true);
        }
        if begun.elapsed() > LIMIT {
            return Ok(false);
        }
        signal_all(dir, signal)?;
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_follows_the_last_bracket() {
        assert_eq!(state("12 (a) b) T 1 12"), Some('T'));
        assert_eq!(state("garbage"), None);
    }

    #[test]
    fn marked_processes_are_found_with_their_children_and_killed() {
        let dir = tempfile::tempdir().unwrap();
        let mut shell = std::process::Command::new("sh")
            .args(["-c", "sleep 600 & sleep 600; true"])
            .env(MARK, dir.path())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        while find(dir.path()).len() < 3 {
            assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", find(dir.path()));
            std::thread::sleep(Duration::from_millis(5));
        }
        let stopped = |all: &[Process]| all.iter().all(|p| p.state == 'T');
        assert!(until(dir.path(), Signal::SIGSTOP, stopped).unwrap());
        assert_eq!(find(dir.path()).len(), 3);
        assert!(until(dir.path(), Signal::SIGKILL, <[Process]>::is_empty).unwrap());
        shell.wait().unwrap();
        assert!(find(Path::new("/no/such/folder")).is_empty());
    }
}
