//! What a history says of changes and watchers, taken apart once.

use squall_history::{History, Op, Outcome, Value};

/// Everything that matters here.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    pub changes: Vec<Change<'a>>,
    pub slices: Vec<Slice<'a>>,
    pub compacted: Vec<Compacted>,
    pub compactions: Vec<Compaction>,
}

/// A change, in order of invocation.
#[derive(Debug)]
pub(super) struct Change<'a> {
    pub index: u32,
    pub invoked: u32,
    pub completed: u32,
    /// Keys with what they were to hold; nil: deleted.
    pub writes: Vec<(&'a Value, &'a Value)>,
    pub said: Said,
}

/// What its client was told of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It made this revision.
    At(i64),
    /// There was nothing to change.
    Nothing,
    /// It did not happen.
    Failed,
    /// Nothing.
    Unknown,
}

impl<'a> Change<'a> {
    pub fn at(&self) -> Option<i64> {
        if let Said::At(revision) = self.said { Some(revision) } else { None }
    }

    pub fn puts(&self) -> impl Iterator<Item = (&'a Value, &'a Value)> + '_ {
        self.writes.iter().copied().filter(|(_, value)| !value.is_nil())
    }

    pub fn deletes(&self) -> impl Iterator<Item = &'a Value> + '_ {
        self.writes.iter().filter(|(_, value)| value.is_nil()).map(|(key, _)| *key)
    }
}

/// A watch that was answered.
#[derive(Debug)]
pub(super) struct Slice<'a> {
    pub index: u32,
    pub completed: u32,
    /// The first revision that it asked for.
    pub from: i64,
    pub answers: Vec<Vec<Watched<'a>>>,
}

/// An event or a bookmark.
#[derive(Debug)]
pub(super) enum Watched<'a> {
    Event(Told<'a>),
    Bookmark(i64),
}

/// An event.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub revision: i64,
    pub key: &'a Value,
    /// Nil: deleted.
    pub value: &'a Value,
    /// What was there before, where the store says so; nil if nothing was, or it cannot tell.
    pub before: Option<&'a Value>,
}

impl Watched<'_> {
    pub fn revision(&self) -> i64 {
        match self {
            Watched::Event(told) => told.revision,
            Watched::Bookmark(revision) => *revision,
        }
    }
}

impl<'a> Slice<'a> {
    /// Events and bookmarks in the order they came, with the number of their answer.
    pub fn items(&self) -> impl Iterator<Item = (usize, &Watched<'a>)> {
        self.answers.iter().enumerate().flat_map(|(i, answer)| answer.iter().map(move |item| (i, item)))
    }

    pub fn told(&self) -> impl Iterator<Item = &Told<'a>> {
        self.items().filter_map(|(_, item)| if let Watched::Event(told) = item { Some(told) } else { None })
    }

    /// The last revision that it covers; the one before `from` if it was told nothing.
    pub fn reach(&self) -> i64 {
        self.items().map(|(_, item)| item.revision()).max().unwrap_or(0).max(self.from - 1)
    }
}

/// A watch that was refused, because what it asked for is compacted.
#[derive(Debug)]
pub(super) struct Compacted {
    pub index: u32,
    pub completed: u32,
    pub from: i64,
    /// The oldest revision that can be watched.
    pub at: i64,
}

/// Somebody may have compacted everything before this revision.
#[derive(Debug)]
pub(super) struct Compaction {
    pub invoked: u32,
    pub at: i64,
}

impl<'a> Facts<'a> {
    /// Takes a history apart; an error says which operation is not what it should be.
    pub fn of(history: &'a History) -> Result<Self, String> {
        let mut facts = Facts::default();
        for op in history.ops() {
            let not_so = || format!("#{} is no `{}` as this check knows them", op.index, op.f);
            match (op.f, op.outcome) {
                ("change", _) => facts.changes.push(change(&op).ok_or_else(not_so)?),
                ("watch", Outcome::Ok) => facts.watch(&op).ok_or_else(not_so)?,
                ("compact", Outcome::Ok | Outcome::Info) => {
                    let at = op.input.as_int().ok_or_else(not_so)?;
                    facts.compactions.push(Compaction { invoked: op.invoked, at });
                }
                _ => {}
            }
        }
        Ok(facts)
    }

    fn watch(&mut self, op: &Op<'a>) -> Option<()> {
        let from = op.input.as_list()?.first()?.as_int()?;
        let (index, completed) = (op.index, op.completed);
        let answers = op.output.as_list()?;
        if let [first, at] = answers
            && first.as_str() == Some("compacted")
        {
            self.compacted.push(Compacted { index, completed, from, at: at.as_int()? });
            return Some(());
        }
        let answers = answers.iter().map(|answer| answer.as_list()?.iter().map(watched).collect());
        let answers = answers.collect::<Option<Vec<Vec<_>>>>()?;
        self.slices.push(Slice { index, completed, from, answers });
        Some(())
    }
}

fn change<'a>(op: &Op<'a>) -> Option<Change<'a>> {
    let writes = op.input.as_list()?.iter().map(Value::as_pair).collect::<Option<Vec<_>>>()?;
    let said = match op.outcome {
        Outcome::Ok if op.output.is_nil() => Said::Nothing,
        Outcome::Ok => Said::At(op.output.as_int()?),
        Outcome::Fail => Said::Failed,
        Outcome::Info => Said::Unknown,
    };
    Some(Change { index: op.index, invoked: op.invoked, completed: op.completed, writes, said })
}

fn watched(item: &Value) -> Option<Watched<'_>> {
    let parts = item.as_list()?;
    let revision = parts.first()?.as_int()?;
    match parts {
        [_] => Some(Watched::Bookmark(revision)),
        [_, key, value] => Some(Watched::Event(Told { revision, key, value, before: None })),
        [_, key, value, before] => Some(Watched::Event(Told { revision, key, value, before: Some(before) })),
        _ => None,
    }
}
