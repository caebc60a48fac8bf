//! A process held by ptrace: the few requests that a launch needs, as typed calls.
//!
//! Held with PTRACE_SEIZE, so nothing is sent to it and its parent notices nothing; with EXITKILL, so it cannot
//! run on half patched if its supervisor dies.

use std::io;
use std::mem::MaybeUninit;

use libc::{c_int, c_long, c_uint, c_void, pid_t, user_regs_struct};

/// A thread that this thread traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tracee(pub pid_t);

/// Why a tracee came to a stop, or that it is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It replaced its program and stands inside `execve`, which succeeded.
    Exec,
    /// It stands at the end (or the beginning) of a system call.
    Syscall,
    /// It was interrupted by us, or its whole group was stopped by a signal.
    Interrupted,
    /// It is about to receive this signal.
    Signal(c_int),
    /// Some other event of ptrace.
    Other,
    /// It ended.
    Gone,
}

impl Tracee {
    /// Takes hold of a thread without stopping it.
    pub fn seize(pid: pid_t) -> io::Result<Self> {
        let options = libc::PTRACE_O_TRACEEXEC | libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_EXITKILL;
        let tracee = Tracee(pid);
        tracee.request(libc::PTRACE_SEIZE, 0, options as u64)?;
        Ok(tracee)
    }

    /// Lets it come to a stop at its next return to user mode at the latest.
    pub fn interrupt(self) -> io::Result<()> {
        self.request(libc::PTRACE_INTERRUPT, 0, 0)
    }

    /// Lets it run on, with this signal if not 0.
    pub fn resume(self, signal: c_int) -> io::Result<()> {
        self.request(libc::PTRACE_CONT, 0, signal as u64)
    }

    /// Lets it run on to the next boundary of a system call, with this signal if not 0.
    pub fn resume_to_syscall(self, signal: c_int) -> io::Result<()> {
        self.request(libc::PTRACE_SYSCALL, 0, signal as u64)
    }

    /// Lets it execute one instruction.
    pub fn step(self) -> io::Result<()> {
        self.request(libc::PTRACE_SINGLESTEP, 0, 0)
    }

    /// Lets it go. If its group is stopped by a signal, it joins the others in their stop.
    pub fn detach(self) -> io::Result<()> {
        self.request(libc::PTRACE_DETACH, 0, 0)
    }

    pub fn registers(self) -> io::Result<user_regs_struct> {
        let mut registers = MaybeUninit::<user_regs_struct>::zeroed();
        self.request(libc::PTRACE_GETREGS, 0, registers.as_mut_ptr() as u64)?;
        // SAFETY: zeroed above and filled by the kernel; a struct of integers.
        Ok(unsafe { registers.assume_init() })
    }

    pub fn set_registers(self, registers: &user_regs_struct) -> io::Result<()> {
        self.request(libc::PTRACE_SETREGS, 0, std::ptr::from_ref(registers) as u64)
    }

    fn request(self, request: c_uint, address: u64, data: u64) -> io::Result<()> {
        // SAFETY: no request used in this module lets the kernel write anywhere but through `data`, which is
        // then a pointer to a live variable of the size that the request wants.
        let answer: c_long =
            unsafe { libc::ptrace(request, self.0, address as *mut c_void, data as *mut c_void) };
        if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Reads its memory. Fewer bytes than asked for is an error.
    pub fn read(self, address: u64, into: &mut [u8]) -> io::Result<()> {
        let local = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: into.len() };
        // SAFETY: `local` is a live buffer of that length; the other addresses are the tracee's, not ours.
        let done = unsafe { libc::process_vm_readv(self.0, &local, 1, &remote, 1, 0) };
        whole(done, into.len())
    }

    /// Writes its memory, where it could write itself.
    pub fn write(self, address: u64, bytes: &[u8]) -> io::Result<()> {
        let local = libc::iovec { iov_base: bytes.as_ptr() as *mut c_void, iov_len: bytes.len() };
        let remote = libc::iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
        // SAFETY: `local` is only read from; the other addresses are the tracee's, not ours.
        let done = unsafe { libc::process_vm_writev(self.0, &local, 1, &remote, 1, 0) };
        whole(done, bytes.len())
    }
}

fn whole(done: isize, wanted: usize) -> io::Result<()> {
    match usize::try_from(done) {
        Ok(done) if done == wanted => Ok(()),
        Ok(_) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "part of the memory is not mapped")),
        Err(_) => Err(io::Error::last_os_error()),
    }
}

/// Waits for the next stop of any tracee of this thread: a thread that calls `exec` changes its id, so waiting
/// for one id could miss it.
pub(super) fn wait() -> io::Result<(Tracee, Stop)> {
    loop {
        let mut status = 0;
        // SAFETY: writes one integer of ours.
        let pid = unsafe { libc::waitpid(-1, &mut status, libc::__WALL) };
        if pid > 0 {
            return Ok((Tracee(pid), stop_of(status)));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

fn stop_of(status: c_int) -> Stop {
    if !libc::WIFSTOPPED(status) {
        return Stop::Gone;
    }
    match (status >> 16, libc::WSTOPSIG(status)) {
        (libc::PTRACE_EVENT_EXEC, _) => Stop::Exec,
        (libc::PTRACE_EVENT_STOP, _) => Stop::Interrupted,
        (0, signal) if signal == libc::SIGTRAP | 0x80 => Stop::Syscall,
        (0, signal) => Stop::Signal(signal),
        _ => Stop::Other,
    }
}
