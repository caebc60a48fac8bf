//! EDN forms, read straight into [`Value`]s.
//!
//! Keywords, symbols and characters become text, sets become sorted lists, tagged forms lose their tag, and
//! numbers that are not whole 64-bit integers become text, counted in [`Pool::inexact`]. Lists that repeat
//! what was read before are shared instead of built again: most answers repeat their question.

use crate::Value;
use crate::pool::Pool;
use crate::scan::{Cursor, MAX_DEPTH, Stop, text};

const SPACE: u8 = 1;
const DELIMITER: u8 = 2;

/// What each byte is between forms. A table, because every byte of a history is asked for.
static CLASS: [u8; 256] = {
    let mut class = [0; 256];
    let (spaces, brackets) = (b" ,\n\t\r\x0b\x0c", b"()[]{}\";");
    let mut i = 0;
    while i < spaces.len() {
        class[spaces[i] as usize] = SPACE | DELIMITER;
        i += 1;
    }
    i = 0;
    while i < brackets.len() {
        class[brackets[i] as usize] = DELIMITER;
        i += 1;
    }
    class
};

#[inline]
fn is_space(byte: u8) -> bool {
    CLASS[usize::from(byte)] & SPACE != 0
}

#[inline]
fn is_delimiter(byte: u8) -> bool {
    CLASS[usize::from(byte)] & DELIMITER != 0
}

/// A reader over a window of EDN.
#[derive(Debug)]
pub(in crate::import) struct Forms<'a, 's> {
    pub cursor: Cursor<'a>,
    pub pool: &'s mut Pool,
    depth: u32,
}

impl<'a, 's> Forms<'a, 's> {
    pub fn new(bytes: &'a [u8], at: usize, pool: &'s mut Pool) -> Self {
        pool.begin();
        Forms { cursor: Cursor::new(bytes, at), pool, depth: 0 }
    }

