//! Everything that the file system knows, shared by the threads that serve it and by the harness.
//!
//! Locks are taken in this order: gate, journal, tree, then one file's undo log. Only the gate is ever held
//! for the whole of an operation; a power loss holds it alone.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use fuser::Notifier;

use super::folders::Listing;
use super::journal::{Change, Journal};
use super::late::Late;
use super::options::Options;
use super::rules::Rules;
use super::tree::{FileState, ROOT, Tree};

/// A file that a program has open.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub file: Arc<File>,
    pub state: Arc<FileState>,
}

impl OpenFile {
    pub fn new(file: Arc<File>, state: Arc<FileState>) -> Self {
        *lock(&state.opened) = Arc::downgrade(&file);
        OpenFile { file, state }
    }
}

/// The file system.
#[derive(Debug)]
pub(super) struct Shared {
    pub root: PathBuf,
    /// Where removed files are kept until their removal is durable. Beside the root, so that it is on the same
    /// disk and not in sight.
    aside: PathBuf,
    next_aside: AtomicU64,
    /// Deletes what was kept aside: large files take long to delete.
    sweeper: Sender<PathBuf>,
    pub options: Options,
    tree: RwLock<Tree>,
    journal: Mutex<Journal>,
    handles: RwLock<HashMap<u64, Arc<OpenFile>>>,
    listings: RwLock<HashMap<u64, Arc<Listing>>>,
    next_handle: AtomicU64,
    /// Files with an undo log.
    dirty: Mutex<HashMap<u64, Arc<FileState>>>,
    /// Bytes remembered in all undo logs.
    pub undo_bytes: AtomicU64,
    gate: RwLock<()>,
    /// Raised by each power loss.
    pub epoch: AtomicU64,
    pub rules: Rules,
    /// Answers that slow calls get late.
    pub late: Late,
    /// Makes the kernel forget what it has cached; for that it may wait for answers.
    pub invalidations: Late,
    pub notifier: OnceLock<Notifier>,
}

impl Shared {
    pub fn new(root: &Path, options: Options) -> io::Result<Self> {
        let root = root.canonicalize()?;
        if !root.is_dir() {
            return Err(os(libc::ENOTDIR));
        }
        let aside = aside_of(&root)?;
        std::fs::create_dir_all(&aside)?;
        Ok(Shared {
            aside,
            root,
            next_aside: AtomicU64::new(0),
            sweeper: start_sweeper()?,
            rules: Rules::new(options.seed),
            options,
            tree: RwLock::new(Tree::new()),
            journal: Mutex::default(),
            handles: RwLock::default(),
            listings: RwLock::default(),
            next_handle: AtomicU64::new(1),
            dirty: Mutex::default(),
            undo_bytes: AtomicU64::new(0),
            gate: RwLock::new(()),
            epoch: AtomicU64::new(0),
            late: Late::start("squall-disk-late")?,
            invalidations: Late::start("squall-disk-inval")?,
            notifier: OnceLock::new(),
        })
    }

    /// To be held over whatever a power loss must see done or not done.
    pub fn enter(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps everybody out.
    pub fn stop_all(&self) -> RwLockWriteGuard<'_, ()> {
        self.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tree(&self) -> RwLockReadGuard<'_, Tree> {
        self.tree.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tree_mut(&self) -> RwLockWriteGuard<'_, Tree> {
        self.tree.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Held over each change of a folder, so that the journal has them in the order in which they happened.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    pub fn dirty(&self) -> MutexGuard<'_, HashMap<u64, Arc<FileState>>> {
        lock(&self.dirty)
    }

    /// A file's path in the machine's file system.
    pub fn path(&self, ino: u64) -> io::Result<PathBuf> {
        Ok(self.root.join(self.tree().path(ino)?))
    }

    /// A path that nothing has, to keep a removed file at.
    pub fn new_aside(&self) -> PathBuf {
        self.aside.join(self.next_aside.fetch_add(1, Relaxed).to_string())
    }

