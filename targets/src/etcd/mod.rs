//! etcd 3.4 and 3.5, over its JSON gateway, which needs no generated code.
//!
//! Errors, by gRPC code and message (etcd's `rpctypes`, and gRPC's status codes):
//!
//! | code | message | a change is |
//! | --- | --- | --- |
//! | 3 InvalidArgument, 11 OutOfRange, 12 Unimplemented | any | `fail`: refused before it was proposed |
//! | 8 ResourceExhausted | `etcdserver: too many requests` | `fail`: refused before it was proposed |
//! | anything else: 4 DeadlineExceeded, 14 Unavailable (`request timed out`, `leader changed`, `no leader`), 2 Unknown | any | `info`: it may have been proposed |
//!
//! The gateway dials its own node, and its gRPC client does not retry what was sent.

mod client;
mod guarded;
mod lease;
mod lock;
mod maintenance;
mod members;
mod replica;
mod restore;
mod target;
mod watch;
mod wire;

pub(crate) use target::Etcd;
