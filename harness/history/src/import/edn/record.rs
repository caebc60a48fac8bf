//! One operation: a map with keywords, or the record of some Jepsen library.

use std::borrow::Cow;

use super::form::Forms;
use crate::import::keyed::is_transaction;
use crate::import::sink::{Found, Key, Sink, error_meta};
use crate::scan::{Stop, text};
use crate::{EventKind, Meta, Value};

/// Who acts, as written.
enum Actor<'a> {
    Number(u32),
    Name(&'a str),
}

#[derive(Default)]
struct Fields<'a> {
    kind: Option<EventKind>,
    process: Option<Actor<'a>>,
    f: Option<Cow<'a, str>>,
    time: Option<u64>,
    key: Option<Value>,
    tuple: Option<Value>,
    value: Value,
    meta: Option<Box<Meta>>,
}

/// Reads the operation under the cursor. `None` for what is no client's: it is noted.
pub(super) fn read(forms: &mut Forms<'_, '_>, sink: &mut Sink) -> Result<Option<Found>, Stop> {
    let at = forms.cursor.at;
    if forms.cursor.peek()? == b'#' {
        forms.tag()?;
        if forms.peek()? != b'{' {
            return Stop::bad(forms.cursor.at, "an operation's fields: `{:type …}`");
        }
    }
    forms.cursor.at += 1;
    let fields = fields(forms, sink)?;
    let Some(kind) = fields.kind else {
        return Stop::bad(at, "an operation with a `:type` of :invoke, :ok, :fail or :info");
    };
    let f = match fields.f {
        Some(f) => f,
        None if is_transaction(&fields.value) => Cow::Borrowed("txn"),
        None => return Stop::bad(at, "an operation with an `:f`"),
    };
    let process = match fields.process {
        None => None,
        Some(Actor::Number(n)) => Some(n),
        Some(Actor::Name(name)) => {
            sink.note(name, fields.time, &f, &fields.value);
            return Ok(None);
        }
    };
    let f = sink.builder.function_id(&f);
    let key = match (fields.key, fields.tuple) {
        (Some(key), _) => Key::Named(key),
        (None, Some(key)) => Key::Tuple(key),
        (None, None) => Key::None,
    };
    Ok(Some(Found { kind, process, time: fields.time, f, key, value: fields.value, meta: fields.meta, at }))
}

fn fields<'a>(forms: &mut Forms<'a, '_>, sink: &Sink) -> Result<Fields<'a>, Stop> {
    let mut fields = Fields::default();
    loop {
        match forms.peek()? {
            b':' => {}
            b'}' => {
                forms.cursor.at += 1;
                return Ok(fields);
            }
            _ => return Stop::bad(forms.cursor.at, "a keyword, or `}` at the operation's end"),
        }
        let name = forms.keyword()?;
        let next = forms.peek()?;
        let at = forms.cursor.at;
        if next == b'}' {
            return Stop::bad(at, "a value for every keyword");
        }
        match name {
            b"type" => fields.kind = Some(kind(forms)?),
            b"process" => fields.process = actor(forms)?,
            b"f" => fields.f = name_or_nil(forms, "a keyword as `:f`")?,
            b"time" => fields.time = time(forms)?,
            b"value" => value(forms, sink, &mut fields)?,
            b"key" => fields.key = Some(forms.value(None)?),
            b"error" => fields.meta = error_meta(&forms.value(None)?),
            _ => forms.skip()?,
        }
    }
}

fn kind(forms: &mut Forms<'_, '_>) -> Result<EventKind, Stop> {
    const EXPECTED: &str = ":invoke, :ok, :fail or :info as `:type`";
    let at = forms.cursor.at;
    if forms.cursor.peek()? != b':' {
        return Stop::bad(at, EXPECTED);
    }
    match forms.keyword()? {
        b"invoke" => Ok(EventKind::Invoke),
        b"ok" => Ok(EventKind::Ok),
        b"fail" => Ok(EventKind::Fail),
        b"info" => Ok(EventKind::Info),
        _ => Stop::bad(at, EXPECTED),
    }
}

fn actor<'a>(forms: &mut Forms<'a, '_>) -> Result<Option<Actor<'a>>, Stop> {
    const EXPECTED: &str = "a number below 2^32, or a keyword, as `:process`";
    let at = forms.cursor.at;
    match forms.cursor.peek()? {
        b'0'..=b'9' => {
            let number = u32::try_from(forms.cursor.count(EXPECTED)?);
            number.map_or_else(|_| Stop::bad(at, EXPECTED), |n| Ok(Some(Actor::Number(n))))
        }
        b':' => Ok(Some(Actor::Name(text(forms.keyword()?, at)?))),
        b'n' if forms.token()? == b"nil" => Ok(None),
        _ => Stop::bad(at, EXPECTED),
    }
}

fn name_or_nil<'a>(forms: &mut Forms<'a, '_>, expected: &'static str) -> Result<Option<Cow<'a, str>>, Stop> {
    let at = forms.cursor.at;
    match forms.cursor.peek()? {
        b':' => text(forms.keyword()?, at).map(|f| Some(Cow::Borrowed(f))),
        b'"' => forms.string().map(|f| Some(Cow::Owned(f))),
        first if first.is_ascii_alphabetic() => {
            let name = text(forms.token()?, at)?;
            Ok(Some(Cow::Borrowed(name)).filter(|n| n != "nil"))
        }
        _ => Stop::bad(at, expected),
    }
}

fn time(forms: &mut Forms<'_, '_>) -> Result<Option<u64>, Stop> {
    const EXPECTED: &str = "whole nanoseconds from 0 as `:time`";
    let at = forms.cursor.at;
    match forms.cursor.peek()? {
        b'n' if forms.token()? == b"nil" => Ok(None),
        b'0'..=b'9' => forms.cursor.count(EXPECTED).map(Some),
        _ => Stop::bad(at, EXPECTED),
    }
}

/// The value, split if values are known to be tuples, or if this one is tagged as a tuple.
fn value(forms: &mut Forms<'_, '_>, sink: &Sink, fields: &mut Fields<'_>) -> Result<(), Stop> {
    // An answer mostly repeats its question, or its beginning.
    let like = match (fields.kind, &fields.process) {
        (Some(EventKind::Invoke) | None, _) | (_, None | Some(Actor::Name(_))) => None,
        (_, Some(Actor::Number(process))) => sink.builder.open_input(*process),
    };
    let from = forms.cursor;
    let tagged = forms.cursor.peek()? == b'#' && {
        let is_tuple = forms.tag().is_ok_and(|tag| tag.starts_with(b"jepsen.independent"));
        let opens = forms.peek()? == b'[';
        is_tuple && opens
    };
    if !tagged {
        forms.cursor = from;
    }
    if (tagged || sink.judge.split()) && forms.cursor.peek()? == b'[' {
        let before = forms.cursor;
        forms.cursor.at += 1;
        if forms.peek()? != b']' {
            let key = forms.value(None)?;
            if forms.peek()? != b']' {
                let value = forms.value(like)?;
                if forms.peek()? == b']' {
                    forms.cursor.at += 1;
                    (fields.tuple, fields.value) = (Some(key), value);
                    return Ok(());
                }
            }
        }
        if tagged {
            return Stop::bad(before.at, "a tuple of a key and a value");
        }
        forms.cursor = before;
    }
    fields.value = forms.value(like)?;
    Ok(())
}
