//! Names and seeds of runs: functions of what is run, so that a run keeps both from night to night.

use serde_json::Value as Json;

use super::Cell;
use super::everything::{ALL, NONE, is_everything};
use crate::declared;

/// The name of a combination: safe as a folder, and different for different options.
/// Such as `etcd-append.consistency=serializable-partition+kill`.
pub(crate) fn combination(target: &Cell, workload: &Cell, faults: &[Cell]) -> String {
    let faults = match faults {
        [] => NONE.to_owned(),
        _ if is_everything(faults) => ALL.to_owned(),
        _ => faults.iter().map(part).collect::<Vec<_>>().join("+"),
    };
    let name = format!("{}-{}-{faults}", part(target), part(workload));
    if name.len() <= LONGEST {
        return name;
    }
    let cut: String = name.chars().take(LONGEST - 17).collect();
    format!("{cut}-{:016x}", fnv(&[&name]))
}

/// File systems allow 255 bytes; reports and plots add theirs.
const LONGEST: usize = 120;
/// Longer options are written as their hash.
const LONGEST_OPTIONS: usize = 40;

fn part(cell: &Cell) -> String {
    let described = declared::is_path(&cell.name).then(|| declared::label(&cell.name));
    let name = safe(described.as_ref().unwrap_or(&cell.name));
    match options(&cell.options) {
        None => name,
        Some(options) if options.len() <= LONGEST_OPTIONS => format!("{name}.{options}"),
        Some(_) => format!("{name}.{:08x}", fnv(&[&cell.options.to_string()]) >> 32),
    }
}

/// Options as `key=value,…`, or nothing if there are none.
fn options(options: &Json) -> Option<String> {
    let map = options.as_object().filter(|m| !m.is_empty())?;
    let value = |v: &Json| match v {
        Json::String(s) => safe(s),
        other => safe(&other.to_string()),
    };
    let parts: Vec<String> = map.iter().map(|(k, v)| format!("{}={}", safe(k), value(v))).collect();
    let text = parts.join(",");
    // What was replaced could have been told apart by what replaced it.
    let same = map.iter().all(|(k, v)| safe(k) == *k && value(v) == plain(v));
    Some(if same { text } else { format!("{text}~{:04x}", fnv(&[&options.to_string()]) >> 48) })
}

fn plain(v: &Json) -> String {
    match v {
        Json::String(s) => s.clone(),
        other => other.to_string(),
    }
}

/// Only characters that no file system, shell or URL minds.
fn safe(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let text: String = text.chars().map(|c| if fits(c) || c == '-' { c } else { '_' }).collect();
    if text.starts_with('.') { format!("_{text}") } else { text }
}

/// A run's seed. A campaign of a single run uses its seed as it is, so that `--seed` with the seed of any run
/// runs that run again. Else it follows from the campaign's seed, the workload, the faults and the repeat;
/// the target has no part in it, so that two databases, or two versions of one, meet the same storms.
pub(crate) fn seed(campaign: u64, alone: bool, workload: &Cell, faults: &[Cell], repeat: u32) -> u64 {
    if alone {
        return campaign;
    }
    let mut parts = vec![workload.name.as_str(), "under"];
    parts.extend(faults.iter().map(|f| f.name.as_str()));
    let hash = mix(mix(campaign) ^ mix(fnv(&parts)) ^ u64::from(repeat).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    // 53 bits: what every JSON reader keeps.
    hash >> 11
}

/// FNV-1a (Fowler, Noll & Vo) over parts, each ended by a byte that no text has.
fn fnv(parts: &[&str]) -> u64 {
    let bytes = parts.iter().flat_map(|p| p.bytes().chain([0xff]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3))
}

/// SplitMix64's finaliser (Steele, Lea & Flood 2014).
pub(super) fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cell(name: &str, options: Json) -> Cell {
        Cell { options, ..Cell::named(name) }
    }

    #[test]
    fn names_are_safe_short_and_tell_options_apart() {
        let target = cell("etcd", json!({"version": "3.5/..", "count": 100}));
        let other = cell("etcd", json!({"version": "3.5_..", "count": 100}));
        let workload = Cell::named("register");
        let a = combination(&target, &workload, &[]);
        let b = combination(&other, &workload, &[]);
        assert_ne!(a, b);
        assert!(a.starts_with("etcd.count=100,version=3.5_..~"), "{a}");
        let long = cell("x", json!({"list": "y".repeat(500)}));
        let many: Vec<Cell> = (0..40).map(|i| cell("fault", json!({ "i": i }))).collect();
        let name = combination(&long, &workload, &many);
        assert!(name.len() <= LONGEST, "{name}");
        assert_ne!(name, combination(&long, &workload, &many[..39]));
    }

    #[test]
    fn seeds_stay_what_they_are() {
        let (w, f) = (Cell::named("register"), [Cell::named("kill")]);
        // Old campaigns must repeat: these numbers may never change.
        assert_eq!(seed(7, false, &w, &f, 0), 6_292_438_039_943_036);
        assert_eq!(seed(7, true, &w, &f, 0), 7);
        let all: std::collections::BTreeSet<u64> = (0..1000).map(|r| seed(7, false, &w, &f, r)).collect();
        assert_eq!(all.len(), 1000);
        assert_ne!(seed(7, false, &w, &f, 0), seed(8, false, &w, &f, 0));
        assert_ne!(seed(7, false, &w, &f, 0), seed(7, false, &w, &[], 0));
        assert!(all.iter().all(|s| *s < 1 << 53));
    }
}
