//! The report of simulated runs. With `SQUALL_PAGES=DIR` the pages are left there to look at.

use squall_checkers::{Valid, Verdict};
use squall_history::History;
use squall_reports::{Facts, RunOutcome, RunResult, report, run_result, terminal};

use crate::demo::{self, USUAL};

fn facts() -> Facts {
    Facts { report: Some("store/latest/raftkv-register/report.html".into()), ..Facts::default() }
}

fn page(name: &str, history: &History, verdicts: &[Verdict]) -> (RunResult, String) {
    let result = run_result(history, verdicts, &facts());
    let page = report(history, verdicts, &result, &facts());
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
    let (result, page) = page("invalid", &history, &verdicts);
    assert_eq!((result.valid, result.outcome), (Valid::No, RunOutcome::Fail));
    for index in &anomaly.operations {
        assert!(page.contains(&format!("<tr data-op=\"{index}\">")), "#{index} stands in the table");
        assert!(page.contains(&format!("<a href=\"#op={index}\">")), "#{index} is linked");
    }
    println!("{}", terminal::summary(&result));
}

#[test]
fn an_unknown_run_says_why() {
    let history = demo::run(9, USUAL, false);
    let verdicts = demo::verdicts(&history, Verdict::valid("linearizable"));
    let (result, page) = page("unknown", &history, &verdicts);
    assert_eq!(result.outcome, RunOutcome::Unknown);
    assert!(page.contains("`partition` is proven to have taken effect"));
    println!("{}", terminal::summary(&result));
}
