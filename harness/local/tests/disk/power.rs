//! What a power loss takes and what it leaves.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use squall_cluster::{DiskFault, PowerLoss, Torn};
use squall_local::faultfs::Options;

use crate::Case;
use crate::calls::Map;
use crate::stage::{Stage, eventually, options};

pub fn all() -> Vec<Case> {
    vec![
        Case { name: "unsynced_data_is_lost_and_synced_data_is_not", test: data },
        Case { name: "unsynced_names_are_lost_in_order", test: names },
        Case { name: "removed_files_come_back", test: removals },
        Case { name: "a_replaced_file_comes_back_until_the_folder_is_synced", test: replacement },
        Case { name: "a_synced_file_keeps_its_name_but_others_lose_their_data", test: journal },
        Case { name: "everything_works_after_a_power_loss", test: restart },
        Case { name: "synchronous_writes_are_durable", test: synchronous },
        Case { name: "torn_writes_end_at_sectors", test: torn },
        Case { name: "lost_syncs_are_found_out_by_a_power_loss", test: lost_sync },
        Case { name: "mapped_pages_of_a_killed_program_are_lost_unless_synced", test: killed },
        Case { name: "old_data_is_written_back", test: age },
        Case { name: "too_much_unsynced_data_is_written_back", test: limit },
        Case { name: "truncated_and_punched_data_comes_back", test: truncated },
    ]
}

fn data(stage: &Stage) {
    stage.write_durably("f", &[b'a'; 10_000]);
    let file = OpenOptions::new().write(true).open(stage.path("f")).unwrap();
    file.write_all_at(&[b'b'; 100], 50).unwrap();
    file.sync_data().unwrap();
    file.write_all_at(&[b'c'; 9_000], 5_000).unwrap();
    drop(file);
    assert_eq!(stage.counters().unsynced_bytes, 9_000);
    let discarded = stage.cut_power();
    assert_eq!((discarded.bytes, discarded.files, discarded.names), (9_000, 1, 0));
    assert!(discarded.writes >= 1, "the kernel may split a write");
    let mut expected = vec![b'a'; 10_000];
    expected[50..150].fill(b'b');
    assert_eq!(stage.read("f"), expected);
    let counters = stage.counters();
    assert_eq!((counters.power_losses, counters.discarded_bytes, counters.unsynced_bytes), (1, 9_000, 0));
}

