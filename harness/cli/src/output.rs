//! Where text goes: people's to standard error, documents to standard output.
//!
//! A reader that has gone away (`squall list faults | head -1`) ends output quietly and never changes an
//! exit code. Colours are never used, so nothing depends on what the terminal can do.

use std::io::{self, Write};

use serde::Serialize;
use squall_reports::text::inert_lines;

/// Text for people, made inert: control characters, and those that turn or hide the text around them, are
/// written out. Line breaks stay.
pub fn say(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", inert_lines(text));
}

/// Text to standard output as it is. An error only if it is not that the reader has gone away.
pub fn print(text: &str) -> io::Result<()> {
    quietly((|| {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    })())
}

/// A document on one line of standard output.
pub fn print_json<T: Serialize>(document: &T) -> io::Result<()> {
    let mut text = serde_json::to_string(document)?;
    text.push('\n');
    print(&text)
}

/// Takes a reader that has gone away for success.
pub fn quietly(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}
