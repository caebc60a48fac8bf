//! Names: creating, removing, renaming, linking; each remembered in the journal.

use std::ffi::{CString, OsStr};
use std::fs::{Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;

use super::journal::{Change, Place};
use super::options::Owner;
use super::state::{OpenFile, Shared, lock, os};

/// The entries of a folder as they were when a program began to read it: what it removes meanwhile must not
/// move the rest.
pub(super) type Listing = Vec<(u64, std::fs::FileType, std::ffi::OsString)>;

/// Who creates something, and with what permissions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Creator {
    pub uid: u32,
    pub gid: u32,
    pub mode: u32,
}

impl Shared {
    /// Finds a name. The kernel counts that it has learnt of the file.
    pub fn lookup(&self, place: Place) -> io::Result<Metadata> {
        let path = self.root.join(self.tree().path_of(&place)?);
        let metadata = path.symlink_metadata()?;
        self.tree_mut().learn(place, self.number_of(&metadata), metadata.is_dir());
        Ok(metadata)
    }

    /// Creates a file, or opens it if it is there and need not be new.
    pub fn create(&self, place: Place, creator: Creator, flags: i32) -> io::Result<(Metadata, OpenFile)> {
        let _gate = self.enter();
        let mut journal = self.journal();
        let path = self.root.join(self.tree().path_of(&place)?);
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let made = match options.clone().create_new(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && flags & libc::O_EXCL == 0 => None,
            made => Some(made?),
        };
        let file = match made {
            Some(file) => {
                self.give(&path, creator)?;
                file.set_permissions(Permissions::from_mode(creator.mode & 0o7777))?;
                journal
                    .push(Change::Appeared { place: place.clone(), ino: self.number_of(&file.metadata()?) });
                file
            }
            None => options.open(&path)?,
        };
        let metadata = file.metadata()?;
        let state = self.tree_mut().learn(place, self.number_of(&metadata), false);
        lock(&state.undo).metadata_changed();
        Ok((metadata, OpenFile::new(Arc::new(file), state)))
    }

    /// Creates a folder.
    pub fn make_folder(&self, place: Place, creator: Creator) -> io::Result<Metadata> {
        self.appear(place, |path| {
            std::fs::DirBuilder::new().mode(0o700).create(path)?;
            self.give(path, creator)?;
            std::fs::set_permissions(path, Permissions::from_mode(creator.mode & 0o7777))
        })
    }

    /// Creates a symbolic link.
    pub fn make_symlink(&self, place: Place, target: &Path, creator: Creator) -> io::Result<Metadata> {
        self.appear(place, |path| {
            std::os::unix::fs::symlink(target, path)?;
            self.give(path, creator)
        })
    }

    /// Creates a file, a pipe or a socket; devices are refused.
    pub fn make_node(&self, place: Place, creator: Creator) -> io::Result<Metadata> {
        let kind = creator.mode & libc::S_IFMT;
        if ![libc::S_IFREG, libc::S_IFIFO, libc::S_IFSOCK].contains(&kind) {
            return Err(os(libc::EPERM));
        }
        self.appear(place, |path| {
            let name = CString::new(path.as_os_str().as_bytes())?;
            // SAFETY: the path is a C string.
            if unsafe { libc::mknod(name.as_ptr(), kind | 0o600, 0) } < 0 {
                return Err(io::Error::last_os_error());
            }
            self.give(path, creator)?;
            std::fs::set_permissions(path, Permissions::from_mode(creator.mode & 0o7777))
        })
    }

    /// Gives a file one more name.
    pub fn link(&self, ino: u64, place: Place) -> io::Result<Metadata> {
        let existing = self.path(ino)?;
        self.appear(place, |path| std::fs::hard_link(&existing, path))
    }

