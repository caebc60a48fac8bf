//! Where text goes: people's to standard error, documents to standard output.
//!
//! A reader that has gone away (`squall list faults | head -1`) ends output quietly and never changes an
//! exit code. Colours are never used, so nothing depends on what the terminal can do.

use std::io::{self, Write};

use serde::Serialize;

/// Makes text from outside inert for a terminal: control characters, and those that turn or hide the text
/// around them, are written out. Line breaks stay.
pub fn inert(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push('\n'),
            '\t' => out.push_str("    "),
            c if is_active(c) => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
            c => out.push(c),
        }
    }
    out
}

fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A line for people. It is made inert.
pub fn say(text: &str) {
    // Nobody is left to tell if standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{}", inert(text));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_acts_on_a_terminal() {
        assert_eq!(inert("a\u{1b}[2J\u{202e}b\r\nc"), "a\\u{1b}[2J\\u{202e}b\\u{d}\nc");
        assert_eq!(inert("é 漢字"), "é 漢字");
    }
}
