//! What comes in that should not, and disks and directories that are not what they should be: a clear answer or a
//! refusal to start, never a panic, nothing acknowledged lost.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cluster::{Cluster, spawn};

const MIB: usize = 1 << 20;

/// Sends bytes as they stand and gives back whatever comes until the server closes.
fn raw(addr: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // The server may have closed already.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn healthy(cluster: &Cluster) {
    assert_eq!(cluster.call(0, "GET", "/kv/untouched", None).unwrap().1["value"], json!("as it was"));
    let log = std::fs::read_to_string(cluster.log(0)).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

fn ready() -> Cluster {
    let cluster = Cluster::start(1);
    cluster.insist(0, "PUT", "/kv/untouched", Some(json!({"value": "as it was"})));
    cluster
}

#[test]
fn malformed_requests_harm_nobody() {
    let cluster = ready();
    let addr = &cluster.clients[0];
    let many_headers = format!("GET /status HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(5000));
    let long_line = format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "a".repeat(MIB));
    let refused: [&[u8]; 8] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"nonsense\r\n\r\n",
        b"PUT /kv/k HTTP/9.9\r\n\r\n",
        b"PUT /kv/k HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n{}",
        b"PUT /kv/k HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n{}",
        b"GET / /kv/k HTTP/1.1\r\nhost: x\r\n\r\n",
        many_headers.as_bytes(),
        long_line.as_bytes(),
    ];
    for bytes in refused {
        let answer = raw(addr, bytes);
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(60)]);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{shown:?}: {answer:?}");
        healthy(&cluster);
    }
    // Cut short: nothing of it is done.
    for cut in ["content-length: 100\r\n\r\n{\"value\": 1", "transfer-encoding: chunked\r\n\r\nzz\r\n{}"] {
        let answer = raw(addr, format!("PUT /kv/cut HTTP/1.1\r\nhost: x\r\n{cut}").as_bytes());
        assert!(!answer.starts_with("HTTP/1.1 200"), "{cut:?}: {answer:?}");
    }
    assert_eq!(cluster.call(0, "GET", "/kv/cut", None).unwrap().1["version"], json!(0));
    // The port of the other nodes takes no nonsense either.
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 64], &[8, 0, 0, 0, 1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0]]
    {
        raw(&addr.replace(":7000", ":7001"), bytes);
        healthy(&cluster);
    }
}

#[test]
fn a_body_that_never_ends_loses_its_place() {
    let cluster = Cluster::start_with(1, &["--max-in-flight", "2", "--request-timeout", "300ms"]);
    cluster.insist(0, "PUT", "/kv/untouched", Some(json!({"value": "as it was"})));
    let slow: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(&cluster.clients[0]).unwrap();
            let head = b"PUT /kv/slow HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{";
            stream.write_all(head).unwrap();
            stream
        })
        .collect();
    cluster.insist(0, "PUT", "/kv/k", Some(json!({"value": 1})));
    for mut stream in slow {
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        // Who came third was refused as busy; the two were told that they were too slow.
        assert_eq!(&answer, b"HTTP/1.1 408");
    }
    healthy(&cluster);
}

