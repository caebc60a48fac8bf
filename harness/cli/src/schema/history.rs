//! A line of a history in JSON lines.

use schemars::JsonSchema;
use serde_json::Value as Json;

use super::tidy::schema_of;

/// One line of a history: an event of an operation, or a whole operation. All lines of a file are of the same
/// kind. Unknown fields are stepped over.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Line {
    Event(Event),
    Operation(Operation),
}

/// An invocation or a completion. Lines stand in the order in which things happened.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Event {
    /// `invoke`; then `ok` (it took effect), `fail` (it certainly did not) or `info` (nobody knows).
    #[schemars(rename = "type")]
    kind: EventType,
    /// Who acts: a number or a name. `nemesis` is no client: what it does is kept as a note.
    process: Option<Process>,
    /// The function, such as `read`.
    f: String,
    /// The object that is acted on, where there are several.
    #[serde(default)]
    key: Any,
    /// Of an invocation the argument, of an `ok` the answer.
    #[serde(default)]
    value: Any,
    /// Nanoseconds since any point; of all lines or of none.
    time: Option<u64>,
    /// What went wrong.
    #[serde(default)]
    error: Any,
}

/// A whole operation. Operations whose times touch overlap.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct Operation {
    /// How it ended; without this, `ok` if it has an `end`, else `info`.
    #[schemars(rename = "type")]
    kind: Option<Outcome>,
    /// Who acted: a number or a name.
    process: Option<Process>,
    /// The function, such as `read`.
    f: String,
    /// The object that was acted on, where there are several.
    #[serde(default)]
    key: Any,
    /// Argument and answer alike.
    #[serde(default)]
    value: Any,
    /// The argument.
    #[serde(default)]
    input: Any,
    /// The answer.
    #[serde(default)]
    output: Any,
    /// Nanoseconds since any point, at invocation.
    start: u64,
    /// The same at completion; null or missing if it never completed.
    end: Option<u64>,
    /// What went wrong.
    #[serde(default)]
    error: Any,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum EventType {
    Invoke,
    Ok,
    Fail,
    Info,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Outcome {
    Ok,
    Fail,
    Info,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Process {
    Number(u32),
    Name(String),
}

/// Anything without fractions: null, true, 3, "a", [1, 2], {"a": 1}.
#[derive(Default, JsonSchema)]
#[schemars(transparent)]
#[allow(dead_code, reason = "it only describes")]
struct Any(Json);

/// The schema of one line.
pub fn history() -> Json {
    let mut schema = schema_of::<Line>();
    schema["title"] = "A line of a history, for squall".into();
    schema
}
