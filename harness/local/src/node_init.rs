//! A node's init: process 1 of the node. It sets up the node's surroundings, then does what the harness asks
//! over its socket, and reaps. Single-threaded, so that a plain `fork` is safe.

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::protocol::{self, Answer, Failed, FromNode, NodePlan, Plan, Request, ToNode};
use crate::{exec, faultfs, surroundings, sys, usage, wire};

/// Runs as a node's init; never returns.
pub(crate) fn run(plan: &Plan, node: &NodePlan, harness: BorrowedFd<'_>) -> ! {
    // SAFETY: a fresh clone that never returns, so no owner of a closed descriptor is ever dropped here.
    unsafe { sys::close_all_but(&[harness.as_raw_fd()]) };
    let code = match set_up(plan, node) {
        Ok((wire, children)) => {
            let told = protocol::send(harness, &FromNode::Ready, &[wire.as_fd()]);
            // The fabric alone may hold the wire: a TUN device lasts as long as its last descriptor.
            drop(wire);
            match told
                .and_then(|()| Init { harness, children, programs: HashMap::new(), memory: None }.serve())
            {
                Ok(()) => 0,
                Err(error) => {
                    eprintln!("squall: init of {}: {error}", node.name);
                    1
                }
            }
        }
        Err(failed) => {
            protocol::send(harness, &FromNode::Failed(failed), &[]).ok();
            1
        }
    };
    // SAFETY: ends the process at once; nothing here needs its destructors.
    unsafe { libc::_exit(code) }
}

fn set_up(plan: &Plan, node: &NodePlan) -> Result<(OwnedFd, SignalFd), Failed> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Failed::at("tying the node to its cluster"))?;
    prctl::set_name(c"squall-node").ok();
    nix::unistd::sethostname(&node.name).map_err(Failed::at("setting its host name"))?;
    surroundings::make(plan, node)?;
    let wire = wire::connect(plan, node)?;
    let mut chld = SigSet::empty();
    chld.add(Signal::SIGCHLD);
    let children = SignalFd::with_flags(&chld, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)
        .map_err(Failed::at("watching its processes"))?;
    Ok((wire, children))
}

struct Init<'a> {
    harness: BorrowedFd<'a>,
    children: SignalFd,
    /// Programs that run: process id inside → the harness's name for it.
    programs: HashMap<i32, u64>,
    /// The limit on each process's memory, bytes.
    memory: Option<u64>,
}

impl Init<'_> {
    fn serve(&mut self) -> Result<(), Errno> {
        loop {
            let mut ready = [
                PollFd::new(self.harness, PollFlags::POLLIN),
                PollFd::new(self.children.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut ready, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error),
            }
            let [asked, ended] = ready.map(|fd| fd.any() == Some(true));
            if ended {
                while self.children.read_signal()?.is_some() {}
                while self.reap(Some(WaitPidFlag::WNOHANG))? {}
            }
            if asked {
                let Some(message) = sys::receive(self.harness)? else { return Ok(()) };
                let asked: ToNode = protocol::decode(&message)?;
                let mut fds = Vec::new();
                let result = self.act(asked.request, message.fds, &mut fds);
                let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
                protocol::send(self.harness, &FromNode::Reply { id: asked.id, result }, &fds)?;
            }
        }
    }

    fn act(
        &mut self,
        request: Request,
        with: Vec<OwnedFd>,
        give: &mut Vec<OwnedFd>,
    ) -> Result<Answer, Failed> {
        match request {
            Request::Spawn(spawn) => {
                let pid = exec::start(&spawn, &with, self.memory, self.harness)?;
                self.programs.insert(pid, spawn.token);
                Ok(Answer::Started(pid))
            }
            Request::WriteFile { path } => {
                let contents = with.into_iter().next().ok_or(Errno::EBADF);
                surroundings::write_file(&path, contents.map_err(Failed::at("writing a file"))?)?;
                Ok(Answer::Done)
            }
            Request::Signal { pid, signal, group } => {
                let signal = Signal::try_from(signal).map_err(Failed::at("sending a signal"))?;
                // Its number may be another's once it ended.
                if self.programs.contains_key(&pid) {
                    kill(Pid::from_raw(if group { -pid } else { pid }), signal)
                        .map_err(Failed::at("sending a signal"))?;
                }
                Ok(Answer::Done)
            }
            Request::KillAll => {
                self.kill_all().map_err(Failed::at("killing every process")).map(|()| Answer::Done)
            }
            Request::StopAll => signal_all(Signal::SIGSTOP),
            Request::ContinueAll => signal_all(Signal::SIGCONT),
            Request::Count => usage::count(),
            Request::LimitMemory { bytes } => {
                self.memory = bytes;
                usage::limit_memory(bytes).map(|()| Answer::Done)
            }
            Request::Usage => usage::usage(),
            Request::Sockets { count, v6 } => {
                let family = if v6 { AddressFamily::Inet6 } else { AddressFamily::Inet };
                for _ in 0..count {
                    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                    let made = socket(family, SockType::Stream, flags, None);
                    give.push(made.map_err(Failed::at("making a socket"))?);
                }
                Ok(Answer::Sockets)
            }
            Request::MountDisk { on } => {
                // Nothing here may look at the mount: nobody serves it before the descriptor is sent.
                let step = format!("mounting a disk on {}", on.display());
                give.push(faultfs::mount(&on).map_err(surroundings::failed(step))?);
                Ok(Answer::Mounted)
            }
        }
    }

    /// Kills and reaps until no process is left, whatever forks meanwhile.
    fn kill_all(&mut self) -> Result<(), Errno> {
        loop {
            match kill(Pid::from_raw(-1), Signal::SIGKILL) {
                Ok(()) | Err(Errno::ESRCH) => {}
                Err(error) => return Err(error),
            }
            // A child that nobody waits for becomes ours when its parent is gone, so none is missed.
            if !self.reap(None)? {
                return Ok(());
            }
        }
    }

    /// Reaps one process and tells the harness if it was a program. `false` if there was none to reap.
    fn reap(&mut self, how: Option<WaitPidFlag>) -> Result<bool, Errno> {
        let (pid, code, signal) = match waitpid(None, how) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, Some(code), 0),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, None, signal as i32),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(false),
            Ok(_) | Err(Errno::EINTR) => return Ok(true),
            Err(error) => return Err(error),
        };
        if let Some(token) = self.programs.remove(&pid.as_raw()) {
            protocol::send(self.harness, &FromNode::Exited { token, code, signal }, &[])?;
        }
        Ok(true)
    }
}

fn signal_all(signal: Signal) -> Result<Answer, Failed> {
    match kill(Pid::from_raw(-1), signal) {
        // Nothing runs: nothing to signal.
        Ok(()) | Err(Errno::ESRCH) => Ok(Answer::Done),
        Err(error) => Err(Failed::at(format!("sending {signal} to every process"))(error)),
    }
}
