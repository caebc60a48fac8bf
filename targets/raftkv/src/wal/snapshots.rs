//! Snapshot files: written under another name, flushed, renamed; only the latest is kept.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::{WalError, segment};
use crate::bugs::Bug;
use crate::kv::{Store, read_snapshot, write_snapshot};
use crate::raft::{Index, SnapshotMeta};

/// The file of the snapshot at `index`.
fn path(dir: &Path, index: Index) -> PathBuf {
    dir.join(format!("snapshot-{index:020}.snap"))
}

/// Indexes of the snapshots in `dir`, ascending.
fn list(dir: &Path) -> Result<Vec<Index>, WalError> {
    let mut indexes = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(WalError::io("cannot list", dir))? {
        let name = entry.map_err(WalError::io("cannot list", dir))?.file_name();
        let index: Option<Index> =
            name.to_str().and_then(|n| n.strip_prefix("snapshot-")?.strip_suffix(".snap")?.parse().ok());
        indexes.extend(index);
    }
    indexes.sort_unstable();
    Ok(indexes)
}

/// The latest snapshot, if there is one. One that is damaged is an error: the log does not reach back further.
pub fn load_latest(dir: &Path, bug: Option<Bug>) -> Result<Option<(SnapshotMeta, Store)>, WalError> {
    match list(dir)?.last() {
        Some(&index) => load(&path(dir, index), bug).map(Some),
        None => Ok(None),
    }
}

/// Reads and checks a whole file.
fn load(path: &Path, bug: Option<Bug>) -> Result<(SnapshotMeta, Store), WalError> {
    let file = File::open(path).map_err(WalError::io("cannot open", path))?;
    read_snapshot(&mut BufReader::with_capacity(1 << 20, file), bug).map_err(|e| WalError::Corrupt {
        path: path.display().to_string(),
        offset: 0,
        why: e.to_string(),
    })
}

/// Makes `store` as of `meta` durable and drops older snapshots.
pub fn save(dir: &Path, meta: &SnapshotMeta, store: &Store) -> Result<(), WalError> {
    let temporary = dir.join("snapshot.tmp");
    let file = File::create(&temporary).map_err(WalError::io("cannot create", &temporary))?;
    let mut writer = BufWriter::with_capacity(1 << 20, Paced { file, unflushed: 0 });
    write_snapshot(&mut writer, meta, store).map_err(WalError::io("cannot write", &temporary))?;
    let paced = writer.into_inner().map_err(|e| WalError::io("cannot write", &temporary)(e.into_error()))?;
    publish(dir, &paced.file, &temporary, meta.index)
}

/// Flushes now and then: the log shares the disk, and would wait behind all of a large snapshot at once.
#[derive(Debug)]
struct Paced {
    file: File,
    unflushed: usize,
}

const FLUSH_EVERY: usize = 8 << 20;

impl std::io::Write for Paced {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.unflushed += written;
        if self.unflushed >= FLUSH_EVERY {
            self.file.sync_data()?;
            self.unflushed = 0;
        }
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

fn publish(dir: &Path, file: &File, temporary: &Path, index: Index) -> Result<(), WalError> {
    file.sync_all().map_err(WalError::io("cannot flush", temporary))?;
    std::fs::rename(temporary, path(dir, index)).map_err(WalError::io("cannot rename", temporary))?;
    segment::sync_dir(dir)?;
    for older in list(dir)?.into_iter().filter(|&older| older < index) {
        let older = path(dir, older);
        std::fs::remove_file(&older).map_err(WalError::io("cannot remove", &older))?;
    }
    Ok(())
}

/// A snapshot being sent. Stays readable when a later one takes its place.
#[derive(Debug)]
pub struct Outgoing {
    pub index: Index,
    pub meta: SnapshotMeta,
    file: File,
    length: u64,
}

impl Outgoing {
    pub fn open(dir: &Path, meta: SnapshotMeta) -> std::io::Result<Outgoing> {
        let file = File::open(path(dir, meta.index))?;
        let length = file.metadata()?.len();
        Ok(Outgoing { index: meta.index, meta, file, length })
    }

    /// At most `max` bytes from `offset` on, and whether they are the last.
    pub fn read(&mut self, offset: u64, max: usize) -> std::io::Result<(Vec<u8>, bool)> {
        let offset = offset.min(self.length);
        let mut data = vec![0; max.min((self.length - offset) as usize)];
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut data)?;
        let last = offset + data.len() as u64 == self.length;
        Ok((data, last))
    }
}

/// A snapshot being received.
#[derive(Debug)]
pub struct Incoming {
    pub meta: SnapshotMeta,
    file: File,
    path: PathBuf,
    length: u64,
}

impl Incoming {
    /// Begins anew; what an earlier attempt left is overwritten.
    pub fn begin(dir: &Path, meta: SnapshotMeta) -> Result<Incoming, WalError> {
        let path = dir.join("incoming.tmp");
        let file = File::create(&path).map_err(WalError::io("cannot create", &path))?;
        Ok(Incoming { meta, file, path, length: 0 })
    }

    /// Where the next piece must begin.
    pub fn length(&self) -> u64 {
        self.length
    }

    pub fn append(&mut self, data: &[u8]) -> Result<(), WalError> {
        self.file.write_all(data).map_err(WalError::io("cannot write", &self.path))?;
        self.length += data.len() as u64;
        Ok(())
    }

    /// Checks what arrived, makes it the latest snapshot, and gives back its state.
    pub fn finish(self, dir: &Path, bug: Option<Bug>) -> Result<(SnapshotMeta, Store), WalError> {
        let (meta, store) = load(&self.path, bug)?;
        if meta != self.meta {
            let why = "the snapshot is not the one that was announced".into();
            return Err(WalError::Corrupt { path: self.path.display().to_string(), offset: 0, why });
        }
        publish(dir, &self.file, &self.path, meta.index)?;
        Ok((meta, store))
    }
}
