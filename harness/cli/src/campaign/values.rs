//! Values of a campaign that have a form of their own, in files and in flags alike.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::complaint::{Complaint, Place, Source};
use super::tree::{Node, Tree};

/// Something named, perhaps with options: `etcd`, or `{etcd: {version: system}}`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cell {
    /// The name, as it stands in the registry.
    pub name: String,
    /// Its options: an object, or null for none.
    pub options: Json,
    /// Where it stands, if it came from a file.
    #[serde(skip)]
    pub at: Option<Place>,
    /// Where its options stand.
    #[serde(skip)]
    pub options_at: Vec<(String, Place)>,
    /// It came with `all`: where it cannot be had the others do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub of_all: bool,
}

/// Places are no part of what a cell is.
impl PartialEq for Cell {
    fn eq(&self, other: &Cell) -> bool {
        self.name == other.name && self.options == other.options
    }
}

impl Cell {
    /// A name without options.
    pub fn named(name: &str) -> Self {
        let name = name.to_owned();
        Cell { name, options: Json::Null, at: None, options_at: Vec::new(), of_all: false }
    }

    pub(crate) fn decode(node: &Node) -> Result<Cell, Complaint> {
        match &node.tree {
            Tree::Text(name) => Ok(Cell { at: Some(node.at), ..Cell::named(name) }),
            Tree::Map(entries) if entries.len() == 1 => {
                let (key, options) = &entries[0];
                let options_at = match &options.tree {
                    Tree::Map(options) => options.iter().map(|(k, _)| (k.name.clone(), k.at)).collect(),
                    Tree::Null => Vec::new(),
                    _ => {
                        let found = options.kind();
                        let name = &key.name;
                        return Err(options
                            .complain(format!("expected the options of `{name}` as a map, found {found}")));
                    }
                };
                let (options, at) = (options.to_json(), Some(key.at));
                Ok(Cell { options, at, options_at, ..Cell::named(&key.name) })
            }
            Tree::Map(entries) => Err(match entries.get(1) {
                Some((second, _)) => Complaint::new(
                    format!("a second name, `{}`, in one entry: begin another with `-`", second.name),
                    Some(second.at),
                ),
                None => node.complain("expected a name, found an empty map"),
            }),
            _ => Err(node.complain(format!("expected a name, found {}", node.kind()))),
        }
    }

    /// Reads several, as a flag has them: `partition,kill`, `partition, {clock: {max_offset: 60s}}`.
    pub fn parse_list(text: &str) -> Result<Vec<Cell>, String> {
        let source = Arc::new(Source { name: String::new(), text: format!("[{text}]") });
        let read = Node::parse(&source).and_then(|node| match &node.tree {
            Tree::List(items) if !items.is_empty() => {
                items.iter().map(Cell::decode).collect::<Result<Vec<_>, _>>()
            }
            _ => Err(node.complain("expected a name")),
        });
        let forget = |cell: Cell| Cell { at: None, options_at: Vec::new(), ..cell };
        match read {
            Ok(cells) => Ok(cells.into_iter().map(forget).collect()),
            // The place would count the bracket that was added.
            Err(complaint) => Err(Complaint::new(complaint.text(), None).to_string()),
        }
    }
}

impl FromStr for Cell {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut cells = Cell::parse_list(text)?;
        match (cells.pop(), cells.is_empty()) {
            (Some(cell), true) => Ok(cell),
            _ => Err("several names with commas; repeat the flag instead".to_owned()),
        }
    }
}

/// As a person writes it, on one line.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.options {
            Json::Null => f.write_str(&self.name),
            options => write!(f, "{{{}: {options}}}", self.name),
        }
    }
}

/// How many processes act at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// So many in all.
    Total(u32),
    /// So many for each node.
    PerNode(u32),
}

/// More processes than this are a typing error.
const MAX_PROCESSES: u32 = 10_000;

impl Concurrency {
    /// Processes in a cluster of so many nodes.
    pub fn workers(self, nodes: u32) -> u32 {
        match self {
            Concurrency::Total(n) => n,
            Concurrency::PerNode(n) => n.saturating_mul(nodes),
        }
    }

    pub(crate) fn decode(node: &Node) -> Result<Self, Complaint> {
        let written = match &node.tree {
            Tree::Text(s) => s.clone(),
            Tree::Number(n) => n.to_string(),
            _ => String::new(),
        };
        written.parse().map_err(|e: String| node.complain(e))
    }
}

impl FromStr for Concurrency {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (digits, per_node) = match text.strip_suffix('n') {
            Some(digits) => (digits, true),
            None => (text, false),
        };
        match digits.parse::<u32>() {
            Ok(n) if (1..=MAX_PROCESSES).contains(&n) => {
                Ok(if per_node { Concurrency::PerNode(n) } else { Concurrency::Total(n) })
            }
            _ => Err(format!(
                "`{text}` is no number of processes; write for example 10, or 2n for two a node (at most {MAX_PROCESSES})"
            )),
        }
    }
}

impl fmt::Display for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Concurrency::Total(n) => write!(f, "{n}"),
            Concurrency::PerNode(n) => write!(f, "{n}n"),
        }
    }
}

impl Serialize for Concurrency {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// Operations a second, all processes together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate(
    /// `None`: as fast as answers come.
    pub Option<f64>,
);

impl Rate {
    pub(crate) fn decode(node: &Node) -> Result<Self, Complaint> {
        let written = match &node.tree {
            Tree::Text(s) => s.clone(),
            Tree::Number(n) => n.to_string(),
            _ => String::new(),
        };
        written.parse().map_err(|e: String| node.complain(e))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Rate(None));
        }
        match text.parse::<f64>() {
            Ok(rate) if rate > 0.0 && rate.is_finite() => Ok(Rate(Some(rate))),
            _ => Err(format!(
                "`{text}` is no rate; write operations a second, such as 1000, or max for as fast as answers come"
            )),
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(rate) => s.serialize_f64(rate),
            None => s.serialize_str("max"),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let written = match Json::deserialize(d)? {
            Json::String(text) => text,
            other => other.to_string(),
        };
        written.parse().map_err(serde::de::Error::custom)
    }
}
