//! The check against small histories with one thing wrong.

use squall_history::EventKind::{Fail, Info, Invoke, Ok};

use super::*;
use crate::Valid;
use crate::txn::r#gen::Recorder;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// (process, function, argument, answer); no answer: `info`, "fail": `fail`. One after the other.
fn history(ops: &[(u32, &str, &str, &str)]) -> History {
    let mut recorder = Recorder::default();
    for &(process, f, asked, answered) in ops {
        recorder.push(Invoke, process, f, json(asked));
        match answered {
            "" => recorder.push(Info, process, f, json(asked)),
            "fail" => recorder.push(Fail, process, f, json(asked)),
            _ => recorder.push(Ok, process, f, json(answered)),
        }
    }
    recorder.finish()
}

fn kinds(history: &History) -> Vec<String> {
    let verdict = Watch.check(history, &Budget::default());
    assert!(verdict.valid != Valid::Unknown, "{:?}", verdict.reason);
    verdict.anomalies.into_iter().map(|a| a.kind).collect()
}

/// Revisions 2 to 5: two puts, a put of two keys, a delete.
const CHANGES: [(u32, &str, &str, &str); 4] = [
    (0, "change", "[[1,10]]", "2"),
    (0, "change", "[[2,11]]", "3"),
    (0, "change", "[[1,12],[2,13]]", "4"),
    (0, "change", "[[1,null]]", "5"),
];

/// What one watcher is told, after those changes.
fn told(answer: &str) -> Vec<String> {
    kinds(&history(&[&CHANGES[..], &[(1, "watch", "[1,500]", answer)]].concat()))
}

#[test]
fn a_watcher_that_is_told_everything_in_order_is_content() {
    assert!(told("[[[2,1,10],[3,2,11]],[[4,1,12],[4,2,13]],[[5,1,null]]]").is_empty());
    assert!(told("[[[2,1,10,null],[3,2,11,null]],[[4,1,12,10],[4,2,13,11]],[[5,1,null,12],[5]]]").is_empty());
}

#[test]
fn each_thing_that_may_go_wrong_has_its_name() {
    for (answer, kind) in [
        ("[[[2,1,10]],[[4,1,12],[4,2,13]],[[5,1,null]]]", "missed"),
        ("[[[2,1,10],[3,2,11]],[[4,1,12],[4,2,13]],[[5]]]", "missed"),
        ("[[[2,1,10],[3,2,11],[4,1,12],[5,1,null]]]", "torn"),
        ("[[[2,1,10],[3,2,11],[4,1,12]],[[4,2,13],[5,1,null]]]", "torn"),
        ("[[[3,2,11],[2,1,10],[4,1,12],[4,2,13],[5,1,null]]]", "out-of-order"),
        ("[[[2,1,10],[3,2,11],[3,2,11],[4,1,12],[4,2,13],[5,1,null]]]", "repeated"),
        ("[[[2,1,10],[3],[3,2,11],[4,1,12],[4,2,13],[5,1,null]]]", "late"),
        ("[[[0,9,90],[2,1,10],[3,2,11],[4,1,12],[4,2,13],[5,1,null]]]", "before-its-start"),
        ("[[[2,1,10],[3,2,77],[4,1,12],[4,2,13],[5,1,null]]]", "invented"),
        ("[[[2,1,10],[3,2,11],[3,1,null],[4,1,12],[4,2,13],[5,1,null]]]", "invented"),
        ("[[[2,1,10],[3,2,11],[4,1,12],[4,2,13],[5,1,null],[6,2,11]]]", "wrong-revision"),
        ("[[[2,1,10],[3,2,11],[4,1,12,11],[4,2,13],[5,1,null]]]", "wrong-value-before"),
        ("[[[2,1,10,3],[3,2,11],[4,1,12],[4,2,13],[5,1,null]]]", "wrong-value-before"),
    ] {
        assert!(told(answer).iter().any(|k| k == kind), "{answer}: {:?}", told(answer));
    }
}

