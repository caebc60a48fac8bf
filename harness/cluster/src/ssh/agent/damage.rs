//! Damage to stored files, as a decaying medium does it: flipped bits and lost ends.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Damage, Damaged, Glob};

/// Files of the data directory whose paths match, sorted; none is an error.
pub(super) fn damage(data: &Path, damage: &Damage) -> io::Result<Vec<Damaged>> {
    let (Damage::FlipBits { files, .. } | Damage::Truncate { files, .. }) = damage;
    let chosen = matching(data, &Glob::new(files))?;
    if chosen.is_empty() {
        let text = format!("no file of the data directory matches {files}");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let mut random = Random(if let Damage::FlipBits { seed, .. } = damage { *seed } else { 0 });
    chosen.into_iter().map(|path| one(data, &path, damage, &mut random)).collect()
}

fn matching(data: &Path, glob: &Glob) -> io::Result<Vec<PathBuf>> {
    let (mut folders, mut found) = (vec![PathBuf::new()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(data.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && glob.matches(path.as_os_str().as_encoded_bytes()) {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn one(data: &Path, path: &Path, damage: &Damage, random: &mut Random) -> io::Result<Damaged> {
    let file = OpenOptions::new().read(true).write(true).open(data.join(path))?;
    let size = file.metadata()?.len();
    let offsets = match damage {
        Damage::FlipBits { bits, .. } => flip(&file, size, *bits, random)?,
        Damage::Truncate { bytes, .. } => {
            let left = size.saturating_sub(*bytes);
            file.set_len(left)?;
            if left < size { vec![left] } else { Vec::new() }
        }
    };
    file.sync_all()?;
    Ok(Damaged { file: path.to_string_lossy().into_owned(), offsets, size })
}

/// How often a place is drawn anew because nothing was written there: logs reserve room that nobody reads.
const REDRAWS: u32 = 10_000;

fn flip(file: &File, size: u64, bits: u32, random: &mut Random) -> io::Result<Vec<u64>> {
    let mut chosen = std::collections::BTreeSet::new();
    let mut redraws = REDRAWS;
    while (chosen.len() as u64) < u64::from(bits).min(size * 8) {
        let bit = random.below(size * 8);
        let mut block = [0; 4096];
        let length = file.read_at(&mut block, bit / 8 / 4096 * 4096)?;
        if redraws > 0 && block[..length].iter().all(|byte| *byte == 0) {
            redraws -= 1;
            continue;
        }
        chosen.insert(bit);
    }
    for bit in &chosen {
        let mut byte = [0];
        file.read_exact_at(&mut byte, bit / 8)?;
        file.write_all_at(&[byte[0] ^ (1 << (bit % 8))], bit / 8)?;
    }
    Ok(chosen.into_iter().map(|bit| bit / 8).collect())
}

/// SplitMix64: a seed and nothing else decides where.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_flip_and_ends_are_lost_where_it_was_said() {
        let data = tempfile::tempdir().unwrap();
        std::fs::create_dir(data.path().join("wal")).unwrap();
        std::fs::write(data.path().join("wal/0"), [7; 100]).unwrap();
        std::fs::write(data.path().join("other"), [7; 100]).unwrap();
        let flip = Damage::FlipBits { files: "wal/*".into(), bits: 3, seed: 9 };
        let told = damage(data.path(), &flip).unwrap();
        let now = std::fs::read(data.path().join("wal/0")).unwrap();
        let differ: u32 = now.iter().map(|byte| (byte ^ 7).count_ones()).sum();
        assert_eq!((differ, told.len(), &*told[0].file), (3, 1, "wal/0"));
        assert!(told[0].offsets.iter().all(|at| now[*at as usize] != 7));
        assert_eq!(std::fs::read(data.path().join("other")).unwrap(), [7; 100]);
        damage(data.path(), &Damage::Truncate { files: "other".into(), bytes: 40 }).unwrap();
        assert_eq!(std::fs::metadata(data.path().join("other")).unwrap().len(), 60);
        assert!(damage(data.path(), &Damage::Truncate { files: "none".into(), bytes: 1 }).is_err());
    }
}
