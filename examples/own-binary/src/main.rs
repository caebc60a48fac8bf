//! A binary of one's own: every command of squall, with a target and a check that squall does not have.
//!
//! The target is a toy, a store with a single server on the first node, which is this same binary.

mod check;
mod server;
mod target;

use std::process::ExitCode;
use std::sync::Arc;

use squall::Registry;
use squall_engine::protocol::TargetKind;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some("toy-server") {
        return server::serve(&args.next().unwrap_or_default());
    }
    let toy = TargetKind {
        name: "toy",
        summary: "a store with one server, on the first node",
        needs: "nothing",
        build: Box::new(|_options| Ok(Arc::new(target::Toy))),
    };
    squall::main(Registry::default().target(toy).check(Arc::new(check::NoNegative)))
}
