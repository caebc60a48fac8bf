//! Whether the run proved anything: a verdict over nothing is not `valid` but `unknown`.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};
use squall_history::{History, Outcome};

use super::windows::{Window, windows};
use crate::{Budget, Check, Verdict};

/// The check `vacuity`: `unknown`, with the reasons, if
/// - fewer operations of a required function were `ok` in the main phase than its floor, or
/// - a fault was asked for and no operation was invoked while any fault was on, or
/// - of some kind of fault that was asked for no injection is proven to have taken effect, or none of any kind is.
///
/// A single injection without effect is a warning, and so is a kind that was drawn, not asked for, and proven by nothing.
/// Figures: `ok` (by function, in the main phase),
/// `invoked_during_faults`, `effective` (by kind: `injections`, `effective`).
#[derive(Clone, Debug, Default)]
pub struct Vacuity {
    /// Function and the least number of `ok` operations of it in the main phase.
    pub floors: Vec<(String, u64)>,
    /// Kinds of fault that the run was meant to have; `none` is no fault.
    pub faults: Vec<String>,
}

impl Check for Vacuity {
    fn name(&self) -> &str {
        "vacuity"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let windows = windows(history);
        let kinds = self.kinds(&windows);
        let mut reasons = Vec::new();
        let ok = ok_in_main_phase(history);
        for (f, floor) in &self.floors {
            let found = ok.get(f.as_str()).copied().unwrap_or(0);
            if found < *floor {
                reasons.push(format!("only {found} `{f}` were ok in the main phase, of at least {floor}"));
            }
        }
        let during = invoked_during(history, &windows);
        if !kinds.is_empty() && during == 0 {
            reasons.push("no operation was invoked while a fault was on".into());
        }
        let any = kinds.values().any(|(_, effective)| *effective > 0);
        let mut warnings = Vec::new();
        for (kind, (all, effective)) in &kinds {
            let asked = self.faults.iter().any(|f| f == kind);
            match (all, effective) {
                (0, _) => reasons.push(format!("`{kind}` was never injected")),
                (_, 0) => {
                    let text = format!("none of {all} `{kind}` is proven to have taken effect");
                    if asked || !any { reasons.push(text) } else { warnings.push(text) }
                }
                _ => {}
            }
        }
        let mut verdict = match reasons.is_empty() {
            true => Verdict::valid("vacuity"),
            false => Verdict::unknown("vacuity", reasons.join("; ")),
        };
        verdict.warnings = warnings;
        for w in windows.iter().filter(|w| w.effective() == Some(false)) {
            let Window { begin, .. } = w;
            verdict.warnings.push(format!("fault {} (`{}`) took no effect", begin.id, begin.kind));
        }
        let effective = kinds.into_iter().map(|(kind, (all, effective))| {
            (kind.to_owned(), json!({"injections": all, "effective": effective}))
        });
        let effective: Map<String, Json> = effective.collect();
        verdict.with("ok", json!(ok)).with("invoked_during_faults", during).with("effective", effective)
    }
}

