//! Tests on real clusters: this binary is its own keeper, and its own echo server, sender and receiver inside
//! the nodes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod ends;
mod harm;
mod limits;
mod network;
mod programs;
mod roles;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    squall_local::keeper::run_if_asked();
    if let Some(code) = roles::run_if_asked() {
        return code;
    }
    let tests = [programs::tests(), network::tests(), harm::tests(), limits::tests(), ends::tests()];
    squall_local::testing::main(tests.into_iter().flatten().collect())
}
