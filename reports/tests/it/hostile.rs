//! A target that answers with what it hopes will act in a page or a terminal.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use squall_checkers::{Anomaly, Verdict};
use squall_history::{
    Builder, Event, EventKind, Fault, FaultPhase, History, Meta, NodeInfo, Note, Order, Phase, ProcessInfo,
    RunHeader, Value,
};
use squall_reports::{Facts, LogLine, Message, RunResult, report, run_result, terminal};

/// Every payload that a browser or a terminal might act on, in one text.
pub fn payload() -> String {
    let invalid = String::from_utf8_lossy(b"\xff\xfe broken").into_owned();
    [
        "<script>document.title='owned'</script>",
        "</script><script>document.title='owned'</script>",
        "\"><img src=x onerror=\"document.title='owned'\">",
        "' onmouseover='document.title=1' x='",
        "</title></style></svg></textarea><!-- ]]> -->",
        "javascript:document.title='owned'",
        "https://example.invalid/track.png",
        "url(https://example.invalid/x)",
        "\u{0}\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\r\n\u{202e}\u{2028}",
        &invalid,
    ]
    .join(" ")
}

/// A run whose every text is the payload.
pub fn run() -> (History, Vec<Verdict>, Facts) {
    let p = payload();
    let mut b = Builder::new(Order::ByTime);
    let h = b.history_mut();
    h.run = Some(Box::new(RunHeader {
        name: p.clone(),
        target: p.clone(),
        target_version: p.clone(),
        workload: p.clone(),
        consistency: p.clone(),
        nodes: vec![NodeInfo { name: p.clone(), address: p.clone() }],
        options: json!({ p.clone(): p, "faults": [p] }),
        ..RunHeader::default()
    }));
    h.processes.push(ProcessInfo { time: 0, process: 0, worker: 0, node: p.clone() });
    h.phases.push(Phase { time: 0, name: p.clone() });
    for (time, phase) in [(5, FaultPhase::Begin), (5_000, FaultPhase::End)] {
        h.faults.push(Fault {
            time,
            phase,
            id: 1,
            kind: p.clone(),
            nodes: vec![p.clone()],
            description: format!("{phase:?} {p}"),
            detail: Json::from(p.clone()),
            effective: Some(true),
            evidence: BTreeMap::from([(p.clone(), json!(p)), ("k".into(), json!([p]))]),
        });
    }
    for kind in ["leader", "exit", "panic", "warning", "recovery"] {
        let data = BTreeMap::from([
            ("term".to_owned(), json!(1)),
            ("expected".to_owned(), json!(false)),
            ("program".to_owned(), json!(p)),
            ("file".to_owned(), json!(p)),
            ("line".to_owned(), json!(p)),
            ("recovered".to_owned(), json!(false)),
        ]);
        h.notes.push(Note { time: 7, kind: kind.into(), node: Some(p.clone()), text: p.clone(), data });
    }
    for (i, kind) in [EventKind::Ok, EventKind::Fail, EventKind::Info].into_iter().enumerate() {
        let process = i as u32;
        let meta = Meta {
            node: Some(p.clone()),
            error: Some(p.clone()),
            row: Some(p.clone().into()),
            ..Meta::default()
        };
        let event = |kind, time, value, meta: Option<Meta>| Event {
            kind,
            process,
            time,
            intended: time,
            f: p.as_str().into(),
            key: Value::str(p.clone()),
            value,
            meta: meta.map(Box::new),
        };
        let value =
            || Value::list([Value::str(p.clone()), Value::map(vec![(Value::str(p.clone()), Value::Nil)])]);
        b.push(event(EventKind::Invoke, 10 + i as u64, value(), None)).unwrap();
        b.push(event(kind, 1_000 + i as u64, Value::str(p.clone()), Some(meta))).unwrap();
    }
    let history = b.finish().unwrap();
    let anomaly = Anomaly {
        kind: p.clone(),
        signature: p.clone(),
        explanation: format!("#0 gave {p}"),
        operations: vec![0, 1, 2],
        details: [
            (p.clone(), json!(p)),
            (
                "last_states".into(),
                json!([{"order": [0, 2], "state": p, "fails": {"operation": 1, "why": p}}]),
            ),
            ("edges".into(), json!([{"from": 0, "to": 1, "kind": p, "text": p}])),
        ]
        .into_iter()
        .collect(),
    };
    let mut verdicts =
        crate::demo::verdicts(&history, Verdict::from_anomalies(&p, vec![anomaly]).with(&p, p.as_str()));
    verdicts[0].warnings.push(p.clone());
    verdicts.push(Verdict {
        reason: Some(p.clone()),
        algorithm: Some(p.clone()),
        ..Verdict::unknown("x", "y")
    });
    let facts = Facts {
        error: Some(p.clone()),
        report: Some(p.clone()),
        messages: vec![Message { sent: 500, arrived: None, from: p.clone(), to: p.clone(), what: p.clone() }],
        logs: vec![LogLine { time: 700, node: p.clone(), text: p.clone() }],
        reproduce: Some(p),
        ..Facts::default()
    };
    (history, verdicts, facts)
}

