//! Every workload by its name.

use squall_engine::protocol::WorkloadKind;

use crate::append::Append;
use crate::lease::Lease;
use crate::register::Register;
use crate::set::Set;

/// The workloads that a campaign can name.
pub fn workloads() -> Vec<WorkloadKind> {
    vec![
        WorkloadKind {
            name: "register",
            summary: "reads, writes and compare-and-set of many keys; each key must be linearizable",
            needs: "read, write, cas",
            build: Box::new(Register::build),
        },
        WorkloadKind {
            name: "set",
            summary: "unique elements are added, whole sets are read: none may be lost or come late",
            needs: "set.add, set.read",
            build: Box::new(Set::build),
        },
        WorkloadKind {
            name: "append",
            summary: "transactions of list appends and reads over several keys, judged as Elle does",
            needs: "append.txn",
            build: Box::new(Append::build),
        },
        WorkloadKind {
            name: "lease",
            summary: "keys under leases that nobody renews: gone neither too early nor far too late",
            needs: "lease.grant, lease.read",
            build: Box::new(Lease::build),
        },
    ]
}
