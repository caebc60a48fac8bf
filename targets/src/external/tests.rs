use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use squall_engine::protocol::Client;
use squall_engine::{Completion, Error, Operation, Outcome};
use squall_history::Value;

use super::*;

/// What a shell script says: its hello, then whatever a test is about.
async fn start(script: &str) -> (tempfile::TempDir, Result<Program, Error>) {
    let dir = tempfile::tempdir().unwrap();
    let spec = Spec {
        name: "client".into(),
        argv: vec!["/bin/sh".into(), "-c".into(), script.into()],
        env: BTreeMap::new(),
        cwd: dir.path().to_owned(),
    };
    let hello =
        Hello { protocol: PROTOCOL, target: "toy".into(), options: BTreeMap::new(), nodes: Vec::new() };
    let host = Host::Machine(dir.path().to_owned());
    let program = Program::start(&host, &spec, "the client of n1", &hello).await;
    (dir, program)
}

const HELLO: &str = r#"read -r hello; echo '{"type":"hello","protocol":1,"supports":["write"]}'; "#;
/// Opens processes 1 and 2, whose questions are 1 and 2.
const TWO: &str = r#"read -r o; echo '{"type":"ok","process":1,"id":1}'; read -r o; echo '{"type":"ok","process":2,"id":2}'; "#;

fn open() -> Open {
    Open { node: "n1".into(), host: "127.0.0.1".into(), port: 1, bind: None }
}

fn write() -> Operation {
    Operation::new(&"write".into(), 1.into(), 5.into())
}

fn read() -> Operation {
    Operation::read(&"read".into(), 1.into(), Value::Nil)
}

/// Two processes of a program that goes on with this script.
async fn two(script: &str) -> (tempfile::TempDir, Arc<Program>, ExternalClient, ExternalClient) {
    let (dir, program) = start(&format!("{HELLO}{TWO}{script}")).await;
    let program = Arc::new(program.unwrap());
    let a = ExternalClient::open(program.clone(), &open(), false).await.unwrap();
    let b = ExternalClient::open(program.clone(), &open(), false).await.unwrap();
    (dir, program, a, b)
}

fn error(completion: &Completion) -> &str {
    completion.meta.as_ref().and_then(|m| m.error.as_deref()).unwrap_or("")
}

