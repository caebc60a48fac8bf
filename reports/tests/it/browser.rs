//! Pages in a real browser: no message on the console, links to operations work, nothing hostile runs.

mod open;

use squall_checkers::Verdict;
use squall_reports::{Facts, report, run_result};

use crate::{demo, hostile};
pub use open::{browser, open, quiet};

#[test]
fn a_page_opens_without_a_word_on_the_console_and_leads_to_each_operation() {
    let Some(browser) = browser() else { return };
    let (history, anomaly) = demo::stale(7, demo::USUAL);
    let read = anomaly.operations[2];
    let verdicts = demo::verdicts(&history, Verdict::from_anomalies("linearizable", vec![anomaly]));
    let result = run_result(&history, &verdicts, &Facts::default());
    let page = report(&history, &verdicts, &result, &Facts::default());
    let (dom, log) = open(&browser, &page, &format!("#op={read}"));
    quiet(&log);
    let op = history.op(read as usize);
    assert!(dom.contains(&format!("<strong>Operation #{read}</strong>")), "the chosen operation is shown");
    assert!(dom.contains(&format!("read({}) → {}", op.key, op.output)), "with its key and answer");
    assert!(
        dom.contains(&format!("<tr data-op=\"{read}\" class=\"chosen\">")),
        "and marked in its counterexample"
    );
    assert!(dom.contains(&format!("{} shown", squall_reports::text::count(history.len() as u64))));
}

#[test]
fn what_a_target_said_does_not_run() {
    let Some(browser) = browser() else { return };
    let (_, page) = hostile::page();
    let (dom, log) = open(&browser, &page, "#op=0");
    quiet(&log);
    let title = dom.split("<title>").nth(1).and_then(|t| t.split("</title>").next()).unwrap();
    assert!(title.starts_with("Invalid: ") && title.ends_with("· squall"), "{title}");
    assert!(dom.contains("<strong>Operation #0</strong>"), "the page's own script runs to its end");
}

/// What a person does with the page: filters, moves and zooms the timeline, follows a link.
const HANDS: &str = r##"<script>(() => {
  const $ = (id) => document.getElementById(id), seen = {};
  const set = (id, value) => { $(id).value = value; $(id).dispatchEvent(new Event("input")); return $("shown").textContent; };
  seen.info = set("outcome", "2");
  seen.proof = set("outcome", "proof");
  set("outcome", "");
  seen.reads = set("function", "0");
  set("function", "");
  seen.found = set("find", "no leader");
  seen.rows = $("ops-body").querySelectorAll("tr[aria-rowindex]").length;
  set("find", "");
  const canvas = $("timeline"), box = canvas.getBoundingClientRect();
  for (const key of ["+", "+", "ArrowLeft", "ArrowRight", "-", "0"]) canvas.dispatchEvent(new KeyboardEvent("keydown", { key }));
  canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, ctrlKey: true, clientX: box.left + 300, clientY: box.top + 40, cancelable: true }));
  $("zoom-in").click(); $("zoom-out").click(); $("zoom-all").click();
  const at = (type, x) => canvas.dispatchEvent(new MouseEvent(type, { clientX: box.left + x, clientY: box.top + 30 }));
  at("pointermove", 500);
  seen.tip = $("tip").textContent.slice(0, 1);
  const picture = document.querySelector("#why figure.plot.wide svg"), bar = picture.querySelector("a rect.key");
  const inside = picture.getBoundingClientRect(), size = () => picture.viewBox.baseVal.width;
  const whole = size();
  bar.dispatchEvent(new MouseEvent("pointermove", { bubbles: true, clientX: inside.left + 9, clientY: inside.top + 9 }));
  seen.told = picture.parentElement.querySelector(".tip").textContent;
  picture.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, ctrlKey: true, clientX: inside.left + 300, clientY: inside.top + 40, cancelable: true }));
  seen.closer = size() < whole;
  const scrolls = new WheelEvent("wheel", { deltaY: 200, clientX: inside.left + 300, clientY: inside.top + 40, cancelable: true });
  seen.scrolls = picture.dispatchEvent(scrolls);
  for (const key of ["+", "ArrowRight", "ArrowDown", "0"]) picture.dispatchEvent(new KeyboardEvent("keydown", { key }));
  seen.all = size() === whole;
  $("ops").scrollTop = 20000;
  const named = (e) => e.getAttribute("aria-label") || e.textContent.trim() || (e.labels && e.labels.length);
  seen.unnamed = [...document.querySelectorAll("button, input, select, a[href], canvas, svg[role=img]")].filter((e) => !named(e)).map((e) => e.outerHTML.slice(0, 90));
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].map((h) => +h.tagName[1]);
  seen.skipped = levels.filter((level, i) => i > 0 && level > levels[i - 1] + 1);
  const ids = [...document.querySelectorAll("[id]")].map((e) => e.id);
  seen.twice = ids.filter((id, i) => ids.indexOf(id) < i);
  seen.lost = [...document.querySelectorAll("nav a")].filter((a) => !document.querySelector(a.getAttribute("href"))).length;
  seen.headless = [...document.querySelectorAll("table")].filter((t) => !t.querySelector("th[scope]")).length;
  seen.language = document.documentElement.lang;
  document.body.dataset.seen = JSON.stringify(seen);
})();</script></body>"##;

