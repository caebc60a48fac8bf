//! The command line: `serve` runs a server, `bugs` lists the museum. Returns exit codes, never exits by itself.

use std::ffi::OsString;

use crate::bugs::BUGS;
use crate::server::{Config, OPTIONS, serve};

const BAD_ARGUMENTS: i32 = 254;

/// Runs one command, without the program's name. Exit codes: 0 done, 1 the server could not start or go on,
/// 254 bad arguments.
pub fn run(args: impl IntoIterator<Item = OsString>) -> i32 {
    let mut words = Vec::new();
    for arg in args {
        match arg.into_string() {
            Ok(word) => words.push(word),
            Err(arg) => return complain(&format!("argument {arg:?} is not UTF-8")),
        }
    }
    if words.iter().any(|w| w == "--help" || w == "-h") {
        println!("{}", usage());
        return 0;
    }
    let mut words = words.into_iter();
    match words.next().as_deref() {
        Some("serve") => run_server(words),
        Some("bugs") => {
            for (_, name, text) in BUGS {
                println!("{name:32}{text}");
            }
            0
        }
        Some(other) => complain(&format!("unknown command {other:?}; there are: serve, bugs")),
        None => complain("no command given; there are: serve, bugs"),
    }
}

fn usage() -> String {
    format!(
        "squall raftkv serve OPTIONS    run one node\nsquall raftkv bugs             list the names that --bug takes\n\n{OPTIONS}"
    )
}

fn complain(why: &str) -> i32 {
    eprintln!("squall raftkv: {why}");
    BAD_ARGUMENTS
}

fn run_server(args: impl Iterator<Item = String>) -> i32 {
    let config = match Config::parse(args) {
        Ok(config) => config,
        Err(e) => return complain(&e.to_string()),
    };
    abort_on_panic();
    // One thread for all of the network: the core and the disk have their own, and clusters share machines.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("squall raftkv: cannot start: {e}");
            return 1;
        }
    };
    match runtime.block_on(serve(config)) {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("squall raftkv: {e}");
            1
        }
    }
}

/// A thread that died would leave a server that looks alive: rather none at all.
fn abort_on_panic() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
}
