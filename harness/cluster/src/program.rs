//! A program as data: what to run on a node, and how it ended.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A program to run on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Its name on its node, unique there: names its log files, and is how it is stopped.
    pub name: String,
    /// The executable (looked up in the node's PATH unless it has a slash) and its arguments.
    pub argv: Vec<OsString>,
    /// Environment beside `PATH`, `HOME` and `LANG`, which the provider sets.
    pub env: BTreeMap<String, String>,
    /// Where it runs; the node's data directory if not said.
    pub cwd: Option<PathBuf>,
    /// Files to write before each start: path on the node, contents. Relative paths are below the data directory.
    pub files: Vec<(PathBuf, Vec<u8>)>,
}

impl Program {
    /// A program with this name and command.
    pub fn new<S: Into<OsString>>(name: &str, argv: impl IntoIterator<Item = S>) -> Self {
        Program {
            name: name.to_owned(),
            argv: argv.into_iter().map(Into::into).collect(),
            ..Program::default()
        }
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}
