//! Real server processes: what they serve, what they survive.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cluster::{Cluster, spawn};

#[test]
fn every_node_serves_every_request() {
    let cluster = Cluster::start(3);
    for node in 0..3 {
        let path = format!("/kv/key%2F{node}");
        assert_eq!(cluster.insist(node, "GET", &path, None)["value"], json!(null));
        let version = cluster.insist(node, "PUT", &path, Some(json!({"value": node})))["version"].clone();
        let reader = (node + 1) % 3;
        let read = cluster.insist(reader, "GET", &path, None);
        assert_eq!((&read["value"], &read["version"]), (&json!(node), &version));
        let cas = |expected: Value| {
            let body = json!({"expected": expected, "value": "new"});
            cluster.insist(reader, "POST", &format!("{path}/cas"), Some(body))
        };
        assert_eq!(cas(json!("other"))["actual"], json!(node));
        assert_eq!(cas(json!(node))["ok"], json!(true));
        assert_eq!(cluster.insist(node, "DELETE", &path, None)["existed"], json!(true));
        assert_eq!(cluster.insist(reader, "GET", &path, None)["version"], json!(0));
        let status = cluster.insist(node, "GET", "/status", None);
        assert_eq!(status["members"], json!(["n1", "n2", "n3"]));
        assert!(status["wall_clock_unix_nanos"].as_i64().unwrap() > 1_600_000_000_000_000_000);
    }
    let (status, error) = cluster.call(0, "PUT", "/kv/k", Some(json!({"value": null}))).unwrap();
    assert_eq!((status, &error["error"], &error["definite"]), (400, &json!("bad_request"), &json!(true)));
}

#[test]
fn killing_every_node_loses_no_acknowledged_write() {
    let mut cluster = Cluster::start(3);
    cluster.insist(0, "GET", "/kv/warm", None);
    let mut acknowledged: Vec<(u64, u64)> = Vec::new();
    for round in 0..3u64 {
        let writers = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3usize)
                .map(|node| {
                    let cluster = &cluster;
                    scope.spawn(move || {
                        let mut acknowledged = Vec::new();
                        for i in 0..30 {
                            let value = round * 1000 + node as u64 * 100 + i;
                            let answer = cluster.call(
                                node,
                                "PUT",
                                &format!("/kv/{value}"),
                                Some(json!({"value": value})),
                            );
                            if let Ok((200, body)) = answer {
                                acknowledged.push((value, body["version"].as_u64().unwrap()));
                            }
                        }
                        acknowledged
                    })
                })
                .collect();
            writers.into_iter().flat_map(|w| w.join().unwrap()).collect::<Vec<_>>()
        });
        assert!(!writers.is_empty(), "round {round}: nothing was acknowledged");
        acknowledged.extend(writers);
        cluster.kill_all();
        for node in 0..3 {
            cluster.start_node(node);
        }
        for &(value, version) in &acknowledged {
            let read = cluster.insist(round as usize % 3, "GET", &format!("/kv/{value}"), None);
            assert_eq!((&read["value"], &read["version"]), (&json!(value), &json!(version)));
        }
    }
}

#[test]
fn a_minority_refuses_and_a_majority_serves() {
    let mut cluster = Cluster::start(3);
    cluster.insist(0, "PUT", "/kv/k", Some(json!({"value": 1})));
    let leader = cluster.insist(0, "GET", "/status", None)["leader"].clone();
    let leader = (0..3).find(|i| leader == json!(format!("n{}", i + 1))).unwrap();
    cluster.kill(leader);
    let (second, last) = ((leader + 1) % 3, (leader + 2) % 3);
    assert_eq!(cluster.insist(last, "GET", "/kv/k", None)["value"], json!(1));
    cluster.kill(second);
    // Whatever it says, it must not claim success; once it knows that it is alone it says so at once.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let (status, error) = cluster.call(last, "PUT", "/kv/k", Some(json!({"value": 2}))).unwrap();
        assert!(status >= 500, "{error}");
        if error["error"] == json!("no_leader") {
            assert_eq!(error["definite"], json!(true));
            break;
        }
        assert_eq!(error["definite"], json!(false), "it was proposed: {error}");
        assert!(Instant::now() < deadline, "{error}");
    }
    let (status, _) = cluster.call(last, "GET", "/kv/k", None).unwrap();
    assert_eq!(status, 503);
    assert_eq!(cluster.call(last, "GET", "/kv/k?consistency=local", None).unwrap().1["value"], json!(1));
}

