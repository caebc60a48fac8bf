//! What the test binary does when it is started as a program on a node.

use std::ffi::CString;
use std::io::BufRead;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use squall_local::clock::{Launch, exec_with_clock};

/// The role that a first argument names.
pub fn role(word: &str) -> Option<fn(&[String])> {
    Some(match word {
        "guest-launch" => launch,
        "guest-read" => read,
        "guest-monotone" => monotone,
        "guest-fork" => fork,
        "guest-spawn" => spawn,
        "guest-thread-exec" => thread_exec,
        "guest-storm" => storm,
        "guest-exec-loop" => exec_loop,
        _ => return None,
    })
}

/// `PAGE REPORT USER COMMAND…`: becomes the command, with the clock whose page is descriptor PAGE. REPORT is a
/// descriptor or -1; USER is a number, or `-` to stay who it is; as another user it gives up all privileges.
fn launch(arguments: &[String]) {
    let fd = |text: &String| text.parse::<RawFd>().expect("a descriptor");
    let (page, report) = (fd(&arguments[0]), fd(&arguments[1]));
    for fd in [page, report] {
        // SAFETY: takes no memory; on -1 it fails, which does not matter.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    if let Ok(user) = arguments[2].parse::<u32>() {
        // SAFETY: none of these takes memory but an empty list of groups.
        let done = unsafe {
            libc::setgroups(0, std::ptr::null()) == 0
                && libc::setresgid(user, user, user) == 0
                && libc::setresuid(user, user, user) == 0
                && libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        };
        assert!(done, "becoming user {user}: {}", std::io::Error::last_os_error());
    }
    let strings = |words: Vec<String>| -> Vec<CString> {
        words.into_iter().map(|word| CString::new(word).expect("no zero bytes")).collect()
    };
    let argv = strings(arguments[3..].to_vec());
    let env = strings(std::env::vars().map(|(name, value)| format!("{name}={value}")).collect());
    // SAFETY: both were inherited open and stay so until `exec`.
    let (page, report) =
        unsafe { (BorrowedFd::borrow_raw(page), (report >= 0).then(|| BorrowedFd::borrow_raw(report))) };
    let error = exec_with_clock(&Launch { page, report, path: &argv[0], argv: &argv, env: &env });
    eprintln!("{error}");
    std::process::exit(127);
}

/// A clock read in the ordinary way, between two raw system calls for the same clock: nanoseconds.
#[derive(Clone, Copy, Debug)]
struct Bracket {
    before: i64,
    read: i64,
    after: i64,
}

fn nanos(time: libc::timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn raw(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec of ours. A raw call does not go through the vDSO.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, &raw mut time) };
    nanos(time)
}

fn ordinary(clock: libc::clockid_t) -> i64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes one timespec of ours.
    unsafe { libc::clock_gettime(clock, &mut time) };
    nanos(time)
}

fn bracket(clock: libc::clockid_t) -> Bracket {
    Bracket { before: raw(clock), read: ordinary(clock), after: raw(clock) }
}

fn gettimeofday() -> Bracket {
    let before = raw(libc::CLOCK_REALTIME);
    let mut time = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut zone = [0i32; 2];
    // SAFETY: writes one timeval, and a timezone of two integers.
    unsafe { libc::gettimeofday(&mut time, (&raw mut zone).cast()) };
    Bracket {
        before,
        read: time.tv_sec * 1_000_000_000 + time.tv_usec * 1000,
        after: raw(libc::CLOCK_REALTIME),
    }
}

fn time() -> Bracket {
    let before = raw(libc::CLOCK_REALTIME_COARSE);
    let mut stored = 0;
    // SAFETY: writes one integer of ours.
    let time = unsafe { libc::time(&mut stored) };
    assert_eq!(time, stored);
    Bracket { before, read: time * 1_000_000_000, after: raw(libc::CLOCK_REALTIME_COARSE) }
}

