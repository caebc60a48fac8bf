//! Judging while operations arrive, as a whole again and again: for models that cannot be followed event by event
//! as [`super::append::live`] and [`crate::causal::live`] do.
//!
//! Events come in time order; whenever the history has grown by a twentieth (and by no fewer operations than
//! a floor), all of it is judged again by the check that would judge it at the end. So an anomaly is found soon
//! after it is complete, a verdict is never weaker than the final one, and all judgements together cost about
//! twenty times the last one: for list-append a few microseconds a transaction.
//!
//! Deliberately absent: patience. The first invalid verdict is the last; the caller ends the run or does not ask
//! again.

use squall_history::{BadEvent, Builder, Event, EventKind, History, Order};

use super::models::model;
use crate::causal::live::LiveCausal;
use crate::{Budget, Check, Live, Valid, Verdict};

/// When the whole is judged again: when it has grown by a twentieth, and by no fewer completions than a floor.
#[derive(Debug)]
pub(crate) struct Pace {
    completed: usize,
    /// Completions at the last judgement; 0 before the first.
    pub(crate) judged: usize,
    floor: usize,
}

impl Pace {
    pub(crate) fn new(floor: usize) -> Self {
        Pace { completed: 0, judged: 0, floor: floor.max(1) }
    }

    pub(crate) fn count(&mut self, event: &Event) {
        self.completed += usize::from(event.kind != EventKind::Invoke);
    }

    /// Whether enough has been completed since the last judgement for another to be worth its cost.
    pub(crate) fn is_due(&self) -> bool {
        self.completed - self.judged >= self.floor.max(self.judged / 20)
    }

    pub(crate) fn judged(&mut self) {
        self.judged = self.completed;
    }
}

/// What events in time order come to; operations that are open may have happened or not.
pub(crate) fn history_of(events: &[Event]) -> Result<History, BadEvent> {
    let mut builder = Builder::new(Order::AsGiven);
    for event in events {
        builder.push(event.clone())?;
    }
    builder.finish()
}

/// A check that is fed events.
pub struct Watch {
    check: Box<dyn Check>,
    budget: Budget,
    events: Vec<Event>,
    pace: Pace,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("check", &self.check.name())
            .field("events", &self.events.len())
            .finish()
    }
}

impl Watch {
    /// Watches with a check; judges after every `floor` completions at most.
    pub fn new(check: Box<dyn Check>, budget: Budget, floor: usize) -> Self {
        Watch { check, budget, events: Vec::new(), pace: Pace::new(floor) }
    }

    /// Takes the next event, in time order. Gives the verdict if the history is invalid by now and it was time
    /// to look.
    pub fn push(&mut self, event: Event) -> Result<Option<Verdict>, BadEvent> {
        self.pace.count(&event);
        self.events.push(event);
        if !self.pace.is_due() {
            return Ok(None);
        }
        let verdict = self.judge()?;
        Ok((verdict.valid == Valid::No).then_some(verdict))
    }

    /// Judges everything so far; operations that are open may have happened or not.
    pub fn judge(&mut self) -> Result<Verdict, BadEvent> {
        self.pace.judged();
        Ok(self.check.check(&history_of(&self.events)?, &self.budget))
    }
}

/// Watches plain reads and writes: event by event where the model can be followed so, else as a whole.
pub fn watch_plain(consistency: &str, check: Box<dyn Check>, floor: usize) -> Box<dyn Live> {
    if model(consistency).is_some_and(LiveCausal::follows) {
        return Box::new(LiveCausal::new(check, floor));
    }
    Box::new(Watch::new(check, Budget::default(), floor))
}

/// Judges only when it is time to: see [`Watch::push`].
impl Live for Watch {
    fn push(&mut self, event: Event) {
        self.pace.count(&event);
        self.events.push(event);
    }

    fn judge(&mut self, _: &Budget) -> Verdict {
        if !self.pace.is_due() {
            return Verdict::valid(self.check.name());
        }
        Watch::judge(self).unwrap_or_else(|bad| Verdict::unknown(self.check.name(), bad.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::append::check::ListAppend;
    use crate::txn::r#gen::{event, micro};
    use crate::txn::gen_store::Store;
    use squall_history::{Outcome, Value};

    fn events(h: &History) -> Vec<Event> {
        let mut events = Vec::new();
        for op in h.ops() {
            let invoke = event(EventKind::Invoke, op.process, op.start, op.f, op.input.clone());
            events.push(invoke);
            if op.outcome == Outcome::Ok {
                events.push(event(EventKind::Ok, op.process, op.end, op.f, op.output.clone()));
            }
        }
        events.sort_by_key(|e| e.time);
        events
    }

    #[test]
    fn the_first_anomaly_ends_the_watch_soon() {
        let h = Store { transactions: 3000, ..Store::default() }.run(9);
        let all = events(&h);
        let check = || Box::new(ListAppend { model: model("strict-serializable").unwrap(), realtime: true });
        let mut watch = Watch::new(check(), Budget::default(), 50);
        for e in all.clone() {
            assert!(watch.push(e).unwrap().is_none(), "a valid history is never stopped");
        }
        // From the middle on, one reader of a key that is never written sees an element.
        let mut watch = Watch::new(check(), Budget::default(), 50);
        let mut stopped = None;
        for (i, e) in all.into_iter().enumerate() {
            if i == 3001 {
                let value = Value::list([micro("r", -1, Value::list([Value::Int(1)]))]);
                for kind in [EventKind::Invoke, EventKind::Ok] {
                    let bad = event(kind, 99, e.time, "txn", value.clone());
                    assert!(watch.push(bad).unwrap().is_none());
                }
            }
            if let Some(verdict) = watch.push(e).unwrap() {
                stopped = Some((i, verdict));
                break;
            }
        }
        let (at, verdict) = stopped.unwrap();
        assert!((3001..3500).contains(&at), "{at}");
        assert_eq!(verdict.anomalies[0].kind, "thin-air-read");
    }
}
