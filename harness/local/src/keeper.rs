//! The keeper: a single-threaded helper process that makes clusters.
//!
//! A process may enter a new user namespace only while it has one thread, and the harness has many. So the
//! harness starts its own executable again, with a hidden word as first argument, before its first cluster;
//! that process never has a second thread and clones a cluster's init on request, at any time and for any
//! number of clusters.
//!
//! Invariants:
//! - The keeper ends when its socket to the harness closes, whatever closed it, and takes every cluster with
//!   it; each cluster's init dies with the keeper (`PR_SET_PDEATHSIG`) and with its own socket to the harness.
//! - The keeper holds a cluster's "gone" pipe open for exactly as long as one process of the cluster exists,
//!   so that the harness can wait for its end.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getgid, getuid, pipe2, write};
use squall_cluster::Error;

use crate::protocol::{self, Failed};
use crate::{bench, init, sys};

/// First argument of an executable that is to become the keeper.
const WORD: &str = "__squall-keeper";
/// First argument of an executable that is to end at once: what a child does that is started only to see
/// whether children can be traced.
pub(crate) const NOTHING: &str = "__squall-nothing";
/// What the keeper says first.
const HELLO: &[u8] = b"squall-keeper 1";
/// How long the keeper may take to say it.
const HELLO_LIMIT_MS: u16 = 10_000;

static ASKED: AtomicBool = AtomicBool::new(false);
static KEEPER: Mutex<Option<Keeper>> = Mutex::new(None);

/// The running keeper, seen from the harness.
#[derive(Debug)]
struct Keeper {
    socket: OwnedFd,
    process: Child,
}

/// Becomes the keeper if this process was started as one, and never returns then; the same for the other
/// parts that this crate starts its own executable for. Every binary that makes local clusters calls this
/// first thing in `main`, before it has a second thread.
pub fn run_if_asked() {
    ASKED.store(true, Ordering::Relaxed);
    let mut words = std::env::args_os().skip(1);
    let Some(word) = words.next() else { return };
    let done = if word == OsStr::new(WORD) {
        keep().map_err(sys::io_error)
    } else if word == OsStr::new(bench::WORD) {
        let words: Vec<String> = words.map(|word| word.to_string_lossy().into_owned()).collect();
        bench::run(&words)
    } else if word == OsStr::new(NOTHING) {
        Ok(())
    } else {
        return;
    };
    if let Err(error) = &done {
        eprintln!("{}: {error}", word.to_string_lossy());
    }
    std::process::exit(i32::from(done.is_err()));
}

/// Asks the keeper for a new cluster's init, which will answer on the other end of `cluster`. `gone` is held
/// open until the cluster's last process is gone.
pub(crate) fn request(cluster: BorrowedFd<'_>, gone: BorrowedFd<'_>) -> Result<(), Error> {
    let mut running = KEEPER.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    // A keeper that somebody killed is started again, once.
    for attempt in 0..2 {
        let mut keeper = match running.take() {
            Some(keeper) => keeper,
            None => start()?,
        };
        match sys::send(keeper.socket.as_fd(), b"cluster", &[cluster, gone]) {
            Ok(()) => {
                *running = Some(keeper);
                return Ok(());
            }
            Err(Errno::EPIPE | Errno::ECONNRESET) if attempt == 0 => drop(keeper.process.wait()),
            Err(error) => return Err(Error::io("asking the keeper for a cluster", sys::io_error(error))),
        }
    }
    Err(Error::Broken("the keeper process ended as soon as it was started".into()))
}

fn start() -> Result<Keeper, Error> {
    if !ASKED.load(Ordering::Relaxed) {
        return Err(Error::Broken(
            "this program's main does not call squall_local::keeper::run_if_asked() first, which local \
             clusters need"
                .into(),
        ));
    }
    let failed = |error: Errno| Error::io("starting the keeper process", sys::io_error(error));
    let (ours, theirs) = sys::message_pair().map_err(failed)?;
    let process = Command::new("/proc/self/exe")
        .arg0("squall-keeper")
        .arg(WORD)
        .stdin(Stdio::from(theirs))
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| Error::io("starting the keeper process (/proc/self/exe)", error))?;
    let mut ready = [PollFd::new(ours.as_fd(), PollFlags::POLLIN)];
    poll(&mut ready, PollTimeout::from(HELLO_LIMIT_MS)).map_err(failed)?;
    let said = if ready[0].any() == Some(true) { sys::receive(ours.as_fd()).map_err(failed)? } else { None };
    if said.is_none_or(|message| message.bytes != HELLO) {
        return Err(Error::Broken(format!("the keeper process (pid {}) did not come up", process.id())));
    }
    Ok(Keeper { socket: ours, process })
}