    /// Makes a name appear and notes it.
    fn appear(&self, place: Place, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<Metadata> {
        let _gate = self.enter();
        let mut journal = self.journal();
        let path = self.root.join(self.tree().path_of(&place)?);
        make(&path)?;
        let metadata = path.symlink_metadata()?;
        let ino = self.number_of(&metadata);
        journal.push(Change::Appeared { place: place.clone(), ino });
        let state = self.tree_mut().learn(place, ino, metadata.is_dir());
        lock(&state.undo).metadata_changed();
        Ok(metadata)
    }

    /// Files belong to who creates them, as far as the server may give them away.
    fn give(&self, path: &Path, creator: Creator) -> io::Result<()> {
        match self.options.owner {
            Owner::Same => std::os::unix::fs::lchown(path, Some(creator.uid), Some(creator.gid)),
            Owner::Single { .. } => Ok(()),
        }
    }

    /// Removes a name; `folder` is what it must name.
    pub fn remove(&self, place: &Place, folder: bool) -> io::Result<()> {
        let _gate = self.enter();
        let mut journal = self.journal();
        let path = self.root.join(self.tree().path_of(place)?);
        let metadata = path.symlink_metadata()?;
        match (folder, metadata.is_dir()) {
            (true, false) => return Err(os(libc::ENOTDIR)),
            (false, true) => return Err(os(libc::EISDIR)),
            (true, true) => must_be_empty(&path)?,
            (false, false) => {}
        }
        let aside = self.new_aside();
        std::fs::rename(&path, &aside)?;
        let ino = self.number_of(&metadata);
        self.tree_mut().remove_name(ino, place);
        journal.push(Change::Removed { place: place.clone(), ino, aside });
        Ok(())
    }

    /// Moves a name, over another if need be; `flags` as `renameat2` has them.
    pub fn rename(&self, from: &Place, to: &Place, flags: u32) -> io::Result<()> {
        let _gate = self.enter();
        let mut journal = self.journal();
        let (source, target) = {
            let tree = self.tree();
            (self.root.join(tree.path_of(from)?), self.root.join(tree.path_of(to)?))
        };
        let ino = self.number_of(&source.symlink_metadata()?);
        let existing = target.symlink_metadata().ok();
        let change = match existing {
            Some(existing) if flags & libc::RENAME_EXCHANGE != 0 => {
                exchange(&source, &target)?;
                let inos = [ino, self.number_of(&existing)];
                Change::Exchanged { one: from.clone(), other: to.clone(), inos }
            }
            None if flags & libc::RENAME_EXCHANGE != 0 => return Err(os(libc::ENOENT)),
            Some(_) if flags & libc::RENAME_NOREPLACE != 0 => return Err(os(libc::EEXIST)),
            // Two names of one file: nothing happens.
            Some(existing) if self.number_of(&existing) == ino => return Ok(()),
            existing => {
                let replaced = match existing {
                    Some(existing) => {
                        Some((self.number_of(&existing), self.replace(&source, &target, &existing)?))
                    }
                    None => {
                        std::fs::rename(&source, &target)?;
                        None
                    }
                };
                Change::Renamed { from: from.clone(), to: to.clone(), ino, replaced }
            }
        };
        let mut tree = self.tree_mut();
        match &change {
            Change::Exchanged { inos: [one, other], .. } => {
                tree.move_name(*one, from, to);
                tree.move_name(*other, to, from);
            }
            Change::Renamed { replaced, .. } => {
                if let Some((replaced, _)) = replaced {
                    tree.remove_name(*replaced, to);
                }
                tree.move_name(ino, from, to);
            }
            Change::Appeared { .. } | Change::Removed { .. } => {}
        }
        if let Some(state) = tree.state(ino) {
            lock(&state.undo).metadata_changed();
        }
        journal.push(change);
        Ok(())
    }

    /// Moves `source` over `target` in one step, as far as anybody can see, and keeps what was there.
    fn replace(&self, source: &Path, target: &Path, existing: &Metadata) -> io::Result<std::path::PathBuf> {
        let aside = self.new_aside();
        if existing.is_dir() {
            if !source.symlink_metadata()?.is_dir() {
                return Err(os(libc::EISDIR));
            }
            must_be_empty(target)?;
            exchange(source, target)?;
            std::fs::rename(source, &aside)?;
        } else {
            if source.symlink_metadata()?.is_dir() {
                return Err(os(libc::ENOTDIR));
            }
            std::fs::hard_link(target, &aside)?;
            std::fs::rename(source, target)?;
        }
        Ok(aside)
    }

    /// What is in a folder now: number, kind and name of each entry.
    pub fn list(&self, ino: u64) -> io::Result<Listing> {
        let entries = std::fs::read_dir(self.path(ino)?)?;
        let listed = entries.map(|entry| {
            let entry = entry?;
            let number = self.number_of(&entry.metadata()?);
            Ok((number, entry.file_type()?, entry.file_name()))
        });
        // A file that is removed while the folder is read is in it or not.
        listed.filter(|entry| !matches!(entry, Err(error) if is_gone(error))).collect()
    }

    /// Changes a file's permissions.
    pub fn set_mode(&self, ino: u64, open: Option<&OpenFile>, mode: u32) -> io::Result<()> {
        let permissions = Permissions::from_mode(mode & 0o7777);
        match open {
            Some(open) => open.file.set_permissions(permissions),
            None => std::fs::set_permissions(self.path(ino)?, permissions),
        }
    }

    /// Gives a file to somebody else.
    pub fn set_owner(&self, ino: u64, uid: Option<u32>, gid: Option<u32>) -> io::Result<()> {
        match self.options.owner {
            Owner::Same => std::os::unix::fs::lchown(self.path(ino)?, uid, gid),
            Owner::Single { uid: own_uid, gid: own_gid } => {
                let stays = uid.is_none_or(|uid| uid == own_uid) && gid.is_none_or(|gid| gid == own_gid);
                if stays { Ok(()) } else { Err(os(libc::EPERM)) }
            }
        }
    }

    /// Changes a file's times: of reading and of writing. `None` leaves one as it is.
    pub fn set_times(&self, ino: u64, times: [Option<libc::timespec>; 2]) -> io::Result<()> {
        let omit = libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_OMIT };
        let times = times.map(|time| time.unwrap_or(omit));
        let path = CString::new(self.path(ino)?.as_os_str().as_bytes())?;
        // SAFETY: a C string and an array of two, as the call wants them.
        let done = unsafe {
            libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), libc::AT_SYMLINK_NOFOLLOW)
        };
        if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

fn must_be_empty(folder: &Path) -> io::Result<()> {
    match std::fs::read_dir(folder)?.next() {
        None => Ok(()),
        Some(_) => Err(os(libc::ENOTEMPTY)),
    }
}

/// Lets two names change places.
pub(super) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    let name = |path: &Path| CString::new(OsStr::as_bytes(path.as_os_str()));
    let (one, other) = (name(one)?, name(other)?);
    // SAFETY: both are C strings.
    let done = unsafe {
        let here = libc::AT_FDCWD;
        libc::renameat2(here, one.as_ptr(), here, other.as_ptr(), libc::RENAME_EXCHANGE)
    };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
