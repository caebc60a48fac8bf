//! Writes the skeleton.

use anyhow::Context;

use crate::args::NewTargetArgs;
use crate::output::say;
use crate::{Exit, Refused};

const FILES: [(&str, &str); 4] = [
    ("target.yaml", include_str!("target.yaml")),
    ("client.py", include_str!("client.py")),
    ("server.py", include_str!("server.py")),
    ("campaign.yaml", include_str!("campaign.yaml")),
];

/// Makes the folder. One that is there already is left alone.
pub fn new_target(args: &NewTargetArgs) -> anyhow::Result<Exit> {
    let name = &args.name;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(fits) || name.len() > 60 {
        let text = format!("`{name}` is no name for a target: letters, digits, `-` and `_`, a letter first");
        return Err(Refused::new(text).into());
    }
    if let Err(e) = std::fs::create_dir(name) {
        return Err(Refused::new(format!("the folder {name} cannot be made: {e}")).into());
    }
    for (file, text) in FILES {
        let path = std::path::Path::new(name).join(file);
        std::fs::write(&path, text.replace("NAME", name))
            .with_context(|| format!("writing {}", path.display()))?;
    }
    say(&format!(
        "{name}/ has a target, a client and a campaign; a stand-in serves until yours does. Next:\n  \
         squall doctor {name}/target.yaml\n  squall run {name}/campaign.yaml"
    ));
    Ok(Exit::Valid)
}
