//! Several workloads at once on one cluster: each has workers of its own, on every node, and is judged by itself.
//!
//! Where nobody knows what is wrong, one run looks for everything. Each part sees only its own operations, told apart
//! by their process; what its checks say is told with the part's name before it, and with the numbers that operations
//! have in the whole history. Certificates are left out: they would speak of the part.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::Deserialize;
use serde_json::Value as Json;
use squall_checkers::{Budget, Check, Live, Valid, Verdict};
use squall_engine::Error;
use squall_engine::generator::{Context, Generator, Next};
use squall_engine::protocol::{Setting, Workload, options};
use squall_history::{Builder, Event, History, Order, ProcessId};

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Options {
    /// The parts: names, or names with options.
    of: Vec<Json>,
    /// Of so many workers each part has some; one each, if not said.
    shares: Vec<usize>,
}

/// Shares are small numbers: there must be as many workers as they come to.
const MAX_SHARE: usize = 100;

/// See the module.
#[derive(Debug)]
pub(crate) struct Mix {
    parts: Vec<Arc<dyn Workload>>,
    // Parts in turn, each as often as its share says.
    turns: Arc<[usize]>,
    // Known once the run has begun: live checks are made before.
    places: Arc<OnceLock<Places>>,
}

impl Mix {
    pub(crate) fn build(given: &Json) -> Result<Arc<dyn Workload>, Error> {
        let options: Options = options("mix", given)?;
        let parts = options.of.iter().map(part).collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() {
            return Err(Error::Config("`mix` needs workloads: `{mix: {of: [register, append]}}`".into()));
        }
        for (at, part) in parts.iter().enumerate() {
            let same = |other: &&Arc<dyn Workload>| keys(other.name()) == keys(part.name());
            if let Some(other) = parts[..at].iter().find(same) {
                let (a, b) = (other.name(), part.name());
                return Err(Error::Config(format!("`mix`: `{a}` and `{b}` use the same keys")));
            }
        }
        Ok(Arc::new(Mix { turns: turns(&options.shares, parts.len())?, parts, places: Arc::default() }))
    }
}

/// Each part as often as its share says.
fn turns(shares: &[usize], parts: usize) -> Result<Arc<[usize]>, Error> {
    if shares.is_empty() {
        return Ok((0..parts).collect());
    }
    if shares.len() != parts || shares.iter().any(|share| !(1..=MAX_SHARE).contains(share)) {
        return Err(Error::Config(format!(
            "`mix` has {parts} parts, so its `shares` are {parts} numbers from 1 to {MAX_SHARE}"
        )));
    }
    Ok(shares.iter().enumerate().flat_map(|(part, share)| std::iter::repeat_n(part, *share)).collect())
}

/// `register`, or `{register: {keys: 3}}`.
fn part(cell: &Json) -> Result<Arc<dyn Workload>, Error> {
    let (name, options) = match cell {
        Json::String(name) => (name, &Json::Null),
        Json::Object(map) if map.len() == 1 => map.iter().next().expect("it has one"),
        _ => return Err(Error::Config(format!("a part of `mix` is a workload, not {cell}"))),
    };
    let kinds = crate::workloads();
    let kind = kinds.iter().find(|kind| kind.name == *name && *name != "mix");
    let kind =
        kind.ok_or_else(|| Error::Config(format!("`mix`: there is no workload `{name}` to mix in")))?;
    (kind.build)(options)
}

/// Workloads that act on the same keys of a target.
fn keys(name: &str) -> &str {
    match name {
        "causal" | "session" => "register",
        "causal-reverse" => "set",
        "internal" | "long-fork" => "wr",
        "monotonic" => "counter",
        "replicas" => "watch",
        other => other,
    }
}

/// Which part each worker belongs to: `nodes` workers in a row have one on every node.
#[derive(Clone, Debug)]
struct Places {
    // For each worker its part and its place within it.
    of: Vec<(usize, usize)>,
    // Workers of each part.
    sizes: Vec<usize>,
}

