//! Any bytes, as a run's log: bare, and as lines within frames whose checksums are right.
#![no_main]

use libfuzzer_sys::fuzz_target;
use squall_history::{History, NEVER, runlog};
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

fuzz_target!(|bytes: &[u8]| {
    read(bytes);
    let mut compressor = Compressor::new(1).expect("level 1 exists");
    compressor.set_parameter(CParameter::ChecksumFlag(true)).expect("zstd has checksums");
    let mut log = Vec::new();
    // A frame ends where a mark does.
    for lines in bytes.split_inclusive(|&b| b == b'#') {
        let lines = lines.strip_suffix(b"#").unwrap_or(lines);
        log.extend(compressor.compress(lines).expect("anything can be compressed"));
    }
    read(&log);
});

fn read(bytes: &[u8]) {
    if let Ok((history, _)) = runlog::read_log(bytes) {
        sound(&history);
    }
}

fn sound(history: &History) {
    for op in history.ops() {
        assert!(op.invoked < op.completed && op.start <= op.end);
        assert!(op.completed == NEVER || op.end != u64::MAX);
    }
}
