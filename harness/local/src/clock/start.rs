//! Becoming a program with a clock.
//!
//! The calling process becomes the program, as with `execve`; nothing stands between it and its parent. Before
//! that it forks off the supervisor, which becomes a child of whoever adopts orphans (a node's init), and puts
//! itself under the filter that announces each `execve` to it.

use std::convert::Infallible;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libc::{c_char, c_int, c_uint};

use super::launch::{Launch, LaunchError};
use super::page::MappedPage;
use super::supervisor::Supervisor;
use super::{descriptors, seccomp};

/// What is missing here, if anything.
pub(super) fn supported() -> Result<(), &'static str> {
    // SAFETY: reads a number from this process's auxiliary vector.
    if unsafe { libc::getauxval(libc::AT_SYSINFO_EHDR) } == 0 {
        return Err(
            "a kernel that gives programs a vDSO (this one was started with `vdso=0`, or is not Linux)",
        );
    }
    if !seccomp::is_available() {
        return Err("a kernel with seccomp notifications (Linux 5.9 or newer)");
    }
    Ok(())
}

/// Becomes the program; returns only if that failed.
pub(super) fn start(launch: &Launch<'_>) -> Result<Infallible, LaunchError> {
    let failed = |what| move |source| LaunchError::Prepare { what, source };
    let (ours, theirs) = socket_pair().map_err(failed("making a socket pair"))?;
    fork_supervisor(launch, theirs).map_err(failed("starting the clock's supervisor"))?;
    // SAFETY: neither call takes memory. A process that changed its user is not traceable by that user
    // until its next `exec`, unless it says so; where Yama restricts tracing, it names who may.
    unsafe {
        libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0);
        libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0);
    }
    let listener = seccomp::listen_to_execs().map_err(failed("installing a seccomp filter"))?;
    descriptors::send(ours.as_fd(), listener.as_fd()).map_err(failed("reaching the clock's supervisor"))?;
    drop(listener);
    let argv = pointers(launch.argv);
    let env = pointers(launch.env);
    // SAFETY: both arrays end with a null pointer and point to live C strings.
    unsafe { libc::execve(launch.path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    let source = io::Error::last_os_error();
    Err(LaunchError::Execute { path: launch.path.to_string_lossy().into_owned(), source })
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| string.as_ptr()).chain([std::ptr::null()]).collect()
}

fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    Ok((ours.into(), theirs.into()))
}

/// Forks the supervisor by way of a process that ends at once, so that the program to be has no child that it
/// does not know of.
fn fork_supervisor(launch: &Launch<'_>, socket: OwnedFd) -> io::Result<()> {
    // SAFETY: the caller has one thread, so its copy may do anything.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            // SAFETY: as above.
            let supervisor = unsafe { libc::fork() };
            if supervisor == 0 {
                let done = supervise(launch, socket);
                exit(c_int::from(done.is_err()));
            }
            exit(c_int::from(supervisor < 0));
        }
        between => wait_for(between),
    }
}

fn exit(code: c_int) -> ! {
    // SAFETY: ends this copy at once, without the destructors and buffers of the process it was copied from.
    unsafe { libc::_exit(code) }
}

fn wait_for(child: libc::pid_t) -> io::Result<()> {
    let mut status = 0;
    loop {
        // SAFETY: writes one integer of ours.
        if unsafe { libc::waitpid(child, &mut status, 0) } == child {
            let well = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
            return if well { Ok(()) } else { Err(io::ErrorKind::OutOfMemory.into()) };
        }
        match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => {}
            // Children are not waited for where SIGCHLD is ignored; if it failed, no listener will be taken.
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(()),
            error => return Err(error),
        }
    }
}

/// The life of a supervisor: it keeps nothing of its parent's but the page and the report.
fn supervise(launch: &Launch<'_>, socket: OwnedFd) -> io::Result<()> {
    // A session of its own: signals to the program's group are not for it. All signals but SIGKILL and SIGSTOP
    // are blocked: it ends when its tree does, and not before.
    // SAFETY: takes no memory but a C string and a signal set of ours.
    unsafe {
        libc::setsid();
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_BLOCK, &all, std::ptr::null_mut());
        libc::prctl(libc::PR_SET_NAME, c"squall-clock".as_ptr(), 0, 0, 0);
    }
    let page = launch.page.try_clone_to_owned()?;
    let report = launch.report.map(|report| report.try_clone_to_owned()).transpose()?;
    close_all_but(&[socket.as_raw_fd(), page.as_raw_fd(), report.as_ref().map_or(-1, AsRawFd::as_raw_fd)]);
    let page = MappedPage::of(page)?;
    let listener = descriptors::receive(socket.as_fd())?;
    drop(socket);
    Supervisor { listener, page, report: report.map(File::from) }.run()
}

/// Closes every descriptor but these, so that pipes and files of the program end when the program does.
fn close_all_but(kept: &[c_int]) {
    let mut kept: Vec<c_uint> = kept.iter().filter_map(|fd| c_uint::try_from(*fd).ok()).collect();
    kept.sort_unstable();
    let mut from = 0;
    for fd in kept.into_iter().chain([c_uint::MAX]) {
        if fd > from {
            let last = if fd == c_uint::MAX { fd } else { fd - 1 };
            // SAFETY: takes no memory; this process uses only the descriptors that stay open.
            unsafe { libc::syscall(libc::SYS_close_range, from, last, 0) };
        }
        from = fd.saturating_add(1);
    }
}
