//! A cluster's init: process 1 of the cluster's pid namespace, owner of its user namespace, parent of the
//! nodes' inits. It makes them from the harness's plan and then only waits: when the harness closes the
//! cluster's socket, or the keeper dies, it dies, and the kernel kills everything below it.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::CloneFlags;
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Gid, Uid, read, setgroups, setresgid, setresuid};

use crate::protocol::{self, Failed, Plan};
use crate::{node_init, sys};

/// The step at which a masked /proc makes itself felt.
pub(crate) const STEP_PROC: &str = "mounting /proc";

/// Runs as the cluster's init, in the namespaces that `clone` made, once `wait` says that users are mapped.
/// Never returns.
pub(crate) fn run(cluster: BorrowedFd<'_>, wait: BorrowedFd<'_>) -> ! {
    // SAFETY: this is a fresh clone; the owners of what is closed live in the keeper's copy of the memory
    // and are never dropped here, because this function never returns.
    unsafe { sys::close_all_but(&[cluster.as_raw_fd(), wait.as_raw_fd()]) };
    // The keeper's socket is its standard input; end-of-file there must mean the harness, not us.
    if let Ok(null) = std::fs::File::open("/dev/null") {
        sys::place(null.as_fd(), 0).ok();
    }
    let code = match make_and_wait(cluster, wait) {
        Ok(()) => 0,
        Err(failed) => {
            protocol::send(cluster, &failed, &[]).ok();
            1
        }
    };
    // SAFETY: ends the process at once; nothing here needs its destructors.
    unsafe { libc::_exit(code) }
}

fn make_and_wait(cluster: BorrowedFd<'_>, wait: BorrowedFd<'_>) -> Result<(), Failed> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Failed::at("tying the cluster to the keeper"))?;
    let mut go = [0; 1];
    // The end of the pipe instead of a byte: the keeper died before the line above.
    if read(wait, &mut go).map_err(Failed::at("waiting for the user map"))? == 0 {
        return Ok(());
    }
    become_root()?;
    prctl::set_name(c"squall-cluster").ok();
    make_private()?;
    mount_proc()?;
    // The far ends of veth pairs must stay silent: without this the kernel would speak IPv6 on them.
    std::fs::write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1").ok();

    let Some(message) = sys::receive(cluster).map_err(Failed::at("reading the cluster's plan"))? else {
        return Ok(());
    };
    let plan: Plan = protocol::decode(&message).map_err(Failed::at("reading the cluster's plan"))?;
    for (node, socket) in plan.nodes.iter().zip(&message.fds) {
        let namespaces = CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWNS
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWIPC;
        // SAFETY: a clone of the keeper, this process has one thread.
        let cloned = unsafe { sys::clone_process(namespaces) };
        if cloned.map_err(Failed::at(format!("cloning node {}", node.name)))?.is_none() {
            node_init::run(&plan, node, socket.as_fd());
        }
    }
    drop(message);
    wait_for_end(cluster).map_err(Failed::at("waiting"))
}

/// Reaps what ends until the harness closes the socket.
fn wait_for_end(cluster: BorrowedFd<'_>) -> Result<(), Errno> {
    let mut chld = SigSet::empty();
    chld.add(Signal::SIGCHLD);
    let children = SignalFd::with_flags(&chld, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    loop {
        while let Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) =
            waitpid(None, Some(WaitPidFlag::WNOHANG))
        {}
        let mut ready =
            [PollFd::new(cluster, PollFlags::POLLIN), PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        if ready[0].any() == Some(true) && sys::receive(cluster)?.is_none() {
            return Ok(());
        }
        while children.read_signal()?.is_some() {}
    }
}

/// Takes on user 0 of the new namespace, which takes the machine's rights away where the harness has them.
fn become_root() -> Result<(), Failed> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    // Denied where only one user is mapped, and not needed there.
    setgroups(&[]).ok();
    setresgid(gid, gid, gid).map_err(Failed::at("becoming group 0 of the namespace"))?;
    setresuid(uid, uid, uid).map_err(Failed::at("becoming user 0 of the namespace"))?;
    // Changing users clears both of these.
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Failed::at("tying the cluster to the keeper"))?;
    prctl::set_dumpable(true).map_err(Failed::at("making /proc/self our own"))
}

/// Keeps mounts made here, and in the nodes that are cloned from here, to themselves.
fn make_private() -> Result<(), Failed> {
    mount::<str, str, str, str>(None, "/", None, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None)
        .map_err(Failed::at("making mounts private"))
}

/// Mounts a /proc that shows this process's own pid namespace.
pub(crate) fn mount_proc() -> Result<(), Failed> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount::<str, str, str, str>(Some("proc"), "/proc", Some("proc"), flags, None)
        .map_err(Failed::at(STEP_PROC))
}