async fn trouble(program: &Program) -> Trouble {
    for _ in 0..2000 {
        if let Some(trouble) = program.trouble() {
            return trouble;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no trouble came")
}

#[tokio::test]
async fn answers_find_who_asked_in_any_order() {
    let script = r#"read -r a; read -r b
        echo '{"type":"ok","process":2,"id":4,"value":null,"meta":{"revision":9}}'
        echo '{"type":"fail","process":1,"id":3,"error":"read only"}'; read -r end"#;
    let (_dir, program, mut a, mut b) = two(script).await;
    let (write, read) = (write(), read());
    // Joined futures are first asked in this order, so the questions are 3 and 4.
    let (first, second) = tokio::join!(a.invoke(&write), b.invoke(&read));
    assert_eq!((first.outcome.clone(), error(&first)), (Outcome::Fail, "read only"));
    assert_eq!(second.outcome, Outcome::Ok(Value::Nil), "null is an answer");
    assert_eq!(second.meta.unwrap().revision, Some(9));
    assert!(a.is_usable() && program.trouble().is_none());
}

#[tokio::test]
async fn an_ok_without_a_value_repeats_the_argument_and_info_of_a_read_is_fail() {
    let script = r#"read -r a; echo '{"type":"ok","process":1,"id":3}'
        read -r b; echo '{"type":"info","process":2,"id":4}'; read -r end"#;
    let (_dir, _program, mut a, mut b) = two(script).await;
    assert_eq!(a.invoke(&write()).await.outcome, Outcome::Ok(5.into()));
    assert_eq!(b.invoke(&read()).await.outcome, Outcome::Fail);
    assert!(a.is_usable() && !b.is_usable(), "a late answer must not be taken for the next one");
}

#[tokio::test]
async fn a_fail_may_say_that_its_connection_is_closed() {
    let script = r#"read -r a; echo '{"type":"fail","process":1,"id":3,"closed":true}'
        read -r b; echo '{"type":"fail","process":2,"id":4}'; read -r end"#;
    let (_dir, _program, mut a, mut b) = two(script).await;
    assert_eq!(a.invoke(&write()).await.outcome, Outcome::Fail);
    assert_eq!(b.invoke(&write()).await.outcome, Outcome::Fail);
    assert!(!a.is_usable() && b.is_usable());
}

#[tokio::test]
async fn a_program_that_dies_leaves_info_and_its_last_words() {
    let (_dir, program, mut a, mut b) = two("read -r a; echo 'out of luck' >&2; exit 3").await;
    let (lost, refused) = (a.invoke(&write()).await, b.invoke(&write()).await);
    assert_eq!(lost.outcome, Outcome::Info);
    let told = ["the client of n1", "exit status: 3", "out of luck"];
    assert!(told.iter().all(|t| error(&lost).contains(t)), "{}", error(&lost));
    assert_eq!(refused.outcome, Outcome::Fail, "nobody was there to be asked");
    assert!(!a.is_usable());
    assert!(matches!(trouble(&program).await, Trouble::Died(_)));
}

/// What breaks the protocol, and what must be quoted of it.
#[tokio::test]
async fn nonsense_is_quoted_and_ends_the_trust() {
    let cases = [
        (r#"echo 'connecting to db...'"#, "connecting to db...", "print everything else to standard error"),
        (r#"echo '{"type":"maybe","process":1,"id":3}'"#, "maybe", "unknown variant"),
        (r#"echo '{"type":"ok","id":3}'"#, r#"{"type":"ok","id":3}"#, "without `process` and `id`"),
        (r#"echo '{"type":"ok","process":2,"id":3}'"#, "for process 2", "process 1 asked"),
        (r#"echo '{"type":"ok","process":1,"id":77}'"#, "question 77", "never asked"),
        (r#"echo '{"type":"ok","process":1,"id":1}'"#, "question 1 twice", r#""id":1"#),
        (r#"printf '{"type":"ok"'; exit 0"#, r#"{"type":"ok""#, "in the middle of a line"),
        (r#"head -c 3000000 /dev/zero | tr '\0' x"#, "longer than 1048576 bytes", "xxx"),
    ];
    for (script, seen, why) in cases {
        let (_dir, program, mut a, _b) = two(&format!("read -r a; {script}; sleep 100")).await;
        let lost = a.invoke(&write()).await;
        assert_eq!(lost.outcome, Outcome::Info, "{script}");
        let Trouble::Broke(text) = trouble(&program).await else {
            panic!("{script}: it did not die by itself")
        };
        assert!(text.contains(seen) && text.contains(why), "{script}: {text}");
        assert!(text.chars().count() < 700, "{text}");
    }
}

#[tokio::test]
async fn a_read_without_a_value_is_not_taken_for_absence() {
    let script = r#"read -r a; echo '{"type":"ok","process":1,"id":3}'; sleep 100"#;
    let (_dir, program, mut a, _b) = two(script).await;
    assert_eq!(a.invoke(&read()).await.outcome, Outcome::Fail);
    assert!(trouble(&program).await.text().contains("no `value`"));
}

#[tokio::test]
async fn a_late_answer_to_a_question_given_up_on_is_let_pass() {
    let script = r#"read -r a; read -r b; echo '{"type":"ok","process":1,"id":3}'
        echo '{"type":"ok","process":2,"id":4}'; read -r end"#;
    let (_dir, program, mut a, mut b) = two(script).await;
    let op = write();
    tokio::time::timeout(Duration::from_millis(50), a.invoke(&op)).await.unwrap_err();
    assert_eq!(b.invoke(&op).await.outcome, Outcome::Ok(5.into()));
    assert_eq!(program.trouble(), None);
}

#[tokio::test]
async fn a_hello_that_is_none_is_said() {
    let cases = [
        ("exit 7", "before it said hello"),
        ("echo hi; sleep 100", "hi"),
        (r#"echo '{"type":"hello","protocol":9}'; sleep 100"#, "version 9"),
        (r#"echo '{"type":"ok","process":1,"id":1}'; sleep 100"#, "did not answer with"),
    ];
    for (script, said) in cases {
        let (_dir, program) = start(script).await;
        let text = program.unwrap_err().to_string();
        assert!(text.contains(said) && text.contains("the client of n1"), "{script}: {text}");
    }
}

#[tokio::test]
async fn a_program_that_does_not_read_is_not_written_to_for_ever() {
    let (_dir, _program, mut a, _b) = two("sleep 100").await;
    let op = Operation::new(&"write".into(), 1.into(), Value::str("x".repeat(1 << 20)));
    let mut outcomes = Vec::new();
    for _ in 0..8 {
        match tokio::time::timeout(Duration::from_millis(50), a.invoke(&op)).await {
            Ok(completion) => outcomes.push(completion),
            Err(_) => continue,
        }
    }
    let refused = outcomes.last().expect("it was refused at last");
    assert_eq!(refused.outcome, Outcome::Fail, "what was not written certainly did not happen");
    assert!(error(refused).contains("does not read"), "{}", error(refused));
}

#[tokio::test]
async fn a_flood_on_standard_error_ends_the_program_and_is_cut() {
    let (dir, program, _a, _b) = two("head -c 80000000 /dev/zero >&2; sleep 100").await;
    let Trouble::Broke(text) = trouble(&program).await else { panic!("it died by itself") };
    assert!(text.contains("the client of n1") && text.contains("more than 64 MiB"), "{text}");
    let length = || std::fs::metadata(dir.path().join("client.log")).unwrap().len();
    for _ in 0..1000 {
        if length() == 64 << 20 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes were left", length());
}

#[tokio::test]
async fn a_program_ends_when_the_harness_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let mark = dir.path().join("ended");
    let script = format!("{HELLO} read -r more || echo > {}", mark.display());
    let (_dir, program) = start(&script).await;
    // Its standard input closes, and nothing else happens to it.
    let program = program.unwrap();
    program.let_go();
    for _ in 0..1000 {
        if mark.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it was never told to end");
}

/// The names of the object's keys, and that those which the schema asks for are there.
fn fits(schema: &serde_json::Value, name: &str, line: &[u8]) -> std::collections::BTreeSet<String> {
    let line: serde_json::Value = serde_json::from_slice(line).unwrap();
    let described = &schema["definitions"][name];
    let keys: std::collections::BTreeSet<String> = line.as_object().unwrap().keys().cloned().collect();
    for required in described["required"].as_array().unwrap() {
        assert!(keys.contains(required.as_str().unwrap()), "{name}: {line} lacks {required}");
    }
    for key in &keys {
        assert!(described["properties"].get(key).is_some(), "{name}: `{key}` is not described");
    }
    assert_eq!(line["type"], described["properties"]["type"]["const"], "{name}");
    keys
}

/// What is written has every key that the published schema describes, and no other.
#[test]
fn questions_are_as_their_schema_says() {
    use super::message::{Question, hello_line, write_close};
    let text = include_str!("../../../docs/schema/client-protocol.schema.json");
    let schema: serde_json::Value = serde_json::from_str(text).unwrap();
    let described = |name: &str| {
        let properties = schema["definitions"][name]["properties"].as_object().unwrap();
        properties.keys().cloned().collect::<std::collections::BTreeSet<_>>()
    };
    let node = NodeHello { name: "n1".into(), address: "10.0.0.1".into(), ports: BTreeMap::new() };
    let hello = Hello { protocol: PROTOCOL, target: "t".into(), options: BTreeMap::new(), nodes: vec![node] };
    assert_eq!(fits(&schema, "HelloQuestion", &hello_line(&hello)), described("HelloQuestion"));
    let open = Open { bind: Some("10.0.0.9".into()), ..open() };
    let operation = read();
    let questions = [
        ("Open", Question::Open(&open)),
        ("Setup", Question::Setup),
        ("Invoke", Question::Invoke(&operation)),
    ];
    for (name, question) in questions {
        let mut line = Vec::new();
        question.write(1, 2, &mut line);
        assert_eq!(fits(&schema, name, &line), described(name));
    }
    let mut line = Vec::new();
    write_close(1, &mut line);
    assert_eq!(fits(&schema, "Close", &line), described("Close"));
}

/// What the reader knows is what the schema describes: every kind of answer, every key with its type.
#[test]
fn answers_are_as_their_schema_says() {
    use super::message::Answer;
    let text = include_str!("../../../docs/schema/client-protocol.schema.json");
    let schema: serde_json::Value = serde_json::from_str(text).unwrap();
    let read = |line: serde_json::Value| serde_json::from_value::<Answer>(line);
    for name in ["Answer", "HelloAnswer"] {
        let properties = schema["definitions"][name]["properties"].as_object().unwrap();
        let kinds = match &properties["type"] {
            kind if kind["const"].is_string() => vec![kind["const"].clone()],
            kind => kind["enum"].as_array().unwrap().clone(),
        };
        for kind in kinds {
            read(serde_json::json!({"type": kind, "process": 1, "id": 1})).unwrap();
        }
        for (key, property) in properties {
            // A list is wrong for each but `supports` and `value`: a key that is not read would let it pass.
            let wrong = if key == "supports" { serde_json::json!(7) } else { serde_json::json!([[]]) };
            let mut line =
                serde_json::json!({"type": properties["type"].get("const").cloned().unwrap_or("ok".into())});
            line[key] = wrong;
            let anything = property.as_object().is_some_and(|p| p.is_empty());
            assert_eq!(read(line).is_ok(), anything, "{name}.{key}");
        }
    }
    let unknown = schema["definitions"]["Answer"]["properties"]["type"]["enum"].to_string();
    assert!(!unknown.contains("hello") && read(serde_json::json!({"type": "maybe"})).is_err());
}