    /// Changes of folders up to this position have become durable.
    pub fn commit(&self, position: u64) {
        let committed = self.journal().commit(position);
        self.sweep(&committed);
    }

    /// Deletes what these changes kept aside.
    pub fn sweep(&self, changes: &[Change]) {
        for aside in changes.iter().filter_map(Change::aside) {
            // The sweeper lives as long as this does.
            self.sweeper.send(aside.clone()).ok();
        }
    }

    /// The number by which the kernel knows a file with these attributes.
    pub fn number_of(&self, metadata: &std::fs::Metadata) -> u64 {
        match metadata.ino() {
            // On some file systems 1 is an inode like any other.
            ROOT => u64::MAX,
            ino => ino,
        }
    }

    pub fn add_handle(&self, open: OpenFile) -> u64 {
        let handle = self.next_handle.fetch_add(1, Relaxed);
        self.handles.write().unwrap_or_else(PoisonError::into_inner).insert(handle, Arc::new(open));
        handle
    }

    pub fn handle(&self, handle: u64) -> io::Result<Arc<OpenFile>> {
        let handles = self.handles.read().unwrap_or_else(PoisonError::into_inner);
        handles.get(&handle).cloned().ok_or_else(|| os(libc::EBADF))
    }

    pub fn drop_handle(&self, handle: u64) {
        self.handles.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }

    /// A number for a program that reads a folder.
    pub fn new_listing(&self) -> u64 {
        self.next_handle.fetch_add(1, Relaxed)
    }

    /// What is in a folder, as it was when this program read it from its beginning.
    pub fn listing(&self, handle: u64, ino: u64, from_start: bool) -> io::Result<Arc<Listing>> {
        let known = || self.listings.read().unwrap_or_else(PoisonError::into_inner).get(&handle).cloned();
        if let Some(listing) = if from_start { None } else { known() } {
            return Ok(listing);
        }
        let listing = Arc::new(self.list(ino)?);
        self.listings.write().unwrap_or_else(PoisonError::into_inner).insert(handle, listing.clone());
        Ok(listing)
    }

    pub fn drop_listing(&self, handle: u64) {
        self.listings.write().unwrap_or_else(PoisonError::into_inner).remove(&handle);
    }

    /// Opens a file that exists for what a program wants to do with it.
    pub fn open(&self, ino: u64, flags: i32) -> io::Result<OpenFile> {
        let path = self.path(ino)?;
        let writes = flags & libc::O_ACCMODE != libc::O_RDONLY;
        let state = self.tree().state(ino).ok_or_else(|| os(libc::ESTALE))?;
        let mut options = OpenOptions::new();
        // Undoing a write needs to read what was there. The kernel says where to append; O_APPEND would
        // override it.
        options.read(true).write(writes).custom_flags(libc::O_NOFOLLOW);
        Ok(OpenFile::new(Arc::new(options.open(path)?), state))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.aside).ok();
    }
}

/// `data` is kept company by `.data.unsynced`.
fn aside_of(root: &Path) -> io::Result<PathBuf> {
    let name = root.file_name().ok_or_else(|| os(libc::EINVAL))?;
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".unsynced");
    Ok(root.with_file_name(hidden))
}

fn start_sweeper() -> io::Result<Sender<PathBuf>> {
    let (sweeper, paths) = std::sync::mpsc::channel::<PathBuf>();
    let sweep = move || {
        for path in paths {
            let removed = match path.symlink_metadata() {
                Ok(metadata) if metadata.is_dir() => std::fs::remove_dir_all(&path),
                Ok(_) => std::fs::remove_file(&path),
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                tracing::debug!("deleting {}: {error}", path.display());
            }
        }
    };
    std::thread::Builder::new().name("squall-disk-sweep".into()).spawn(sweep)?;
    Ok(sweeper)
}

/// Locks whatever a panicking thread left behind: each change is complete before its lock is released, or its
/// program is told that it failed.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error as programs know them. (`io::ErrorKind` alone has no number.)
pub(super) fn os(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}
