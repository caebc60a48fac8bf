//! Damage to one stored file, as a decaying medium does it: flipped bits and a lost end, once and for good.
//! What has to be known of the file beside (who has it open, who remembers it) is the caller's.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::{Damage, Glob, Random};

/// Files below a folder whose paths there match, sorted.
pub fn files_matching(root: &Path, files: &str) -> io::Result<Vec<PathBuf>> {
    let glob = Glob::new(files);
    let mut folders = vec![PathBuf::new()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
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

/// Damages a file of `size` bytes. Says where: each byte with a flipped bit, or the new end.
pub fn harm_file(file: &File, size: u64, damage: &Damage, random: &mut Random) -> io::Result<Vec<u64>> {
    match damage {
        Damage::FlipBits { bits, .. } => flip_bits(file, size, *bits, random),
        Damage::Truncate { bytes, .. } => {
            let left = size.saturating_sub(*bytes);
            file.set_len(left)?;
            Ok(if left < size { vec![left] } else { Vec::new() })
        }
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
