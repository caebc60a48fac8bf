//! Data of files: reading, writing, resizing, syncing.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use super::power::Forgotten;
use super::state::{OpenFile, Shared, lock, os};
use super::tree::FileState;
use super::undo::Undo;

/// How long after a write the kernel is made to forget it, if it is to be read stale: by then it has been answered.
const FORGET_WRITTEN_AFTER: Duration = Duration::from_millis(1);

impl Shared {
    /// Reads up to `size` bytes.
    pub fn read(&self, open: &OpenFile, offset: u64, size: usize) -> io::Result<Vec<u8>> {
        self.rules.counts.reads.add(1);
        let mut data = vec![0; size];
        let mut done = 0;
        while done < size {
            match open.file.read_at(&mut data[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        data.truncate(done);
        let stale = lock(&open.state.stale);
        if !stale.is_empty() {
            self.rules.counts.stale_blocks.add(stale.overlay(offset, &mut data));
        }
        Ok(data)
    }

    /// Writes all of `data`, or nothing that a power loss would not undo.
    pub fn write(self: &Arc<Self>, open: &OpenFile, offset: u64, data: &[u8]) -> io::Result<()> {
        let length = data.len() as u64;
        self.rules.counts.writes.add(1);
        self.keep_stale(open, offset, length)?;
        self.change(
            &open.state,
            |undo| undo.record_write(&open.file, offset, length),
            || open.file.write_all_at(data, offset),
        )?;
        self.rules.counts.written_bytes.add(length);
        Ok(())
    }

    /// Keeps what is about to be overwritten if it is to be read stale later.
    fn keep_stale(self: &Arc<Self>, open: &OpenFile, offset: u64, length: u64) -> io::Result<()> {
        if !self.rules.any() {
            return Ok(());
        }
        let Ok(path) = self.tree().path(open.state.ino) else { return Ok(()) };
        let Some(share) = self.rules.stale_share(path.as_os_str().as_encoded_bytes()) else { return Ok(()) };
        let chosen = || self.rules.hits(share);
        lock(&open.state.stale).keep(&open.file, offset, length, chosen)?;
        // The kernel has cached what is being written and would answer reads with it.
        let (shared, ino) = (Arc::downgrade(self), open.state.ino);
        self.invalidations.after(FORGET_WRITTEN_AFTER, move || {
            let forgotten = Forgotten { inodes: [ino].into(), ..Forgotten::default() };
            if let Some(shared) = shared.upgrade() {
                shared.let_kernel_forget(&forgotten);
            }
        });
        Ok(())
    }

    /// From now on everything reads as it was written last.
    pub fn forget_stale_blocks(&self) {
        let states = self.tree().states();
        let stale = states.iter().filter(|state| {
            let mut stale = lock(&state.stale);
            let any = !stale.is_empty();
            stale.clear();
            any
        });
        let inodes = stale.map(|state| state.ino).collect();
        self.let_kernel_forget(&Forgotten { inodes, ..Forgotten::default() });
    }

    /// Whether a write needs more room than the file has.
    pub fn grows(&self, open: &OpenFile, offset: u64, length: u64) -> bool {
        open.file.metadata().is_ok_and(|metadata| offset + length > metadata.len())
    }

    /// Changes a file's size.
    pub fn resize(&self, ino: u64, open: Option<&OpenFile>, size: u64) -> io::Result<()> {
        let (file, state) = match open {
            Some(open) => (open.file.clone(), open.state.clone()),
            None => {
                let state = self.tree().state(ino).ok_or_else(|| os(libc::ESTALE))?;
                let file = match self.path(ino) {
                    Ok(path) => Arc::new(OpenOptions::new().read(true).write(true).open(path)?),
                    Err(nameless) => lock(&state.opened).upgrade().ok_or(nameless)?,
                };
                (file, state)
            }
        };
        self.change(&state, |undo| undo.record_resize(&file, size), || file.set_len(size))
    }

    /// Reserves room, punches holes, or whatever `fallocate` does in this mode.
    pub fn allocate(&self, open: &OpenFile, offset: u64, length: u64, mode: i32) -> io::Result<()> {
        const KNOWN: i32 =
            libc::FALLOC_FL_KEEP_SIZE | libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE;
        if mode & !KNOWN != 0 {
            // Moving what follows could not be undone in place.
            return Err(os(libc::EOPNOTSUPP));
        }
        let allocate = || {
            let (Ok(from), Ok(bytes)) = (i64::try_from(offset), i64::try_from(length)) else {
                return Err(os(libc::EINVAL));
            };
            // SAFETY: takes no memory; the descriptor is open.
            match unsafe { libc::fallocate(open.file.as_raw_fd(), mode, from, bytes) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        let zeroes = mode & (libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_ZERO_RANGE) != 0;
        if zeroes {
            self.change(&open.state, |undo| undo.record_write(&open.file, offset, length), allocate)
        } else {
            // Only the size can change, and only upwards.
            let size = open.file.metadata()?.len();
            let size = if mode & libc::FALLOC_FL_KEEP_SIZE != 0 { size } else { size.max(offset + length) };
            self.change(&open.state, |undo| undo.record_resize(&open.file, size), allocate)
        }
    }

    /// Makes one change of a file and remembers how to undo it.
    fn change(
        &self,
        state: &Arc<FileState>,
        record: impl FnOnce(&mut Undo) -> io::Result<u64>,
        make: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let (remembered, made) = {
            let _gate = self.enter();
            let mut undo = lock(&state.undo);
            let first = undo.is_empty();
            let remembered = record(&mut undo)?;
            if first {
                self.dirty().insert(state.ino, state.clone());
            }
            // A change that fails may have been made in part, so what undoes it stays.
            (remembered, make())
        };
        let all = self.undo_bytes.fetch_add(remembered, Relaxed) + remembered;
        if all > self.options.undo_limit_bytes {
            self.write_back_down_to(self.options.undo_limit_bytes / 2);
        }
        made
    }

    /// Makes a file's data durable, and, if the journal has anything of the file, all changes of folders so far.
    pub fn sync(&self, open: &OpenFile, data_only: bool) -> io::Result<()> {
        let (mark, position, epoch) = {
            let _gate = self.enter();
            let mark = lock(&open.state.undo).mark();
            (mark, self.journal().position(), self.epoch.load(Relaxed))
        };
        if self.options.sync {
            // Here the program waits for the machine's disk, and nobody waits for this program.
            if data_only { open.file.sync_data()? } else { open.file.sync_all()? }
        }
        let _gate = self.enter();
        let commits = mark.metadata_changed || (mark.touched && !data_only);
        if commits && epoch == self.epoch.load(Relaxed) {
            self.commit(position);
        }
        self.make_durable(&open.state, |undo| undo.make_durable(mark));
        Ok(())
    }

    fn make_durable(&self, state: &FileState, durable: impl FnOnce(&mut Undo) -> u64) {
        let mut undo = lock(&state.undo);
        let freed = durable(&mut undo);
        self.undo_bytes.fetch_sub(freed, Relaxed);
        if undo.is_empty() {
            self.dirty().remove(&state.ino);
        }
    }

    /// Makes all changes of folders so far durable.
    pub fn sync_folder(&self, ino: u64) -> io::Result<()> {
        let (position, epoch) = {
            let _gate = self.enter();
            (self.journal().position(), self.epoch.load(Relaxed))
        };
        if self.options.sync {
            File::open(self.path(ino)?)?.sync_all()?;
        }
        let _gate = self.enter();
        if epoch == self.epoch.load(Relaxed) {
            self.commit(position);
        }
        Ok(())
    }

    /// What has waited since before this instant becomes durable, as kernels write back what is old.
    pub fn write_back_older_than(&self, instant: Instant) {
        let _gate = self.enter();
        let position = self.journal().position_before(instant);
        self.commit(position);
        let files: Vec<_> = self.dirty().values().cloned().collect();
        for state in files {
            let old = lock(&state.undo).since().is_some_and(|since| since < instant);
            if old {
                self.make_durable(&state, |undo| undo.make_durable(undo.mark()));
            }
        }
    }

    /// Makes the oldest data durable until no more than this is remembered.
    fn write_back_down_to(&self, bytes: u64) {
        let _gate = self.enter();
        let mut files: Vec<_> = self.dirty().values().cloned().collect();
        files.sort_by_key(|state| lock(&state.undo).since());
        for state in files {
            if self.undo_bytes.load(Relaxed) <= bytes {
                break;
            }
            self.make_durable(&state, |undo| undo.make_durable(undo.mark()));
        }
    }

    /// Bytes that a power loss would put at risk now.
    pub fn unsynced_bytes(&self) -> u64 {
        let files: Vec<_> = self.dirty().values().cloned().collect();
        files.iter().map(|state| lock(&state.undo).unsynced_bytes()).sum()
    }

    /// The attributes of a file, and whether it has a name.
    pub fn metadata(&self, ino: u64, open: Option<&OpenFile>) -> io::Result<(Metadata, bool)> {
        let path = self.path(ino);
        let named = path.is_ok();
        let metadata = match (open, path) {
            (Some(open), _) => open.file.metadata()?,
            (None, Ok(path)) => path.symlink_metadata()?,
            (None, Err(nameless)) => {
                let opened = self.tree().state(ino).and_then(|state| lock(&state.opened).upgrade());
                opened.ok_or(nameless)?.metadata()?
            }
        };
        Ok((metadata, named))
    }
}