#[test]
fn says_clearly_why_it_does_not_start() {
    let cluster = Cluster::start(1);
    cluster.insist(0, "GET", "/kv/k", None);
    let log = cluster.dir.path().join("second.log");
    let run = |args: &[String]| {
        let code = spawn(args, &log, None).wait().unwrap().code().unwrap();
        let text = std::fs::read_to_string(&log).unwrap();
        (code, text.lines().last().unwrap().to_owned())
    };
    let with = |option: &str, value: &str| {
        let mut args = cluster.args(0);
        let at = args.iter().position(|a| a == option).unwrap();
        args[at + 1] = value.into();
        args
    };
    let (code, why) = run(&cluster.args(0));
    assert!(code == 1 && why.contains("in use by another process"), "{code} {why}");
    let elsewhere = cluster.dir.path().join("elsewhere").display().to_string();
    let (code, why) = run(&with("--data-dir", &elsewhere));
    assert!(code == 1 && why.contains("cannot listen on"), "{code} {why}");
    let (code, why) = run(&with("--id", "n7"));
    assert!(code == 254 && why.contains("does not name this node"), "{code} {why}");
}

#[test]
fn transactions_sessions_locks_and_watches() {
    let cluster = Cluster::start(3);
    let post = |path: &str, body: Value| cluster.insist(0, "POST", path, Some(body));

    assert_eq!(cluster.insist(0, "GET", "/kv/list", None)["value"], json!(null));
    let first = post("/kv/list/append", json!({"item": 1}));
    assert_eq!(first["results"], json!([{"length": 1}]));
    assert_eq!(post("/kv/count/add", json!({"amount": 5}))["results"], json!([{"value": 5}]));
    let body = json!({
        "guards": [{"key": "count", "value": 5}, {"key": "none", "version": 0}],
        "then": [{"op": "append", "key": "list", "item": {"b": 1, "a": null}}, {"op": "read", "key": "list"}],
        "else": [{"op": "delete", "key": "list"}],
    });
    let answer = post("/txn", body);
    assert_eq!(answer["succeeded"], json!(true), "{answer}");
    assert_eq!(answer["results"][1]["value"], json!([1, {"a": null, "b": 1}]));
    let wrong = cluster.call(1, "POST", "/kv/count/append", Some(json!({"item": 1}))).unwrap();
    assert_eq!((wrong.0, &wrong.1["error"], &wrong.1["definite"]), (409, &json!("wrong_type"), &json!(true)));
    let range = cluster.insist(2, "GET", "/range?start=c&end=d", None);
    assert_eq!(range["items"][0]["key"], json!("count"), "{range}");
    assert_eq!(range["items"].as_array().unwrap().len(), 1);

    // The same request of a session, at another node: done once.
    let session = post("/session", json!({}))["session"].clone();
    let path = format!("/kv/once/add?session={session}&seq=1");
    let answers = [0, 1, 2].map(|node| cluster.insist(node, "POST", &path, Some(json!({"amount": 1}))));
    assert!(answers.iter().all(|a| *a == answers[0]), "{answers:?}");
    let token = &answers[0]["version"];
    let read = cluster.insist(1, "GET", &format!("/kv/once?consistency=session&token={token}"), None);
    assert_eq!(read["value"], json!(1));

    // A lease that runs out frees its lock; the next holder's token is larger.
    let lease = post("/lease", json!({"ttl_ms": 300}))["lease"].clone();
    let held = post("/lock/l", json!({"lease": lease}));
    assert_eq!(held["ok"], json!(true));
    let other = post("/lease", json!({"ttl_ms": 60_000}))["lease"].clone();
    let deadline = Instant::now() + Duration::from_secs(60);
    let next = loop {
        let next = post("/lock/l", json!({"lease": other}));
        if next["ok"] == json!(true) {
            break next;
        }
        assert!(Instant::now() < deadline, "{next}");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(next["token"].as_u64() > held["token"].as_u64());
    let fenced = |token: &Value| {
        let guards = json!([{"lock": "l", "token": token}]);
        post("/txn", json!({"guards": guards, "then": [{"op": "write", "key": "f", "value": 1}]}))["succeeded"].clone()
    };
    assert_eq!((fenced(&held["token"]), fenced(&next["token"])), (json!(false), json!(true)));

    // From an index on, everything in order.
    let after = first["version"].as_u64().unwrap() - 1;
    let seen = cluster.insist(1, "GET", &format!("/watch?after={after}&prefix=list&timeout_ms=20000"), None);
    let values: Vec<_> = seen["events"].as_array().unwrap().iter().map(|e| e["value"].clone()).collect();
    assert_eq!(values, [json!([1]), json!([1, {"a": null, "b": 1}])]);
    let empty =
        cluster.insist(1, "GET", &format!("/watch?after={}&prefix=list&timeout_ms=1", seen["next"]), None);
    assert_eq!(empty["events"], json!([]));

    // Replicas that applied the same entries are the same.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let hashes = [0, 1, 2].map(|node| cluster.insist(node, "GET", "/hash", None));
        if hashes.iter().all(|h| h["applied"] == hashes[0]["applied"]) {
            assert!(hashes.iter().all(|h| h["hash"] == hashes[0]["hash"]), "{hashes:?}");
            break;
        }
        assert!(Instant::now() < deadline, "{hashes:?}");
    }
}

