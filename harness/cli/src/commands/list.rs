//! `squall list`: what there is to name.

use serde::Serialize;
use squall_checkers::models;
use squall_checkers::txn::models::{self as consistency, Family};
use squall_engine::protocol::Kind;
use squall_history::SCHEMA_VERSION;

use crate::args::{Format, ListArgs, Listed};
use crate::check::MODELS;
use crate::output::{print, print_json};
use crate::{Exit, Registry};

#[derive(Serialize)]
struct Document {
    schema_version: u32,
    items: Vec<Item>,
}

/// One thing that can be named.
#[derive(Serialize)]
struct Item {
    name: &'static str,
    summary: &'static str,
    /// What it needs of the machine or of what it is used with; empty if nothing.
    needs: &'static str,
    /// Of models: what they are models of.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    /// Other names that are accepted.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    aliases: &'static [&'static str],
}

impl Item {
    fn new(name: &'static str, summary: &'static str, needs: &'static str) -> Self {
        Item { name, summary, needs, kind: None, aliases: &[] }
    }
}

/// Lists what was asked for.
pub fn list(registry: &Registry, args: &ListArgs) -> anyhow::Result<Exit> {
    let items = match args.what {
        Listed::Targets => items(registry.targets()),
        Listed::Workloads => items(registry.workloads()),
        Listed::Faults => items(registry.faults()),
        Listed::Models => models(),
    };
    match args.format {
        Format::Json => print_json(&Document { schema_version: SCHEMA_VERSION, items })?,
        Format::Human => print(&table(&items))?,
    }
    Ok(Exit::Valid)
}

fn items<T: ?Sized>(kinds: &[Kind<T>]) -> Vec<Item> {
    kinds.iter().map(|k| Item::new(k.name, k.summary, k.needs)).collect()
}

/// What `--model` can name, then what `consistency` can.
fn models() -> Vec<Item> {
    let of = |kind, item: Item| Item { kind: Some(kind), ..item };
    let specifications =
        models::list().iter().map(|m| of(SPECIFICATION, Item::new(m.name, m.description, "")));
    let others = MODELS.iter().map(|m| of(SPECIFICATION, Item::new(m.name, m.summary, "")));
    let consistencies = consistency::MODELS.iter().map(|m| {
        let kind = match m.family {
            Family::Transactions => "consistency of transactions",
            Family::Objects => "consistency of objects",
        };
        Item { aliases: m.aliases, ..of(kind, Item::new(m.name, m.about, "")) }
    });
    specifications.chain(others).chain(consistencies).collect()
}

const SPECIFICATION: &str = "specification";

/// A line an item; a heading a kind, where there are kinds.
fn table(items: &[Item]) -> String {
    let width = items.iter().map(|i| i.name.len()).max().unwrap_or(0);
    let mut out = String::new();
    let mut kind = None;
    for item in items {
        if item.kind != kind {
            kind = item.kind;
            let before = if out.is_empty() { "" } else { "\n" };
            out.push_str(&format!("{before}{}:\n", kind.unwrap_or_default()));
        }
        out.push_str(&format!("{:width$}  {}", item.name, item.summary));
        if !item.needs.is_empty() {
            out.push_str(&format!("  [needs {}]", item.needs));
        }
        if !item.aliases.is_empty() {
            out.push_str(&format!("  (also {})", item.aliases.join(", ")));
        }
        out.push('\n');
    }
    out
}
