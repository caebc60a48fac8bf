//! What a history is judged by: a model and a consistency, by their names.

use squall_checkers::causal::check::Causal;
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
    /// Reads and writes, single or in transactions.
    RwRegister,
}

/// Models beside the sequential specifications.
pub const MODELS: &[ModelEntry] = &[
    ModelEntry {
        name: "list-append",
        summary: "transactions of [\"append\", k, v] and [\"r\", k, [v …]], judged by their cycles",
        specification: Specification::ListAppend,
        consistency: "strict-serializable",
    },
    ModelEntry {
        name: "rw-register",
        summary: "unique writes [\"w\", k, v] and reads [\"r\", k, v], single or in transactions",
        specification: Specification::RwRegister,
        consistency: "causal",
    },
];

/// What reads and writes whose version order nobody knows can be judged by.
const OF_READS_AND_WRITES: [&str; 8] = [
    "read-committed",
    "read-atomic",
    "strong-session-read-committed",
    "strong-session-read-atomic",
    "weak-causal",
    "causal",
    "causal-memory",
    "pram",
];

/// The only consistency of a sequential specification.
const LINEARIZABLE: &str = "linearizable";

/// What a history is judged by.
#[derive(Clone, Debug)]
pub enum By {
    /// A sequential specification.
    Linear(Options),
    /// Transactions, by a consistency model; the value of every object before the first.
    Transactions(&'static ModelEntry, &'static Model, Value),
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
            // `--model causal` can only mean reads and writes, judged by that.
            if consistency.is_none() && OF_READS_AND_WRITES.contains(&model) {
                return By::find("rw-register", Some(model), initial);
            }
            let names = models::list().iter().map(|m| m.name).chain(MODELS.iter().map(|m| m.name));
            return Err(Refused(format!("--model: no model is named `{model}`; {}", hint(model, names))));
        };
        if entry.specification == Specification::ListAppend && !initial.is_nil() {
            return Err(Refused(format!("--initial: lists of the model `{model}` start empty")));
        }
        let wanted = consistency.unwrap_or(entry.consistency);
        let names: Vec<&str> = entry.specification.consistencies().collect();
        match consistency::model(wanted).filter(|m| names.contains(&m.name)) {
            Some(found) => Ok(By::Transactions(entry, found, initial)),
            None => {
                let hint = hint(wanted, names);
                Err(Refused(format!(
                    "--consistency: the model `{model}` is not judged by `{wanted}`; {hint}"
                )))
            }
        }
    }

    /// The model's name.
    pub fn model(&self) -> &'static str {
        match self {
            By::Linear(options) => options.model.as_str(),
            By::Transactions(entry, ..) => entry.name,
        }
    }

    /// The consistency's name.
    pub fn consistency(&self) -> &'static str {
        match self {
            By::Linear(_) => LINEARIZABLE,
            By::Transactions(_, model, _) => model.name,
        }
    }

    /// Asks for proof of a valid verdict too, where there is one. It costs time and memory.
    #[must_use]
    pub fn with_certificate(mut self) -> By {
        if let By::Linear(options) = &mut self {
            options.certificate = true;
        }
        self
    }

    /// Judges.
    pub fn judge(&self, history: &History, format: Format, budget: &Budget) -> Verdict {
        match self {
            By::Linear(options) => linear::check_model(history, options, budget),
            By::Transactions(entry, model, initial) => match entry.specification {
                Specification::ListAppend => {
                    let realtime = has_real_time(format);
                    ListAppend { model, realtime }.check(history, budget)
                }
                Specification::RwRegister => {
                    Causal { model, initial: initial.clone() }.check(history, budget)
                }
            },
        }
    }
}

impl Specification {
    /// What it can be judged by.
    fn consistencies(self) -> impl Iterator<Item = &'static str> + Clone {
        consistency::MODELS.iter().map(|m| (m.name, m.family)).filter_map(move |(name, family)| {
            let judged = match self {
                Specification::ListAppend => family == Family::Transactions,
                Specification::RwRegister => OF_READS_AND_WRITES.contains(&name),
            };
            judged.then_some(name)
        })
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
