//! Where every reader puts its events: times and keys are settled here, and events become a history.

use std::borrow::Cow;

use rustc_hash::FxHashMap;

use super::keyed::{Judge, Known};
use super::window::Window;
use super::{ImportError, Options};
use crate::scan::Stop;
use crate::{Builder, EventKind, History, Meta, Note, Order, RawEvent, Value};

/// The key of an event.
#[derive(Debug)]
pub(crate) enum Key {
    /// It has none, unless its value turns out to be a tuple.
    None,
    /// It stands in a field of its own.
    Named(Value),
    /// It was split off a `[key value]` tuple.
    Tuple(Value),
}

/// An event as a reader found it.
#[derive(Debug)]
pub(crate) struct Found {
    pub kind: EventKind,
    /// `None` where the history does not say.
    pub process: Option<u32>,
    pub time: Option<u64>,
    pub f: u16,
    pub key: Key,
    pub value: Value,
    pub meta: Option<Box<Meta>>,
    /// Where it begins in the window.
    pub at: usize,
}

/// What is said of processes, or of times, by the first event, and has to be said by all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Given {
    #[default]
    Unknown,
    Always,
    Never,
}

#[derive(Debug)]
pub(crate) struct Sink {
    pub builder: Builder,
    pub judge: Judge,
    pub warnings: Vec<String>,
    pub inexact: u64,
    times: Given,
    processes: Given,
    names: FxHashMap<String, u32>,
    numbered: bool,
    last: u64,
    untimed: u64,
    raced: u64,
    clock_error: u64,
}

impl Sink {
    pub fn new(options: &Options) -> Self {
        Sink {
            builder: Builder::new(Order::AsGiven),
            judge: Judge::new(options.keyed),
            warnings: Vec::new(),
            inexact: 0,
            times: Given::Unknown,
            processes: Given::Unknown,
            names: FxHashMap::default(),
            numbered: false,
            last: 0,
            untimed: 0,
            raced: 0,
            clock_error: options.clock_error,
        }
    }

    /// The number of a process that has a name. A history names its processes or numbers them.
    pub fn named(&mut self, name: &str, at: usize) -> Result<u32, Stop> {
        if self.numbered {
            return Stop::bad(at, "a number as process, as before");
        }
        let next = self.names.len() as u32;
        Ok(*self.names.entry(name.to_owned()).or_insert(next))
    }

    /// A process that has a number.
    pub fn number(&self, number: u32, at: usize) -> Result<u32, Stop> {
        if self.names.is_empty() { Ok(number) } else { Stop::bad(at, "a name as process, as before") }
    }

    /// What a process outside the clients did, such as Jepsen's nemesis.
    pub fn note(&mut self, who: &str, time: Option<u64>, f: &str, value: &Value) {
        let text = if value.is_nil() { f.to_owned() } else { format!("{f} {value}") };
        let note = Note { time: time.unwrap_or(self.last), kind: who.to_owned(), text, ..Note::default() };
        self.builder.history_mut().notes.push(note);
    }

    /// Adds an event. `window` is where it was found.
    pub fn push(&mut self, found: Found, window: &Window<'_>) -> Result<(), ImportError> {
        let Found { kind, process, time, f, key, value, meta, at } = found;
        let process = self.process(process, at).map_err(|stop| window.error(stop))?;
        let time = self.time(time);
        let mut event = RawEvent { kind, process, time, intended: time, f, key: Value::Nil, value, meta };
        match key {
            Key::None if self.judge.split() && event.value.as_pair().is_some() => {
                let (key, value) =
                    event.value.as_pair().map(|(k, v)| (k.clone(), v.clone())).unwrap_or_default();
                event.value = value;
                self.accept_tuple(key, &mut event, || window.line(at))?;
            }
            Key::None => self.look_for_tuple(&mut event, at, window)?,
            Key::Tuple(key) => self.accept_tuple(key, &mut event, || window.line(at))?,
            Key::Named(key) => {
                event.key = key;
                self.judge.known = Known::Plain { line: None };
            }
        }
        self.builder.push_raw(event).map_err(|source| ImportError::Event { line: window.line(at), source })
    }

    fn process(&mut self, process: Option<u32>, at: usize) -> Result<u32, Stop> {
        let given = if process.is_some() { Given::Always } else { Given::Never };
        if self.processes == Given::Unknown {
            self.processes = given;
            self.numbered = process.is_some() && self.names.is_empty();
        }
        if self.processes != given {
            let what = if process.is_some() { "no process, as before" } else { "a process, as before" };
            return Stop::bad(at, format!("an operation with {what}"));
        }
        Ok(process.unwrap_or(0))
    }

    /// Histories without times keep their order as nanoseconds; an event without a time among others with one
    /// happens at the time of the event before.
    fn time(&mut self, time: Option<u64>) -> u64 {
        if self.times == Given::Unknown {
            self.times = if time.is_some() { Given::Always } else { Given::Never };
        }
        match (self.times, time) {
            (Given::Always, Some(time)) if time < self.last && is_race(time, self.last) => self.raced += 1,
            (Given::Always, Some(time)) => self.last = time,
            (Given::Always, None) => self.untimed += 1,
            (_, None) => self.last += 1,
            (_, Some(_)) => {
                self.last += 1;
                self.untimed += 1;
            }
        }
        self.last
    }

