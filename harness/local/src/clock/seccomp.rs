//! Every `exec` of a tree of processes, announced to one supervisor: a seccomp filter whose listener is told
//! of each `execve` and answers whether it may go on. Filters are inherited over `fork` and `exec`, cost
//! ordinary system calls some nanoseconds, and fail closed: without a listener, `execve` fails.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use libc::{c_ulong, pid_t, seccomp_notif, seccomp_notif_resp, sock_filter, sock_fprog};

/// Puts the calling thread, and all it starts from now on, under a filter, and returns the filter's listener.
/// Only for processes with one thread.
pub(super) fn listen_to_execs() -> io::Result<OwnedFd> {
    match install_best() {
        // Without a capability over its user namespace a process must first give up gaining privileges.
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            // SAFETY: takes no memory.
            if unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
            install_best()
        }
        other => other,
    }
}

/// Whether the kernel can announce system calls to a listener.
pub(super) fn is_available() -> bool {
    let action: u32 = libc::SECCOMP_RET_USER_NOTIF;
    // SAFETY: reads one integer of ours.
    unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_GET_ACTION_AVAIL, 0, &raw const action) == 0 }
}

/// SPEC_ALLOW: programs are slowed by no mitigation that they would not have otherwise.
const FLAGS: c_ulong = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;

fn install_best() -> io::Result<OwnedFd> {
    // WAIT_KILLABLE (Linux 5.19): an announced `execve` is not announced anew after every signal.
    match install(FLAGS | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => install(FLAGS),
        other => other,
    }
}

fn install(flags: c_ulong) -> io::Result<OwnedFd> {
    let mut filter = filter();
    let program = sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the kernel copies the program, which lives until after the call.
    let fd =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const program) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: a new descriptor that belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}

/// Calls that replace a program, by architecture: (audit architecture, `execve`, `execveat`). A 64-bit process
/// may also use the 32-bit table; such programs are announced too, and then refused.
const EXECS: [(u32, [u32; 2]); 2] = [(0xc000_003e, [59, 322]), (0x4000_0003, [11, 358])];
/// The x32 table of x86-64: numbers with this bit.
const X32_EXECS: [u32; 2] = [0x4000_0000 + 520, 0x4000_0000 + 545];

fn filter() -> Vec<sock_filter> {
    const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;
    const NUMBER_AT: u32 = 0;
    const ARCHITECTURE_AT: u32 = 4;
    let op = |code, jt, jf, k| sock_filter { code, jt, jf, k };
    let announce = op(RETURN, 0, 0, libc::SECCOMP_RET_USER_NOTIF);
    let mut program = Vec::new();
    for (architecture, numbers) in EXECS {
        let native = architecture == EXECS[0].0;
        let numbers: Vec<u32> = numbers.into_iter().chain(X32_EXECS.into_iter().filter(|_| native)).collect();
        // Each number is a comparison and a return, before and after them a load and an allowing return.
        let block = numbers.len() as u8 * 2 + 2;
        program.push(op(LOAD, 0, 0, ARCHITECTURE_AT));
        program.push(op(EQUAL, 0, block, architecture));
        program.push(op(LOAD, 0, 0, NUMBER_AT));
        for number in numbers {
            program.push(op(EQUAL, 0, 1, number));
            program.push(announce);
        }
        program.push(op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    }
    program.push(op(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW));
    program
}

/// An `execve` that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    id: u64,
    /// The thread that calls, as numbered in this process's pid namespace; 0 if it has no number there.
    pub pid: pid_t,
}

/// Waits for the next announcement; `None` when nobody is left under the filter.
pub(super) fn next(listener: BorrowedFd<'_>) -> io::Result<Option<Announced>> {
    loop {
        let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one entry, which lives until after the call.
        if unsafe { libc::poll(&mut poll, 1, -1) } < 0 {
            let error = io::Error::last_os_error();
            if error.kind() == io::ErrorKind::Interrupted {
                continue;
            }
            return Err(error);
        }
        if poll.revents & libc::POLLIN == 0 {
            return Ok(None);
        }
        match receive(listener) {
            // The caller was killed, or interrupted by a signal, before it could be read.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::EINTR)) => {}
            Err(error) => return Err(error),
            Ok(announced) => return Ok(Some(announced)),
        }
    }
}

fn receive(listener: BorrowedFd<'_>) -> io::Result<Announced> {
    // SAFETY: a struct of integers, for which zeros are valid; the kernel insists on zeros.
    let mut notification: seccomp_notif = unsafe { MaybeUninit::zeroed().assume_init() };
    // SAFETY: the request fills one `seccomp_notif`.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV as _, &mut notification) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(Announced { id: notification.id, pid: notification.pid as pid_t })
}

/// Lets an announced call go on, or fail with an error number. That the caller is gone is no error.
pub(super) fn answer(listener: BorrowedFd<'_>, announced: Announced, error: Option<i32>) -> io::Result<()> {
    let flags = if error.is_none() { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32 } else { 0 };
    let mut response = seccomp_notif_resp { id: announced.id, val: 0, error: -error.unwrap_or(0), flags };
    // SAFETY: the request reads one `seccomp_notif_resp`.
    let done =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND as _, &mut response) };
    let error = io::Error::last_os_error();
    if done < 0 && error.raw_os_error() != Some(libc::ENOENT) { Err(error) } else { Ok(()) }
}