/// Answers each line on its standard input, naming a clock, with a bracket.
fn read(_: &[String]) {
    for line in std::io::stdin().lock().lines() {
        let Bracket { before, read, after } = match line.expect("text").as_str() {
            "realtime" => bracket(libc::CLOCK_REALTIME),
            "coarse" => bracket(libc::CLOCK_REALTIME_COARSE),
            "monotonic" => bracket(libc::CLOCK_MONOTONIC),
            "boottime" => bracket(libc::CLOCK_BOOTTIME),
            "gettimeofday" => gettimeofday(),
            "time" => time(),
            other => panic!("unknown clock {other}"),
        };
        println!("{before} {read} {after}");
    }
}

/// Reads the clock until its standard input ends; then says how often it read, and how often it went back.
fn monotone(_: &[String]) {
    let stop = std::thread::spawn(|| {
        std::io::stdin().lock().lines().next();
    });
    let (mut reads, mut backward, mut last) = (0u64, 0u64, 0);
    while !stop.is_finished() {
        for _ in 0..1000 {
            let now = ordinary(libc::CLOCK_REALTIME);
            backward += u64::from(now < last);
            last = now;
        }
        reads += 1000;
    }
    println!("{reads} {backward}");
}

/// Forks; the child goes on as a reader.
fn fork(_: &[String]) {
    // SAFETY: this process has one thread.
    match unsafe { libc::fork() } {
        0 => read(&[]),
        child => {
            let mut status = 0;
            // SAFETY: writes one integer of ours.
            unsafe { libc::waitpid(child, &mut status, 0) };
        }
    }
}

fn myself(role: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test binary"));
    command.arg(role);
    command
}

/// Starts a reader as programs with threads start others: by `posix_spawn` or `vfork`, after a start that failed.
fn spawn(_: &[String]) {
    let idle = std::thread::spawn(std::thread::park);
    assert!(Command::new("/no/such/program").spawn().is_err());
    let status = myself("guest-read").status().expect("starting myself");
    idle.thread().unpark();
    std::process::exit(status.code().unwrap_or(1));
}

/// Becomes a reader from a thread that is not the first.
fn thread_exec(_: &[String]) {
    std::thread::spawn(std::thread::park);
    let exec = std::thread::spawn(|| panic!("{}", myself("guest-read").exec()));
    exec.join().expect("the thread's exec replaces everything");
}

/// Reads the clock under a storm of signals whose handler reads it, too; prints the extremes of (read - before)
/// and (read - after), which enclose the offset.
fn storm(arguments: &[String]) {
    static HANDLED: AtomicU64 = AtomicU64::new(0);
    extern "C" fn handler(_: libc::c_int) {
        ordinary(libc::CLOCK_REALTIME);
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let wanted: u64 = arguments[0].parse().expect("a number of signals");
    let every = libc::timeval { tv_sec: 0, tv_usec: 20 };
    let timer = libc::itimerval { it_interval: every, it_value: every };
    // SAFETY: the handler only reads the clock and counts, both of which may be done in a signal handler.
    unsafe {
        libc::signal(libc::SIGALRM, handler as *const () as libc::sighandler_t);
        libc::setitimer(libc::ITIMER_REAL, &timer, std::ptr::null_mut());
    }
    let (mut lowest, mut highest) = (i64::MIN, i64::MAX);
    while HANDLED.load(Ordering::Relaxed) < wanted {
        let Bracket { before, read, after } = bracket(libc::CLOCK_REALTIME);
        lowest = lowest.max(read - after);
        highest = highest.min(read - before);
    }
    println!("{lowest} {highest}");
}

/// `N`: executes itself over and over, N times, then becomes a reader.
fn exec_loop(arguments: &[String]) {
    let left: u32 = arguments[0].parse().expect("a number");
    let mut next = if left == 0 { myself("guest-read") } else { myself("guest-exec-loop") };
    panic!("{}", next.arg(left.saturating_sub(1).to_string()).exec());
}
