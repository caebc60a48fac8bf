//! The pages and documents of a whole campaign.

use squall_checkers::{Valid, Verdict};
use squall_reports::{
    Document, Expected, Facts, Past, Results, RunResult, annotations, document, index, job_summary, junit,
    results, run_result, trends, triage,
};

use crate::demo::{self, Size};
use crate::{browser, hostile};

const SHORT: Size = Size { seconds: 16, workers: 5, pause: 20_000_000 };

fn named(name: &str, run: RunResult) -> RunResult {
    RunResult { name: name.into(), ..run }
}

/// Runs of several targets with different fates.
fn campaign() -> Document {
    let mut runs = Vec::new();
    for seed in 0..3 {
        let history = demo::run(seed, SHORT, true);
        let verdicts = demo::verdicts(&history, Verdict::valid("linearizable"));
        runs.push(named(
            &format!("raftkv-register-{seed}"),
            run_result(&history, &verdicts, &Facts::default()),
        ));
    }
    let (history, anomaly) = demo::stale(4, SHORT);
    let verdicts = demo::verdicts(&history, Verdict::from_anomalies("linearizable", vec![anomaly]));
    let expecting = Facts { expected: Expected::Invalid(vec!["nonlinearizable".into()]), ..Facts::default() };
    for (name, facts) in [("etcd-register-1", Facts::default()), ("etcd-known-bug", expecting)] {
        let result = run_result(&history, &verdicts, &facts);
        runs.push(RunResult {
            target: "etcd".into(),
            target_version: "3.4.23".into(),
            ..named(name, result)
        });
    }
    let history = demo::run(9, SHORT, false);
    let verdicts = demo::verdicts(&history, Verdict::valid("linearizable"));
    runs.push(named("raftkv-vacuous", run_result(&history, &verdicts, &Facts::default())));
    let broken = Facts { error: Some("node n3 was not ready within 30 s".into()), ..Facts::default() };
    runs.push(named("raftkv-broken", run_result(&history, &[], &broken)));
    document(Some("store/nightly".into()), runs)
}

fn links(document: &Document) -> Vec<Option<String>> {
    document.runs.iter().map(|r| Some(format!("{}/report.html", r.name))).collect()
}

#[test]
fn the_index_shows_every_run_and_what_was_found() {
    let document = campaign();
    let page = index("nightly", &document, &links(&document), &Past::default());
    if let Some(dir) = std::env::var_os("SQUALL_PAGES") {
        std::fs::write(std::path::Path::new(&dir).join("index.html"), &page).unwrap();
    }
    assert_eq!(document.valid, Valid::No);
    for run in &document.runs {
        assert!(page.contains(&format!("href=\"./{}/report.html\"", run.name)), "{} is linked", run.name);
    }
    assert_eq!(page.matches("<tr data-outcome=").count(), document.runs.len());
    assert_eq!(page.matches("<code>linearizable/nonlinearizable/register/read</code>").count(), 1);
    let failed = page.find("data-outcome=\"failed\"").unwrap();
    assert!(failed < page.find("data-outcome=\"passed\"").unwrap(), "what failed comes first");
    let Some(browser) = browser::browser() else { return };
    let (dom, log) = browser::open(&browser, &page, "");
    browser::quiet(&log);
    assert!(dom.contains("7 of 7 shown"));
}

#[test]
fn a_campaign_that_found_what_it_had_to_is_as_expected() {
    let all = campaign();
    let head = |names: &[&str]| {
        let runs = all.runs.iter().filter(|r| names.contains(&&*r.name)).cloned().collect();
        let page = index("x", &document(None, runs), &[], &Past::default());
        page.split("<h1><b>").nth(1).and_then(|h| h.split("</b>").next()).unwrap().to_owned()
    };
    assert_eq!(head(&["etcd-known-bug", "raftkv-register-1"]), "✓ As expected:");
    assert_eq!(head(&["raftkv-register-1"]), "✓ Valid:");
    assert_eq!(head(&["raftkv-register-1", "etcd-register-1", "raftkv-broken"]), "✗ Invalid:");
    assert_eq!(head(&["raftkv-vacuous", "raftkv-broken"]), "! Broke:");
    assert_eq!(head(&[]), "? Unknown:");
}

#[test]
fn hostile_runs_stay_inert_in_every_document() {
    let (result, _) = hostile::page();
    let document = document(Some(hostile::payload()), vec![result]);
    let page = index(&hostile::payload(), &document, &[Some(hostile::payload())], &Past::default());
    hostile::assert_inert(&page, 1);
    // An annotation is text to GitHub, not markup.
    for (text, is_markup) in
        [(junit(&document), true), (job_summary(&document), true), (annotations(&document), false)]
    {
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
        assert!(!is_markup || (!text.contains("<script") && !text.contains("<img")), "{text}");
    }
    assert_eq!(annotations(&document).lines().count(), 1);
}

/// Eight nights of one run, the last with an anomaly that is new and much slower; before, another was seen.
fn nights() -> Vec<(String, Results)> {
    let (history, anomaly) = demo::stale(4, SHORT);
    let quiet = demo::run(9, SHORT, true);
    (0..8)
        .map(|night| {
            let signature = |s: &str| squall_checkers::Anomaly { signature: s.into(), ..anomaly.clone() };
            let found = match night {
                2 => vec![signature("old <b>one</b>")],
                7 => vec![signature("new-one")],
                _ => vec![],
            };
            let history = if night == 7 { &history } else { &quiet };
            let verdicts = [Verdict::from_anomalies("linearizable", found)];
            let r = results(history, &verdicts, &Facts::default());
            let figures = r.figures.map(|f| squall_reports::Figures {
                p99_seconds: Some(if night == 7 { 0.5 } else { 0.01 + f64::from(night) * 1e-5 }),
                ..f
            });
            let run = named("a-run", r.run);
            (format!("night {night}"), Results { run, figures, ..r })
        })
        .collect()
}

#[test]
fn the_index_says_what_is_new_what_is_gone_and_what_changed() {
    let nights = nights();
    let each: Vec<(String, Vec<&Results>)> = nights.iter().map(|(l, r)| (l.clone(), vec![r])).collect();
    let all: Vec<(String, &Results)> = nights.iter().map(|(l, r)| (l.clone(), r)).collect();
    let past = Past { signatures: triage(&each), trends: trends(&all) };
    let document = document(None, vec![nights[7].1.run.clone()]);
    let page = index("nightly", &document, &[None], &past);
    assert!(page.contains("<span class=\"chip no\">new</span>"), "the new anomaly");
    assert!(page.contains("<code>old &lt;b&gt;one&lt;/b&gt;</code></td><td><span class=\"chip yes\">gone"));
    assert!(page.contains("before: 10.0 ms") && page.contains("▲ changed"), "p99");
    assert_eq!(page.matches("class=\"night ").count(), 8);
    let Some(browser) = browser::browser() else { return };
    let (_, log) = browser::open(&browser, &page, "");
    browser::quiet(&log);
}
