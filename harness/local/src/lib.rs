//! The local provider: rootless nodes on one machine, the network between them, their clocks and disks.
//!
//! Every node has its own user, pid, network, mount, UTS and IPC namespace. A program that makes local
//! clusters calls [`keeper::run_if_asked`] first thing in `main` and then asks [`LocalProvider`].
//!
//! ```text
//! harness            threads: squall-nodes (one a cluster: hears the nodes' inits), squall-fabric (one a
//! │                  cluster: is the network)
//! └─ keeper          one thread, made on the first cluster; ends with the harness
//!    └─ cluster init process 1 of the cluster, owner of its user namespace; ends with keeper or harness
//!       ├─ node init process 1 of a node: starts, signals and reaps its programs; its wire is the fabric's
//!       └─ clients   the same for the clients' namespace; makes the sockets that clients connect
//! ```
//!
//! Invariants: only single-threaded processes clone; every process below the harness dies with it, whatever
//! ended it; whoever is asked to do something answers, or its socket closes. All of the project's unsafe code
//! is in this crate.
//!
//! Needs Linux 5.11 or newer (`epoll_pwait2`, `close_range`).
//!
//! Deliberately absent: retries, scheduling of faults, knowledge of any target.

mod addressing;
pub mod bench;
mod channel;
pub mod clock;
mod exec;
mod fabric;
pub mod faultfs;
mod forwarding;
mod init;
pub mod keeper;
mod limits;
mod links;
mod netlink;
mod node;
mod node_init;
mod output;
mod packet;
mod pcap;
mod policy;
mod probe;
mod protocol;
mod provider;
mod queue;
mod remedies;
mod sockets;
mod surroundings;
mod sys;
mod teardown;
#[cfg(feature = "testing")]
pub mod testing;
mod usage;
mod wire;

pub use provider::{LocalProvider, Wires};

/// Whether nodes have clocks of their own.
const CLOCKS: bool = true;
/// Whether nodes have disks that can be harmed.
const DISKS: bool = true;
