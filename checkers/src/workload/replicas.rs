//! Replicas: nodes that hold the same revision hold the same data.
//!
//! Function: `digest`, whose key is a node, whose argument is a revision, and whose answer is `[digest, base]`: what
//! the node's own state up to that revision comes to, `null` if it has no such revision although it has everything
//! that was acknowledged; and `base`, from where it counts (what is compacted away is not in it). Only digests of the
//! same revision from the same base can be compared.

use std::collections::BTreeMap;

use squall_history::{History, Outcome, Value};

use super::report::{anomaly, few};
use crate::{Budget, Check, Verdict};

/// See the module.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replicas;

const NAME: &str = "replicas";

/// What a node said.
struct Said<'a> {
    node: &'a Value,
    digest: &'a Value,
    base: &'a Value,
    by: u32,
}

impl Said<'_> {
    fn can_be_compared_with(&self, other: &Said<'_>) -> bool {
        // Whoever has no such revision differs from everybody who has.
        let missing = self.digest.is_nil() || other.digest.is_nil();
        self.node != other.node && (missing || self.base == other.base)
    }

    fn text(&self) -> String {
        match self.digest {
            Value::Nil => format!("node {} has no such revision (#{})", self.node, self.by),
            digest => format!("node {} has {digest} (#{})", self.node, self.by),
        }
    }
}

impl Check for Replicas {
    fn name(&self) -> &str {
        NAME
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut said: BTreeMap<&Value, Vec<Said<'_>>> = BTreeMap::new();
        let (mut count, mut compared, mut found) = (0, 0, Vec::new());
        for op in history.ops().filter(|op| op.f == "digest" && op.outcome == Outcome::Ok) {
            let Some((digest, base)) = op.output.as_pair() else {
                return Verdict::unknown(
                    NAME,
                    format!("#{} is no `digest` as this check knows them", op.index),
                );
            };
            count += 1;
            let before = said.entry(op.input).or_default();
            let this = Said { node: op.key, digest, base, by: op.index };
            if let Some(other) = before.iter().find(|other| this.can_be_compared_with(other)) {
                compared += 1;
                if other.digest != digest {
                    let text = format!("At revision {}, {} and {}.", op.input, other.text(), this.text());
                    found.push(anomaly(NAME, "diverged-replicas", text, vec![other.by, this.by]));
                }
            }
            before.push(this);
        }
        let errors = found.len();
        let verdict = if compared == 0 {
            Verdict::unknown(NAME, "no two nodes said what they hold at the same revision")
        } else {
            Verdict::from_anomalies(NAME, few(found))
        };
        verdict.with("digest_count", count).with("compared_count", compared).with("error_count", errors)
    }
}

#[cfg(test)]
mod tests {
    use squall_history::{Builder, Event, EventKind, Order};

    use super::*;
    use crate::Valid;

    /// (node, revision, answer)
    fn judged(digests: &[(i64, i64, &str)]) -> (Valid, usize) {
        let mut builder = Builder::new(Order::AsGiven);
        let mut time = 0;
        for &(node, revision, answer) in digests {
            for (kind, value) in
                [(EventKind::Invoke, revision.into()), (EventKind::Ok, serde_json::from_str(answer).unwrap())]
            {
                time += 1;
                let (f, key) = ("digest".into(), node.into());
                let event = Event { kind, process: 0, time, intended: time, f, key, value, meta: None };
                builder.push(event).unwrap();
            }
        }
        let verdict = Replicas.check(&builder.finish().unwrap(), &Budget::default());
        (verdict.valid, verdict.anomalies.len())
    }

    #[test]
    fn only_the_same_revision_from_the_same_base_is_compared() {
        assert_eq!(judged(&[(0, 9, "[5,1]"), (1, 9, "[5,1]"), (2, 9, "[5,1]")]), (Valid::Yes, 0));
        assert_eq!(judged(&[(0, 9, "[5,1]"), (1, 9, "[6,1]"), (2, 9, "[7,1]")]), (Valid::No, 2));
        assert_eq!(judged(&[(0, 9, "[5,1]"), (1, 9, "[null,0]")]), (Valid::No, 1));
        assert_eq!(judged(&[(0, 9, "[5,1]"), (1, 8, "[6,1]")]), (Valid::Unknown, 0));
        assert_eq!(judged(&[(0, 9, "[5,1]"), (1, 9, "[6,3]")]), (Valid::Unknown, 0));
        assert_eq!(judged(&[(0, 9, "[5,1]"), (0, 9, "[6,1]")]), (Valid::Unknown, 0), "one node alone");
        assert_eq!(judged(&[]), (Valid::Unknown, 0));
    }
}