pub fn page() -> (RunResult, String) {
    let (history, verdicts, facts) = run();
    let result = run_result(&history, &verdicts, &facts);
    let page = report(&history, &verdicts, &result, &facts);
    (result, page)
}

/// Tags of a page with their attributes, outside the elements whose content is not markup.
fn tags(page: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let end = rest.find('>').expect("every tag ends");
        let tag = &rest[1..end];
        found.push(tag);
        rest = &rest[end + 1..];
        for raw in ["script", "style"] {
            if tag == raw || tag.starts_with(&format!("{raw} ")) {
                rest = &rest[rest.find(&format!("</{raw}>")).expect("it is closed")..];
            }
        }
    }
    found
}

/// Asserts that a page with the payload in it has the scripts of its own and no other markup that acts.
pub fn assert_inert(page: &str, scripts: usize) {
    let tags = tags(page);
    let names = |name: &str| tags.iter().filter(|t| t.split([' ', '/']).next() == Some(name)).count();
    assert_eq!((names("script"), names("style"), names("img"), names("textarea")), (scripts, 1, 0, 0));
    for tag in &tags {
        // What stands in quotes is text; outside of them no attribute may act.
        let bare: String = tag.split('"').step_by(2).collect();
        assert!(!bare.contains(" on"), "an attribute that acts: {tag}");
        assert!(!bare.contains('\''), "only double quotes are used: {tag}");
    }
    assert!(page.contains("&lt;script&gt;document.title"), "the payload is there, as text");
    assert!(page.chars().all(|c| c == '\n' || !c.is_control()), "no control character is in the page");
    assert!(!page.contains('\u{202e}') && !page.contains('\u{2028}'));
}

#[test]
fn no_text_of_a_target_becomes_markup() {
    let (_, page) = page();
    assert_inert(&page, 2);
    assert!(page.contains("\\u003cscript>document.title"), "the payload is in the data, too");
}

#[test]
fn nothing_in_a_page_names_a_resource_of_another_host() {
    let (_, hostile) = page();
    let history = crate::demo::run(1, crate::demo::USUAL, true);
    let verdicts = crate::demo::verdicts(&history, Verdict::valid("linearizable"));
    let result = run_result(&history, &verdicts, &Facts::default());
    let usual = report(&history, &verdicts, &result, &Facts::default());
    assert!(!usual.contains("http://") && !usual.contains("https://"));
    for page in [&hostile, &usual] {
        for tag in tags(page) {
            for attribute in ["href=\"", "src=\"", "action=\"", "data=\""] {
                for (at, _) in tag.match_indices(attribute) {
                    let value = &tag[at + attribute.len()..];
                    assert!(value.starts_with('#') || value.starts_with("data:,"), "{tag}");
                }
            }
        }
        let style = page.split("<style>").nth(1).and_then(|s| s.split("</style>").next()).unwrap();
        assert!(!style.contains("url(") && !style.contains("@import"));
        assert!(page.contains("default-src &#39;none&#39;") || page.contains("default-src 'none'"));
    }
}

#[test]
fn the_terminal_gets_no_control_character_either() {
    let (result, _) = page();
    let text = terminal::summary(&result);
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'));
}
