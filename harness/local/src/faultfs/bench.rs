//! What the disk costs when no fault stands, and what a power loss takes.
//!
//! Measured in a process of its own, with a mount that only it can see, which is this executable, started
//! again: a program that wants these figures calls [`run_if_asked`] first thing in `main`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use squall_cluster::{Error, PowerLoss};

use super::{FaultFs, Options, Owner, mount};
pub use crate::clock::bench::Figure;

mod etcd;

/// The first argument of the process that measures.
const PART: &str = "squall-disk-bench";

/// If this process was started to measure, measures and ends the process.
pub fn run_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|part| part == PART) {
        let place = PathBuf::from(arguments.next().unwrap_or_default());
        let done = enter_namespaces().and_then(|owner| measure_here(&place, owner));
        if let Err(error) = &done {
            eprintln!("{error}");
        }
        std::process::exit(i32::from(done.is_err()));
    }
}

/// Measures in folders made for it in `place`, which should be on a real disk. Takes about a minute where
/// etcd is installed.
pub fn measure(place: &Path) -> Result<Vec<Figure>, Error> {
    let output = Command::new("/proc/self/exe").arg(PART).arg(place).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| Error::io("measuring the disk", error))?;
    if !output.status.success() {
        return Err(Error::Broken(format!("measuring the disk: {}", output.status)));
    }
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(lines.lines().filter_map(figure).collect())
}

/// A figure as the measuring process prints it.
fn figure(line: &str) -> Option<Figure> {
    let mut parts = line.split('\t');
    let (name, value, unit) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
    let unit = UNITS.into_iter().find(|known| *known == unit)?;
    Some(Figure::new(name, value, unit))
}

const UNITS: [&str; 4] = ["us", "ms", "puts/s", "ratio"];

fn row(name: &str, value: f64, unit: &'static str) {
    println!("{name}\t{value}\t{unit}");
}

/// A mount namespace of its own, with a user namespace around it for those who are not root.
fn enter_namespaces() -> io::Result<Owner> {
    // SAFETY: none of these takes memory but C strings; the process has one thread.
    unsafe {
        let (uid, gid) = (libc::geteuid(), libc::getegid());
        if uid != 0 {
            check(libc::unshare(libc::CLONE_NEWUSER))?;
            fs::write("/proc/self/setgroups", "deny")?;
            fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
            fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
        }
        check(libc::unshare(libc::CLONE_NEWNS))?;
        let private = libc::MS_REC | libc::MS_PRIVATE;
        check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), private, std::ptr::null()))?;
        Ok(if uid == 0 { Owner::Same } else { Owner::Single { uid: 0, gid: 0 } })
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// A folder that is gone when this is.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).ok();
    }
}

/// A served disk: where programs see it.
fn serve(folder: &Path, options: Options) -> io::Result<(PathBuf, FaultFs)> {
    let (seen, behind) = (folder.join("mount"), folder.join("behind"));
    fs::create_dir_all(&seen)?;
    fs::create_dir_all(&behind)?;
    let disk = FaultFs::serve(mount(&seen)?, &behind, options).map_err(io::Error::other)?;
    Ok((seen, disk))
}

fn measure_here(place: &Path, owner: Owner) -> io::Result<()> {
    let folder = Folder(place.join(format!(".squall-bench-{}", std::process::id())));
    let plain = folder.0.join("plain");
    fs::create_dir_all(&plain)?;
    let options = Options { owner, ..Options::default() };
    let (synced, disk) = serve(&folder.0.join("synced"), options.clone())?;
    let (lazy, lazy_disk) = serve(&folder.0.join("lazy"), Options { sync: false, ..options })?;
    for (name, path) in [("plain", &plain), ("faultfs", &synced), ("faultfs without sync", &lazy)] {
        calls(name, path)?;
    }
    power(&lazy, &lazy_disk)?;
    for (flags, what) in [(&[][..], "etcd puts"), (&["--unsafe-no-fsync"][..], "etcd puts without fsync")] {
        for clients in [1, 16] {
            let [plain, harmed] = etcd::in_turn([&plain, &synced], flags, clients)?;
            let Some((plain, harmed)) = plain.zip(harmed) else { continue };
            let name = format!("{what}, {clients} clients");
            row(&format!("{name}, plain"), plain, "puts/s");
            row(&format!("{name}, faultfs"), harmed, "puts/s");
            row(&format!("{name}, share of plain"), harmed / plain, "ratio");
        }
    }
    for (seen, disk) in [(synced, disk), (lazy, lazy_disk)] {
        let target = std::ffi::CString::new(seen.into_os_string().into_encoded_bytes())?;
        // SAFETY: a C string.
        check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) })?;
        while !disk.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(())
}

/// The middle and the 99th of 100 of what calls take, in microseconds.
fn quantiles(name: &str, calls: usize, mut call: impl FnMut(usize) -> io::Result<()>) -> io::Result<()> {
    let mut took = Vec::with_capacity(calls);
    for k in 0..calls {
        let start = Instant::now();
        call(k)?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
    }
    took.sort_by(f64::total_cmp);
    row(&format!("{name}, p50"), took[calls / 2], "us");
    row(&format!("{name}, p99"), took[calls * 99 / 100], "us");
    Ok(())
}

const MIB: u64 = 1 << 20;

/// A file of so many megabytes that is on the disk.
fn file_of(path: &Path, mib: u64) -> io::Result<File> {
    let file = File::create(path)?;
    for at in 0..mib {
        file.write_all_at(&vec![1; MIB as usize], at * MIB)?;
    }
    file.sync_all()?;
    Ok(file)
}

fn calls(name: &str, folder: &Path) -> io::Result<()> {
    let file = file_of(&folder.join("calls"), 64)?;
    let write = |k: usize| file.write_all_at(&[k as u8; 4096], (k as u64 * 4096) % (64 * MIB));
    quantiles(&format!("4 KiB write, {name}"), 5000, write)?;
    file.sync_all()?;
    quantiles(&format!("4 KiB overwrite and fdatasync, {name}"), 300, |k| {
        write(k)?;
        file.sync_data()
    })?;
    let appended = OpenOptions::new().append(true).create(true).open(folder.join("appended"))?;
    quantiles(&format!("4 KiB append and fdatasync, {name}"), 300, |k| {
        (&appended).write_all(&[k as u8; 4096])?;
        appended.sync_data()
    })?;
    quantiles(&format!("create, rename and remove, {name}"), 1000, |_| {
        File::create(folder.join("one"))?;
        fs::rename(folder.join("one"), folder.join("other"))?;
        fs::remove_file(folder.join("other"))
    })
}

/// A gigabyte that is durable, and a tail that is not.
fn power(folder: &Path, disk: &FaultFs) -> io::Result<()> {
    let files: io::Result<Vec<File>> =
        (0..16).map(|k| file_of(&folder.join(format!("file{k}")), 64)).collect();
    let files = files?;
    for tail_mib in [1u64, 8, 32] {
        for k in 0..tail_mib << 8 {
            files[(k % 16) as usize].write_all_at(&[0xff; 4096], k / 16 * 4096)?;
        }
        let start = Instant::now();
        let discarded = disk.lose_power(PowerLoss::default()).map_err(io::Error::other)?;
        let name = format!("power loss, 1 GiB with {tail_mib} MiB unsynced");
        row(&name, start.elapsed().as_secs_f64() * 1e3, "ms");
        if discarded.bytes != tail_mib * MIB {
            return Err(io::Error::other(format!("{} bytes were discarded", discarded.bytes)));
        }
    }
    Ok(())
}
