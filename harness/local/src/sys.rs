//! The raw calls under everything else: messages with descriptors over unix sockets, `clone`, and the few
//! socket options and waits that the `nix` crate does not have. Every function here is safe to call or says
//! in `# Safety` what its caller must hold.

use std::ffi::{c_int, c_void};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::size_of_val;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials,
    recvmsg, sendmsg, socketpair,
};

/// The longest message that is sent; a unix socket's default buffer takes several.
pub(crate) const MAX_MESSAGE: usize = 96 * 1024;
/// The most descriptors the kernel passes in one message (`SCM_MAX_FD`).
pub(crate) const MAX_FDS: usize = 253;

/// A message as it came in.
#[derive(Debug)]
pub(crate) struct Message {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// The descriptors that came with it, closed on `exec`.
    pub fds: Vec<OwnedFd>,
    /// Its sender's process id as this process numbers it, where the socket asks for credentials.
    pub pid: Option<i32>,
}

/// A connected pair of sockets that keep message boundaries, both closed on `exec`.
pub(crate) fn message_pair() -> nix::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

/// Sends one message with descriptors.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> nix::Result<()> {
    if bytes.len() > MAX_MESSAGE || fds.len() > MAX_FDS {
        return Err(Errno::EMSGSIZE);
    }
    let raw: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&raw)];
    let control = if raw.is_empty() { &rights[..0] } else { &rights[..] };
    loop {
        match sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, MsgFlags::MSG_NOSIGNAL, None)
        {
            Err(Errno::EINTR) => {}
            other => return other.map(drop),
        }
    }
}

/// Receives one message; `None` at the end of the stream. Blocks as the socket does.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> nix::Result<Option<Message>> {
    let mut bytes = vec![0; MAX_MESSAGE];
    let mut control = nix::cmsg_space!([RawFd; MAX_FDS], UnixCredentials);
    let (length, fds, pid, truncated) = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            // A peer that closes without having read everything leaves a reset in front of its last words.
            // It is told once; what follows are those words, or the end.
            Err(Errno::EINTR | Errno::ECONNRESET) => {}
            Err(other) => return Err(other),
            Ok(message) => {
                let mut fds = Vec::new();
                let mut pid = None;
                for part in message.cmsgs()? {
                    match part {
                        ControlMessageOwned::ScmRights(raw) => fds.extend(raw.into_iter().map(owned)),
                        ControlMessageOwned::ScmCredentials(who) => pid = Some(who.pid()),
                        _ => {}
                    }
                }
                let lost = MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC;
                break (message.bytes, fds, pid, message.flags.intersects(lost));
            }
        }
    };
    if truncated {
        return Err(Errno::EMSGSIZE);
    }
    // Nobody sends empty messages, so an empty one is the end.
    if length == 0 && fds.is_empty() {
        return Ok(None);
    }
    bytes.truncate(length);
    Ok(Some(Message { bytes, fds, pid }))
}

/// Takes ownership of a descriptor that came in a message.
fn owned(received: RawFd) -> OwnedFd {
    // SAFETY: the kernel made this descriptor for this process when it was received; nothing else owns it.
    unsafe { OwnedFd::from_raw_fd(received) }
}

/// Clones this process as `fork` does, with new namespaces. `None` in the child, its process id in the parent.
///
/// # Safety
/// This process must have one thread only: the child goes on with a copy of its memory, and a lock that
/// another thread held would stay locked for ever.
pub(crate) unsafe fn clone_process(namespaces: CloneFlags) -> nix::Result<Option<i32>> {
    let flags = libc::c_long::from(namespaces.bits() | libc::SIGCHLD);
    // SAFETY: without CLONE_VM and with a null stack the call behaves as fork; the caller vouches for the
    // single thread. All other arguments are unused with these flags.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    let pid = Errno::result(pid)?;
    Ok(if pid == 0 { None } else { Some(i32::try_from(pid).expect("process ids fit an int")) })
}

/// Makes a descriptor's number `target`, kept over `exec`, whatever was there before.
pub(crate) fn place(fd: BorrowedFd<'_>, target: RawFd) -> nix::Result<()> {
    // SAFETY: both are plain numbers to the kernel; used only in a fresh child before `exec`, where no Rust
    // object owns `target`.
    let done = unsafe {
        if fd.as_raw_fd() == target {
            libc::fcntl(target, libc::F_SETFD, 0)
        } else {
            libc::dup2(fd.as_raw_fd(), target)
        }
    };
    Errno::result(done).map(drop)
}

/// Closes every descriptor from 3 on but those kept, so that a process holds no end of a pipe that is not
/// its own: end-of-file could not be told otherwise.
///
/// # Safety
/// Nothing in this process may use or drop an owner of a closed descriptor afterwards: for fresh clones.
pub(crate) unsafe fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<u32> =
        keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).filter(|fd| *fd > 2).collect();
    keep.sort_unstable();
    let mut from = 3;
    for fd in keep {
        if fd > from {
            // SAFETY: the caller vouches that nothing owns what is closed.
            unsafe { libc::syscall(libc::SYS_close_range, from, fd - 1, 0) };
        }
        from = fd + 1;
    }
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_close_range, from, u32::MAX, 0) };
}

