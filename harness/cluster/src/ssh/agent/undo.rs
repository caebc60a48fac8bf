//! What undoes everything: commands, and where the clock's true time is to be found. On disk before anything is
//! done, so that whoever comes later can do it.

use std::io::Write;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

use super::clock::{self, Anchor};
use super::processes::{self, Process};
use crate::ssh::wire::Command;

/// The list's name in a host's folder.
const UNDO_FILE: &str = "undo.json";

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Undo {
    /// Run in this order; one that fails (a table that is gone already) does not keep the next from running.
    pub commands: Vec<Command>,
    /// Where true time is, if the clock was moved.
    pub clock: Option<Anchor>,
}

impl Undo {
    fn path(dir: &Path) -> PathBuf {
        dir.join(UNDO_FILE)
    }

    /// What stands in a folder, if anything does.
    pub fn read(dir: &Path) -> Option<Undo> {
        serde_json::from_slice(&std::fs::read(Undo::path(dir)).ok()?).ok()
    }

    /// Writes it down, for good.
    pub fn write(&self, dir: &Path) -> std::io::Result<()> {
        let (path, fresh) = (Undo::path(dir), dir.join("undo.json.new"));
        let mut file = std::fs::File::create(&fresh)?;
        file.write_all(&serde_json::to_vec(self).map_err(std::io::Error::other)?)?;
        file.sync_all()?;
        std::fs::rename(fresh, path)
    }

    /// Does it, and forgets it. Says what could not be done.
    pub fn perform(&self, dir: &Path) -> Vec<String> {
        let mut trouble = Vec::new();
        match processes::until(dir, Signal::SIGKILL, <[Process]>::is_empty) {
            Ok(true) => {}
            Ok(false) => trouble.push("some processes could not be killed".to_owned()),
            Err(error) => trouble.push(format!("killing what runs: {error}")),
        }
        if let Some(anchor) = &self.clock
            && let Err(error) = clock::restore(anchor)
        {
            trouble.push(format!("setting the clock right: {error}"));
        }
        for command in &self.commands {
            // Whether it worked is asked by who healed; here it is the last that can be done.
            if let Err(error) = super::serve::exec(command, super::serve::UNDO_LIMIT) {
                trouble.push(format!("{}: {error}", command.argv.join(" ")));
            }
        }
        if let Err(error) = std::fs::remove_file(Undo::path(dir))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            trouble.push(format!("removing {UNDO_FILE}: {error}"));
        }
        trouble
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_done_in_order_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Undo::read(dir.path()), None);
        let mark = dir.path().join("mark");
        let append = |text: &str| {
            Command::new(["sh", "-c", "cat >> \"$0\"", mark.to_str().unwrap()]).reading(text.to_owned())
        };
        let undo = Undo { commands: vec![append("1"), Command::new(["false"]), append("2")], clock: None };
        undo.write(dir.path()).unwrap();
        assert_eq!(Undo::read(dir.path()), Some(undo.clone()));
        assert_eq!(undo.perform(dir.path()), Vec::<String>::new());
        assert_eq!(std::fs::read_to_string(&mark).unwrap(), "12");
        assert_eq!(Undo::read(dir.path()), None);
        let missing = Undo { commands: vec![Command::new(["no-such-program-here"])], clock: None };
        assert_eq!(missing.perform(dir.path()).len(), 1);
    }
}
