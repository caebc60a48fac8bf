//! The lines that Jepsen's workers print: `INFO  jepsen.util - PROCESS :type :f VALUE`, tabs or spaces between.
//!
//! What stands before `jepsen.util` differs between versions and is not looked at; other lines of the log are
//! left out and counted. A failed or indeterminate operation may print its error after its value, or, in old
//! versions, in place of it. There are no times.

use super::ImportError;
use super::edn::Forms;
use super::sink::{Found, Key, Sink, error_meta};
use super::window::Window;
use crate::pool::Pool;
use crate::scan::{Cursor, Stop, text};
use crate::{EventKind, History, Value};

const MARK: &[u8] = b"jepsen.util";

/// Whether one of the first lines is a worker's.
pub(super) fn is_log(start: &[u8]) -> bool {
    start.split(|&b| b == b'\n').any(|line| operation(line).is_some())
}

pub(super) fn read(window: &mut Window<'_>, mut sink: Sink) -> Result<(History, Vec<String>), ImportError> {
    let (mut pool, mut others) = (Pool::default(), 0u64);
    while let Some(end) = window.line_end()? {
        let line = &window.bytes[window.at..end];
        if let Some(offset) = operation(line) {
            let from = window.at + offset;
            // With the line feed, so that the last form is seen to end.
            let bytes = &window.bytes[..=end];
            let found = event(bytes, from, &mut pool, &mut sink).map_err(|stop| match stop {
                Stop::More => {
                    window.error(Stop::Bad { at: end, expected: "`PROCESS :type :f VALUE`".into() })
                }
                bad => window.error(bad),
            })?;
            if let Some(found) = found {
                sink.push(found, window)?;
            }
        } else if !line.trim_ascii().is_empty() {
            others += 1;
        }
        window.at = end + 1;
    }
    if others > 0 {
        sink.warnings.push(format!("{others} lines of the log are not about operations"));
    }
    sink.finish(false)
}

/// Where a worker's line says who acts: after `jepsen.util`, and a dash in older versions, if a number or a
/// keyword and then the type follow.
fn operation(line: &[u8]) -> Option<usize> {
    let mark = line.windows(MARK.len()).position(|w| w == MARK)?;
    let rest = &line[mark + MARK.len()..];
    let trimmed = rest.trim_ascii_start();
    let trimmed = trimmed.strip_prefix(b"-").unwrap_or(trimmed).trim_ascii_start();
    let actor = trimmed.iter().position(u8::is_ascii_whitespace)?;
    let is_actor = trimmed[..actor].iter().all(u8::is_ascii_digit) || trimmed[0] == b':';
    let kind = trimmed[actor..].trim_ascii_start();
    let is_kind = [b":invoke".as_slice(), b":ok", b":fail", b":info"].iter().any(|k| kind.starts_with(k));
    (is_actor && is_kind).then(|| line.len() - trimmed.len())
}

fn event(bytes: &[u8], at: usize, pool: &mut Pool, sink: &mut Sink) -> Result<Option<Found>, Stop> {
    let (who, from) = token(bytes, at)?;
    let (kind_name, from) = token(bytes, from)?;
    let (f, from) = token(bytes, from)?;
    let kind = match kind_name {
        ":invoke" => EventKind::Invoke,
        ":ok" => EventKind::Ok,
        ":fail" => EventKind::Fail,
        ":info" => EventKind::Info,
        _ => return Stop::bad(at, ":invoke, :ok, :fail or :info after the process"),
    };
    let Some(f) = f.strip_prefix(':') else { return Stop::bad(at, "a keyword as function") };
    let mut forms = Forms::new(bytes, from, pool);
    let value = forms.value(None)?;
    // Another form on the line is the error.
    let error = match forms.peek() {
        Ok(_) => Some(forms.value(None)?),
        Err(_) => None,
    };
    let replaces_value =
        |v: &Value| matches!(kind, EventKind::Fail | EventKind::Info) && v.as_str().is_some();
    let error = error.or_else(|| Some(value.clone()).filter(replaces_value));
    sink.inexact += std::mem::take(&mut pool.inexact);
    if let Some(name) = who.strip_prefix(':') {
        sink.note(name, None, f, &value);
        return Ok(None);
    }
    let process = who.parse().or_else(|_| Stop::bad(at, "a process below 2^32"))?;
    let meta = error.as_ref().and_then(error_meta);
    let f = sink.builder.function_id(f);
    Ok(Some(Found { kind, process: Some(process), time: None, f, key: Key::None, value, meta, at }))
}

/// The next word, and where it ends.
fn token(bytes: &[u8], at: usize) -> Result<(&str, usize), Stop> {
    let cursor = Cursor::new(bytes, at);
    let blank = |b: &u8| b.is_ascii_whitespace();
    let from = at + cursor.rest().iter().position(|b| !blank(b)).ok_or(Stop::More)?;
    let to = from + bytes[from..].iter().position(blank).ok_or(Stop::More)?;
    Ok((text(&bytes[from..to], from)?, to))
}
