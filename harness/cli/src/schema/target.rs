//! The description of a target, for editors.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde_json::Value as Json;

use super::campaign::{Duration, OneOrMore};
use super::tidy::without_null;

/// A system under test: how to start it, see whether it serves, and speak to it. Words in braces are placeholders.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct File {
    /// What the system is called.
    name: Text,
    /// The Debian package to name when something is missing.
    package: Option<Text>,
    /// An unpacked root directory, relative to this file: `{root}`.
    root: Option<Text>,
    /// Programs that must be on the PATH, or paths that must exist.
    requires: Option<OneOrMore<Text>>,
    /// What says its version: the first line that it prints.
    version: Option<Command>,
    /// Options and their defaults: `{option.NAME}`. A campaign gives them other values.
    options: Option<BTreeMap<String, Text>>,
    /// Ports by name: `{port.NAME}`. Clients are told the one called `client`.
    ports: Option<BTreeMap<String, PortNumber>>,
    /// Texts made of a text for each node: `{NAME}`.
    lists: Option<BTreeMap<String, List>>,
    /// What its documentation claims: a model, or models under `default` and `option=value`.
    promises: Option<Promises>,
    /// What the client can do, such as `read` or `set.add`.
    supports: OneOrMore<Text>,
    /// Done once on a node before its programs are started for the first time.
    setup: Option<OneOrMore<Step>>,
    /// What runs on nodes.
    programs: OneOrMore<Program>,
    /// In which order nodes come up.
    start: Option<Start>,
    /// Done once when every node was started.
    bootstrap: Option<Bootstrap>,
    /// How a node shows that it serves. All must hold.
    ready: OneOrMore<Probe>,
    /// How a node shows that it leads.
    leader: Option<Probe>,
    /// How members are changed while it serves.
    members: Option<Membership>,
    /// What operators do to it while it serves: names, and commands that run on the node that is asked.
    maintenance: Option<BTreeMap<String, Command>>,
    /// Log files that it writes itself, below its data directory.
    logs: Option<OneOrMore<Text>>,
    /// Texts in logs that mean trouble.
    trouble: Option<OneOrMore<Text>>,
    /// Faults that it cannot take, and why.
    refuses: Option<BTreeMap<String, Text>>,
    /// The program that speaks to the system.
    client: Client,
}

/// A single value; it is used as a text.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Text {
    Words(String),
    Number(f64),
    Truth(bool),
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "it only describes")]
struct PortNumber(#[schemars(range(min = 1, max = 65535))] u32);

/// A port by number or by its name in `ports`.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Port {
    Number(PortNumber),
    Name(String),
}

/// Arguments, or a line for the shell.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Command {
    Arguments(Vec<Text>),
    Shell(String),
}

/// A text for each node.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct List {
    /// The text for one node.
    each: Text,
    /// Of which nodes: all, or all but the one for which it is made.
    of: Option<Of>,
    /// What stands between them; a comma if not said.
    join: Option<Text>,
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum Of {
    All,
    Others,
}

#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum Promises {
    Always(String),
    Depends(BTreeMap<String, String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[allow(dead_code, reason = "it only describes")]
enum Start {
    /// All at once.
    Together,
    /// Each once the one before it serves.
    OneByOne,
}

/// On which nodes.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[allow(dead_code, reason = "it only describes")]
enum On {
    Word(OnWord),
    Names(Vec<String>),
}

#[derive(JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[allow(dead_code, reason = "it only describes")]
enum OnWord {
    All,
    First,
    Rest,
}

/// A program on nodes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Program {
    /// Names its log.
    name: String,
    /// Where it runs; everywhere if not said.
    on: Option<On>,
    /// What runs. It must stay in the foreground.
    command: Command,
    /// Its environment.
    env: Option<BTreeMap<String, Text>>,
    /// Files written below the data directory before each start.
    files: Option<BTreeMap<String, Text>>,
}

/// Something done once on a node: files, then a command.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Step {
    /// Where; everywhere if not said.
    on: Option<On>,
    /// What.
    command: Option<Command>,
    /// Files written below the data directory before.
    files: Option<BTreeMap<String, Text>>,
    /// Its environment.
    env: Option<BTreeMap<String, Text>>,
}

/// Done once when every node was started.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Bootstrap {
    /// On the first of these; on the first of all if not said.
    on: Option<On>,
    /// What every node must show before.
    after: Option<Probe>,
    /// What.
    command: Command,
}

/// Commands on the node that is asked; `{member.name}`, `{member.address}` and `{member.id}` are those of the node
/// that comes or goes.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Membership {
    /// Prints the names of the nodes that take part, between blanks or commas.
    list: Command,
    /// Adds a node, or does nothing if it is there.
    add: Command,
    /// Removes a node, or does nothing if it is not there.
    remove: Command,
    /// What runs on a node that joins, if that differs from `programs`. Lists are made of the members alone.
    joining: Option<OneOrMore<Program>>,
    /// Whether a node that was removed may come back with its data.
    keeps_data: Option<bool>,
}

/// A question to a node: whether a port takes connections, what HTTP answers there, or how a command ends.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Probe {
    /// The port.
    port: Option<Port>,
    /// The path that must answer 200.
    http: Option<Text>,
    /// What must end with code 0, on the node.
    command: Option<Command>,
    /// What the answer or the output must have in it.
    contains: Option<Text>,
    /// How long a command may take; 2 s if not said.
    limit: Option<Duration>,
}

/// A client in any language: see the page on its protocol.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[allow(dead_code, reason = "it only describes")]
struct Client {
    /// What runs, in the folder of this file and in the cluster's network.
    command: Command,
    /// Its environment.
    env: Option<BTreeMap<String, Text>>,
    /// Whether each process has a program of its own, instead of one a node.
    per_process: Option<bool>,
}

/// The schema of a target's description.
pub fn target() -> Json {
    without_null::<File>()
}