/// Sets a socket option that holds a C structure or integer.
pub(crate) fn set_option<T: Copy>(
    fd: BorrowedFd<'_>,
    level: c_int,
    name: c_int,
    value: &T,
) -> nix::Result<()> {
    let length = libc::socklen_t::try_from(size_of_val(value)).expect("options are a few bytes");
    // SAFETY: the kernel reads `length` bytes from a live value of that size, and checks what they mean.
    let done = unsafe {
        libc::setsockopt(fd.as_raw_fd(), level, name, std::ptr::from_ref(value).cast::<c_void>(), length)
    };
    Errno::result(done).map(drop)
}

/// An ioctl whose argument is a structure that the kernel reads, and perhaps fills in.
///
/// # Safety
/// `request` must be one whose argument has the layout of `T`.
pub(crate) unsafe fn ioctl<T>(fd: BorrowedFd<'_>, request: libc::Ioctl, argument: &mut T) -> nix::Result<()> {
    // SAFETY: the caller vouches for the layout; the pointer is to a live value.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), request, std::ptr::from_mut(argument)) };
    Errno::result(done).map(drop)
}

/// An ioctl whose argument is a number.
pub(crate) fn ioctl_number(
    fd: BorrowedFd<'_>,
    request: libc::Ioctl,
    argument: libc::c_ulong,
) -> nix::Result<()> {
    // SAFETY: the argument is a number, no memory is touched.
    let done = unsafe { libc::ioctl(fd.as_raw_fd(), request, argument) };
    Errno::result(done).map(drop)
}

/// Waits for events with a time-out in nanoseconds (`epoll_pwait2`), which `epoll_wait` rounds to
/// milliseconds. Fills `ready` with the tokens of the descriptors that are ready.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Poller {
    /// A poller for at most `capacity` descriptors at a time.
    pub fn new(capacity: usize) -> nix::Result<Self> {
        // SAFETY: the call takes no memory; a fresh descriptor is owned by nobody else.
        let epoll = unsafe {
            let fd = Errno::result(libc::epoll_create1(libc::EPOLL_CLOEXEC))?;
            OwnedFd::from_raw_fd(fd)
        };
        Ok(Poller { epoll, events: vec![libc::epoll_event { events: 0, u64: 0 }; capacity.max(1)] })
    }

    /// Watches a descriptor for input.
    pub fn add(&self, fd: BorrowedFd<'_>, token: u64) -> nix::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: token };
        // SAFETY: `event` lives through the call.
        let done = unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd.as_raw_fd(), &raw mut event)
        };
        Errno::result(done).map(drop)
    }

    /// Watches a descriptor no longer.
    pub fn remove(&self, fd: BorrowedFd<'_>) {
        // SAFETY: removing takes no event; an unknown descriptor is an error that changes nothing.
        unsafe {
            libc::epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_DEL, fd.as_raw_fd(), std::ptr::null_mut())
        };
    }

    /// Waits until something is ready or the time is over, and gives the tokens of what is ready.
    pub fn wait(&mut self, limit: Option<Duration>) -> nix::Result<impl Iterator<Item = u64> + '_> {
        let time = limit.map(|limit| libc::timespec {
            tv_sec: libc::time_t::try_from(limit.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(limit.subsec_nanos() as i32),
        });
        let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
        // SAFETY: the event buffer and the time live through the call, and the count is the buffer's length.
        let count = unsafe {
            libc::syscall(
                libc::SYS_epoll_pwait2,
                self.epoll.as_raw_fd(),
                self.events.as_mut_ptr(),
                self.events.len() as c_int,
                time,
                std::ptr::null::<c_void>(),
                8,
            )
        };
        let count = match Errno::result(count) {
            Ok(count) => usize::try_from(count).unwrap_or(0),
            Err(Errno::EINTR) => 0,
            Err(other) => return Err(other),
        };
        Ok(self.events[..count].iter().map(|event| event.u64))
    }
}

/// The monotonic clock, in nanoseconds.
pub(crate) fn monotonic() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` lives through the call. This clock exists on every Linux, so the call cannot fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Reads once; `None` where nothing is there yet.
pub(crate) fn read(fd: BorrowedFd<'_>, buffer: &mut [u8]) -> nix::Result<Option<usize>> {
    match nix::unistd::read(fd, buffer) {
        Ok(length) => Ok(Some(length)),
        Err(Errno::EAGAIN | Errno::EINTR) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Makes a descriptor non-blocking.
pub(crate) fn set_nonblocking(fd: impl AsFd) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    let flags = OFlag::from_bits_retain(fcntl(fd.as_fd(), FcntlArg::F_GETFL)?);
    fcntl(fd.as_fd(), FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop)
}

/// The input/output error for a system error number.
pub(crate) fn io_error(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(errno as i32)
}
