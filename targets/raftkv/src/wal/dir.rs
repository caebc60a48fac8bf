//! The data directory: who owns it, and that only one process uses it.

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{WalError, segment};
use crate::raft::{Membership, NodeId};

/// Whose directory this is. Written once, before the node first takes part in anything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub cluster: String,
    pub node: NodeId,
    /// The membership that the cluster started with.
    pub founders: Membership,
}

/// A locked data directory.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Holds the lock for as long as it is open.
    _lock: File,
}

impl DataDir {
    /// Creates or opens `path` for this node alone. A directory of another node or cluster is refused.
    pub fn open(path: &Path, identity: &Identity) -> Result<(DataDir, Identity), WalError> {
        std::fs::create_dir_all(path).map_err(WalError::io("cannot create", path))?;
        let lock_path = path.join("lock");
        let lock = File::create(&lock_path).map_err(WalError::io("cannot create", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let why = format!("{} is in use by another process", path.display());
                return Err(WalError::Refused(why));
            }
            Err(TryLockError::Error(e)) => return Err(WalError::io("cannot lock", &lock_path)(e)),
        }
        let dir = DataDir { path: path.to_owned(), _lock: lock };
        let identity = dir.check_identity(identity)?;
        Ok((dir, identity))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn check_identity(&self, wanted: &Identity) -> Result<Identity, WalError> {
        let path = self.path.join("identity.json");
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return self.found(wanted),
            Err(e) => return Err(WalError::io("cannot read", &path)(e)),
        };
        let found: Identity = serde_json::from_slice(&text).map_err(|e| WalError::Corrupt {
            path: path.display().to_string(),
            offset: 0,
            why: e.to_string(),
        })?;
        if (&found.cluster, found.node) != (&wanted.cluster, wanted.node) {
            return Err(WalError::Refused(format!(
                "{} belongs to node {} of cluster {:?}, not to node {} of cluster {:?}",
                self.path.display(),
                found.node,
                found.cluster,
                wanted.node,
                wanted.cluster
            )));
        }
        if segment::list(&self.path)?.is_empty() {
            let why = format!("{} has an identity but no log: its data was removed", self.path.display());
            return Err(WalError::Refused(why));
        }
        Ok(found)
    }

    /// A new directory. The first segment comes first, so that an identity without a log means loss.
    fn found(&self, identity: &Identity) -> Result<Identity, WalError> {
        match segment::list(&self.path)?.as_slice() {
            [] => drop(segment::create(&self.path, 1, 1)?),
            // A crash between the two steps leaves exactly this.
            [1] => match segment::scan(&segment::path(&self.path, 1), 1, Some(1), true, false)? {
                Some(scan) if scan.records.is_empty() => {}
                None => {}
                Some(_) => return Err(self.no_identity()),
            },
            _ => return Err(self.no_identity()),
        }
        let (path, temporary) = (self.path.join("identity.json"), self.path.join("identity.tmp"));
        let text = serde_json::to_vec(identity).expect("an identity is plain data");
        let mut file = File::create(&temporary).map_err(WalError::io("cannot create", &temporary))?;
        file.write_all(&text).map_err(WalError::io("cannot write", &temporary))?;
        file.sync_all().map_err(WalError::io("cannot flush", &temporary))?;
        std::fs::rename(&temporary, &path).map_err(WalError::io("cannot rename", &temporary))?;
        segment::sync_dir(&self.path)?;
        Ok(identity.clone())
    }

    fn no_identity(&self) -> WalError {
        WalError::Refused(format!("{} has a log but no identity.json", self.path.display()))
    }
}
