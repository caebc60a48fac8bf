//! The binary with everything that comes built in.

use std::process::ExitCode;

fn main() -> ExitCode {
    squall::main(squall::Registry::default())
}
