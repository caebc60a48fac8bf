//! What a fault has a node do once, to its end, while its own programs are down.

use std::time::Duration;

use squall_cluster::{Exit, Program};
use squall_engine::{Deployment, Error};

/// Runs a program on a node. If it does not end well the run is broken: the node is `not_done`, "could not be wiped".
pub(crate) async fn run(
    deployment: &Deployment,
    node: usize,
    program: &Program,
    limit: Duration,
    not_done: &str,
) -> Result<(), Error> {
    let done = deployment.nodes[node].run(program, limit).await?;
    match done.exit {
        Exit::Code(0) => Ok(()),
        exit => {
            let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
            Err(Error::Broken(format!("the data of {} {not_done}: {exit}: {said}", deployment.name(node))))
        }
    }
}
