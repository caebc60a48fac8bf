//! A data type of one's own, judged: a register that only grows.
//!
//! `cargo run -p squall-checkers --example own-model -- HISTORY` reads a history in any format that
//! `squall check` reads. A model is its state, how an operation of the history is read, and what the
//! operation does to the state: twenty lines. Splitting by key, unanswered operations, limits of time and
//! memory, the counterexample and its words come with the library.

use std::path::Path;

use squall_checkers::linear::check_with;
use squall_checkers::models::{BadOp, Model, bad_op};
use squall_checkers::{Budget, Valid, Verdict};
use squall_history::import::{self, ImportError};
use squall_history::{History, Op};

/// `raise` to at least a number, and `read`.
struct MaxRegister;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum MaxOp {
    Raise(i64),
    Read(i64),
}

impl Model for MaxRegister {
    type State = i64;
    type Op = MaxOp;

    fn init(&self) -> i64 {
        0
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<MaxOp>, BadOp> {
        match (op.f, op.input.as_int(), op.output.as_int()) {
            ("raise", Some(n), _) => Ok(Some(MaxOp::Raise(n))),
            ("read", _, seen) => Ok(seen.map(MaxOp::Read)), // no answer: nothing was observed
            _ => Err(bad_op(op, "raise with a number, or read")),
        }
    }

    fn step(&self, state: &i64, op: &MaxOp) -> Option<i64> {
        match op {
            MaxOp::Raise(n) => Some(*state.max(n)),
            MaxOp::Read(n) => (n == state).then_some(*state),
        }
    }
}

fn judge(history: &History) -> Verdict {
    check_with(&MaxRegister, "max-register", history, true, &Budget::default())
}

fn main() -> Result<(), ImportError> {
    for file in std::env::args().skip(1) {
        let imported = import::read_file(Path::new(&file), &import::Options::default())?;
        let verdict = judge(&imported.history);
        match verdict.valid {
            Valid::Yes => println!("{file}: valid"),
            Valid::Unknown => println!("{file}: unknown: {}", verdict.reason.unwrap_or_default()),
            Valid::No => {
                verdict.anomalies.iter().for_each(|a| println!("{file}: INVALID: {}", a.explanation))
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(lines: &str) -> Verdict {
        let read = import::read(lines.as_bytes(), &import::Options::default());
        judge(&read.expect("a history").history)
    }

    #[test]
    fn what_was_read_never_falls() {
        let raises = r#"{"f": "raise", "value": 5, "start": 0, "end": 9}
{"f": "raise", "value": 3, "start": 1, "end": 4}"#;
        let read = |seen: i64| {
            judged(&format!(
                r#"{raises}
{{"f": "read", "value": {seen}, "start": 10, "end": 11}}
"#
            ))
        };
        assert_eq!(read(5).valid, Valid::Yes);
        let fallen = read(3);
        assert_eq!(fallen.valid, Valid::No);
        assert!(fallen.anomalies[0].explanation.contains("read 3"), "{:?}", fallen.anomalies);
    }
}