#[test]
fn what_one_watcher_was_told_another_must_be_told() {
    let lost = (0, "change", "[[1,10],[2,11]]", "");
    let a = |answer| (1, "watch", "[1,500]", answer);
    let after = (2, "change", "[[3,30]]", "3");
    let whole = a("[[[2,1,10],[2,2,11],[3,3,30]]]");
    assert!(kinds(&history(&[lost, after, whole])).is_empty());
    assert_eq!(kinds(&history(&[lost, after, whole, a("[[[3,3,30]]]")])), ["missed"]);
    assert_eq!(kinds(&history(&[lost, after, a("[[[2,1,10],[3,3,30]]]")])), ["torn"]);
    // A change without an answer need not have happened.
    assert!(kinds(&history(&[lost, after, a("[[[3,3,30]]]")])).is_empty());
    let failed = (0, "change", "[[1,10],[2,11]]", "fail");
    assert!(kinds(&history(&[failed, after, whole])).contains(&"invented".to_owned()));
    let elsewhere = kinds(&history(&[lost, after, whole, a("[[[3,3,30],[4,1,10],[4,2,11]]]")]));
    assert!(elsewhere.contains(&"contradiction".to_owned()), "{elsewhere:?}");
}

#[test]
fn a_delete_without_an_answer_happens_once_at_most() {
    let put = |value, at| (0, "change", value, at);
    let changes = [put("[[1,10]]", "2"), (2, "change", "[[1,null]]", ""), put("[[1,11]]", "4")];
    let watch = |answer| kinds(&history(&[&changes[..], &[(1, "watch", "[1,500]", answer)]].concat()));
    assert!(watch("[[[2,1,10],[3,1,null],[4,1,11]]]").is_empty());
    assert!(watch("[[[2,1,10],[4,1,11],[5,1,null]]]").is_empty());
    assert_eq!(watch("[[[2,1,10],[3,1,null],[4,1,11],[5,1,null]]]"), ["invented"]);
}

#[test]
fn revisions_grow_and_are_given_once() {
    let watch = (1, "watch", "[1,500]", "[[[2,1,10],[3,1,11]]]");
    let a = |at| (0, "change", "[[1,10]]", at);
    let b = |at| (0, "change", "[[1,11]]", at);
    assert!(kinds(&history(&[a("2"), b("3"), watch])).is_empty());
    assert!(kinds(&history(&[b("3"), a("2"), watch])).contains(&"revision-went-back".to_owned()));
    assert!(kinds(&history(&[a("2"), b("2"), watch])).contains(&"revision-given-twice".to_owned()));
}

#[test]
fn a_watch_is_refused_for_what_was_compacted_and_for_nothing_else() {
    let watch = (1, "watch", "[1,500]", "[[[2,1,10],[3,2,11],[4,1,12],[4,2,13],[5,1,null]]]");
    let compact = (2, "compact", "4", "4");
    let refused = |from, at| (3, "watch", from, at);
    let judge = |more: &[(u32, &str, &str, &str)]| kinds(&history(&[&CHANGES[..], &[watch], more].concat()));
    assert!(judge(&[compact, refused("[2,500]", "[\"compacted\",4]")]).is_empty());
    assert_eq!(judge(&[compact, refused("[2,500]", "[\"compacted\",5]")]), ["compacted-too-much"]);
    assert_eq!(judge(&[compact, refused("[4,500]", "[\"compacted\",4]")]), ["compacted-too-much"]);
    // Who asked for it is not in the history.
    assert!(judge(&[refused("[2,500]", "[\"compacted\",4]")]).is_empty());
}

#[test]
fn nothing_is_said_of_what_nobody_watched() {
    let unknown = |ops: &[_]| Watch.check(&history(ops), &Budget::default()).reason;
    assert!(unknown(&CHANGES).is_some());
    let part = [&CHANGES[..], &[(1, "watch", "[1,500]", "[[[2,1,10],[3,2,11]]]")]].concat();
    assert!(unknown(&part).unwrap().contains("revision 5"));
}
