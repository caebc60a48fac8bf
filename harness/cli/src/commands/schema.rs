//! `squall schema`: JSON Schemas for editors and for programs that read what squall writes.

use crate::args::{SchemaArgs, SchemaOf};
use crate::output::print;
use crate::{Exit, Registry, schema as schemas};

/// Prints one.
pub fn schema(registry: &Registry, args: &SchemaArgs) -> anyhow::Result<Exit> {
    let schema = match args.of {
        SchemaOf::Campaign => schemas::campaign(registry),
        SchemaOf::Target => schemas::target(),
        SchemaOf::Client => return print(schemas::CLIENT).map(|()| Exit::Valid).map_err(Into::into),
        SchemaOf::Check => schemas::check(),
        SchemaOf::Run => schemas::run(),
        SchemaOf::History => return print(schemas::HISTORY).map(|()| Exit::Valid).map_err(Into::into),
    };
    print(&(serde_json::to_string_pretty(&schema)? + "\n"))?;
    Ok(Exit::Valid)
}