#[test]
fn the_table_filters_and_the_timeline_moves() {
    let Some(browser) = browser() else { return };
    let (history, anomaly) = demo::stale(7, demo::USUAL);
    let counts = squall_checkers::run::Counts::of(&history);
    let reads = squall_checkers::run::Counts::by_f(&history)[0];
    let refused = history
        .ops()
        .filter(|op| history.meta(op.index as usize).is_some_and(|m| m.row.as_deref() == Some("no leader")));
    let refused = refused.count();
    let verdicts = demo::verdicts(&history, Verdict::from_anomalies("linearizable", vec![anomaly]));
    let result = run_result(&history, &verdicts, &Facts::default());
    let page = report(&history, &verdicts, &result, &Facts::default()).replace("</body>", HANDS);
    let (dom, log) = open(&browser, &page, "");
    quiet(&log);
    let seen =
        dom.split("data-seen=\"").nth(1).and_then(|s| s.split('"').next()).unwrap().replace("&quot;", "\"");
    let seen: serde_json::Value = serde_json::from_str(&seen).unwrap();
    let shown = |n: u64| format!("{} shown", squall_reports::text::count(n));
    assert_eq!(seen["info"], shown(counts.info));
    assert_eq!(seen["proof"], shown(3));
    assert_eq!(seen["reads"], shown(reads.total()));
    assert_eq!(seen["found"], shown(refused as u64));
    assert!(seen["rows"].as_u64().unwrap() <= 60, "only rows in sight exist: {}", seen["rows"]);
    assert_eq!(seen["tip"], "#", "the operation below the pointer is named");
    let told = seen["told"].as_str().unwrap();
    assert!(told.starts_with('#') && told.contains(" · process "), "the picture tells of a bar: {told:?}");
    assert_eq!(seen["closer"], true, "Ctrl with the wheel zooms the picture");
    assert_eq!(seen["scrolls"], true, "a plain wheel is left to the page");
    assert_eq!(seen["all"], true, "0 shows all of it again");
    // What a screen reader and a keyboard need.
    for (what, why) in [
        ("unnamed", "everything that can be used or looked at has a name"),
        ("skipped", "headings follow each other by one level"),
        ("twice", "every id is there once"),
    ] {
        assert_eq!(seen[what], serde_json::json!([]), "{why}");
    }
    assert_eq!(
        (&seen["lost"], &seen["headless"]),
        (&0.into(), &0.into()),
        "links to sections, heads of tables"
    );
    assert_eq!(seen["language"], "en");
}
