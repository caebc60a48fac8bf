//! The clock of a node, seen from inside real programs: each test starts programs with a clock page and
//! compares what they read with what the kernel says by raw system call at the same moment.
//!
//! The test binary is its own target program (`guest.rs`), so it starts itself.

mod cases;
mod guest;
mod host;
mod programs;

use libtest_mimic::{Arguments, Failed, Trial};
use squall_local::clock::bench;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some((role, rest)) = arguments.get(1).and_then(|word| guest::role(word)).zip(arguments.get(2..)) {
        return role(rest);
    }
    bench::run_if_asked();
    if arguments.get(1).is_some_and(|word| word == "bench") {
        let figures = bench::measure(1000).expect("a measurement");
        return figures
            .iter()
            .for_each(|figure| println!("{}: {:.2} {}", figure.name, figure.value, figure.unit));
    }
    let mut options = Arguments::from_args();
    // Many of the tests run busy guests; more at a time than there are cores only blurs what fails.
    options.test_threads.get_or_insert(2);
    let trials = cases::all().into_iter().chain(programs::all()).map(trial).collect();
    libtest_mimic::run(&options, trials).exit();
}

/// A test: a name and what it does; what the machine lacks is found out before.
struct Case {
    name: &'static str,
    lacks: fn() -> Option<String>,
    test: fn(),
}

fn trial(case: Case) -> Trial {
    let lacks = if cfg!(target_arch = "x86_64") { (case.lacks)() } else { Some("not x86-64".into()) };
    let required = std::env::var("SQUALL_REQUIRE").is_ok_and(|what| what == "all");
    match lacks {
        Some(what) if required => {
            Trial::test(case.name, move || Err(Failed::from(format!("this machine lacks {what}"))))
        }
        Some(what) => {
            Trial::test(case.name, || Ok(())).with_ignored_flag(true).with_kind(format!("lacks {what}"))
        }
        None => Trial::test(case.name, move || {
            (case.test)();
            Ok(())
        }),
    }
}
