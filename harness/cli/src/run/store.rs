//! The store: where a run's files go, and that nothing there is ever overwritten.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use squall_engine::Error;

/// The folder of one campaign at one time: `store/<campaign>/<time>`.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    /// The campaign's folder of this time.
    pub dir: PathBuf,
}

impl Store {
    /// Makes `root/<campaign>/<time>`, and points `root/latest` at it. Two campaigns that begin in the same
    /// second get folders of their own.
    pub(crate) fn create(root: &Path, campaign: &str, time: &str) -> Result<Store, Error> {
        let parent = root.join(campaign);
        fs::create_dir_all(&parent)
            .map_err(|e| Error::io(format!("the store {} cannot be written", parent.display()), e))?;
        for attempt in 0..100 {
            let name = if attempt == 0 { time.to_owned() } else { format!("{time}-{attempt}") };
            let dir = parent.join(&name);
            match fs::create_dir(&dir) {
                Ok(()) => {
                    point_latest(root, &Path::new(campaign).join(&name))?;
                    return Ok(Store { dir });
                }
                Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(e) => return Err(Error::io(format!("{} cannot be created", dir.display()), e)),
            }
        }
        Err(Error::Broken(format!("{} has no room for another run at {time}", parent.display())))
    }
}

/// `latest` is a link; where there cannot be one, the store does without.
fn point_latest(root: &Path, to: &Path) -> Result<(), Error> {
    let link = root.join("latest");
    let fresh = root.join(format!(".latest.{}", std::process::id()));
    if fs::symlink_metadata(&link).is_ok_and(|m| !m.file_type().is_symlink()) {
        // Somebody's own file or folder of that name is not ours to replace.
        return Ok(());
    }
    // Renaming over it is atomic: whoever reads it meanwhile sees the old or the new.
    std::os::unix::fs::symlink(to, &fresh)
        .and_then(|()| fs::rename(&fresh, &link))
        .map_err(|e| Error::io(format!("{} cannot be set", link.display()), e))
}

/// Writes a file whole or not at all: a reader never sees half of it, and a full disk leaves the old one.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), Error> {
    let failed = |e| Error::io(format!("{} cannot be written", path.display()), e);
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let written = fs::File::create(&partial).and_then(|mut file| {
        file.write_all(contents)?;
        file.sync_data()
    });
    written.and_then(|()| fs::rename(&partial, path)).map_err(|e| {
        let _ = fs::remove_file(&partial);
        failed(e)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_campaigns_in_one_second_do_not_meet() {
        let root = tempfile::tempdir().unwrap();
        let a = Store::create(root.path(), "nightly", "20260101T000000Z").unwrap();
        let b = Store::create(root.path(), "nightly", "20260101T000000Z").unwrap();
        assert_ne!(a.dir, b.dir);
        assert_eq!(fs::canonicalize(root.path().join("latest")).unwrap(), fs::canonicalize(&b.dir).unwrap());
    }

    #[test]
    fn a_folder_named_latest_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("latest")).unwrap();
        Store::create(root.path(), "c", "t").unwrap();
        assert!(root.path().join("latest").is_dir());
    }
}
