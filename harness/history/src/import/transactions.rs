//! Plain read/write transactions in sessions: the text formats of AWDIT and of Plume.
//!
//! Sessions become processes, transactions become operations `txn` whose value, argument and answer alike, is
//! a list of `["r", key, value]` and `["w", key, value]`. These formats know no time: every operation is
//! invoked before any is completed, so real time orders nothing, and the order of a session is the order of
//! its operations' indexes. The exception is Plume's initial transaction, number 0 alone in session 0, which
//! stands first and only writes zeros: it is completed before everything else, and
//! [`initial_operation`](crate::History::initial_operation) names it. Where
//! nobody wrote 0 to a key, a read of 0 from it saw the initial state, and becomes a read of nil. Plume's
//! aborted transactions, number -1, are `fail`.

use super::detect::Format;
use super::plain_line;
use super::sessions::{Micro, Sessions};
use super::window::Window;
use super::{ImportError, Options};
use crate::Accesses;
use crate::scan::{Cursor, Stop};

pub(super) fn read(
    window: &mut Window<'_>,
    format: Format,
    options: &Options,
) -> Result<(Accesses, Vec<String>), ImportError> {
    read_lines(window, format, options, true)
}

/// Where `hurry` is set, lines that are written as nearly all are take a shorter way to the same place.
fn read_lines(
    window: &mut Window<'_>,
    format: Format,
    options: &Options,
    hurry: bool,
) -> Result<(Accesses, Vec<String>), ImportError> {
    if options.clock_error > 0 {
        let what = format!("--clock-error needs operations with times, and {} has none", format.name());
        return Err(ImportError::Option(what));
    }
    let mut sessions = Sessions::new();
    let mut place = (0, 0);
    loop {
        if hurry && format == Format::PlumeText {
            window.at = plain_line::plume(&window.bytes, window.at, &mut sessions);
        } else if hurry {
            window.at = plain_line::awdit(&window.bytes, window.at, &mut place, &mut sessions);
        }
        let Some(end) = window.line_end()? else { break };
        // With the line feed, so that the last number is seen to end.
        let mut line = Cursor::new(&window.bytes[..=end], window.at);
        let wrong = |stop| match stop {
            Stop::More => window.error(Stop::Bad { at: end, expected: "the rest of the line".into() }),
            bad => window.error(bad),
        };
        if format == Format::PlumeText {
            plume_line(&mut line, &mut sessions).map_err(wrong)?;
        } else {
            awdit_line(&mut line, &mut place, &mut sessions).map_err(wrong)?;
        }
        window.at = end + 1;
    }
    Ok((sessions.finish(), vec!["transactions have no times: real time orders nothing".to_owned()]))
}

/// `r(key,value,session,transaction)`.
fn plume_line(line: &mut Cursor<'_>, sessions: &mut Sessions) -> Result<(), Stop> {
    if blank(line)? {
        return Ok(());
    }
    let is_read = kind(line)?;
    let at = line.at;
    line.literal("(")?;
    let key = number(line)?;
    line.literal(",")?;
    let value = number(line)?;
    line.literal(",")?;
    let session = line.count("a session's number from 0")?;
    line.literal(",")?;
    let transaction = number(line)?;
    line.literal(")")?;
    end_of_line(line)?;
    let session = u32::try_from(session).or_else(|_| Stop::bad(at, "a session's number below 2^32"))?;
    if transaction < -1 {
        return Stop::bad(at, "a transaction's number, or -1 for an aborted one");
    }
    if !sessions.add(session, transaction, Micro { is_read, key, value }) {
        return Stop::bad(at, format!("the transactions of session {session} in increasing order"));
    }
    Ok(())
}

/// `r key value`, or a line that ends a transaction or a session. `place` is where the next one stands.
fn awdit_line(line: &mut Cursor<'_>, place: &mut (u32, i64), sessions: &mut Sessions) -> Result<(), Stop> {
    if blank(line)? {
        return Ok(());
    }
    match line.peek()? {
        b'-' => {
            rule(line, b'-')?;
            place.1 += 1;
        }
        b'=' => {
            rule(line, b'=')?;
            *place = (place.0 + 1, 0);
        }
        _ => {
            let is_read = kind(line)?;
            spaces(line)?;
            let key = number(line)?;
            spaces(line)?;
            let value = number(line)?;
            end_of_line(line)?;
            // Numbers count up here, so this cannot be refused.
            sessions.add(place.0, place.1, Micro { is_read, key, value });
        }
    }
    Ok(())
}

fn blank(line: &mut Cursor<'_>) -> Result<bool, Stop> {
    while matches!(line.peek()?, b' ' | b'\t' | b'\r') {
        line.at += 1;
    }
    Ok(line.peek()? == b'\n')
}

fn kind(line: &mut Cursor<'_>) -> Result<bool, Stop> {
    let is_read = match line.peek()? {
        b'r' => true,
        b'w' => false,
        _ => return Stop::bad(line.at, "`r` or `w`"),
    };
    line.at += 1;
    Ok(is_read)
}

fn number(line: &mut Cursor<'_>) -> Result<i64, Stop> {
    let at = line.at;
    line.int()?.map_or_else(|| Stop::bad(at, "a number of 64 bits"), Ok)
}

fn spaces(line: &mut Cursor<'_>) -> Result<(), Stop> {
    if !matches!(line.peek()?, b' ' | b'\t') {
        return Stop::bad(line.at, "a space");
    }
    while matches!(line.peek()?, b' ' | b'\t') {
        line.at += 1;
    }
    Ok(())
}

fn rule(line: &mut Cursor<'_>, byte: u8) -> Result<(), Stop> {
    let from = line.at;
    while line.peek()? == byte {
        line.at += 1;
    }
    if line.at - from < 3 {
        return Stop::bad(from, "a rule of dashes or equals signs");
    }
    end_of_line(line)
}

fn end_of_line(line: &mut Cursor<'_>) -> Result<(), Stop> {
    if blank(line)? { Ok(()) } else { Stop::bad(line.at, "the end of the line") }
}

#[cfg(test)]
#[path = "transactions_tests.rs"]
mod tests;
