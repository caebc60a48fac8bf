//! JSON lines of whole operations, each with its `start` and `end`.
//!
//! `value` alone stands for argument and answer; `input` and `output` say them apart. Without a `type` an
//! operation with an `end` is `ok`, one without is `info`. Order follows time: operations that touch overlap.

use rustc_hash::FxHashMap;

use super::sink::error_meta;
use super::window::Window;
use super::{ImportError, Options, jsonl};
use crate::json::Json;
use crate::object::{Actor, Object};
use crate::pool::Pool;
use crate::scan::Stop;
use crate::{BadEvent, History, Outcome, RawOperation, Value};

#[derive(Default)]
struct Spans {
    history: History,
    lines: Vec<u64>,
    names: FxHashMap<String, u32>,
    // Whether the first operation names its process, numbers it, or says nothing.
    actor: Option<Says>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Number,
    Name,
    Nothing,
}

pub(super) fn read(
    window: &mut Window<'_>,
    options: &Options,
) -> Result<(History, Vec<String>), ImportError> {
    let (mut spans, mut pool, mut list, mut inexact) = (Spans::default(), Pool::default(), false, 0);
    loop {
        let mut json = Json::new(&window.bytes, window.at, &mut pool);
        let object = match jsonl::next(&mut json, &mut list, |_| None) {
            Ok(object) => object,
            Err(Stop::More) if !window.ended => {
                window.fill()?;
                continue;
            }
            Err(Stop::More) if window.rest_is_blank() && !list => break,
            Err(stop) => return Err(window.error(stop)),
        };
        let at = json.cursor.at;
        inexact += json.pool.inexact;
        if let Some(object) = object {
            let from = object.from;
            spans.add(object).map_err(|stop| window.error(stop))?;
            spans.lines.push(window.next_line(from));
        }
        window.at = at;
    }
    spans.settle_processes()?;
    let mut history = spans.history;
    history.widen(options.clock_error);
    let mut warnings = Vec::new();
    if inexact > 0 {
        warnings.push(format!(
            "{inexact} numbers that are not whole, or have more than 64 bits, are kept as text"
        ));
    }
    Ok((history, warnings))
}

impl Spans {
    fn add(&mut self, o: Object<'_>) -> Result<(), Stop> {
        let at = o.from;
        let start = o.start.map_or_else(|| Stop::bad(at, "an operation with a `start`"), Ok)?;
        let outcome = match (o.kind.as_deref(), o.end) {
            (Some("ok"), Some(_)) | (None, Some(_)) => Outcome::Ok,
            (Some("fail"), Some(_)) => Outcome::Fail,
            (Some("info"), _) | (None, None) => Outcome::Info,
            (Some("ok" | "fail"), None) => {
                return Stop::bad(at, "an `end` of an operation that is ok or failed");
            }
            (Some(_), _) => return Stop::bad(at, "a `type` of ok, fail or info"),
        };
        let end = o.end.unwrap_or(u64::MAX);
        if end < start {
            return Stop::bad(at, format!("an `end` not before the `start` ({end} is before {start})"));
        }
        let f = o.f.map_or_else(|| Stop::bad(at, "an operation with an `f`"), Ok)?;
        let process = self.process(o.process, at)?;
        let value = o.value.unwrap_or(Value::Nil);
        let answer =
            if outcome == Outcome::Ok { o.output.unwrap_or_else(|| value.clone()) } else { Value::Nil };
        let f = self.history.function_id(&f);
        self.history.append(RawOperation {
            process,
            f,
            key: o.key.unwrap_or(Value::Nil),
            input: o.input.unwrap_or(value),
            output: answer,
            outcome,
            start,
            end,
            meta: o.meta.or_else(|| o.error.as_ref().and_then(error_meta)),
        });
        Ok(())
    }

    fn process(&mut self, actor: Option<Actor<'_>>, at: usize) -> Result<u32, Stop> {
        let (says, number) = match actor {
            None => (Says::Nothing, 0),
            Some(Actor::Number(n)) => (Says::Number, n),
            Some(Actor::Name(name)) => {
                let next = self.names.len() as u32;
                (Says::Name, *self.names.entry(name.into_owned()).or_insert(next))
            }
        };
        match *self.actor.get_or_insert(says) {
            before if before == says => Ok(number),
            Says::Number => Stop::bad(at, "a number as `process`, as before"),
            Says::Name => Stop::bad(at, "a text as `process`, as before"),
            Says::Nothing => Stop::bad(at, "no `process`, as before"),
        }
    }

    /// Gives processes to operations that have none: the lowest that is free. Of those that have one, no two
    /// may overlap.
    fn settle_processes(&mut self) -> Result<(), ImportError> {
        let mut order: Vec<usize> = (0..self.history.len()).collect();
        order.sort_by_key(|&i| self.history.op(i).start);
        let given = self.actor != Some(Says::Nothing);
        // By process: until when it is busy, and with what. An `info` of no end keeps no given process busy.
        let mut busy: FxHashMap<u32, (u64, usize)> = FxHashMap::default();
        let mut free_at: Vec<u64> = Vec::new();
        for i in order {
            let op = self.history.op(i);
            let (start, end, process) = (op.start, op.end, op.process);
            if !given {
                let free = free_at.iter().position(|&until| until < start).unwrap_or(free_at.len());
                free_at.resize(free_at.len().max(free + 1), 0);
                free_at[free] = end;
                self.history.set_process(i, free as u32);
                continue;
            }
            if let Some(&(until, other)) = busy.get(&process)
                && until > start
            {
                let open = self.history.op(other).f.to_owned();
                let source = BadEvent::StillOpen { process, f: op.f.to_owned(), open };
                return Err(ImportError::Event { line: self.lines[i], source });
            }
            busy.insert(process, (if op.outcome == Outcome::Info { start } else { end }, i));
        }
        Ok(())
    }
}
