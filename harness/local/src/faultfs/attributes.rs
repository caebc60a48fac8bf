//! Attributes of files, between the directory's form, the kernel's and the system calls'.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{FileAttr, FileType, INodeNo, TimeOrNow};

use super::options::Owner;
use super::state::{Shared, os};

/// What is to change of a file's attributes.
#[derive(Debug)]
pub(super) struct AttributeChange {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub times: [Option<libc::timespec>; 2],
}

/// A file's attributes as the kernel wants them.
pub(super) fn attributes(shared: &Shared, metadata: &std::fs::Metadata) -> io::Result<FileAttr> {
    let (uid, gid) = match shared.options.owner {
        Owner::Same => (metadata.uid(), metadata.gid()),
        Owner::Single { uid, gid } => (uid, gid),
    };
    let kind = FileType::from_std(metadata.file_type()).ok_or_else(|| os(libc::EIO))?;
    Ok(FileAttr {
        ino: INodeNo(shared.number_of(metadata)),
        size: metadata.size(),
        blocks: metadata.blocks(),
        atime: time(metadata.atime(), metadata.atime_nsec()),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
        crtime: UNIX_EPOCH,
        kind,
        perm: (metadata.mode() & 0o7777) as u16,
        nlink: u32::try_from(metadata.nlink()).unwrap_or(u32::MAX),
        uid,
        gid,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    })
}

fn time(seconds: i64, nanos: i64) -> SystemTime {
    let nanos = Duration::from_nanos(nanos.unsigned_abs());
    match u64::try_from(seconds) {
        Ok(seconds) => UNIX_EPOCH + Duration::from_secs(seconds) + nanos,
        Err(_) => UNIX_EPOCH - Duration::from_secs(seconds.unsigned_abs()) + nanos,
    }
}

/// A time as `utimensat` wants it.
pub(super) fn timespec(time: TimeOrNow) -> libc::timespec {
    let time = match time {
        TimeOrNow::Now => return libc::timespec { tv_sec: 0, tv_nsec: libc::UTIME_NOW },
        TimeOrNow::SpecificTime(time) => time,
    };
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => libc::timespec { tv_sec: since.as_secs() as i64, tv_nsec: since.subsec_nanos().into() },
        Err(before) => {
            let before = before.duration();
            let whole = before.as_secs() as i64 + i64::from(before.subsec_nanos() > 0);
            let nanos = (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000;
            libc::timespec { tv_sec: -whole, tv_nsec: nanos.into() }
        }
    }
}
