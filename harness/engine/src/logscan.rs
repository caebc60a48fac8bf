//! Looks in nodes' logs for texts that mean trouble.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;

use squall_history::Note;

use crate::protocol::LogPattern;

/// A log that repeats itself is not repeated in the report.
const FINDINGS_MAX: usize = 10;
/// Longer lines are looked at in pieces.
const LINE_BYTES_MAX: u64 = 64 << 10;
const TEXT_CHARS_MAX: usize = 300;

/// Findings in all `*.log` files of a node's log folder, as notes of kind `panic` at time `time`.
pub fn scan(node: &str, dir: &Path, patterns: &[LogPattern], time: u64) -> std::io::Result<Vec<Note>> {
    let mut files: Vec<_> = std::fs::read_dir(dir)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::file_name);
    let mut notes = Vec::new();
    for file in files {
        if file.path().extension().is_some_and(|e| e == "log") {
            scan_file(node, &file.path(), patterns, time, &mut notes)?;
        }
    }
    Ok(notes)
}

fn scan_file(
    node: &str,
    path: &Path,
    patterns: &[LogPattern],
    time: u64,
    notes: &mut Vec<Note>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(File::open(path)?);
    let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let mut line = Vec::new();
    for number in 1u64.. {
        line.clear();
        if reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        if notes.len() < FINDINGS_MAX && patterns.iter().any(|p| text.contains(&p.text)) {
            notes.push(Note {
                time,
                kind: "panic".into(),
                node: Some(node.to_owned()),
                text: text.trim_end().chars().take(TEXT_CHARS_MAX).collect(),
                data: [("file".to_owned(), name.clone().into()), ("line".to_owned(), number.into())].into(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_found_with_its_place() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("server.log"), "fine\nthread 'main' panicked at x\nfine\n").unwrap();
        std::fs::write(dir.path().join("data.bin"), "panicked at").unwrap();
        let notes = scan("n1", dir.path(), &[LogPattern::new("panicked at")], 5).unwrap();
        assert_eq!(notes.len(), 1);
        assert_eq!(notes[0].data["line"], 2);
        assert_eq!(notes[0].node.as_deref(), Some("n1"));
    }
}
