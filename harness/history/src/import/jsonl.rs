//! JSON lines: one event a line, in any order of fields, with unknown fields stepped over.

use super::ImportError;
use super::sink::{Found, Key, Sink, error_meta};
use super::window::Window;
use crate::json::Json;
use crate::object::{self, Actor, Object};
use crate::pool::Pool;
use crate::scan::Stop;
use crate::{EventKind, History, Value};

/// Types of lines that only a run's log has.
pub(super) const LOG_ONLY: [&str; 6] = ["run", "mark", "process", "phase", "fault", "note"];

pub(super) fn read(window: &mut Window<'_>, mut sink: Sink) -> Result<(History, Vec<String>), ImportError> {
    let (mut list, mut pool) = (false, Pool::default());
    loop {
        let mut json = Json::new(&window.bytes, window.at, &mut pool);
        let object = match next(&mut json, &mut list, |process| sink.builder.open_input(process)) {
            Ok(object) => object,
            Err(Stop::More) if !window.ended => {
                window.fill()?;
                continue;
            }
            Err(Stop::More) if window.rest_is_blank() && !list => {
                break;
            }
            Err(stop) => return Err(window.error(stop)),
        };
        let Some(object) = object else {
            window.at = json.cursor.at;
            continue;
        };
        let (at, inexact) = (json.cursor.at, json.pool.inexact);
        sink.inexact += inexact;
        if let Some(found) = event(object, &mut sink).map_err(|stop| window.error(stop))? {
            sink.push(found, window)?;
        }
        window.at = at;
    }
    sink.finish(false)
}

/// The next object; `None` for what stands between objects: the brackets and commas of a list.
pub(super) fn next<'a, 'v>(
    json: &mut Json<'a, '_>,
    list: &mut bool,
    like: impl Fn(u32) -> Option<&'v Value>,
) -> Result<Option<Object<'a>>, Stop> {
    match json.peek()? {
        b'[' if !*list => *list = true,
        b',' if *list => {}
        b']' if *list => *list = false,
        _ => return object::read(json, like).map(Some),
    }
    json.cursor.at += 1;
    Ok(None)
}

fn event(o: Object<'_>, sink: &mut Sink) -> Result<Option<Found>, Stop> {
    let at = o.from;
    let kind = match o.kind.as_deref() {
        Some("invoke") => EventKind::Invoke,
        Some("ok") => EventKind::Ok,
        Some("fail") => EventKind::Fail,
        Some("info") => EventKind::Info,
        _ => return Stop::bad(at, "an event with a `type` of invoke, ok, fail or info"),
    };
    let value = o.value.unwrap_or(Value::Nil);
    let f = o.f.map_or_else(|| Stop::bad(at, "an event with an `f`"), Ok)?;
    let process = match o.process {
        None => None,
        Some(Actor::Number(n)) => Some(sink.number(n, at)?),
        Some(Actor::Name(name)) if name == "nemesis" => {
            sink.note(&name, o.time, &f, &value);
            return Ok(None);
        }
        Some(Actor::Name(name)) => Some(sink.named(&name, at)?),
    };
    let meta = o.meta.or_else(|| o.error.as_ref().and_then(error_meta));
    let f = sink.builder.function_id(&f);
    let key = o.key.map_or(Key::None, Key::Named);
    Ok(Some(Found { kind, process, time: o.time, f, key, value, meta, at }))
}
