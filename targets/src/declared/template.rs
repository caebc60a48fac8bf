//! Texts with placeholders, `{address}`.
//!
//! Only a word in braces is a placeholder, so JSON, `awk '{print $1}'` and `${HOME}` stand as they are; a word
//! that is meant literally is written `{{word}}`.

use std::collections::{BTreeMap, BTreeSet};

/// Placeholders that every description has, with what they stand for.
pub const FIXED: [(&str, &str); 10] = [
    ("name", "the node's name, such as n1"),
    ("id", "the node's number, from 1"),
    ("index", "the node's number, from 0"),
    ("address", "the node's address"),
    ("data", "the node's data directory"),
    ("count", "how many nodes there are"),
    ("first.name", "the first node's name"),
    ("first.address", "the first node's address"),
    ("dir", "the folder of the description"),
    ("root", "the unpacked root directory that `root` names"),
];

/// A text whose placeholders are all known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Place(String),
}

impl Template {
    /// Reads a text. The error says which placeholder is unknown.
    pub fn parse(text: &str, known: &BTreeSet<String>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(open) = rest.find('{') {
            let (before, after) = rest.split_at(open);
            plain.push_str(before);
            let (word, taken) = match word(after) {
                Some(found) => found,
                None => {
                    plain.push('{');
                    rest = &after[1..];
                    continue;
                }
            };
            rest = &after[taken..];
            let escaped = after.starts_with("{{");
            if escaped || before.ends_with('$') {
                plain.push_str(&format!("{{{word}}}"));
            } else if known.contains(word) {
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Place(word.to_owned()));
            } else {
                return Err(unknown(word, known));
            }
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        parts.retain(|p| *p != Part::Text(String::new()));
        Ok(Template { parts })
    }

    /// With its placeholders filled in. What is not in `values` stays empty: reading the text has refused it.
    pub fn render(&self, values: &BTreeMap<String, String>) -> String {
        let part = |p: &Part| match p {
            Part::Text(text) => text.clone(),
            Part::Place(name) => values.get(name).cloned().unwrap_or_default(),
        };
        self.parts.iter().map(part).collect()
    }

    /// Whether it has this placeholder.
    pub fn uses(&self, name: &str) -> bool {
        self.parts.iter().any(|p| matches!(p, Part::Place(n) if n == name))
    }
}

/// The word of `{word}` or `{{word}}` at the beginning, and how many bytes that takes.
fn word(text: &str) -> Option<(&str, usize)> {
    let double = text.starts_with("{{");
    let (open, close) = if double { ("{{", "}}") } else { ("{", "}") };
    let inner = text.strip_prefix(open)?;
    let end = inner.find(close)?;
    let word = &inner[..end];
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    let begins = word.starts_with(|c: char| c.is_ascii_alphabetic());
    (begins && word.chars().all(fits)).then_some((word, open.len() + end + close.len()))
}

fn unknown(word: &str, known: &BTreeSet<String>) -> String {
    let all: Vec<String> = known.iter().map(|k| format!("{{{k}}}")).collect();
    format!(
        "no placeholder is named `{{{word}}}`; there are {} (write `{{{{{word}}}}}` for the text itself)",
        all.join(" ")
    )
}
