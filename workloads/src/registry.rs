//! Every workload by its name.

use squall_engine::protocol::WorkloadKind;

use crate::register::Register;

/// The workloads that a campaign can name.
pub fn workloads() -> Vec<WorkloadKind> {
    vec![WorkloadKind {
        name: "register",
        summary: "reads, writes and compare-and-set of many keys; each key must be linearizable",
        needs: "read, write, cas",
        build: Box::new(Register::build),
    }]
}
