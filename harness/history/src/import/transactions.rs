//! Plain read/write transactions in sessions: the text formats of AWDIT and of Plume.
//!
//! Sessions become processes, transactions become operations `txn` whose value, argument and answer alike, is
//! a list of `["r", key, value]` and `["w", key, value]`. These formats know no time: every operation is
//! invoked before any is completed, so real time orders nothing, and the order of a session is the order of
//! its operations' indexes. The exception is Plume's initial transaction, number 0 alone in session 0, which
//! stands first and only writes zeros: it is completed before everything else, and [`History::initial_operation`] names it. Where
//! nobody wrote 0 to a key, a read of 0 from it saw the initial state, and becomes a read of nil. Plume's
//! aborted transactions, number -1, are `fail`.

use rustc_hash::{FxHashMap, FxHashSet};

use super::detect::Format;
use super::window::Window;
use super::{ImportError, Options};
use crate::scan::{Cursor, Stop};
use crate::{History, List, Outcome, RawOperation, Value};

/// One read or write, as it stands on a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Micro {
    is_read: bool,
    key: i64,
    value: i64,
}

pub(super) fn read(
    window: &mut Window<'_>,
    format: Format,
    options: &Options,
) -> Result<(History, Vec<String>), ImportError> {
    if options.clock_error > 0 {
        let what = format!("--clock-error needs operations with times, and {} has none", format.name());
        return Err(ImportError::Option(what));
    }
    let mut sessions = Sessions::new();
    let mut place = (0, 0);
    while let Some(end) = window.line_end()? {
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
    let history = sessions.finish();
    Ok((history, vec!["transactions have no times: real time orders nothing".to_owned()]))
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

/// A transaction that may still grow.
struct Growing {
    transaction: i64,
    index: u32,
    micros: Vec<Value>,
}

struct Sessions {
    history: History,
    txn: u16,
    names: [Value; 2],
    growing: FxHashMap<u32, Growing>,
    // The session of the line before: what is aborted ends where another session speaks.
    last: Option<u32>,
    // The highest number of each session, to tell a new transaction from one that was closed.
    highest: FxHashMap<u32, i64>,
    // What is known of transaction 0 in session 0.
    initial: Initial,
    zeros: FxHashSet<i64>,
    read_before_written: bool,
    read_as_nil: FxHashSet<i64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Initial {
    Unseen,
    Is(u32),
    IsNot,
}

impl Sessions {
    fn new() -> Self {
        let mut history = History::default();
        let txn = history.function_id("txn");
        Sessions {
            history,
            txn,
            names: [Value::str("r"), Value::str("w")],
            growing: FxHashMap::default(),
            last: None,
            highest: FxHashMap::default(),
            initial: Initial::Unseen,
            zeros: FxHashSet::default(),
            read_before_written: false,
            read_as_nil: FxHashSet::default(),
        }
    }

    /// Adds a read or write. False if its transaction was closed before.
    fn add(&mut self, session: u32, transaction: i64, micro: Micro) -> bool {
        let same = self.growing.get(&session).is_some_and(|g| g.transaction == transaction);
        let goes_on = same && (transaction >= 0 || self.last == Some(session));
        self.last = Some(session);
        if !goes_on && !self.begin(session, transaction) {
            return false;
        }
        self.note_initial(session, transaction, micro);
        let value = self.value(micro);
        let name = self.names[usize::from(!micro.is_read)].clone();
        if let Some(growing) = self.growing.get_mut(&session) {
            let items = [name, Value::Int(micro.key), value];
            growing.micros.push(Value::List(List::from_items(items.into_iter())));
        }
        true
    }

    fn begin(&mut self, session: u32, transaction: i64) -> bool {
        if transaction >= 0 {
            let highest = self.highest.entry(session).or_insert(-1);
            if *highest >= transaction {
                return false;
            }
            *highest = transaction;
        }
        let index = self.history.len() as u32;
        self.history.append(RawOperation {
            process: session,
            f: self.txn,
            key: Value::Nil,
            input: Value::Nil,
            output: Value::Nil,
            outcome: if transaction < 0 { Outcome::Fail } else { Outcome::Ok },
            start: 0,
            end: 0,
            meta: None,
        });
        if let Some(done) = self.growing.insert(session, Growing { transaction, index, micros: Vec::new() }) {
            self.history.set_values(done.index, Value::list(done.micros));
        }
        true
    }

    fn note_initial(&mut self, session: u32, transaction: i64, micro: Micro) {
        if session != 0 || self.initial == Initial::IsNot {
            return;
        }
        let index = self.growing.get(&0).map_or(0, |g| g.index);
        let may_be = transaction == 0 && !micro.is_read && micro.value == 0;
        self.initial = if may_be { Initial::Is(index) } else { Initial::IsNot };
    }

    /// What was read or written; a read of 0 as nil, as long as nobody is known to have written 0 there.
    fn value(&mut self, micro: Micro) -> Value {
        if micro.value == 0 {
            if !micro.is_read {
                self.zeros.insert(micro.key);
                self.read_before_written |= self.read_as_nil.contains(&micro.key);
            } else if !self.zeros.contains(&micro.key) {
                self.read_as_nil.insert(micro.key);
                return Value::Nil;
            }
        }
        Value::Int(micro.value)
    }

    fn finish(mut self) -> History {
        for done in std::mem::take(&mut self.growing).into_values() {
            self.history.set_values(done.index, Value::list(done.micros));
        }
        if self.read_before_written {
            for index in 0..self.history.len() {
                self.write_zeros(index);
            }
        }
        let initial = match self.initial {
            // Where it stands anywhere but first, it is one transaction among others.
            Initial::Is(0) => Some(0),
            _ => None,
        };
        self.history.order_nothing(initial);
        self.history
    }

    /// Reads of 0 that came before the line that writes 0.
    fn write_zeros(&mut self, index: usize) {
        let fixed = |micro: &Value| match micro.as_list() {
            Some([f, Value::Int(key), Value::Nil]) if self.zeros.contains(key) => {
                Value::list([f.clone(), Value::Int(*key), Value::Int(0)])
            }
            _ => micro.clone(),
        };
        let micros: Vec<Value> =
            self.history.op(index).input.as_list().unwrap_or_default().iter().map(fixed).collect();
        self.history.set_values(index as u32, Value::list(micros));
    }
}
