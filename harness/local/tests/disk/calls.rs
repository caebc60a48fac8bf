//! Without harm it is a file system like any other.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use crate::Case;
use crate::stage::{Stage, errno};

pub fn all() -> Vec<Case> {
    vec![
        Case { name: "files_hold_what_is_written", test: data },
        Case { name: "names_come_go_and_move", test: names },
        Case { name: "attributes_are_kept", test: attributes },
        Case { name: "folders_of_many_files_are_listed_and_removed", test: many },
        Case { name: "shared_maps_and_writes_agree", test: maps },
        Case { name: "files_without_names_live_while_open", test: nameless },
        Case { name: "the_directory_behind_holds_the_same", test: behind },
        Case { name: "locks_exclude", test: locks },
    ]
}

fn data(stage: &Stage) {
    let path = stage.path("f");
    let mut file = OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    file.write_all(b"hello").unwrap();
    file.seek(SeekFrom::Start(10)).unwrap();
    file.write_all(b"world").unwrap();
    assert_eq!(stage.read("f"), b"hello\0\0\0\0\0world");
    let mut appending = OpenOptions::new().append(true).open(&path).unwrap();
    appending.write_all(b"!").unwrap();
    file.write_all_at(b"W", 10).unwrap();
    appending.write_all(b"?").unwrap();
    assert_eq!(stage.read("f"), b"hello\0\0\0\0\0World!?");
    file.set_len(3).unwrap();
    assert_eq!(stage.read("f"), b"hel");
    stage.write("f", b"anew");
    assert_eq!(stage.read("f"), b"anew");
    // SAFETY: takes no memory.
    assert_eq!(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, 10_000) }, 0);
    assert_eq!(file.metadata().unwrap().len(), 10_000);
    let big: Vec<u8> = (0..3_000_000u32).map(|k| (k % 251) as u8).collect();
    stage.write("big", &big);
    assert_eq!(stage.read("big"), big);
    assert_eq!(errno(OpenOptions::new().write(true).create_new(true).open(&path)), libc::EEXIST);
}

fn names(stage: &Stage) {
    fs::create_dir_all(stage.path("a/b/c")).unwrap();
    stage.write("a/b/c/f", b"1");
    fs::rename(stage.path("a/b"), stage.path("moved")).unwrap();
    assert_eq!(stage.read("moved/c/f"), b"1");
    assert!(!stage.exists("a/b"));
    fs::hard_link(stage.path("moved/c/f"), stage.path("link")).unwrap();
    fs::remove_file(stage.path("moved/c/f")).unwrap();
    stage.write("link", b"2");
    assert_eq!(stage.read("link"), b"2");
    stage.write("other", b"3");
    fs::rename(stage.path("other"), stage.path("link")).unwrap();
    assert_eq!(stage.read("link"), b"3");
    std::os::unix::fs::symlink("link", stage.path("soft")).unwrap();
    assert_eq!(stage.read("soft"), b"3");
    assert_eq!(fs::read_link(stage.path("soft")).unwrap().to_str(), Some("link"));
    assert_eq!(errno(fs::remove_dir(stage.path("moved"))), libc::ENOTEMPTY);
    assert_eq!(errno(fs::remove_file(stage.path("moved"))), libc::EISDIR);
    fs::create_dir(stage.path("empty")).unwrap();
    fs::rename(stage.path("moved"), stage.path("empty")).unwrap();
    assert!(stage.exists("empty/c"));
    fs::remove_dir_all(stage.path("empty")).unwrap();
    assert_eq!(errno(fs::rename(stage.path("nothing"), stage.path("x"))), libc::ENOENT);
    let socket = std::os::unix::net::UnixListener::bind(stage.path("socket"));
    assert!(socket.is_ok());
}

