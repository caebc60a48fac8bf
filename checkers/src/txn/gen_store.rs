//! Histories of simulated stores, which are valid by construction, at the sizes that checkers are measured by.
//!
//! The distributions are those by which other checkers were measured: a store that applies each transaction
//! at one moment between invocation and completion, with keys that retire after a number of writes; and a
//! store that runs transactions one after the other on a fixed set of keys.

use squall_history::{EventKind, History, Value};

use super::r#gen::{Micro, Recorder, asked, micro};
use super::random::Random;

/// A store that is strict serializable.
#[derive(Clone, Copy, Debug)]
pub struct Store {
    /// Transactions.
    pub transactions: u64,
    /// Processes.
    pub sessions: u32,
    /// Keys in use at a time.
    pub keys: usize,
    /// Most micro-operations of a transaction.
    pub length: u64,
    /// A key retires after so many writes.
    pub writes_per_key: i64,
    /// Appends and reads of lists, or writes and reads of registers with values that are unique everywhere.
    pub lists: bool,
}

impl Default for Store {
    /// Ten processes, ten keys of 32 writes, up to four micro-operations.
    fn default() -> Self {
        Store { transactions: 1000, sessions: 10, keys: 10, length: 4, writes_per_key: 32, lists: true }
    }
}

struct Pending {
    process: u32,
    body: Vec<Micro>,
    answer: Option<Value>,
}

impl Store {
    /// Runs it.
    pub fn run(&self, seed: u64) -> History {
        let mut random = Random::new(seed);
        let mut recorder = Recorder::default();
        let mut active: Vec<i64> = (0..self.keys as i64).collect();
        let mut written: Vec<i64> = vec![0; self.keys];
        let (mut next_key, mut unique) = (self.keys as i64, 0);
        let mut state: Vec<Vec<Value>> = vec![Vec::new(); self.keys];
        let mut idle: Vec<u32> = (0..self.sessions).collect();
        let mut pending: Vec<Pending> = Vec::new();
        let mut started = 0;
        while started < self.transactions || !pending.is_empty() {
            let may_start = !idle.is_empty() && started < self.transactions;
            if may_start && (pending.is_empty() || random.below(2) == 0) {
                started += 1;
                let process = idle.swap_remove(random.below(idle.len() as u64) as usize);
                let mut body = Vec::new();
                for _ in 0..1 + random.below(self.length) {
                    let slot = random.below(self.keys as u64) as usize;
                    let key = active[slot];
                    if random.below(2) == 0 {
                        body.push(Micro::Read(key));
                        continue;
                    }
                    written[key as usize] += 1;
                    unique += 1;
                    body.push(Micro::Change(key, if self.lists { written[key as usize] } else { unique }));
                    if written[key as usize] >= self.writes_per_key {
                        active[slot] = next_key;
                        next_key += 1;
                        written.push(0);
                        state.push(Vec::new());
                    }
                }
                recorder.push(EventKind::Invoke, process, "txn", asked(self.lists, &body));
                pending.push(Pending { process, body, answer: None });
                continue;
            }
            let at = random.below(pending.len() as u64) as usize;
            if pending[at].answer.is_none() {
                pending[at].answer = Some(self.apply(&pending[at].body, &mut state));
                continue;
            }
            let done = pending.swap_remove(at);
            recorder.push(EventKind::Ok, done.process, "txn", done.answer.unwrap_or_default());
            idle.push(done.process);
        }
        recorder.finish()
    }

    fn apply(&self, body: &[Micro], state: &mut [Vec<Value>]) -> Value {
        let items: Vec<Value> = body
            .iter()
            .map(|m| match *m {
                Micro::Read(key) if self.lists => micro("r", key, Value::list(state[key as usize].clone())),
                Micro::Read(key) => micro("r", key, state[key as usize].last().cloned().unwrap_or_default()),
                Micro::Change(key, v) => {
                    if !self.lists {
                        state[key as usize].clear();
                    }
                    state[key as usize].push(Value::Int(v));
                    micro(if self.lists { "append" } else { "w" }, key, Value::Int(v))
                }
            })
            .collect();
        Value::list(items)
    }
}

/// Transactions of reads and writes, one after the other, by random sessions on fixed keys.
#[derive(Clone, Copy, Debug)]
pub struct Serial {
    /// Transactions.
    pub transactions: u64,
    /// Sessions.
    pub sessions: u32,
    /// Keys.
    pub keys: u64,
    /// Operations of each transaction.
    pub operations: u64,
}

impl Serial {
    /// Runs it. Reads of a key before its first write are nil.
    pub fn run(&self, seed: u64) -> History {
        let mut random = Random::new(seed);
        let mut recorder = Recorder::default();
        let mut state = vec![Value::Nil; self.keys as usize];
        let mut fresh = 0;
        for _ in 0..self.transactions {
            let session = random.below(u64::from(self.sessions)) as u32;
            let items: Vec<Value> = (0..self.operations)
                .map(|_| {
                    let key = random.below(self.keys) as usize;
                    if random.below(2) == 0 {
                        return micro("r", key as i64, state[key].clone());
                    }
                    fresh += 1;
                    state[key] = Value::Int(fresh);
                    micro("w", key as i64, Value::Int(fresh))
                })
                .collect();
            let value = Value::list(items);
            recorder.push(EventKind::Invoke, session, "txn", value.clone());
            recorder.push(EventKind::Ok, session, "txn", value);
        }
        recorder.finish()
    }
}
