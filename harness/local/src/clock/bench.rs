//! What a clock of one's own costs, and whether every launch gets it.
//!
//! Measured in processes of their own, which are this executable, started again: a program that wants these
//! figures calls [`run_if_asked`] first thing in `main`.

use std::ffi::CString;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use squall_cluster::{ClockChange, Error};

use super::{ClockPage, Launch, exec_with_clock};

/// A measured figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// How much of it.
    pub value: f64,
    /// In what.
    pub unit: &'static str,
}

impl Figure {
    /// A figure.
    pub fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Figure { name: name.into(), value, unit }
    }
}

/// The first argument of a process that plays a part in a measurement.
const PART: &str = "squall-clock-bench";

/// If this process was started to play a part in a measurement, plays it and ends the process.
pub fn run_if_asked() {
    let arguments: Vec<String> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [_, PART, "launch", page, ref rest @ ..] => launch(page, rest),
        [_, PART, "calls", calls] => println!("{}", nanos_per_call(calls.parse().unwrap_or(1))),
        [_, PART, "steps"] => println!("{}", steps_back()),
        [_, PART, "nothing"] => {}
        _ => return,
    }
    std::process::exit(0);
}

/// Takes about five seconds with 1000 launches.
pub fn measure(launches: u32) -> Result<Vec<Figure>, Error> {
    let failed = |error| Error::io("measuring the clock", error);
    let mut figures = calls().map_err(failed)?;
    figures.extend(all_launches(launches).map_err(failed)?);
    figures.extend(rate_changes(Duration::from_secs(2))?);
    Ok(figures)
}

/// Nanoseconds a call, with the plain vDSO and with ours.
fn calls() -> io::Result<Vec<Figure>> {
    const CALLS: &str = "3000000";
    let clock = ClockPage::new()?;
    let plain = numbers(myself(&["calls", CALLS]))?;
    let unskewed = numbers(with_clock(&clock, &["calls", CALLS]))?;
    clock.set(ClockChange::Rate(1.5)).map_err(io::Error::other)?;
    let skewed = numbers(with_clock(&clock, &["calls", CALLS]))?;
    let name = |what| format!("clock_gettime, {what}");
    let figures = [("plain vDSO", plain), ("own clock, unskewed", unskewed), ("own clock, skewed", skewed)];
    Ok(figures.into_iter().map(|(what, numbers)| Figure::new(name(what), numbers[0], "ns")).collect())
}

/// How many launches are patched, and what a launch takes more than a plain one.
fn all_launches(launches: u32) -> io::Result<Vec<Figure>> {
    let clock = ClockPage::new()?;
    let time = |start: &dyn Fn() -> Command| -> io::Result<f64> {
        let from = Instant::now();
        for _ in 0..launches {
            if !start().status()?.success() {
                return Err(io::Error::other("a launch failed"));
            }
        }
        Ok(from.elapsed().as_secs_f64() * 1e6 / f64::from(launches))
    };
    let plain = time(&|| myself(&["nothing"]))?;
    let owned = time(&|| with_clock(&clock, &["nothing"]))?;
    Ok(vec![
        Figure::new("launches", f64::from(launches), "launches"),
        Figure::new("launches patched", clock.patched() as f64, "launches"),
        Figure::new("launches refused", clock.refused() as f64, "launches"),
        Figure::new("launch, plain", plain, "us"),
        // One `exec` more than a plain one: the launcher's own.
        Figure::new("launch, own clock", owned, "us"),
    ])
}

/// Steps back in as many readings as fit in this time, while the rate changes all the time.
fn rate_changes(time: Duration) -> Result<Vec<Figure>, Error> {
    let failed = |error| Error::io("measuring changes of rate", error);
    let clock = ClockPage::new().map_err(failed)?;
    let mut reader = with_clock(&clock, &["steps"]);
    let mut reader = reader.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let end = Instant::now() + time;
    let mut changes = 0u32;
    while Instant::now() < end {
        let rate = [0.1, 3.0, 0.0, 1.0, 0.999, 10.0][(changes % 6) as usize];
        clock.set(ClockChange::Rate(rate))?;
        changes += 1;
        std::thread::sleep(Duration::from_millis(2));
    }
    drop(reader.stdin.take());
    let said = output(&mut reader).map_err(failed)?;
    let [reads, back] = said[..] else { return Err(Error::Broken("a reader of the clock died".into())) };
    Ok(vec![
        Figure::new("changes of rate", f64::from(changes), "changes"),
        Figure::new("readings over changes of rate", reads, "readings"),
        Figure::new("steps back over changes of rate", back, "steps"),
    ])
}

fn myself(part: &[&str]) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.arg(PART).args(part);
    command
}

/// A part, played with this clock.
fn with_clock(clock: &ClockPage, part: &[&str]) -> Command {
    let page = clock.fd().as_raw_fd();
    let mut command = myself(&["launch", &page.to_string()]);
    command.args(part);
    // SAFETY: between fork and exec only fcntl is called.
    unsafe {
        command.pre_exec(move || {
            libc::fcntl(page, libc::F_SETFD, 0);
            Ok(())
        })
    };
    command
}

fn launch(page: &str, part: &[&str]) {
    let page: RawFd = page.parse().unwrap_or(-1);
    // SAFETY: takes no memory. The descriptor was inherited and is open until `exec`; if it is not, the launch
    // fails.
    let page = unsafe {
        libc::fcntl(page, libc::F_SETFD, libc::FD_CLOEXEC);
        BorrowedFd::borrow_raw(page.max(0))
    };
    let words = ["/proc/self/exe", PART].iter().chain(part);
    let argv: Vec<CString> = words.filter_map(|word| CString::new(*word).ok()).collect();
    let error =
        exec_with_clock(&Launch { page, report: None, path: c"/proc/self/exe", argv: &argv, env: &[] });
    eprintln!("{error}");
    std::process::exit(127);
}

fn numbers(mut command: Command) -> io::Result<Vec<f64>> {
    let mut child = command.stdout(Stdio::piped()).spawn()?;
    match output(&mut child)? {
        numbers if numbers.is_empty() => Err(io::Error::other("a part of the measurement failed")),
        numbers => Ok(numbers),
    }
}

fn output(child: &mut Child) -> io::Result<Vec<f64>> {
    let mut text = String::new();
    if let Some(mut stdout) = child.stdout.take() {
        stdout.read_to_string(&mut text)?;
    }
    child.wait()?;
    Ok(text.split_whitespace().filter_map(|word| word.parse().ok()).collect())
}

fn nanos_per_call(calls: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..calls {
        std::hint::black_box(super::page::real_nanos());
    }
    start.elapsed().as_nanos() as f64 / f64::from(calls)
}

/// Reads until its standard input ends; how often, and how often the clock went back.
fn steps_back() -> String {
    let stop = std::thread::spawn(|| io::stdin().read_to_end(&mut Vec::new()).ok());
    let (mut reads, mut back, mut last) = (0u64, 0u64, i64::MIN);
    while !stop.is_finished() {
        for _ in 0..1000 {
            let now = super::page::real_nanos();
            back += u64::from(now < last);
            last = now;
        }
        reads += 1000;
    }
    format!("{reads} {back}")
}
