//! Leases: a key is written under a lease that nobody renews, and read until long after it should have ended.
//!
//! A store may keep a lease somewhat longer than was asked for (it looks now and then, and a new leader counts
//! anew), which `grace` allows. It may not end it before its time.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value as Json};
use squall_checkers::{Anomaly, Budget, Check, Verdict};
use squall_engine::generator::{Context, Generator, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_engine::{Error, Operation, units};
use squall_history::{History, Op, Outcome, Value};

/// Options of the workload.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// What a lease is granted for, whole seconds.
    #[serde(with = "units::duration")]
    time_to_live: Duration,
    /// How much longer it may last.
    #[serde(with = "units::duration")]
    grace: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { time_to_live: Duration::from_secs(4), grace: Duration::from_secs(8) }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lease {
    options: Options,
}

const ON: &str = "lease";
/// A lease is granted so often, each on a key of its own.
const EVERY_NANOS: u64 = 1_000_000_000;

impl Lease {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let options: Options = options("lease", given)?;
        if options.time_to_live.as_secs() == 0 || options.time_to_live.subsec_nanos() != 0 {
            return Err(Error::Config("the `time_to_live` of `lease` is whole seconds, 1s or more".into()));
        }
        Ok(Arc::new(Lease { options }))
    }
}

impl Workload for Lease {
    fn name(&self) -> &str {
        "lease"
    }

    fn functions(&self) -> Vec<&'static str> {
        vec!["lease.grant", "lease.read"]
    }

    fn generator(&self, _setting: &Setting) -> Box<dyn Generator> {
        Box::new(Traffic { options: self.options.clone(), last: None })
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        let Options { time_to_live, grace } = self.options;
        match consistency {
            "linearizable" => Ok(vec![Box::new(Expiry { time_to_live, grace })]),
            other => Err(Error::Config(format!(
                "the workload `lease` cannot be judged by `{other}`; it knows: linearizable"
            ))),
        }
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        vec![("grant", 2), ("read", 20)]
    }
}

#[derive(Debug)]
struct Traffic {
    options: Options,
    /// The latest second for which a lease was granted.
    last: Option<u64>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let now = ctx.due / EVERY_NANOS;
        if self.last.is_none_or(|last| now > last) {
            self.last = Some(now);
            let seconds = self.options.time_to_live.as_secs() as i64;
            return Next::Op(
                Operation::new(&"grant".into(), (now as i64).into(), seconds.into()).on(ON),
                ctx.due,
            );
        }
        // Any lease that may still be there, or should no longer be.
        let span = 2 * (self.options.time_to_live + self.options.grace).as_secs();
        let key = now.saturating_sub(ctx.rng.below(span.min(now) + 1)) as i64;
        Next::Op(Operation::read(&"read".into(), key.into(), Value::Nil).on(ON), ctx.due)
    }
}

/// The check `lease-expiry`: a lease that ended before its time (`expired-early`), or that was still there long
/// after (`outlived`). Times are those of the harness's monotonic clock, which no fault moves.
#[derive(Clone, Copy, Debug)]
struct Expiry {
    time_to_live: Duration,
    grace: Duration,
}

impl Check for Expiry {
    fn name(&self) -> &str {
        "lease-expiry"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let granted = history.ops().filter(|op| op.f == "grant" && op.outcome == Outcome::Ok);
        let granted: std::collections::BTreeMap<&Value, Op<'_>> = granted.map(|op| (op.key, op)).collect();
        let mut found: std::collections::BTreeMap<(&str, &Value), Anomaly> = Default::default();
        let reads = history.ops().filter(|op| op.f == "read" && op.outcome == Outcome::Ok);
        let (lives, grace) = (self.time_to_live.as_nanos() as u64, self.grace.as_nanos() as u64);
        let mut judged = 0;
        for read in reads {
            let Some(grant) = granted.get(read.key) else { continue };
            judged += 1;
            let there = !read.output.is_nil();
            let kind = match there {
                // Granted at its latest when the grant was answered, and read at its earliest when it was asked.
                true if read.start > grant.end.saturating_add(lives + grace) => "outlived",
                false if read.start >= grant.end && read.end < grant.start + lives => "expired-early",
                _ => continue,
            };
            // The last that outlived says most, the first that was gone too.
            if kind == "outlived" || !found.contains_key(&(kind, read.key)) {
                found.insert((kind, read.key), self.anomaly(kind, grant, &read));
            }
        }
        if judged == 0 {
            return Verdict::unknown("lease-expiry", "no lease was granted and read");
        }
        Verdict::from_anomalies("lease-expiry", found.into_values().collect())
            .with("leases", granted.len())
            .with("reads", judged)
    }
}

impl Expiry {
    fn anomaly(&self, kind: &str, grant: &Op<'_>, read: &Op<'_>) -> Anomaly {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let asked = self.time_to_live.as_secs();
        let (granted, seen) = (grant.index, read.index);
        let explanation = if kind == "outlived" {
            let later = seconds(read.start - grant.end);
            format!(
                "The lease of key {}, granted for {asked} s by #{granted}, was still there {later:.1} s later, when #{seen} read it.",
                read.key
            )
        } else {
            let later = seconds(read.end - grant.start);
            format!(
                "The lease of key {}, granted for {asked} s by #{granted}, was gone within {later:.1} s, when #{seen} read it.",
                read.key
            )
        };
        Anomaly {
            kind: kind.to_owned(),
            signature: format!("lease-expiry/{kind}"),
            explanation,
            operations: vec![granted, seen],
            details: Map::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use squall_checkers::Valid;
    use squall_history::{Builder, Event, EventKind, Order};

    use super::*;

    /// A lease granted for 4 s at second 1, and a read of it at this second.
    fn judged(at: f64, there: bool) -> (Valid, Option<String>) {
        let mut builder = Builder::new(Order::ByTime);
        let read = if there { Value::Int(4) } else { Value::Nil };
        let mut op = |process, f: &str, from: f64, answer: Value| {
            for (kind, seconds, value) in
                [(EventKind::Invoke, from, Value::Nil), (EventKind::Ok, from + 0.1, answer)]
            {
                let time = (seconds * 1e9) as u64;
                let (f, key) = (f.into(), 1.into());
                builder
                    .push(Event { kind, process, time, intended: time, f, key, value, meta: None })
                    .unwrap();
            }
        };
        op(0, "grant", 1.0, Value::Int(4));
        op(1, "read", at, read);
        let history = builder.finish().unwrap();
        let check = Expiry { time_to_live: Duration::from_secs(4), grace: Duration::from_secs(3) };
        let verdict = check.check(&history, &Budget::default());
        (verdict.valid, verdict.anomalies.first().map(|a| a.kind.clone()))
    }

    #[test]
    fn leases_last_as_long_as_they_were_granted_for() {
        assert_eq!(judged(3.0, true), (Valid::Yes, None));
        assert_eq!(judged(3.0, false), (Valid::No, Some("expired-early".into())));
        assert_eq!(judged(5.5, false), (Valid::Yes, None));
        assert_eq!(judged(7.0, true), (Valid::Yes, None), "within its grace");
        assert_eq!(judged(8.2, true), (Valid::No, Some("outlived".into())));
        assert_eq!(judged(8.2, false), (Valid::Yes, None));
    }
}
