//! The client and `ctl` against real server processes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use squall_raftkv::client::{Client, ClientError, Consistency, RangeQuery};

use crate::cluster::Cluster;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn every_call_of_the_client_is_understood() {
    let cluster = Cluster::start(3);
    cluster.insist(0, "GET", "/kv/warm", None);
    runtime().block_on(calls(&cluster)).unwrap();
}

async fn calls(cluster: &Cluster) -> Result<(), ClientError> {
    let mut client = Client::connect(&cluster.clients[0]).await?;
    let mut other = Client::connect(&cluster.clients[1]).await?;
    let key = "a key/with ünusual characters?&=%\u{0}";
    let version = client.put(key, &json!({"b": 1})).await?;
    let found = other.get(key, Consistency::Linearizable).await?;
    assert_eq!((&found.value, found.version), (&json!({"b": 1}), version));
    for consistency in [Consistency::Lease, Consistency::Session { token: version }] {
        assert_eq!(other.get(key, consistency).await?.version, version);
    }
    let cas = client.cas(key, &json!(1), &json!(2)).await?;
    assert_eq!((cas.ok, cas.actual), (false, Some(json!({"b": 1}))));
    assert!(client.cas(key, &json!({"b": 1}), &json!(2)).await?.ok);
    assert!(client.delete(key).await?.existed && !client.delete(key).await?.existed);
    assert_eq!(other.get(key, Consistency::Linearizable).await?.value, Value::Null);

    assert_eq!(client.append("list", &json!(1)).await?.results, [json!({"length": 1})]);
    assert_eq!(client.add("count", -5).await?.results, [json!({"value": -5})]);
    let query = RangeQuery { start: "c".into(), end: Some("m".into()), limit: Some(1) };
    let range = other.range(&query, Consistency::Linearizable).await?;
    assert_eq!((range.items.len(), range.items[0].key.as_str(), range.more), (1, "count", true));
    let txn = json!({"guards": [{"key": "count", "value": 0}], "then": [], "else": [{"op": "read", "key": "count"}]});
    let answer = other.txn(&txn).await?;
    assert_eq!((answer.succeeded, &answer.results[0]["value"]), (false, &json!(-5)));

    let lease = client.grant(60_000).await?;
    client.keep_alive(lease).await?;
    let lock = client.lock("l", lease).await?;
    assert!(lock.ok);
    let second = client.grant(60_000).await?;
    let busy = client.lock("l", second).await?;
    assert_eq!((busy.ok, busy.token, busy.lease), (false, lock.token, Some(lease)));
    assert!(client.unlock("l", lock.token).await? && !client.unlock("l", lock.token).await?);
    assert!(client.revoke(lease).await? && !client.revoke(lease).await?);
    let gone = client.keep_alive(lease).await.unwrap_err();
    assert_eq!((gone.code(), gone.definite()), (Some("no_lease"), true));

    let changes = client.watch(0, "list", 20_000).await?;
    assert_eq!(changes.events[0].value, json!([1]));
    assert!(client.watch(changes.next, "list", 1).await?.events.is_empty());
    assert_eq!(client.compact(changes.next).await?, changes.next);
    let refused = client.watch(0, "list", 1).await.unwrap_err();
    assert_eq!(refused.code(), Some("compacted"));

    assert_eq!(client.status().await?.members, ["n1", "n2", "n3"]);
    assert!(client.hash().await?.applied > 0);
    assert!(client.metrics().await?.contains("raftkv_keys 2"));
    let wrong = client.put("k", &Value::Null).await.unwrap_err();
    assert_eq!((wrong.code(), wrong.definite()), (Some("bad_request"), true));
    let nobody = Client::connect("127.0.0.1:1").await.unwrap_err();
    assert!(matches!(nobody, ClientError::Connect { .. }) && nobody.definite());
    Ok(())
}

#[test]
fn a_client_that_is_cut_off_does_not_send_again() {
    // A server that takes one request and closes without a word, and counts connections.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut some = [0; 64];
        std::io::Read::read(&mut stream, &mut some).unwrap();
        drop(stream);
        listener.set_nonblocking(true).unwrap();
        std::thread::sleep(Duration::from_millis(200));
        listener.accept().is_ok()
    });
    runtime().block_on(async {
        let mut client = Client::connect(&addr).await.unwrap();
        let error = client.put("k", &json!(1)).await.unwrap_err();
        assert!(matches!(error, ClientError::Broken { .. }) && !error.definite(), "{error}");
        assert!(client.put("k", &json!(1)).await.is_err());
    });
    assert!(!server.join().unwrap(), "it connected again");
}

