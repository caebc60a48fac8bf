//! From a path to a described target.

use std::path::Path;
use std::sync::Arc;

use squall_targets::declared::Definition;

use super::decode::definition;
use crate::Refused;
use crate::campaign::{Node, Source};

/// No description is longer: what is, is another file.
const MAX_BYTES: u64 = 1 << 20;

/// Whether a target's name is the path of a description.
pub(crate) fn is_path(name: &str) -> bool {
    name.ends_with(".yaml") || name.ends_with(".yml")
}

/// What a described target is called in the name of a run: its file, or its folder where the file is just
/// `target.yaml`.
pub(crate) fn label(path: &str) -> String {
    let path = Path::new(path);
    let text = |part: Option<&std::ffi::OsStr>| part.map(|p| p.to_string_lossy().into_owned());
    let stem = text(path.file_stem()).unwrap_or_default();
    let absolute = std::path::absolute(path).ok();
    let folder = absolute.and_then(|p| text(p.parent().and_then(Path::file_name)));
    if stem == "target" { folder.unwrap_or(stem) } else { stem }
}

/// Reads a description. The refusal has the place of what is wrong.
pub fn load(path: &str) -> Result<Arc<Definition>, Refused> {
    let unreadable = |e: std::io::Error| Refused(format!("cannot read the target {path}: {e}"));
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_BYTES {
        return Err(Refused(format!("{path} is longer than a MiB: it describes no target")));
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|e| {
        Refused(format!("{path} describes no target: byte {} is not UTF-8", e.utf8_error().valid_up_to()))
    })?;
    let dir = std::path::absolute(path).map_err(unreadable)?;
    let dir = dir.parent().unwrap_or(Path::new("/")).to_owned();
    let dir = dir.canonicalize().unwrap_or(dir);
    let source = Arc::new(Source { name: path.to_owned(), text });
    let read = Node::parse(&source).and_then(|node| definition(&node, &dir));
    read.map(Arc::new).map_err(|c| c.within(Some(&source)).into())
}
