//! Histories of simulated stores that keep a weaker promise, and usually not more: snapshot isolation, and
//! causal convergence with lag.

use squall_history::{EventKind, History, Value};

use super::r#gen::{Micro, Recorder, asked, micro};
use super::random::Random;

/// A store of lists under snapshot isolation: a transaction reads the snapshot of its invocation, and fails at
/// its end if somebody else committed a change to a key that it changes.
#[derive(Clone, Copy, Debug)]
pub struct SnapshotStore {
    /// Transactions.
    pub transactions: u64,
    /// Processes.
    pub sessions: u32,
    /// Keys in use at a time; each retires after 32 writes.
    pub keys: usize,
}

struct Open {
    process: u32,
    body: Vec<Micro>,
    began: u64,
}

impl SnapshotStore {
    /// Runs it.
    pub fn run(&self, seed: u64) -> History {
        let mut random = Random::new(seed);
        let mut recorder = Recorder::default();
        let mut active: Vec<i64> = (0..self.keys as i64).collect();
        let mut tries: Vec<i64> = vec![0; self.keys];
        // Of each key: (commit number, element).
        let mut state: Vec<Vec<(u64, i64)>> = vec![Vec::new(); self.keys];
        let (mut commits, mut started) = (0u64, 0);
        let mut idle: Vec<u32> = (0..self.sessions).collect();
        let mut open: Vec<Open> = Vec::new();
        while started < self.transactions || !open.is_empty() {
            let may_start = !idle.is_empty() && started < self.transactions;
            if may_start && (open.is_empty() || random.below(2) == 0) {
                started += 1;
                let process = idle.swap_remove(random.below(idle.len() as u64) as usize);
                let mut body = Vec::new();
                for _ in 0..1 + random.below(4) {
                    let slot = random.below(self.keys as u64) as usize;
                    let key = active[slot];
                    if random.below(3) > 0 {
                        body.push(Micro::Read(key));
                        continue;
                    }
                    tries[key as usize] += 1;
                    body.push(Micro::Change(key, tries[key as usize]));
                    if tries[key as usize] >= 32 {
                        active[slot] = state.len() as i64;
                        state.push(Vec::new());
                        tries.push(0);
                    }
                }
                recorder.push(EventKind::Invoke, process, "txn", asked(true, &body));
                open.push(Open { process, body, began: commits });
                continue;
            }
            let done = open.swap_remove(random.below(open.len() as u64) as usize);
            idle.push(done.process);
            let clash = done.body.iter().any(|m| match m {
                Micro::Change(key, _) => state[*key as usize].last().is_some_and(|&(at, _)| at > done.began),
                Micro::Read(_) => false,
            });
            if clash {
                recorder.push(EventKind::Fail, done.process, "txn", Value::Nil);
                continue;
            }
            let answer = answer(&done, &state);
            commits += 1;
            for m in &done.body {
                if let Micro::Change(key, v) = *m {
                    state[key as usize].push((commits, v));
                }
            }
            recorder.push(EventKind::Ok, done.process, "txn", answer);
        }
        recorder.finish()
    }
}

fn answer(t: &Open, state: &[Vec<(u64, i64)>]) -> Value {
    let mut own: Vec<(i64, i64)> = Vec::new();
    let items: Vec<Value> = t
        .body
        .iter()
        .map(|m| match *m {
            Micro::Change(key, v) => {
                own.push((key, v));
                micro("append", key, Value::Int(v))
            }
            Micro::Read(key) => {
                let seen = state[key as usize].iter().take_while(|&&(at, _)| at <= t.began).map(|&(_, v)| v);
                let mine = own.iter().filter(|&&(k, _)| k == key).map(|&(_, v)| v);
                micro("r", key, Value::list(seen.chain(mine).map(Value::Int).collect::<Vec<_>>()))
            }
        })
        .collect();
    Value::list(items)
}

/// A store of registers on several replicas. Each session talks to one; writes travel to the others with lag,
/// never before what their writer knew; of two writes the one with the later clock wins.
#[derive(Clone, Copy, Debug)]
pub struct LaggingStore {
    /// Transactions.
    pub transactions: u64,
    /// Sessions, each with a replica of its own.
    pub sessions: u32,
    /// Keys.
    pub keys: u64,
    /// Operations of each transaction, at most.
    pub length: u64,
}

