//! `report.html`: one file that opens offline and says what a run showed, the verdict first.
//!
//! Every text that may come from a target goes through [`crate::text::inert`] and maud's escaping; what the
//! script reads is JSON in which `<` cannot stand. The script only sets text. A content security policy in
//! the page itself forbids any request.

mod anomalies;
mod checks;
mod cluster;
mod faults;
mod figures;
mod index;
mod operations;
mod run;
mod timeline;
mod top;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use squall_checkers::{Valid, Verdict};
use squall_history::History;

use crate::plot::DARK;
use crate::text::inert;
use crate::{Facts, RunResult};
use run::Run;

pub use index::index;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(
    "(() => {",
    include_str!("script/data.js"),
    include_str!("script/timeline.js"),
    include_str!("script/table.js"),
    "})();"
);

/// Writes the page. `result` is the fold of the same history and verdicts.
pub fn report(history: &History, verdicts: &[Verdict], result: &RunResult, facts: &Facts) -> String {
    let run = Run::new(history, verdicts, result, facts);
    let tone = run.tone();
    let title = format!("{}: {}", run.word(), inert(&result.name));
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head(&title))
            body class=(tone) {
                a.skip href="#main" { "Skip to the report" }
                (top::header(&run))
                nav aria-label="Sections" { div {
                    b { (run.word()) }
                    @if run.result.valid != Valid::Yes { a href="#why" { "Why" } }
                    @if !run.windows.is_empty() { a href="#faults" { "Faults" } }
                    a href="#time" { "Over time" }
                    a href="#timeline-section" { "Timeline" }
                    a href="#operations" { "Operations" }
                    a href="#checks" { "Checks" }
                    a href="#reproduce" { "Reproduce" }
                } }
                main id="main" {
                    (anomalies::section(&run))
                    (faults::section(&run))
                    (figures::section(&run))
                    (operations::timeline(&run))
                    (operations::section(&run))
                    (checks::section(&run))
                    (top::reproduce(&run))
                }
                footer { p { "Written by squall " (env!("CARGO_PKG_VERSION")) ". “Valid” means: not violated in the operations that were seen." } }
                (operations::data(&run))
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// The head of a page. Its policy forbids every request; without an icon of its own a browser would make one.
fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            meta http-equiv="Content-Security-Policy"
                content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
            title { (title) " · squall" }
            link rel="icon" href="data:,";
            style { (PreEscaped(STYLE)) (PreEscaped(dark_plots())) }
        }
    }
}

/// In the dark every colour of the plots' attributes is replaced by its twin.
fn dark_plots() -> String {
    let twins = DARK.iter().flat_map(|(light, dark)| {
        // plotters writes colours in capitals.
        [(*light).to_owned(), light.to_uppercase()].map(|c| {
            format!(
                "svg [fill=\"{c}\"]{{fill:{dark}}}svg [stroke=\"{c}\"]{{stroke:{dark}}}\
                 [style*=\"--c:{c}\"]{{--c:{dark}!important}}"
            )
        })
    });
    format!("@media (prefers-color-scheme: dark){{{}}}", twins.collect::<String>())
}

/// Text of ours in which `#12` names an operation, with each as a link; lines become paragraphs.
fn linked(text: &str) -> Markup {
    let paragraph = |line: &str| {
        let line = inert(line);
        let mut parts = Vec::new();
        let mut rest = line.as_str();
        while let Some(at) = rest.find('#') {
            let digits = rest[at + 1..].bytes().take_while(u8::is_ascii_digit).count();
            let (before, tail) = rest.split_at(at + 1 + digits);
            match digits {
                0 => parts.push(html! { (before) }),
                _ => {
                    let number = &before[at + 1..];
                    parts.push(html! { (before[..at]) a href={"#op=" (number)} { "#" (number) } });
                }
            }
            rest = tail;
        }
        html! { p { @for part in &parts { (part) } (rest) } }
    };
    html! { @for line in text.lines() { (paragraph(line)) } }
}

/// A verdict as a small label.
fn valid_chip(valid: Valid) -> Markup {
    match valid {
        Valid::Yes => html! { span.chip.yes { "✓ valid" } },
        Valid::No => html! { span.chip.no { "✗ invalid" } },
        Valid::Unknown => html! { span.chip.maybe { "? unknown" } },
    }
}
