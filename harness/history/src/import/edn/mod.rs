//! Jepsen's EDN: operations one after the other, or in one vector or list; plain maps or tagged records.

pub(super) mod compact;
mod form;
mod record;

use super::ImportError;
use super::sink::Sink;
use super::window::Window;
use crate::History;
use crate::pool::Pool;
use crate::scan::Stop;
pub(super) use form::Forms;

pub(super) fn read(window: &mut Window<'_>, mut sink: Sink) -> Result<(History, Vec<String>), ImportError> {
    let mut pool = Pool::default();
    // What closes the vector or list that holds the operations, and where it began.
    let mut closing: Option<(u8, u64)> = None;
    loop {
        let mut forms = Forms::new(&window.bytes, window.at, &mut pool);
        match next(&mut forms, &mut closing, &mut sink) {
            Ok(Next::Record(found)) => {
                let at = forms.cursor.at;
                sink.inexact += std::mem::take(&mut pool.inexact);
                sink.push(found, window)?;
                window.at = at;
            }
            Ok(Next::Other) => window.at = forms.cursor.at,
            Ok(Next::Open(byte)) => {
                window.at = forms.cursor.at;
                closing = Some((byte, window.line(window.at)));
            }
            Err(Stop::More) if !window.ended => window.fill()?,
            Err(Stop::More) => {
                let rest_is_blank = Forms::new(&window.bytes, window.at, &mut pool).is_done();
                match closing {
                    None if rest_is_blank => break,
                    Some((byte, line)) if rest_is_blank => {
                        let expected = format!("`{}` to close what begins here", char::from(byte));
                        return Err(ImportError::Truncated { line, expected });
                    }
                    _ => return Err(window.error(Stop::More)),
                }
            }
            Err(stop) => return Err(window.error(stop)),
        }
    }
    sink.finish(true)
}

enum Next {
    Record(super::sink::Found),
    /// A bracket, or something that was noted and is no operation.
    Other,
    /// The collection that holds all operations begins.
    Open(u8),
}

fn next(forms: &mut Forms<'_, '_>, closing: &mut Option<(u8, u64)>, sink: &mut Sink) -> Result<Next, Stop> {
    let byte = forms.peek()?;
    match (byte, *closing) {
        (b'[' | b'(', None) => {
            forms.cursor.at += 1;
            Ok(Next::Open(if byte == b'[' { b']' } else { b')' }))
        }
        (b']' | b')', Some((close, _))) if byte == close => {
            forms.cursor.at += 1;
            *closing = None;
            Ok(Next::Other)
        }
        (b'{' | b'#', _) => Ok(record::read(forms, sink)?.map_or(Next::Other, Next::Record)),
        _ => Stop::bad(forms.cursor.at, "an operation: `{:type …}`"),
    }
}
