//! A binary of one's own: every command of squall, with what squall does not have: a target that speaks gRPC,
//! its client, an operation, a workload that does it, a model that judges it, and a check of every run.
//!
//! The target is a toy, a store with a single server on the first node, which is this same binary.

mod check;
mod client;
mod model;
mod server;
mod target;
mod wire;
mod workload;

use std::process::ExitCode;
use std::sync::Arc;

use squall::Registry;
use squall_engine::protocol::{TargetKind, WorkloadKind};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [command, address, how] = &args[..]
        && command == "toy-server"
    {
        return server::serve(address, how == "forgetful");
    }
    let toy = TargetKind {
        name: "toy",
        summary: "a store with one server, on the first node",
        needs: "nothing",
        build: Box::new(target::Toy::build),
    };
    let raises = WorkloadKind {
        name: "raises",
        summary: "numbers that only grow",
        needs: "",
        build: Box::new(|_options| Ok(Arc::new(workload::Raises))),
    };
    let check = Arc::new(check::NoNegative);
    squall::main(Registry::default().target(toy).workload(raises).check(check))
}
