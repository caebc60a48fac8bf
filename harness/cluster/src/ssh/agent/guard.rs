//! The guard: waits for the agent's end and undoes what the agent left undone.

use std::io::Read;
use std::path::Path;

use super::undo::Undo;

/// Standard input is a pipe that the agent holds; its end is the agent's.
pub(super) fn guard(dir: &Path) -> i32 {
    let mut nothing = [0; 64];
    while matches!(std::io::stdin().read(&mut nothing), Ok(1..)) {}
    undo_now(dir)
}

/// Undoes what stands in a folder.
pub(super) fn undo_now(dir: &Path) -> i32 {
    // An agent that ended by itself has done it, and left nothing to read.
    let trouble = Undo::read(dir).map(|undo| undo.perform(dir)).unwrap_or_default();
    for line in &trouble {
        eprintln!("{line}");
    }
    i32::from(!trouble.is_empty())
}