impl Places {
    fn new(workers: usize, nodes: usize, turns: &[usize]) -> Places {
        let mut sizes = vec![0; turns.iter().max().map_or(0, |last| last + 1)];
        let of = (0..workers).map(|worker| {
            let part = turns[worker / nodes.max(1) % turns.len()];
            sizes[part] += 1;
            (part, sizes[part] - 1)
        });
        Places { of: of.collect(), sizes }
    }

    fn part(&self, process: ProcessId) -> usize {
        self.of[process as usize % self.of.len().max(1)].0
    }

    /// The process as its part numbers it.
    fn within(&self, process: ProcessId) -> ProcessId {
        let workers = self.of.len().max(1);
        let (part, place) = self.of[process as usize % workers];
        (place + process as usize / workers * self.sizes[part]) as ProcessId
    }
}

impl Workload for Mix {
    fn name(&self) -> &str {
        "mix"
    }

    fn functions(&self) -> Vec<&'static str> {
        let mut functions: Vec<_> = self.parts.iter().flat_map(|p| p.functions()).collect();
        functions.sort_unstable();
        functions.dedup();
        functions
    }

    fn generator(&self, setting: &Setting) -> Box<dyn Generator> {
        let places = Places::new(setting.workers, setting.nodes, &self.turns);
        let inner =
            self.settings(&places, setting).map(|(part, setting)| Some(part.generator(&setting))).collect();
        let _ = self.places.set(places.clone());
        Box::new(Traffic { places, inner })
    }

    fn finish(&self, setting: &Setting) -> Option<Box<dyn Generator>> {
        let places = Places::new(setting.workers, setting.nodes, &self.turns);
        let inner = self.settings(&places, setting).map(|(part, setting)| part.finish(&setting)).collect();
        Some(Box::new(Traffic { places, inner }))
    }

    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error> {
        let mut all: Vec<Box<dyn Check>> = Vec::new();
        for (at, part) in self.parts.iter().enumerate() {
            for inner in part.checks(&part.consistency(consistency))? {
                let name = format!("{}.{}", part.name(), inner.name());
                all.push(Box::new(Part { name, at, turns: self.turns.clone(), inner }));
            }
        }
        Ok(all)
    }

    fn live(&self, consistency: &str) -> Option<Box<dyn Live>> {
        let parts = self.parts.iter().map(|part| part.live(&part.consistency(consistency)));
        Some(Box::new(AllLive { places: self.places.clone(), parts: parts.collect() }))
    }

    fn floors(&self) -> Vec<(&'static str, u64)> {
        let mut floors = BTreeMap::new();
        for (f, floor) in self.parts.iter().flat_map(|p| p.floors()) {
            let most: &mut u64 = floors.entry(f).or_default();
            *most = floor.max(*most);
        }
        floors.into_iter().collect()
    }
}

impl Mix {
    fn settings<'a>(
        &'a self,
        places: &Places,
        setting: &'a Setting,
    ) -> impl Iterator<Item = (&'a Arc<dyn Workload>, Setting)> + use<'a> {
        let sizes = places.sizes.clone();
        self.parts.iter().zip(sizes).map(move |(part, workers)| {
            (part, Setting { seed: setting.seed, workers: workers.max(1), nodes: setting.nodes })
        })
    }
}

#[derive(Debug)]
struct Traffic {
    places: Places,
    // Nothing for a part that has nothing to do.
    inner: Vec<Option<Box<dyn Generator>>>,
}

impl Generator for Traffic {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let (part, place) = self.places.of[ctx.worker];
        let Some(inner) = &mut self.inner[part] else { return Next::Done };
        let mut within = ctx.clone();
        within.worker = place;
        within.workers = self.places.sizes[part];
        within.process = self.places.within(ctx.process);
        inner.next(&mut within)
    }

    fn update(&mut self, event: &Event) {
        let Some(inner) = &mut self.inner[self.places.part(event.process)] else { return };
        if inner.listens() {
            inner.update(&Event { process: self.places.within(event.process), ..event.clone() });
        }
    }

    fn listens(&self) -> bool {
        self.inner.iter().flatten().any(|inner| inner.listens())
    }
}

/// A check of one part.
struct Part {
    name: String,
    at: usize,
    turns: Arc<[usize]>,
    inner: Box<dyn Check>,
}

