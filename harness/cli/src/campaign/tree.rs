//! YAML as a tree in which everything knows its place.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};
use serde_yaml::Spanned;

use super::complaint::{Complaint, Place, Source};

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub at: Place,
    pub tree: Tree,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key and its place.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub at: Place,
    pub name: String,
}

impl Node {
    /// Reads one YAML document.
    pub fn parse(source: &Arc<Source>) -> Result<Node, Complaint> {
        match serde_yaml::from_str::<Node>(&source.text) {
            Ok(node) => Ok(node),
            Err(e) => {
                let at = e.location().map(place);
                let message = e.without_snippet().to_string();
                // The place is said once, by us.
                let text = message.split(" at line ").next().unwrap_or(&message);
                let text = text.strip_prefix("error: ").unwrap_or(text).trim().trim_end_matches(':');
                Err(Complaint::new(text, at).within(Some(source)))
            }
        }
    }

    /// The same without places.
    pub fn to_json(&self) -> Json {
        match &self.tree {
            Tree::Null => Json::Null,
            Tree::Bool(b) => (*b).into(),
            Tree::Number(n) => n.clone().into(),
            Tree::Text(s) => s.clone().into(),
            Tree::List(items) => items.iter().map(Node::to_json).collect(),
            Tree::Map(entries) => {
                entries.iter().map(|(k, v)| (k.name.clone(), v.to_json())).collect::<Map<_, _>>().into()
            }
        }
    }

    /// Something wrong with this value.
    pub fn complain(&self, text: impl Into<String>) -> Complaint {
        Complaint::new(text, Some(self.at))
    }

    /// What it is, for people.
    pub fn kind(&self) -> String {
        match &self.tree {
            Tree::Null => "nothing".to_owned(),
            Tree::Bool(b) => format!("`{b}`"),
            Tree::Number(n) => format!("`{n}`"),
            Tree::Text(s) => format!("`{s}`"),
            Tree::List(_) => "a list".to_owned(),
            Tree::Map(_) => "a map".to_owned(),
        }
    }
}

fn place(location: serde_yaml::Location) -> Place {
    Place { line: location.line().max(1) as usize, column: location.column().max(1) as usize }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(d)?;
        Ok(Node { at: place(spanned.referenced), tree: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(TreeVisitor)
    }
}

struct TreeVisitor;

impl<'de> Visitor<'de> for TreeVisitor {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, d: D) -> Result<Tree, D::Error> {
        Tree::deserialize(d)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Tree, E> {
        Ok(Tree::Bool(b))
    }

    fn visit_i64<E>(self, n: i64) -> Result<Tree, E> {
        Ok(Tree::Number(n.into()))
    }

    fn visit_u64<E>(self, n: u64) -> Result<Tree, E> {
        Ok(Tree::Number(n.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, n: f64) -> Result<Tree, E> {
        Number::from_f64(n).map(Tree::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, s: &str) -> Result<Tree, E> {
        Ok(Tree::Text(s.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element::<Node>()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = map.next_key::<Spanned<String>>()? {
            let key = Key { at: place(key.referenced), name: key.value };
            entries.push((key, map.next_value::<Node>()?));
        }
        Ok(Tree::Map(entries))
    }
}
