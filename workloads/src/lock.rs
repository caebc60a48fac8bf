//! Locks: each worker takes a lock, does something under it for a while, and gives it back.
//!
//! While it holds the lock it renews its lease. One whose renewals get no answer goes on, as users do who do not
//! watch for that; one who is told that the lease has ended gives up. So a holder that is cut off from its
//! lease's keeper for longer than the lease still believes, and somebody else is given the lock: without a fence
//! that breaks mutual exclusion, whatever the store is. `fenced: true` has every holder write to a resource that
//! compares the token, and judges what that let through instead. There some holders fall asleep, as a paused process
//! does: they neither renew nor look, and write with their old token when they wake.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::txn::watch::Watch;
use squall_checkers::workload::lock::{Exclusion, Fencing};
use squall_checkers::{Budget, Check, Live};
use squall_engine::generator::{Context, Generator, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::{Event, EventKind, Value};

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// Locks there are.
    keys: usize,
    /// How long a lease lives without being renewed; three renewals in that time.
    #[serde(with = "units::duration")]
    ttl: Duration,
    /// How long a lock is held, uniform in the logarithm.
    #[serde(with = "units::duration")]
    hold_min: Duration,
    #[serde(with = "units::duration")]
    hold_max: Duration,
    /// Mean pause of a worker before it tries to take a lock.
    #[serde(with = "units::duration")]
    pause: Duration,
    /// Whether holders write through a fence, and that is judged.
    fenced: bool,
    /// Under a fence: the share of holders that sleep for longer than their lease lives.
    sleepers: f64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            keys: 5,
            ttl: Duration::from_secs(2),
            hold_min: Duration::from_secs(1),
            hold_max: Duration::from_secs(20),
            pause: Duration::from_millis(100),
            fenced: false,
            sleepers: 0.25,
        }
    }
}

/// While a run goes on it is judged again after so many operations at the earliest.
const LIVE_EVERY: usize = 50;

const ON: &str = "lock";

/// See the module.
#[derive(Debug)]
pub(crate) struct Lock {
    options: Options,
}

impl Lock {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let o: Options = options("lock", given)?;
        if o.keys == 0 || o.hold_min.is_zero() || o.hold_max < o.hold_min || o.ttl < Duration::from_millis(30)
        {
            return Err(Error::Config(
                "`lock` needs keys >= 1, 0 < hold_min <= hold_max, and a ttl of at least 30ms".into(),
            ));
        }
        if !(0.0..=1.0).contains(&o.sleepers) {
            return Err(Error::Config("`lock`: `sleepers` is a share, between 0 and 1".into()));
        }
        Ok(Arc::new(Lock { options: o }))
    }

    fn check(&self) -> Box<dyn Check> {
        if self.options.fenced { Box::new(Fencing) } else { Box::new(Exclusion) }
    }
}

impl Workload for Lock {
    fn name(&self) -> &str {
        "lock"
    }

    fn functions(&self) -> Vec<&'static str> {
        let mut functions = vec!["lock.acquire", "lock.renew", "lock.release"];
        functions.extend(self.options.fenced.then_some("lock.write"));
        functions
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic { options: self.options.clone(), workers: setting.workers, holds: BTreeMap::new() })
    }

    /// A lock is exclusive or it is not: nothing weaker is of use to anybody.
    fn consistency(&self, _promised: &str) -> String {
        "linearizable".to_owned()
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        match consistency {
            "linearizable" => Ok(vec![self.check()]),
            other => Err(Error::Config(format!(
                "the workload `lock` cannot be judged by `{other}`; it knows: linearizable"
            ))),
        }
    }

    fn live(&self, _consistency: &str) -> Option<Box<dyn Live>> {
        Some(Box::new(Watch::new(self.check(), Budget::default(), LIVE_EVERY)))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        let mut floors = vec![("acquire", 3), ("renew", 3), ("release", 2)];
        floors.extend(self.options.fenced.then_some(("write", 5)));
        floors
    }
}

