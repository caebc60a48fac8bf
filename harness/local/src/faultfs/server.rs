//! The kernel's requests: decides what faults make of each, lets the file system do it, and answers.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fuser::{
    BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo,
    InitFlags, KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData,
    ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow,
    WriteFlags,
};
use squall_cluster::DiskCall;

use super::attributes::{AttributeChange, attributes, timespec};
use super::folders::Creator;
use super::journal::Place;
use super::rules::Decision;
use super::state::{OpenFile, Shared};

/// How long the kernel may believe what it was told. Changes that it did not ask for are announced to it.
const TTL: Duration = Duration::from_secs(1);

/// Inode numbers are those of the directory's file system, which does not use one for two living files.
const GENERATION: Generation = Generation(0);

/// Answers the kernel.
#[derive(Debug)]
pub(super) struct Server {
    shared: Arc<Shared>,
}

impl Server {
    pub fn new(shared: Arc<Shared>) -> Self {
        Server { shared }
    }

    /// What faults make of a call on a file.
    fn decide(&self, call: DiskCall, ino: u64, bytes: u64, grows: impl FnOnce() -> bool) -> Decision {
        if !self.shared.rules.any() {
            return Decision::default();
        }
        let path = self.shared.tree().path(ino).unwrap_or_default();
        self.shared.rules.decide(call, path.as_os_str().as_encoded_bytes(), bytes, grows())
    }

    /// What faults make of a call on a name.
    fn decide_place(&self, call: DiskCall, place: &Place, grows: bool) -> Decision {
        if !self.shared.rules.any() {
            return Decision::default();
        }
        let path = self.shared.tree().path_of(place).unwrap_or_default();
        self.shared.rules.decide(call, path.as_os_str().as_encoded_bytes(), 0, grows)
    }

    /// Does what a call asks, unless it is refused, and answers when it is time.
    fn answer<T: Send + 'static>(
        &self,
        decision: Decision,
        work: impl FnOnce() -> io::Result<T>,
        reply: impl FnOnce(Result<T, Errno>) + Send + 'static,
    ) {
        let result = match decision.refuse {
            Some(errno) => Err(Errno::from_i32(errno)),
            None => work().map_err(Errno::from),
        };
        self.shared.late.after(decision.delay, move || reply(result));
    }

    fn attributes(&self, metadata: &std::fs::Metadata) -> io::Result<FileAttr> {
        attributes(&self.shared, metadata)
    }

    /// The attributes of a file that has been looked up, whether it still has a name or not.
    fn known_attributes(&self, ino: u64, open: Option<&OpenFile>) -> io::Result<FileAttr> {
        let (metadata, named) = self.shared.metadata(ino, open)?;
        let attributes = self.attributes(&metadata)?;
        // What is kept aside has a name behind the scenes.
        Ok(if named { attributes } else { FileAttr { nlink: 0, ..attributes } })
    }

    fn answer_entry(
        &self,
        decision: Decision,
        work: impl FnOnce() -> io::Result<std::fs::Metadata>,
        reply: ReplyEntry,
    ) {
        let attributes = || {
            let metadata = work()?;
            self.attributes(&metadata)
        };
        self.answer(decision, attributes, move |result| match result {
            Ok(attributes) => reply.entry(&TTL, &attributes, GENERATION),
            Err(error) => reply.error(error),
        });
    }

    fn answer_empty(&self, decision: Decision, work: impl FnOnce() -> io::Result<()>, reply: ReplyEmpty) {
        self.answer(decision, work, move |result| match result {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        });
    }

    fn creator(&self, request: &Request, mode: u32) -> Creator {
        Creator { uid: request.uid(), gid: request.gid(), mode }
    }

    /// The parts of `setattr`, in the order in which the kernel's own file systems take them.
    fn set_attributes(&self, ino: u64, open: Option<&OpenFile>, change: &AttributeChange) -> io::Result<()> {
        if change.uid.is_some() || change.gid.is_some() {
            self.shared.set_owner(ino, change.uid, change.gid)?;
        }
        if let Some(mode) = change.mode {
            self.shared.set_mode(ino, open, mode)?;
        }
        if let Some(size) = change.size {
            self.shared.resize(ino, open, size)?;
        }
        if change.times.iter().any(Option::is_some) {
            self.shared.set_times(ino, change.times)?;
        }
        Ok(())
    }
}

