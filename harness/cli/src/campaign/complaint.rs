//! What is wrong with a campaign, and where.

use std::fmt;
use std::sync::Arc;

use crate::Refused;

/// A place in a text, both from 1; the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

/// A text and what people call it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its path, or the flag that it was given by.
    pub name: String,
    /// All of it.
    pub text: String,
}

/// What is wrong. Written as `file:line:column: what`, then the line with a caret under the place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Complaint {
    text: String,
    at: Option<Place>,
    source_text: Option<Arc<Source>>,
}

impl Complaint {
    /// Something wrong at a place, if it has one.
    pub fn new(text: impl Into<String>, at: Option<Place>) -> Self {
        Complaint { text: text.into(), at, source_text: None }
    }

    /// Says in which text the place is.
    #[must_use]
    pub fn within(mut self, source: Option<&Arc<Source>>) -> Self {
        self.source_text = self.source_text.or_else(|| source.cloned());
        self
    }

    /// What is wrong, without the place.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it is.
    pub fn at(&self) -> Option<Place> {
        self.at
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(source), Some(at)) = (&self.source_text, self.at) else {
            return match &self.source_text {
                Some(source) => write!(f, "{}: {}", source.name, self.text),
                None => f.write_str(&self.text),
            };
        };
        write!(f, "{}:{}:{}: {}", source.name, at.line, at.column, self.text)?;
        // At the end of the text there may be no line to show.
        let Some(line) = source.text.lines().nth(at.line - 1) else {
            return Ok(());
        };
        let line = line.replace('\t', " ");
        let number = at.line.to_string();
        let margin = " ".repeat(number.len());
        let before = " ".repeat(at.column - 1);
        let carets = "^".repeat(token(&line, at.column));
        write!(f, "\n{margin} |\n{number} | {line}\n{margin} | {before}{carets}")
    }
}

/// How many characters the word at this column has, at least one.
fn token(line: &str, column: usize) -> usize {
    let mut rest = line.chars().skip(column - 1).peekable();
    let quote = rest.peek().copied().filter(|c| matches!(c, '"' | '\''));
    let ends = |c: &char| match quote {
        Some(q) => *c == q,
        None => matches!(c, ' ' | ',' | ':' | ']' | '}' | '#'),
    };
    let skipped = usize::from(quote.is_some());
    let inner = rest.skip(skipped).take_while(|c| !ends(c)).count();
    (inner + 2 * skipped).max(1)
}

impl From<Complaint> for Refused {
    fn from(complaint: Complaint) -> Refused {
        Refused(complaint.to_string())
    }
}
