//! Queues and stacks: elements go in, and come out by some rule.
//!
//! Functions: `enqueue` of an element and `dequeue`, or `push` and `pop`. The answer of a `dequeue` is the
//! element, or nil where the collection was seen to be empty. A `dequeue` without an answer takes what the
//! rule gives, or nothing.

use std::collections::VecDeque;

use squall_history::{Op, Outcome, Value};

use super::{BadOp, Effect, Model, bad_op};

/// Which element comes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The oldest: a FIFO queue.
    Oldest,
    /// The newest: a stack.
    Newest,
    /// The least, in the order of values: a priority queue. Lists compare by their first item first.
    Least,
    /// Any: an unordered queue, a pool.
    Any,
}

/// A queue, a stack, a priority queue or a pool, initially empty.
#[derive(Clone, Copy, Debug)]
pub struct Collection {
    /// Which element comes out.
    pub rule: Rule,
}

/// An operation on a collection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CollectionOp {
    /// The element went in.
    Put(Value),
    /// The element came out.
    Take(Value),
    /// The collection was seen to be empty.
    Empty,
    /// Something came out that nobody saw.
    TakeUnseen,
}

impl Model for Collection {
    /// By age for the oldest and the newest, else sorted.
    type State = VecDeque<Value>;
    type Op = CollectionOp;

    fn init(&self) -> VecDeque<Value> {
        VecDeque::new()
    }

    fn project(&self, op: &Op<'_>) -> Result<Option<CollectionOp>, BadOp> {
        let (put, take) = match self.rule {
            Rule::Newest => ("push", "pop"),
            Rule::Oldest | Rule::Least | Rule::Any => ("enqueue", "dequeue"),
        };
        if op.f == put && !op.input.is_nil() {
            Ok(Some(CollectionOp::Put(op.input.clone())))
        } else if op.f == take && op.outcome == Outcome::Info {
            Ok(Some(CollectionOp::TakeUnseen))
        } else if op.f == take && op.output.is_nil() {
            Ok(Some(CollectionOp::Empty))
        } else if op.f == take {
            Ok(Some(CollectionOp::Take(op.output.clone())))
        } else {
            Err(bad_op(op, &format!("{put} of an element, or {take}")))
        }
    }

    fn step(&self, held: &VecDeque<Value>, op: &CollectionOp) -> Option<VecDeque<Value>> {
        let at = match op {
            CollectionOp::Put(element) => return Some(self.with(held, element)),
            CollectionOp::Empty => return held.is_empty().then(VecDeque::new),
            // Of a pool it does not matter which: it is of use only where all that is left must go.
            CollectionOp::TakeUnseen => self.turn(held),
            CollectionOp::Take(seen) if self.rule == Rule::Any => held.iter().position(|e| e == seen),
            CollectionOp::Take(seen) => self.turn(held).filter(|&at| held[at] == *seen),
        };
        match (at, op) {
            (None, CollectionOp::TakeUnseen) => Some(held.clone()),
            (None, _) => None,
            (Some(at), _) => {
                let mut left = held.clone();
                left.remove(at);
                Some(left)
            }
        }
    }

    fn effect(&self, op: &CollectionOp) -> Effect {
        match op {
            CollectionOp::Put(_) | CollectionOp::TakeUnseen => Effect::Total,
            CollectionOp::Empty => Effect::Observes,
            CollectionOp::Take(_) => Effect::Any,
        }
    }

    fn pointless(&self, op: &CollectionOp, others: &[&CollectionOp]) -> bool {
        match op {
            // An element that nobody took or saw could only be in the way.
            CollectionOp::Put(element) => {
                !others.iter().any(|other| matches!(other, CollectionOp::Take(seen) if seen == element))
            }
            CollectionOp::TakeUnseen => !others.iter().any(|other| matches!(other, CollectionOp::Put(_))),
            CollectionOp::Take(seen) => {
                !others.iter().any(|other| matches!(other, CollectionOp::Put(element) if element == seen))
            }
            CollectionOp::Empty => false,
        }
    }

    fn heap_bytes(&self, held: &VecDeque<Value>) -> usize {
        held.capacity() * size_of::<Value>()
    }

    fn describe_state(&self, held: &VecDeque<Value>) -> String {
        match held.len() {
            0 => "empty".to_owned(),
            n if n > 8 => {
                format!("{n} elements, next {}", self.turn(held).map_or(&Value::Nil, |at| &held[at]))
            }
            _ => format!("[{}]", held.iter().map(Value::to_string).collect::<Vec<_>>().join(", ")),
        }
    }
}

impl Collection {
    fn with(&self, held: &VecDeque<Value>, element: &Value) -> VecDeque<Value> {
        let mut more = held.clone();
        match self.rule {
            Rule::Oldest | Rule::Newest => more.push_back(element.clone()),
            Rule::Least | Rule::Any => more.insert(held.partition_point(|e| e <= element), element.clone()),
        }
        more
    }

    /// Where the element is whose turn it is to come out.
    fn turn(&self, held: &VecDeque<Value>) -> Option<usize> {
        match self.rule {
            Rule::Newest => held.len().checked_sub(1),
            Rule::Oldest | Rule::Least | Rule::Any => (!held.is_empty()).then_some(0),
        }
    }
}
