//! The book as mdBook reads it: every page stands in its table of contents, every link leads somewhere, and every
//! part of a page that is linked to is there. mdBook itself is not needed for that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").canonicalize().unwrap()
}

fn pages() -> BTreeMap<PathBuf, String> {
    let mut pages = BTreeMap::new();
    let mut folders = vec![docs()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                let text = std::fs::read_to_string(&path).unwrap();
                pages.insert(path, text);
            }
        }
    }
    pages
}

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut code = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// Targets of `[text](target)`, images included.
fn links(text: &str) -> Vec<&str> {
    let of_line = |line| {
        let parts = str::split(line, "](").skip(1);
        parts.filter_map(|rest: &str| rest.split_once(')').map(|(target, _)| target)).collect::<Vec<_>>()
    };
    prose(text).flat_map(of_line).collect()
}

/// The names under which a page's headings can be linked to.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings =
        prose(text).filter_map(|line| line.strip_prefix('#')).map(|l| l.trim_start_matches('#').trim());
    let name = |heading: &str| {
        let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(name).collect()
}

/// A path without `..`, as far as it is one.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            part => plain.push(part),
        }
    }
    plain
}

#[test]
fn every_page_is_in_the_table_of_contents_once() {
    let summary = std::fs::read_to_string(docs().join("SUMMARY.md")).unwrap();
    let listed: Vec<PathBuf> = links(&summary).into_iter().map(|l| docs().join(l)).collect();
    let once: BTreeSet<&PathBuf> = listed.iter().collect();
    assert_eq!(once.len(), listed.len(), "a page is listed twice");
    let there: BTreeSet<PathBuf> = pages().into_keys().filter(|p| !p.ends_with("SUMMARY.md")).collect();
    let missing: Vec<_> = there.iter().filter(|p| !once.contains(p)).collect();
    assert!(missing.is_empty(), "not in SUMMARY.md: {missing:?}");
    assert!(listed.iter().all(|p| there.contains(p)), "SUMMARY.md lists what is not there");
    let settings = std::fs::read_to_string(docs().join("book.toml")).unwrap();
    for needed in ["[book]", "title = ", "src = \".\"", "build-dir = \"../book\""] {
        assert!(settings.contains(needed), "book.toml has no {needed}");
    }
}

#[test]
fn every_link_leads_somewhere() {
    let pages = pages();
    let mut followed = 0;
    for (page, text) in &pages {
        for link in links(text).into_iter().filter(|l| !l.contains("://") && !l.starts_with("mailto:")) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let to = if path.is_empty() { page.clone() } else { plain(&page.parent().unwrap().join(path)) };
            assert!(to.exists(), "{}: {link} leads nowhere", page.display());
            // mdBook makes a page's link of it, and the page is not in the book: a link to its folder is one to it.
            let lost = !to.starts_with(docs()) && to.extension().is_some_and(|e| e == "md");
            assert!(!lost, "{}: {link} leads out of the book", page.display());
            if let Some(other) = pages.get(&to).filter(|_| !anchor.is_empty()) {
                assert!(
                    anchors(other).contains(anchor),
                    "{}: {link}: there is no such heading",
                    page.display()
                );
            }
            followed += 1;
        }
    }
    assert!(followed > 150, "{followed} links");
}

#[test]
fn headings_are_named_as_mdbook_names_them() {
    let names = anchors("# A `b` c\n```\n# code\n```\n## Über: x-y_z (1)!\n");
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a-b-c", "über-x-y_z-1"]);
    assert_eq!(links("see [a](b.md#c) and ![d](e.png)\n```\n[no](no)\n```\n"), ["b.md#c", "e.png"]);
}
