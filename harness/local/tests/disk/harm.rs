//! Faults that stand, and damage: each measured from outside.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use squall_cluster::{Damage, DiskCall, DiskError, DiskFault};

use crate::Case;
use crate::stage::{self, Stage, errno, eventually};

pub fn all() -> Vec<Case> {
    vec![
        Case { name: "chosen_calls_fail_on_chosen_files_until_healed", test: refused },
        Case { name: "refused_writes_have_no_effect", test: refused_write },
        Case { name: "a_share_of_calls_is_refused", test: share },
        Case { name: "a_full_disk_takes_nothing_new", test: full },
        Case { name: "slow_syncs_are_slow_and_nothing_else_is", test: slow },
        Case { name: "throughput_is_bounded", test: throughput },
        Case { name: "stale_blocks_read_as_they_were", test: stale },
        Case { name: "flipped_bits_are_counted_and_seen", test: flipped },
        Case { name: "truncated_files_lose_their_ends", test: truncated },
        Case { name: "damage_to_no_file_is_an_error", test: no_match },
        Case { name: "a_server_that_dies_leaves_nobody_waiting", test: server_killed },
    ]
}

fn refuse(calls: &[DiskCall], files: &str, error: DiskError) -> DiskFault {
    DiskFault::Refuse { calls: calls.to_vec(), files: files.into(), error, share: 1.0 }
}

fn refused(stage: &Stage) {
    fs::create_dir(stage.path("d")).unwrap();
    stage.write("d/f.wal", b"data");
    stage.write("d/other", b"data");
    let open = |name: &str| OpenOptions::new().read(true).write(true).open(stage.path(name));
    let (chosen, other) = (open("d/f.wal").unwrap(), open("d/other").unwrap());
    let all = |file: &File, name: &str| {
        let path = stage.path(name);
        [
            (DiskCall::Fsync, errno(file.sync_data())),
            (DiskCall::Write, errno(file.write_all_at(b"x", 0))),
            (DiskCall::Truncate, errno(file.set_len(4))),
            (DiskCall::Open, errno(File::open(&path))),
            (
                DiskCall::Rename,
                errno(
                    fs::rename(&path, stage.path("d/x")).and_then(|()| fs::rename(stage.path("d/x"), &path)),
                ),
            ),
        ]
    };
    for error in
        [(DiskError::Io, libc::EIO), (DiskError::NoSpace, libc::ENOSPC), (DiskError::ReadOnly, libc::EROFS)]
    {
        for (call, _) in all(&other, "d/other") {
            stage.faults(&[refuse(&[call], "d/*.wal", error.0)]);
            for (made, got) in all(&chosen, "d/f.wal") {
                assert_eq!(got, if made == call { error.1 } else { 0 }, "{made:?} while {call:?} is refused");
            }
            assert!(all(&other, "d/other").iter().all(|(_, got)| *got == 0), "{call:?}");
        }
    }
    stage.faults(&[refuse(
        &[DiskCall::Create, DiskCall::Remove, DiskCall::FsyncFolder],
        "**",
        DiskError::Io,
    )]);
    assert_eq!(errno(fs::write(stage.path("new"), b"")), libc::EIO);
    assert_eq!(errno(fs::create_dir(stage.path("new"))), libc::EIO);
    assert_eq!(errno(fs::remove_file(stage.path("d/other"))), libc::EIO);
    assert_eq!(errno(File::open(stage.path("d")).unwrap().sync_all()), libc::EIO);
    let counters = stage.counters();
    assert_eq!((counters.no_space_errors, counters.read_only_errors, counters.io_errors), (5, 5, 9));
    stage.faults(&[]);
    assert!(all(&chosen, "d/f.wal").iter().all(|(_, got)| *got == 0));
}

fn refused_write(stage: &Stage) {
    stage.write("f", b"before");
    let file = OpenOptions::new().read(true).write(true).open(stage.path("f")).unwrap();
    stage.faults(&[refuse(&[DiskCall::Write], "f", DiskError::Io)]);
    assert_eq!(errno(file.write_all_at(b"after!", 0)), libc::EIO);
    stage.faults(&[]);
    drop(file);
    assert_eq!(stage.read("f"), b"before");
    stage.faults(&[refuse(&[DiskCall::Read], "f", DiskError::Io)]);
    assert_eq!(errno(fs::read(stage.path("f"))), libc::EIO);
}

