//! A node's disk under harm, seen through ordinary file calls.
//!
//! Each test runs in a process of its own with a private mount namespace (and, for ordinary users, a user
//! namespace), so nothing of it can reach the machine or outlive the test.

#![allow(clippy::unwrap_used, reason = "a test that fails panics")]

mod calls;
mod harm;
mod power;
mod stage;
mod twin;

use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};

use squall_local::faultfs::bench;
use stage::Stage;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, name, rest @ ..] = arguments.as_slice() {
        if role == "on-stage" {
            let case = cases().into_iter().find(|case| case.name == *name).expect("a test of this name");
            return stage::play(case.test);
        }
        if role == "actor" {
            return stage::actor(name)(rest);
        }
    }
    bench::run_if_asked();
    if arguments.get(1).is_some_and(|word| word == "bench") {
        let place = std::env::current_exe().expect("the test binary");
        let figures = bench::measure(place.parent().expect("a folder")).expect("a measurement");
        return figures
            .iter()
            .for_each(|figure| println!("{}: {:.2} {}", figure.name, figure.value, figure.unit));
    }
    let mut options = Arguments::from_args();
    options.test_threads.get_or_insert(2);
    let lacks = stage::lacks();
    let trials = cases().into_iter().map(|case| trial(case, lacks.as_deref())).collect();
    libtest_mimic::run(&options, trials).exit();
}

/// A test: a name and what it does on its stage.
struct Case {
    name: &'static str,
    test: fn(&Stage),
}

fn cases() -> Vec<Case> {
    [calls::all(), power::all(), harm::all(), twin::all()].into_iter().flatten().collect()
}

fn trial(case: Case, lacks: Option<&str>) -> Trial {
    let required = std::env::var("SQUALL_REQUIRE").is_ok_and(|what| what == "all");
    match lacks {
        Some(what) if required => {
            let what = what.to_owned();
            Trial::test(case.name, move || Err(Failed::from(format!("this machine lacks {what}"))))
        }
        Some(what) => Trial::test(case.name, || Ok(())).with_ignored_flag(true).with_kind(what),
        None => Trial::test(case.name, move || perform(case.name)),
    }
}

/// Plays a case in a process of its own.
fn perform(name: &str) -> Result<(), Failed> {
    let myself = std::env::current_exe().expect("the test binary");
    let output = Command::new(myself).args(["on-stage", name]).output().expect("starting myself");
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failed::from(format!("{}\n{said}", output.status)))
}
