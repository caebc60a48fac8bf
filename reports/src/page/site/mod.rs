//! The pages that `squall serve` shows beside those that stand in the store: the list of runs, a run as it happens,
//! two campaigns side by side. Links are from the root of the site.

mod compare;
mod list;
mod run;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{STYLE, dark_plots};
use crate::text::inert;

pub use compare::compare;
pub use list::{NightLine, RunLine, list};
pub use run::{File, Now, now, run};

/// A page of the site. It may ask its own site again; its headers say so, too.
fn page(title: &str, heading: &Markup, main: &Markup, script: &str) -> String {
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (inert(title)) " · squall" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) (PreEscaped(dark_plots())) }
            }
            body.valid {
                a.skip href="#main" { "Skip to the page" }
                div.top { p.eyebrow { a href="/" { "squall store" } } h1 { (heading) } }
                main id="main" { (main) }
                @if !script.is_empty() { script { (PreEscaped(script)) } }
            }
        }
    };
    markup.into_string()
}

/// A path of the store below a place of the site, every byte that could mean something else escaped.
fn link(place: &str, path: &str) -> String {
    let mut out = format!("/{place}/");
    for byte in path.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' | b'~' | b'=' => {
                out.push(byte as char);
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}
