//! Damage to stored files, as a decaying medium does it: flipped bits and lost ends.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use crate::{Damage, Damaged, Random, files_matching, harm_file};

/// Files of the data directory whose paths match, sorted; none is an error.
pub(super) fn damage(data: &Path, damage: &Damage) -> io::Result<Vec<Damaged>> {
    let (Damage::FlipBits { files, .. } | Damage::Truncate { files, .. }) = damage;
    let chosen = files_matching(data, files)?;
    if chosen.is_empty() {
        let text = format!("no file of the data directory matches {files}");
        return Err(io::Error::new(io::ErrorKind::NotFound, text));
    }
    let mut random = Random::new(if let Damage::FlipBits { seed, .. } = damage { *seed } else { 0 });
    chosen.into_iter().map(|path| one(data, &path, damage, &mut random)).collect()
}

fn one(data: &Path, path: &Path, damage: &Damage, random: &mut Random) -> io::Result<Damaged> {
    let file = OpenOptions::new().read(true).write(true).open(data.join(path))?;
    let size = file.metadata()?.len();
    let offsets = harm_file(&file, size, damage, random)?;
    file.sync_all()?;
    Ok(Damaged { file: path.to_string_lossy().into_owned(), offsets, size })
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
