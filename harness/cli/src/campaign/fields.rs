//! Reads a map key by key, and refuses what nobody asked for.

use std::time::Duration;

use squall_engine::units::parse_duration;

use super::complaint::Complaint;
use super::tree::{Key, Node, Tree};
use crate::suggest::hint;

/// A map that is being read.
pub(crate) struct Fields<'a> {
    entries: &'a [(Key, Node)],
    asked: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// `what` says in an error what a map was expected for.
    pub fn of(node: &'a Node, what: &str) -> Result<Fields<'a>, Complaint> {
        match &node.tree {
            Tree::Map(entries) => Ok(Fields { entries, asked: Vec::new() }),
            _ => Err(node.complain(format!("expected {what}, found {}", node.kind()))),
        }
    }

    /// The value of a key, if it is there. Every key is asked for once, before [`Fields::finish`].
    pub fn get(&mut self, name: &'static str) -> Option<&'a Node> {
        self.asked.push(name);
        self.entries.iter().find(|(k, _)| k.name == name).map(|(_, v)| v)
    }

    /// Sets `place` to what a key says, if it is there.
    pub fn set<T>(
        &mut self,
        name: &'static str,
        place: &mut T,
        read: impl FnOnce(&Node) -> Result<T, Complaint>,
    ) -> Result<(), Complaint> {
        if let Some(node) = self.get(name) {
            *place = read(node)?;
        }
        Ok(())
    }

    /// Refuses keys that nobody asked for.
    pub fn finish(self) -> Result<(), Complaint> {
        match self.entries.iter().find(|(k, _)| !self.asked.contains(&k.name.as_str())) {
            None => Ok(()),
            Some((key, _)) => {
                let hint = hint(&key.name, self.asked.iter().copied());
                Err(Complaint::new(format!("unknown key `{}`; {hint}", key.name), Some(key.at)))
            }
        }
    }
}

/// A text. Numbers are taken as they are written: a campaign may be called 7.
pub(crate) fn text(node: &Node) -> Result<String, Complaint> {
    match &node.tree {
        Tree::Text(s) if !s.is_empty() => Ok(s.clone()),
        Tree::Number(n) => Ok(n.to_string()),
        _ => Err(node.complain(format!("expected a text, found {}", node.kind()))),
    }
}

/// A whole number in a range.
pub(crate) fn whole(node: &Node, from: u64, to: u64) -> Result<u64, Complaint> {
    let number = match &node.tree {
        Tree::Number(n) => n.as_u64().filter(|n| (from..=to).contains(n)),
        _ => None,
    };
    let range = if to == u64::MAX { format!("from {from}") } else { format!("from {from} to {to}") };
    number.ok_or_else(|| node.complain(format!("expected a whole number {range}, found {}", node.kind())))
}

/// A duration with its unit.
pub(crate) fn duration(node: &Node) -> Result<Duration, Complaint> {
    match &node.tree {
        Tree::Text(s) => parse_duration(s).map_err(|e| node.complain(e)),
        Tree::Number(n) => Err(node.complain(format!("`{n}` lacks a unit; write for example {n}s or {n}ms"))),
        _ => {
            Err(node
                .complain(format!("expected a duration with its unit, such as 30s, found {}", node.kind())))
        }
    }
}

/// A duration above zero.
pub(crate) fn positive_duration(node: &Node) -> Result<Duration, Complaint> {
    match duration(node)? {
        d if d.is_zero() => Err(node.complain("must be longer than zero")),
        d => Ok(d),
    }
}

/// Each item of a list; a single value counts as a list of one.
pub(crate) fn list<T>(
    node: &Node,
    mut read: impl FnMut(&Node) -> Result<T, Complaint>,
) -> Result<Vec<T>, Complaint> {
    match &node.tree {
        Tree::List(items) if items.is_empty() => Err(node.complain("the list is empty")),
        Tree::List(items) => items.iter().map(read).collect(),
        _ => read(node).map(|one| vec![one]),
    }
}

/// Yes or no.
pub(crate) fn flag(node: &Node) -> Result<bool, Complaint> {
    match &node.tree {
        Tree::Bool(flag) => Ok(*flag),
        _ => Err(node.complain(format!("expected `true` or `false`, found {}", node.kind()))),
    }
}

/// One of several words.
pub(crate) fn word<T: Copy>(node: &Node, words: &[(&'static str, T)]) -> Result<T, Complaint> {
    let written = match &node.tree {
        Tree::Text(s) => s.as_str(),
        _ => "",
    };
    match words.iter().find(|(w, _)| *w == written) {
        Some((_, value)) => Ok(*value),
        None => {
            let names = words.iter().map(|(w, _)| *w);
            Err(node.complain(format!("{} is not known here; {}", node.kind(), hint(written, names))))
        }
    }
}
