//! One check for all of it: looks at what a history is made of, and asks the right one.

use squall_history::{Accesses, History};

use super::append::check::ListAppend;
use super::models::Model;
use super::strongest::{Form, Plain, Reading, Strongest, form};
use crate::{Budget, Check, Verdict};

/// Judges transactions, sessions or single reads and writes by a model, or places them on the map.
#[derive(Clone, Debug)]
pub struct Transactions {
    /// What the history is judged by; `None` asks for the strongest models that it satisfies.
    pub model: Option<&'static Model>,
    /// How to read it.
    pub reading: Reading,
}

impl Transactions {
    /// Judges a history in columns, as its general form would be.
    pub fn check_accesses(&self, accesses: Accesses, budget: &Budget) -> Verdict {
        let reading = self.reading.clone();
        match self.model {
            None => Strongest { reading }.check_accesses(accesses, budget),
            Some(model) if accesses.has_lists() => {
                ListAppend { model, realtime: reading.realtime }.check_accesses(&accesses, budget)
            }
            Some(model) => Plain { model, reading }.check_accesses(accesses, budget),
        }
    }
}

impl Check for Transactions {
    fn name(&self) -> &str {
        "transactions"
    }

    fn check(&self, history: &History, budget: &Budget) -> Verdict {
        let reading = self.reading.clone();
        match (self.model, form(history)) {
            (None, _) => Strongest { reading }.check(history, budget),
            (Some(model), Form::Lists) => {
                ListAppend { model, realtime: reading.realtime }.check(history, budget)
            }
            (Some(model), Form::Plain) => Plain { model, reading }.check(history, budget),
        }
    }
}
