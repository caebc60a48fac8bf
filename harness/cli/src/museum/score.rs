//! The score: a fold over findings.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::exhibit::NONE;
use super::finding::Finding;
use crate::Exit;

/// One bug's row.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Row {
    /// The bug.
    pub bug: String,
    /// What clients did.
    pub workload: String,
    /// What was done to the cluster.
    pub faults: Vec<String>,
    /// In how many runs it was found.
    pub found: usize,
    /// Of how many.
    pub runs: usize,
    /// Runs that broke; they are not among `runs`.
    pub broken: usize,
    /// Middle time to find it, over the runs that did.
    pub median_seconds: Option<f64>,
    /// Longest time to find it.
    pub max_seconds: Option<f64>,
    /// Types of anomalies, over all runs.
    pub anomalies: BTreeSet<String>,
    /// What was done to the cluster in the run that found it first.
    pub schedule: Vec<String>,
}

/// The whole score.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Score {
    /// [`squall_history::SCHEMA_VERSION`].
    pub schema_version: u32,
    /// Bugs that were found in nine of ten of their runs.
    pub found: usize,
    /// Bugs with any run.
    pub bugs: usize,
    /// A row for each of them.
    pub exhibits: Vec<Row>,
}

impl Row {
    /// In nine of ten; in the correct store nothing in any.
    fn reliably(&self) -> bool {
        if self.bug == NONE {
            return self.found == 0;
        }
        self.runs > 0 && self.found * 10 >= self.runs * 9
    }
}

impl Score {
    /// In the order of the exhibits: `bugs`.
    pub(super) fn of(bugs: &[&str], findings: &[Finding]) -> Score {
        let mut by_bug: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            by_bug.entry(&finding.bug).or_default().push(finding);
        }
        let exhibits: Vec<Row> =
            bugs.iter().filter_map(|bug| by_bug.get(bug).map(|found| row(bug, found))).collect();
        Score {
            schema_version: squall_history::SCHEMA_VERSION,
            found: exhibits.iter().filter(|r| r.bug != NONE && r.reliably()).count(),
            bugs: exhibits.iter().filter(|r| r.bug != NONE).count(),
            exhibits,
        }
    }

    /// What the score means for the caller.
    pub(super) fn exit(&self) -> Exit {
        if self.exhibits.iter().any(|r| !r.reliably() && r.runs > 0) {
            return Exit::Invalid;
        }
        let broke = self.exhibits.iter().any(|r| r.broken > 0);
        if broke { Exit::Broken } else { Exit::Valid }
    }

    /// A table that is Markdown as well.
    pub(super) fn table(&self) -> String {
        let header = ["bug", "workload", "faults", "found", "median s", "longest s", "anomalies"];
        let mut cells: Vec<Vec<String>> = vec![header.map(str::to_owned).to_vec()];
        let seconds = |s: Option<f64>| s.map_or("–".to_owned(), |s| format!("{s:.1}"));
        for r in &self.exhibits {
            let broken = if r.broken > 0 { format!(" ({} broke)", r.broken) } else { String::new() };
            cells.push(vec![
                r.bug.clone(),
                r.workload.clone(),
                if r.faults.is_empty() { "none".to_owned() } else { r.faults.join(", ") },
                format!("{} of {}{broken}", r.found, r.runs),
                seconds(r.median_seconds),
                seconds(r.max_seconds),
                first_of(&r.anomalies),
            ]);
        }
        let widths: Vec<usize> = (0..header.len())
            .map(|column| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        let mut text = String::new();
        for (i, row) in cells.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                text.push_str(&format!("| {cell:width$} "));
            }
            text.push_str("|\n");
            if i == 0 {
                widths.iter().for_each(|width| text.push_str(&format!("| {} ", "-".repeat((*width).max(3)))));
                text.push_str("|\n");
            }
        }
        text.push_str(&format!("\n{} of {} bugs found in at least 9 of 10 runs\n", self.found, self.bugs));
        text
    }
}

