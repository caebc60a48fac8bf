//! What earlier nights of a campaign say about its newest.

use std::path::Path;

use squall_reports::{Past, Results, trends, triage};

use super::night::{Night, nights};

/// Earlier nights that are looked at.
const NIGHTS: usize = 30;

/// The last nights of the same campaign before this one, the oldest first.
pub(crate) fn earlier(night: &Night) -> Vec<Night> {
    let root = night.dir.parent().and_then(Path::parent);
    let mut before: Vec<Night> = root.and_then(|r| nights(r).ok()).unwrap_or_default();
    before.retain(|n| n.campaign == night.campaign && n.time < night.time);
    before.split_off(before.len().saturating_sub(NIGHTS))
}

/// Folds nights, each with its runs, in the order of time.
pub(crate) fn past(nights: &[(String, Vec<Results>)]) -> Past {
    let each: Vec<(String, Vec<&Results>)> =
        nights.iter().map(|(label, runs)| (label.clone(), runs.iter().collect())).collect();
    let flat: Vec<(String, &Results)> =
        nights.iter().flat_map(|(label, runs)| runs.iter().map(move |r| (label.clone(), r))).collect();
    Past { signatures: triage(&each), trends: trends(&flat) }
}
