//! The provider of a campaign's nodes: its name, perhaps with options, and the list of those that there are.
//!
//! To add one, write its [`ProviderKind`] and one line in [`PROVIDERS`].

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use squall_cluster::Provider;
use squall_local::LocalProvider;

use super::attached::ATTACH;
use super::complaint::{Complaint, Place, Source};
use super::ssh::SSH;
use super::tree::{Node, Tree};
use super::values::Cell;
use crate::Refused;
use crate::suggest::hint;

/// A way in which nodes come to be.
#[derive(Debug)]
pub struct ProviderKind {
    /// Its name everywhere.
    pub name: &'static str,
    /// What its nodes are, for people.
    pub summary: &'static str,
    /// How long an operation may take if nobody says.
    pub op_timeout: Duration,
    /// Its option that is a file, if it has one.
    pub file: Option<FileOption>,
    /// Makes it from its options: an object, or null for none. Touches nothing yet.
    pub build: fn(&Json) -> Result<Arc<dyn Provider>, Refused>,
}

/// An option that names a file, relative to the campaign's own; alone it may stand for all options.
#[derive(Debug)]
pub struct FileOption {
    /// The option.
    pub name: &'static str,
    /// The file of who names none, if there is one.
    pub usual: Option<&'static str>,
}

/// All of them; the first is what a campaign has that says nothing.
pub static PROVIDERS: &[ProviderKind] = &[LOCAL, SSH, ATTACH];

const LOCAL: ProviderKind = ProviderKind {
    name: "local",
    summary: "namespaces on this machine",
    op_timeout: Duration::from_secs(2),
    file: None,
    build: |options| {
        no_options("local", options)?;
        Ok(Arc::new(LocalProvider::new()))
    },
};

fn no_options(name: &str, options: &Json) -> Result<(), Refused> {
    match options {
        Json::Null => Ok(()),
        _ => Err(Refused(format!("the provider `{name}` has no options"))),
    }
}

/// A provider as a person chose it: `local`, or `{ssh: {inventory: hosts.yaml}}`. Its name is one of the list.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderChoice(Cell);

impl Default for ProviderChoice {
    fn default() -> Self {
        ProviderChoice(Cell::named(PROVIDERS[0].name))
    }
}

impl ProviderChoice {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What the list says of it.
    pub fn kind(&self) -> &'static ProviderKind {
        find(&self.0.name).expect("a choice is only made of a name that is in the list")
    }

    /// Makes it. What is wrong with its options is said at its place in the file.
    pub fn make(&self) -> Result<Arc<dyn Provider>, Complaint> {
        (self.kind().build)(&self.0.options).map_err(|e| Complaint::new(e.0, self.place()))
    }

    /// A file that it names is told relative to the folder of the campaign's file.
    pub(super) fn within(&mut self, folder: &std::path::Path) {
        let Some(file) = &self.kind().file else { return };
        if let (Json::Null, Some(usual)) = (&self.0.options, file.usual) {
            self.0.options = json!({ file.name: usual });
        }
        if let Some(Json::String(path)) = self.0.options.get_mut(file.name) {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    }

    /// Its options: an object, or null for none.
    pub(super) fn options(&self) -> &Json {
        &self.0.options
    }

    pub(super) fn decode(node: &Node) -> Result<Self, Complaint> {
        let cell = Self::by_path(node).map_or_else(|| Cell::decode(node), Ok)?;
        find(&cell.name).map_err(|text| Complaint::new(text, cell.at))?;
        Ok(ProviderChoice(cell))
    }

    /// `{attach: cluster.yaml}`: a provider that has a file may be given its path alone.
    fn by_path(node: &Node) -> Option<Cell> {
        let Tree::Map(entries) = &node.tree else { return None };
        let [(key, Node { tree: Tree::Text(path), at })] = &entries[..] else { return None };
        let option = find(&key.name).ok()?.file.as_ref()?.name;
        let options_at = vec![(option.to_owned(), *at)];
        Some(Cell {
            options: json!({ option: path }),
            at: Some(key.at),
            options_at,
            ..Cell::named(&key.name)
        })
    }

    fn place(&self) -> Option<Place> {
        self.0.options_at.first().map(|o| o.1).or(self.0.at)
    }
}

fn find(name: &str) -> Result<&'static ProviderKind, String> {
    let names = PROVIDERS.iter().map(|p| p.name);
    PROVIDERS
        .iter()
        .find(|p| p.name == name)
        .ok_or_else(|| format!("no provider is named `{name}`; {}", hint(name, names)))
}

impl FromStr for ProviderChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let source = Arc::new(Source { name: String::new(), text: text.to_owned() });
        let choice = Node::parse(&source).and_then(|node| ProviderChoice::decode(&node));
        let forget = |cell: Cell| Cell { at: None, options_at: Vec::new(), ..cell };
        choice.map(|c| ProviderChoice(forget(c.0))).map_err(|c| Complaint::new(c.text(), None).to_string())
    }
}

/// As a flag reads it.
impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0.options {
            Json::Null => f.write_str(&self.0.name),
            options => write!(f, "{}", json!({ &self.0.name: options })),
        }
    }
}

/// As a campaign has it: a name, or a name with options.
impl Serialize for ProviderChoice {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match &self.0.options {
            Json::Null => s.serialize_str(&self.0.name),
            options => json!({ &self.0.name: options }).serialize(s),
        }
    }
}

impl<'de> Deserialize<'de> for ProviderChoice {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let written = match Json::deserialize(d)? {
            Json::String(name) => name,
            other => other.to_string(),
        };
        written.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_written_as_it_is_read() {
        let local: ProviderChoice = "local".parse().unwrap();
        assert_eq!(local, ProviderChoice::default());
        assert_eq!(serde_json::to_value(&local).unwrap(), json!("local"));
        let back: ProviderChoice = serde_json::from_value(json!("local")).unwrap();
        assert_eq!(back, local);
        let told = "locl".parse::<ProviderChoice>().unwrap_err();
        assert!(told.contains("did you mean `local`"), "{told}");
    }

    #[test]
    fn options_that_nobody_reads_are_refused() {
        let choice: ProviderChoice = "{local: {nodes: 3}}".parse().unwrap();
        let told = choice.make().unwrap_err().to_string();
        assert!(told.contains("the provider `local` has no options"), "{told}");
        assert_eq!(choice.to_string().parse::<ProviderChoice>().unwrap(), choice);
    }

    #[test]
    fn a_file_may_be_given_by_its_path_alone() {
        let choice: ProviderChoice = "{attach: a b.yaml}".parse().unwrap();
        assert_eq!(choice, "{attach: {cluster: a b.yaml}}".parse().unwrap());
        assert_eq!(choice.to_string().parse::<ProviderChoice>().unwrap(), choice);
        let mut within = choice.clone();
        within.within(std::path::Path::new("folder"));
        assert_eq!(within.options()["cluster"], "folder/a b.yaml");
        let told = choice.make().unwrap_err().to_string();
        assert!(told.contains("the cluster file a b.yaml cannot be read"), "{told}");
        let told = "attach".parse::<ProviderChoice>().unwrap().make().unwrap_err().to_string();
        assert!(told.contains("needs the file of a running cluster"), "{told}");
    }
}
