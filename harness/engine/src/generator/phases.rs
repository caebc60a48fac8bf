//! One generator after another, and one for each process.

use std::collections::BTreeMap;

use squall_history::{Event, EventKind};

use super::{Context, Generator, Next};

/// Generators in turn. The next begins when every worker is done with the one before and no operation of it
/// is open: a barrier.
#[derive(Debug)]
pub struct Phases {
    // In reverse, so that the current one is the last.
    rest: Vec<Box<dyn Generator>>,
    done: Vec<bool>,
    open: BTreeMap<u32, ()>,
}

impl Phases {
    /// These, in turn.
    pub fn new(mut phases: Vec<Box<dyn Generator>>) -> Self {
        phases.reverse();
        Phases { rest: phases, done: Vec::new(), open: BTreeMap::new() }
    }
}

impl Generator for Phases {
    fn next(&mut self, ctx: &mut Context) -> Next {
        self.done.resize(self.done.len().max(ctx.workers), false);
        loop {
            let Some(current) = self.rest.last_mut() else {
                return Next::Done;
            };
            if !self.done[ctx.worker] {
                match current.next(ctx) {
                    Next::Done => self.done[ctx.worker] = true,
                    Next::Op(op, due) => {
                        self.open.insert(ctx.process, ());
                        return Next::Op(op, due);
                    }
                    Next::Pending => return Next::Pending,
                }
            }
            if !self.done.iter().all(|d| *d) || !self.open.is_empty() {
                return if self.rest.len() == 1 { Next::Done } else { Next::Pending };
            }
            self.rest.pop();
            self.done.fill(false);
        }
    }

    fn update(&mut self, event: &Event) {
        if event.kind != EventKind::Invoke {
            self.open.remove(&event.process);
        }
        if let Some(current) = self.rest.last_mut() {
            current.update(event);
        }
    }

    fn listens(&self) -> bool {
        true
    }
}

/// A fresh generator for each process: one that takes a retired process's place begins anew.
pub struct EachProcess<F> {
    make: F,
    parts: BTreeMap<u32, Box<dyn Generator>>,
}

impl<F> std::fmt::Debug for EachProcess<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EachProcess").field("parts", &self.parts).finish_non_exhaustive()
    }
}

impl<F: FnMut(u32) -> Box<dyn Generator> + Send> EachProcess<F> {
    /// `make` is called with the process.
    pub fn new(make: F) -> Self {
        EachProcess { make, parts: BTreeMap::new() }
    }
}

impl<F: FnMut(u32) -> Box<dyn Generator> + Send> Generator for EachProcess<F> {
    fn next(&mut self, ctx: &mut Context) -> Next {
        self.parts.entry(ctx.process).or_insert_with(|| (self.make)(ctx.process)).next(ctx)
    }

    fn update(&mut self, event: &Event) {
        if event.kind == EventKind::Info {
            // A process that is `info` never acts again.
            self.parts.remove(&event.process);
        } else if let Some(part) = self.parts.get_mut(&event.process) {
            part.update(event);
        }
    }

    fn listens(&self) -> bool {
        true
    }
}
