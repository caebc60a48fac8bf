//! What a history is written in, told by its first bytes.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::sink::Sink;
use super::window::{Window, excerpt};
use super::{ImportError, Imported, Options, edn, jsonl};
use crate::Skipped;
use crate::runlog;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// squall's own run log, framed.
    RunLog,
    /// JSON lines: squall's, unpacked, or anybody's events or operations.
    JsonLines,
    /// Jepsen's EDN: one vector, or operations one after the other.
    Edn,
}

impl Format {
    /// Its name, as in `docs/format.md`.
    pub fn name(self) -> &'static str {
        match self {
            Format::RunLog => "run-log",
            Format::JsonLines => "json-lines",
            Format::Edn => "edn",
        }
    }
}

/// How much is looked at to tell the format.
const PEEK: u64 = 1 << 16;

pub(super) fn read<'r>(mut input: Box<dyn Read + 'r>, options: &Options) -> Result<Imported, ImportError> {
    let mut start = Vec::new();
    input.by_ref().take(PEEK).read_to_end(&mut start)?;
    let is_zstd = start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if is_zstd && is_run_log(&start) {
        let (history, skipped) = runlog::read_log(Cursor::new(start).chain(input))?;
        return run_log(history, skipped, options);
    }
    let is_gzip = start.starts_with(&[0x1f, 0x8b]);
    let packed = Cursor::new(start).chain(input);
    let unpacked: Box<dyn Read + 'r> = match (is_zstd, is_gzip) {
        (true, _) => Box::new(zstd::stream::read::Decoder::new(packed)?),
        (_, true) => Box::new(MultiGzDecoder::new(packed)),
        _ => Box::new(packed),
    };
    text(Window::new(unpacked), options)
}

fn run_log(
    mut history: crate::History,
    skipped: Skipped,
    options: &Options,
) -> Result<Imported, ImportError> {
    if options.clock_error > 0 {
        history.widen(options.clock_error);
    }
    let warnings = if skipped.reason.is_empty() { Vec::new() } else { vec![skipped.reason.clone()] };
    Ok(Imported { history, format: Format::RunLog, warnings, skipped, bytes: 0 })
}

/// Whether zstd data begins as a run's log does: with a line that only such a log has.
fn is_run_log(start: &[u8]) -> bool {
    let mut line = Vec::new();
    // The window may cut the frame anywhere: what could be unpacked before the error is enough.
    if let Ok(decoder) = zstd::stream::read::Decoder::with_buffer(start) {
        let _ = decoder.take(64).read_to_end(&mut line);
    }
    jsonl::LOG_ONLY.iter().any(|kind| line.starts_with(format!("{{\"type\":\"{kind}\"").as_bytes()))
}

fn text(mut window: Window<'_>, options: &Options) -> Result<Imported, ImportError> {
    let format = loop {
        if let Some(format) = tell(&window)? {
            break format;
        }
        window.fill()?;
    };
    let sink = Sink::new(options);
    let (history, warnings) = match format {
        Format::Edn => edn::read(&mut window, sink)?,
        Format::JsonLines | Format::RunLog => jsonl::read(&mut window, sink)?,
    };
    let bytes = window.offset(window.bytes.len()) - u64::from(window.ended);
    Ok(Imported { history, format, warnings, skipped: Skipped::default(), bytes })
}

/// The format, once enough is in the window.
fn tell(window: &Window<'_>) -> Result<Option<Format>, ImportError> {
    let bytes = &window.bytes;
    let bytes_after_mark = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let Some(blank) = bytes_after_mark.iter().position(|b| !b.is_ascii_whitespace()) else {
        return if window.ended { Err(ImportError::Empty) } else { Ok(None) };
    };
    let start = &bytes_after_mark[blank..];
    if !window.ended && start.len() < 4096 {
        return Ok(None);
    }
    let unknown =
        || ImportError::Unknown { line: window.line(bytes.len() - start.len()), found: excerpt(start) };
    match start[0] {
        b';' | b'(' | b'#' => return Ok(Some(Format::Edn)),
        b'{' | b'[' => {}
        _ => return Err(unknown()),
    }
    // The first thing within the first object tells: EDN has a keyword there, JSON a text and then a colon.
    let inner = start.iter().position(|b| !matches!(b, b'{' | b'[') && !b.is_ascii_whitespace());
    match inner.map(|at| &start[at..]) {
        Some([b'"', ..]) if start.contains(&b'{') => Ok(Some(Format::JsonLines)),
        Some([b':' | b';' | b'#' | b']' | b'}', ..]) => Ok(Some(Format::Edn)),
        _ => Err(unknown()),
    }
}