fn names(stage: &Stage) {
    fs::create_dir(stage.path("kept")).unwrap();
    File::open(&stage.data).unwrap().sync_all().unwrap();
    fs::create_dir_all(stage.path("kept/lost/deep")).unwrap();
    stage.write("kept/lost/deep/f", b"gone");
    stage.write("also-lost", b"gone");
    fs::rename(stage.path("kept/lost/deep"), stage.path("moved")).unwrap();
    std::os::unix::fs::symlink("x", stage.path("soft")).unwrap();
    assert_eq!(stage.cut_power().names, 6);
    let left: Vec<_> = fs::read_dir(&stage.data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"]);
    for gone in ["kept/lost", "also-lost", "moved", "soft"] {
        assert!(!stage.exists(gone), "{gone}");
    }
}

fn removals(stage: &Stage) {
    fs::create_dir_all(stage.path("d/e")).unwrap();
    stage.write_durably("d/f", b"f");
    stage.write_durably("d/g", b"g");
    fs::remove_file(stage.path("d/f")).unwrap();
    stage.write("d/f", b"another");
    fs::remove_file(stage.path("d/f")).unwrap();
    fs::remove_dir_all(stage.path("d")).unwrap();
    assert!(!stage.exists("d"));
    stage.cut_power();
    assert_eq!((stage.read("d/f"), stage.read("d/g")), (b"f".to_vec(), b"g".to_vec()));
    assert!(stage.exists("d/e"));
    fs::remove_dir_all(stage.path("d")).unwrap();
    File::open(&stage.data).unwrap().sync_all().unwrap();
    assert_eq!(stage.cut_power().names, 0);
    assert!(!stage.exists("d"));
}

fn replacement(stage: &Stage) {
    stage.write_durably("f", b"old");
    stage.write_durably("f.tmp", b"new");
    fs::rename(stage.path("f.tmp"), stage.path("f")).unwrap();
    assert_eq!(stage.read("f"), b"new");
    stage.cut_power();
    assert_eq!((stage.read("f"), stage.read("f.tmp")), (b"old".to_vec(), b"new".to_vec()));
    fs::rename(stage.path("f.tmp"), stage.path("f")).unwrap();
    File::open(&stage.data).unwrap().sync_all().unwrap();
    stage.cut_power();
    assert_eq!(stage.read("f"), b"new");
    assert!(!stage.exists("f.tmp"));
}

/// The journal is in order: a file's sync makes the names before it durable, but no other file's data.
fn journal(stage: &Stage) {
    stage.write("early", b"data that nobody synced");
    stage.write_durably("synced", b"data");
    stage.write("late", b"data");
    stage.cut_power();
    assert_eq!(stage.read("synced"), b"data");
    assert_eq!(stage.read("early"), b"");
    assert!(!stage.exists("late"));
    // An overwrite in place has nothing for the journal.
    stage.write("late", b"data");
    let file = OpenOptions::new().write(true).open(stage.path("synced")).unwrap();
    file.write_all_at(b"DATA", 0).unwrap();
    file.sync_data().unwrap();
    stage.cut_power();
    assert_eq!(stage.read("synced"), b"DATA");
    assert!(!stage.exists("late"));
    // But for its time of change, which only a full sync cares about.
    stage.write("late", b"data");
    file_at(stage, "synced").write_all_at(b"data", 0).unwrap();
    stage.sync("synced");
    stage.cut_power();
    assert!(stage.exists("late"));
}

fn file_at(stage: &Stage, name: &str) -> File {
    OpenOptions::new().read(true).write(true).open(stage.path(name)).unwrap()
}

fn restart(stage: &Stage) {
    for round in 0..5u8 {
        fs::create_dir_all(stage.path("d")).unwrap();
        let mut log = OpenOptions::new().append(true).create(true).open(stage.path("d/log")).unwrap();
        log.write_all(&[round]).unwrap();
        log.sync_all().unwrap();
        log.write_all(b"unsynced").unwrap();
        stage.write("d/scratch", &[round; 5000]);
        drop(log);
        stage.cut_power();
        let expected: Vec<u8> = (0..=round).collect();
        assert_eq!(stage.read("d/log"), expected);
        assert!(!stage.exists("d/scratch"));
    }
}

fn synchronous(stage: &Stage) {
    stage.write_durably("f", b"....");
    for (flag, byte) in [(libc::O_DSYNC, b"d"), (libc::O_SYNC, b"s")] {
        let file = OpenOptions::new().write(true).custom_flags(flag).open(stage.path("f")).unwrap();
        file.write_all_at(byte, 2).unwrap();
        drop(file);
        stage.cut_power();
        assert_eq!(stage.read("f")[2..3], *byte);
    }
}

fn torn(stage: &Stage) {
    let (mut lost, mut survived, mut split, mut torn_writes) = (0, 0, 0, 0);
    for seed in 0..60 {
        let sector_bytes = if seed % 2 == 0 { 512 } else { 4096 };
        stage.write_durably("f", &[b'.'; 16_384]);
        let file = OpenOptions::new().write(true).open(stage.path("f")).unwrap();
        file.write_all_at(&[b'x'; 12_288], 2_048).unwrap();
        drop(file);
        let torn = Some(Torn { sector_bytes, seed });
        let discarded = stage.disk.lose_power(PowerLoss { torn }).unwrap();
        let after = stage.read("f");
        assert_eq!(after.len(), 16_384);
        let mut kinds = [false; 2];
        for at in 4..28 {
            let sector = &after[at * 512..(at + 1) * 512];
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a 512-byte sector is torn");
            kinds[usize::from(sector[0] == b'x')] = true;
        }
        if sector_bytes == 4096 {
            let block = &after[4096..8192];
            assert!(block.iter().all(|byte| *byte == block[0]), "a 4096-byte sector is torn");
        }
        match kinds {
            [true, true] => split += 1,
            [true, false] => lost += 1,
            _ => survived += 1,
        }
        // The kernel may split a write, so one that is torn may consist of two that are not.
        assert!(discarded.torn_writes == 0 || kinds == [true, true], "seed {seed}: {discarded:?}");
        torn_writes += discarded.torn_writes;
    }
    assert!(
        split > 20 && torn_writes > 10 && lost > 0 && survived > 0,
        "{split} split, {lost} lost, {survived} survived"
    );
}

fn lost_sync(stage: &Stage) {
    stage.write_durably("honest", b"old");
    stage.write_durably("lied-to.wal", b"old");
    stage.faults(&[DiskFault::LostFsync { files: "*.wal".into() }]);
    for name in ["honest", "lied-to.wal"] {
        stage.write(name, b"new");
        stage.sync(name);
    }
    assert_eq!(stage.counters().lost_fsyncs, 1);
    stage.faults(&[]);
    stage.cut_power();
    assert_eq!((stage.read("honest"), stage.read("lied-to.wal")), (b"new".to_vec(), b"old".to_vec()));
}

/// The actor: maps a file, writes to two pages, syncs one, and waits to be killed.
pub fn map_and_wait(arguments: &[String]) {
    let file = OpenOptions::new().read(true).write(true).open(&arguments[0]).expect("a file");
    let map = Map::of(&file, 16_384);
    map.set(0, b's');
    map.sync();
    map.set(9_000, b'u');
    println!("written");
    std::thread::park();
}

fn killed(stage: &Stage) {
    stage.write_durably("f", &[b'.'; 16_384]);
    let myself = std::env::current_exe().unwrap();
    let mut actor = Command::new(myself);
    actor.args(["actor", "map"]).arg(stage.path("f")).stdout(Stdio::piped());
    let mut actor = actor.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(actor.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "written\n");
    actor.kill().unwrap();
    actor.wait().unwrap();
    stage.cut_power();
    let after = stage.read("f");
    assert_eq!((after[0], after[9_000]), (b's', b'.'));
    assert_eq!(fs::read(stage.behind.join("f")).unwrap(), after);
}

/// A second disk in the same namespace, with other options.
fn with(options: Options, test: impl FnOnce(&Stage)) {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::set(folder.path(), options);
    test(&stage);
    stage.strike();
}

fn age(_: &Stage) {
    with(Options { writeback_after: Duration::ZERO, ..options() }, |stage| {
        stage.write("f", b"nobody syncs this");
        eventually("written back", || stage.counters().unsynced_bytes == 0);
        stage.cut_power();
        eventually("a durable name", || stage.exists("f"));
        assert_eq!(stage.read("f"), b"nobody syncs this");
    });
}

fn limit(_: &Stage) {
    with(Options { undo_limit_bytes: 1 << 20, ..options() }, |stage| {
        stage.write_durably("f", &vec![1; 4 << 20]);
        let file = OpenOptions::new().write(true).open(stage.path("f")).unwrap();
        for at in 0..64 {
            file.write_all_at(&[2; 65_536], at * 65_536).unwrap();
        }
        assert!(stage.counters().unsynced_bytes <= 1 << 20);
    });
}

fn truncated(stage: &Stage) {
    use std::os::fd::AsRawFd;
    let contents: Vec<u8> = (0..50_000u32).map(|k| (k % 250) as u8).collect();
    stage.write_durably("f", &contents);
    let file = OpenOptions::new().read(true).write(true).open(stage.path("f")).unwrap();
    file.set_len(20_000).unwrap();
    // SAFETY: takes no memory.
    let punched = unsafe {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        libc::fallocate(file.as_raw_fd(), mode, 4096, 8192)
    };
    assert_eq!(punched, 0);
    file.set_len(70_000).unwrap();
    assert_eq!(stage.read("f")[5_000], 0);
    drop(file);
    stage.cut_power();
    assert_eq!(stage.read("f"), contents);
    stage.write("f", b"O_TRUNC");
    stage.cut_power();
    assert_eq!(stage.read("f"), contents);
}
