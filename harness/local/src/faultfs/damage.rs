//! Damage to what is stored: flipped bits and lost ends, once and for good.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

use squall_cluster::{Damage, Damaged, Error, Random, files_matching, harm_file};

use super::power::Forgotten;
use super::state::Shared;

impl Shared {
    /// Damages all files that match, in the order of their names.
    pub fn damage(&self, damage: &Damage) -> Result<Vec<Damaged>, Error> {
        let (Damage::FlipBits { files, .. } | Damage::Truncate { files, .. }) = damage;
        let chosen = files_matching(&self.root, files)
            .map_err(|error| Error::io("looking for files to damage", error))?;
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
        let offsets = harm_file(&file, size, damage, random)?;
        match damage {
            Damage::FlipBits { .. } => self.rules.counts.flipped_bits.add(offsets.len() as u64),
            Damage::Truncate { .. } => {
                self.rules.counts.truncated_bytes.add(offsets.first().map_or(0, |left| size - left));
            }
        }
        Ok(Damaged { file: path.to_string_lossy().into_owned(), offsets, size })
    }
}
