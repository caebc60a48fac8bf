use squall_engine::Outcome;

use super::*;

fn op(f: &str, value: &str) -> Operation {
    Operation::new(&f.into(), Value::Nil, serde_json::from_str(value).unwrap()).on("watch")
}

// A misspelt field is ignored by the gateway: it would watch another range, or from now on.
#[test]
fn requests_are_as_etcd_documents_them() {
    let body: Json = serde_json::from_str(&watch_request(7, false)).unwrap();
    assert_eq!(
        body,
        json!({ "create_request": { "key": "dy8=", "range_end": "dzA=", "start_revision": "7", "prev_kv": true } })
    );
    let body: Json =
        serde_json::from_str(&change_request(&op("change", "[[1,10],[2,null]]")).unwrap()).unwrap();
    assert_eq!(
        body,
        json!({ "success": [
            { "request_put": { "key": "dy8x", "value": "MTA=" } },
            { "request_delete_range": { "key": "dy8y" } },
        ] })
    );
}

#[test]
fn a_change_answers_the_revision_that_it_made_if_it_made_one() {
    let answer = |body: &str| changed(body.as_bytes()).map(|done| done.outcome);
    let put = r#"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_put":{}},{"response_delete_range":{}}]}"#;
    assert_eq!(answer(put), Some(Outcome::Ok(9.into())));
    let deleted = r#"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_delete_range":{"deleted":"1"}}]}"#;
    assert_eq!(answer(deleted), Some(Outcome::Ok(9.into())));
    let nothing = r#"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_delete_range":{"header":{}}}]}"#;
    assert_eq!(answer(nothing), Some(Outcome::Ok(Value::Nil)));
    assert_eq!(answer("{}"), None);
}

#[test]
fn answers_of_a_stream_are_told_apart() {
    let told = |line: &str| match answer(line.as_bytes()) {
        Some(Answered::Told(told)) => Some((Value::list(told.events).to_string(), told.last)),
        _ => None,
    };
    let events = r#"{"result":{"header":{"revision":"5"},"events":[
        {"kv":{"key":"dy8x","create_revision":"4","mod_revision":"4","version":"1","value":"MTA="}},
        {"type":"DELETE","kv":{"key":"dy8x","mod_revision":"5"},"prev_kv":{"key":"dy8x","mod_revision":"4","value":"MTA="}}]}}"#;
    assert_eq!(told(events), Some(("[[4,1,10,null],[5,1,null,10]]".to_owned(), 5)));
    let created = r#"{"result":{"header":{"revision":"5"},"created":true}}"#;
    assert!(matches!(answer(created.as_bytes()), Some(Answered::Nothing)));
    let bookmark = r#"{"result":{"header":{"revision":"5"},"watch_id":"-1"}}"#;
    assert_eq!(told(bookmark), Some(("[[5]]".to_owned(), 5)));
    let compacted = r#"{"result":{"header":{"revision":"5"},"canceled":true,"compact_revision":"3"}}"#;
    assert!(matches!(answer(compacted.as_bytes()), Some(Answered::Compacted(3))));
    let ended = r#"{"result":{"canceled":true,"cancel_reason":"etcdserver: no leader"}}"#;
    assert!(matches!(answer(ended.as_bytes()), Some(Answered::Ended(why)) if why.contains("no leader")));
    let error = r#"{"error":{"grpc_code":14,"message":"etcdserver: server stopped"}}"#;
    assert!(matches!(answer(error.as_bytes()), Some(Answered::Ended(why)) if why.contains("stopped")));
    assert!(answer(b"{}").is_none() && answer(b"<html>").is_none());
}
