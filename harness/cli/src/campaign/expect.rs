//! What a campaign says that a run will show.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::complaint::Complaint;
use super::fields::{Fields, list, text};
use super::tree::{Node, Tree};
use crate::suggest::hint;

/// What a run is expected to show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// No anomaly.
    #[default]
    Valid,
    /// Some of these anomalies and no other: a known bug that must be found.
    Invalid {
        /// Types of anomalies, such as `G-single`.
        anomalies: Vec<String>,
        /// In how many of a combination's repeats; in each, if not said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at_least: Option<AtLeast>,
    },
}

/// `1 of 5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtLeast {
    /// At least so many.
    pub count: u32,
    /// Of so many repeats.
    pub of: u32,
}

impl FromStr for AtLeast {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = text.split_once(" of ").and_then(|(count, of)| {
            Some(AtLeast { count: count.trim().parse().ok()?, of: of.trim().parse().ok()? })
        });
        match parsed {
            Some(a) if a.count >= 1 && a.count <= a.of => Ok(a),
            _ => Err(format!("`{text}` is no share of repeats; write for example 1 of 5")),
        }
    }
}

impl Expect {
    pub(crate) fn decode(node: &Node) -> Result<Self, Complaint> {
        match &node.tree {
            Tree::Text(word) if word == "valid" => return Ok(Expect::Valid),
            Tree::Text(word) => {
                let hint = hint(word, ["valid"]);
                return Err(node.complain(format!(
                    "`{word}` is no expectation; {hint} Or name anomalies: {{invalid: [G-single]}}"
                )));
            }
            _ => {}
        }
        let mut fields = Fields::of(node, "`valid`, or `{invalid: [anomalies]}`")?;
        let anomalies = fields.get("invalid").map(|n| list(n, text)).transpose()?;
        let at_least = match fields.get("at_least") {
            None => None,
            Some(n) => Some(text(n)?.parse::<AtLeast>().map_err(|e| n.complain(e))?),
        };
        fields.finish()?;
        match anomalies {
            Some(anomalies) => Ok(Expect::Invalid { anomalies, at_least }),
            None => Err(node.complain("expected `invalid` with the anomalies that must be found")),
        }
    }
}
