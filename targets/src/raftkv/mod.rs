//! squall's own Raft KV: the program is part of this very binary.
//!
//! Errors come with `definite` (its documentation, "Errors"): certain failures are `fail`, the rest `info`.

mod client;
mod guarded;
mod lock;
mod members;
mod target;
mod watch;

pub(crate) use target::RaftKv;