/// The names, without those that only say more of another (`G0-realtime` beside `G0`), a few at most.
fn first_of(anomalies: &BTreeSet<String>) -> String {
    const SHOWN: usize = 4;
    let more = |a: &String| {
        ["-process", "-realtime"].iter().any(|end| a.strip_suffix(end).is_some_and(|a| anomalies.contains(a)))
    };
    let plain: Vec<&str> = anomalies.iter().filter(|a| !more(a)).map(String::as_str).collect();
    let mut text = plain[..plain.len().min(SHOWN)].join(", ");
    if plain.len() > SHOWN {
        text.push_str(", …");
    }
    text
}

fn row(bug: &str, findings: &[&Finding]) -> Row {
    let whole: Vec<&&Finding> = findings.iter().filter(|f| !f.broken).collect();
    let mut times: Vec<f64> = whole.iter().filter(|f| f.found).map(|f| f.seconds).collect();
    times.sort_by(f64::total_cmp);
    let median = match times.len() {
        0 => None,
        n if n % 2 == 1 => Some(times[n / 2]),
        n => Some((times[n / 2 - 1] + times[n / 2]) / 2.0),
    };
    let found = whole.iter().filter(|f| f.found);
    let first = found.min_by(|a, b| a.seconds.total_cmp(&b.seconds));
    Row {
        bug: bug.to_owned(),
        schedule: first.map_or_else(Vec::new, |f| f.harms.clone()),
        workload: findings.first().map_or(String::new(), |f| f.workload.clone()),
        faults: findings.first().map_or_else(Vec::new, |f| f.faults.clone()),
        found: times.len(),
        runs: whole.len(),
        broken: findings.len() - whole.len(),
        median_seconds: median,
        max_seconds: times.last().copied(),
        anomalies: whole.iter().flat_map(|f| f.anomalies.iter().cloned()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(bug: &str, seed: u64, found: bool, seconds: f64) -> Finding {
        Finding {
            bug: bug.into(),
            seed,
            plan: String::new(),
            workload: "register".into(),
            faults: vec!["kill".into()],
            found,
            seconds,
            anomalies: if found { vec!["nonlinearizable".into()] } else { vec![] },
            harms: vec!["1.0 s kill: killed n2".into()],
            broken: false,
            reason: String::new(),
        }
    }

    #[test]
    fn a_bug_counts_as_found_in_nine_of_ten() {
        let mut findings: Vec<Finding> = (0..10).map(|s| finding("a", s, s != 3, s as f64)).collect();
        let score = Score::of(&["b", "a"], &findings);
        assert_eq!((score.found, score.bugs), (1, 1));
        let row = &score.exhibits[0];
        assert_eq!((row.found, row.runs, row.median_seconds, row.max_seconds), (9, 10, Some(5.0), Some(9.0)));
        assert_eq!(score.exit(), Exit::Valid);
        findings[4].found = false;
        let score = Score::of(&["a"], &findings);
        assert_eq!((score.found, score.exit()), (0, Exit::Invalid));
    }

    #[test]
    fn in_the_correct_store_one_finding_is_one_too_many() {
        let mut findings: Vec<Finding> = (0..10).map(|s| finding(NONE, s, false, 60.0)).collect();
        let score = Score::of(&[NONE], &findings);
        assert_eq!((score.found, score.bugs, score.exit()), (0, 0, Exit::Valid));
        findings[7].found = true;
        assert_eq!(Score::of(&[NONE], &findings).exit(), Exit::Invalid);
    }

    #[test]
    fn a_cell_of_the_table_stays_short() {
        let names = |names: &[&str]| names.iter().map(|n| n.to_string()).collect::<BTreeSet<_>>();
        assert_eq!(first_of(&names(&["G0", "G0-process", "G1c-realtime"])), "G0, G1c-realtime");
        assert_eq!(first_of(&names(&["a", "b", "c", "d", "e"])), "a, b, c, d, …");
    }

    #[test]
    fn runs_that_broke_say_nothing_of_the_bug_but_are_said() {
        let mut findings = vec![finding("a", 1, true, 2.0), finding("a", 2, false, 0.0)];
        findings[1].broken = true;
        let score = Score::of(&["a"], &findings);
        assert_eq!((score.exhibits[0].runs, score.exhibits[0].broken), (1, 1));
        assert_eq!(score.exit(), Exit::Broken);
        assert!(score.table().contains("1 of 1 (1 broke)"), "{}", score.table());
    }
}
