//! Lines of the text formats of transactions that are written as nearly all are: no blanks, no carriage
//! returns, numbers of at most eighteen digits, whole within the window.
//!
//! A short way only: it stops before the first line that is anything else, and the reader that knows all
//! lines, and says what is wrong with one, goes on there. What it takes, that reader would have taken alike.

use super::sessions::{Micro, Sessions};

/// Takes lines `r(key,value,session,transaction)` from `at` on; gives where it stopped.
pub(super) fn plume(bytes: &[u8], mut at: usize, sessions: &mut Sessions) -> usize {
    while let Some((session, transaction, micro, next)) = plume_line(bytes, at) {
        if !sessions.add(session, transaction, micro) {
            break;
        }
        at = next;
    }
    at
}

#[inline]
fn plume_line(bytes: &[u8], at: usize) -> Option<(u32, i64, Micro, usize)> {
    let is_read = is_read(bytes, at)?;
    let at = byte(bytes, at + 1, b'(')?;
    let (key, at) = number(bytes, at)?;
    let at = byte(bytes, at, b',')?;
    let (value, at) = number(bytes, at)?;
    let at = byte(bytes, at, b',')?;
    if *bytes.get(at)? == b'-' {
        return None;
    }
    let (session, at) = number(bytes, at)?;
    let at = byte(bytes, at, b',')?;
    let (transaction, at) = number(bytes, at)?;
    let at = byte(bytes, at, b')')?;
    let at = byte(bytes, at, b'\n')?;
    let session = u32::try_from(session).ok()?;
    (transaction >= -1).then_some((session, transaction, Micro { is_read, key, value }, at))
}

/// Takes lines `r key value` and rules from `at` on; gives where it stopped. `place` is where the next read or
/// write stands.
pub(super) fn awdit(bytes: &[u8], mut at: usize, place: &mut (u32, i64), sessions: &mut Sessions) -> usize {
    loop {
        if let Some((micro, next)) = awdit_line(bytes, at) {
            if !sessions.add(place.0, place.1, micro) {
                return at;
            }
            at = next;
        } else if let Some(next) = dashes(bytes, at) {
            place.1 += 1;
            at = next;
        } else {
            return at;
        }
    }
}

#[inline]
fn awdit_line(bytes: &[u8], at: usize) -> Option<(Micro, usize)> {
    let is_read = is_read(bytes, at)?;
    let at = byte(bytes, at + 1, b' ')?;
    let (key, at) = number(bytes, at)?;
    let at = byte(bytes, at, b' ')?;
    let (value, at) = number(bytes, at)?;
    let at = byte(bytes, at, b'\n')?;
    Some((Micro { is_read, key, value }, at))
}

/// A rule that ends a transaction.
fn dashes(bytes: &[u8], at: usize) -> Option<usize> {
    let length = bytes[at..].iter().take_while(|&&b| b == b'-').count();
    if length < 3 {
        return None;
    }
    byte(bytes, at + length, b'\n')
}

#[inline]
fn is_read(bytes: &[u8], at: usize) -> Option<bool> {
    match bytes.get(at)? {
        b'r' => Some(true),
        b'w' => Some(false),
        _ => None,
    }
}

#[inline]
fn byte(bytes: &[u8], at: usize, wanted: u8) -> Option<usize> {
    (*bytes.get(at)? == wanted).then_some(at + 1)
}

/// Up to eighteen digits, which always fit, with an optional minus; and where they end.
#[inline]
fn number(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let negative = *bytes.get(at)? == b'-';
    let from = at + usize::from(negative);
    let mut at = from;
    let mut n = 0i64;
    loop {
        let digit = bytes.get(at)?.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if at - from >= 18 {
            return None;
        }
        n = n * 10 + i64::from(digit);
        at += 1;
    }
    (at > from).then_some((if negative { -n } else { n }, at))
}
