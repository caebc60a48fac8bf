//! The report of simulated runs. With `SQUALL_PAGES=DIR` the pages are left there to look at.

use serde_json::json;
use squall_checkers::{Anomaly, Valid, Verdict};
use squall_history::History;
use squall_reports::{Expected, Facts, LogLine, RunOutcome, RunResult, plots, report, run_result, terminal};

use crate::demo::{self, USUAL};

fn facts() -> Facts {
    Facts { report: Some("store/latest/raftkv-register/report.html".into()), ..Facts::default() }
}

fn page(name: &str, history: &History, verdicts: &[Verdict]) -> (RunResult, String) {
    page_with(name, history, verdicts, &facts())
}

fn page_with(name: &str, history: &History, verdicts: &[Verdict], facts: &Facts) -> (RunResult, String) {
    let result = run_result(history, verdicts, facts);
    let page = report(history, verdicts, &result, facts);
    if let Some(dir) = std::env::var_os("SQUALL_PAGES") {
        std::fs::write(std::path::Path::new(&dir).join(format!("{name}.html")), &page).unwrap();
    }
    (result, page)
}

#[test]
fn a_valid_run_says_in_how_many_operations_nothing_was_violated() {
    let history = demo::run(7, USUAL, true);
    let verdicts = demo::verdicts(&history, Verdict::valid("linearizable"));
    let (result, page) = page("valid", &history, &verdicts);
    assert_eq!((result.valid, result.outcome), (Valid::Yes, RunOutcome::Pass), "{}", result.reason);
    assert!(page.contains("not violated in"));
    println!("{}", terminal::summary(&result));
}

#[test]
fn an_invalid_run_shows_its_counterexample_with_node_leader_and_faults() {
    let (history, anomaly) = demo::stale(7, USUAL);
    let verdicts = demo::verdicts(&history, Verdict::from_anomalies("linearizable", vec![anomaly.clone()]));
    let seen = demo::seen(&history, &anomaly.operations, &mut demo::Random::new(1));
    let (result, page) = page_with("invalid", &history, &verdicts, &seen);
    assert_eq!((result.valid, result.outcome), (Valid::No, RunOutcome::Fail));
    let lost = seen.messages.iter().filter(|m| m.arrived.is_none()).count();
    assert!(page.matches(", never arrived</title>").count() > lost / 2, "messages that were lost are drawn");
    assert!(page.contains("raft: no answer from n4"), "and so are the nodes' logs");
    for index in &anomaly.operations {
        assert!(page.contains(&format!("<tr data-op=\"{index}\">")), "#{index} stands in the table");
        assert!(page.contains(&format!("<a href=\"#op={index}\">")), "#{index} is linked");
    }
    println!("{}", terminal::summary(&result));
}

#[test]
fn links_logs_and_the_machine_are_there_over_the_whole_run() {
    let mut history = demo::run(7, USUAL, true);
    let cut: Vec<_> = history.faults.iter().filter(|f| f.kind == "partition").cloned().collect();
    if let Some(header) = &mut history.run {
        header.options = json!({ "machine": { "kernel": "6.1.0-x", "memory_bytes": 8_589_934_592_u64 } });
    }
    let line = |time: u64, node: &str, text: &str| LogLine { time, node: node.into(), text: text.into() };
    let logs = vec![line(cut[0].time + 5, "n3", "lost touch"), line(cut[0].time - 5, "n2", "all is well")];
    let (_, page) =
        page_with("whole", &history, &[Verdict::valid("linearizable")], &Facts { logs, ..facts() });
    // Two nodes cut from three, both ways, in each of the partitions.
    let rows = page.matches("<text class=\"link-name\"").count();
    let stretches = page.matches("<rect class=\"link-cut\"").count();
    assert!(rows >= 12 && stretches == 12 * cut.len() / 2, "{rows} rows, {stretches} stretches");
    assert!(page.contains(&format!("{} were clear throughout", 20 - rows)));
    let at = |text: &str| page.find(text).unwrap_or_else(|| panic!("no {text}"));
    let begins = format!("<strong>partition of {} begins</strong>", cut[0].nodes.join(", "));
    assert!(at("all is well") < at(&begins) && at(&begins) < at("lost touch"), "in the order of time");
    assert!(page.contains("<dt>kernel</dt><dd>6.1.0-x</dd>") && page.contains("<dd>8.0 GiB</dd>"));
    assert!(page.contains("99 % within"), "of what was answered during a fault");
}