impl Check for Part {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        let Some(run) = history.run.as_deref() else {
            return Verdict::unknown(&self.name, "the history does not say how many workers there were");
        };
        let places = Places::new(run.concurrency as usize, run.nodes.len(), &self.turns);
        let (own, numbers) = match split(history, |process| places.part(process) == self.at) {
            Ok(own) => own,
            Err(e) => {
                return Verdict::unknown(&self.name, format!("the history cannot be taken apart: {e}"));
            }
        };
        let mut verdict = self.inner.check(&own, budget);
        verdict.check = self.name.clone();
        verdict.certificate = None;
        for anomaly in &mut verdict.anomalies {
            for index in &mut anomaly.operations {
                *index = numbers.get(*index as usize).copied().unwrap_or(*index);
            }
            anomaly.explanation = renumbered(&anomaly.explanation, &numbers);
        }
        verdict
    }
}

/// The operations of some processes as a history of their own, with the number that each has in the whole.
fn split(
    history: &History,
    mine: impl Fn(ProcessId) -> bool,
) -> Result<(History, Vec<u32>), squall_history::BadEvent> {
    let mut builder = Builder::new(Order::ByTime);
    for (kind, index) in history.events() {
        if mine(history.op(index as usize).process) {
            builder.push(history.event(kind, index))?;
        }
    }
    let whole = builder.history_mut();
    whole.run.clone_from(&history.run);
    whole.processes.clone_from(&history.processes);
    whole.phases.clone_from(&history.phases);
    whole.faults.clone_from(&history.faults);
    whole.notes.clone_from(&history.notes);
    let numbers = history.ops().filter(|op| mine(op.process)).map(|op| op.index).collect();
    Ok((builder.finish()?, numbers))
}

/// A text with its `#12` numbered as in the whole history.
fn renumbered(text: &str, numbers: &[u32]) -> String {
    let mut parts = text.split('#');
    let mut told = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.len() - part.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = part.split_at(digits);
        let number = number
            .parse::<usize>()
            .ok()
            .and_then(|n| numbers.get(n))
            .map_or(number.to_owned(), u32::to_string);
        told.push_str(&format!("#{number}{rest}"));
    }
    told
}

/// Live checks of all parts that have one.
struct AllLive {
    places: Arc<OnceLock<Places>>,
    parts: Vec<Option<Box<dyn Live>>>,
}

impl Live for AllLive {
    fn push(&mut self, event: Event) {
        let Some(places) = self.places.get() else { return };
        if let Some(part) = &mut self.parts[places.part(event.process)] {
            part.push(event);
        }
    }

