//! What the hand-written readers share: bytes under a cursor, and what they answer when these do not fit.
//!
//! Readers work on a window of a stream. Running off its end is [`Stop::More`]: the caller widens the window
//! and begins the record again, or, at the end of the stream, reports the record as cut short.

use std::borrow::Cow;

/// How deep values may nest. A reader recurses once a level, so this bounds its stack.
pub(crate) const MAX_DEPTH: u32 = 200;

/// Why a reader stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The window ended within the record.
    More,
    /// The bytes at this place of the window are not what belongs there.
    Bad {
        /// Offset in the window.
        at: usize,
        /// What would have been right.
        expected: Cow<'static, str>,
    },
}

impl Stop {
    pub(crate) fn bad<T>(at: usize, expected: impl Into<Cow<'static, str>>) -> Result<T, Stop> {
        Err(Stop::Bad { at, expected: expected.into() })
    }
}

/// A place in a window of bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cursor<'a> {
    pub bytes: &'a [u8],
    pub at: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor { bytes, at }
    }

    /// The byte under the cursor.
    #[inline]
    pub fn peek(&self) -> Result<u8, Stop> {
        self.bytes.get(self.at).copied().ok_or(Stop::More)
    }

    /// What is left of the window.
    pub fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..]
    }

    /// Steps over `text`, or says that it was expected.
    pub fn literal(&mut self, text: &'static str) -> Result<(), Stop> {
        let rest = self.rest();
        if rest.starts_with(text.as_bytes()) {
            self.at += text.len();
            Ok(())
        } else if text.as_bytes().starts_with(rest) {
            Err(Stop::More)
        } else {
            Stop::bad(self.at, format!("`{text}`"))
        }
    }

    /// Digits with an optional minus. `None` if they do not fit into 64 bits; the cursor has then passed them.
    #[inline]
    pub fn int(&mut self) -> Result<Option<i64>, Stop> {
        let negative = self.peek()? == b'-';
        if negative {
            self.at += 1;
        }
        let from = self.at;
        let mut n: u64 = 0;
        let mut fits = true;
        while let Some(digit) = self.bytes.get(self.at).map(|b| b.wrapping_sub(b'0')).filter(|d| *d < 10) {
            // Nineteen digits cannot overflow 64 bits; only longer numbers need care.
            if self.at - from >= 19 {
                fits = false;
            }
            n = n.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        if self.at == self.bytes.len() {
            return Err(Stop::More);
        }
        if self.at == from {
            return Stop::bad(from, "a digit");
        }
        Ok(match (fits, negative) {
            (false, _) => None,
            (true, false) => i64::try_from(n).ok(),
            (true, true) => 0i64.checked_sub_unsigned(n),
        })
    }

    /// An integer that counts something: whole, from 0 to 2^64 - 1.
    #[inline]
    pub fn count(&mut self, what: &'static str) -> Result<u64, Stop> {
        let from = self.at;
        let mut n: u64 = 0;
        loop {
            let digit = self.peek()?.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            n = match n.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit))) {
                Some(n) => n,
                None => return Stop::bad(from, what),
            };
            self.at += 1;
        }
        if self.at == from || matches!(self.peek()?, b'.' | b'e' | b'E' | b'/') {
            return Stop::bad(from, what);
        }
        Ok(n)
    }
}

/// The UTF-8 text of some bytes of the window that begin at `at`.
pub(crate) fn text(bytes: &[u8], at: usize) -> Result<&str, Stop> {
    std::str::from_utf8(bytes).or_else(|e| Stop::bad(at + e.valid_up_to(), "text in UTF-8"))
}
