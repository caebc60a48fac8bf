//! Every target by its name.

use squall_engine::protocol::TargetKind;

use crate::etcd::Etcd;
use crate::raftkv::RaftKv;

/// The targets that a campaign can name.
pub fn targets() -> Vec<TargetKind> {
    vec![
        TargetKind {
            name: "raftkv",
            summary: "squall's own replicated key-value store on Raft",
            needs: "nothing: it is part of this binary",
            build: Box::new(RaftKv::build),
        },
        TargetKind {
            name: "etcd",
            summary: "etcd 3.4 and 3.5, over its JSON gateway",
            needs: "`etcd` on the PATH (Debian and Ubuntu: apt-get install etcd-server)",
            build: Box::new(Etcd::build),
        },
    ]
}
