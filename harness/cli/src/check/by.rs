//! What a history is judged by: a model and a consistency, by their names.

use squall_checkers::linear::{self, Options};
use squall_checkers::models::{self, ModelName};
use squall_checkers::txn::append::check::ListAppend;
use squall_checkers::txn::models::{self as consistency, Family, Model};
use squall_checkers::{Budget, Check, Verdict};
use squall_history::import::Format;
use squall_history::{History, Value};

use crate::Refused;
use crate::suggest::hint;

/// A model that `--model` can name, beside the sequential specifications of the linearizability checker.
#[derive(Clone, Copy, Debug)]
pub struct ModelEntry {
    /// Its name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// How it is judged.
    pub specification: Specification,
    /// The consistency that is meant if none is named.
    pub consistency: &'static str,
}

/// How a model is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Specification {
    /// Transactions of appends to lists and reads of whole lists.
    ListAppend,
}

/// Models beside the sequential specifications.
pub const MODELS: &[ModelEntry] = &[ModelEntry {
    name: "list-append",
    summary: "transactions of [\"append\", k, v] and [\"r\", k, [v …]], judged by their cycles",
    specification: Specification::ListAppend,
    consistency: "strict-serializable",
}];

/// The only consistency of a sequential specification.
const LINEARIZABLE: &str = "linearizable";

/// What a history is judged by.
#[derive(Clone, Debug)]
pub enum By {
    /// A sequential specification.
    Linear(Options),
    /// Transactions, by a consistency model.
    Transactions(&'static ModelEntry, &'static Model),
}

impl By {
    /// Looks up the names.
    pub fn find(model: &str, consistency: Option<&str>, initial: Value) -> Result<By, Refused> {
        if let Ok(name) = model.parse::<ModelName>() {
            return match consistency {
                None | Some(LINEARIZABLE) => Ok(By::Linear(Options { initial, ..Options::new(name) })),
                Some(other) => Err(Refused(format!(
                    "--consistency {other}: the model `{model}` is judged by `{LINEARIZABLE}` only"
                ))),
            };
        }
        let Some(entry) = MODELS.iter().find(|m| m.name == model) else {
            let names = models::list().iter().map(|m| m.name).chain(MODELS.iter().map(|m| m.name));
            return Err(Refused(format!("--model: no model is named `{model}`; {}", hint(model, names))));
        };
        if !initial.is_nil() {
            return Err(Refused(format!("--initial: the model `{model}` starts empty")));
        }
        let wanted = consistency.unwrap_or(entry.consistency);
        let known = consistency::MODELS.iter().filter(|m| m.family == Family::Transactions);
        match consistency::model(wanted).filter(|m| m.family == Family::Transactions) {
            Some(found) => Ok(By::Transactions(entry, found)),
            None => {
                let hint = hint(wanted, known.map(|m| m.name));
                Err(Refused(format!(
                    "--consistency: no consistency of transactions is named `{wanted}`; {hint}"
                )))
            }
        }
    }

    /// The model's name.
    pub fn model(&self) -> &'static str {
        match self {
            By::Linear(options) => options.model.as_str(),
            By::Transactions(entry, _) => entry.name,
        }
    }

    /// The consistency's name.
    pub fn consistency(&self) -> &'static str {
        match self {
            By::Linear(_) => LINEARIZABLE,
            By::Transactions(_, model) => model.name,
        }
    }

    /// Judges.
    pub fn judge(&self, history: &History, format: Format, budget: &Budget) -> Verdict {
        match self {
            By::Linear(options) => linear::check_model(history, options, budget),
            By::Transactions(entry, model) => match entry.specification {
                Specification::ListAppend => {
                    let realtime = has_real_time(format);
                    ListAppend { model, realtime }.check(history, budget)
                }
            },
        }
    }
}

/// Whether the order of events in such a history says what was before what in time.
fn has_real_time(format: Format) -> bool {
    match format {
        Format::AwditText | Format::PlumeText => false,
        Format::RunLog | Format::JsonEvents | Format::JsonOperations | Format::Edn | Format::JepsenLog => {
            true
        }
    }
}
