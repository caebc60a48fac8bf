//! Room on the disk that keeps the run, its log and (of local nodes) their data: a target that fills it is stopped
//! while there is still some left for the log. Where nodes are elsewhere, only what comes here is seen.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::stop::Stop;

/// With less than this left, a run does not go on.
const LEFT_MIN: u64 = 32 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What there is too little room for, once there is. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Room(Arc<OnceLock<String>>);

impl Room {
    /// Why the run cannot go on, if it cannot.
    pub fn trouble(&self) -> Option<String> {
        self.0.get().cloned()
    }

    /// Looks until there is too little, and then ends the run. `dir` is the run's folder.
    pub async fn watch(self, dir: PathBuf, nodes: Vec<String>, stop: Stop) {
        while left(&dir).is_none_or(|left| left >= LEFT_MIN) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let counted = tokio::task::spawn_blocking(move || text(&dir, &nodes)).await;
        let text = self.0.get_or_init(|| counted.unwrap_or_else(|_| "the disk is nearly full".to_owned()));
        stop.stop(text);
    }
}

/// Bytes that this process may still write there; none where nobody can say.
fn left(dir: &Path) -> Option<u64> {
    let stat = nix::sys::statvfs::statvfs(dir).ok()?;
    Some(stat.blocks_available() as u64 * stat.fragment_size() as u64)
}

fn text(dir: &Path, nodes: &[String]) -> String {
    let mebi = |bytes: u64| bytes >> 20;
    let mut sizes: Vec<(u64, &String)> =
        nodes.iter().map(|name| (size(&dir.join("nodes").join(name)), name)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let files: Vec<_> = sizes.iter().map(|(bytes, name)| format!("{name} {} MiB", mebi(*bytes))).collect();
    format!(
        "the disk that keeps the run is nearly full: {} MiB are left in {}. Files of nodes there: {}. Its log is whole; \
         `--store` puts the next run elsewhere",
        mebi(left(dir).unwrap_or(0)),
        dir.display(),
        files.join(", ")
    )
}

/// Bytes of all files below a folder, as far as they can be read. Links are not followed.
fn size(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let of = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => size(&entry.path()),
        Ok(meta) => std::os::unix::fs::MetadataExt::blocks(&meta) * 512,
        Err(_) => 0,
    };
    entries.flatten().map(of).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_takes_most_is_named_first() {
        let dir = tempfile::tempdir().unwrap();
        for (node, bytes) in [("n1", 1), ("n2", 3 << 20)] {
            let folder = dir.path().join("nodes").join(node).join("data");
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join("log"), vec![1; bytes]).unwrap();
        }
        let said = text(dir.path(), &["n1".into(), "n2".into(), "n3".into()]);
        assert!(said.contains("n2 3 MiB, n1 0 MiB, n3 0 MiB") && said.contains("are left in"), "{said}");
        assert!(left(dir.path()).is_some());
    }
}
