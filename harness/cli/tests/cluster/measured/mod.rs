//! Every kind of fault, injected on a live cluster as a schedule injects it, and measured by somebody who knows nothing
//! of it: a program on the node, its neighbours, the machine's kernel. What the fault says of itself is asked as well,
//! but proves nothing here.
//!
//! | faults | who measures |
//! | --- | --- |
//! | `partition` `flap` | which datagrams arrive at a neighbour, and which never do; who can be connected to |
//! | `loss` `duplicate` `corrupt` `reorder` | numbers, order and bytes of the datagrams that arrive |
//! | `delay` `bandwidth` | when they arrive, by the clock that all nodes share |
//! | `reset` `half-open` | a connection between two nodes, and a new one |
//! | `kill` `stop` `restart-all` `crash-loop` `rolling-restart` | the process table; a neighbour; what the program notes when it starts and is asked to end |
//! | `pause` | the process's state; a neighbour that gets no answer |
//! | `cpu` | how often the process is seen stopped, and that its loop comes on |
//! | `memory` | whether the program is given memory |
//! | `clock` | the wall clock as the program reads it |
//! | `power-loss` `torn-write` `lost-fsync` | what is in the files after the restart |
//! | `disk-error` `disk-full` `slow-disk` `stale-read` | what calls give, and how long they take |
//! | `bit-flip` `truncate` | what is in the files after the restart |
//! | `membership` `topple` `upgrade` | what other members answer; how the kernel says the program was started |
//! | `maintenance` `restore` | what the store refuses afterwards, and what it still has |

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod clocks;
mod disks;
mod gone;
mod members;
mod network;
pub mod probe;
mod processes;
mod stage;

pub use clocks::clocks;
pub use disks::disks;
pub use gone::gone;
pub use members::{members_leaders_and_versions, operations_on_etcd};
pub use network::network;
pub use processes::processes;
