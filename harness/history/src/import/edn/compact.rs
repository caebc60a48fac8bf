//! EDN of transactions of integers, read straight into columns.
//!
//! Takes histories of one form: a map an operation, with `:type`, a number as `:process`, `:f :txn`, whole `:time`s
//! that never go back, and a `:value` of reads, writes and appends of integers. Such a history has no warnings,
//! and no question of keys. At the first thing that is anything else this reader gives up, without a word: the
//! reader that knows all of EDN then begins anew, and says what there is to say.

use rustc_hash::FxHashMap;

use crate::import::window::Window;
use crate::{AccessKind, Accesses, EventKind, NEVER, Outcome};

/// Why a record was not read.
enum Stop {
    /// The window ends within it.
    More,
    /// It is not of the form.
    Other,
}

type Read<T> = Result<T, Stop>;

/// Reads the whole history, or gives up.
pub(in crate::import) fn read(window: &mut Window<'_>) -> Option<Accesses> {
    let mut reader = Reader::default();
    loop {
        match reader.records(&window.bytes, &mut window.at) {
            Ok(()) | Err(Stop::More) if !window.ended => window.fill().ok()?,
            Ok(()) => return Some(reader.finish()),
            Err(Stop::More | Stop::Other) => return None,
        }
    }
}

#[derive(Clone, Copy)]
struct Micro {
    kind: AccessKind,
    key: i64,
    // Of a list: its place in `lists` of the record.
    value: i64,
}

/// The micro-operations of one record.
#[derive(Default)]
struct Record {
    micros: Vec<Micro>,
    lists: Vec<i64>,
}

struct Fields {
    kind: EventKind,
    process: u32,
    time: u64,
}

#[derive(Default)]
struct Reader {
    columns: Accesses,
    record: Record,
    // What each process has open: the transaction, and what it asked for.
    open: FxHashMap<u32, (u32, Record)>,
    spare: Vec<Record>,
    events: u32,
    time: u64,
}

impl Reader {
    /// Reads records up to the end of the window.
    fn records(&mut self, bytes: &[u8], at: &mut usize) -> Read<()> {
        loop {
            let mut cursor = Cursor { bytes, at: *at };
            while cursor.peek().is_ok_and(is_blank) {
                cursor.at += 1;
            }
            *at = cursor.at;
            if cursor.at == bytes.len() {
                return Ok(());
            }
            let fields = cursor.record(&mut self.record)?;
            self.take(&fields)?;
            *at = cursor.at;
        }
    }

    fn take(&mut self, fields: &Fields) -> Read<()> {
        if fields.time < self.time || self.events >= NEVER / 2 {
            return Err(Stop::Other);
        }
        self.time = fields.time;
        let rank = self.events;
        self.events += 1;
        let c = &mut self.columns;
        if fields.kind == EventKind::Invoke {
            let t = c.len() as u32;
            let asked = std::mem::replace(&mut self.record, self.spare.pop().unwrap_or_default());
            if self.open.insert(fields.process, (t, asked)).is_some() {
                return Err(Stop::Other);
            }
            c.process.push(fields.process);
            c.outcome.push(Outcome::Info);
            c.span.push((0, 0));
            c.ranks.push((rank, NEVER));
            return Ok(());
        }
        let (t, asked) = self.open.remove(&fields.process).ok_or(Stop::Other)?;
        match fields.kind {
            EventKind::Ok => {
                keep(c, t, &self.record);
                (c.outcome[t as usize], c.ranks[t as usize].1) = (Outcome::Ok, rank);
            }
            EventKind::Fail => {
                keep(c, t, &asked);
                (c.outcome[t as usize], c.ranks[t as usize].1) = (Outcome::Fail, rank);
            }
            EventKind::Info | EventKind::Invoke => keep(c, t, &asked),
        }
        self.spare.push(asked);
        Ok(())
    }

    fn finish(mut self) -> Accesses {
        let mut open: Vec<(u32, Record)> = self.open.into_values().collect();
        open.sort_unstable_by_key(|o| o.0);
        for (t, asked) in open {
            keep(&mut self.columns, t, &asked);
        }
        self.columns.nil_reads_may_be_unknown = true;
        self.columns
    }
}

fn keep(c: &mut Accesses, t: u32, record: &Record) {
    let (from, lists) = (c.key.len() as u32, c.lists.len() as i64);
    for m in &record.micros {
        c.kind.push(m.kind);
        c.key.push(m.key);
        c.value.push(if m.kind == AccessKind::ReadList { m.value + lists } else { m.value });
    }
    c.lists.extend_from_slice(&record.lists);
    c.span[t as usize] = (from, c.key.len() as u32);
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b',' | b'\n' | b'\t' | b'\r')
}

