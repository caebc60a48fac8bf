//! The state as a series of blocks, for snapshots: written piece by piece from a copy, read back whole.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::pages::Pages;
use super::sessions::Sessions;
use super::store::{Store, Versioned};
use crate::bugs::Bug;
use crate::raft::{Index, SnapshotMeta};

const MAGIC: &[u8; 8] = b"RKVSNP01";
/// Keys in one block.
const BLOCK: usize = 1024;
const MAX_BLOCK_BYTES: usize = 1 << 31;

/// Writes `store` as of `meta`. The last block is empty, so that a cut is seen.
pub fn write_snapshot(to: &mut impl Write, meta: &SnapshotMeta, store: &Store) -> io::Result<()> {
    to.write_all(MAGIC)?;
    let sessions =
        if store.has(Bug::SnapshotForgetsSessions) { Sessions::default() } else { store.sessions.clone() };
    write_block(to, &(meta, sessions, &store.leases))?;
    let mut block: Vec<(&str, &Versioned)> = Vec::with_capacity(BLOCK);
    for (key, value) in store.keys.iter() {
        block.push((key, value));
        if block.len() == BLOCK {
            write_block(to, &block)?;
            block.clear();
        }
    }
    if !block.is_empty() {
        write_block(to, &block)?;
    }
    write_block(to, &Vec::<(&str, &Versioned)>::new())
}

/// Reads what [`write_snapshot`] wrote; anything else is an error.
pub fn read_snapshot(from: &mut impl Read, bug: Option<Bug>) -> io::Result<(SnapshotMeta, Store)> {
    let mut magic = [0; 8];
    from.read_exact(&mut magic)?;
    if &magic != MAGIC {
        return Err(bad("not a snapshot"));
    }
    let (meta, sessions, leases): (SnapshotMeta, _, _) = read_block(from)?;
    let mut keys = Pages::default();
    loop {
        let block: Vec<(String, Versioned)> = read_block(from)?;
        if block.is_empty() {
            break;
        }
        for (key, value) in block {
            keys.insert(&key, value);
        }
    }
    if from.read(&mut [0])? != 0 {
        return Err(bad("something follows the end"));
    }
    let store = Store::restored(keys, sessions, leases, meta.index, bug);
    Ok((meta, store))
}

impl Store {
    /// A new state that takes the place of this one. The museum's version keeps what the new one lacks.
    pub fn replaced_by(self, mut new: Store) -> Store {
        if self.has(Bug::DeleteResurrected) {
            for (key, old) in self.keys.iter() {
                if new.keys.get(key).is_none() {
                    new.keys.insert(key, old.clone());
                }
            }
        }
        new
    }

    /// The lower half of the keys as in `earlier`, the upper as here: how a snapshot looks that was taken while
    /// entries were being applied (one of the museum's bugs).
    pub fn torn_with(&self, earlier: &Store) -> Store {
        let mut torn = earlier.clone();
        let middle = self.keys.iter().nth(self.keys.len() / 2).map(|(key, _)| key.clone());
        for (key, value) in self.keys.range(middle.as_deref().unwrap_or(""), None) {
            torn.keys.insert(key, value.clone());
        }
        torn
    }

    /// Pretends to have applied entries up to `index`.
    pub fn relabel(&mut self, index: Index) {
        self.skip(index);
    }
}

fn write_block(to: &mut impl Write, block: &impl serde::Serialize) -> io::Result<()> {
    let body = postcard::to_stdvec(block).map_err(io::Error::other)?;
    to.write_all(&(body.len() as u64).to_le_bytes())?;
    to.write_all(&xxh3_64(&body).to_le_bytes())?;
    to.write_all(&body)
}

fn read_block<T: DeserializeOwned>(from: &mut impl Read) -> io::Result<T> {
    let mut word = [0; 8];
    from.read_exact(&mut word)?;
    let length = usize::try_from(u64::from_le_bytes(word)).unwrap_or(usize::MAX);
    from.read_exact(&mut word)?;
    if length > MAX_BLOCK_BYTES {
        return Err(bad("a block's length is damaged"));
    }
    // Not allocated at once: a damaged length must not cost gigabytes.
    let mut body = Vec::new();
    from.take(length as u64).read_to_end(&mut body)?;
    if body.len() != length || xxh3_64(&body) != u64::from_le_bytes(word) {
        return Err(bad("a block's checksum does not match"));
    }
    postcard::from_bytes(&body).map_err(|e| bad(&format!("a block cannot be read: {e}")))
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;
    use crate::raft::Membership;

    fn sample() -> (SnapshotMeta, Store) {
        let mut store = Store::default();
        store.apply(1, Command::OpenSession);
        store.apply(2, Command::Grant { ttl_millis: 5 });
        store.apply(3, Command::Lock { name: "l".into(), lease: 2 });
        for i in 4..3000u64 {
            store.apply(i, Command::Write { key: format!("k{}", i % 2100), value: i.to_string() });
        }
        let meta = SnapshotMeta { index: 2999, term: 7, membership: Membership::of(["n1".parse().unwrap()]) };
        (meta, store)
    }

    #[test]
    fn gives_back_what_was_written() {
        let (meta, store) = sample();
        let mut bytes = Vec::new();
        write_snapshot(&mut bytes, &meta, &store).unwrap();
        let (found, restored) = read_snapshot(&mut bytes.as_slice(), None).unwrap();
        assert_eq!(found, meta);
        assert_eq!(restored.hash(), store.hash());
        assert_eq!(restored.applied(), 2999);
    }

    #[test]
    fn refuses_what_is_cut_or_damaged() {
        let (meta, store) = sample();
        let mut bytes = Vec::new();
        write_snapshot(&mut bytes, &meta, &store).unwrap();
        for cut in (0..bytes.len()).step_by(97) {
            assert!(read_snapshot(&mut &bytes[..cut], None).is_err(), "cut at {cut}");
        }
        for at in (0..bytes.len()).step_by(89) {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(read_snapshot(&mut damaged.as_slice(), None).is_err(), "byte {at}");
        }
    }
}
