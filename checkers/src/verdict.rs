//! What a check says: whether the history is valid, and why not.
//!
//! Invariants: `invalid` carries at least one anomaly, `unknown` a reason. Within a run `invalid` outranks
//! `unknown` outranks `valid`.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

/// The three answers, ordered so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Valid {
    /// Not violated in the operations seen.
    Yes,
    /// Could not be decided.
    Unknown,
    /// Violated.
    No,
}

/// As Jepsen has it: `true`, `false` or `"unknown"`.
impl Serialize for Valid {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Valid::Yes => s.serialize_bool(true),
            Valid::No => s.serialize_bool(false),
            Valid::Unknown => s.serialize_str("unknown"),
        }
    }
}

impl<'de> Deserialize<'de> for Valid {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        match Json::deserialize(d)? {
            Json::Bool(true) => Ok(Valid::Yes),
            Json::Bool(false) => Ok(Valid::No),
            Json::String(s) if s == "unknown" => Ok(Valid::Unknown),
            other => Err(serde::de::Error::custom(format!("{other} is none of true, false, \"unknown\""))),
        }
    }
}

/// One way in which a history breaks what it was judged by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Its name in the field, such as `nonlinearizable`, `G-single`, `lost`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Stable over runs: check, anomaly, model and shape, never values or indexes.
    pub signature: String,
    /// Sentences that a person understands; operations are named by index (`#12`).
    pub explanation: String,
    /// Indexes of the operations that prove it, ascending.
    pub operations: Vec<u32>,
    /// What a picture or a program needs beyond that.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Json>,
}

/// Proof of a verdict, for a verifier that shares no code with the checkers. The form of `body` is fixed by `kind`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// `linearization`, `nonlinearizable`, `cycle`, …
    pub kind: String,
    /// The proof.
    pub body: Json,
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The check's name.
    pub check: String,
    /// The answer.
    pub valid: Valid,
    /// Why, in a sentence: always for `unknown`, often for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The algorithm that decided, where there is a choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// What is wrong; empty unless invalid.
    pub anomalies: Vec<Anomaly>,
    /// Things worth saying that change nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The check's own figures, under the keys that Jepsen's users know.
    #[serde(default, flatten)]
    pub details: Map<String, Json>,
    /// Proof, if the check gives one.
    #[serde(skip)]
    pub certificate: Option<Certificate>,
}

impl Verdict {
    /// Not violated.
    pub fn valid(check: &str) -> Self {
        Verdict {
            check: check.to_owned(),
            valid: Valid::Yes,
            reason: None,
            algorithm: None,
            anomalies: Vec::new(),
            warnings: Vec::new(),
            details: Map::new(),
            certificate: None,
        }
    }

    /// Undecided, and why.
    pub fn unknown(check: &str, reason: impl Into<String>) -> Self {
        Verdict { valid: Valid::Unknown, reason: Some(reason.into()), ..Verdict::valid(check) }
    }

    /// Valid if there are no anomalies, else invalid.
    pub fn from_anomalies(check: &str, anomalies: Vec<Anomaly>) -> Self {
        let valid = if anomalies.is_empty() { Valid::Yes } else { Valid::No };
        Verdict { valid, anomalies, ..Verdict::valid(check) }
    }

    /// Adds a figure.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.details.insert(key.to_owned(), value.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_outranks_unknown_outranks_valid() {
        assert_eq!([Valid::Yes, Valid::No, Valid::Unknown].into_iter().max(), Some(Valid::No));
        assert_eq!([Valid::Yes, Valid::Unknown].into_iter().max(), Some(Valid::Unknown));
    }

    #[test]
    fn verdicts_survive_json() {
        let verdict = Verdict::unknown("linearizable", "the time limit was reached").with("keys", 3);
        let text = serde_json::to_string(&verdict).unwrap();
        assert!(text.contains("\"valid\":\"unknown\""));
        assert_eq!(serde_json::from_str::<Verdict>(&text).unwrap(), verdict);
    }
}
