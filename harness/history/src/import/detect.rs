//! What a history is written in, told by its first bytes.

use std::io::{Cursor, Read};

use flate2::read::MultiGzDecoder;

use super::sink::Sink;
use super::window::{Window, excerpt};
use super::{Held, ImportError, Imported, Options, edn, jepsen_log, jsonl, lines, spans, transactions};
use crate::json::Json;
use crate::pool::Pool;
use crate::scan::Stop;
use crate::{History, Skipped, object, runlog};

/// The formats that are read: `docs/format.md` describes each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// squall's own run log, in frames or unpacked.
    RunLog,
    /// JSON, one event a line.
    JsonEvents,
    /// JSON, one operation with `start` and `end` a line.
    JsonOperations,
    /// Jepsen's EDN: one vector, or operations one after the other.
    Edn,
    /// What Jepsen's workers print.
    JepsenLog,
    /// Transactions in sessions, as AWDIT reads them.
    AwditText,
    /// Transactions in sessions, as Plume and IsoVista write them.
    PlumeText,
}

impl Format {
    /// Its name, as in `docs/format.md`.
    pub fn name(self) -> &'static str {
        match self {
            Format::RunLog => "run-log",
            Format::JsonEvents => "json-events",
            Format::JsonOperations => "json-operations",
            Format::Edn => "edn",
            Format::JepsenLog => "jepsen-log",
            Format::AwditText => "awdit-text",
            Format::PlumeText => "plume-text",
        }
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// How much is looked at to tell what is packed how: more than one block of zstd, which unpacks whole or not
/// at all.
const PEEK_PACKED: u64 = 1 << 18;

/// How much is looked at to tell the format.
const PEEK: usize = 1 << 14;

/// Reads a history. With `compact`, EDN is only read if it fits into columns; `None` says that it does not, and
/// that it has to be read from its beginning again, without.
pub(super) fn read<'r>(
    mut input: Box<dyn Read + 'r>,
    options: &Options,
    compact: bool,
) -> Result<Option<Imported<Held>>, ImportError> {
    let mut start = Vec::new();
    input.by_ref().take(PEEK_PACKED).read_to_end(&mut start)?;
    let is_zstd = start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]);
    if is_zstd && is_run_log(&start) {
        let mut reader = runlog::LogReader::new(Cursor::new(start).chain(input));
        let (history, skipped) = runlog::read_all(&mut reader)?;
        return Ok(Some(run_log(history, skipped, reader.unpacked_bytes(), options)));
    }
    let is_gzip = start.starts_with(&[0x1f, 0x8b]);
    let packed = Cursor::new(start).chain(input);
    let unpacked: Box<dyn Read + 'r> = match (is_zstd, is_gzip) {
        (true, _) => Box::new(zstd::stream::read::Decoder::new(packed)?),
        (_, true) => Box::new(MultiGzDecoder::new(packed)),
        _ => Box::new(packed),
    };
    text(Window::new(unpacked), options, compact)
}

