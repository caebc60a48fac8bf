//! Generators made of generators: how many, how fast, which of several, whose.

use std::time::Duration;

use squall_history::Event;

use super::{Context, Generator, Next};

/// At most so many operations, all workers together.
#[derive(Debug)]
pub struct Limit {
    left: u64,
    inner: Box<dyn Generator>,
}

impl Limit {
    /// At most `n` operations of `inner`.
    pub fn new(n: u64, inner: Box<dyn Generator>) -> Self {
        Limit { left: n, inner }
    }
}

impl Generator for Limit {
    fn next(&mut self, ctx: &mut Context) -> Next {
        if self.left == 0 {
            return Next::Done;
        }
        let next = self.inner.next(ctx);
        if matches!(next, Next::Op(..)) {
            self.left -= 1;
        }
        next
    }

    fn update(&mut self, event: &Event) {
        self.inner.update(event);
    }

    fn listens(&self) -> bool {
        self.inner.listens()
    }
}

/// Nothing that is due after a time, counted from the first question.
#[derive(Debug)]
pub struct TimeLimit {
    limit: u64,
    end: Option<u64>,
    inner: Box<dyn Generator>,
}

impl TimeLimit {
    /// `inner` for so long.
    pub fn new(limit: Duration, inner: Box<dyn Generator>) -> Self {
        TimeLimit { limit: limit.as_nanos() as u64, end: None, inner }
    }
}

impl Generator for TimeLimit {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let end = *self.end.get_or_insert(ctx.time + self.limit);
        if ctx.time >= end {
            return Next::Done;
        }
        match self.inner.next(ctx) {
            Next::Op(_, due) if due >= end => Next::Done,
            next => next,
        }
    }

    fn update(&mut self, event: &Event) {
        self.inner.update(event);
    }

    fn listens(&self) -> bool {
        self.inner.listens()
    }
}

/// Open load: operations are due at random times at a fixed mean rate, whether or not anyone is free.
///
/// Each worker has its own Poisson process of `rate / workers`, so that all together are one of `rate`
/// (superposition), and the due time of operation (w, i) does not depend on how the run goes. A worker that
/// is late is given what is overdue at once, and its lateness counts in the latency from the due time.
#[derive(Debug)]
pub struct Rate {
    per_second: f64,
    from: u64,
    due: Vec<f64>,
    inner: Box<dyn Generator>,
}

impl Rate {
    /// `inner` at `per_second` operations (which must be positive), all workers together, beginning at
    /// `from` nanoseconds of the run's clock. What `inner` sees as times counts from there: so
    /// decisions do not depend on how long the set-up took.
    pub fn new(per_second: f64, from: u64, inner: Box<dyn Generator>) -> Self {
        Rate { per_second, from, due: Vec::new(), inner }
    }
}

impl Generator for Rate {
    fn next(&mut self, ctx: &mut Context) -> Next {
        self.due.resize(self.due.len().max(ctx.workers), 0.0);
        let mean = ctx.workers as f64 / self.per_second * 1e9;
        let gap = ctx.rng.exponential(mean);
        let due = self.due[ctx.worker] + gap;
        ctx.due = due as u64;
        ctx.time = ctx.time.saturating_sub(self.from);
        match self.inner.next(ctx) {
            Next::Op(op, at) => {
                // `inner` may want to wait for longer: then the load goes on from there.
                self.due[ctx.worker] = due.max(at as f64);
                Next::Op(op, at + self.from)
            }
            // What is pending was not drawn: its gap counts again.
            other => other,
        }
    }

    fn update(&mut self, event: &Event) {
        self.inner.update(event);
    }

    fn listens(&self) -> bool {
        self.inner.listens()
    }
}

/// Closed load with pauses: each worker waits a random time, uniform between nothing and twice the mean,
/// after each of its operations.
#[derive(Debug)]
pub struct Stagger {
    mean: u64,
    inner: Box<dyn Generator>,
}

