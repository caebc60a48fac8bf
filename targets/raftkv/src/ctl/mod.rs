//! `ctl`: asks a cluster from the command line, one request a call.
//!
//! Endpoints are tried in their order only until one accepts the connection: nothing was sent before, so nothing
//! can happen twice. What only the leader takes goes to the endpoint that says it leads. Exit codes are part of
//! the interface: see [`USAGE`].

mod act;
mod args;
mod failure;
mod show;

use std::io::Write as _;

pub use args::USAGE;

use args::{Options, Words};

const BAD_ARGUMENTS: i32 = 254;

/// Runs one command; `args` begin after `ctl`.
pub fn run(args: impl IntoIterator<Item = String>) -> i32 {
    let (options, action) = match Options::parse(Words::new(args)) {
        Ok(parsed) => parsed,
        Err(why) => {
            eprintln!("squall raftkv ctl: {why}");
            return BAD_ARGUMENTS;
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(e) => {
            eprintln!("squall raftkv ctl: cannot start: {e}");
            return 255;
        }
    };
    match runtime.block_on(act::act(&options, &action)) {
        Ok(shown) => {
            match shown.json {
                // Metrics have one form.
                serde_json::Value::String(text) => print(text),
                json if options.json => print(json.to_string()),
                _ => print(shown.text),
            }
            i32::from(!shown.yes)
        }
        Err(failure) => {
            if options.json {
                print(failure.to_json().to_string());
            }
            eprintln!("squall raftkv ctl: {failure}");
            failure.exit_code()
        }
    }
}

/// A reader that went away is no failure.
fn print(text: String) {
    if !text.is_empty() {
        let _ = writeln!(std::io::stdout(), "{}", text.trim_end_matches('\n'));
    }
}