#[derive(Clone, Debug)]
struct Update {
    // Lamport clock and session: the order in which writes win.
    clock: (u64, u32),
    // How many updates of every session must be there first.
    needs: Vec<usize>,
    writes: Vec<(usize, i64)>,
}

#[derive(Clone, Debug)]
struct Replica {
    clock: u64,
    applied: Vec<usize>,
    state: Vec<((u64, u32), Option<i64>)>,
}

impl Replica {
    fn apply(&mut self, from: usize, update: &Update) {
        self.applied[from] += 1;
        self.clock = self.clock.max(update.clock.0);
        for &(key, v) in &update.writes {
            if update.clock >= self.state[key].0 {
                self.state[key] = (update.clock, Some(v));
            }
        }
    }
}

impl LaggingStore {
    /// Runs it.
    pub fn run(&self, seed: u64) -> History {
        let mut random = Random::new(seed);
        let mut recorder = Recorder::default();
        let n = self.sessions as usize;
        let empty =
            Replica { clock: 0, applied: vec![0; n], state: vec![((0, 0), None); self.keys as usize] };
        let mut replicas = vec![empty; n];
        let mut log: Vec<Vec<Update>> = vec![Vec::new(); n];
        let mut fresh = 0;
        for _ in 0..self.transactions {
            // Some updates arrive somewhere.
            for _ in 0..random.below(2 * u64::from(self.sessions)) {
                let (to, from) = (random.below(n as u64) as usize, random.below(n as u64) as usize);
                let next = replicas[to].applied[from];
                let Some(update) = log[from].get(next).filter(|_| to != from) else { continue };
                if update.needs.iter().zip(&replicas[to].applied).all(|(need, have)| need <= have) {
                    replicas[to].apply(from, update);
                }
            }
            let session = random.below(n as u64) as usize;
            let replica = &mut replicas[session];
            let mut writes: Vec<(usize, i64)> = Vec::new();
            let items: Vec<Value> = (0..1 + random.below(self.length))
                .map(|_| {
                    let key = random.below(self.keys) as usize;
                    if random.below(2) == 0 {
                        let own = writes.iter().rev().find(|w| w.0 == key).map(|w| w.1);
                        return micro("r", key as i64, own.or(replica.state[key].1).into());
                    }
                    fresh += 1;
                    writes.push((key, fresh));
                    micro("w", key as i64, Value::Int(fresh))
                })
                .collect();
            if !writes.is_empty() {
                let clock = (replica.clock + 1, session as u32);
                let update = Update { clock, needs: replica.applied.clone(), writes };
                replica.apply(session, &update);
                log[session].push(update);
            }
            let value = Value::list(items);
            recorder.push(EventKind::Invoke, session as u32, "txn", value.clone());
            recorder.push(EventKind::Ok, session as u32, "txn", value);
        }
        recorder.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::append::check::ListAppend;
    use crate::txn::models::model;
    use crate::txn::strongest::{Plain, Reading};
    use crate::{Budget, Check, Valid};

    #[test]
    fn the_snapshot_store_keeps_its_promise_and_no_more() {
        let mut skewed = 0;
        for seed in 0..20 {
            let h = SnapshotStore { transactions: 400, sessions: 6, keys: 4 }.run(seed);
            let valid = |name: &str| {
                let check = ListAppend { model: model(name).unwrap(), realtime: true };
                check.check(&h, &Budget::default()).valid == Valid::Yes
            };
            assert!(valid("strong-snapshot-isolation"), "seed {seed}");
            skewed += u32::from(!valid("serializable"));
        }
        assert!(skewed > 15, "{skewed}");
    }

    #[test]
    fn the_lagging_store_keeps_its_promise_and_no_more() {
        let mut weaker = 0;
        for seed in 0..20 {
            let h = LaggingStore { transactions: 300, sessions: 4, keys: 5, length: 3 }.run(seed);
            let valid = |name: &str| {
                let reading = Reading { initial: Value::Nil, realtime: true };
                let check = Plain { model: model(name).unwrap(), reading };
                check.check(&h, &Budget::default()).valid
            };
            for name in ["causal", "weak-causal", "session-guarantees", "strong-session-read-atomic"] {
                assert_eq!(valid(name), Valid::Yes, "seed {seed}: {name}");
            }
            weaker += u32::from(valid("strict-serializable") == Valid::No);
        }
        assert!(weaker > 15, "{weaker}");
    }
}
