//! Descriptors over local sockets.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Room for the control message that carries one descriptor, aligned as `cmsghdr` must be.
#[repr(C, align(8))]
struct Control([u8; 24]);

/// Sends one byte and a descriptor over a connected socket.
pub(super) fn send(socket: BorrowedFd<'_>, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let mut control = Control([0; 24]);
    let mut byte = [0u8];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let message = header(&mut vector, &mut control);
    // SAFETY: the header's control buffer is 24 bytes, which CMSG_SPACE asks for one descriptor, aligned, and
    // alive; the message only points to live variables.
    let sent = unsafe {
        let first = libc::CMSG_FIRSTHDR(&message);
        (*first).cmsg_level = libc::SOL_SOCKET;
        (*first).cmsg_type = libc::SCM_RIGHTS;
        (*first).cmsg_len = libc::CMSG_LEN(4) as _;
        libc::CMSG_DATA(first).cast::<i32>().write_unaligned(descriptor.as_raw_fd());
        libc::sendmsg(socket.as_raw_fd(), &message, libc::MSG_NOSIGNAL)
    };
    if sent == 1 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Waits for one byte and a descriptor; the end of the stream is an error.
pub(super) fn receive(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let mut control = Control([0; 24]);
    let mut byte = [0u8];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    let mut message = header(&mut vector, &mut control);
    // SAFETY: the message only points to live variables of the stated lengths.
    let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &mut message, libc::MSG_CMSG_CLOEXEC) };
    if received < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: reads within the control buffer, as far as the kernel says that it filled it; a descriptor in it
    // is new and belongs to nobody else.
    let descriptor = unsafe {
        let first = libc::CMSG_FIRSTHDR(&message);
        let whole = !first.is_null()
            && (*first).cmsg_type == libc::SCM_RIGHTS
            && (*first).cmsg_len as usize >= libc::CMSG_LEN(4) as usize;
        whole.then(|| OwnedFd::from_raw_fd(libc::CMSG_DATA(first).cast::<i32>().read_unaligned()))
    };
    descriptor.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "no descriptor came"))
}

fn header(vector: &mut libc::iovec, control: &mut Control) -> libc::msghdr {
    // SAFETY: a struct of integers and pointers, for which zeros are valid.
    let mut message: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    message.msg_iov = vector;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len() as _;
    message
}