#[test]
fn an_unknown_run_says_why() {
    let history = demo::run(9, USUAL, false);
    let verdicts = demo::verdicts(&history, Verdict::valid("linearizable"));
    let (result, page) = page("unknown", &history, &verdicts);
    assert_eq!(result.outcome, RunOutcome::Unknown);
    assert!(page.contains("none of 2 <code>partition</code> is proven to have taken effect"));
    println!("{}", terminal::summary(&result));
}

#[test]
fn a_page_can_be_read_aloud() {
    let (history, anomaly) = demo::stale(7, USUAL);
    let verdicts = demo::verdicts(&history, Verdict::from_anomalies("linearizable", vec![anomaly]));
    let (_, page) = page("aloud", &history, &verdicts);
    assert!(page.contains("<html lang=\"en\">"));
    let pictures = page.matches("<svg").count();
    assert!(pictures >= 5);
    assert_eq!(page.matches("role=\"img\" aria-label=\"").count(), pictures, "each picture has words");
    assert_eq!(
        page.matches("<th ").count() + page.matches("<th>").count(),
        page.matches("<th scope=").count() + page.matches("<th class=\"right\" scope=").count(),
        "each heading says of what"
    );
    assert_eq!(page.matches("<h1").count(), 1);
    for id in ["find", "outcome", "function"] {
        let field = page.find(&format!("id=\"{id}\"")).unwrap();
        let label = page[..field].rfind("<label>").unwrap();
        assert!(!page[label..field].contains("</label>"), "{id} has a label");
    }
    for anchor in page.match_indices("<a href=\"#").map(|(at, m)| &page[at + m.len()..]) {
        let target = anchor.split('"').next().unwrap();
        assert!(
            target.starts_with("op=") || page.contains(&format!("id=\"{target}\"")),
            "#{target} is nowhere"
        );
    }
}

#[test]
fn a_page_that_samples_says_so_and_keeps_everything_that_matters() {
    let size = demo::Size { seconds: 30, workers: 60, pause: 6_000_000 };
    let (history, anomaly) = demo::stale(5, size);
    assert!(history.len() > 110_000, "{}", history.len());
    let proof = anomaly.operations.clone();
    let verdicts = demo::verdicts(&history, Verdict::from_anomalies("linearizable", vec![anomaly]));
    let (_, page) = page("sampled", &history, &verdicts);
    let data = page.split("id=\"data\">").nth(1).and_then(|d| d.split("</script>").next()).unwrap();
    let data: serde_json::Value = serde_json::from_str(data).unwrap();
    let mut at = 0;
    let held: Vec<u32> = data["index"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            at += d.as_u64().unwrap() as u32;
            at
        })
        .collect();
    assert!(held.len() < history.len() && held.len() >= 90_000, "{}", held.len());
    let held_of = squall_reports::text::count(held.len() as u64);
    assert!(page.contains(&format!("This page holds {held_of} of ")), "the page says what it holds");
    for op in
        history.ops().filter(|op| op.outcome != squall_history::Outcome::Ok || proof.contains(&op.index))
    {
        assert!(held.binary_search(&op.index).is_ok(), "#{} is missing", op.index);
    }
    // Even: each tenth of the run keeps about the same share.
    let share = held.len() as f64 / history.len() as f64;
    for tenth in 0..10 {
        let range = history.len() * tenth / 10..history.len() * (tenth + 1) / 10;
        let here =
            held.iter().filter(|i| range.contains(&(**i as usize))).count() as f64 / range.len() as f64;
        assert!((here - share).abs() < 0.05, "{here} of {share}");
    }
    assert!(page.len() < 10_000_000);
}

#[test]
fn plots_stand_alone() {
    let (history, verdicts, facts) = crate::hostile::run();
    let result = run_result(&history, &verdicts, &facts);
    for (name, svg) in plots(&history, &verdicts, &result, &facts) {
        if let Some(dir) = std::env::var_os("SQUALL_PAGES") {
            std::fs::write(std::path::Path::new(&dir).join(format!("{name}.svg")), &svg).unwrap();
        }
        assert!(
            svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"") && svg.ends_with("</svg>"),
            "{name}"
        );
        assert!(!svg.contains("<script") && !svg.contains("<img"), "{name}");
        let opened = svg.matches('<').count() - svg.matches("</").count();
        assert_eq!(
            opened,
            svg.matches("/>").count() + svg.matches("</").count(),
            "{name}: all that opens closes"
        );
    }
}