impl Stagger {
    /// `inner` with pauses of this mean for each worker.
    pub fn new(mean: Duration, inner: Box<dyn Generator>) -> Self {
        Stagger { mean: mean.as_nanos() as u64, inner }
    }
}

impl Generator for Stagger {
    fn next(&mut self, ctx: &mut Context) -> Next {
        ctx.due = ctx.time + ctx.rng.below(2 * self.mean);
        self.inner.next(ctx)
    }

    fn update(&mut self, event: &Event) {
        self.inner.update(event);
    }

    fn listens(&self) -> bool {
        self.inner.listens()
    }
}

/// One of several, drawn by weight for each operation. Those that are done drop out.
#[derive(Debug)]
pub struct Mix {
    // Done per worker: what is done for one worker may not be for another.
    parts: Vec<(f64, Box<dyn Generator>)>,
    done: Vec<Vec<bool>>,
}

impl Mix {
    /// Parts with their weights, each positive.
    pub fn new(parts: Vec<(f64, Box<dyn Generator>)>) -> Self {
        let done = vec![Vec::new(); parts.len()];
        Mix { parts, done }
    }
}

impl Generator for Mix {
    fn next(&mut self, ctx: &mut Context) -> Next {
        for done in &mut self.done {
            done.resize(done.len().max(ctx.workers), false);
        }
        loop {
            let worker = ctx.worker;
            let alive = |i: usize| !self.done[i][worker];
            let total: f64 = (0..self.parts.len()).filter(|&i| alive(i)).map(|i| self.parts[i].0).sum();
            if total <= 0.0 {
                return Next::Done;
            }
            let mut at = ctx.rng.unit() * total;
            let chosen = (0..self.parts.len()).filter(|&i| alive(i)).find(|&i| {
                at -= self.parts[i].0;
                at < 0.0
            });
            // Rounding may leave nothing below zero: then it is the last one that lives.
            let Some(chosen) = chosen.or_else(|| (0..self.parts.len()).rfind(|&i| alive(i))) else {
                return Next::Done;
            };
            match self.parts[chosen].1.next(ctx) {
                Next::Done => self.done[chosen][worker] = true,
                next => return next,
            }
        }
    }

    fn update(&mut self, event: &Event) {
        for (_, part) in &mut self.parts {
            part.update(event);
        }
    }

    fn listens(&self) -> bool {
        self.parts.iter().any(|(_, part)| part.listens())
    }
}

/// The first workers do one thing, the next another, the rest a last one. Every part sees its own workers
/// numbered from 0.
#[derive(Debug)]
pub struct Reserve {
    parts: Vec<(usize, Box<dyn Generator>)>,
    rest: Box<dyn Generator>,
}

impl Reserve {
    /// `parts` with the number of workers each has to itself; the remaining workers do `rest`.
    pub fn new(parts: Vec<(usize, Box<dyn Generator>)>, rest: Box<dyn Generator>) -> Self {
        Reserve { parts, rest }
    }
}

impl Generator for Reserve {
    fn next(&mut self, ctx: &mut Context) -> Next {
        let (worker, workers) = (ctx.worker, ctx.workers);
        let mut first = 0;
        let reserved: usize = self.parts.iter().map(|p| p.0).sum();
        let (from, count, part) = match self.parts.iter_mut().find(|(n, _)| {
            first += *n;
            worker < first
        }) {
            Some((n, part)) => (first - *n, *n, part),
            None => (reserved, workers.saturating_sub(reserved), &mut self.rest),
        };
        ctx.worker = worker - from;
        ctx.workers = count.min(workers - from);
        let next = part.next(ctx);
        (ctx.worker, ctx.workers) = (worker, workers);
        next
    }

    fn update(&mut self, event: &Event) {
        for (_, part) in &mut self.parts {
            part.update(event);
        }
        self.rest.update(event);
    }

    fn listens(&self) -> bool {
        self.rest.listens() || self.parts.iter().any(|(_, part)| part.listens())
    }
}
