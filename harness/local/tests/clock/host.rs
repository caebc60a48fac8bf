//! Starting guests and asking them for the time.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use squall_local::clock::ClockPage;

pub const SECOND: i64 = 1_000_000_000;

/// Bounds of the difference between what a guest read and the truth.
#[derive(Clone, Copy, Debug)]
pub struct Read3 {
    pub before: i64,
    pub read: i64,
    pub after: i64,
}

impl Read3 {
    /// Whether the guest's clock was this far ahead when it was read, give or take `slack`.
    pub fn is_ahead_by(&self, offset: i64, slack: i64) -> bool {
        (self.before - slack..=self.after + slack).contains(&(self.read - offset))
    }
}

/// The path of this test binary, which is the guest program, too.
pub fn guest() -> String {
    std::env::current_exe().expect("the test binary").into_os_string().into_string().expect("UTF-8")
}

/// A command that becomes `argv` with this clock. `user` as `guest-launch` has it.
pub fn command<S: AsRef<OsStr>>(clock: &ClockPage, report: Option<RawFd>, user: &str, argv: &[S]) -> Command {
    let page = clock.fd().as_raw_fd();
    let mut command = Command::new(guest());
    command.arg("guest-launch").arg(page.to_string()).arg(report.unwrap_or(-1).to_string()).arg(user);
    command.args(argv);
    // SAFETY: only calls fcntl between fork and exec.
    unsafe {
        command.pre_exec(move || {
            for fd in std::iter::once(page).chain(report) {
                libc::fcntl(fd, libc::F_SETFD, 0);
            }
            Ok(())
        })
    };
    command
}

/// Runs a program with this clock to its end.
pub fn run<S: AsRef<OsStr>>(clock: &ClockPage, argv: &[S]) -> Output {
    command(clock, None, "-", argv).stdin(Stdio::null()).output().expect("starting a guest")
}

/// What it printed, as numbers.
pub fn numbers(output: &Output) -> Vec<f64> {
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_whitespace().map(|word| word.parse().expect("a number")).collect()
}

/// A running guest with a line to it. Killed when dropped.
pub struct Guest {
    pub child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Guest {
    /// Starts a program that ends up as a reader.
    pub fn start<S: AsRef<OsStr>>(clock: &ClockPage, argv: &[S]) -> Guest {
        Guest::of(command(clock, None, "-", argv))
    }

    pub fn of(mut command: Command) -> Guest {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starting a guest");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().expect("piped"));
        Guest { child, input, output }
    }

    /// A reader of its own.
    pub fn reader(clock: &ClockPage) -> Guest {
        Guest::start(clock, &[guest().as_str(), "guest-read"])
    }

    /// What it reads from a clock, between two readings of the true one.
    pub fn read(&mut self, clock: &str) -> Read3 {
        let input = self.input.as_mut().expect("not finished");
        if let Err(error) = writeln!(input, "{clock}") {
            panic!("the guest ended: {error}, {:?}", self.child.wait());
        }
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the guest answers");
        let numbers: Vec<i64> = line.split_whitespace().map(|word| word.parse().expect("a number")).collect();
        let [before, read, after] = numbers[..] else { panic!("the guest said {line:?}") };
        Read3 { before, read, after }
    }

    /// Ends its standard input and returns what it says last.
    pub fn finish(mut self) -> String {
        self.input = None;
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        assert!(self.child.wait().expect("a status").success());
        text
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: takes no memory; the child has not been waited for, so the number is its own.
        unsafe { libc::kill(self.child.id() as i32, signal) };
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Waits until something holds, and fails after long enough to be sure that it never will.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The supervisors of programs with this clock: processes of that name which hold its page.
pub fn supervisors(clock: &ClockPage) -> Vec<i32> {
    let page = std::fs::File::from(clock.fd().try_clone_to_owned().expect("a descriptor"));
    let inode = page.metadata().expect("a file").ino();
    let holds_page = |pid: i32| {
        let fds = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        fds.into_iter().any(|fd| std::fs::metadata(fd.path()).is_ok_and(|held| held.ino() == inode))
    };
    let named = |pid: i32| {
        let comm = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        comm.trim_end() == "squall-clock"
    };
    let processes = std::fs::read_dir("/proc").expect("a mounted /proc").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| named(*pid) && holds_page(*pid)).collect()
}