#[test]
fn ctl_answers_in_json_and_exit_codes() {
    let mut cluster = Cluster::start(3);
    cluster.insist(0, "GET", "/kv/warm", None);
    let all = [0, 1, 2];
    let ask = |words: &[&str]| {
        let (code, out) = cluster.ctl(&all, words);
        (code, serde_json::from_str::<Value>(&out).unwrap_or(Value::String(out)))
    };
    let yes = |words: &[&str]| {
        let (code, answer) = ask(words);
        assert_eq!(code, 0, "{words:?}: {answer}");
        answer
    };
    assert_eq!(ask(&["get", "k"]).0, 1, "absent");
    let version = yes(&["put", "k", r#"{"a":1}"#])["version"].clone();
    assert_eq!(yes(&["get", "k"])["version"], version);
    assert_eq!(
        ask(&["cas", "k", "1", "2"]),
        (1, json!({"ok": false, "actual": {"a": 1}, "version": version}))
    );
    yes(&["cas", "k", r#"{"a":1}"#, "2"]);
    yes(&["append", "list", "--string", "x"]);
    assert_eq!(yes(&["range", "--prefix", "l"])["items"][0]["value"], json!(["x"]));
    let (code, answer) = ask(&["txn", r#"{"guards":[{"key":"k","value":3}],"then":[]}"#]);
    assert_eq!((code, &answer["succeeded"]), (1, &json!(false)));
    let lease = yes(&["lease", "grant", "60000"])["lease"].to_string();
    let token = yes(&["lock", "acquire", "l", &lease])["token"].to_string();
    let other = yes(&["lease", "grant", "60000"])["lease"].to_string();
    assert_eq!(ask(&["lock", "acquire", "l", &other]).0, 1);
    yes(&["lock", "release", "l", &token]);
    let event = yes(&["watch", "--prefix", "list", "--events", "1"]);
    assert_eq!((&event["key"], &event["value"]), (&json!("list"), &json!(["x"])));
    yes(&["delete", "k"]);
    assert_eq!(ask(&["delete", "k"]).0, 1);
    assert_eq!(yes(&["status"]).as_array().unwrap().len(), 3);
    yes(&["hash"]);
    yes(&["compact", "1"]);
    assert!(yes(&["metrics"]).as_str().unwrap().contains("# TYPE raftkv_term"));

    // What only the leader takes finds it.
    let follower = (cluster.leader(0) + 1) % 3;
    let id = format!("n{}", follower + 1);
    assert_eq!(yes(&["leader", "transfer", &id])["leader"], json!(id));
    // A term's first entry is committed before members may change.
    yes(&["put", "k", "3"]);
    assert_eq!(yes(&["members", "list"])["voters"], json!(["n1", "n2", "n3"]));
    assert_eq!(yes(&["members", "add", "n4", "127.0.0.1:1"])["learners"], json!(["n4"]));
    assert_eq!(ask(&["members", "promote", "n4"]).1["error"], json!("member_change"));
    assert_eq!(yes(&["members", "remove", "n4"])["learners"], json!([]));

    for (words, code) in
        [(&["put", "k", "nonsense"][..], 254), (&["frobnicate"][..], 254), (&["put", "", "1"][..], 254)]
    {
        assert_eq!(cluster.ctl(&all, words).0, code, "{words:?}");
    }
    // One is down: another is asked. All but one are: refused or unclear, never done.
    cluster.kill(0);
    cluster.ctl(&all, &["get", "list", "--consistency", "local"]);
    cluster.kill(1);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (code, out) = cluster.ctl(&all, &["put", "k", "1"]);
        let answer: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(code, if answer["definite"] == json!(true) { 255 } else { 2 }, "{out}");
        if code == 255 {
            break;
        }
        assert!(Instant::now() < deadline, "{out}");
    }
    assert_eq!(cluster.ctl(&all, &["status"]).0, 1, "two do not answer");
    cluster.kill(2);
    assert_eq!(cluster.ctl(&all, &["get", "k"]).0, 255);
}

#[test]
fn a_leader_that_is_stopped_hands_over_and_answers_what_is_under_way() {
    let mut cluster = Cluster::start(3);
    cluster.insist(0, "PUT", "/kv/warm", Some(json!({"value": 0})));
    let leader = cluster.leader(0);
    let before = cluster.insist(leader, "GET", "/status", None)["term"].as_u64().unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let written = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (cluster, stop) = (&cluster, &stop);
                scope.spawn(move || {
                    let mut done = Vec::new();
                    for n in 0.. {
                        let key = format!("/kv/{writer}-{n}");
                        match cluster.call(leader, "PUT", &key, Some(json!({"value": n}))) {
                            Ok((200, _)) => done.push((key, n)),
                            Ok((_, answer)) => assert_eq!(answer["definite"], json!(true), "{answer}"),
                            // It is gone.
                            Err(_) if stop.load(std::sync::atomic::Ordering::Relaxed) => return done,
                            Err(_) => {}
                        }
                    }
                    done
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(100));
        cluster.signal(leader, "-TERM");
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        writers.into_iter().flat_map(|w| w.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(cluster.nodes[leader].as_mut().unwrap().wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(cluster.log(leader)).unwrap();
    assert!(log.contains("stops, hands over to=") && log.contains("became follower term="), "{log}");
    let other = (leader + 1) % 3;
    let status = cluster.insist(other, "GET", "/status", None);
    assert!(status["term"].as_u64() > Some(before), "{status}");
    assert!(!written.is_empty());
    for (key, n) in written {
        assert_eq!(cluster.insist(other, "GET", &key, None)["value"], json!(n));
    }
}
