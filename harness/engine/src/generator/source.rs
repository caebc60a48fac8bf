//! Where operations come from: functions of the context, and lists.

use super::{Context, Generator, Next};
use crate::operation::Operation;

/// Operations drawn by a function, without end.
pub struct Draw<F>(F);

impl<F> std::fmt::Debug for Draw<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Draw")
    }
}

/// Operations drawn by a function, without end.
pub fn draw<F: FnMut(&mut Context) -> Operation + Send>(f: F) -> Draw<F> {
    Draw(f)
}

impl<F: FnMut(&mut Context) -> Operation + Send> Generator for Draw<F> {
    fn next(&mut self, ctx: &mut Context) -> Next {
        Next::Op((self.0)(ctx), ctx.due)
    }
}

/// These operations in turn, each once, whoever asks.
#[derive(Debug)]
pub struct Sequence(std::collections::VecDeque<Operation>);

impl Sequence {
    /// A sequence.
    pub fn new(ops: impl IntoIterator<Item = Operation>) -> Self {
        Sequence(ops.into_iter().collect())
    }
}

impl Generator for Sequence {
    fn next(&mut self, ctx: &mut Context) -> Next {
        self.0.pop_front().map_or(Next::Done, |op| Next::Op(op, ctx.due))
    }
}

/// No operation at all.
#[derive(Debug)]
pub struct Nothing;

impl Generator for Nothing {
    fn next(&mut self, _ctx: &mut Context) -> Next {
        Next::Done
    }
}