impl Vacuity {
    /// Injections of each kind, and how many of them are proven to have taken effect.
    fn kinds<'a>(&'a self, windows: &[Window<'a>]) -> BTreeMap<&'a str, (u64, u64)> {
        let asked = self.faults.iter().map(|k| (k.as_str(), (0, 0)));
        let mut kinds: BTreeMap<&str, (u64, u64)> = asked.collect();
        for w in windows {
            let (all, effective) = kinds.entry(&w.begin.kind).or_default();
            *all += 1;
            *effective += u64::from(w.effective() == Some(true));
        }
        kinds.remove("none");
        kinds
    }
}

fn ok_in_main_phase(history: &History) -> BTreeMap<&str, u64> {
    let (from, to) = history.main_phase();
    let mut counts = vec![0u64; history.functions().len()];
    for op in history.ops().filter(|op| op.outcome == Outcome::Ok && (from..to).contains(&op.start)) {
        counts[op.f_id as usize] += 1;
    }
    history.functions().iter().map(|f| &**f).zip(counts).collect()
}

/// Operations whose invocation lies in a window. Windows may overlap and there may be many, so they are
/// merged first and walked beside the operations.
fn invoked_during(history: &History, windows: &[Window<'_>]) -> u64 {
    let mut spans: Vec<(u64, u64)> = Vec::new();
    for w in windows.iter().filter(|w| w.begin.kind != "none") {
        match spans.last_mut() {
            Some(last) if w.from() <= last.1 => last.1 = last.1.max(w.to()),
            _ => spans.push((w.from(), w.to())),
        }
    }
    let inside = |start: u64| {
        let at = spans.partition_point(|s| s.0 <= start);
        at > 0 && start < spans[at - 1].1
    };
    history.ops().filter(|op| inside(op.start)).count() as u64
}

#[cfg(test)]
mod tests {
    use squall_history::EventKind::{Fail, Ok};

    use super::*;
    use crate::Valid;
    use crate::run::testing::Script;

    fn judged(vacuity: &Vacuity, script: Script) -> Verdict {
        vacuity.check(&script.history(), &Budget::default())
    }

    #[test]
    fn too_few_operations_of_a_required_function_in_the_main_phase() {
        let script = || {
            let script = Script::new().phase(0, "warm-up").phase(10, "main").phase(90, "heal");
            script.op(0, "read", Ok, 1, 2).op(0, "read", Ok, 11, 12).op(0, "write", Fail, 13, 14)
        };
        let floor = |f: &str, n| Vacuity { floors: vec![(f.into(), n)], faults: vec![] };
        assert_eq!(judged(&floor("read", 1), script()).valid, Valid::Yes);
        let v = judged(&floor("read", 2), script());
        assert_eq!(v.valid, Valid::Unknown, "the warm-up does not count");
        assert_eq!(v.reason.unwrap(), "only 1 `read` were ok in the main phase, of at least 2");
        assert_eq!(judged(&floor("write", 1), script()).valid, Valid::Unknown);
        assert_eq!(judged(&floor("cas", 1), script()).valid, Valid::Unknown);
    }

    #[test]
    fn a_fault_must_have_met_operations() {
        let v = Vacuity::default();
        let script = || Script::new().op(0, "read", Ok, 1, 2).op(0, "read", Ok, 50, 51);
        let idle = script().fault(10, 1, "kill", &["n1"]).heal(40, 1, Some(true));
        assert_eq!(judged(&v, idle).reason.unwrap(), "no operation was invoked while a fault was on");
        let busy = script().fault(10, 1, "kill", &["n1"]).heal(60, 1, Some(true));
        let busy = judged(&v, busy);
        assert_eq!((busy.valid, &busy.details["invoked_during_faults"]), (Valid::Yes, &json!(1)));
    }

    #[test]
    fn a_kind_needs_one_effective_injection_and_a_single_dud_only_warns() {
        let v = Vacuity { floors: vec![], faults: vec!["partition".into(), "none".into()] };
        let script = || Script::new().op(0, "read", Ok, 11, 12).op(0, "read", Ok, 31, 32);
        let dud = || script().fault(10, 1, "partition", &["n1"]).heal(20, 1, Some(false));
        assert_eq!(judged(&v, dud()).reason.unwrap(), "none of 1 `partition` is proven to have taken effect");
        let both = judged(&v, dud().fault(30, 2, "partition", &["n2"]).heal(40, 2, Some(true)));
        assert_eq!((both.valid, both.warnings.len()), (Valid::Yes, 1));
        let unproven = dud().fault(30, 2, "partition", &["n2"]).heal(40, 2, None);
        assert_eq!(judged(&v, unproven).valid, Valid::Unknown, "what was not measured is not assumed");
        assert!(judged(&v, script()).reason.unwrap().contains("`partition` was never injected"));
    }

    #[test]
    fn a_kind_that_was_drawn_only_warns_as_long_as_anything_is_proven() {
        let drawn = |proven| {
            let script = Script::new().op(0, "read", Ok, 11, 12).op(0, "read", Ok, 31, 32);
            let script = script.fault(10, 1, "cpu", &["n1"]).heal(20, 1, None);
            script.fault(30, 2, "kill", &["n2"]).heal(40, 2, proven)
        };
        let (asked, drawn_only) =
            (Vacuity { floors: vec![], faults: vec!["cpu".into()] }, Vacuity::default());
        let verdict = judged(&drawn_only, drawn(Some(true)));
        assert_eq!(verdict.valid, Valid::Yes);
        assert_eq!(verdict.warnings, ["none of 1 `cpu` is proven to have taken effect"]);
        assert_eq!(judged(&asked, drawn(Some(true))).valid, Valid::Unknown);
        assert_eq!(judged(&drawn_only, drawn(None)).valid, Valid::Unknown, "nothing at all is proven");
    }
}