/// What a worker is about.
#[derive(Clone, Debug)]
struct Hold {
    key: Value,
    token: Value,
    lease: Value,
    // Nanoseconds, as the generator's context counts; nothing until the worker has asked since it was given
    // the lock.
    until: Option<u64>,
    renew_at: u64,
    // Until when it sleeps, if it has yet to.
    asleep: Option<u64>,
    over: bool,
}

#[derive(Debug)]
struct Traffic {
    options: Options,
    workers: usize,
    holds: BTreeMap<usize, Hold>,
}

impl Traffic {
    fn acquire(&self, ctx: &mut Context) -> Next {
        let o = &self.options;
        let key = Value::Int(ctx.rng.index(o.keys) as i64);
        let pause = ctx.rng.below(2 * o.pause.as_nanos() as u64);
        let op = Operation::new(&"acquire".into(), key, Value::Int(o.ttl.as_millis() as i64)).on(ON);
        Next::Op(op, ctx.due.max(ctx.time + pause))
    }
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let o = self.options.clone();
        let Some(hold) = self.holds.get_mut(&ctx.worker) else { return self.acquire(ctx) };
        let beat = o.ttl.as_nanos() as u64 / 3;
        let length = ctx.rng.log_uniform(o.hold_min.as_nanos() as f64, o.hold_max.as_nanos() as f64) as u64;
        let sleeps = o.fenced && ctx.rng.chance(o.sleepers);
        let until = *hold.until.get_or_insert_with(|| {
            // For longer than the lease, so that somebody else gets the lock and writes.
            hold.asleep = sleeps.then_some(ctx.time + 6 * beat);
            let begin = hold.asleep.unwrap_or(ctx.time);
            hold.renew_at = begin + beat;
            begin + length
        });
        let release = Value::list([hold.token.clone(), hold.lease.clone()]);
        let (f, value, at) = if hold.over {
            ("release", release, ctx.time)
        } else if let Some(wakes) = hold.asleep.take() {
            ("write", hold.token.clone(), wakes.max(ctx.time))
        } else {
            // Under a fence it writes four times a renewal.
            let next = if o.fenced { hold.renew_at.min(ctx.time + beat / 4) } else { hold.renew_at };
            match next.max(ctx.time) {
                at if at >= until => ("release", release, until.max(ctx.time)),
                at if next == hold.renew_at => {
                    hold.renew_at = at + beat;
                    ("renew", hold.lease.clone(), at)
                }
                at => ("write", hold.token.clone(), at),
            }
        };
        hold.over |= f == "release";
        let op = Operation::new(&f.into(), hold.key.clone(), value).on(ON);
        // A renewal changes nothing that anybody reads: without an answer the process goes on.
        Next::Op(Operation { read_only: f == "renew", ..op }, at)
    }

    fn update(&mut self, event: &Event) {
        let worker = event.process as usize % self.workers;
        match (&*event.f, event.kind) {
            (_, EventKind::Invoke) => {}
            ("acquire", EventKind::Ok) => {
                let Some((token, lease)) = event.value.as_pair() else { return };
                let (token, lease) = (token.clone(), lease.clone());
                let key = event.key.clone();
                self.holds.insert(
                    worker,
                    Hold { key, token, lease, until: None, renew_at: 0, asleep: None, over: false },
                );
            }
            // It is not tried again: an unreleased lock ends with its lease.
            ("release", _) | (_, EventKind::Info) => drop(self.holds.remove(&worker)),
            (_, EventKind::Ok) if matches!(event.value.as_str(), Some("lost" | "refused")) => {
                if let Some(hold) = self.holds.get_mut(&worker) {
                    hold.over = true;
                }
            }
            _ => {}
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::testing::{SETTING, is_decided_by_its_seed};

    fn told(generator: &mut dyn Generator, kind: EventKind, op: &Operation, value: Value) {
        let (f, key) = (op.f.clone(), op.key.clone());
        generator.update(&Event { kind, process: 1, time: 0, intended: 0, f, key, value, meta: None });
    }

    /// One hold of worker 1, in which every renewal gets this answer: its functions and when each was due.
    fn hold(options: Options, kind: EventKind, answer: &str) -> Vec<(String, u64)> {
        let lock = Lock { options };
        let mut generator = lock.generator(&SETTING);
        let (mut now, mut seen) = (0, Vec::new());
        for i in 0..500 {
            let mut ctx = Context::new(SETTING.seed, 1, SETTING.workers, 1, i, now);
            let Next::Op(op, due) = generator.next(&mut ctx) else { panic!("it always has something to do") };
            assert!(due >= now, "nothing is due in the past");
            seen.push((op.f.to_string(), due));
            now = due + 1_000_000;
            match &*op.f {
                "acquire" if i == 0 => {
                    told(&mut *generator, EventKind::Ok, &op, Value::list([9.into(), 4.into()]))
                }
                "acquire" => return seen,
                "renew" => {
                    assert_eq!((op.read_only, &op.value), (true, &4.into()));
                    told(&mut *generator, kind, &op, Value::str(answer));
                }
                "write" => {
                    assert_eq!(op.value, 9.into());
                    told(&mut *generator, EventKind::Ok, &op, Value::list([9.into(), Value::Nil]));
                }
                _ => {
                    assert_eq!(op.value, Value::list([9.into(), 4.into()]));
                    told(&mut *generator, EventKind::Ok, &op, Value::str("released"));
                }
            }
        }
        panic!("it never let go: {seen:?}")
    }

    fn long() -> Options {
        Options { hold_min: Duration::from_secs(5), hold_max: Duration::from_secs(6), ..Options::default() }
    }

    #[test]
    fn a_holder_renews_three_times_a_lease_and_goes_on_without_an_answer() {
        for kind in [EventKind::Ok, EventKind::Fail] {
            let seen = hold(long(), kind, "");
            let renewals = seen.iter().filter(|s| s.0 == "renew").count();
            assert!((6..=9).contains(&renewals), "{seen:?}");
            let release = seen.iter().find(|s| s.0 == "release").unwrap().1;
            assert!((5_000_000_000..6_100_000_000).contains(&(release - seen[0].1)), "{seen:?}");
        }
    }

    #[test]
    fn one_who_is_told_that_the_lease_has_ended_gives_up() {
        let seen: Vec<String> = hold(long(), EventKind::Ok, "lost").into_iter().map(|s| s.0).collect();
        assert_eq!(seen, ["acquire", "renew", "release", "acquire"]);
    }

    #[test]
    fn a_sleeper_writes_when_its_lease_is_long_over() {
        let seen = hold(Options { fenced: true, sleepers: 1.0, ..long() }, EventKind::Ok, "");
        assert_eq!(seen[1].0, "write");
        assert!(seen[1].1 - seen[0].1 >= 4_000_000_000, "{seen:?}");
        let awake = hold(Options { sleepers: 1.0, ..long() }, EventKind::Ok, "");
        assert_eq!(awake[1].0, "renew", "without a fence nobody sleeps");
    }

    #[test]
    fn under_a_fence_every_holder_writes() {
        let seen = hold(Options { fenced: true, sleepers: 0.0, ..long() }, EventKind::Ok, "");
        let count = |f: &str| seen.iter().filter(|s| s.0 == f).count();
        assert!(count("write") > 2 * count("renew") && count("renew") >= 6, "{seen:?}");
    }

    #[test]
    fn it_is_decided_by_its_seed_and_nonsense_is_refused() {
        is_decided_by_its_seed(&Lock { options: Options::default() });
        for bad in [
            "{\"keys\":0}",
            "{\"ttl\":\"0s\"}",
            "{\"hold_min\":\"30s\"}",
            "{\"lease\":1}",
            "{\"sleepers\":2}",
        ] {
            assert!(Lock::build(&serde_json::from_str(bad).unwrap()).is_err(), "{bad}");
        }
    }
}
