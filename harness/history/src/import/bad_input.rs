//! What is not a history ends with one message that says where, what belongs there, and what stands there.

use std::io::{self, Read};

use super::window::MAX_RECORD;
use super::*;

const INVOKE: &str = "{:type :invoke :process 0 :f :write :value 1 :time 500}";
const OK: &str = "{:type :ok :process 0 :f :write :value 1 :time 600}";

fn message(bytes: &[u8]) -> String {
    read(bytes, &Options::default()).expect_err("this is not a history").to_string()
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(&message(text.as_bytes()), expected, "{text}");
    }
}

#[test]
fn what_is_no_history_at_all() {
    check(&[
        ("", "empty: expected a history"),
        (" \n\n", "empty: expected a history"),
        (
            "\n\nhello, world, this is a letter",
            "line 3: expected a history (Jepsen EDN or log lines, JSON lines, a run log, awdit or plume text), found `hello, world, this is a …`",
        ),
        ("[1 2 3]", "line 1, column 2: expected an operation: `{:type …}`, found `1 2 3]`"),
        (
            "[\"a\", 1]",
            r#"line 1: expected a history (Jepsen EDN or log lines, JSON lines, a run log, awdit or plume text), found `[\"a\", 1]`"#,
        ),
        (
            "{\"a\": 1}",
            r#"line 1, column 1: expected an event with a `type` of invoke, ok, fail or info, found `{\"a\": 1}`"#,
        ),
        (
            "{\"type\": \"ok\"",
            "line 1: the history is cut short: expected the rest of the operation that begins here, found its end",
        ),
    ]);
    check(&[(
        "{}",
        "line 1, column 1: expected an operation with a `:type` of :invoke, :ok, :fail or :info, found `{}`",
    )]);
}

#[test]
fn edn_that_is_cut_or_garbled() {
    check(&[
        (
            &format!("{INVOKE}\n{{:type :ok :process 0"),
            "line 2: the history is cut short: expected the rest of the operation that begins here, found its end",
        ),
        (
            &format!("[{INVOKE}\n"),
            "line 1: the history is cut short: expected `]` to close what begins here, found its end",
        ),
        (&format!("{INVOKE}\n{OK}]"), "line 2, column 52: expected an operation: `{:type …}`, found `]`"),
        (
            &format!("{INVOKE}\n{{:type :okay :process 0}}"),
            "line 2, column 8: expected :invoke, :ok, :fail or :info as `:type`, found `:okay :process 0}`",
        ),
        (
            &format!("{INVOKE}\n{{:process 0 :f :write}}"),
            "line 2, column 1: expected an operation with a `:type` of :invoke, :ok, :fail or :info, found `{:process 0 :f :write}`",
        ),
        (
            "{:type :invoke :process 0 :value 1}",
            "line 1, column 1: expected an operation with an `:f`, found `{:type :invoke :process …`",
        ),
        (
            "{:type :invoke :process \"x\" :f :write}",
            r#"line 1, column 25: expected a number below 2^32, or a keyword, as `:process`, found `\"x\" :f :write}`"#,
        ),
        (
            "{:type :invoke :process -1 :f :write}",
            "line 1, column 25: expected a number below 2^32, or a keyword, as `:process`, found `-1 :f :write}`",
        ),
        (
            "{:type :invoke :process 4294967296 :f :write}",
            "line 1, column 25: expected a number below 2^32, or a keyword, as `:process`, found `4294967296 :f :write}`",
        ),
        ("{:type :invoke :process 0 :f 3}", "line 1, column 30: expected a keyword as `:f`, found `3}`"),
        (
            "{:type :invoke :process 0 :f :write :time -5}",
            "line 1, column 43: expected whole nanoseconds from 0 as `:time`, found `-5}`",
        ),
        (
            "{:type :invoke :process 0 :f :write :time 1.5}",
            "line 1, column 43: expected whole nanoseconds from 0 as `:time`, found `1.5}`",
        ),
        (
            "{:type :invoke :process 0 :f :write :value [1 2}",
            "line 1, column 48: expected a value, found `}`",
        ),
        (
            "{:type :invoke :process 0 :f :write :value {1 2 1 3}}",
            "line 1, column 44: expected a map that has every key once, found `{1 2 1 3}}`",
        ),
        (
            "{:type :invoke :process 0 :f :write :value {1 2 3}}",
            "line 1, column 44: expected a map with a value for every key, found `{1 2 3}}`",
        ),
        (
            "{:type :invoke :process 0 :f :write :value \"a\\q\"}",
            r#"line 1, column 46: expected an escape that EDN has, found `\\q\"}`"#,
        ),
        (
            "{:type :invoke :process 0 :f :write :value 12abc}",
            "line 1, column 46: expected the number to end, found `abc}`",
        ),
        (
            "{:type :invoke :process 0 :f :write :value}",
            "line 1, column 43: expected a value for every keyword, found `}`",
        ),
        (
            "{:type :invoke :process 0 :f :write :value \"never closed}",
            "line 1: the history is cut short: expected the rest of the operation that begins here, found its end",
        ),
        (
            "{:type :invoke :process 0 3 4}",
            "line 1, column 27: expected a keyword, or `}` at the operation's end, found `3 4}`",
        ),
        ("#foo 3", "line 1, column 6: expected an operation's fields: `{:type …}`, found `3`"),
    ]);
}