#[test]
fn a_node_that_fell_behind_catches_up_by_snapshot() {
    let mut cluster = Cluster::start_with(3, &["--snapshot-entries", "50"]);
    cluster.insist(0, "PUT", "/kv/gone", Some(json!({"value": 0})));
    cluster.kill(2);
    cluster.insist(0, "DELETE", "/kv/gone", None);
    for i in 0..300 {
        cluster.insist(i % 2, "PUT", &format!("/kv/k{}", i % 90), Some(json!({"value": i})));
    }
    let log = std::fs::read_to_string(cluster.log(0)).unwrap();
    assert!(log.contains("wrote a snapshot index="), "{log}");
    cluster.start_node(2);
    let same_hash = |cluster: &Cluster| {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let hashes = [0, 1, 2].map(|node| cluster.insist(node, "GET", "/hash", None));
            if hashes.iter().all(|h| *h == hashes[0]) {
                return;
            }
            assert!(Instant::now() < deadline, "{hashes:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    same_hash(&cluster);
    let log = std::fs::read_to_string(cluster.log(2)).unwrap();
    assert!(log.contains("installed a snapshot index="), "{log}");
    assert_eq!(cluster.insist(2, "GET", "/kv/gone", None)["version"], json!(0));
    // And all of them come back from snapshot and log.
    cluster.kill_all();
    for node in 0..3 {
        cluster.start_node(node);
    }
    assert_eq!(cluster.insist(2, "GET", "/kv/k89", None)["value"], json!(269));
    same_hash(&cluster);
}

#[test]
fn a_node_joins_takes_over_and_replaces_another() {
    let hosts_of_four = 4;
    let mut cluster = Cluster::start_with(hosts_of_four, &[]);
    cluster.insist(0, "GET", "/kv/k", None);
    cluster.kill_all();
    // The same addresses again: three that found a cluster, and one that will join.
    let all = cluster.peers.clone();
    let fourth = all.rsplit_once(",n4=").unwrap().1.to_owned();
    cluster.peers = all.rsplit_once(",n4=").unwrap().0.to_owned();
    for node in 0..4 {
        std::fs::remove_dir_all(cluster.dir.path().join(format!("n{}", node + 1))).unwrap();
    }
    for node in 0..3 {
        cluster.start_node(node);
    }
    cluster.insist(0, "PUT", "/kv/k", Some(json!({"value": 1})));
    let founders = std::mem::replace(&mut cluster.peers, all);
    cluster.options = vec!["--join".into()];
    cluster.start_node(3);
    (cluster.peers, cluster.options) = (founders, Vec::new());

    // Changes go to the leader; asking again until it is done is harmless.
    let change = |cluster: &Cluster, body: Value, done: &dyn Fn(&Value) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let status = cluster.insist(1, "GET", "/status", None);
            if done(&status) {
                return;
            }
            let leader = (0..4).find(|i| status["leader"] == json!(format!("n{}", i + 1)));
            let path = if body.get("transfer_to").is_some() { "/leader" } else { "/members" };
            let answer = leader.map(|leader| cluster.call(leader, "POST", path, Some(body.clone())));
            assert!(Instant::now() < deadline, "{body}: {answer:?} {status}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let learner = json!({"add_learner": {"id": "n4", "address": fourth}});
    change(&cluster, learner, &|s| s["learners"] == json!(["n4"]));
    change(&cluster, json!({"promote": {"id": "n4"}}), &|s| s["members"] == json!(["n1", "n2", "n3", "n4"]));
    change(&cluster, json!({"transfer_to": "n4"}), &|s| s["leader"] == json!("n4"));
    change(&cluster, json!({"remove": {"id": "n1"}}), &|s| s["members"] == json!(["n2", "n3", "n4"]));
    cluster.kill(0);
    cluster.kill(1);
    assert_eq!(cluster.insist(3, "GET", "/kv/k", None)["value"], json!(1));
    cluster.insist(2, "PUT", "/kv/k", Some(json!({"value": 2})));
    assert_eq!(cluster.insist(3, "GET", "/kv/k", None)["value"], json!(2));
}

#[test]
fn a_leader_that_slept_does_not_answer_from_its_dreams() {
    let cluster = Cluster::start(3);
    cluster.insist(0, "PUT", "/kv/k", Some(json!({"value": "old"})));
    let leader = cluster.insist(0, "GET", "/status", None)["leader"].clone();
    let leader = (0..3).find(|i| leader == json!(format!("n{}", i + 1))).unwrap();
    let pid = cluster.nodes[leader].as_ref().unwrap().id().to_string();
    let signal = |name: &str| assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    signal("-STOP");
    let other = (leader + 1) % 3;
    cluster.insist(other, "PUT", "/kv/k", Some(json!({"value": "new"})));
    // The questions are there before it wakes; each is answered with the new value or not at all.
    for path in ["/kv/k", "/kv/k?consistency=lease"] {
        let answer = std::thread::scope(|scope| {
            let asked = scope.spawn(|| cluster.call(leader, "GET", path, None));
            signal("-CONT");
            asked.join().unwrap()
        });
        if let Ok((200, body)) = answer {
            assert_eq!(body["value"], json!("new"), "{path}");
        }
    }
    assert_eq!(cluster.insist(leader, "GET", "/kv/k", None)["value"], json!("new"));
}

#[test]
fn stops_gracefully_on_sigterm() {
    let mut cluster = Cluster::start(1);
    cluster.insist(0, "PUT", "/kv/k", Some(json!({"value": 1})));
    let child = cluster.nodes[0].as_mut().unwrap();
    let killed = Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    let log = std::fs::read_to_string(cluster.log(0)).unwrap();
    assert!(log.contains("n1 became leader term=") && log.contains("n1 stopped"), "{log}");
}
