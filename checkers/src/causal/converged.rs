//! Eventual convergence: once writing has stopped, everybody reads the same, and nothing acknowledged is gone.
//!
//! Final reads of a key are those that began when every write of it was over. They must agree, and must not
//! return what an acknowledged write certainly overwrote. Writes of unknown outcome may still arrive, so a
//! difference that one of them explains is undecided.

use squall_history::{History, Outcome, Value};

use super::columns::{INITIAL, Plain, plain};
use crate::{Anomaly, Budget, Check, Valid, Verdict};

/// Judges the last reads of every key.
#[derive(Clone, Debug)]
pub struct Convergence {
    /// The value of every key before the first write.
    pub initial: Value,
}

impl Check for Convergence {
    fn name(&self) -> &str {
        "convergence"
    }

    fn check(&self, history: &History, _: &Budget) -> Verdict {
        let p = plain(history, &self.initial);
        let mut writers: Vec<Vec<u32>> = vec![Vec::new(); p.keys.len()];
        for t in 0..p.len() as u32 {
            p.writes_of(t).iter().for_each(|&key| writers[key as usize].push(t));
        }
        let over: Vec<u32> = writers
            .iter()
            .map(|w| {
                let ends = w.iter().map(|&t| p.txns[t as usize]).filter(|t| t.outcome == Outcome::Ok);
                ends.map(|t| t.completed).max().unwrap_or(0)
            })
            .collect();
        // Of each key: (reader, whom it read).
        let mut last: Vec<Vec<(u32, u32)>> = vec![Vec::new(); p.keys.len()];
        for t in 0..p.len() as u32 {
            for r in p.reads_of(t).iter().filter(|r| p.txns[t as usize].invoked > over[r.key as usize]) {
                last[r.key as usize].push((t, r.from));
            }
        }
        let (mut found, mut open) = (Vec::new(), None);
        for key in 0..p.keys.len() {
            judge_key(&p, key as u32, &last[key], &writers[key], &mut found, &mut open);
        }
        let reads: usize = last.iter().map(Vec::len).sum();
        let mut verdict = Verdict::from_anomalies("convergence", found).with("final_reads", reads);
        if verdict.valid == Valid::Yes && (reads == 0 || open.is_some()) {
            verdict.valid = Valid::Unknown;
            verdict.reason =
                Some(open.unwrap_or_else(|| "nothing was read after writing had stopped".to_owned()));
        }
        verdict
    }
}

fn judge_key(
    p: &Plain,
    key: u32,
    reads: &[(u32, u32)],
    writers: &[u32],
    found: &mut Vec<Anomaly>,
    open: &mut Option<String>,
) {
    let index = |t: u32| p.txns[t as usize].index;
    let name = p.keys.name(key);
    let value = |from: u32| match from {
        INITIAL => "the initial value".to_owned(),
        w => p.value(w, key).unwrap_or_default().to_string(),
    };
    let mut add = |kind: &str, text: String, mut operations: Vec<u32>| {
        operations.sort_unstable();
        found.push(Anomaly {
            kind: kind.to_owned(),
            signature: format!("convergence/{kind}"),
            explanation: text,
            operations,
            details: serde_json::Map::new(),
        });
    };
    let unsure = |from: u32| from != INITIAL && p.txns[from as usize].outcome != Outcome::Ok;
    if let Some((first, rest)) = reads.split_first()
        && let Some(other) = rest.iter().find(|r| r.1 != first.1)
    {
        if reads.iter().any(|r| unsure(r.1)) {
            *open = Some(format!(
                "a write of key {name} whose outcome is unknown may have arrived between reads"
            ));
        } else {
            let text = format!(
                "When writing had stopped, #{} read {} from key {name}, and #{} read {}.",
                index(first.0),
                value(first.1),
                index(other.0),
                value(other.1)
            );
            add("divergence", text, vec![index(first.0), index(other.0)]);
        }
    }
    for &(reader, from) in reads {
        let newer = writers.iter().find(|&&w| {
            let w = p.txns[w as usize];
            w.outcome == Outcome::Ok && (from == INITIAL || p.txns[from as usize].completed < w.invoked)
        });
        if let Some(&lost) = newer {
            let text = format!(
                "When writing had stopped, #{} read {} from key {name}; #{} had overwritten that with {}.",
                index(reader),
                value(from),
                index(lost),
                value(lost)
            );
            add("lost-write", text, vec![index(reader), index(lost)]);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::r#gen::{Recorder, micro};
    use squall_history::EventKind::{Info, Invoke, Ok};

    /// (process, function, value, acknowledged)
    fn judge(ops: &[(u32, &str, Option<i64>, bool)]) -> (Valid, Vec<String>) {
        let mut recorder = Recorder::default();
        for &(process, f, v, ok) in ops {
            let value = Value::list([micro(f, 1, v.into())]);
            recorder.push(Invoke, process, "txn", value.clone());
            recorder.push(if ok { Ok } else { Info }, process, "txn", value);
        }
        let v = Convergence { initial: Value::Nil }.check(&recorder.finish(), &Budget::default());
        (v.valid, v.anomalies.into_iter().map(|a| a.kind).collect())
    }

    #[test]
    fn final_reads_agree_and_hold_what_was_acknowledged() {
        let (w1, w2) = ((0, "w", Some(1), true), (0, "w", Some(2), true));
        let read = |process, v| (process, "r", v, true);
        assert_eq!(judge(&[w1, w2, read(1, Some(2)), read(2, Some(2))]).0, Valid::Yes);
        assert_eq!(judge(&[w1, read(1, None), w2, read(1, Some(2))]).0, Valid::Yes);
        let (valid, kinds) = judge(&[w1, w2, read(1, Some(2)), read(2, Some(1))]);
        assert_eq!((valid, kinds), (Valid::No, vec!["divergence".to_owned(), "lost-write".to_owned()]));
        assert_eq!(judge(&[w1, read(1, None)]).1, ["lost-write"]);
        let unknown = (3, "w", Some(3), false);
        assert_eq!(judge(&[w1, unknown, read(1, Some(1)), read(2, Some(3))]).0, Valid::Unknown);
        assert_eq!(judge(&[w1]).0, Valid::Unknown);
    }
}
