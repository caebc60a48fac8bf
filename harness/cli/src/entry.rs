//! From the process's start to its exit code.
//!
//! The order matters: a helper process that was started from this executable must become what it is before
//! anything makes a thread; `raftkv` has a command line of its own; only then is anything parsed.

use std::any::Any;
use std::ffi::OsString;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;

use crate::args::Cli;
use crate::output::{print, say};
use crate::{Exit, Registry, dispatch};

/// Runs the command that this process was started with, and gives its exit code. Call it first thing in
/// `main`, before anything makes a thread.
pub fn main(registry: Registry) -> ExitCode {
    early();
    report_panics();
    let args: Vec<OsString> = std::env::args_os().collect();
    guard(|| run(&registry, args)).into()
}

/// A panic is a mistake of ours, so the harness broke, whatever was being done.
fn guard(run: impl FnOnce() -> Exit) -> Exit {
    match panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(exit) => exit,
        Err(panic) if lost_reader(&*panic) => Exit::Valid,
        Err(_) => Exit::Broken,
    }
}

/// What has to come before everything else.
fn early() {
    // The local provider's keeper takes over here and never returns.
    squall_local::keeper::run_if_asked();
    // Parts of measurements, which want a process without threads too.
    squall_local::clock::bench::run_if_asked();
    squall_local::faultfs::bench::run_if_asked();
    // What this executable is on a host.
    #[cfg(feature = "ssh")]
    squall_cluster::ssh::agent::run_if_asked();
}

fn run(registry: &Registry, args: Vec<OsString>) -> Exit {
    if args.get(1).is_some_and(|a| a == "raftkv") {
        return ended(dispatch::raftkv(registry, args.into_iter().skip(2)));
    }
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => return refuse(&e),
    };
    ended(dispatch::dispatch(registry, &cli))
}

/// An error is said once, and becomes the exit code that it means.
fn ended(result: anyhow::Result<Exit>) -> Exit {
    result.unwrap_or_else(|e| {
        say(&format!("squall: {}", told(&e)));
        Exit::of_error(&e)
    })
}

/// An error with its causes, without what one of them has said already.
fn told(error: &anyhow::Error) -> String {
    let causes = error.chain().map(ToString::to_string);
    let put = |text: String, cause: String| match text.ends_with(&cause) {
        true => text,
        false => format!("{text}: {cause}"),
    };
    causes.reduce(put).unwrap_or_default()
}

/// Help and version are what was asked for; anything else is a bad argument.
fn refuse(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let text = error.render().to_string();
            match print(&text) {
                Ok(()) => Exit::Valid,
                Err(_) => Exit::Broken,
            }
        }
        _ => {
            say(error.render().to_string().trim_end());
            Exit::BadInput
        }
    }
}

/// A panic is a mistake of ours: said as such, once, with its place.
fn report_panics() {
    panic::set_hook(Box::new(|info| {
        if lost_reader(info.payload()) {
            return;
        }
        let place = info.location().map_or(String::new(), |l| format!(" at {}:{}", l.file(), l.line()));
        let what = text(info.payload()).unwrap_or("no message");
        say(&format!("squall: internal error{place}: {what}"));
        say("This is a bug in squall or in a check, not in the system under test. Please report it.");
    }));
}

/// Whether it is only that standard output was closed, met by a plain `println!` of a library.
fn lost_reader(panic: &(dyn Any + Send)) -> bool {
    text(panic).is_some_and(|t| t.starts_with("failed printing to stdout") && t.contains("Broken pipe"))
}

fn text(panic: &(dyn Any + Send)) -> Option<&str> {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    owned.or_else(|| panic.downcast_ref::<&str>().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let full = squall_engine::Error::io("x cannot be written", std::io::Error::other("no room"));
        assert_eq!(told(&anyhow::Error::from(full)), "x cannot be written: no room");
        assert_eq!(told(&anyhow::anyhow!("inner").context("outer")), "outer: inner");
    }

    #[test]
    fn a_panic_is_255_and_a_reader_that_left_is_not() {
        assert_eq!(guard(|| panic!("a mistake")), Exit::Broken);
        assert_eq!(guard(|| panic!("failed printing to stdout: Broken pipe (os error 32)")), Exit::Valid);
        assert_eq!(guard(|| Exit::Invalid), Exit::Invalid);
    }
}
