//! How long the cluster was silent around each change of leader.

use serde_json::{Value as Json, json};
use squall_history::{History, Outcome};

use super::windows::{reigns, seconds};
use crate::{Budget, Check, Verdict};

/// The check `failover`: changes of leader, and around each the time without any `ok`: from the last `ok`
/// before the new leader was seen to the first one after. Only measures.
///
/// Figures: `leader_changes`, `changes` (each `at_seconds`, `from`, `to`, `term`, `silent_seconds`, which is
/// null where nothing was `ok` before or after), `longest_silence_seconds`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Failover;

impl Check for Failover {
    fn name(&self) -> &str {
        "failover"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut ok: Vec<u64> =
            history.ops().filter(|op| op.outcome == Outcome::Ok).map(|op| op.end).collect();
        ok.sort_unstable();
        let reigns = reigns(history);
        let mut longest = None::<u64>;
        let changes: Vec<Json> = reigns
            .windows(2)
            .map(|pair| {
                let at = pair[1].from;
                let next = ok.partition_point(|t| *t < at);
                let silent = next.checked_sub(1).and_then(|last| Some(ok.get(next)? - ok[last]));
                longest = longest.max(silent);
                json!({
                    "at_seconds": seconds(at), "from": pair[0].node, "to": pair[1].node,
                    "term": pair[1].term, "silent_seconds": silent.map(seconds),
                })
            })
            .collect();
        Verdict::valid("failover")
            .with("leader_changes", changes.len())
            .with("changes", changes)
            .with("longest_silence_seconds", longest.map(seconds))
    }
}

#[cfg(test)]
mod tests {
    use squall_history::EventKind::Ok;

    use super::*;
    use crate::run::testing::Script;

    #[test]
    fn silence_runs_from_the_last_answer_before_to_the_first_after() {
        const S: u64 = 1_000_000_000;
        let h = Script::new()
            .leader(S, "n1", 1)
            .leader(5 * S, "n2", 2)
            .leader(9 * S, "n3", 3)
            .op(0, "read", Ok, 1, 2 * S)
            .op(0, "read", Ok, 4 * S, 7 * S)
            .history();
        let d = Json::Object(Failover.check(&h, &Budget::default()).details);
        assert_eq!(d["leader_changes"], 2);
        assert_eq!(d["changes"][0]["silent_seconds"], 5.0);
        assert_eq!(d["changes"][1]["silent_seconds"], Json::Null, "nothing was ok after it");
        assert_eq!(d["longest_silence_seconds"], 5.0);
    }
}
