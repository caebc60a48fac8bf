//! What is said about one file: one JSON document on a line, or a few lines for people. The JSON is API.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Map, Value as Json};
use squall_checkers::{Anomaly, Valid};
use squall_reports::text::{count, counted, seconds};

use super::map;

/// A verdict on one file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// [`squall_history::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The file, as it was named.
    pub file: String,
    /// The verdict.
    pub valid: Valid,
    /// What it was judged by.
    pub model: &'static str,
    /// What it was judged by.
    pub consistency: &'static str,
    /// What the file turned out to be.
    pub format: &'static str,
    /// Operations in the history.
    pub operations: u64,
    /// What decided.
    pub algorithm: Option<String>,
    /// Seconds that reading took.
    pub parse_seconds: f64,
    /// Seconds that judging took.
    pub check_seconds: f64,
    /// The most memory that the process held while it worked on this file.
    pub peak_bytes: u64,
    /// Things worth saying that change nothing.
    pub warnings: Vec<String>,
    /// What is wrong; empty unless invalid.
    pub anomalies: Vec<Anomaly>,
    /// Why: always if unknown.
    pub reason: Option<String>,
    /// The checker's own figures.
    #[serde(flatten)]
    pub details: Map<String, Json>,
}

/// A file that could not be read as a history. It has no verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// [`squall_history::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// The file, as it was named.
    pub file: String,
    /// What is wrong, with its place.
    pub error: String,
}

/// Anomalies that people are told at once; the rest is counted.
const EXPLAINED: usize = 5;

impl Answer {
    /// For people.
    pub fn text(&self) -> String {
        let by = format!("{} {}", self.consistency, self.model);
        let what = counted(self.operations, "operation");
        let map = map::told(&self.details);
        let mut out = match self.valid {
            Valid::Yes if !map.is_empty() => {
                format!("{}: the map of consistency models for {what}", self.file)
            }
            Valid::No if !map.is_empty() => format!("{}: INVALID: {what} violate every model", self.file),
            Valid::Yes => format!("{}: valid: {by} is not violated in {what}", self.file),
            Valid::No => format!("{}: INVALID: {by} is violated in {what}", self.file),
            Valid::Unknown => format!("{}: unknown: {by} could not be decided in {what}", self.file),
        };
        out.push_str(&map);
        if let Some(reason) = self.reason.as_ref().filter(|_| map.is_empty() || self.valid != Valid::Yes) {
            let _ = write!(out, "\n  because {reason}");
        }
        for anomaly in self.anomalies.iter().take(EXPLAINED) {
            let _ = write!(out, "\n  {}:", anomaly.kind);
            for line in anomaly.explanation.lines() {
                let _ = write!(out, "\n    {line}");
            }
        }
        if self.anomalies.len() > EXPLAINED {
            let more = count((self.anomalies.len() - EXPLAINED) as u64);
            let _ = write!(out, "\n  and {more} more");
        }
        for warning in &self.warnings {
            let _ = write!(out, "\n  warning: {warning}");
        }
        let algorithm = self.algorithm.as_deref().unwrap_or("one algorithm");
        let _ = write!(
            out,
            "\n  read in {}, judged in {} by {algorithm}, {} MB at most",
            seconds(self.parse_seconds),
            seconds(self.check_seconds),
            count(self.peak_bytes / 1_000_000)
        );
        out
    }
}
