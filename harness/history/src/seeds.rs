//! The kept seeds of the fuzz targets, replayed: `fuzz/README.md` says what must hold.

use std::fs;
use std::path::Path;

use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::import::{self, Keyed, Options};
use crate::{History, NEVER, export, runlog};

fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|f| (f.display().to_string(), fs::read(f).unwrap())).collect()
}

/// Ranks are distinct, follow operations and never contradict time.
fn assert_sound(history: &History, name: &str) {
    let mut ranks: Vec<u32> = Vec::new();
    for op in history.ops() {
        assert!(op.invoked < op.completed && op.start <= op.end, "{name}");
        ranks.push(op.invoked);
        ranks.extend(Some(op.completed).filter(|&r| r != NEVER));
    }
    assert!(history.ops().map(|op| op.invoked).is_sorted(), "{name}");
    ranks.sort_unstable();
    assert!(ranks.windows(2).all(|w| w[0] < w[1]), "{name}");
}

#[test]
fn seeds_of_import() {
    let mut read = 0;
    for (name, bytes) in seeds("import") {
        for keyed in [Keyed::Auto, Keyed::Yes, Keyed::No] {
            for clock_error in [0, 5] {
                let Ok(imported) = import::read(&bytes[..], &Options { keyed, clock_error }) else {
                    continue;
                };
                read += 1;
                let history = imported.history;
                assert_sound(&history, &name);
                let mut edn = Vec::new();
                export::edn(&history, &mut edn).unwrap();
                export::jsonl(&history, std::io::sink()).unwrap();
                export::csv(&history, std::io::sink()).unwrap();
                export::perfetto(&history, std::io::sink()).unwrap();
                if !history.is_empty() {
                    let keyed = if history.is_keyed() { Keyed::Yes } else { Keyed::No };
                    let back = import::read(&edn[..], &Options { keyed, clock_error: 0 });
                    let back = back.unwrap_or_else(|e| panic!("{name}: {e}"));
                    assert_eq!(back.history.len(), history.len(), "{name}");
                }
            }
        }
    }
    assert!(read > 20, "most seeds are histories");
}

#[test]
fn seeds_of_runlog() {
    let mut compressor = Compressor::new(1).unwrap();
    compressor.set_parameter(CParameter::ChecksumFlag(true)).unwrap();
    let mut read = 0;
    for (name, bytes) in seeds("runlog") {
        let mut log = Vec::new();
        for lines in bytes.split_inclusive(|&b| b == b'#') {
            log.extend(compressor.compress(lines.strip_suffix(b"#").unwrap_or(lines)).unwrap());
        }
        for bytes in [&bytes, &log] {
            if let Ok((history, _)) = runlog::read_log(&bytes[..]) {
                assert_sound(&history, &name);
                read += 1;
            }
        }
    }
    assert!(read >= 2, "some seeds are logs");
}