fn share(stage: &Stage) {
    stage.write("f", b"");
    let file = OpenOptions::new().write(true).open(stage.path("f")).unwrap();
    let fault = |share| DiskFault::Refuse {
        calls: vec![DiskCall::Write],
        files: "*".into(),
        error: DiskError::Io,
        share,
    };
    stage.faults(&[fault(0.2)]);
    let failed = (0..5_000).filter(|_| file.write_at(b"x", 0).is_err()).count();
    assert!((850..1150).contains(&failed), "{failed} of 5000");
    assert_eq!(stage.counters().io_errors, failed as u64);
}

fn full(stage: &Stage) {
    stage.write("f", &[1; 8192]);
    stage.faults(&[DiskFault::Full]);
    let file = OpenOptions::new().write(true).open(stage.path("f")).unwrap();
    file.write_all_at(&[2; 8192], 0).unwrap();
    file.sync_all().unwrap();
    assert_eq!(errno(file.write_all_at(&[3; 10], 8190)), libc::ENOSPC);
    assert_eq!(errno(fs::write(stage.path("g"), b"")), libc::ENOSPC);
    assert_eq!(errno(fs::create_dir(stage.path("d"))), libc::ENOSPC);
    assert_eq!(errno(file.set_len(10_000)), libc::ENOSPC);
    fs::rename(stage.path("f"), stage.path("h")).unwrap();
    let stat = nix::sys::statvfs::statvfs(&stage.data).unwrap();
    assert_eq!(stat.blocks_available(), 0);
    fs::remove_file(stage.path("h")).unwrap();
    assert_eq!(stage.counters().no_space_errors, 4);
    stage.faults(&[]);
    stage.write("g", b"room again");
}

fn slow(stage: &Stage) {
    let delay = Duration::from_millis(150);
    let jitter = Duration::from_millis(10);
    stage.faults(&[DiskFault::Slow { calls: vec![DiskCall::Fsync], files: "slow*".into(), delay, jitter }]);
    let other = File::create(stage.path("other")).unwrap();
    // More at a time than there are threads that serve: they must not hold up other calls.
    let files: Vec<File> = (0..8).map(|k| File::create(stage.path(&format!("slow{k}"))).unwrap()).collect();
    let sync = |file: &File| {
        let start = Instant::now();
        file.sync_data().unwrap();
        start.elapsed()
    };
    let mut writes = 0;
    std::thread::scope(|scope| {
        let syncs: Vec<_> = files.iter().map(|file| scope.spawn(|| sync(file))).collect();
        while stage.counters().delayed < 8 {
            std::thread::yield_now();
        }
        while !syncs.iter().any(|sync| sync.is_finished()) {
            other.write_all_at(b"x", 0).unwrap();
            writes += 1;
        }
        for sync in syncs {
            assert!(sync.join().unwrap() >= delay);
        }
    });
    assert!(writes > 0, "nothing else got through meanwhile");
}

fn throughput(stage: &Stage) {
    stage.faults(&[DiskFault::Throughput { bytes_per_second: 1 << 20 }]);
    let start = Instant::now();
    let mut file = File::create(stage.path("f")).unwrap();
    for _ in 0..4 {
        file.write_all(&[7; 65_536]).unwrap();
    }
    assert!(start.elapsed() >= Duration::from_millis(250), "{:?} for 256 KiB at 1 MiB/s", start.elapsed());
}

fn stale(stage: &Stage) {
    stage.write("f", &[1; 8192]);
    stage.write("other", &[1; 8192]);
    stage.faults(&[DiskFault::StaleReads { files: "f".into(), share: 1.0 }]);
    let open = |name: &str| OpenOptions::new().read(true).write(true).open(stage.path(name)).unwrap();
    let (chosen, other) = (open("f"), open("other"));
    chosen.write_all_at(&[2; 100], 0).unwrap();
    other.write_all_at(&[2; 100], 0).unwrap();
    let byte = |file: &File, at| {
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).unwrap();
        byte[0]
    };
    eventually("a stale read", || byte(&chosen, 0) == 1);
    assert_eq!((byte(&chosen, 5000), byte(&other, 0)), (1, 2));
    assert!(stage.counters().stale_blocks > 0);
    stage.faults(&[]);
    assert_eq!(byte(&chosen, 0), 2);
    assert_eq!(stage.read("f")[..100], [2; 100]);
}