#[test]
fn a_cycle_is_drawn_as_arrows_and_told_step_by_step() {
    let (history, stale) = demo::stale(7, USUAL);
    let ops = stale.operations.clone();
    let step = |from: u32, to: u32, kind: &str| json!({"from": from, "to": to, "kind": kind, "text": format!("#{to} saw what #{from} did")});
    let edges = json!([step(ops[0], ops[1], "ww"), step(ops[1], ops[2], "wr"), step(ops[2], ops[0], "rw")]);
    let anomaly = Anomaly {
        kind: "G-single".into(),
        details: [("edges".to_owned(), edges)].into_iter().collect(),
        ..stale
    };
    let (_, page) = page("cycle", &history, &[Verdict::from_anomalies("serializable", vec![anomaly])]);
    for kind in ["e-ww", "e-wr", "e-rw"] {
        assert_eq!(
            page.matches(&format!("<g class=\"edge faint {kind}\">")).count(),
            1,
            "in the picture of its time"
        );
        assert_eq!(page.matches(&format!("<span class=\"chip {kind}\">")).count(), 1, "each step is told");
    }
    let count = |class: &str| page.matches(&format!("<g class=\"edge {class}\">")).count();
    assert_eq!((count("e-ww"), count("e-wr"), count("closing")), (1, 1, 1));
    assert!(page.contains(&format!("<title>#{} before #{}: #{1} saw what #{0} did</title>", ops[2], ops[0])));
}

#[test]
fn the_first_words_tell_violation_failure_and_expectation_apart() {
    let (history, anomaly) = demo::stale(7, demo::Size { seconds: 16, workers: 5, pause: 20_000_000 });
    let bad = Verdict::from_anomalies("linearizable", vec![anomaly]);
    let stuck = Verdict::from_anomalies(
        "recovery",
        vec![Anomaly {
            kind: "not-recovered".into(),
            signature: String::new(),
            explanation: "It did not serve again.".into(),
            operations: vec![],
            details: Default::default(),
        }],
    );
    let first = |verdict: &Verdict, facts: &Facts| {
        let (_, page) = page_with("words", &history, std::slice::from_ref(verdict), facts);
        let h1 = page.split("<h1><b>").nth(1).and_then(|h| h.split("</h1>").next()).unwrap();
        h1.replace("</b>", "")
    };
    let known = Facts { expected: Expected::Invalid(vec!["nonlinearizable".into()]), ..facts() };
    let broken = Facts { error: Some("a node died".into()), ..facts() };
    let good = Verdict::valid("linearizable");
    assert_eq!(first(&bad, &facts()), "✗ Invalid: nonlinearizable");
    assert_eq!(first(&bad, &known), "✓ Invalid, as expected: nonlinearizable");
    assert!(first(&good, &facts()).starts_with("✓ Valid: not violated in "));
    assert!(first(&good, &known).starts_with("✗ Failed: though nothing was violated in "));
    assert!(first(&stuck, &facts()).starts_with("✗ Failed: "));
    assert_eq!(first(&good, &broken), "! Broke: the run could not be finished");
}

#[test]
fn an_anomaly_of_very_many_operations_stays_readable() {
    let history = demo::run(5, demo::Size { seconds: 30, workers: 60, pause: 6_000_000 }, true);
    let all: Vec<u32> = (0..history.len() as u32).step_by(2).collect();
    let anomaly = Anomaly {
        kind: "lost".into(),
        signature: String::new(),
        explanation: "much ".repeat(100_000),
        operations: all,
        details: Default::default(),
    };
    let (result, page) = page("many", &history, &[Verdict::from_anomalies("set", vec![anomaly])]);
    assert!(page.len() < 12_000_000, "{}", page.len());
    assert!(terminal::summary(&result).len() < 10_000);
    assert!(
        page.contains("The pictures show the first 100 operations.") && page.contains("(500,000 characters)")
    );
}
