//! What a client program wrote to its standard error: a file of the run, which must not fill the disk.

use std::fs::OpenOptions;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::Duration;

/// A log that grows beyond this ends the run, and is cut to it.
const LOG_BYTES_MAX: u64 = 64 << 20;
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Waits until a log is too long, and says so. One that cannot be looked at is not too long.
pub(super) async fn flooded(log: &Path) -> String {
    while tokio::fs::metadata(log).await.map_or(0, |m| m.len()) <= LOG_BYTES_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    format!("wrote more than {} MiB to its standard error{}", LOG_BYTES_MAX >> 20, last_words(log))
}

/// Cuts a log that was flooded. Whoever wrote it has been ended.
pub(super) fn cut(log: &Path) {
    // What cannot be cut stays as it is: the run breaks in any case.
    let file = OpenOptions::new().write(true).open(log);
    file.and_then(|f| f.set_len(f.metadata()?.len().min(LOG_BYTES_MAX))).ok();
}

/// The last lines of a log, on one line; empty if there are none.
pub(super) fn last_words(log: &Path) -> String {
    const LINES: usize = 4;
    const CHARS_MAX: usize = 200;
    let text = String::from_utf8_lossy(&tail(log).unwrap_or_default()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    let tail = &lines[lines.len().saturating_sub(LINES)..];
    let cut = |l: &&str| l.chars().filter(|c| !c.is_control()).take(CHARS_MAX).collect::<String>();
    let tail: Vec<String> = tail.iter().map(cut).collect();
    if tail.is_empty() { String::new() } else { format!("; its standard error ends: {}", tail.join(" | ")) }
}

/// The last bytes: a log may be long.
fn tail(log: &Path) -> std::io::Result<Vec<u8>> {
    const BYTES: u64 = 8192;
    let mut file = std::fs::File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(BYTES)))?;
    let mut bytes = Vec::new();
    file.take(BYTES).read_to_end(&mut bytes).map(|_| bytes)
}
