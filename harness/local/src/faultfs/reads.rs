//! Blocks of a file as they were before they were overwritten, for reads that are to be stale.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

const BLOCK: u64 = 4096;

/// The old contents of blocks that will read as if they had never been overwritten.
#[derive(Debug, Default)]
pub(super) struct StaleBlocks {
    blocks: HashMap<u64, Vec<u8>>,
    /// Blocks that were overwritten and were decided to read true.
    fresh: std::collections::HashSet<u64>,
}

impl StaleBlocks {
    /// Before a write: keeps each block that it touches for the first time and that `stale` chooses.
    pub fn keep(
        &mut self,
        file: &File,
        offset: u64,
        length: u64,
        mut stale: impl FnMut() -> bool,
    ) -> io::Result<()> {
        for block in offset / BLOCK..(offset + length).div_ceil(BLOCK) {
            if self.blocks.contains_key(&block) || self.fresh.contains(&block) {
                continue;
            }
            let mut old = vec![0; BLOCK as usize];
            let existed = file.read_at(&mut old, block * BLOCK)?;
            old.truncate(existed);
            // What was not there cannot be read: an appended block is never stale.
            if existed > 0 && stale() {
                self.blocks.insert(block, old);
            } else {
                self.fresh.insert(block);
            }
        }
        Ok(())
    }

    /// Puts old blocks over what was read at `offset`. Says how many.
    pub fn overlay(&self, offset: u64, data: &mut [u8]) -> u64 {
        let end = offset + data.len() as u64;
        let mut overlaid = 0;
        for block in offset / BLOCK..end.div_ceil(BLOCK) {
            let Some(old) = self.blocks.get(&block) else { continue };
            let from = offset.max(block * BLOCK);
            let to = end.min(block * BLOCK + old.len() as u64);
            if from < to {
                let source = &old[(from - block * BLOCK) as usize..(to - block * BLOCK) as usize];
                data[(from - offset) as usize..(to - offset) as usize].copy_from_slice(source);
                overlaid += 1;
            }
        }
        overlaid
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    pub fn clear(&mut self) {
        *self = StaleBlocks::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_blocks_read_as_they_were_first() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[1; 10_000], 0).unwrap();
        let mut stale = StaleBlocks::default();
        stale.keep(&file, 4000, 200, || true).unwrap();
        file.write_all_at(&[2; 200], 4000).unwrap();
        stale.keep(&file, 4000, 200, || true).unwrap();
        file.write_all_at(&[3; 200], 4000).unwrap();
        let mut data = vec![0; 10_000];
        file.read_exact_at(&mut data, 0).unwrap();
        assert_eq!(data[4100], 3);
        assert_eq!(stale.overlay(0, &mut data), 2);
        assert!(data.iter().all(|byte| *byte == 1));
        let mut part = vec![9; 10];
        assert_eq!(stale.overlay(9000, &mut part), 0);
        assert_eq!(part, [9; 10]);
    }
}