fn place(parent: INodeNo, name: &OsStr) -> Place {
    Place { folder: parent.0, name: OsString::from(name) }
}

impl Filesystem for Server {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        // Not there in old kernels, and only a gain in speed.
        config.add_capabilities(InitFlags::FUSE_PARALLEL_DIROPS).ok();
        Ok(())
    }

    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let place = place(parent, name);
        self.answer_entry(Decision::default(), || self.shared.lookup(place), reply);
    }

    fn forget(&self, _: &Request, ino: INodeNo, times: u64) {
        self.shared.tree_mut().forget(ino.0, times);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, handle: Option<FileHandle>, reply: ReplyAttr) {
        let work = || {
            let open = handle.and_then(|handle| self.shared.handle(handle.0).ok());
            self.known_attributes(ino.0, open.as_deref())
        };
        match work() {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error.into()),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change =
            AttributeChange { mode, uid, gid, size, times: [atime.map(timespec), mtime.map(timespec)] };
        let open = handle.and_then(|handle| self.shared.handle(handle.0).ok());
        let decision = match size {
            None => Decision::default(),
            Some(size) => self.decide(DiskCall::Truncate, ino.0, 0, || {
                self.shared.metadata(ino.0, open.as_deref()).is_ok_and(|(metadata, _)| size > metadata.len())
            }),
        };
        let work = || {
            self.set_attributes(ino.0, open.as_deref(), &change)?;
            self.known_attributes(ino.0, open.as_deref())
        };
        self.answer(decision, work, move |result| match result {
            Ok(attributes) => reply.attr(&TTL, &attributes),
            Err(error) => reply.error(error),
        });
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        match self.shared.path(ino.0).and_then(std::fs::read_link) {
            Ok(target) => reply.data(target.as_os_str().as_encoded_bytes()),
            Err(error) => reply.error(error.into()),
        }
    }

    fn mknod(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        _device: u32,
        reply: ReplyEntry,
    ) {
        let place = place(parent, name);
        let decision = self.decide_place(DiskCall::Create, &place, true);
        self.answer_entry(decision, || self.shared.make_node(place, self.creator(request, mode)), reply);
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let place = place(parent, name);
        let decision = self.decide_place(DiskCall::Create, &place, true);
        self.answer_entry(decision, || self.shared.make_folder(place, self.creator(request, mode)), reply);
    }

    fn symlink(&self, request: &Request, parent: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        let place = place(parent, name);
        let decision = self.decide_place(DiskCall::Create, &place, true);
        let creator = self.creator(request, 0o777);
        self.answer_entry(decision, || self.shared.make_symlink(place, target, creator), reply);
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let place = place(parent, name);
        let decision = self.decide_place(DiskCall::Create, &place, true);
        self.answer_entry(decision, || self.shared.link(ino.0, place), reply);
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let place = place(parent, name);
        let decision = self.decide_place(DiskCall::Remove, &place, false);
        self.answer_empty(decision, || self.shared.remove(&place, false), reply);
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let place = place(parent, name);
        let decision = self.decide_place(DiskCall::Remove, &place, false);
        self.answer_empty(decision, || self.shared.remove(&place, true), reply);
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (place(parent, name), place(new_parent, new_name));
        let decision = self.decide_place(DiskCall::Rename, &from, false);
        self.answer_empty(decision, || self.shared.rename(&from, &to, flags.bits()), reply);
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let decision = self.decide(DiskCall::Open, ino.0, 0, || false);
        let work = || Ok(self.shared.add_handle(self.shared.open(ino.0, flags.0)?));
        self.answer(decision, work, move |result| match result {
            Ok(handle) => reply.opened(FileHandle(handle), FopenFlags::empty()),
            Err(error) => reply.error(error),
        });
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        _umask: u32,
        flags: i32,
        reply: ReplyCreate,
    ) {
        let place = place(parent, name);
        let decision = self.decide_place(DiskCall::Create, &place, true);
        let work = || {
            let (metadata, open) = self.shared.create(place, self.creator(request, mode), flags)?;
            Ok((self.attributes(&metadata)?, self.shared.add_handle(open)))
        };
        self.answer(decision, work, move |result| match result {
            Ok((attributes, handle)) => {
                reply.created(&TTL, &attributes, GENERATION, FileHandle(handle), FopenFlags::empty());
            }
            Err(error) => reply.error(error),
        });
    }

    fn read(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let decision = self.decide(DiskCall::Read, ino.0, size.into(), || false);
        let work = || self.shared.read(&*self.shared.handle(handle.0)?, offset, size as usize);
        self.answer(decision, work, move |result| match result {
            Ok(data) => reply.data(&data),
            Err(error) => reply.error(error),
        });
    }

    fn write(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let length = data.len() as u32;
        let open = match self.shared.handle(handle.0) {
            Ok(open) => open,
            Err(error) => return reply.error(error.into()),
        };
        let grows = || self.shared.grows(&open, offset, length.into());
        let decision = self.decide(DiskCall::Write, ino.0, length.into(), grows);
        let work = || self.shared.write(&open, offset, data);
        self.answer(decision, work, move |result| match result {
            Ok(()) => reply.written(length),
            Err(error) => reply.error(error),
        });
    }

    fn release(
        &self,
        _: &Request,
        _ino: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        _owner: Option<LockOwner>,
        _flush: bool,
        reply: ReplyEmpty,
    ) {
        self.shared.drop_handle(handle.0);
        reply.ok();
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Nothing is held back between writing and closing; the kernel need not ask again.
        reply.error(Errno::ENOSYS);
    }

    fn fsync(&self, _: &Request, ino: INodeNo, handle: FileHandle, data_only: bool, reply: ReplyEmpty) {
        let decision = self.decide(DiskCall::Fsync, ino.0, 0, || false);
        let work = || {
            let open = self.shared.handle(handle.0)?;
            self.shared.rules.counts.fsyncs.add(1);
            if decision.lost { Ok(()) } else { self.shared.sync(&open, data_only) }
        };
        self.answer_empty(decision, work, reply);
    }

    fn fsyncdir(&self, _: &Request, ino: INodeNo, _: FileHandle, _data_only: bool, reply: ReplyEmpty) {
        let decision = self.decide(DiskCall::FsyncFolder, ino.0, 0, || false);
        let work = || {
            self.shared.rules.counts.fsyncs.add(1);
            if decision.lost { Ok(()) } else { self.shared.sync_folder(ino.0) }
        };
        self.answer_empty(decision, work, reply);
    }

    fn fallocate(
        &self,
        _: &Request,
        ino: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let decision = self.decide(DiskCall::Truncate, ino.0, 0, || mode & libc::FALLOC_FL_PUNCH_HOLE == 0);
        let work = || self.shared.allocate(&*self.shared.handle(handle.0)?, offset, length, mode);
        self.answer_empty(decision, work, reply);
    }

    fn opendir(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(self.shared.new_listing()), FopenFlags::empty());
    }

    fn releasedir(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        self.shared.drop_listing(handle.0);
        reply.ok();
    }

    fn readdir(&self, _: &Request, ino: INodeNo, handle: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listing = match self.shared.listing(handle.0, ino.0, offset == 0) {
            Ok(listing) => listing,
            Err(error) => return reply.error(error.into()),
        };
        let parent = self.shared.tree().parent(ino.0);
        let dots = [
            (ino.0, Some(FileType::Directory), OsStr::new(".")),
            (parent, Some(FileType::Directory), OsStr::new("..")),
        ];
        let entries =
            listing.iter().map(|(ino, kind, name)| (*ino, FileType::from_std(*kind), name.as_os_str()));
        for (at, (ino, kind, name)) in dots.into_iter().chain(entries).enumerate().skip(offset as usize) {
            let Some(kind) = kind else { continue };
            if reply.add(INodeNo(ino), at as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        match nix::sys::statvfs::statvfs(&self.shared.root) {
            Ok(stat) => {
                let full = self.shared.rules.is_full();
                let free = |blocks: u64| if full { 0 } else { blocks };
                reply.statfs(
                    stat.blocks(),
                    free(stat.blocks_free()),
                    free(stat.blocks_available()),
                    stat.files(),
                    stat.files_free(),
                    stat.block_size() as u32,
                    stat.name_max() as u32,
                    stat.fragment_size() as u32,
                );
            }
            Err(error) => reply.error(Errno::from_i32(error as i32)),
        }
    }
}
