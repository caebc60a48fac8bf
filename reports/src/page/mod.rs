//! `report.html`: one file that opens offline and says what a run showed, the verdict first.
//!
//! Every text that may come from a target goes through [`crate::text::inert`] and maud's escaping; what the
//! script reads is JSON in which `<` cannot stand. The script only sets text. A content security policy in
//! the page itself forbids any request.

mod anomalies;
mod checks;
mod cluster;
mod cycle;
mod faults;
mod figures;
mod index;
mod lanes;
mod layered;
mod links;
mod logs;
mod map;
mod operations;
mod past;
mod proof;
mod run;
pub mod site;
mod spacetime;
mod timeline;
mod top;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use squall_checkers::{Valid, Verdict};
use squall_history::History;

use crate::plot::DARK;
use crate::text::inert;
use crate::{Facts, RunResult};
use run::Run;

pub use figures::plots;
pub use index::index;
pub use past::Past;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = concat!(
    "(() => {",
    include_str!("script/data.js"),
    include_str!("script/timeline.js"),
    include_str!("script/table.js"),
    include_str!("script/picture.js"),
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
                    @if anomalies::shown(&run) { a href="#why" { "Why" } }
                    @if map::shown(&run) { a href="#models" { "Models" } }
                    @if !run.windows.is_empty() { a href="#faults" { "Faults" } }
                    a href="#time" { "Over time" }
                    a href="#timeline-section" { "Timeline" }
                    a href="#operations" { "Operations" }
                    @if !run.facts.logs.is_empty() { a href="#logs" { "Logs" } }
                    a href="#checks" { "Checks" }
                    a href="#reproduce" { "Reproduce" }
                } }
                main id="main" {
                    (anomalies::section(&run))
                    (map::section(&run))
                    (faults::section(&run))
                    (figures::section(&run))
                    (operations::timeline(&run))
                    (operations::section(&run))
                    (logs::section(&run))
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
    html! { @for line in text.lines() { p { (prose(line, true)) } } }
}

/// A line of ours: what stands in backticks is code, and `#12` a link to an operation if there are such.
fn prose(line: &str, links: bool) -> Markup {
    let line = inert(line);
    let mut parts = Vec::new();
    let mut rest = line.as_str();
    while let Some(at) = rest.find(['#', '`']) {
        let (before, tail) = rest.split_at(at);
        let digits = tail[1..].bytes().take_while(u8::is_ascii_digit).count();
        let code = tail[1..].find('`').filter(|_| tail.starts_with('`'));
        let (part, used) = match (code, digits) {
            (Some(end), _) => (html! { code { (tail[1..=end]) } }, end + 2),
            (None, 1..) if links && tail.starts_with('#') => {
                let number = &tail[1..=digits];
                (html! { a href={"#op=" (number)} { "#" (number) } }, digits + 1)
            }
            (None, _) => (html! { (tail[..1]) }, 1),
        };
        parts.push(html! { (before) (part) });
        rest = &tail[used..];
    }
    html! { @for part in &parts { (part) } (rest) }
}

/// A verdict as a small label.
fn valid_chip(valid: Valid) -> Markup {
    match valid {
        Valid::Yes => html! { span.chip.yes { "✓ valid" } },
        Valid::No => html! { span.chip.no { "✗ invalid" } },
        Valid::Unknown => html! { span.chip.maybe { "? unknown" } },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_become_links_and_backticks_code() {
        let html = |text, links| prose(text, links).into_string();
        assert_eq!(
            html("#12 read `a` <b>#x", true),
            "<a href=\"#op=12\">#12</a> read <code>a</code> &lt;b&gt;#x"
        );
        assert_eq!(html("#12 `open", false), "#12 `open");
        assert_eq!(html("``", true), "<code></code>");
        assert_eq!(html("é#7`ü`#", true), "é<a href=\"#op=7\">#7</a><code>ü</code>#");
    }
}
