//! An ordered map that can be copied in no time: pages of sorted keys behind reference counts.
//!
//! A copy shares every page; whoever changes a page first makes its own. So a snapshot of a million keys
//! costs some thousand reference counts and can be written to disk by another thread while changes go on.
//!
//! Invariants: pages are never empty, keys ascend within and across pages, and each page stands under its
//! first key at the time of its creation, which is at most its first key now.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

const MAX_PAGE: usize = 256;

type Page<V> = Vec<(Arc<str>, V)>;

/// An ordered map from strings to `V`.
#[derive(Debug, Clone)]
pub struct Pages<V> {
    pages: BTreeMap<Arc<str>, Arc<Page<V>>>,
    len: usize,
}

impl<V> Default for Pages<V> {
    fn default() -> Pages<V> {
        Pages { pages: BTreeMap::new(), len: 0 }
    }
}

impl<V: Clone> Pages<V> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub fn get(&self, key: &str) -> Option<&V> {
        let (_, page) = self.pages.range::<str, _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        let at = page.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        Some(&page[at].1)
    }

    pub fn insert(&mut self, key: &str, value: V) {
        let Some(page) = self.page_mut(key) else {
            let key: Arc<str> = key.into();
            self.pages.insert(key.clone(), Arc::new(vec![(key, value)]));
            self.len += 1;
            return;
        };
        match page.binary_search_by(|(k, _)| k.as_ref().cmp(key)) {
            Ok(at) => page[at].1 = value,
            Err(at) if page.len() < MAX_PAGE => {
                page.insert(at, (key.into(), value));
                self.len += 1;
            }
            Err(mut at) => {
                let mut upper = page.split_off(MAX_PAGE / 2);
                // Where keys come in order the lower half never grows again: it keeps no room for that.
                page.shrink_to_fit();
                let half = if at < page.len() {
                    page
                } else {
                    at -= page.len();
                    &mut upper
                };
                half.insert(at, (key.into(), value));
                self.pages.insert(upper[0].0.clone(), Arc::new(upper));
                self.len += 1;
            }
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<V> {
        let page = self.page_mut(key)?;
        let at = page.binary_search_by(|(k, _)| k.as_ref().cmp(key)).ok()?;
        let (_, value) = page.remove(at);
        let emptied = page.is_empty();
        self.len -= 1;
        if emptied {
            let under = self.pages.range::<str, _>((Bound::Unbounded, Bound::Included(key))).next_back();
            let under = under.map(|(k, _)| k.clone()).expect("the page that held the key");
            self.pages.remove(&under);
        }
        Some(value)
    }

    /// Keys from `start` on, ascending, up to but not including `end` if there is one.
    pub fn range<'a>(
        &'a self,
        start: &'a str,
        end: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a str, &'a V)> {
        let before = self.pages.range::<str, _>((Bound::Unbounded, Bound::Included(start))).next_back();
        let after = self.pages.range::<str, _>((Bound::Excluded(start), Bound::Unbounded));
        let pairs = before.into_iter().chain(after).flat_map(|(_, page)| page.iter());
        pairs
            .map(|(key, value)| (key.as_ref(), value))
            .skip_while(move |(key, _)| *key < start)
            .take_while(move |(key, _)| end.is_none_or(|end| *key < end))
    }

    /// Every key, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &V)> {
        self.pages.values().flat_map(|page| page.iter().map(|(key, value)| (key, value)))
    }

    /// The page that holds `key` or would, owned by this map alone. `None` if `key` is below all pages.
    fn page_mut(&mut self, key: &str) -> Option<&mut Page<V>> {
        let (_, page) =
            self.pages.range_mut::<str, _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        Some(Arc::make_mut(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_a_tree_and_copies_do_not_change() {
        let (mut pages, mut tree) = (Pages::default(), BTreeMap::new());
        let mut copies = Vec::new();
        let mut random = 1u64;
        for step in 0..20_000u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Grows for a while, then shrinks.
            let key = format!("{:03}", (random >> 33) % 900);
            if (random >> 20) % 10 < if step < 10_000 { 7 } else { 3 } {
                pages.insert(&key, step);
                tree.insert(key, step);
            } else {
                assert_eq!(pages.remove(&key), tree.remove(&key));
            }
            assert_eq!(pages.len(), tree.len());
            if step % 2_500 == 0 {
                copies.push((pages.clone(), tree.clone()));
            }
        }
        copies.push((pages, tree));
        for (pages, tree) in copies {
            let ours: Vec<_> = pages.iter().map(|(k, v)| (k.to_string(), *v)).collect();
            assert_eq!(ours, tree.clone().into_iter().collect::<Vec<_>>());
            for (start, end) in [("", None), ("300", Some("600")), ("3", Some("2")), ("4505", None)] {
                let ours: Vec<_> = pages.range(start, end).map(|(k, v)| (k.to_owned(), *v)).collect();
                let in_range = |k: &String| k.as_str() >= start && end.is_none_or(|e| k.as_str() < e);
                let theirs: Vec<_> =
                    tree.iter().filter(|(k, _)| in_range(k)).map(|(k, v)| (k.clone(), *v)).collect();
                assert_eq!(ours, theirs);
            }
            assert!(tree.iter().all(|(k, v)| pages.get(k) == Some(v)));
        }
    }
}