fn flipped(stage: &Stage) {
    fs::create_dir(stage.path("wal")).unwrap();
    let contents: Vec<u8> = (0..100_000u32).map(|k| (k * 7) as u8).collect();
    for name in ["wal/a", "wal/b", "snapshot"] {
        stage.write_durably(name, &contents);
    }
    // Held open and cached: the damage is to be seen all the same.
    let open = File::open(stage.path("wal/a")).unwrap();
    let mut before = vec![0; contents.len()];
    open.read_exact_at(&mut before, 0).unwrap();
    let damage = Damage::FlipBits { files: "wal/*".into(), bits: 3, seed: 9 };
    let damaged = stage.disk.do_damage(&damage).unwrap();
    assert_eq!(damaged.iter().map(|one| one.file.as_str()).collect::<Vec<_>>(), ["wal/a", "wal/b"]);
    let mut after = vec![0; contents.len()];
    open.read_exact_at(&mut after, 0).unwrap();
    let bits: u32 = after.iter().zip(&contents).map(|(one, other)| (one ^ other).count_ones()).sum();
    assert_eq!(bits, 3);
    for offset in &damaged[0].offsets {
        assert_ne!(after[*offset as usize], contents[*offset as usize]);
    }
    assert_eq!(stage.read("snapshot"), contents);
    assert_eq!(stage.counters().flipped_bits, 6);
    // Damage is for good.
    stage.cut_power();
    stage.faults(&[]);
    assert_eq!(stage.read("wal/a"), after);
}

fn truncated(stage: &Stage) {
    stage.write_durably("f.snap", &[1; 1000]);
    stage.write_durably("small.snap", &[1; 10]);
    let damaged = stage.disk.do_damage(&Damage::Truncate { files: "*.snap".into(), bytes: 100 }).unwrap();
    assert_eq!((damaged[0].size, damaged[0].offsets.as_slice()), (1000, [900].as_slice()));
    assert_eq!((stage.read("f.snap").len(), stage.read("small.snap").len()), (900, 0));
    assert_eq!(stage.counters().truncated_bytes, 110);
}

fn no_match(stage: &Stage) {
    stage.write("f", b"");
    let damage = Damage::FlipBits { files: "nothing*".into(), bits: 1, seed: 0 };
    assert!(stage.disk.do_damage(&damage).is_err());
}

/// The actor: serves a disk of its own whose syncs take an hour, and waits to be killed.
pub fn serve_and_wait(arguments: &[String]) {
    let stage = Stage::set(arguments[0].as_ref(), stage::options());
    stage.faults(&[DiskFault::Slow {
        calls: vec![DiskCall::Fsync],
        files: "**".into(),
        delay: Duration::from_secs(3600),
        jitter: Duration::ZERO,
    }]);
    println!("serving");
    std::thread::park();
}

fn server_killed(_: &Stage) {
    let folder = tempfile::tempdir().unwrap();
    let myself = std::env::current_exe().unwrap();
    let mut server = Command::new(myself);
    server.args(["actor", "serve"]).arg(folder.path()).stdout(Stdio::piped());
    let mut server = server.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "serving\n");
    let file = File::create(folder.path().join("mount/f")).unwrap();
    file.write_all_at(b"data", 0).unwrap();
    std::thread::scope(|scope| {
        let (sending, sent) = std::sync::mpsc::channel();
        let file = &file;
        let waiting = scope.spawn(move || {
            sending.send(()).unwrap();
            errno(file.sync_all())
        });
        sent.recv().unwrap();
        // Whether the sync is already under way or comes too late, it must come back.
        std::thread::sleep(Duration::from_millis(20));
        server.kill().unwrap();
        server.wait().unwrap();
        assert!([libc::ECONNABORTED, libc::ENOTCONN].contains(&waiting.join().unwrap()));
    });
    assert_eq!(errno(file.write_all_at(b"x", 0)), libc::ENOTCONN);
    drop(file);
    let target =
        std::ffi::CString::new(folder.path().join("mount").into_os_string().into_encoded_bytes()).unwrap();
    // SAFETY: a C string.
    assert_eq!(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }, 0);
}
