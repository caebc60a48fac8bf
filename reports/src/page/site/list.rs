//! The list of runs, to be searched, and of campaigns, to be compared.

use maud::{Markup, html};

use super::{link, page};
use crate::RunOutcome;
use crate::page::index::outcome_mark;
use crate::text::{count, counted, cut, inert};

/// Characters of a reason.
const REASON: usize = 160;
/// Campaigns that are offered for comparing.
const OFFERED: usize = 200;

/// One campaign at one time.
#[derive(Clone, Debug)]
pub struct NightLine {
    /// `campaign/time`.
    pub path: String,
    /// How many runs it has.
    pub runs: usize,
}

/// One run. Without an outcome it goes on, or was killed.
#[derive(Clone, Debug, Default)]
pub struct RunLine {
    /// `campaign/time/run`.
    pub path: String,
    /// Its name.
    pub name: String,
    /// The target and its version.
    pub target: String,
    /// The workload.
    pub workload: String,
    /// The seed.
    pub seed: Option<u64>,
    /// How it went.
    pub outcome: Option<RunOutcome>,
    /// Operations that were started.
    pub operations: u64,
    /// Why, in a sentence.
    pub reason: String,
}

impl RunLine {
    /// How it went, in a word.
    fn word(&self) -> &'static str {
        self.outcome.map_or("not ended", |o| outcome_mark(o).2)
    }

    /// Whether a word, in small letters, is part of what the list shows of it.
    pub fn has(&self, word: &str) -> bool {
        let texts = [&self.path, &self.name, &self.target, &self.workload, &self.reason];
        texts.iter().any(|t| t.to_lowercase().contains(word))
            || self.word().contains(word)
            || self.seed.is_some_and(|s| s.to_string() == word)
    }
}

/// Writes the page: `shown` are the runs of this page out of `matching` that have every word of `query`.
pub fn list(
    nights: &[NightLine],
    shown: &[RunLine],
    matching: usize,
    query: &str,
    number: usize,
    pages: usize,
) -> String {
    let main = html! {
        section {
            h2 { "Runs" }
            form.tools method="get" action="/" role="search" {
                label { "Find " input type="search" name="q" value=(inert(query)) placeholder="name, target, outcome, seed, reason"; }
                button type="submit" { "Search" }
                span.soft role="status" { (counted(matching as u64, "run")) @if pages > 1 { ", page " (number) " of " (pages) } }
            }
            div.scroll { table {
                thead { tr { th scope="col" { "Run" } th scope="col" { "Campaign" } th scope="col" { "Outcome" } th.right scope="col" { "Operations" } th scope="col" { "Why" } } }
                tbody { @for r in shown { (row(r)) } }
            } }
            @if pages > 1 { p { @for n in 1..=pages { a href={"/?q=" (link("", query).trim_start_matches('/')) "&page=" (n)} { (n) } " " } } }
        }
        (campaigns(nights))
    };
    page("Store", &html! { "Store" }, &main, "")
}

fn row(r: &RunLine) -> Markup {
    let (sign, class, word) = r.outcome.map_or(("…", "maybe", "not ended"), outcome_mark);
    let night = r.path.rsplit_once('/').map_or("", |(night, _)| night);
    html! { tr {
        td { a href=(link("run", &r.path)) { (inert(&r.name)) } br; span.soft { (inert(&r.target)) " " (inert(&r.workload)) @if let Some(seed) = r.seed { ", seed " (seed) } } }
        td { a href={ (link("night", night)) "/" } { (inert(night)) } }
        td { span.chip.(class) { (sign) " " (word) } }
        td.num.right { (count(r.operations)) }
        td { (inert(&cut(&r.reason, REASON))) }
    } }
}

fn campaigns(nights: &[NightLine]) -> Markup {
    let offered = &nights[..nights.len().min(OFFERED)];
    let choice = |name: &str, label: &str, chosen: usize| {
        html! { label { (label) " " select name=(name) {
            @for (i, n) in offered.iter().enumerate() { option value=(n.path) selected[i == chosen] { (inert(&n.path)) " (" (n.runs) ")" } }
        } } }
    };
    html! { section {
        h2 { "Campaigns" }
        form.tools method="get" action="/compare" {
            (choice("a", "Compare", 1)) (choice("b", "with", 0)) button type="submit" { "Compare" }
        }
        ul { @for n in offered { li { a href={ (link("night", &n.path)) "/" } { (inert(&n.path)) } " " span.soft { (counted(n.runs as u64, "run")) } } } }
        @if nights.len() > OFFERED { p.soft { "and " (nights.len() - OFFERED) " older ones; the search finds their runs" } }
    } }
}
