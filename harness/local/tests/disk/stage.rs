//! Where a test plays: a data directory on a mount that only it can see.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use squall_cluster::{Disk, DiskCounters, DiskFault, PowerLoss};
use squall_local::faultfs::{FaultFs, Options, Owner, mount};

/// A mounted disk.
pub struct Stage {
    /// Where it is mounted: what programs see.
    pub data: PathBuf,
    /// The directory behind it.
    pub behind: PathBuf,
    pub disk: FaultFs,
}

/// What the machine lacks, if anything.
pub fn lacks() -> Option<String> {
    let myself = std::env::current_exe().expect("the test binary");
    let output = Command::new(myself).args(["actor", "probe"]).output().expect("starting myself");
    let said = String::from_utf8_lossy(&output.stderr);
    (!output.status.success()).then(|| said.lines().last().unwrap_or("a mount of FUSE").to_owned())
}

/// Another process on the stage, or beside it.
pub fn actor(name: &str) -> fn(&[String]) {
    match name {
        "probe" => |_| {
            if let Err(error) = enter_namespaces().and_then(|()| File::options().read(true).open("/dev/fuse"))
            {
                eprintln!("mounting FUSE: {error}");
                std::process::exit(1);
            }
        },
        "map" => crate::power::map_and_wait,
        "serve" => crate::harm::serve_and_wait,
        other => panic!("no actor {other}"),
    }
}

/// Sets the stage, plays, and strikes it.
pub fn play(test: fn(&Stage)) {
    enter_namespaces().expect("probed before");
    let folder = tempfile::tempdir().expect("a folder");
    let stage = Stage::set(folder.path(), options());
    test(&stage);
    stage.strike();
}

/// Small enough for every test; data is never written back by itself.
pub fn options() -> Options {
    // SAFETY: takes no memory.
    let root_outside = unsafe { libc::geteuid() } == 0 && !is_user_namespace();
    let owner = if root_outside { Owner::Same } else { Owner::Single { uid: 0, gid: 0 } };
    Options { owner, writeback_after: Duration::from_secs(3600), ..Options::default() }
}

fn is_user_namespace() -> bool {
    std::env::var_os("SQUALL_TEST_USERNS").is_some()
}

/// A mount namespace of its own, with a user namespace around it for those who are not root.
fn enter_namespaces() -> io::Result<()> {
    // SAFETY: none of these takes memory but C strings; the process has one thread.
    unsafe {
        let (uid, gid) = (libc::geteuid(), libc::getegid());
        if uid != 0 {
            check(libc::unshare(libc::CLONE_NEWUSER))?;
            std::fs::write("/proc/self/setgroups", "deny")?;
            std::fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
            std::fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
            std::env::set_var("SQUALL_TEST_USERNS", "1");
        }
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()))
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

impl Stage {
    pub fn set(folder: &Path, options: Options) -> Stage {
        let (data, behind) = (folder.join("mount"), folder.join("behind"));
        std::fs::create_dir_all(&data).expect("a folder");
        std::fs::create_dir_all(&behind).expect("a folder");
        let fuse = mount(&data).expect("probed before");
        let disk = FaultFs::serve(fuse, &behind, options).expect("serving");
        Stage { data, behind, disk }
    }

    /// Unmounts and waits for the server to notice.
    pub fn strike(&self) {
        let target = CString::new(self.data.as_os_str().as_bytes()).expect("no zero bytes");
        // SAFETY: a C string.
        check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).expect("unmounting");
        eventually("the end of the session", || self.disk.is_finished());
    }

    /// A path on the disk.
    pub fn path(&self, name: &str) -> PathBuf {
        self.data.join(name)
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("reading {name}: {error}"))
    }

    pub fn write(&self, name: &str, contents: &[u8]) {
        std::fs::write(self.path(name), contents).unwrap_or_else(|error| panic!("writing {name}: {error}"));
    }

    /// Writes a file, makes it durable with its name.
    pub fn write_durably(&self, name: &str, contents: &[u8]) {
        self.write(name, contents);
        self.sync(name);
    }

    pub fn sync(&self, name: &str) {
        File::open(self.path(name)).and_then(|file| file.sync_all()).expect("syncing");
    }

    pub fn exists(&self, name: &str) -> bool {
        self.path(name).symlink_metadata().is_ok()
    }

    pub fn cut_power(&self) -> squall_cluster::Discarded {
        self.disk.lose_power(PowerLoss::default()).expect("a power loss")
    }

    pub fn faults(&self, faults: &[DiskFault]) {
        self.disk.put_faults(faults).expect("faults");
    }

    pub fn counters(&self) -> DiskCounters {
        self.disk.counters()
    }
}

/// Waits until something holds, and fails after long enough to be sure that it never will.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(30), "never: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The error number of a call that must fail.
pub fn errno<T>(result: io::Result<T>) -> i32 {
    match result {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(-1),
    }
}