#[test]
fn keys_and_values_are_kept_as_they_are_or_refused() {
    let cluster = ready();
    let put = |path: &str, body: &str| {
        let (status, answer) = crate::cluster::call(&cluster.clients[0], "PUT", path, body).unwrap();
        (status, answer["error"].as_str().unwrap_or("").to_owned(), answer)
    };
    let longest = "k".repeat(1024);
    for (key, value) in [
        ("%00", json!("\u{0}\u{1}\u{7f}\u{10ffff}")),
        ("a%0A%20%2F%3F%23%25", json!({"": [null, true, -0.5], "\n": "\""})),
        ("%F0%9F%A6%80", json!(u64::MAX)),
        ("min", json!(i64::MIN)),
        (&longest, json!([[[[]]]])),
    ] {
        let path = format!("/kv/{key}");
        let (status, _, answer) = put(&path, &json!({ "value": value }).to_string());
        assert_eq!(status, 200, "{answer}");
        let read = cluster.call(0, "GET", &path, None).unwrap().1;
        assert_eq!((&read["value"], &read["version"]), (&value, &answer["version"]));
    }
    let biggest = "x".repeat(MIB - 2);
    assert_eq!(put("/kv/big", &json!({ "value": biggest }).to_string()).0, 200);
    assert_eq!(cluster.call(0, "GET", "/kv/big", None).unwrap().1["value"], json!(biggest));
    let deep = format!(r#"{{"value":{}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    let too_big = json!({ "value": "x".repeat(MIB) }).to_string();
    for (path, body, status, code) in [
        (&*format!("/kv/{longest}k"), r#"{"value":1}"#, 400, "bad_request"),
        ("/kv/", r#"{"value":1}"#, 400, "bad_request"),
        ("/kv/%ff", r#"{"value":1}"#, 400, "bad_request"),
        ("/kv/k", r#"{"value":1,"vlaue":2}"#, 400, "bad_request"),
        ("/kv/k", r#"{"value":1,"value":2}"#, 400, "bad_request"),
        ("/kv/k", r#"{"value":"\ud800"}"#, 400, "bad_request"),
        ("/kv/k", "{\"value\":\"\u{1}\"}", 400, "bad_request"),
        ("/kv/k", r#"{"value":1e999}"#, 400, "bad_request"),
        // As a float it would come back as another number.
        ("/kv/k", r#"{"value":18446744073709551616}"#, 400, "bad_request"),
        ("/kv/k", r#"{"value":[{"n":-9223372036854775809}]}"#, 400, "bad_request"),
        ("/kv/k", &deep, 400, "bad_request"),
        ("/kv/k", &too_big, 413, "too_large"),
    ] {
        let (got, error, answer) = put(path, body);
        assert_eq!((got, &*error), (status, code), "{path} {}: {answer}", &body[..body.len().min(60)]);
        assert_eq!(answer["definite"], json!(true));
    }
    // Over the limit of bodies: answered before all of it is here, so the answer may be lost with the connection.
    let length = 3 * MIB;
    let head = format!("PUT /kv/k HTTP/1.1\r\nhost: x\r\ncontent-length: {length}\r\n\r\n");
    let answer = raw(&cluster.clients[0], &[head.as_bytes(), &vec![b' '; length]].concat());
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer:?}");
    assert_eq!(cluster.call(0, "GET", "/kv/k", None).unwrap().1["version"], json!(0));
    healthy(&cluster);
}

#[test]
fn a_disk_that_takes_no_more_stops_the_node_and_loses_nothing() {
    let mut cluster = Cluster::start(1);
    cluster.insist(0, "PUT", "/kv/warm", Some(json!({"value": 0})));
    cluster.kill(0);
    // No file may grow beyond 200 KiB: the write that would is cut short, as on a full disk.
    cluster.limit_files = Some(200);
    cluster.start_node(0);
    let mut acknowledged = 0;
    let body = |n: u64| json!({"value": [n, "x".repeat(5000)]});
    cluster.insist(0, "GET", "/kv/warm", None);
    for n in 1..200 {
        match cluster.call(0, "PUT", "/kv/k", Some(body(n))) {
            Ok((200, _)) => acknowledged = n,
            Ok((_, answer)) => {
                assert_eq!(answer["definite"], json!(false), "{answer}");
                break;
            }
            Err(_) => break,
        }
    }
    assert!((1..199).contains(&acknowledged), "{acknowledged}");
    let code = cluster.nodes[0].as_mut().unwrap().wait().unwrap().code();
    let log = std::fs::read_to_string(cluster.log(0)).unwrap();
    assert!(code == Some(1) && log.contains("stopped serving, because cannot write"), "{code:?} {log}");
    // With room again: the torn tail goes, what was acknowledged is there.
    cluster.limit_files = None;
    cluster.start_node(0);
    let found = cluster.insist(0, "GET", "/kv/k", None)["value"][0].as_u64().unwrap();
    assert!(found == acknowledged || found == acknowledged + 1, "{found} after {acknowledged}");
}

#[test]
fn a_directory_that_is_not_its_own_or_not_whole_is_refused() {
    let mut cluster = ready();
    cluster.kill(0);
    let dir = cluster.dir.path().join("n1");
    let log = cluster.dir.path().join("refusals.log");
    let start = |args: &[String]| {
        let code = spawn(args, &log, None).wait().unwrap().code();
        (code, std::fs::read_to_string(&log).unwrap().lines().last().unwrap().to_owned())
    };
    let args = cluster.args(0);
    let with = |name: &str, value: &str| {
        let mut args = args.clone();
        args.extend([name.to_owned(), value.to_owned()]);
        args
    };
    let mut second: Vec<String> = args.clone();
    let host = cluster.clients[0].trim_end_matches(":7000");
    for (name, value) in [("--id", "n2"), ("--peers", &*format!("n2={host}:7001"))] {
        let at = second.iter().position(|a| a == name).unwrap();
        second[at + 1] = value.into();
    }
    let (code, why) = start(&second);
    assert!(code == Some(1) && why.contains("belongs to node n1"), "{code:?} {why}");
    let (code, why) = start(&with("--cluster-id", "other"));
    assert!(
        code == Some(1) && why.contains("of cluster \"squall\", not to node n1 of cluster"),
        "{code:?} {why}"
    );

    // Each damage alone: refused with a reason; put right again, the node starts with everything.
    let segment = dir.join("log-0000000001.wal");
    let identity = dir.join("identity.json");
    let whole = std::fs::read(&segment).unwrap();
    let damaged = |at: usize| {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        bytes
    };
    type Harm = Box<dyn Fn(&PathBuf)>;
    let write = |bytes: Vec<u8>| -> Harm { Box::new(move |path| std::fs::write(path, &bytes).unwrap()) };
    let remove: fn() -> Harm = || Box::new(|path| std::fs::remove_file(path).unwrap());
    let harms: [(&PathBuf, Harm, &str); 6] = [
        (&segment, write(damaged(600)), "corrupt"),
        (&segment, write(damaged(3)), "header is damaged"),
        (&segment, remove(), "its data was removed"),
        (
            &segment,
            Box::new(|path| {
                std::fs::remove_file(path).unwrap();
                std::fs::create_dir(path).unwrap();
            }),
            "cannot read",
        ),
        (&identity, remove(), "no identity.json"),
        (&identity, write(b"{\"cluster\":".to_vec()), "corrupt"),
    ];
    for (path, harm, part) in harms {
        let kept = std::fs::read(path).unwrap();
        harm(path);
        let (code, why) = start(&args);
        assert!(code == Some(1) && why.contains(part), "{part}: {code:?} {why}");
        if path.is_dir() {
            std::fs::remove_dir(path).unwrap();
        }
        std::fs::write(path, kept).unwrap();
    }
    cluster.start_node(0);
    cluster.insist(0, "GET", "/kv/untouched", None);
    healthy(&cluster);
}

#[test]
fn nodes_of_different_clusters_do_not_talk() {
    let mut cluster = Cluster::start(3);
    cluster.insist(0, "PUT", "/kv/k", Some(json!({"value": 1})));
    cluster.kill(2);
    std::fs::remove_dir_all(cluster.dir.path().join("n3")).unwrap();
    cluster.options = vec!["--cluster-id".into(), "other".into()];
    cluster.start_node(2);
    // It hears of no leader and says so; the others say why.
    let refusal = "refused peer=n3 reason=\"this is cluster \\\"squall\\\", not \\\"other\\\"\"";
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    while !std::fs::read_to_string(cluster.log(0)).unwrap().contains(refusal) {
        assert!(std::time::Instant::now() < deadline);
        std::thread::sleep(Duration::from_millis(20));
    }
    let status: Value = cluster.insist(2, "GET", "/status", None);
    assert_eq!((&status["leader"], &status["term"]), (&json!(null), &json!(0)));
    assert_eq!(
        cluster.call(2, "PUT", "/kv/k", Some(json!({"value": 2}))).unwrap().1["error"],
        json!("no_leader")
    );
    assert_eq!(cluster.insist(1, "GET", "/kv/k", None)["value"], json!(1));
}
