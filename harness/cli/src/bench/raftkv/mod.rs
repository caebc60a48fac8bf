//! Raft KV's figures: beside a peer on the same machine, fabric and disk, and alone.
//!
//! The peer's cluster and ours are both up, and every measurement alternates between them in short turns: what
//! else the machine does in a second then falls on both. Clients of both are tasks of this process, one
//! connection each, and all of them talk to the node that leads, which is the shortest way for either.

mod alone;
mod cluster;
mod grpc;
mod load;
mod peers;
mod soak;
mod versus;

pub(super) use alone::rows;
pub(super) use soak::soak;
pub(super) use versus::versus;
