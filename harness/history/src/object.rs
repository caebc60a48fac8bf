//! One JSON object of a log or of JSON lines, taken apart into the fields that are known.
//!
//! Fields may come in any order; unknown ones are stepped over. Nothing is decided here: the run log reads
//! strictly, an import leniently, both from the same fields.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::json::Json;
use crate::scan::{Stop, text};
use crate::{Meta, Value};

/// Who acts, as written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Actor<'a> {
    Number(u32),
    Name(Cow<'a, str>),
}

/// The known fields, where present, and where the object lies in the window.
#[derive(Debug, Default)]
pub(crate) struct Object<'a> {
    pub from: usize,
    pub to: usize,
    pub kind: Option<Cow<'a, str>>,
    pub process: Option<Actor<'a>>,
    pub f: Option<Cow<'a, str>>,
    pub time: Option<u64>,
    pub intended: Option<u64>,
    pub start: Option<u64>,
    pub end: Option<u64>,
    pub entries: Option<u64>,
    pub key: Option<Value>,
    pub value: Option<Value>,
    pub input: Option<Value>,
    pub output: Option<Value>,
    pub error: Option<Value>,
    pub meta: Option<Box<Meta>>,
}

/// Reads the object under the cursor. `like` gives a value that one of this kind and process probably repeats.
pub(crate) fn read<'a, 'v>(
    json: &mut Json<'a, '_>,
    like: impl Fn(u32) -> Option<&'v Value>,
) -> Result<Object<'a>, Stop> {
    json.expect(b'{', "`{`: an object a line")?;
    let mut o = Object { from: json.cursor.at - 1, ..Object::default() };
    let mut first = true;
    while json.another(&mut first, b'}')? {
        let name = json.name()?;
        match &*name {
            "type" => o.kind = text_or_null(json, "a text as `type`")?,
            "process" => o.process = actor(json)?,
            "f" => o.f = text_or_null(json, "a text as `f`")?,
            "time" => o.time = time(json, "whole nanoseconds from 0 as `time`")?,
            "intended" => o.intended = time(json, "whole nanoseconds from 0 as `intended`")?,
            "start" => o.start = time(json, "whole nanoseconds from 0 as `start`")?,
            "end" => o.end = time(json, "whole nanoseconds from 0, or null, as `end`")?,
            // Only marks count entries; elsewhere the name is free.
            "entries" if json.peek()?.is_ascii_digit() => o.entries = time(json, "a count as `entries`")?,
            "key" => o.key = Some(json.value(None)?),
            "value" => {
                let like = match (&o.process, o.kind.as_deref()) {
                    (Some(Actor::Number(process)), Some(kind)) if kind != "invoke" => like(*process),
                    _ => None,
                };
                o.value = Some(json.value(like)?);
            }
            "input" => o.input = Some(json.value(None)?),
            "output" => o.output = Some(json.value(None)?),
            "error" => o.error = Some(json.value(None)?),
            "meta" if json.peek()? == b'{' => o.meta = Some(Box::new(meta(json)?)),
            _ => drop(json.skip()?),
        }
    }
    o.to = json.cursor.at;
    Ok(o)
}

fn text_or_null<'a>(json: &mut Json<'a, '_>, what: &'static str) -> Result<Option<Cow<'a, str>>, Stop> {
    match json.peek()? {
        b'"' => json.string().map(Some),
        b'n' => json.cursor.literal("null").map(|()| None),
        _ => Stop::bad(json.cursor.at, what),
    }
}

fn actor<'a>(json: &mut Json<'a, '_>) -> Result<Option<Actor<'a>>, Stop> {
    match json.peek()? {
        b'"' => json.string().map(|name| Some(Actor::Name(name))),
        b'n' => json.cursor.literal("null").map(|()| None),
        _ => {
            let at = json.cursor.at;
            let what = "a number below 2^32, or a text, as `process`";
            let number = u32::try_from(json.cursor.count(what)?);
            number.map_or_else(|_| Stop::bad(at, what), |n| Ok(Some(Actor::Number(n))))
        }
    }
}

fn time(json: &mut Json<'_, '_>, what: &'static str) -> Result<Option<u64>, Stop> {
    match json.peek()? {
        b'n' => json.cursor.literal("null").map(|()| None),
        _ => json.cursor.count(what).map(Some),
    }
}

fn meta(json: &mut Json<'_, '_>) -> Result<Meta, Stop> {
    json.expect(b'{', "an object as `meta`")?;
    let (mut meta, mut more, mut first) = (Meta::default(), BTreeMap::new(), true);
    while json.another(&mut first, b'}')? {
        let name = json.name()?;
        let is_text = json.peek()? == b'"';
        match &*name {
            "node" if is_text => meta.node = Some(json.string()?.into_owned()),
            "error" if is_text => meta.error = Some(json.string()?.into_owned()),
            "row" if is_text => meta.row = Some(Cow::Owned(json.string()?.into_owned())),
            "revision" if matches!(json.peek()?, b'0'..=b'9' | b'-') => {
                let at = json.cursor.at;
                meta.revision =
                    Some(json.cursor.int()?.map_or_else(|| Stop::bad(at, "a revision of 64 bits"), Ok)?);
            }
            _ => {
                let at = json.cursor.at;
                let raw = text(json.skip()?, at)?;
                let value =
                    serde_json::from_str(raw).or_else(|e| Stop::bad(at, format!("a JSON value ({e})")))?;
                more.insert(name.into_owned(), value);
            }
        }
    }
    meta.more = more;
    Ok(meta)
}
