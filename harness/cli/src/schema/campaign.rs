//! The campaign file, for editors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::{Value as Json, json};

use super::tidy::without_null;
use crate::Registry;
use crate::campaign::{ALL, Campaign, NONE, OWN, PROVIDERS};

/// A campaign of squall: every target with every workload under every set of faults.
#[derive(JsonSchema)]
#[schemars(rename_all = "snake_case", deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct File {
    /// The campaign's name: a folder of the store.
    name: Option<String>,
    /// The seed from which every decision of every run follows. Random, and printed, if not given.
    seed: Option<u64>,
    /// Nodes of each cluster.
    #[schemars(range(min = 1, max = 99))]
    nodes: Option<u32>,
    /// Processes that act at a time: a number, or `2n` for two a node.
    concurrency: Option<Concurrency>,
    /// Operations a second, all processes together, or `max` for as fast as answers come.
    rate: Option<Rate>,
    /// How long clients act before faults begin.
    warm_up: Option<Duration>,
    /// How long the main phase lasts.
    time_limit: Option<Duration>,
    /// How long the cluster may take to serve again after healing.
    recovery_limit: Option<Duration>,
    /// How long the cluster may take to serve after it was started.
    ready_limit: Option<Duration>,
    /// How long an operation may take before it counts as unanswered.
    op_timeout: Option<Duration>,
    /// How nodes come to be.
    provider: Option<Provider>,
    /// Systems under test.
    targets: Option<OneOrMore<Target>>,
    /// What clients do.
    workloads: Option<OneOrMore<Workload>>,
    /// Alternatives: each is a fault, or a list of faults that act together, or `none`, or `all`.
    faults: Option<OneOrMore<Together>>,
    /// When faults come and go.
    timing: Option<Timing>,
    /// Faults at fixed times or after events, beside those of `faults`.
    schedule: Option<OneOrMore<Step>>,
    /// Whether each run draws which of its faults act, and how densely.
    swarm: Option<bool>,
    /// How many faults of a set act at a time, each injection being of any of them.
    #[schemars(range(min = 1, max = 64))]
    lanes: Option<u32>,
    /// After how long whatever exits by itself is started again; never if not said.
    watchdog: Option<Duration>,
    /// Whether to keep a packet capture of each node.
    pcap: Option<bool>,
    /// Whether a run ends as soon as a check finds an anomaly.
    stop_on_anomaly: Option<bool>,
    /// Combinations that are left out.
    exclude: Option<OneOrMore<Select>>,
    /// Settings that some combinations have for themselves.
    overrides: Option<OneOrMore<Override>>,
    /// How often each combination runs.
    #[schemars(range(min = 1, max = 100_000))]
    repeat: Option<u32>,
    /// Runs at once. Contention fakes elections, so more than one is for machines with cores to spare.
    #[schemars(range(min = 1, max = 64))]
    parallel: Option<u32>,
    /// What every run is expected to show.
    expect: Option<Expect>,
    /// What a cluster that does not recover after healing means.
    liveness: Option<Liveness>,
    /// The folder that keeps runs.
    store: Option<String>,
    /// What of a run is kept: everything, or of passed runs their results only.
    keep: Option<Keep>,
    /// Bytes that the store may hold: old runs keep their results only then, passed ones first.
    store_limit: Option<Size>,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Concurrency {
    Total(#[schemars(range(min = 1, max = 10_000))] u32),
    PerNode(#[schemars(regex(pattern = "^[1-9][0-9]*n?$"))] String),
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Rate {
    PerSecond(#[schemars(extend("exclusiveMinimum" = 0))] f64),
    Max(Max),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Max {
    Max,
}

/// A duration with its unit: 500ms, 30s, 2min, 1h.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
pub(super) struct Duration(
    #[schemars(regex(pattern = r"^\s*[0-9]+(\.[0-9]+)?\s*(us|µs|ms|s|min|h)$"))] String,
);

/// Names and options are put in from the list of providers.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Provider(String);

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
pub(super) enum OneOrMore<T> {
    More(#[schemars(length(min = 1))] Vec<T>),
    One(T),
}

/// Names and options are put in from the registry.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Target(String);

/// Names and options are put in from the registry.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Workload(String);

/// Names and options are put in from the registry.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Fault(String);

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Together {
    Several(#[schemars(length(min = 1))] Vec<Fault>),
    One(Fault),
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Timing {
    /// Mean time on.
    on: Option<Duration>,
    /// Mean time off.
    off: Option<Duration>,
    /// No time on is shorter.
    min: Option<Duration>,
    /// No time on or off is longer.
    max: Option<Duration>,
}

/// What acts when, and for how long.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Step {
    /// So long after the beginning of the main phase.
    at: Option<Duration>,
    /// And then every so often.
    every: Option<Duration>,
    /// After an event instead.
    after: Option<After>,
    /// What acts: a fault, or several together.
    fault: Together,
    /// For how long.
    r#for: Duration,
    /// How often, after an event.
    #[schemars(range(min = 1, max = 1000))]
    times: Option<u32>,
    /// What would be drawn otherwise, such as `nodes`.
    plan: Option<serde_json::Map<String, Json>>,
    /// Whom it strikes: the node in whose log the text was that it waited for.
    on: Option<Whom>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[allow(dead_code, reason = "it only describes")]
enum Whom {
    Writer,
}

/// One event, and how long after it.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct After {
    /// Another node leads, or the same one anew.
    event: Option<NamedEvent>,
    /// So many more operations were ok.
    #[schemars(range(min = 1))]
    ok_operations: Option<u64>,
    /// This text is written to a log of any node.
    log: Option<String>,
    /// How long after it.
    delay: Option<Duration>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[allow(dead_code, reason = "it only describes")]
enum NamedEvent {
    LeaderChange,
}

/// Combinations by the names of their parts; what is not said matches everything.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
#[allow(dead_code, reason = "it only describes")]
struct Select {
    /// One of these targets.
    target: Option<OneOrMore<String>>,
    /// One of these workloads.
    workload: Option<OneOrMore<String>>,
    /// All of these faults, perhaps with others; `none` for no fault.
    faults: Option<OneOrMore<String>>,
}

/// Settings of the combinations that these parts name.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Override {
    /// One of these targets.
    target: Option<OneOrMore<String>>,
    /// One of these workloads.
    workload: Option<OneOrMore<String>>,
    /// All of these faults, perhaps with others; `none` for no fault.
    faults: Option<OneOrMore<String>>,
    /// What they have in place of the campaign's own settings.
    set: Settings,
}

/// Each means what the campaign's key of this name means.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields, extend("minProperties" = 1))]
#[allow(dead_code, reason = "it only describes")]
struct Settings {
    #[schemars(range(min = 1, max = 99))]
    nodes: Option<u32>,
    concurrency: Option<Concurrency>,
    rate: Option<Rate>,
    warm_up: Option<Duration>,
    time_limit: Option<Duration>,
    recovery_limit: Option<Duration>,
    ready_limit: Option<Duration>,
    op_timeout: Option<Duration>,
    timing: Option<Timing>,
    expect: Option<Expect>,
    liveness: Option<Liveness>,
}

/// A size with its unit: 500MB, 20GiB.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Size(#[schemars(regex(pattern = r"^\s*[0-9]+(\.[0-9]+)?\s*(B|kB|MB|GB|KiB|MiB|GiB)$"))] String);

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Keep {
    All,
    Failures,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Expect {
    Valid(Valid),
    Invalid(Invalid),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Valid {
    Valid,
}

/// Anomalies that must be found; any other still fails.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Invalid {
    /// Their types, such as `G-single`.
    invalid: OneOrMore<String>,
    /// In how many of the repeats: `1 of 5`.
    at_least: Option<AtLeast>,
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct AtLeast(#[schemars(regex(pattern = "^[1-9][0-9]* of [1-9][0-9]*$"))] String);

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Liveness {
    Fail,
    Warn,
}

/// The schema, with the names that this registry has (any name will do where it has none) and the defaults
/// of everything.
pub fn campaign(registry: &Registry) -> Json {
    let mut schema = without_null::<File>();
    let of = |kinds: Vec<(&'static str, &'static str)>| named(&kinds.into_iter().collect());
    let definitions = &mut schema["definitions"];
    definitions["Target"] = of(registry.targets().iter().map(|k| (k.name, k.summary)).collect());
    or_described(&mut definitions["Target"]);
    definitions["Workload"] = of(registry.workloads().iter().map(|k| (k.name, k.summary)).collect());
    let mut faults: Vec<_> = registry.faults().iter().map(|k| (k.name, k.summary)).collect();
    if !faults.is_empty() {
        faults.push((NONE, "no fault"));
        faults.push((ALL, "every fault that can be had, a few at a time"));
    }
    definitions["Fault"] = of(faults);
    let own =
        json!({ "type": "string", "pattern": format!("^{OWN}"), "description": "of a running cluster" });
    definitions["Fault"]["anyOf"].as_array_mut().expect("`named` gives alternatives").push(own);
    definitions["Provider"] = providers();
    schema["title"] = "A campaign of squall".into();
    put_defaults(&mut schema);
    schema
}

/// A target may also be the path of its description.
fn or_described(target: &mut Json) {
    const PATH: &str = r"\.ya?ml$";
    let alternatives = target["anyOf"].as_array_mut().expect("`named` gives alternatives");
    alternatives.push(json!({ "type": "string", "pattern": PATH, "description": "a described target" }));
    alternatives.push(json!({
        "type": "object",
        "patternProperties": { PATH: { "type": ["object", "null"] } },
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    }));
}

/// A provider's name, or its name with its options or its file.
fn providers() -> Json {
    let names: Vec<&str> = PROVIDERS.iter().map(|p| p.name).collect();
    let options = PROVIDERS.iter().map(|p| {
        let kinds =
            if p.file.is_none() { json!(["object", "null"]) } else { json!(["object", "null", "string"]) };
        (p.name.to_owned(), json!({ "type": kinds, "description": p.summary }))
    });
    one_of(&names, options.collect())
}

/// One of these names, or one with its options.
fn one_of(names: &[&str], options: serde_json::Map<String, Json>) -> Json {
    json!({ "anyOf": [
        { "type": "string", "enum": names },
        {
            "type": "object",
            "properties": options,
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        },
    ] })
}

/// A name, or a name with its options; any name where none is known.
fn named(kinds: &BTreeMap<&str, &str>) -> Json {
    if kinds.is_empty() {
        let any = json!({ "type": "object", "minProperties": 1, "maxProperties": 1 });
        return json!({ "anyOf": [{ "type": "string" }, any] });
    }
    let names: Vec<&str> = kinds.keys().copied().collect();
    let options = kinds.iter().map(|(name, summary)| {
        let options = json!({ "type": ["object", "null"], "description": summary });
        ((*name).to_owned(), options)
    });
    one_of(&names, options.collect())
}

/// What a key means that is not there. The seed is drawn, so it has none.
fn put_defaults(schema: &mut Json) {
    let defaults = serde_json::to_value(Campaign::default()).expect("a campaign has text keys only");
    for key in ["nodes", "concurrency", "rate", "warm_up", "time_limit", "recovery_limit", "ready_limit"] {
        schema["properties"][key]["default"] = defaults[key].clone();
    }
    for key in ["provider", "repeat", "parallel", "expect", "liveness", "store", "keep"] {
        schema["properties"][key]["default"] = defaults[key].clone();
    }
}