    /// A tuple by its tag, or by position once values are known to be tuples.
    fn accept_tuple(
        &mut self,
        key: Value,
        event: &mut RawEvent,
        line: impl Fn() -> u64,
    ) -> Result<(), ImportError> {
        match self.judge.known {
            Known::Tuples { .. } => event.key = key,
            Known::Unknown { pair } => {
                self.judge.known = Known::Tuples { line: Some(pair.unwrap_or_else(&line)) };
                if pair.is_some() {
                    self.split_before(line())?;
                }
                event.key = key;
            }
            Known::Plain { line: None } => event.value = Value::list([key, std::mem::take(&mut event.value)]),
            Known::Plain { line: Some(plain) } => {
                let what = format!("this value is a tagged tuple, but that on line {plain} is plain");
                return Err(ImportError::Ambiguous { line: line(), what });
            }
        }
        Ok(())
    }

    /// A value that was read as it stands.
    fn look_for_tuple(
        &mut self,
        event: &mut RawEvent,
        at: usize,
        window: &Window<'_>,
    ) -> Result<(), ImportError> {
        let line = || window.line(at);
        if event.kind != EventKind::Invoke {
            // Only an answer is read; what a failure repeats does not matter.
            return if event.kind == EventKind::Ok { self.plain_answer(&event.value, line) } else { Ok(()) };
        }
        if matches!(self.judge.known, Known::Plain { line: None }) {
            return Ok(());
        }
        let f = self.builder.history_mut().functions()[event.f as usize].clone();
        if self.judge.weigh(&f, &event.value, line)? {
            self.split_before(line())?;
            let pair = event.value.as_pair().map(|(k, v)| (k.clone(), v.clone()));
            (event.key, event.value) = pair.unwrap_or_default();
        }
        Ok(())
    }

    /// An answer that is no tuple. Answers to tuples are tuples, so where they were only inferred the inference
    /// was wrong, and is undone.
    fn plain_answer(&mut self, answer: &Value, line: impl Fn() -> u64) -> Result<(), ImportError> {
        match self.judge.known {
            Known::Tuples { line: None } => Err(ImportError::Syntax {
                line: line(),
                column: 1,
                expected: "a [key value] tuple as value".to_owned(),
                found: crate::import::window::excerpt(answer.to_string().as_bytes()),
            }),
            Known::Tuples { line: Some(first) } => {
                self.builder.history_mut().join_tuples();
                self.judge.known = Known::Plain { line: None };
                self.warnings.push(format!(
                    "line {first} looks like a [key value] tuple, but the answer on line {} is none: \
                     values are taken as they stand",
                    line()
                ));
                Ok(())
            }
            Known::Unknown { .. } | Known::Plain { .. } => Ok(()),
        }
    }

    /// Values that came before it was clear that they are tuples.
    fn split_before(&mut self, line: u64) -> Result<(), ImportError> {
        self.builder.history_mut().split_tuples().map_err(|index| ImportError::Ambiguous {
            line,
            what: format!("this value is a [key value] tuple, but not every value of operation {index} is"),
        })
    }

    /// The history. `nil_reads_may_be_unknown` as the format has it.
    pub fn finish(mut self, nil_reads_may_be_unknown: bool) -> Result<(History, Vec<String>), ImportError> {
        self.judge.finish()?;
        let mut warn = |n: u64, what: &str| {
            if n > 0 {
                self.warnings.push(format!("{n} {what}"));
            }
        };
        warn(self.inexact, "numbers that are not whole, or have more than 64 bits, are kept as text");
        warn(
            self.raced,
            "events have a time slightly before that of the event before: the order of lines is kept",
        );
        match self.times {
            Given::Never => {
                self.warnings
                    .push("operations have no times: their order stands in, one nanosecond an event".into());
                if self.clock_error > 0 {
                    return Err(ImportError::Option("--clock-error needs operations with times".to_owned()));
                }
            }
            _ => warn(self.untimed, "events have no time: that of the event before stands in"),
        }
        let mut history = self.builder.finish().expect("events in the order given were checked as they came");
        history.nil_reads_may_be_unknown = nil_reads_may_be_unknown;
        if self.clock_error > 0 {
            history.widen(self.clock_error);
        }
        Ok((history, self.warnings))
    }
}

/// Whether a time before the last one is that of a thread which stamped its event a moment before it could
/// append it, as older versions of Jepsen do. Anything more is another clock, and an error.
fn is_race(time: u64, last: u64) -> bool {
    const LONGEST_NANOS: u64 = 10_000_000;
    let by = last - time;
    by <= LONGEST_NANOS && by <= last / 100
}

/// The text of an operation's `error`.
pub(crate) fn error_meta(error: &Value) -> Option<Box<Meta>> {
    let text = match error {
        Value::Nil => return None,
        Value::Str(text) => Cow::Borrowed(text.as_str()),
        other => Cow::Owned(other.to_string()),
    };
    Some(Box::new(Meta { error: Some(text.into_owned()), ..Meta::default() }))
}
