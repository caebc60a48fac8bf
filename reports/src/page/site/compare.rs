//! Two campaigns side by side.

use maud::{Markup, html};

use super::{link, page};
use crate::page::index::outcome_mark;
use crate::terminal::{figure_name, figure_value};
use crate::text::{counted, inert, percent};
use crate::{Comparison, Difference};

/// Writes the page; the campaigns by `campaign/time`.
pub fn compare(first: &str, second: &str, c: &Comparison) -> String {
    let mut figures: Vec<&Difference> = c.figures.iter().collect();
    figures.sort_by_key(|d| !d.changed);
    let main = html! {
        section {
            h2 { (counted(c.pairs as u64, "pair")) " of runs" }
            p { a href={ (link("night", first)) "/" } { (inert(first)) } " → " a href={ (link("night", second)) "/" } { (inert(second)) } }
            p.soft { "Runs are paired by seed: the same load, the same storm. A change is claimed only if chance would give one as large less often than one time in twenty; that takes at least six pairs." }
            (only("Only in the first", &c.only_first)) (only("Only in the second", &c.only_second))
        }
        @if !c.outcomes.is_empty() { section {
            h2 { "Went differently" }
            div.scroll { table {
                thead { tr { th scope="col" { "Run" } th.right scope="col" { "Seed" } th scope="col" { "First" } th scope="col" { "Second" } } }
                tbody { @for (name, seed, a, b) in &c.outcomes { tr { td { (inert(name)) } td.num.right { (seed) } td { (chip(*a)) } td { (chip(*b)) } } } }
            } }
        } }
        section {
            h2 { "Figures" }
            div.scroll { table {
                thead { tr { th scope="col" { "Runs" } th scope="col" { "Figure" } th.right scope="col" { "First" } th.right scope="col" { "Second" } th.right scope="col" { "Pairs" } th.right scope="col" { "By chance" } th scope="col" { "Claim" } } }
                tbody { @for d in figures { tr {
                    td { (inert(&d.name)) } td { (figure_name(d.figure)) }
                    td.num.right { (figure_value(d.figure, d.first)) } td.num.right { (figure_value(d.figure, d.second)) }
                    td.num.right { (d.pairs) } td.num.right { (percent(d.chance)) }
                    td { @if d.changed { span.chip.maybe { "changed" } } @else { span.soft { "none" } } }
                } } }
            } }
        }
    };
    page("Comparison", &html! { "Comparison" }, &main, "")
}

fn only(what: &str, runs: &[String]) -> Markup {
    html! { @if !runs.is_empty() { details { summary { (what) ": " (counted(runs.len() as u64, "run")) } ul { @for r in runs { li { (inert(r)) } } } } } }
}

fn chip(outcome: crate::RunOutcome) -> Markup {
    let (sign, class, word) = outcome_mark(outcome);
    html! { span.chip.(class) { (sign) " " (word) } }
}