#[derive(Clone, Copy)]
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn peek(&self) -> Read<u8> {
        self.bytes.get(self.at).copied().ok_or(Stop::More)
    }

    /// Steps over blanks; gives the byte behind them.
    #[inline]
    fn next(&mut self) -> Read<u8> {
        loop {
            let byte = self.peek()?;
            if !is_blank(byte) {
                return Ok(byte);
            }
            self.at += 1;
        }
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Read<()> {
        if self.next()? != byte {
            return Err(Stop::Other);
        }
        self.at += 1;
        Ok(())
    }

    /// A keyword without its colon.
    #[inline]
    fn keyword(&mut self) -> Read<&'a [u8]> {
        self.expect(b':')?;
        let from = self.at;
        while self.peek()?.is_ascii_lowercase() {
            self.at += 1;
        }
        if !self.ends() {
            return Err(Stop::Other);
        }
        Ok(&self.bytes[from..self.at])
    }

    /// Up to eighteen digits with an optional minus, and a delimiter after them.
    #[inline]
    fn int(&mut self) -> Read<i64> {
        let negative = self.next()? == b'-';
        self.at += usize::from(negative);
        let from = self.at;
        let mut n = 0i64;
        loop {
            let byte = self.peek()?;
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                if self.at == from || !(is_blank(byte) || matches!(byte, b']' | b'}')) {
                    return Err(Stop::Other);
                }
                return Ok(if negative { -n } else { n });
            }
            if self.at - from >= 18 {
                return Err(Stop::Other);
            }
            n = n * 10 + i64::from(digit);
            self.at += 1;
        }
    }

    /// `nil`, and a delimiter after it.
    #[inline]
    fn nil(&mut self) -> Read<()> {
        for wanted in *b"nil" {
            if self.peek()? != wanted {
                return Err(Stop::Other);
            }
            self.at += 1;
        }
        let byte = self.peek()?;
        if is_blank(byte) || matches!(byte, b']' | b'}') { Ok(()) } else { Err(Stop::Other) }
    }

    fn record(&mut self, record: &mut Record) -> Read<Fields> {
        record.micros.clear();
        record.lists.clear();
        self.expect(b'{')?;
        let (mut kind, mut process, mut time, mut is_txn, mut valued) = (None, None, None, false, false);
        while self.next()? != b'}' {
            // A field that comes twice, or a keyword cut off by the window, is left to the other reader.
            match self.keyword()? {
                b"type" if kind.is_none() => {
                    kind = Some(match self.keyword()? {
                        b"invoke" => EventKind::Invoke,
                        b"ok" => EventKind::Ok,
                        b"fail" => EventKind::Fail,
                        b"info" => EventKind::Info,
                        _ => return Err(Stop::Other),
                    });
                }
                b"process" if process.is_none() => {
                    process = Some(u32::try_from(self.int()?).map_err(|_| Stop::Other)?);
                }
                b"time" if time.is_none() => {
                    time = Some(u64::try_from(self.int()?).map_err(|_| Stop::Other)?);
                }
                b"f" if !is_txn => {
                    is_txn = self.keyword()? == b"txn";
                    if !is_txn {
                        return Err(Stop::Other);
                    }
                }
                b"index" => drop(self.int()?),
                b"value" if !valued => {
                    self.transaction(record)?;
                    valued = true;
                }
                _ => return Err(Stop::Other),
            }
        }
        self.at += 1;
        match (kind, process, time) {
            (Some(kind), Some(process), Some(time)) if is_txn && valued => Ok(Fields { kind, process, time }),
            _ => Err(Stop::Other),
        }
    }

    /// Whether a keyword ends here.
    fn ends(&self) -> bool {
        self.peek().is_ok_and(|b| is_blank(b) || matches!(b, b'}' | b']'))
    }

    fn transaction(&mut self, record: &mut Record) -> Read<()> {
        self.expect(b'[')?;
        while self.next()? != b']' {
            let micro = self.micro(&mut record.lists)?;
            record.micros.push(micro);
        }
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn micro(&mut self, lists: &mut Vec<i64>) -> Read<Micro> {
        self.expect(b'[')?;
        let kind = match self.keyword()? {
            b"r" => AccessKind::Read,
            b"append" => AccessKind::Append,
            b"w" => AccessKind::Write,
            _ => return Err(Stop::Other),
        };
        let key = self.int()?;
        let (kind, value) = match (kind, self.next()?) {
            (AccessKind::Read, b'n') => {
                self.nil()?;
                (AccessKind::ReadNothing, 0)
            }
            (AccessKind::Read, b'[') => (AccessKind::ReadList, self.list(lists)?),
            (kind, _) => (kind, self.int()?),
        };
        self.expect(b']')?;
        Ok(Micro { kind, key, value })
    }

    /// A list of integers, put behind the others; gives where.
    fn list(&mut self, lists: &mut Vec<i64>) -> Read<i64> {
        self.at += 1;
        let place = lists.len();
        lists.push(0);
        while self.next()? != b']' {
            let element = self.int()?;
            lists.push(element);
        }
        self.at += 1;
        lists[place] = (lists.len() - place - 1) as i64;
        Ok(place as i64)
    }
}
