//! Why an operation may be missing from a certificate.

use std::collections::BTreeSet;

use squall_history::{Op, Value};

use super::sequential::Kind;

/// An operation that the certificate lists.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listed<'a> {
    pub op: Op<'a>,
    /// It counts as one that may take effect at any time after its invocation, or never.
    pub open: bool,
}

/// What the listed operations leave to say about one that is not listed.
pub(super) struct Absence<'a> {
    kind: &'a Kind,
    any_start: bool,
    /// The latest completion and the earliest invocation of listed operations that are not open.
    end: u32,
    begin: u32,
    /// Values that a listed operation observes or names.
    observed: BTreeSet<&'a Value>,
    anything_else: bool,
    /// Whether an element goes in at all.
    puts: bool,
}

impl<'a> Absence<'a> {
    pub(super) fn new(kind: &'a Kind, any_start: bool, listed: &[Listed<'a>]) -> Self {
        let closed = || listed.iter().filter(|l| !l.open).map(|l| l.op);
        let mut observed = BTreeSet::new();
        let (mut anything_else, mut puts) = (false, false);
        for Listed { op, .. } in listed {
            match (op.f, op.input.as_pair()) {
                ("read" | "get", _) => _ = observed.insert(op.output),
                ("cas", _) if op.output.as_str() == Some("mismatch") => anything_else = true,
                ("cas", Some((old, _))) => _ = observed.insert(old),
                ("enqueue" | "push", _) => {
                    observed.insert(op.input);
                    puts = true;
                }
                ("dequeue" | "pop", _) => _ = observed.insert(op.output),
                _ => {}
            }
        }
        Absence {
            kind,
            any_start,
            end: closed().map(|op| op.completed).max().unwrap_or(0),
            begin: closed().map(|op| op.invoked).min().unwrap_or(0),
            observed,
            anything_else,
            puts,
        }
    }

    /// Whether leaving the operation out can only have made more orders legal.
    pub(super) fn may_be_absent(&self, op: &Op<'_>) -> bool {
        let after = op.invoked > self.end;
        let past = self.any_start && op.completed < self.begin;
        self.kind.says_nothing(op) || self.kind.only_looks(op) || after || past || self.is_irrelevant(op)
    }

    /// Whether it could help none of those that are listed.
    fn is_irrelevant(&self, op: &Op<'_>) -> bool {
        match (self.kind.model.as_str(), op.f, op.input.as_pair()) {
            // A value that nobody observes: whatever is legal with it as the value is legal without the
            // operation, unless somebody observed that the value was not another.
            ("register" | "cas-register", "write", _) => {
                !self.anything_else && !self.observed.contains(op.input)
            }
            ("register" | "cas-register", "cas", Some((_, new))) => {
                !self.anything_else && !self.observed.contains(new)
            }
            // Elements do not hinder each other in leaving: without some, the rest still come out by the rule.
            ("fifo-queue" | "unordered-queue" | "priority-queue" | "stack", "enqueue" | "push", _) => {
                !self.observed.contains(op.input)
            }
            ("fifo-queue" | "unordered-queue" | "priority-queue" | "stack", "dequeue" | "pop", _) => {
                let seen = op.outcome == squall_history::Outcome::Ok;
                if seen { !self.observed.contains(op.output) } else { !self.puts }
            }
            // A text that no answer contains was gone before anybody looked.
            ("kv-append", "put" | "append", _) => {
                let text = op.input.as_str().unwrap_or("");
                !self.observed.iter().any(|seen| seen.as_str().unwrap_or("").contains(text))
            }
            ("set", "add" | "remove", _) => {
                self.kind.elements.as_ref().is_some_and(|elements| !elements.contains(op.input))
            }
            _ => false,
        }
    }
}
