//! Mounting inside a node.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The last argument of `mount(2)`, for the file system type `fuse`, with an open `/dev/fuse`. To be mounted by
/// root of the user namespace in which the descriptor was opened; `nosuid` and `nodev` are flags of the call.
/// Every user of the node may use the mount, within the permissions that its files say.
pub fn mount_options(fuse: BorrowedFd<'_>) -> String {
    let fd = fuse.as_raw_fd();
    format!("fd={fd},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other")
}

/// Mounts on a folder, in this process's namespaces, and returns the descriptor to be served: anywhere, but by
/// one process alone, and with no copy left open elsewhere.
pub fn mount(on: &Path) -> io::Result<OwnedFd> {
    let fuse = File::options().read(true).write(true).open("/dev/fuse")?;
    let target = CString::new(on.as_os_str().as_bytes())?;
    let options = CString::new(mount_options(fuse.as_fd()))?;
    // SAFETY: all are C strings.
    let mounted = unsafe {
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        libc::mount(c"squall".as_ptr(), target.as_ptr(), c"fuse".as_ptr(), flags, options.as_ptr().cast())
    };
    if mounted < 0 { Err(io::Error::last_os_error()) } else { Ok(fuse.into()) }
}
