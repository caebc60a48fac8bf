//! Whether values are `[key value]` tuples: decided by evidence, and never guessed.
//!
//! Jepsen's independent workloads wrap *every* value of a client, so one plain value says no, and a read of
//! `[k nil]`, or a cas of `[k [old new]]`, says yes. Pairs such as `[1 2]` fit both; if nothing else turns up,
//! or both turn up, only the person who recorded the history can tell.

use super::ImportError;
use crate::Value;

/// Whether values are `[key value]` tuples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keyed {
    /// Told by the history; an error where it does not tell.
    #[default]
    Auto,
    /// They are.
    Yes,
    /// They are not.
    No,
}

/// What one invocation's value says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Says {
    Tuple,
    Plain,
    Either,
}

/// What is known so far.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Known {
    /// Nothing yet; the first pair stood on this line, if there was one.
    Unknown { pair: Option<u64> },
    /// Known from this line; `None`: told by the caller.
    Tuples { line: Option<u64> },
    /// The same.
    Plain { line: Option<u64> },
}

/// Collects evidence.
#[derive(Debug)]
pub(crate) struct Judge {
    pub known: Known,
}

impl Judge {
    pub fn new(keyed: Keyed) -> Self {
        let known = match keyed {
            Keyed::Auto => Known::Unknown { pair: None },
            Keyed::Yes => Known::Tuples { line: None },
            Keyed::No => Known::Plain { line: None },
        };
        Judge { known }
    }

    /// Whether values are to be split as they are read.
    pub fn split(&self) -> bool {
        matches!(self.known, Known::Tuples { .. })
    }

    /// Weighs an invocation whose value was not split. Gives whether this was the moment at which values turned
    /// out to be tuples. `line` is asked only when it matters.
    pub fn weigh(&mut self, f: &str, value: &Value, line: impl Fn() -> u64) -> Result<bool, ImportError> {
        match (self.known, says(f, value)) {
            (Known::Unknown { .. }, Says::Tuple) => {
                self.known = Known::Tuples { line: Some(line()) };
                Ok(true)
            }
            (Known::Unknown { pair: None }, Says::Either) => {
                self.known = Known::Unknown { pair: Some(line()) };
                Ok(false)
            }
            (Known::Unknown { .. }, Says::Plain) => {
                self.known = Known::Plain { line: Some(line()) };
                Ok(false)
            }
            (Known::Plain { line: Some(plain) }, Says::Tuple) => Err(ImportError::Ambiguous {
                line: line(),
                what: format!(
                    "`{f} {value}` looks like a [key value] tuple, but line {plain} has a plain value"
                ),
            }),
            (Known::Tuples { line: Some(tuple) }, _) => Err(ImportError::Ambiguous {
                line: line(),
                what: format!("`{f} {value}` is a plain value, but line {tuple} has a [key value] tuple"),
            }),
            (Known::Tuples { line: None }, _) => Err(ImportError::Syntax {
                line: line(),
                column: 1,
                expected: "a [key value] tuple as value".to_owned(),
                found: format!("`{value}`"),
            }),
            (Known::Unknown { pair: Some(_) }, Says::Either)
            | (Known::Plain { .. }, Says::Either | Says::Plain)
            | (Known::Plain { line: None }, Says::Tuple) => Ok(false),
        }
    }

    /// At the end of the history: whether it never told.
    pub fn finish(&self) -> Result<(), ImportError> {
        match self.known {
            Known::Unknown { pair: Some(line) } => Err(ImportError::Ambiguous {
                line,
                what: "every value of this history is a pair, so it may be keyed or not".to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

fn says(f: &str, value: &Value) -> Says {
    let is_cas = f.contains("cas");
    match value.as_pair() {
        None => Says::Plain,
        // No key is nil, a list or a map: `[nil 1]` is a cas, `[[:r 1 nil] [:w 2 3]]` a transaction.
        Some((Value::Nil | Value::List(_) | Value::Map(_), _)) => Says::Plain,
        Some((_, Value::Nil)) if !is_cas => Says::Tuple,
        Some((_, second)) if is_cas && second.as_pair().is_some() => Says::Tuple,
        Some((_, second)) if is_transaction(second) => Says::Tuple,
        Some(_) => Says::Either,
    }
}

/// A list of lists that begin with a text: micro-operations.
pub(crate) fn is_transaction(value: &Value) -> bool {
    let is_micro = |v: &Value| matches!(v.as_list(), Some([Value::Str(_), _, ..]));
    value.as_list().is_some_and(|items| !items.is_empty() && items.iter().all(is_micro))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(items: &[Value]) -> Value {
        Value::list(items.to_vec())
    }

    #[test]
    fn what_a_value_says() {
        let (n, k) = (Value::Nil, Value::Int(3));
        let pair = list(&[1.into(), 2.into()]);
        let read = list(&["r".into(), 1.into(), Value::Nil]);
        for (f, value, expected) in [
            ("read", n.clone(), Says::Plain),
            ("write", k.clone(), Says::Plain),
            ("cas", pair.clone(), Says::Either),
            ("write", pair.clone(), Says::Either),
            ("read", list(&[k.clone(), n.clone()]), Says::Tuple),
            ("cas", list(&[k.clone(), n.clone()]), Says::Either),
            ("cas", list(&[n.clone(), k.clone()]), Says::Plain),
            ("cas", list(&[k.clone(), pair]), Says::Tuple),
            ("txn", list(&[read.clone(), read.clone()]), Says::Plain),
            ("txn", list(&[k.clone(), list(&[read])]), Says::Tuple),
            ("txn", list(&[k.clone(), k.clone(), k]), Says::Plain),
        ] {
            assert_eq!(says(f, &value), expected, "{f} {value}");
        }
    }

    #[test]
    fn evidence_on_both_sides_is_an_error() {
        let mut judge = Judge::new(Keyed::Auto);
        assert!(!judge.weigh("read", &Value::Nil, || 1).unwrap());
        let error = judge.weigh("read", &list(&[1.into(), Value::Nil]), || 2).unwrap_err();
        assert!(error.to_string().contains("--keyed"), "{error}");
        let mut told = Judge::new(Keyed::No);
        assert!(!told.weigh("read", &list(&[1.into(), Value::Nil]), || 2).unwrap());
    }
}
