//! Random calls on the disk and on a twin that is too simple to be wrong: after each power loss both hold the
//! same files with the same contents.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::Case;
use crate::stage::Stage;

pub fn all() -> Vec<Case> {
    vec![Case { name: "random_calls_agree_with_a_simple_twin", test: agree }]
}

/// SplitMix64, as the disk has it, but of its own.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    File(usize),
}

type Names = BTreeMap<String, Entry>;

#[derive(Clone, Debug, Default)]
struct Contents {
    now: Vec<u8>,
    durable: Vec<u8>,
    /// Whether a sync of the data alone has something for the journal.
    metadata_changed: bool,
    touched: bool,
}

/// The file system as it is, and as it would be after a power loss.
#[derive(Debug, Default)]
struct Twin {
    names: Names,
    durable_names: Names,
    files: Vec<Contents>,
}

impl Twin {
    fn sync(&mut self, file: usize, data_only: bool) {
        let contents = &mut self.files[file];
        let commits = contents.metadata_changed || (contents.touched && !data_only);
        contents.durable = contents.now.clone();
        (contents.metadata_changed, contents.touched) = (false, false);
        if commits {
            self.commit();
        }
    }

    fn commit(&mut self) {
        self.durable_names = self.names.clone();
    }

    fn lose_power(&mut self) {
        self.names = self.durable_names.clone();
        for file in &mut self.files {
            file.now = file.durable.clone();
            (file.metadata_changed, file.touched) = (false, false);
        }
    }

    fn files(&self) -> BTreeMap<String, Option<Vec<u8>>> {
        let contents = |entry: &Entry| match entry {
            Entry::Folder => None,
            Entry::File(file) => Some(self.files[*file].now.clone()),
        };
        self.names.iter().map(|(name, entry)| (name.clone(), contents(entry))).collect()
    }

    fn is_empty_folder(&self, name: &str) -> bool {
        let inside = format!("{name}/");
        self.names.get(name) == Some(&Entry::Folder)
            && !self.names.keys().any(|other| other.starts_with(&inside))
    }

    /// Whether a name could be created: it is in no folder or in one that is there.
    fn has_room_for(&self, name: &str) -> bool {
        name.rsplit_once('/').is_none_or(|(folder, _)| self.names.get(folder) == Some(&Entry::Folder))
    }

    fn rename(&mut self, from: &str, to: &str) {
        let inside = format!("{from}/");
        self.names.remove(to);
        let moved: Vec<String> =
            self.names.keys().filter(|name| *name == from || name.starts_with(&inside)).cloned().collect();
        for name in moved {
            if let Some(entry) = self.names.remove(&name) {
                self.names.insert(format!("{to}{}", &name[from.len()..]), entry);
            }
        }
    }
}

/// What a disk holds: each path with its contents, or `None` for a folder.
fn files(root: &Path, below: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let name = Path::new(below).join(entry.file_name()).to_str().unwrap().to_owned();
        if entry.file_type().unwrap().is_dir() {
            all.extend(files(root, &name));
            all.insert(name, None);
        } else {
            let contents = fs::read(entry.path()).unwrap();
            all.insert(name, Some(contents));
        }
    }
    all
}

fn assert_same(root: &Path, twin: &Twin, when: &str) {
    let (ours, theirs) = (files(root, ""), twin.files());
    let names: Vec<_> = ours.keys().zip(theirs.keys()).filter(|(one, other)| one != other).collect();
    assert!(ours.keys().eq(theirs.keys()), "{when}: names differ first in {:?}", names.first());
    for (name, contents) in &ours {
        let (Some(ours), Some(theirs)) = (contents, &theirs[name]) else {
            assert_eq!(contents, &theirs[name], "{when}: {name} is not of one kind");
            continue;
        };
        let differs = ours.iter().zip(theirs).position(|(one, other)| one != other);
        let sizes = (ours.len(), theirs.len());
        assert!(ours == theirs, "{when}: {name} differs at {differs:?}, sizes {sizes:?}");
    }
}

const PLACES: [&str; 9] = ["a", "b", "c", "d", "d/a", "d/b", "e", "e/a", "e/f"];