    fn judge(&mut self, budget: &Budget) -> Verdict {
        let mut verdicts = self.parts.iter_mut().flatten().map(|part| part.judge(budget));
        let bad = verdicts.find(|verdict| verdict.valid == Valid::No);
        bad.unwrap_or_else(|| Verdict::from_anomalies("mix", Vec::new()))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;
    use squall_engine::seed::Seed;
    use squall_history::{EventKind, NodeInfo, RunHeader, Value};

    use super::*;
    use crate::common::testing::{drawn, is_decided_by_its_seed};

    fn mix() -> Mix {
        let parts = [json!("register"), json!({ "lock": { "keys": 1 } })];
        let parts = parts.iter().map(|cell| part(cell).unwrap()).collect();
        Mix { parts, turns: [0, 1].into(), places: Arc::default() }
    }

    #[test]
    fn every_part_has_workers_on_every_node_and_no_two_the_same() {
        let places = Places::new(12, 3, &[0, 1]);
        assert_eq!(places.sizes, [6, 6]);
        for part in 0..2 {
            let mine = |w: &usize| places.of[*w].0 == part;
            let nodes: BTreeSet<usize> = (0..12).filter(mine).map(|w| w % 3).collect();
            let within: BTreeSet<u32> =
                (0..36).filter(|p| places.part(*p) == part).map(|p| places.within(p)).collect();
            assert_eq!((nodes.len(), within), (3, (0..18).collect()));
        }
    }

    #[test]
    fn a_part_has_as_many_workers_as_its_share() {
        let places = Places::new(12, 2, &turns(&[2, 1], 2).unwrap());
        assert_eq!(places.sizes, [8, 4]);
        let mine = |part: usize| (0..12).filter(|w| places.of[*w].0 == part).map(|w| w % 2).sum::<usize>();
        assert_eq!((mine(0), mine(1)), (4, 2));
        for bad in [json!([1]), json!([1, 0]), json!([1, 101]), json!([1, 1, 1])] {
            assert!(Mix::build(&json!({ "of": ["register", "append"], "shares": bad })).is_err(), "{bad}");
        }
    }

    #[test]
    fn parts_do_what_they_do_alone() {
        is_decided_by_its_seed(&mix());
        let kinds: BTreeSet<&str> = drawn(&mix(), 30).iter().map(|(_, op)| op.on).collect();
        assert_eq!(kinds, ["lock", "register"].into());
    }

    #[test]
    fn the_part_that_is_wrong_is_named_with_the_numbers_of_the_whole() {
        let mix = mix();
        // Two nodes: workers 0 and 1 have registers, 2 and 3 locks.
        let mut builder = Builder::new(Order::ByTime);
        let nodes = ["n1", "n2"].map(|name| NodeInfo { name: name.into(), address: String::new() });
        builder.history_mut().run =
            Some(Box::new(RunHeader { nodes: nodes.to_vec(), concurrency: 4, ..RunHeader::default() }));
        let mut op = |process: u32, f: &str, time: u64, input: Value, output: Value| {
            for (kind, time, value) in [(EventKind::Invoke, time, input), (EventKind::Ok, time + 1, output)] {
                let (f, key, intended, meta) = (f.into(), 7.into(), time, None);
                builder.push(Event { kind, process, time, intended, f, key, value, meta }).unwrap();
            }
        };
        op(2, "acquire", 10, 100.into(), Value::list([1.into(), 1.into()]));
        op(0, "write", 20, 5.into(), 5.into());
        op(2, "release", 30, Value::list([1.into(), 1.into()]), Value::str("released"));
        op(1, "read", 40, Value::Nil, 6.into());
        let history = builder.finish().unwrap();
        let checks = mix.checks("linearizable").unwrap();
        let verdicts: Vec<Verdict> = checks.iter().map(|c| c.check(&history, &Budget::default())).collect();
        let bad: Vec<_> = verdicts.iter().filter(|v| v.valid == Valid::No).collect();
        assert_eq!((bad.len(), &*bad[0].check), (1, "register.linearizable"));
        assert!(bad[0].anomalies[0].operations.contains(&3), "{:?}", bad[0].anomalies[0]);
        assert!(bad[0].anomalies[0].explanation.contains("#3"), "{:?}", bad[0].anomalies[0]);
    }

    #[test]
    fn live_checks_hear_of_their_own_part_only() {
        let mix = mix();
        let setting = Setting { seed: Seed(1), workers: 4, nodes: 2 };
        let mut live = mix.live("linearizable").unwrap();
        drop(mix.generator(&setting));
        let mut push = |process: u32, f: &str, kind, time: u64, value: Value| {
            let (f, key, intended, meta) = (f.into(), 7.into(), time, None);
            live.push(Event { kind, process, time, intended, f, key, value, meta });
        };
        // A write of a lock's holder is none of the register's business.
        push(2, "write", EventKind::Invoke, 1, 5.into());
        push(2, "write", EventKind::Ok, 2, 5.into());
        push(0, "read", EventKind::Invoke, 3, Value::Nil);
        push(0, "read", EventKind::Ok, 4, 5.into());
        for process in [0, 1] {
            push(process, "read", EventKind::Invoke, 5 + u64::from(process), Value::Nil);
        }
        assert_eq!(live.judge(&Budget::default()).valid, Valid::No);
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in [json!({}), json!({ "of": ["mix"] }), json!({ "of": ["registre"] }), json!({ "of": [3] })]
        {
            assert!(matches!(Mix::build(&bad), Err(Error::Config(_))), "{bad}");
        }
    }
}
