//! `squall list`: what there is to name.

use serde::Serialize;
use squall_checkers::models;
use squall_engine::protocol::Kind;
use squall_history::SCHEMA_VERSION;

use crate::args::{Format, ListArgs, Listed};
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
    needs: &'static str,
}

/// Lists what was asked for.
pub fn list(registry: &Registry, args: &ListArgs) -> anyhow::Result<Exit> {
    let items = match args.what {
        Listed::Targets => items(registry.targets()),
        Listed::Workloads => items(registry.workloads()),
        Listed::Faults => items(registry.faults()),
        Listed::Models => {
            models::list().iter().map(|m| Item { name: m.name, summary: m.description, needs: "" }).collect()
        }
    };
    match args.format {
        Format::Json => print_json(&Document { schema_version: SCHEMA_VERSION, items })?,
        Format::Human => print(&table(&items))?,
    }
    Ok(Exit::Valid)
}

fn items<T: ?Sized>(kinds: &[Kind<T>]) -> Vec<Item> {
    kinds.iter().map(|k| Item { name: k.name, summary: k.summary, needs: k.needs }).collect()
}

fn table(items: &[Item]) -> String {
    let width = items.iter().map(|i| i.name.len()).max().unwrap_or(0);
    let line = |i: &Item| {
        let needs = if i.needs.is_empty() { String::new() } else { format!("  [needs {}]", i.needs) };
        format!("{:width$}  {}{needs}\n", i.name, i.summary)
    };
    items.iter().map(line).collect()
}