fn agree(stage: &Stage) {
    let mut random = Random(20);
    let mut twin = Twin::default();
    let mut losses = 0;
    for step in 0..6_000 {
        let (one, other) = (PLACES[random.below(PLACES.len())], PLACES[random.below(PLACES.len())]);
        match random.below(40) {
            0..=9 => write(stage, &mut twin, one, &mut random),
            10..=13 => resize(stage, &mut twin, one, &mut random),
            14..=18 => make_folder(stage, &mut twin, one),
            19..=22 => remove(stage, &mut twin, one),
            23..=29 => rename(stage, &mut twin, one, other),
            30..=31 => link(stage, &mut twin, one, other),
            32..=36 => sync(stage, &mut twin, one, random.below(2) == 0),
            37 => {
                File::open(&stage.data).unwrap().sync_all().unwrap();
                twin.commit();
            }
            _ => {
                stage.cut_power();
                twin.lose_power();
                losses += 1;
                assert_same(&stage.data, &twin, &format!("after step {step}, a power loss"));
            }
        }
        if step % 50 == 0 {
            assert_same(&stage.data, &twin, &format!("after step {step}"));
            assert_same(&stage.behind, &twin, &format!("behind, after step {step}"));
        }
    }
    assert!(losses > 200);
}

fn write(stage: &Stage, twin: &mut Twin, name: &str, random: &mut Random) {
    let (offset, length) = (random.below(10_000), 1 + random.below(9_000));
    let bytes = vec![random.below(256) as u8; length];
    if !twin.has_room_for(name) || twin.names.get(name) == Some(&Entry::Folder) {
        return;
    }
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(stage.path(name)).unwrap();
    file.write_all_at(&bytes, offset as u64).unwrap();
    let index = match twin.names.get(name) {
        Some(Entry::File(index)) => *index,
        _ => {
            twin.files.push(Contents { metadata_changed: true, ..Contents::default() });
            twin.names.insert(name.into(), Entry::File(twin.files.len() - 1));
            twin.files.len() - 1
        }
    };
    let contents = &mut twin.files[index];
    contents.touched = true;
    if offset + length > contents.now.len() {
        contents.now.resize(offset + length, 0);
        contents.metadata_changed = true;
    }
    contents.now[offset..offset + length].copy_from_slice(&bytes);
}

fn resize(stage: &Stage, twin: &mut Twin, name: &str, random: &mut Random) {
    let size = random.below(15_000);
    if let Some(Entry::File(index)) = twin.names.get(name) {
        OpenOptions::new().write(true).open(stage.path(name)).unwrap().set_len(size as u64).unwrap();
        let contents = &mut twin.files[*index];
        contents.now.resize(size, 0);
        (contents.metadata_changed, contents.touched) = (true, true);
    }
}

fn make_folder(stage: &Stage, twin: &mut Twin, name: &str) {
    if twin.has_room_for(name) && !twin.names.contains_key(name) {
        fs::create_dir(stage.path(name)).unwrap();
        twin.names.insert(name.into(), Entry::Folder);
    }
}

fn remove(stage: &Stage, twin: &mut Twin, name: &str) {
    match twin.names.get(name) {
        Some(Entry::File(_)) => fs::remove_file(stage.path(name)).unwrap(),
        Some(Entry::Folder) if twin.is_empty_folder(name) => fs::remove_dir(stage.path(name)).unwrap(),
        _ => return,
    }
    twin.names.remove(name);
}

fn rename(stage: &Stage, twin: &mut Twin, from: &str, to: &str) {
    let Some(source) = twin.names.get(from).copied() else { return };
    let fits = match twin.names.get(to) {
        None => twin.has_room_for(to),
        Some(Entry::Folder) => source == Entry::Folder && twin.is_empty_folder(to),
        Some(Entry::File(_)) => source != Entry::Folder,
    };
    let into_itself = to.starts_with(&format!("{from}/"));
    if !fits || into_itself || from == to {
        return;
    }
    fs::rename(stage.path(from), stage.path(to)).unwrap();
    if twin.names.get(to) == Some(&source) && source != Entry::Folder {
        return; // two names of one file: nothing happens
    }
    twin.rename(from, to);
    if let Entry::File(index) = source {
        twin.files[index].metadata_changed = true;
    }
}

fn link(stage: &Stage, twin: &mut Twin, from: &str, to: &str) {
    let Some(Entry::File(index)) = twin.names.get(from).copied() else { return };
    if twin.has_room_for(to) && !twin.names.contains_key(to) {
        fs::hard_link(stage.path(from), stage.path(to)).unwrap();
        twin.names.insert(to.into(), Entry::File(index));
        twin.files[index].metadata_changed = true;
    }
}

fn sync(stage: &Stage, twin: &mut Twin, name: &str, data_only: bool) {
    if let Some(Entry::File(index)) = twin.names.get(name).copied() {
        let file = File::open(stage.path(name)).unwrap();
        if data_only { file.sync_data() } else { file.sync_all() }.unwrap();
        twin.sync(index, data_only);
    }
}
