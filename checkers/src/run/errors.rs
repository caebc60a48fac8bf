//! What went wrong, grouped: the row of the client's error table that decided, or the raw error without one.

use rustc_hash::FxHashMap;
use serde_json::{Value as Json, json};
use squall_history::{History, Outcome};

use crate::{Budget, Check, Verdict};

/// Groups that are listed; the rest is counted.
const LISTED: usize = 100;
/// Characters of an error that tell groups apart where no row does.
const TOLD_APART_BY: usize = 120;

/// The check `errors`: operations that did not end `ok`, by function, outcome and reason, most frequent first.
///
/// Each group of `errors` has `f`, `outcome`, `reason`, `count`, `example` (a raw error) and
/// `first_operation`. Only measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct Errors;

struct Group {
    count: u64,
    first: u32,
    example: String,
}

impl Check for Errors {
    fn name(&self) -> &str {
        "errors"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let mut groups: FxHashMap<(u16, Outcome, String), Group> = FxHashMap::default();
        for op in history.ops().filter(|op| op.outcome != Outcome::Ok) {
            let meta = history.meta(op.index as usize);
            let error = meta.and_then(|m| m.error.as_deref());
            let row = meta.and_then(|m| m.row.as_deref());
            let open = if op.end == u64::MAX { "still open when the log ended" } else { "no reason noted" };
            let reason: String = row.or(error).unwrap_or(open).chars().take(TOLD_APART_BY).collect();
            let group = groups.entry((op.f_id, op.outcome, reason)).or_insert_with(|| Group {
                count: 0,
                first: op.index,
                example: error.unwrap_or_default().to_owned(),
            });
            group.count += 1;
        }
        let mut groups: Vec<_> = groups.into_iter().collect();
        groups.sort_by_key(|(_, g)| (std::cmp::Reverse(g.count), g.first));
        let unlisted = groups.len().saturating_sub(LISTED);
        let listed: Vec<Json> = groups
            .into_iter()
            .take(LISTED)
            .map(|((f, outcome, reason), g)| {
                json!({
                    "f": *history.functions()[f as usize],
                    "outcome": if outcome == Outcome::Fail { "fail" } else { "info" },
                    "reason": reason, "count": g.count, "example": g.example, "first_operation": g.first,
                })
            })
            .collect();
        Verdict::valid("errors").with("errors", listed).with("unlisted", unlisted)
    }
}

#[cfg(test)]
mod tests {
    use squall_history::EventKind::{Fail, Info, Ok};
    use squall_history::Meta;

    use super::*;
    use crate::run::testing::Script;

    #[test]
    fn errors_are_grouped_by_the_row_that_decided() {
        let meta = |error: &str, row: Option<&'static str>| {
            Some(Meta { error: Some(error.into()), row: row.map(Into::into), ..Meta::default() })
        };
        let h = Script::new()
            .op(0, "read", Ok, 1, 2)
            .op_with(0, "write", Fail, 3, 4, meta("refused by 10.0.0.1:1", Some("connect")))
            .op_with(0, "write", Fail, 5, 6, meta("refused by 10.0.0.1:2", Some("connect")))
            .op_with(0, "write", Info, 7, 8, meta("timed out", None))
            .history();
        let errors = &Errors.check(&h, &Budget::default()).details["errors"];
        assert_eq!(errors.as_array().unwrap().len(), 2);
        assert_eq!(errors[0]["count"], 2);
        assert_eq!(errors[0]["reason"], "connect");
        assert_eq!(errors[0]["example"], "refused by 10.0.0.1:1");
        assert_eq!((&errors[1]["reason"], &errors[1]["first_operation"]), (&json!("timed out"), &json!(3)));
    }
}
