//! Whether the cluster served again after everything was healed, and how long that took.
//!
//! Liveness, and reported apart from safety: whoever combines verdicts decides whether it fails the run. An
//! interrupted run that never came to its healing is not held against the target.

use serde_json::{Map, Value as Json};
use squall_history::{History, Outcome};

use super::windows::{node_of, seconds};
use crate::{Anomaly, Budget, Check, Valid, Verdict};

/// The check `recovery`. The note of kind `recovery` decides; without one, the first `ok` of each node after
/// the phase `heal`.
///
/// Figures: `recovered` (null if it was not observed), `recovery_seconds`, `first_ok_seconds` (per node,
/// since the healing; null where nothing was `ok`).
#[derive(Clone, Copy, Debug, Default)]
pub struct Recovery;

impl Check for Recovery {
    fn name(&self) -> &str {
        "recovery"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let healed = history.phase_start("heal");
        let nodes = healed.map(|healed| first_ok(history, healed)).unwrap_or_default();
        let (verdict, recovered, took) = match (noted(history), healed) {
            (Some((recovered, took)), _) => (judge(history, recovered), Some(recovered), took),
            (None, None) => {
                let mut verdict = Verdict::valid("recovery");
                verdict.warnings.push("the log has no healing, so recovery was not observed".into());
                (verdict, None, None)
            }
            (None, Some(_)) => {
                let times: Option<Vec<f64>> = nodes.values().map(Json::as_f64).collect();
                match times {
                    Some(times) if !times.is_empty() => {
                        (Verdict::valid("recovery"), Some(true), times.into_iter().reduce(f64::max))
                    }
                    _ => {
                        let why = "the log ends after the healing, before every node had answered";
                        (Verdict::unknown("recovery", why), None, None)
                    }
                }
            }
        };
        verdict.with("recovered", recovered).with("recovery_seconds", took).with("first_ok_seconds", nodes)
    }
}

fn noted(history: &History) -> Option<(bool, Option<f64>)> {
    let note = history.notes.iter().rev().find(|n| n.kind == "recovery")?;
    let took = note.data.get("seconds").and_then(Json::as_f64);
    Some((note.data.get("recovered")?.as_bool()?, took))
}

fn judge(history: &History, recovered: bool) -> Verdict {
    if recovered {
        return Verdict::valid("recovery");
    }
    let target = history.run.as_ref().map_or("", |r| r.target.as_str());
    let note = history.notes.iter().rev().find(|n| n.kind == "recovery").map_or("", |n| n.text.as_str());
    let explanation = format!(
        "After every fault was healed the cluster did not serve again within the limit.{}{note}",
        if note.is_empty() { "" } else { " " }
    );
    let anomaly = Anomaly {
        kind: "not-recovered".into(),
        signature: format!("recovery/not-recovered/{target}"),
        explanation,
        operations: Vec::new(),
        details: Map::new(),
    };
    Verdict {
        reason: Some("the cluster did not recover after healing".into()),
        valid: Valid::No,
        ..Verdict::from_anomalies("recovery", vec![anomaly])
    }
}

/// Seconds from the healing to the first `ok` of each node that was ever asked, by name.
fn first_ok(history: &History, healed: u64) -> Map<String, Json> {
    let mut first: std::collections::BTreeMap<&str, Option<u64>> = std::collections::BTreeMap::new();
    for op in history.ops() {
        let Some(node) = node_of(history, &op) else { continue };
        let best = first.entry(node).or_default();
        if op.outcome == Outcome::Ok && op.start >= healed {
            *best = Some(best.map_or(op.end, |b| b.min(op.end)));
        }
    }
    let since = |end: Option<u64>| end.map_or(Json::Null, |end| seconds(end - healed).into());
    first.into_iter().map(|(node, end)| (node.to_owned(), since(end))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use squall_history::EventKind::{Info, Ok};

    use super::*;
    use crate::run::testing::Script;

    const S: u64 = 1_000_000_000;

    fn script() -> Script {
        Script::new().process(0, "n1").process(1, "n2").op(1, "read", Ok, 1, 2)
    }

    #[test]
    fn a_note_decides() {
        let note = |ok: bool| [("recovered", json!(ok)), ("seconds", json!(1.5))];
        let good = script().note(9, "recovery", None, &note(true)).history();
        let v = Recovery.check(&good, &Budget::default());
        assert_eq!((v.valid, &v.details["recovery_seconds"]), (Valid::Yes, &json!(1.5)));
        let bad = script().note(9, "recovery", None, &note(false)).history();
        let v = Recovery.check(&bad, &Budget::default());
        assert_eq!((v.valid, v.anomalies.len()), (Valid::No, 1));
        assert_eq!(v.details["recovered"], false);
    }

    #[test]
    fn without_a_note_every_node_must_have_answered_after_the_healing() {
        let healed = || script().phase(2 * S, "heal").op(0, "read", Ok, 3 * S, 4 * S);
        let v = Recovery.check(&healed().history(), &Budget::default());
        assert_eq!(v.valid, Valid::Unknown, "n2 never answered");
        assert_eq!(v.details["first_ok_seconds"], json!({"n1": 2.0, "n2": null}));
        let h = healed().op(1, "read", Info, 3 * S, 4 * S).op(1, "read", Ok, 5 * S, 6 * S).history();
        let v = Recovery.check(&h, &Budget::default());
        assert_eq!((v.valid, &v.details["recovery_seconds"]), (Valid::Yes, &json!(4.0)));
    }

    #[test]
    fn a_run_that_was_never_healed_is_not_convicted() {
        let v = Recovery.check(&script().history(), &Budget::default());
        assert_eq!((v.valid, v.warnings.len(), &v.details["recovered"]), (Valid::Yes, 1, &Json::Null));
    }
}
