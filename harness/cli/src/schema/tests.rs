//! Schemas against what they describe.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Map, Value as Json};
use squall_checkers::{Anomaly, Verdict};
use squall_history::{Builder, Fault, FaultPhase, Order};
use squall_reports::{Facts, document, run_result};

use super::{CLIENT, HISTORY, campaign, check, run, target};
use crate::Registry;
use crate::campaign::Campaign;

fn keys(properties: &Json) -> BTreeSet<String> {
    properties.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_campaign_has_the_keys_that_are_read_and_no_others() {
    let schema = campaign(&Registry::default());
    let described = keys(&schema["properties"]);
    // The reader lists every key it knows when it meets one that nobody could have meant.
    let refused = Campaign::parse("x", "zzzzzzzzzzzzzzzzzzzz: 1\n").unwrap_err();
    let listed = refused.text().split("there are: ").nth(1).unwrap();
    let read: BTreeSet<String> = listed.split(", ").map(str::to_owned).collect();
    assert_eq!(described, read);
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
    assert!(schema["definitions"]["Target"]["anyOf"][0]["enum"].as_array().unwrap().contains(&"etcd".into()));
    assert!(!schema["properties"].to_string().contains("null"), "nobody writes null");
    assert_eq!(schema["properties"]["time_limit"]["default"], "60s");
}

/// Whether a schema knows every key of a value, all the way down. Not a validator: it looks at names, and at
/// what is required.
fn known(schema: &Json, root: &Json, value: &Json, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.trim_start_matches("#/definitions/");
        return known(&root["definitions"][name], root, value, at);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().try_for_each(|s| known(s, root, value, at));
    }
    for several in ["anyOf", "oneOf"] {
        if let Some(all) = schema[several].as_array() {
            let tried: Vec<_> = all.iter().map(|s| known(s, root, value, at)).collect();
            let first = tried.first().cloned().unwrap_or(Ok(()));
            return if tried.iter().any(Result::is_ok) { Ok(()) } else { first };
        }
    }
    match value {
        Json::Object(map) => known_object(schema, root, map, at),
        Json::Array(items) => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(i, item)| known(&schema["items"], root, item, &format!("{at}[{i}]")))
        }
        _ => Ok(()),
    }
}

fn known_object(schema: &Json, root: &Json, map: &Map<String, Json>, at: &str) -> Result<(), String> {
    if schema["type"].as_str().is_some_and(|t| t != "object") {
        return Err(format!("{at}: not an object by the schema"));
    }
    let required = schema["required"].as_array().into_iter().flatten();
    for name in required.filter_map(Json::as_str) {
        if !map.contains_key(name) {
            return Err(format!("{at}: lacks `{name}`"));
        }
    }
    for (name, value) in map {
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Json::Null, Json::Null) => return Err(format!("{at}: `{name}` is not described")),
            (Json::Null, _) => {}
            (described, _) => known(described, root, value, &format!("{at}.{name}"))?,
        }
    }
    Ok(())
}

fn anomaly() -> Anomaly {
    Anomaly {
        kind: "lost".into(),
        signature: "set/lost".into(),
        explanation: "gone".into(),
        operations: vec![0],
        details: Map::from_iter([("x".to_owned(), 1.into())]),
    }
}

#[test]
fn a_document_of_run_is_described_whole() {
    let mut history = Builder::new(Order::ByTime).finish().unwrap();
    for phase in [FaultPhase::Begin, FaultPhase::End] {
        history.faults.push(Fault {
            time: 5,
            phase,
            id: 0,
            kind: "kill".into(),
            nodes: vec!["n1".into()],
            description: String::new(),
            detail: Json::Null,
            effective: Some(true),
            evidence: [("ended".to_owned(), 1.into())].into(),
        });
    }
    let verdict = Verdict::from_anomalies("set", vec![anomaly()]);
    let result = run_result(&history, &[verdict], &Facts { report: Some("r".into()), ..Facts::default() });
    let document = serde_json::to_value(document(Some("store".into()), vec![result])).unwrap();
    let schema = run();
    known(&schema, &schema, &document, "").unwrap();
    let mut more = document;
    more["runs"][0]["surprise"] = 1.into();
    assert!(known(&schema, &schema, &more, "").unwrap_err().contains("surprise"), "the test can fail");
}