#[test]
fn json_that_is_cut_or_garbled() {
    check(&[
        (
            "{\"type\":\"invoke\",\"process\":0,\"f\":\"read\"}\n{\"type\":\"ok\",\"pro",
            "line 2: the history is cut short: expected the rest of the operation that begins here, found its end",
        ),
        (
            "{\"type\":\"invoked\",\"process\":0,\"f\":\"read\"}",
            r#"line 1, column 1: expected an event with a `type` of invoke, ok, fail or info, found `{\"type\":\"invoked\",\"proce…`"#,
        ),
        (
            "{\"type\":\"invoke\",\"process\":0.5,\"f\":\"read\"}",
            r#"line 1, column 28: expected a number below 2^32, or a text, as `process`, found `0.5,\"f\":\"read\"}`"#,
        ),
        (
            "{\"type\":\"invoke\",\"process\":0}",
            r#"line 1, column 1: expected an event with an `f`, found `{\"type\":\"invoke\",\"proces…`"#,
        ),
        (
            "{\"type\":\"invoke\",\"process\":0,\"f\":[]}",
            "line 1, column 34: expected a text as `f`, found `[]}`",
        ),
        (
            "{\"type\":\"invoke\",\"process\":0,\"f\":\"a\",\"time\":\"now\"}",
            r#"line 1, column 45: expected whole nanoseconds from 0 as `time`, found `\"now\"}`"#,
        ),
        (
            "{\"type\":\"invoke\",\"process\":0,\"f\":\"a\",\"value\":[1,]}",
            "line 1, column 49: expected another item after `,`, found `]}`",
        ),
        (
            "{\"type\":\"invoke\",\"process\":0,\"f\":\"a\",\"value\":1 2}",
            "line 1, column 48: expected `,` or `}`, found `2}`",
        ),
        (
            "[{\"type\":\"invoke\",\"process\":0,\"f\":\"a\"}",
            "line 2: the history is cut short: expected the rest of the operation that begins here, found its end",
        ),
        (
            "{\"f\":\"a\",\"start\":5,\"end\":4}",
            r#"line 1, column 1: expected an `end` not before the `start` (4 is before 5), found `{\"f\":\"a\",\"start\":5,\"end\"…`"#,
        ),
        (
            "{\"f\":\"a\",\"start\":5,\"type\":\"ok\"}",
            r#"line 1, column 1: expected an `end` of an operation that is ok or failed, found `{\"f\":\"a\",\"start\":5,\"type…`"#,
        ),
        (
            "{\"f\":\"a\",\"start\":1,\"end\":9,\"process\":1}\n{\"f\":\"b\",\"start\":5,\"end\":6,\"process\":1}",
            "line 2: process 1 invokes `b` while its `a` is still open",
        ),
    ]);
}

#[test]
fn events_that_cannot_be() {
    check(&[
        (OK, "line 1: process 0 completes `write` (Ok), but has invoked nothing"),
        (&format!("{INVOKE}\n{INVOKE}"), "line 2: process 0 invokes `write` while its `write` is still open"),
        (
            &format!("{INVOKE}\n{}", OK.replace("600", "300")),
            "line 2: time goes backwards: 300 ns after 500 ns",
        ),
        (
            &format!("{INVOKE}\n{}", OK.replace(":write", ":read")),
            "line 2: process 0 completes `read`, but its open operation is `write`",
        ),
        (
            &format!("{INVOKE}\n{{:type :ok :f :write :value 1}}"),
            "line 2, column 1: expected an operation with a process, as before, found `{:type :ok :f :write :va…`",
        ),
        (
            "INFO  jepsen.util - 0\t:ok\t:read\tnil",
            "line 1: process 0 completes `read` (Ok), but has invoked nothing",
        ),
    ]);
}

