//! Reads JSON straight into [`Value`]s, without a tree in between.
//!
//! Accepts what RFC 8259 calls JSON, and nothing else; depth is bounded. Numbers that are not whole 64-bit
//! integers become text, since a [`Value`] has no fractions: [`Pool::inexact`] counts them. Lists that repeat
//! what was read before are shared instead of built again: most answers repeat their question.

use std::borrow::Cow;

use crate::Value;
use crate::pool::Pool;
use crate::scan::{Cursor, MAX_DEPTH, Stop, text};

/// A reader over a window of JSON.
#[derive(Debug)]
pub(crate) struct Json<'a, 's> {
    pub cursor: Cursor<'a>,
    pub pool: &'s mut Pool,
    depth: u32,
}

impl<'a, 's> Json<'a, 's> {
    pub fn new(bytes: &'a [u8], at: usize, pool: &'s mut Pool) -> Self {
        pool.begin();
        Json { cursor: Cursor::new(bytes, at), pool, depth: 0 }
    }

    /// Steps over white space and gives the byte after it.
    #[inline]
    pub fn peek(&mut self) -> Result<u8, Stop> {
        loop {
            match self.cursor.peek()? {
                b' ' | b'\t' | b'\n' | b'\r' => self.cursor.at += 1,
                other => return Ok(other),
            }
        }
    }

    /// Steps over white space and `byte`.
    pub fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Stop> {
        if self.peek()? == byte {
            self.cursor.at += 1;
            return Ok(());
        }
        Stop::bad(self.cursor.at, what)
    }

    /// Whether another member of an object or array follows; steps over the comma or the closing `end`.
    pub fn another(&mut self, first: &mut bool, end: u8) -> Result<bool, Stop> {
        let byte = self.peek()?;
        if byte == end {
            self.cursor.at += 1;
            return Ok(false);
        }
        if std::mem::replace(first, false) {
            return Ok(true);
        }
        if byte != b',' {
            return Stop::bad(self.cursor.at, if end == b'}' { "`,` or `}`" } else { "`,` or `]`" });
        }
        self.cursor.at += 1;
        if self.peek()? == end {
            return Stop::bad(self.cursor.at, "another item after `,`");
        }
        Ok(true)
    }