/// The keeper's life.
fn keep() -> Result<(), Errno> {
    // Ctrl-C at a terminal goes to the harness alone, which then takes its clusters down in order.
    nix::unistd::setsid().ok();
    nix::sys::prctl::set_name(c"squall-keeper").ok();
    let stdin = io::stdin();
    let harness = stdin.as_fd();
    let mut chld = SigSet::empty();
    chld.add(Signal::SIGCHLD);
    chld.thread_block()?;
    let children = SignalFd::with_flags(&chld, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    sys::send(harness, HELLO, &[])?;

    let mut clusters: HashMap<i32, OwnedFd> = HashMap::new();
    loop {
        let mut ready =
            [PollFd::new(harness, PollFlags::POLLIN), PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        let [asked, ended] = ready.map(|fd| fd.any() == Some(true));
        if ended {
            while children.read_signal()?.is_some() {}
            reap(&mut clusters);
        }
        if asked {
            let Some(message) = sys::receive(harness)? else { break };
            let mut fds = message.fds.into_iter();
            if let (Some(cluster), Some(gone)) = (fds.next(), fds.next()) {
                match start_cluster(cluster.as_fd()) {
                    Ok(pid) => drop(clusters.insert(pid, gone)),
                    // If the harness has gone meanwhile nobody is left to be told.
                    Err(failed) => drop(protocol::send(cluster.as_fd(), &failed, &[])),
                }
            }
        }
    }
    for pid in clusters.keys() {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).ok();
    }
    while waitpid(None, None).is_ok() {}
    Ok(())
}

/// Lets go of the "gone" pipes of clusters that ended.
fn reap(clusters: &mut HashMap<i32, OwnedFd>) {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, _, _)) => {
                clusters.remove(&pid.as_raw());
            }
            Ok(WaitStatus::StillAlive) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

/// Clones a cluster's init into new namespaces and maps its users.
fn start_cluster(cluster: BorrowedFd<'_>) -> Result<i32, Failed> {
    let (wait, go) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).map_err(Failed::at("making a pipe"))?;
    let namespaces = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWNS;
    // SAFETY: the keeper has one thread, by construction.
    let cloned = unsafe { sys::clone_process(namespaces) };
    let Some(pid) = cloned.map_err(Failed::at(STEP_USER_NAMESPACE))? else {
        init::run(cluster, wait.as_fd())
    };
    let mapped = map_users(pid)
        .and_then(|()| write(&go, b"g").map(drop).map_err(Failed::at("waking the cluster's init")));
    if let Err(failed) = mapped {
        kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        waitpid(Pid::from_raw(pid), None).ok();
        return Err(failed);
    }
    Ok(pid)
}

/// The step at which a machine that forbids user namespaces fails.
pub(crate) const STEP_USER_NAMESPACE: &str = "making a user namespace (clone)";
/// The step at which a kernel that hands out powerless user namespaces fails.
pub(crate) const STEP_MAP: &str = "mapping users into the namespace";

/// Maps users 0 to 65535 onto themselves where this process may, and otherwise user 0 onto its own.
fn map_users(pid: i32) -> Result<(), Failed> {
    let set = |file: &str, text: &str| {
        std::fs::write(format!("/proc/{pid}/{file}"), text).map_err(|error| Failed {
            step: format!("{STEP_MAP} ({file})"),
            errno: error.raw_os_error().unwrap_or(libc::EIO),
        })
    };
    if getuid().is_root() {
        set("uid_map", &format!("0 0 {}", root_range("uid_map")))?;
        set("gid_map", &format!("0 0 {}", root_range("gid_map")))
    } else {
        set("setgroups", "deny")?;
        set("uid_map", &format!("0 {} 1", getuid()))?;
        set("gid_map", &format!("0 {} 1", getgid()))
    }
}

/// How many users from 0 on exist in this process's own namespace, at most 65536: a container may have fewer.
fn root_range(file: &str) -> u64 {
    let map = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let first = map.lines().find_map(|line| {
        let mut numbers = line.split_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(Ok(0)), Some(Ok(_)), Some(Ok(count))) => Some(count),
            _ => None,
        }
    });
    first.unwrap_or(1).clamp(1, 65536)
}