fn attributes(stage: &Stage) {
    stage.write("f", b"12345");
    let path = stage.path("f");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
    File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
    let metadata = fs::metadata(&path).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o640);
    assert_eq!(metadata.modified().unwrap(), then);
    assert_eq!((metadata.len(), metadata.nlink()), (5, 1));
    // SAFETY: takes no memory.
    assert_eq!((metadata.uid(), metadata.gid()), unsafe { (libc::geteuid(), libc::getegid()) });
    let created =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o400).open(stage.path("g"));
    created.unwrap().write_all(b"through the first descriptor").unwrap();
    assert_eq!(fs::metadata(stage.path("g")).unwrap().mode() & 0o7777, 0o400);
}

fn many(stage: &Stage) {
    fs::create_dir(stage.path("d")).unwrap();
    for k in 0..2000 {
        stage.write(&format!("d/a-rather-long-name-that-fills-the-listing-{k:05}"), b"");
    }
    let listed = fs::read_dir(stage.path("d")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut listed: Vec<_> = listed.collect();
    listed.sort();
    listed.dedup();
    assert_eq!(listed.len(), 2000);
    // Removes while it lists.
    for entry in fs::read_dir(stage.path("d")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    fs::remove_dir(stage.path("d")).unwrap();
}

/// A file's pages as a program maps them.
pub struct Map {
    pub at: *mut u8,
    pub length: usize,
}

impl Map {
    pub fn of(file: &File, length: usize) -> Map {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let at = unsafe {
            libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, file.as_raw_fd(), 0)
        };
        assert_ne!(at, libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Map { at: at.cast(), length }
    }

    pub fn get(&self, at: usize) -> u8 {
        assert!(at < self.length);
        // SAFETY: within the mapping, which lives as long as `self`.
        unsafe { self.at.add(at).read_volatile() }
    }

    pub fn set(&self, at: usize, byte: u8) {
        assert!(at < self.length);
        // SAFETY: within the mapping, which lives as long as `self`.
        unsafe { self.at.add(at).write_volatile(byte) }
    }

    pub fn sync(&self) {
        // SAFETY: the mapping that was made above.
        assert_eq!(unsafe { libc::msync(self.at.cast(), self.length, libc::MS_SYNC) }, 0);
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: the mapping that was made above; nothing refers to it any more.
        unsafe { libc::munmap(self.at.cast(), self.length) };
    }
}

fn maps(stage: &Stage) {
    stage.write("f", &[1; 20_000]);
    let file = OpenOptions::new().read(true).write(true).open(stage.path("f")).unwrap();
    let map = Map::of(&file, 20_000);
    assert_eq!(map.get(9_000), 1);
    file.write_all_at(&[2; 100], 9_000).unwrap();
    assert_eq!(map.get(9_000), 2);
    map.set(15_000, 3);
    let mut byte = [0];
    file.read_exact_at(&mut byte, 15_000).unwrap();
    assert_eq!(byte, [3]);
    map.sync();
    assert_eq!(fs::read(stage.behind.join("f")).unwrap()[15_000], 3);
}

fn nameless(stage: &Stage) {
    stage.write("f", b"still here");
    let mut file = OpenOptions::new().read(true).write(true).open(stage.path("f")).unwrap();
    fs::remove_file(stage.path("f")).unwrap();
    stage.write("f", b"another");
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still here");
    file.write_all(b"!").unwrap();
    file.sync_all().unwrap();
    assert_eq!(file.metadata().unwrap().len(), 11);
    assert_eq!(stage.read("f"), b"another");
}

fn behind(stage: &Stage) {
    fs::create_dir(stage.path("d")).unwrap();
    stage.write("d/f", b"contents");
    assert_eq!(fs::read(stage.behind.join("d/f")).unwrap(), b"contents");
    fs::remove_file(stage.path("d/f")).unwrap();
    assert_eq!(fs::read_dir(stage.behind.join("d")).unwrap().count(), 0);
}

fn locks(stage: &Stage) {
    stage.write("f", b"");
    let lock = |file: &File| {
        // SAFETY: takes no memory.
        unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) }
    };
    let (one, other) = (File::open(stage.path("f")).unwrap(), File::open(stage.path("f")).unwrap());
    assert_eq!(lock(&one), 0);
    assert_eq!(lock(&other), -1);
    drop(one);
    assert_eq!(lock(&other), 0);
}