#[test]
fn texts_of_transactions() {
    check(&[
        ("w(1,2,0,0)\nr(1,2,0", "line 2: the history is cut short: expected `,`, found its end"),
        ("w(1,2,0,0)\nx(1,2,0,0)", "line 2, column 1: expected `r` or `w`, found `x(1,2,0,0)`"),
        ("w(1,2,0,0)\nr(1,2,-3,0)", "line 2, column 7: expected a session's number from 0, found `-3,0)`"),
        (
            "w(1,2,0,1)\nw(1,3,0,2)\nr(1,2,0,1)",
            "line 3, column 2: expected the transactions of session 0 in increasing order, found `(1,2,0,1)`",
        ),
        (
            "w(1,2,0,-2)",
            "line 1, column 2: expected a transaction's number, or -1 for an aborted one, found `(1,2,0,-2)`",
        ),
        (
            "w(1,99999999999999999999,0,1)",
            "line 1, column 5: expected a number of 64 bits, found `99999999999999999999,0,1…`",
        ),
        ("w 1 2\nr 1", "line 2: the history is cut short: expected a space, found its end"),
        ("w 1 2\nr 1 2 3", "line 2, column 7: expected the end of the line, found `3`"),
        ("w 1 2\n--\nr 1 2", "line 2, column 1: expected a rule of dashes or equals signs, found `--`"),
    ]);
}

#[test]
fn keys_that_only_the_recorder_knows() {
    check(&[
        (
            "{:type :invoke :process 0 :f :cas :value [1 2]}",
            "line 1: every value of this history is a pair, so it may be keyed or not: pass --keyed yes if values are [key value] tuples of independent keys, --keyed no if they are plain values",
        ),
        (
            "{:type :invoke :process 0 :f :read :value nil}\n{:type :invoke :process 1 :f :read :value [1 nil]}",
            "line 2: `read [1,null]` looks like a [key value] tuple, but line 1 has a plain value: pass --keyed yes if values are [key value] tuples of independent keys, --keyed no if they are plain values",
        ),
        (
            "{:type :invoke :process 0 :f :read :value [1 nil]}\n{:type :invoke :process 1 :f :read :value nil}",
            "line 2: `read null` is a plain value, but line 1 has a [key value] tuple: pass --keyed yes if values are [key value] tuples of independent keys, --keyed no if they are plain values",
        ),
    ]);
}

#[test]
fn text_that_is_not_utf_8() {
    let edn = b"{:type :invoke :process 0 :f :write\n :value \"ab\xff\"}";
    assert_eq!(message(edn), "line 2, column 12: expected text in UTF-8, found `\u{fffd}\\\"}`");
    let json = b"{\"type\":\"invoke\",\"process\":0,\"f\":\"write\",\"value\":\"ab\xff\"}";
    assert_eq!(message(json), "line 1, column 53: expected text in UTF-8, found `\u{fffd}\\\"}`");
}

#[test]
fn nesting_without_end() {
    for open in ["[", "{", "#{", "#a ", "#_ ", "("] {
        let deep = format!("{{:type :invoke :process 0 :f :write :value {}", open.repeat(10_000));
        let message = message(deep.as_bytes());
        assert!(message.contains("nested at most 200 deep"), "{open}: {message}");
        let skipped = deep.replace(":value", ":other");
        assert!(super::tests::import(&skipped).is_err());
    }
    for open in ["[", "{\"a\":"] {
        for field in ["value", "other"] {
            let deep =
                format!("{{\"type\":\"ok\",\"process\":0,\"f\":\"a\",\"{field}\":{}", open.repeat(10_000));
            let message = message(deep.as_bytes());
            assert!(message.contains("nested at most 200 deep"), "{open}: {message}");
        }
    }
}

#[test]
fn a_line_without_end_is_refused_before_it_fills_the_memory() {
    for start in [
        "{:type :invoke :value \"",
        "{\"type\":\"invoke\",\"value\":\"",
        "w(1",
        "INFO jepsen.util - 0 :invoke :f \"",
    ] {
        let endless = start.as_bytes().chain(io::repeat(b'1'));
        let error = read(endless.take(20 * MAX_RECORD as u64), &Options::default()).unwrap_err();
        assert!(matches!(error, ImportError::TooLong { line: 1, .. }), "{start}: {error}");
    }
}

#[test]
fn a_bomb_is_unpacked_only_as_far_as_it_makes_sense() {
    let mut gzip = flate2::read::GzEncoder::new(io::repeat(b'[').take(1 << 28), flate2::Compression::fast());
    let mut bomb = Vec::new();
    gzip.read_to_end(&mut bomb).unwrap();
    assert!(bomb.len() < 1 << 22);
    assert!(matches!(read(&bomb[..], &Options::default()), Err(ImportError::Unknown { .. })));
}

#[test]
fn packed_data_that_is_cut() {
    let mut gzip = flate2::read::GzEncoder::new(INVOKE.as_bytes(), flate2::Compression::fast());
    let mut packed = Vec::new();
    gzip.read_to_end(&mut packed).unwrap();
    packed.truncate(packed.len() - 6);
    assert!(matches!(read(&packed[..], &Options::default()), Err(ImportError::Io(_))));
    let mut packed = zstd::stream::encode_all(INVOKE.as_bytes(), 1).unwrap();
    packed.truncate(packed.len() - 3);
    assert!(matches!(read(&packed[..], &Options::default()), Err(ImportError::Io(_))));
}
