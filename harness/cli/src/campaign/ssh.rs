//! The provider `ssh` as a campaign names it: `ssh`, or `{ssh: {inventory: hosts.yaml}}`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value as Json;
use squall_cluster::Provider;

use super::provider::{FileOption, ProviderKind};
use crate::Refused;

/// The inventory of who names none, beside the campaign's file.
const INVENTORY: &str = "hosts.yaml";

pub(super) const SSH: ProviderKind = ProviderKind {
    name: "ssh",
    summary: "hosts of an inventory, over SSH",
    op_timeout: Duration::from_secs(5),
    file: Some(FileOption { name: "inventory", usual: Some(INVENTORY) }),
    build,
};

#[cfg(not(feature = "ssh"))]
fn build(_options: &Json) -> Result<Arc<dyn Provider>, Refused> {
    let text = "this squall was built without the provider `ssh`: build one with `cargo build --release --features \
                ssh`, which needs OpenSSL's headers (apt-get install libssl-dev pkg-config)";
    Err(Refused(text.to_owned()))
}

#[cfg(feature = "ssh")]
fn build(options: &Json) -> Result<Arc<dyn Provider>, Refused> {
    use serde::Deserialize;
    use squall_cluster::ssh::{Inventory, SshProvider};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields, default)]
    struct Options {
        inventory: std::path::PathBuf,
    }

    impl Default for Options {
        fn default() -> Self {
            Options { inventory: INVENTORY.into() }
        }
    }

    let options = match options {
        Json::Null => Options::default(),
        given => Options::deserialize(given).map_err(|e| Refused(format!("options of `ssh`: {e}")))?,
    };
    let inventory = Inventory::read(&options.inventory).map_err(|e| Refused(e.to_string()))?;
    Ok(Arc::new(SshProvider::new(inventory)))
}
