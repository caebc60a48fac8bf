//! What a node sees of the file system: the machine's own, with a /proc of its own and private `/tmp`, `/run`
//! and `/dev/shm`, its host names in `/etc/hosts`, and its data directory.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;

use crate::init;
use crate::protocol::{Failed, NodePlan, Plan};

/// Directories that every node has for itself.
pub(crate) const PRIVATE: [&str; 3] = ["/tmp", "/run", "/dev/shm"];

/// Mounts all of it in this process's fresh mount namespace.
pub(crate) fn make(plan: &Plan, node: &NodePlan) -> Result<(), Failed> {
    init::mount_proc()?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    // Shows the node's interfaces; where the machine's is covered in part the kernel forbids a fresh one.
    mount::<str, str, str, str>(Some("sysfs"), "/sys", Some("sysfs"), flags | MsFlags::MS_RDONLY, None).ok();
    let kept = open_covered(plan)?;
    for directory in PRIVATE {
        let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        match mount::<str, str, str, str>(Some("tmpfs"), directory, Some("tmpfs"), flags, Some("mode=1777")) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(error) => return Err(Failed::at(format!("mounting a private {directory}"))(error)),
        }
    }
    for (path, fd) in kept {
        show(path, &fd)?;
    }
    set_hosts(&plan.hosts)?;
    std::env::set_current_dir(&node.data)
        .map_err(failed(format!("entering the data directory {}", node.data.display())))
}

/// Whether a private directory will cover this path.
pub(crate) fn is_covered(path: &Path) -> bool {
    PRIVATE.iter().any(|directory| path.starts_with(directory) && path != Path::new(directory))
}

/// Opens what is to stay visible before it is covered.
fn open_covered(plan: &Plan) -> Result<Vec<(&Path, OwnedFd)>, Failed> {
    let mut kept = Vec::new();
    for path in plan.visible.iter().filter(|path| is_covered(path)) {
        match open(path.as_path(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()) {
            Ok(fd) => kept.push((path.as_path(), fd)),
            // An executable that was replaced since it was started; who needs it is told at its `exec`.
            Err(Errno::ENOENT) => {}
            Err(error) => return Err(Failed::at(format!("opening {}", path.display()))(error)),
        }
    }
    Ok(kept)
}

/// Binds what `fd` refers to back to its path.
fn show(path: &Path, fd: &OwnedFd) -> Result<(), Failed> {
    use std::os::fd::AsRawFd;
    let source = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let step = || format!("keeping {} visible", path.display());
    let folder = fs::metadata(&source).map_err(failed(step()))?.is_dir();
    let made = if folder {
        fs::create_dir_all(path)
    } else {
        path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| File::create(path).map(drop))
    };
    made.map_err(failed(step()))?;
    mount::<str, Path, str, str>(Some(&source), path, None, MsFlags::MS_BIND | MsFlags::MS_REC, None)
        .map_err(Failed::at(step()))
}

fn set_hosts(text: &str) -> Result<(), Failed> {
    let step = "writing /etc/hosts";
    let file = "/run/squall-hosts";
    fs::write(file, text).map_err(failed(step))?;
    match mount::<str, str, str, str>(Some(file), "/etc/hosts", None, MsFlags::MS_BIND, None) {
        // A machine without the file: there is nothing to put ours over, and names stay unknown.
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(error) => Err(Failed::at(step)(error)),
    }
}

/// Writes a file and the folders above it.
pub(crate) fn write_file(path: &Path, contents: OwnedFd) -> Result<(), Failed> {
    let step = || format!("writing {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed(step()))?;
    }
    let mut file = File::create(path).map_err(failed(step()))?;
    io::copy(&mut File::from(contents), &mut file).map(drop).map_err(failed(step()))
}

/// For `map_err` on the standard library's errors.
pub(crate) fn failed(step: impl Into<String>) -> impl FnOnce(io::Error) -> Failed {
    let step = step.into();
    move |error| Failed { step, errno: error.raw_os_error().unwrap_or(libc::EIO) }
}
