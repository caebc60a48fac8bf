//! What a description says.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value as Json;

use super::template::Template;

/// A described target.
#[derive(Clone, Debug, Default)]
pub struct Definition {
    /// Its name in reports.
    pub name: String,
    /// The folder of the description, absolute: clients run there.
    pub dir: PathBuf,
    /// An unpacked root directory, absolute.
    pub root: Option<PathBuf>,
    /// The Debian package to install when something is missing.
    pub package: Option<String>,
    /// Programs that must be on the PATH, or paths that must exist.
    pub requires: Vec<Template>,
    /// What says its version: the first line of output.
    pub version: Option<CommandOf>,
    /// Options and their defaults.
    pub options: BTreeMap<String, Json>,
    /// Ports by name; `client` is the one that clients are told.
    pub ports: BTreeMap<String, u16>,
    /// Lists over nodes, placeholders of their own.
    pub lists: BTreeMap<String, ListOf>,
    /// What its documentation claims.
    pub promises: Promises,
    /// What its clients can do, such as `read` or `set.add`.
    pub supports: Vec<String>,
    /// Done once on a node before its programs are started for the first time.
    pub setup: Vec<StepOf>,
    /// What runs on nodes.
    pub programs: Vec<ProgramOf>,
    /// In which order nodes come up.
    pub start: Start,
    /// Done once when every node was started.
    pub bootstrap: Option<Bootstrap>,
    /// Whether a node serves. All must hold.
    pub ready: Vec<ProbeOf>,
    /// Whether a node leads.
    pub leader: Option<ProbeOf>,
    /// How its members are changed.
    pub members: Option<Membership>,
    /// What operators do to it while it serves: names, and commands that run on the node that is asked.
    pub maintenance: BTreeMap<String, CommandOf>,
    /// Texts in logs that mean trouble.
    pub trouble: Vec<String>,
    /// Log files that it writes itself, relative to the data directory.
    pub logs: Vec<Template>,
    /// Its clients.
    pub client: ClientOf,
    /// Faults that it cannot take, and why.
    pub refuses: BTreeMap<String, String>,
}

/// A command: arguments, or a line for a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandOf {
    /// The executable and its arguments.
    Arguments(Vec<Template>),
    /// A line for `/bin/sh -c`.
    Shell(Template),
}

impl Default for CommandOf {
    fn default() -> Self {
        CommandOf::Arguments(Vec::new())
    }
}

impl CommandOf {
    /// The executable and its arguments.
    pub fn argv(&self, values: &BTreeMap<String, String>) -> Vec<String> {
        match self {
            CommandOf::Arguments(parts) => parts.iter().map(|p| p.render(values)).collect(),
            CommandOf::Shell(line) => vec!["/bin/sh".into(), "-c".into(), line.render(values)],
        }
    }
}

/// On which nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum On {
    /// On every node.
    #[default]
    All,
    /// On the first.
    First,
    /// On all but the first.
    Rest,
    /// On these, by name.
    Names(Vec<String>),
}

impl On {
    /// Whether a node, counted from 0, is meant.
    pub fn has(&self, node: usize, name: &str) -> bool {
        match self {
            On::All => true,
            On::First => node == 0,
            On::Rest => node > 0,
            On::Names(names) => names.iter().any(|n| n == name),
        }
    }
}

/// A text for each of several nodes.
#[derive(Clone, Debug)]
pub struct ListOf {
    /// For each node; its placeholders are that node's.
    pub each: Template,
    /// For which nodes.
    pub of: Members,
    /// Between them.
    pub join: String,
}

/// The nodes of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Members {
    /// All of them.
    #[default]
    All,
    /// All but the one for which the list is made.
    Others,
}

/// What the documentation claims: a model, or another where an option has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Promises {
    /// Unless one of the others applies.
    pub default: String,
    /// Option, value, model.
    pub where_option: Vec<(String, String, String)>,
}

impl Default for Promises {
    fn default() -> Self {
        Promises { default: "linearizable".to_owned(), where_option: Vec::new() }
    }
}

/// A program on nodes.
#[derive(Clone, Debug, Default)]
pub struct ProgramOf {
    /// Its name on its node.
    pub name: String,
    /// Where it runs.
    pub on: On,
    /// What runs.
    pub command: CommandOf,
    /// Its environment.
    pub env: BTreeMap<String, Template>,
    /// Files written before each start: path below the data directory, text.
    pub files: Vec<(String, Template)>,
}

/// Something done once on a node.
#[derive(Clone, Debug, Default)]
pub struct StepOf {
    /// Where.
    pub on: On,
    /// What; nothing, if only files are written.
    pub command: Option<CommandOf>,
    /// Files written before.
    pub files: Vec<(String, Template)>,
    /// Its environment.
    pub env: BTreeMap<String, Template>,
}

/// In which order nodes come up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// All at once.
    #[default]
    Together,
    /// Each once the one before it serves.
    OneByOne,
}

/// Done once when every node was started.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// On which node: the first that is meant.
    pub on: On,
    /// What.
    pub command: CommandOf,
    /// Waits until this holds on every node.
    pub after: Option<ProbeOf>,
}

/// How members are changed while it serves. Commands run on a node that is asked; `{member.name}`,
/// `{member.address}` and `{member.id}` are those of the node that comes or goes.
#[derive(Clone, Debug, Default)]
pub struct Membership {
    /// Prints the names of the nodes that take part, between blanks or commas.
    pub list: CommandOf,
    /// Adds a node, or does nothing if it is there.
    pub add: CommandOf,
    /// Removes a node, or does nothing if it is not there.
    pub remove: CommandOf,
    /// What runs on a node that joins, if that differs from what runs otherwise.
    pub joining: Vec<ProgramOf>,
    /// Whether a node that was removed may come back with its data.
    pub keeps_data: bool,
}

/// A question to a node.
#[derive(Clone, Debug)]
pub enum ProbeOf {
    /// Whether this port takes connections.
    Port(u16),
    /// Whether this path answers 200 and the body has this text.
    Http {
        /// The port.
        port: u16,
        /// The path.
        path: Template,
        /// What the body must have; empty for anything.
        contains: String,
    },
    /// Whether a command on the node ends with code 0 and its output has this text.
    Command {
        /// The command.
        command: CommandOf,
        /// What its output must have; empty for anything.
        contains: String,
        /// How long it may take.
        limit: Duration,
    },
}

/// The client program.
#[derive(Clone, Debug, Default)]
pub struct ClientOf {
    /// What runs.
    pub command: CommandOf,
    /// Its environment.
    pub env: BTreeMap<String, Template>,
    /// One program a process instead of one a node.
    pub per_process: bool,
}
