//! What a history is judged by: a model and a consistency, by their names.

use squall_checkers::linear::{self, Options};
use squall_checkers::models::{self, ModelName};
use squall_checkers::txn::append::check::ListAppend;
use squall_checkers::txn::models::{self as consistency, Family, Model};
use squall_checkers::txn::strongest::{Plain, Reading};
use squall_checkers::{Budget, Check, Transactions, Verdict};
use squall_history::import::{Format, Held};
use squall_history::{Accesses, History, Value};

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

/// The only consistency of a sequential specification.
const LINEARIZABLE: &str = "linearizable";

/// Asks for the map of consistency models instead of one of them.
const STRONGEST: &str = "strongest";

/// Named as the model where the history says what it is made of.
const ANY: &str = "transactions";

/// Specifications whose operations are reads, writes and cas, and so have a place on the map.
const MAPPED: [&str; 5] = ["register", "cas-register", "list-append", "rw-register", ANY];

/// What a history is judged by.
#[derive(Clone, Debug)]
pub enum By {
    /// A sequential specification.
    Linear(Options),
    /// Transactions, by a consistency model; the value of every object before the first.
    Transactions(&'static ModelEntry, &'static Model, Value),
    /// Any reads, writes, appends and transactions of them, by a consistency model; without one, by all: the
    /// strongest that hold and the weakest that do not.
    Any(Option<&'static Model>, Value),
}

impl By {
    /// Looks up the names. One of the two has to be given.
    pub fn find(model: Option<&str>, consistency: Option<&str>, initial: Value) -> Result<By, Refused> {
        match (model, consistency) {
            (None, None) => Err(Refused(format!(
                "name a --model (`squall list models` has all), or ask for the map with --consistency {STRONGEST}"
            ))),
            (None | Some(ANY), Some(STRONGEST)) => Ok(By::Any(None, initial)),
            (Some(model), Some(STRONGEST)) if MAPPED.contains(&model) => Ok(By::Any(None, initial)),
            (Some(model), Some(STRONGEST)) => Err(Refused(format!(
                "--consistency {STRONGEST}: only reads, writes, appends and transactions of them have a place on \
                 the map of models, not `{model}`"
            ))),
            (None | Some(ANY), Some(wanted)) => match consistency::model(wanted) {
                Some(found) => Ok(By::Any(Some(found), initial)),
                None => {
                    let names = consistency::MODELS.iter().map(|m| m.name).chain([STRONGEST]);
                    Err(Refused(format!("--consistency: there is no `{wanted}`; {}", hint(wanted, names))))
                }
            },
            (Some(model), _) => By::of_model(model, consistency, initial),
        }
    }

    fn of_model(model: &str, consistency: Option<&str>, initial: Value) -> Result<By, Refused> {
        if let Ok(name) = model.parse::<ModelName>() {
            return match consistency {
                None | Some(LINEARIZABLE) => Ok(By::Linear(Options { initial, ..Options::new(name) })),
                Some(other) => Err(Refused(format!(
                    "--consistency {other}: the model `{model}` is judged by `{LINEARIZABLE}` only"
                ))),
            };
        }
        let Some(entry) = MODELS.iter().find(|m| m.name == model) else {
            // `--model causal` can only mean whatever the history is made of, judged by that.
            if consistency.is_none() && (consistency::model(model).is_some() || model == STRONGEST) {
                return By::find(None, Some(model), initial);
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
            By::Any(..) => ANY,
        }
    }

    /// The consistency's name.
    pub fn consistency(&self) -> &'static str {
        match self {
            By::Linear(_) => LINEARIZABLE,
            By::Transactions(_, model, _) | By::Any(Some(model), _) => model.name,
            By::Any(None, _) => STRONGEST,
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

    /// Judges, in whichever form the history was read.
    pub fn judge_held(&self, held: Held, format: Format, budget: &Budget) -> Verdict {
        match held {
            Held::General(history) => self.judge(&history, format, budget),
            Held::Columns(accesses) => self.judge_columns(accesses, format, budget),
        }
    }

    /// Whether histories in columns are judged as they are.
    pub fn takes_columns(&self) -> bool {
        !matches!(self, By::Linear(_))
    }

    fn judge_columns(&self, accesses: Accesses, format: Format, budget: &Budget) -> Verdict {
        let reading = |initial: &Value| Reading { initial: initial.clone(), realtime: has_real_time(format) };
        match self {
            By::Transactions(entry, model, initial) => match entry.specification {
                Specification::ListAppend => {
                    ListAppend { model, realtime: has_real_time(format) }.check_accesses(&accesses, budget)
                }
                Specification::RwRegister => {
                    Plain { model, reading: reading(initial) }.check_accesses(accesses, budget)
                }
            },
            By::Any(model, initial) => {
                Transactions { model: *model, reading: reading(initial) }.check_accesses(accesses, budget)
            }
            By::Linear(_) => self.judge(&accesses.history(), format, budget),
        }
    }

    /// Judges.
    pub fn judge(&self, history: &History, format: Format, budget: &Budget) -> Verdict {
        let realtime = has_real_time(format);
        let reading = |initial: &Value| Reading { initial: initial.clone(), realtime };
        match self {
            By::Linear(options) => linear::check_model(history, options, budget),
            By::Transactions(entry, model, initial) => match entry.specification {
                Specification::ListAppend => ListAppend { model, realtime }.check(history, budget),
                Specification::RwRegister => {
                    Plain { model, reading: reading(initial) }.check(history, budget)
                }
            },
            By::Any(model, initial) => {
                Transactions { model: *model, reading: reading(initial) }.check(history, budget)
            }
        }
    }
}

impl Specification {
    /// What it can be judged by.
    fn consistencies(self) -> impl Iterator<Item = &'static str> + Clone {
        let judged = move |m: &&Model| match self {
            Specification::ListAppend => m.family == Family::Transactions,
            Specification::RwRegister => true,
        };
        consistency::MODELS.iter().filter(judged).map(|m| m.name)
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