    /// The name of an object's member, with its colon.
    pub fn name(&mut self) -> Result<Cow<'a, str>, Stop> {
        if self.peek()? != b'"' {
            return Stop::bad(self.cursor.at, "a member's name in double quotes");
        }
        let name = self.string()?;
        self.expect(b':', "`:` after a member's name")?;
        Ok(name)
    }

    /// A string; the cursor is at its opening quote.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        self.cursor.at += 1;
        let from = self.cursor.at;
        let run = self.plain_run()?;
        if self.cursor.bytes[self.cursor.at] == b'"' {
            self.cursor.at += 1;
            return Ok(Cow::Borrowed(text(run, from)?));
        }
        let mut out = text(run, from)?.to_owned();
        loop {
            match self.cursor.peek()? {
                b'"' => {
                    self.cursor.at += 1;
                    return Ok(Cow::Owned(out));
                }
                b'\\' => out.push(self.escape()?),
                _ => {
                    let from = self.cursor.at;
                    out.push_str(text(self.plain_run()?, from)?);
                }
            }
        }
    }

    fn plain_run(&mut self) -> Result<&'a [u8], Stop> {
        let rest = self.cursor.rest();
        let length = rest.iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20).ok_or(Stop::More)?;
        self.cursor.at += length;
        if rest[length] < 0x20 {
            // At the end of a stream stands a line feed of the window's own.
            if length + 1 == rest.len() {
                return Err(Stop::More);
            }
            return Stop::bad(self.cursor.at, "no bare control character within a string");
        }
        Ok(&rest[..length])
    }

    fn escape(&mut self) -> Result<char, Stop> {
        let at = self.cursor.at;
        self.cursor.at += 1;
        let letter = self.cursor.peek()?;
        self.cursor.at += 1;
        Ok(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex4()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high)
                        .map_or_else(|| Stop::bad(at, "a whole Unicode character"), Ok);
                }
                self.cursor.literal("\\u")?;
                let low = self.hex4()?;
                if !(0xdc00..0xe000).contains(&low) {
                    return Stop::bad(at, "a whole Unicode character");
                }
                let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return char::from_u32(pair).map_or_else(|| Stop::bad(at, "a whole Unicode character"), Ok);
            }
            _ => return Stop::bad(at, "an escape that JSON has"),
        })
    }

    fn hex4(&mut self) -> Result<u32, Stop> {
        let at = self.cursor.at;
        let mut n = 0;
        for _ in 0..4 {
            let digit = char::from(self.cursor.peek()?).to_digit(16);
            n = n * 16 + digit.map_or_else(|| Stop::bad(at, "four hexadecimal digits"), Ok)?;
            self.cursor.at += 1;
        }
        Ok(n)
    }

    /// Any value. `like` is one that it probably repeats.
    pub fn value(&mut self, like: Option<&Value>) -> Result<Value, Stop> {
        match self.peek()? {
            b'n' => self.cursor.literal("null").map(|()| Value::Nil),
            b't' => self.cursor.literal("true").map(|()| Value::Bool(true)),
            b'f' => self.cursor.literal("false").map(|()| Value::Bool(false)),
            b'"' => {
                let text = self.string()?;
                Ok(self.pool.name(&text))
            }
            b'-' | b'0'..=b'9' => self.number(),
            b'[' => self.nested(|r| {
                let (base, mut first) = (r.pool.stack.len(), true);
                let likes = like.and_then(Value::as_list).unwrap_or_default();
                while r.another(&mut first, b']')? {
                    let item = r.value(likes.get(r.pool.stack.len() - base))?;
                    r.pool.stack.push(item);
                }
                Ok(r.pool.list(base, like))
            }),
            b'{' => self.nested(|r| {
                let (mut pairs, mut first) = (Vec::new(), true);
                while r.another(&mut first, b'}')? {
                    let name = r.name()?;
                    pairs.push((Value::from_map_key(&name), r.value(None)?));
                }
                Ok(Value::map(pairs))
            }),
            _ => Stop::bad(self.cursor.at, "a JSON value"),
        }
    }

    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Stop::bad(self.cursor.at, format!("values nested at most {MAX_DEPTH} deep"));
        }
        self.cursor.at += 1;
        let value = read(self);
        self.depth -= 1;
        value
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let from = self.cursor.at;
        let whole = self.cursor.int()?;
        let digits = &self.cursor.bytes[from..self.cursor.at];
        let digits = digits.strip_prefix(b"-").unwrap_or(digits);
        if digits.len() > 1 && digits[0] == b'0' {
            return Stop::bad(from, "a number without leading zeros");
        }
        match (whole, self.cursor.peek()?) {
            (_, b'.' | b'e' | b'E') => {}
            (Some(n), _) => return Ok(Value::Int(n)),
            (None, _) => {}
        }
        let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
        let length = self.cursor.rest().iter().position(|b| !is_part(b)).ok_or(Stop::More)?;
        self.cursor.at += length;
        let digits = text(&self.cursor.bytes[from..self.cursor.at], from)?;
        if serde_json::from_str::<serde::de::IgnoredAny>(digits).is_err() {
            return Stop::bad(from, "a number");
        }
        self.pool.inexact += 1;
        Ok(Value::str(digits))
    }

    /// Steps over any value and gives its bytes.
    pub fn skip(&mut self) -> Result<&'a [u8], Stop> {
        let first = self.peek()?;
        let from = self.cursor.at;
        match first {
            b'[' => self.nested(|r| {
                let mut first = true;
                while r.another(&mut first, b']')? {
                    r.skip()?;
                }
                Ok(())
            })?,
            b'{' => self.nested(|r| {
                let mut first = true;
                while r.another(&mut first, b'}')? {
                    r.name()?;
                    r.skip()?;
                }
                Ok(())
            })?,
            b'"' => drop(self.string()?),
            _ => {
                let inexact = self.pool.inexact;
                self.value(None)?;
                self.pool.inexact = inexact;
            }
        }
        Ok(&self.cursor.bytes[from..self.cursor.at])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Value, Stop> {
        // A value at the very end of a window might go on after it, so something has to follow.
        Json::new(format!("{text} ").as_bytes(), 0, &mut Pool::default()).value(None)
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Nil),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-9i64..9).prop_map(Value::from),
            ".{0,6}".prop_map(Value::str),
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::list),
                prop::collection::btree_map("[a-z\"\\\\é0-9]{0,3}", inner, 0..3).prop_map(|m| {
                    Value::map(m.into_iter().map(|(k, v)| (Value::from_map_key(&k), v)).collect())
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_back_what_values_print(value in any_value(), like in prop::option::of(any_value())) {
            let mut line = Vec::new();
            value.write_json(&mut line);
            line.push(b'\n');
            let mut pool = Pool::default();
            let mut reader = Json::new(&line, 0, &mut pool);
            prop_assert_eq!(reader.value(like.as_ref()), Ok(value));
            prop_assert_eq!(reader.cursor.at, line.len() - 1);
        }

        #[test]
        fn agrees_with_serde_on_any_text(text in "[\\[\\]{},:\"\\\\ a0-9eE.+\\-nulltruefas\n]{0,12}") {
            let padded = format!("{text}\n");
            let mut pool = Pool::default();
            let mut reader = Json::new(padded.as_bytes(), 0, &mut pool);
            let ours = reader.value(None).and_then(|v| match reader.peek() {
                Err(Stop::More) => Ok(v),
                _ => Stop::bad(reader.cursor.at, "the end"),
            });
            let theirs = serde_json::from_str::<serde_json::Value>(&text);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok(), "{:?} {:?}", ours, theirs);
        }

        #[test]
        fn a_window_cut_anywhere_asks_for_more(value in any_value(), cut in 0usize..40) {
            let line = format!("{value} ");
            let cut = cut.min(line.len() - 2);
            let mut pool = Pool::default();
            let read = Json::new(&line.as_bytes()[..cut], 0, &mut pool).value(None);
            prop_assert_eq!(read, Err(Stop::More));
        }
    }

    #[test]
    fn fractions_become_text_and_are_counted() {
        let mut pool = Pool::default();
        let mut reader = Json::new(b"[1.5, -2e3, 99999999999999999999] ", 0, &mut pool);
        let expected = ["1.5", "-2e3", "99999999999999999999"].map(Value::str);
        assert_eq!(reader.value(None), Ok(Value::list(expected)));
        assert_eq!(pool.inexact, 3);
    }

    #[test]
    fn the_deepest_nesting_is_an_error_and_not_a_crash() {
        let deep = "[".repeat(10_000);
        assert!(matches!(read(&deep), Err(Stop::Bad { at: 200, .. })));
        assert!(matches!(
            Json::new(deep.as_bytes(), 0, &mut Pool::default()).skip(),
            Err(Stop::Bad { at: 200, .. })
        ));
        let fits = format!("{}{}", "[".repeat(200), "]".repeat(200));
        assert!(read(&fits).is_ok());
    }

    #[test]
    fn escapes() {
        assert_eq!(read(r#""a\u00e9\ud83d\ude00\/\n""#), Ok(Value::str("aé😀/\n")));
        assert!(read(r#""\ud83d""#).is_err());
        assert!(read(r#""\ud83d\u0041""#).is_err());
        assert!(read(r#""\ude00""#).is_err());
        assert!(read(r#""\x""#).is_err());
    }
}