    /// Steps over white space, comments and discarded forms, and gives the byte after them.
    #[inline]
    pub fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            let byte = self.cursor.peek()?;
            if is_space(byte) {
                self.cursor.at += 1;
            } else if (byte != b';' && byte != b'#') || !self.remark(byte)? {
                return Ok(byte);
            }
        }
    }

    /// Steps over a comment or a discarded form, if one begins here.
    #[cold]
    fn remark(&mut self, byte: u8) -> Result<bool, Stop> {
        if byte == b';' {
            let line = self.cursor.rest().iter().position(|&b| b == b'\n').ok_or(Stop::More)?;
            self.cursor.at += line;
        } else if self.second()? == b'_' {
            self.cursor.at += 2;
            self.deeper(|r| r.peek().and_then(|_| r.skip()))?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Whether the window holds no more forms, only what [`Forms::peek`] steps over.
    pub fn is_done(&mut self) -> bool {
        self.peek() == Err(Stop::More) && self.depth == 0 && self.cursor.at == self.cursor.bytes.len()
    }

    fn second(&self) -> Result<u8, Stop> {
        self.cursor.bytes.get(self.cursor.at + 1).copied().ok_or(Stop::More)
    }

    /// The bytes of a keyword or symbol, up to the next delimiter; the cursor is at its first.
    #[inline]
    pub fn token(&mut self) -> Result<&'a [u8], Stop> {
        let rest = self.cursor.rest();
        let length = rest.iter().position(|&b| is_delimiter(b)).ok_or(Stop::More)?;
        self.cursor.at += length;
        Ok(&rest[..length])
    }

    /// A keyword without its colon; the cursor is at the colon.
    #[inline]
    pub fn keyword(&mut self) -> Result<&'a [u8], Stop> {
        let at = self.cursor.at;
        self.cursor.at += 1;
        match self.token()? {
            [] => Stop::bad(at, "a keyword"),
            name => Ok(name),
        }
    }

    /// Any form. `like` is a value that this one probably repeats.
    pub fn value(&mut self, like: Option<&Value>) -> Result<Value, Stop> {
        let at = match self.peek()? {
            b'0'..=b'9' => return self.number(),
            b'-' | b'+' if self.second()?.is_ascii_digit() => return self.number(),
            b'"' => return self.string().map(Value::str),
            b'[' | b'(' => return self.list(like),
            b'{' => return self.map(),
            b'#' => return self.dispatch(like),
            b'\\' => return self.character(),
            b':' => {
                let at = self.cursor.at + 1;
                let name = text(self.keyword()?, at)?;
                return Ok(self.pool.name(name));
            }
            b']' | b')' | b'}' => return Stop::bad(self.cursor.at, "a value"),
            _ => self.cursor.at,
        };
        match self.token()? {
            b"nil" => Ok(Value::Nil),
            b"true" => Ok(Value::Bool(true)),
            b"false" => Ok(Value::Bool(false)),
            symbol => {
                let symbol = text(symbol, at)?;
                Ok(self.pool.name(symbol))
            }
        }
    }

    /// Steps over any form.
    pub fn skip(&mut self) -> Result<(), Stop> {
        match self.peek()? {
            b'"' => self.string().map(drop),
            b'0'..=b'9' | b':' => self.token().map(drop),
            _ => {
                let inexact = self.pool.inexact;
                self.value(None)?;
                self.pool.inexact = inexact;
                Ok(())
            }
        }
    }

    fn deeper<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Stop::bad(self.cursor.at, format!("values nested at most {MAX_DEPTH} deep"));
        }
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Reads forms up to `close` onto the stack; gives where the first of them lies there.
    fn items(&mut self, close: u8, like: Option<&Value>) -> Result<usize, Stop> {
        let base = self.pool.stack.len();
        let likes = like.and_then(Value::as_list).unwrap_or_default();
        self.deeper(|r| {
            r.cursor.at += 1;
            while r.peek()? != close {
                let like = likes.get(r.pool.stack.len() - base);
                let item = r.value(like)?;
                r.pool.stack.push(item);
            }
            r.cursor.at += 1;
            Ok(base)
        })
    }

    fn list(&mut self, like: Option<&Value>) -> Result<Value, Stop> {
        let close = if self.cursor.peek()? == b'[' { b']' } else { b')' };
        let base = self.items(close, like)?;
        Ok(self.pool.list(base, like))
    }

    fn map(&mut self) -> Result<Value, Stop> {
        let at = self.cursor.at;
        let base = self.items(b'}', None)?;
        let mut items = self.pool.stack.drain(base..);
        let mut pairs = Vec::with_capacity(items.len() / 2);
        while let Some(key) = items.next() {
            let Some(value) = items.next() else {
                return Stop::bad(at, "a map with a value for every key");
            };
            pairs.push((key, value));
        }
        drop(items);
        let map = Value::map(pairs);
        let repeats = map.as_map().is_some_and(|pairs| pairs.windows(2).any(|w| w[0].0 == w[1].0));
        if repeats { Stop::bad(at, "a map that has every key once") } else { Ok(map) }
    }

    fn dispatch(&mut self, like: Option<&Value>) -> Result<Value, Stop> {
        match self.second()? {
            b'{' => {
                self.cursor.at += 1;
                let base = self.items(b'}', None)?;
                let mut items: Vec<Value> = self.pool.stack.drain(base..).collect();
                items.sort();
                Ok(Value::list(items))
            }
            b'#' => {
                self.cursor.at += 2;
                let at = self.cursor.at;
                let name = text(self.token()?, at)?;
                self.pool.inexact += 1;
                Ok(self.pool.name(name))
            }
            b'"' => {
                self.cursor.at += 1;
                self.string().map(Value::str)
            }
            _ => {
                self.tag()?;
                self.deeper(|r| r.value(like))
            }
        }
    }

    /// A tag's name; the cursor is at its `#`.
    pub fn tag(&mut self) -> Result<&'a [u8], Stop> {
        self.cursor.at += 1;
        let at = self.cursor.at;
        match self.token()? {
            [first, ..] if !first.is_ascii_alphabetic() => Stop::bad(at, "a tag"),
            [] => Stop::bad(at, "a tag"),
            name => Ok(name),
        }
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let from = self.cursor.at;
        if self.cursor.peek()? == b'+' {
            self.cursor.at += 1;
        }
        let whole = self.cursor.int()?;
        if is_delimiter(self.cursor.peek()?)
            && let Some(n) = whole
        {
            return Ok(Value::Int(n));
        }
        let end = self.cursor.at;
        let rest = self.token()?;
        if let (b"N", Some(n)) = (rest, whole) {
            return Ok(Value::Int(n));
        }
        let is_part =
            |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' | b'/' | b'M' | b'N');
        if let Some(odd) = rest.iter().position(|b| !is_part(b)) {
            return Stop::bad(end + odd, "the number to end");
        }
        self.pool.inexact += 1;
        Ok(Value::str(text(&self.cursor.bytes[from..self.cursor.at], from)?))
    }

    /// A string; the cursor is at its opening quote.
    pub fn string(&mut self) -> Result<String, Stop> {
        self.cursor.at += 1;
        let mut out = String::new();
        loop {
            let rest = self.cursor.rest();
            let run = rest.iter().position(|&b| b == b'"' || b == b'\\').ok_or(Stop::More)?;
            out.push_str(text(&rest[..run], self.cursor.at)?);
            self.cursor.at += run + 1;
            if rest[run] == b'"' {
                return Ok(out);
            }
            out.push(self.escape()?);
        }
    }

    fn escape(&mut self) -> Result<char, Stop> {
        let at = self.cursor.at - 1;
        let letter = self.cursor.peek()?;
        self.cursor.at += 1;
        Ok(match letter {
            b'"' | b'\\' => char::from(letter),
            b'n' => '\n',
            b't' => '\t',
            b'r' => '\r',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'u' => {
                let digits = self.cursor.rest().get(..4).ok_or(Stop::More)?;
                self.cursor.at += 4;
                return hex(digits).map_or_else(|| Stop::bad(at, "four hexadecimal digits after `\\u`"), Ok);
            }
            b'0'..=b'7' => {
                let mut n = u32::from(letter - b'0');
                while let digit @ b'0'..=b'7' = self.cursor.peek()?
                    && n < 32
                {
                    n = n * 8 + u32::from(digit - b'0');
                    self.cursor.at += 1;
                }
                char::from_u32(n).unwrap_or('\u{fffd}')
            }
            _ => return Stop::bad(at, "an escape that EDN has"),
        })
    }

    fn character(&mut self) -> Result<Value, Stop> {
        self.cursor.at += 1;
        let at = self.cursor.at;
        // Any first character belongs to it, also one that would end a token.
        let wide = match self.cursor.peek()? {
            0..=0x7f => 1,
            0xf0.. => 4,
            0xe0.. => 3,
            _ => 2,
        };
        self.cursor.at += wide;
        if self.cursor.at > self.cursor.bytes.len() {
            return Err(Stop::More);
        }
        self.token()?;
        let name = text(&self.cursor.bytes[at..self.cursor.at], at)?;
        let one = match name {
            "newline" => "\n",
            "space" => " ",
            "tab" => "\t",
            "return" => "\r",
            "backspace" => "\u{8}",
            "formfeed" => "\u{c}",
            one if one.chars().count() == 1 => one,
            coded => {
                let c = coded.strip_prefix('u').filter(|d| d.len() == 4).and_then(|d| hex(d.as_bytes()));
                return c.map_or_else(|| Stop::bad(at, "a character"), |c| Ok(Value::str(c)));
            }
        };
        Ok(Value::str(one))
    }
}

/// A character by four hexadecimal digits. Halves of surrogate pairs, which Java can write, become U+FFFD.
fn hex(digits: &[u8]) -> Option<char> {
    let n = digits.iter().try_fold(0, |n, &d| char::from(d).to_digit(16).map(|d| n * 16 + d))?;
    Some(char::from_u32(n).unwrap_or('\u{fffd}'))
}
