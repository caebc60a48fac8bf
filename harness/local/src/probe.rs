//! What this machine allows.

use squall_cluster::{Error, Probe};

use crate::protocol::Failed;

/// Probes everything.
pub(crate) async fn probe() -> Vec<Probe> {
    Vec::new()
}

/// The error for a step of making a cluster that failed.
pub(crate) fn explain(what: &str, failed: &Failed) -> Error {
    Error::io(format!("{what}: {}", failed.step), std::io::Error::from_raw_os_error(failed.errno))
}
