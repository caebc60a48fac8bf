//! The map of consistency models for people: the strongest that hold, the weakest that do not, and what follows.

use std::fmt::Write;

use serde_json::{Map, Value as Json};

/// Columns of a line of names.
const WIDE: usize = 110;

/// The map as lines, each with a line feed before it; nothing where a verdict has no map.
pub(super) fn told(details: &Map<String, Json>) -> String {
    let Some(models) = details.get("models").and_then(Json::as_object) else { return String::new() };
    let names = |key: &str| -> Vec<&str> {
        details.get(key).and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect()
    };
    let (strongest, weakest) = (names("strongest"), names("weakest_violated"));
    let others = |word: &str, shown: &[&str]| -> Vec<&str> {
        let of = models.iter().filter(|(_, w)| w.as_str() == Some(word)).map(|(name, _)| name.as_str());
        of.filter(|name| !shown.contains(name)).collect()
    };
    let mut out = String::new();
    group("not violated, the strongest", &strongest, &mut out);
    group("and so neither", &others("holds", &strongest), &mut out);
    group("VIOLATED, the weakest", &weakest, &mut out);
    for name in &weakest {
        let Some(found) = details.get("violations").and_then(|v| v.get(name)) else { continue };
        let text = |key: &str| found[key].as_str().unwrap_or_default();
        let _ = write!(out, "\n    {name}: {}:", text("type"));
        text("explanation").lines().for_each(|line| {
            let _ = write!(out, "\n      {line}");
        });
    }
    group("and so", &others("violated", &weakest), &mut out);
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in others("undecided", &[]) {
        let why = details.get("undecided").and_then(|u| u[name].as_str()).unwrap_or("no reason is known");
        match reasons.iter_mut().find(|(w, _)| *w == why) {
            Some((_, names)) => names.push(name),
            None => reasons.push((why, vec![name])),
        }
    }
    for (why, names) in &reasons {
        group("undecided", names, &mut out);
        let _ = write!(out, "\n    because {why}");
    }
    out
}

/// A heading and names, broken into lines.
fn group(heading: &str, names: &[&str], out: &mut String) {
    if names.is_empty() {
        return;
    }
    let mut line = format!("\n  {heading}: ");
    for (i, name) in names.iter().enumerate() {
        let end = if i + 1 < names.len() { ", " } else { "" };
        if line.len() + name.len() > WIDE {
            out.push_str(line.trim_end());
            line = "\n    ".to_owned();
        }
        line.push_str(name);
        line.push_str(end);
    }
    out.push_str(line.trim_end());
}