#[test]
fn an_answer_of_check_is_described_whole() {
    let answer = crate::check::Answer {
        schema_version: 1,
        file: "x".into(),
        valid: squall_checkers::Valid::No,
        model: "set",
        consistency: "linearizable",
        format: "edn",
        operations: 1,
        algorithm: Some("frontier".into()),
        parse_seconds: 0.1,
        check_seconds: 0.1,
        peak_bytes: 1,
        warnings: vec!["w".into()],
        anomalies: vec![anomaly()],
        reason: None,
        details: Map::from_iter([("nil_reads_ignored".to_owned(), 3.into())]),
    };
    let schema = check();
    known(&schema, &schema, &serde_json::to_value(answer).unwrap(), "").unwrap();
    let unreadable = crate::check::Unreadable { schema_version: 1, file: "x".into(), error: "y".into() };
    known(&schema, &schema, &serde_json::to_value(unreadable).unwrap(), "").unwrap();
}

#[test]
fn the_schema_of_a_history_is_json() {
    let schema: Json = serde_json::from_str(HISTORY).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}

/// The copies in `docs/schema` are those that the commands print, but for the names in a registry. `SQUALL_BLESS=1` writes them.
#[test]
fn the_published_copies_are_current() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
    let all = [
        ("campaign", campaign(&Registry::empty())),
        ("check", check()),
        ("run", run()),
        ("target", target()),
    ];
    for (name, schema) in all {
        let path = folder.join(format!("{name}.schema.json"));
        let text = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("SQUALL_BLESS").is_some() {
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let published = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(published == text, "{} is old: run this test with SQUALL_BLESS=1", path.display());
    }
}

const TARGET: &str = "name: mydb
supports: [read]
lists: {all: {each: x}}
setup: [{command: x}]
programs: [{name: db, command: x}]
bootstrap: {command: x}
ready: {port: 70}
members: {list: x, add: x, remove: x}
client: {command: x}
";

/// What is refused in a description, one word.
fn refusal(text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("target.yaml");
    std::fs::write(&path, text).unwrap();
    crate::declared::load(&path.to_string_lossy()).err().map_or_else(String::new, |e| e.0)
}

/// Every map of a description, with the structure that describes it: the reader lists the keys that it knows.
#[test]
fn a_target_has_the_keys_that_are_read_and_no_others() {
    assert_eq!(refusal(TARGET), "");
    let schema = target();
    let places = [
        ("File", "name: mydb", "name: mydb\nUNKNOWN: 1"),
        ("List", "{each: x}", "{each: x, UNKNOWN: 1}"),
        ("Step", "setup: [{command: x}]", "setup: [{command: x, UNKNOWN: 1}]"),
        ("Program", "name: db, command: x", "name: db, command: x, UNKNOWN: 1"),
        ("Bootstrap", "bootstrap: {command: x}", "bootstrap: {command: x, UNKNOWN: 1}"),
        ("Probe", "{port: 70}", "{port: 70, UNKNOWN: 1}"),
        ("Membership", "remove: x}", "remove: x, UNKNOWN: 1}"),
        ("Client", "client: {command: x}", "client: {command: x, UNKNOWN: 1}"),
    ];
    for (name, from, to) in places {
        assert!(TARGET.contains(from), "{from}");
        let said = refusal(&TARGET.replace(from, &to.replace("UNKNOWN", "zzzzzzzzzzzzzzzzzzzz")));
        let listed = said.split("there are: ").nth(1).unwrap_or_else(|| panic!("{name}: {said}"));
        let read: BTreeSet<String> =
            listed.lines().next().unwrap_or("").split(", ").map(str::to_owned).collect();
        let described = if name == "File" { &schema } else { &schema["definitions"][name] };
        assert_eq!(keys(&described["properties"]), read, "{name}");
    }
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}

#[test]
fn the_targets_of_the_examples_fit_their_schema() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let examples = ["etcd-members", "redis-sentinel", "postgresql", "zookeeper", "nats-jetstream"];
    let mut paths: Vec<_> = examples.map(|e| root.join("examples").join(e).join("target.yaml")).into();
    paths.push(root.join("harness/cli/src/skeleton/target.yaml"));
    let schema = target();
    for path in paths {
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Json = serde_yaml::from_str(&text).unwrap();
        known(&schema, &schema, &value, "").unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

#[test]
fn the_schema_of_the_protocol_of_clients_is_json() {
    let schema: Json = serde_json::from_str(CLIENT).unwrap();
    assert_eq!(schema["$schema"], "http://json-schema.org/draft-07/schema#");
}
