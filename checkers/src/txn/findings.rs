//! Anomalies as they are found, before they become sentences.

use std::collections::BTreeMap;

use serde_json::Value as Json;

/// How many examples of one anomaly are kept; the rest are counted.
pub const EXAMPLES: usize = 8;

/// One anomaly that needs no cycle to be seen.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Indexes of the operations that show it.
    pub operations: Vec<u32>,
    /// What happened, as sentences.
    pub text: String,
    /// The same for programs.
    pub details: serde_json::Map<String, Json>,
}

/// All of them, by name.
#[derive(Clone, Debug, Default)]
pub struct Findings {
    by_kind: BTreeMap<&'static str, (Vec<Finding>, u64)>,
}

impl Findings {
    /// Counts an anomaly, and keeps it as an example if there are few yet. `finding` is only asked then.
    pub fn add(&mut self, kind: &'static str, finding: impl FnOnce() -> Finding) {
        let (kept, count) = self.by_kind.entry(kind).or_default();
        *count += 1;
        if kept.len() < EXAMPLES {
            kept.push(finding());
        }
    }

    /// Kinds with their examples and how many there were in all.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[Finding], u64)> {
        self.by_kind.iter().map(|(&kind, (kept, count))| (kind, kept.as_slice(), *count))
    }

    /// Whether an anomaly was seen.
    pub fn has(&self, kind: &str) -> bool {
        self.by_kind.contains_key(kind)
    }
}

impl Finding {
    /// A finding without details.
    pub fn new(mut operations: Vec<u32>, text: String) -> Self {
        operations.sort_unstable();
        operations.dedup();
        Finding { operations, text, details: serde_json::Map::new() }
    }
}
