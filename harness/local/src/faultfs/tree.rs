//! What the kernel and we call files by: numbers, and the names that they have in the directory.
//!
//! A file's number is its inode number in the directory (the root is 1), so hard links and renames need no
//! bookkeeping but their names. Paths are put together when they are needed.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, Weak};

use super::journal::Place;
use super::reads::StaleBlocks;
use super::undo::Undo;

/// The number of the root, by FUSE's convention.
pub(super) const ROOT: u64 = 1;

/// What belongs to a file whatever its names are.
#[derive(Debug, Default)]
pub(super) struct FileState {
    pub ino: u64,
    pub undo: Mutex<Undo>,
    pub stale: Mutex<StaleBlocks>,
    /// The latest descriptor of it that was opened: how to reach it when it has no name.
    pub opened: Mutex<Weak<File>>,
}

#[derive(Debug)]
struct Node {
    names: Vec<Place>,
    lookups: u64,
    folder: bool,
    state: Arc<FileState>,
}

/// All files that the kernel knows, and folders that it knew.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: HashMap<u64, Node>,
}

impl Tree {
    pub fn new() -> Self {
        let root = Node { names: Vec::new(), lookups: 1, folder: true, state: Tree::state_of(ROOT) };
        Tree { nodes: HashMap::from([(ROOT, root)]) }
    }

    fn state_of(ino: u64) -> Arc<FileState> {
        Arc::new(FileState { ino, ..FileState::default() })
    }

    /// A file's path, relative to the root: by one of its names.
    pub fn path(&self, ino: u64) -> io::Result<PathBuf> {
        let mut names = Vec::new();
        let mut at = ino;
        while at != ROOT {
            let node = self.nodes.get(&at).ok_or_else(stale)?;
            let place = node.names.last().ok_or_else(stale)?;
            names.push(place.name.as_os_str());
            at = place.folder;
        }
        Ok(names.into_iter().rev().collect())
    }

    /// The folder that a file is in; the root is in itself.
    pub fn parent(&self, ino: u64) -> u64 {
        let place = self.nodes.get(&ino).and_then(|node| node.names.last());
        place.map_or(ROOT, |place| place.folder)
    }

    /// What belongs to each file that the kernel knows.
    pub fn states(&self) -> Vec<Arc<FileState>> {
        self.nodes.values().map(|node| node.state.clone()).collect()
    }

    /// The path of a name in a folder.
    pub fn path_of(&self, place: &Place) -> io::Result<PathBuf> {
        Ok(self.path(place.folder)?.join(&place.name))
    }

    /// The kernel has learnt of a file by this name.
    pub fn learn(&mut self, place: Place, ino: u64, folder: bool) -> Arc<FileState> {
        let state = || Tree::state_of(ino);
        let node = self.nodes.entry(ino);
        let node = node.or_insert_with(|| Node { names: Vec::new(), lookups: 0, folder, state: state() });
        if node.names.is_empty() && node.folder != folder {
            // The number of a file that is gone, used again.
            *node = Node { names: Vec::new(), lookups: 0, folder, state: state() };
        }
        node.lookups += 1;
        if !node.names.contains(&place) {
            node.names.push(place);
        }
        node.state.clone()
    }

    /// The kernel has forgotten so many of the times it learnt of a file. Folders are kept: the journal may
    /// name them.
    pub fn forget(&mut self, ino: u64, times: u64) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.lookups = node.lookups.saturating_sub(times);
            if node.lookups == 0 && !node.folder {
                self.nodes.remove(&ino);
            }
        }
    }

    pub fn state(&self, ino: u64) -> Option<Arc<FileState>> {
        self.nodes.get(&ino).map(|node| node.state.clone())
    }

    /// A file has one more name. Nothing happens if the kernel does not know the file.
    pub fn add_name(&mut self, ino: u64, place: &Place) {
        if let Some(node) = self.nodes.get_mut(&ino).filter(|node| !node.names.contains(place)) {
            node.names.push(place.clone());
        }
    }

    /// A file's name has moved.
    pub fn move_name(&mut self, ino: u64, from: &Place, to: &Place) {
        self.remove_name(ino, from);
        self.add_name(ino, to);
    }

    /// A file has lost a name.
    pub fn remove_name(&mut self, ino: u64, place: &Place) {
        if let Some(node) = self.nodes.get_mut(&ino) {
            node.names.retain(|name| name != place);
        }
    }
}

fn stale() -> io::Error {
    io::Error::from_raw_os_error(libc::ESTALE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: u64, name: &str) -> Place {
        Place { folder, name: name.into() }
    }

    #[test]
    fn paths_follow_renames_of_folders_and_hard_links() {
        let mut tree = Tree::new();
        tree.learn(place(ROOT, "a"), 10, true);
        tree.learn(place(10, "f"), 11, false);
        assert_eq!(tree.path(11).unwrap(), PathBuf::from("a/f"));
        tree.remove_name(10, &place(ROOT, "a"));
        tree.add_name(10, &place(ROOT, "b"));
        assert_eq!(tree.path(11).unwrap(), PathBuf::from("b/f"));
        tree.learn(place(ROOT, "link"), 11, false);
        tree.remove_name(11, &place(10, "f"));
        assert_eq!(tree.path(11).unwrap(), PathBuf::from("link"));
        tree.remove_name(11, &place(ROOT, "link"));
        assert!(tree.path(11).is_err());
    }

    #[test]
    fn a_file_is_known_as_long_as_the_kernel_knows_it() {
        let mut tree = Tree::new();
        tree.learn(place(ROOT, "f"), 11, false);
        tree.learn(place(ROOT, "f"), 11, false);
        tree.forget(11, 1);
        assert!(tree.state(11).is_some());
        tree.forget(11, 1);
        assert!(tree.state(11).is_none());
    }
}
