//! Damage to what is stored: flipped bits and lost ends, once and for good.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use squall_cluster::{Damage, Damaged, Error, Glob};

use super::power::Forgotten;
use super::random::Random;
use super::state::Shared;

impl Shared {
    /// Damages all files that match, in the order of their names.
    pub fn damage(&self, damage: &Damage) -> Result<Vec<Damaged>, Error> {
        let (Damage::FlipBits { files, .. } | Damage::Truncate { files, .. }) = damage;
        let chosen = self.matching(files).map_err(|error| Error::io("looking for files to damage", error))?;
        if chosen.is_empty() {
            return Err(Error::Invalid(format!("no file of the data directory matches {files}")));
        }
        let mut forgotten = Forgotten::default();
        let mut damaged = Vec::new();
        let mut random = Random::new(if let Damage::FlipBits { seed, .. } = damage { *seed } else { 0 });
        for path in chosen {
            let one = self.damage_file(damage, &path, &mut random, &mut forgotten);
            damaged.push(one.map_err(|error| Error::io(format!("damaging {}", path.display()), error))?);
        }
        self.let_kernel_forget(&forgotten);
        Ok(damaged)
    }

    fn damage_file(
        &self,
        damage: &Damage,
        path: &Path,
        random: &mut Random,
        forgotten: &mut Forgotten,
    ) -> io::Result<Damaged> {
        let _alone = self.stop_all();
        let file = OpenOptions::new().read(true).write(true).open(self.root.join(path))?;
        let metadata = file.metadata()?;
        forgotten.inodes.insert(self.number_of(&metadata));
        let size = metadata.len();
        let offsets = match damage {
            Damage::FlipBits { bits, .. } => {
                let flipped = flip_bits(&file, size, *bits, random)?;
                self.rules.counts.flipped_bits.add(flipped.len() as u64);
                flipped
            }
            Damage::Truncate { bytes, .. } => {
                let left = size.saturating_sub(*bytes);
                file.set_len(left)?;
                self.rules.counts.truncated_bytes.add(size - left);
                if left < size { vec![left] } else { Vec::new() }
            }
        };
        Ok(Damaged { file: path.to_string_lossy().into_owned(), offsets, size })
    }

    /// Files of the data directory whose paths match, sorted.
    fn matching(&self, files: &str) -> io::Result<Vec<PathBuf>> {
        let glob = Glob::new(files);
        let mut folders = vec![PathBuf::new()];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(self.root.join(&folder))? {
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
}

/// How much of a file is looked at to tell written data from room that was only reserved.
const BLOCK: u64 = 4096;
/// How often a place is drawn anew because nothing was written there: a file may be nothing but zeros.
const REDRAWS: u32 = 10_000;

/// Flips so many different bits, or all bits of a file that is that small. Says where. Blocks of zeros, such as
/// the room that logs reserve, are left alone as long as others can be found: nobody reads them.
fn flip_bits(file: &File, size: u64, bits: u32, random: &mut Random) -> io::Result<Vec<u64>> {
    let mut chosen = std::collections::BTreeSet::new();
    let mut redraws = REDRAWS;
    while (chosen.len() as u64) < u64::from(bits).min(size * 8) {
        let bit = random.below(size * 8);
        if redraws > 0 && is_blank(file, bit / 8 / BLOCK * BLOCK)? {
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

/// Whether a block holds nothing but zeros.
fn is_blank(file: &File, at: u64) -> io::Result<bool> {
    let mut block = [0; BLOCK as usize];
    let length = file.read_at(&mut block, at)?;
    Ok(block[..length].iter().all(|byte| *byte == 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_flip_where_something_is_written() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(&[7; 100], 12 * BLOCK).unwrap();
        let flipped = flip_bits(&file, 8 << 20, 3, &mut Random::new(1)).unwrap();
        assert_eq!(flipped.len(), 3);
        assert!(flipped.iter().all(|at| at / BLOCK == 12), "{flipped:?}");
        let empty = tempfile::tempfile().unwrap();
        empty.set_len(BLOCK).unwrap();
        assert_eq!(flip_bits(&empty, BLOCK, 3, &mut Random::new(1)).unwrap().len(), 3, "zeros, if need be");
    }
}
