//! Gives a freshly executed program its clock, before its first instruction.
//!
//! The program stands at the end of `execve`. It is made to run a few system calls of its own, with a system
//! call instruction that its vDSO contains: they map room for the copy of the vDSO, fetch the clock page's
//! descriptor from us through a socket, and map the page. Then the copy is written and its address put where
//! the program will look for the vDSO: AT_SYSINFO_EHDR in the auxiliary vector on its stack. All writes go to
//! ordinary memory, so kernels that forbid writing code do not mind.
//!
//! A socket carries the descriptor because nothing else certainly reaches a program after `exec`: inherited
//! descriptors may have been closed, `/proc` may be missing, and its user may be another one.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use libc::user_regs_struct;

use super::descriptors;
use super::layout::PAGE_BYTES;
use super::tracee::{Stop, Tracee, wait};
use super::vdso::{BadVdso, Vdso};

/// Why a program could not be given its clock.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refused {
    #[error("it is not a 64-bit program")]
    NotNative,
    #[error("it was started without a vDSO")]
    NoVdso,
    #[error(transparent)]
    BadVdso(#[from] BadVdso),
    #[error("{what}: {source}")]
    Call { what: &'static str, source: io::Error },
    #[error("it ended meanwhile")]
    Gone,
}

impl Refused {
    /// Whether it was killed meanwhile, so that there is nobody who could be refused.
    pub fn is_end(&self) -> bool {
        match self {
            Refused::Gone => true,
            Refused::Call { source, .. } => source.raw_os_error() == Some(libc::ESRCH),
            Refused::NotNative | Refused::NoVdso | Refused::BadVdso(_) => false,
        }
    }
}

pub(super) fn failed(what: &'static str) -> impl FnOnce(io::Error) -> Refused {
    move |source| Refused::Call { what, source }
}

/// Patches a program that stands at the end of a successful `execve`.
pub(super) fn give_clock(tracee: Tracee, page: BorrowedFd<'_>) -> Result<(), Refused> {
    let registers = tracee.registers().map_err(failed("reading its registers"))?;
    if registers.cs != USER_CODE_SEGMENT_64 {
        return Err(Refused::NotNative);
    }
    let auxiliary = find_vdso_entry(tracee, registers.rsp)?;
    let vdso = read_vdso(tracee, auxiliary.value)?;
    let mut calls = Calls { tracee, instruction: vdso.syscall_instruction()?, registers };
    let copy = install(&mut calls, &vdso, page)?;
    tracee.write(auxiliary.value_at, &copy.to_le_bytes()).map_err(failed("pointing it to its clock"))?;
    tracee.set_registers(&registers).map_err(failed("restoring its registers"))
}

/// The code segment of 64-bit user programs in Linux; 32-bit ones have another.
const USER_CODE_SEGMENT_64: u64 = 0x33;

/// Maps the copy and the page, and returns the copy's address.
fn install(calls: &mut Calls, vdso: &Vdso, page: BorrowedFd<'_>) -> Result<u64, Refused> {
    let tracee = calls.tracee;
    let length = (vdso.skewed_length() as u64).next_multiple_of(4096);
    let anywhere = [0, length, READ | WRITE, (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64, u64::MAX, 0];
    let copy = calls.call("mapping room for its clock", libc::SYS_mmap, anywhere)?;
    let fd = send_page(calls, copy, page)?;
    let shared = [0, PAGE_BYTES as u64, READ | WRITE, libc::MAP_SHARED as u64, fd, 0];
    let page = calls.call("mapping its clock page", libc::SYS_mmap, shared)?;
    calls.call("closing its clock page", libc::SYS_close, [fd, 0, 0, 0, 0, 0])?;
    tracee.write(copy, &vdso.skewed(copy, page)?).map_err(failed("writing its clock"))?;
    calls.call("protecting its clock", libc::SYS_mprotect, [copy, length, READ | EXECUTE, 0, 0, 0])?;
    Ok(copy)
}

const READ: u64 = libc::PROT_READ as u64;
const WRITE: u64 = libc::PROT_WRITE as u64;
const EXECUTE: u64 = libc::PROT_EXEC as u64;

/// Hands the page's descriptor to the tracee and returns its number there. `scratch` is a page of the tracee's
/// memory that nobody uses yet.
fn send_page(calls: &mut Calls, scratch: u64, page: BorrowedFd<'_>) -> Result<u64, Refused> {
    let tracee = calls.tracee;
    let kind = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as u64;
    let socket = calls.call("making a socket", libc::SYS_socket, [libc::AF_UNIX as u64, kind, 0, 0, 0, 0])?;

    // Bound without a name, it is given an abstract one that nobody else has.
    let family = (libc::AF_UNIX as u16).to_le_bytes();
    tracee.write(scratch, &family).map_err(failed("naming a socket"))?;
    calls.call("naming a socket", libc::SYS_bind, [socket, scratch, 2, 0, 0, 0])?;
    let name_bytes = size_of::<libc::sockaddr_un>();
    tracee.write(scratch + 128, &(name_bytes as u32).to_le_bytes()).map_err(failed("asking for a name"))?;
    calls.call("asking for a name", libc::SYS_getsockname, [socket, scratch, scratch + 128, 0, 0, 0])?;
    let mut named = [0; 132];
    tracee.read(scratch, &mut named).map_err(failed("reading a socket's name"))?;
    let length = u32::from_le_bytes([named[128], named[129], named[130], named[131]]) as usize;
    let name = named.get(2..length).ok_or(Refused::Gone)?;
    send_descriptor(name, page).map_err(failed("sending it its clock page"))?;

    // A message header, one byte of room for data, and room for one descriptor.
    let message = ReceiveMessage::at(scratch);
    tracee.write(scratch, &message.bytes()).map_err(failed("preparing to receive"))?;
    let flags = (libc::MSG_CMSG_CLOEXEC | libc::MSG_DONTWAIT) as u64;
    calls.call("receiving its clock page", libc::SYS_recvmsg, [socket, scratch, flags, 0, 0, 0])?;
    let mut received = [0; 4];
    tracee.read(message.descriptor_at(), &mut received).map_err(failed("reading a descriptor"))?;
    calls.call("closing a socket", libc::SYS_close, [socket, 0, 0, 0, 0, 0])?;
    Ok(u64::from(u32::from_le_bytes(received)))
}

/// A `msghdr` with its buffers, as they lie in the tracee's memory.
struct ReceiveMessage {
    at: u64,
}

impl ReceiveMessage {
    const HEADER_BYTES: u64 = 56;
    const CONTROL_BYTES: u64 = 24;

    fn at(at: u64) -> Self {
        ReceiveMessage { at }
    }

    fn bytes(&self) -> Vec<u8> {
        let vector = self.at + Self::HEADER_BYTES;
        let control = vector + 16;
        let data = control + Self::CONTROL_BYTES;
        let words = [0, 0, vector, 1, control, Self::CONTROL_BYTES, 0, data, 1, 0, 0, 0, 0];
        words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect()
    }

    /// Where the descriptor is found: behind the header of the control message.
    fn descriptor_at(&self) -> u64 {
        self.at + Self::HEADER_BYTES + 16 + 16
    }
}

/// Sends one byte and a descriptor to a socket in the abstract namespace.
fn send_descriptor(abstract_name: &[u8], page: BorrowedFd<'_>) -> io::Result<()> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};

    let name = abstract_name.strip_prefix(&[0]).ok_or(io::ErrorKind::InvalidData)?;
    let socket = UnixDatagram::unbound()?;
    socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?;
    descriptors::send(socket.as_fd(), page)
}

/// Runs system calls in a stopped program.
struct Calls {
    tracee: Tracee,
    instruction: u64,
    /// Its registers as they were, which each call starts from.
    registers: user_regs_struct,
}

impl Calls {
    /// Runs one call to its end, which is the trap that follows it. A stop of another kind may come between the
    /// call and its trap: a trap left pending there would kill the program once it is let go.
    fn call(&mut self, what: &'static str, number: i64, arguments: [u64; 6]) -> Result<u64, Refused> {
        let mut registers = self.registers;
        registers.rip = self.instruction;
        registers.rax = number as u64;
        // No system call is under way, so there is nothing that the kernel might restart.
        registers.orig_rax = u64::MAX;
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] = arguments;
        self.tracee.set_registers(&registers).map_err(failed(what))?;
        let mut returned = None;
        loop {
            self.tracee.step().map_err(failed(what))?;
            let trapped = self.wait_for_stop(what)?;
            if returned.is_none() {
                let now = self.tracee.registers().map_err(failed(what))?;
                returned = (now.rip == self.instruction + 2).then_some(now.rax);
            }
            if let (true, Some(returned)) = (trapped, returned) {
                return result_of(returned).map_err(failed(what));
            }
        }
    }

    /// Waits until it has stopped at a point where it receives no signal. Signals are passed on: a program has no
    /// handlers yet, so they do nothing, end it, or stop it; of a stop the kernel keeps the books, and the tracee
    /// joins it when it is let go. Whether it is the trap after a step.
    fn wait_for_stop(&self, what: &'static str) -> Result<bool, Refused> {
        loop {
            match wait().map_err(failed(what))?.1 {
                Stop::Gone => return Err(Refused::Gone),
                Stop::Signal(signal) if signal != libc::SIGTRAP => {
                    // Interrupted, it stops again before it executes anything, whatever becomes of the signal.
                    self.tracee.interrupt().map_err(failed(what))?;
                    self.tracee.resume(signal).map_err(failed(what))?;
                }
                stop => return Ok(stop == Stop::Signal(libc::SIGTRAP)),
            }
        }
    }
}

/// The kernel's way of returning errors: the last page of numbers.
fn result_of(returned: u64) -> io::Result<u64> {
    match returned as i64 {
        error @ -4095..=-1 => Err(io::Error::from_raw_os_error(-error as i32)),
        _ => Ok(returned),
    }
}

/// The entry of the auxiliary vector that tells a program where its vDSO is.
struct VdsoEntry {
    value_at: u64,
    value: u64,
}

/// Finds it on a fresh stack: argument count, arguments, 0, environment, 0, then pairs up to one of zeros.
fn find_vdso_entry(tracee: Tracee, stack_pointer: u64) -> Result<VdsoEntry, Refused> {
    let mut words = Words { tracee, next: stack_pointer, page: [0; 4096], from: 0 };
    words.next()?;
    while words.next()? != 0 {}
    while words.next()? != 0 {}
    loop {
        let kind = words.next()?;
        let value_at = words.next;
        let value = words.next()?;
        match kind {
            0 => return Err(Refused::NoVdso),
            libc::AT_SYSINFO_EHDR => return Ok(VdsoEntry { value_at, value }),
            _ => {}
        }
    }
}

/// Words of a tracee's memory, one after the other.
struct Words {
    tracee: Tracee,
    next: u64,
    page: [u8; 4096],
    /// The address of what is in `page`; 0 if nothing is.
    from: u64,
}

impl Words {
    fn next(&mut self) -> Result<u64, Refused> {
        let page = self.next & !4095;
        if self.from != page {
            self.tracee.read(page, &mut self.page).map_err(failed("reading its stack"))?;
            self.from = page;
        }
        let at = (self.next - page) as usize;
        self.next += 8;
        let word = self.page[at..].first_chunk().expect("stacks are aligned to words");
        Ok(u64::from_le_bytes(*word))
    }
}

fn read_vdso(tracee: Tracee, address: u64) -> Result<Vdso, Refused> {
    let mut image = vec![0; 4096];
    tracee.read(address, &mut image).map_err(failed("reading its vDSO"))?;
    image.resize(Vdso::length(&image)?, 0);
    tracee.read(address, &mut image).map_err(failed("reading its vDSO"))?;
    Ok(Vdso::parse(image, address)?)
}