fn run_log(mut history: History, skipped: Skipped, bytes: u64, options: &Options) -> Imported<Held> {
    if options.clock_error > 0 {
        history.widen(options.clock_error);
    }
    let warnings = if skipped.reason.is_empty() { Vec::new() } else { vec![skipped.reason.clone()] };
    Imported { history: Held::General(history), format: Format::RunLog, warnings, skipped, bytes }
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

fn text(
    mut window: Window<'_>,
    options: &Options,
    compact: bool,
) -> Result<Option<Imported<Held>>, ImportError> {
    let format = loop {
        if let Some(format) = tell(&window)? {
            break format;
        }
        window.fill()?;
    };
    if window.bytes.starts_with(BYTE_ORDER_MARK) {
        window.at = BYTE_ORDER_MARK.len();
    }
    if compact && format == Format::Edn {
        let read = edn::compact::read(&mut window);
        return Ok(read.map(|accesses| imported(Held::Columns(accesses), format, Vec::new(), &window)));
    }
    let sink = Sink::new(options);
    let (history, warnings) = match format {
        Format::Edn => edn::read(&mut window, sink)?,
        Format::JepsenLog => jepsen_log::read(&mut window, sink)?,
        Format::JsonEvents => jsonl::read(&mut window, sink)?,
        Format::JsonOperations => spans::read(&mut window, options)?,
        Format::AwditText | Format::PlumeText => {
            let (accesses, warnings) = transactions::read(&mut window, format, options)?;
            return Ok(Some(imported(Held::Columns(accesses), format, warnings, &window)));
        }
        Format::RunLog => {
            let (history, skipped) = lines::read(&mut window)?;
            let bytes = window.offset(window.bytes.len());
            return Ok(Some(run_log(history, skipped, bytes, options)));
        }
    };
    Ok(Some(imported(Held::General(history), format, warnings, &window)))
}

fn imported(history: Held, format: Format, warnings: Vec<String>, window: &Window<'_>) -> Imported<Held> {
    let bytes = window.offset(window.bytes.len()) - u64::from(window.ended);
    Imported { history, format, warnings, skipped: Skipped::default(), bytes }
}

/// The format, once enough is in the window.
fn tell(window: &Window<'_>) -> Result<Option<Format>, ImportError> {
    let bytes = &window.bytes;
    let unmarked = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    let Some(blank) = unmarked.iter().position(|b| !b.is_ascii_whitespace()) else {
        return if window.ended { Err(ImportError::Empty) } else { Ok(None) };
    };
    let start = &unmarked[blank..];
    if !window.ended && start.len() < PEEK {
        return Ok(None);
    }
    let line = start.split(|&b| b == b'\n').next().unwrap_or_default().trim_ascii_end();
    let format = match start[0] {
        b'{' | b'[' => match braces(start) {
            Ok(format) => format,
            Err(Stop::More) if !window.ended => return Ok(None),
            // What reads it says what is wrong with it.
            Err(_) => Some(Format::JsonEvents),
        },
        b';' | b'(' | b'#' => Some(Format::Edn),
        b'r' | b'w' if matches!(line, [_, b'(', ..]) => Some(Format::PlumeText),
        b'r' | b'w' if matches!(line, [_, b' ' | b'\t', ..]) => Some(Format::AwditText),
        b'-' | b'=' if line.len() >= 3 && line.iter().all(|&b| b == start[0]) => Some(Format::AwditText),
        _ if jepsen_log::is_log(start) => Some(Format::JepsenLog),
        _ => None,
    };
    match format {
        Some(format) => Ok(Some(format)),
        None => {
            Err(ImportError::Unknown { line: window.line(bytes.len() - start.len()), found: excerpt(start) })
        }
    }
}

/// JSON or EDN: the first thing within the first object tells, since EDN has a keyword there, and JSON a text
/// followed by a colon.
fn braces(start: &[u8]) -> Result<Option<Format>, Stop> {
    let blank = |b: &u8| matches!(b, b'{' | b'[') || b.is_ascii_whitespace();
    let Some(inner) = start.iter().position(|b| !blank(b)) else { return Ok(None) };
    match start[inner] {
        b'"' if start[..inner].contains(&b'{') => json(start).map(Some),
        b'"' => Ok(None),
        _ => Ok(Some(Format::Edn)),
    }
}

/// Which kind of JSON, by its first object.
fn json(start: &[u8]) -> Result<Format, Stop> {
    let open = start.iter().position(|&b| b == b'{').unwrap_or_default();
    let first = object::read(&mut Json::new(start, open, &mut Pool::default()), |_| None)?;
    Ok(match first.kind {
        Some(kind) if jsonl::LOG_ONLY.contains(&&*kind) => Format::RunLog,
        _ if first.start.is_some() => Format::JsonOperations,
        _ => Format::JsonEvents,
    })
}
