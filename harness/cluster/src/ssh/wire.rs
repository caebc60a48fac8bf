//! What the harness and the agent on a host say to each other: a JSON document a line, a reply for each request.
//!
//! The agent never speaks first: ends of programs ride on the next reply, and a request that asks for nothing
//! ([`Request::Beat`]) is sent often enough to be a heartbeat.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Damage, Damaged, Exit};

/// Changes whenever one side could misunderstand the other. Both are the same executable, so this only guards
/// against one that was put there by hand.
pub(super) const PROTOCOL: u32 = 1;

/// Bytes, as JSON can carry them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes(pub Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        STANDARD.decode(text).map(Bytes).map_err(serde::de::Error::custom)
    }
}

/// A command of the host's own system, run to its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Command {
    /// The program, looked up on the host's PATH, and its arguments.
    pub argv: Vec<String>,
    /// What it reads.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
}

impl Command {
    /// A command that reads nothing.
    pub fn new<'a>(argv: impl IntoIterator<Item = &'a str>) -> Self {
        Command { argv: argv.into_iter().map(str::to_owned).collect(), input: String::new() }
    }

    /// The same, reading this text.
    pub fn reading(self, input: String) -> Self {
        Command { input, ..self }
    }
}

/// A program to start.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spawn {
    /// What its end will be told by.
    pub token: u64,
    /// Names its log and its pid file.
    pub name: String,
    /// The executable and its arguments.
    pub argv: Vec<String>,
    /// Environment beside what the agent sets.
    pub env: BTreeMap<String, String>,
    /// Where it runs; relative to the data directory.
    pub cwd: PathBuf,
    /// Files to write first; relative paths are below the data directory.
    pub files: Vec<(PathBuf, Bytes)>,
    /// Whether its output is kept for [`Request::Output`] instead of going to its log.
    pub captured: bool,
}

/// A change of the host's clock.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ClockOrder {
    /// A step of so many nanoseconds.
    Jump(i64),
    /// On at this multiple of true time.
    Rate(f64),
    /// True time again.
    Reset,
    /// There and back by so many nanoseconds, every so many.
    Strobe { delta_nanos: i64, period_nanos: u64 },
}

/// What is asked of an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Request {
    /// Nothing; keeps the dead man's switch from firing.
    Beat,
    /// Start a program.
    Spawn(Spawn),
    /// Signal a program: its first process, or all of its group.
    Signal {
        token: u64,
        signal: i32,
        group: bool,
    },
    /// Signal every process of every program, and wait until it shows.
    KillAll,
    StopAll,
    ContinueAll,
    /// How many processes there are, and how many are stopped.
    Count,
    /// What a captured program wrote; forgotten after.
    Output {
        token: u64,
    },
    /// Run a command of the system.
    Exec {
        command: Command,
        limit_millis: u64,
    },
    /// What undoes the faults that may be on, in this order, in place of what was said before.
    Arm(Vec<Command>),
    /// Move the clock.
    Clock(ClockOrder),
    /// Damage stored files.
    Damage(Damage),
    /// Empty the data directory.
    Wipe,
    /// Bytes of a program's log from an offset on, at most a mebibyte.
    Log {
        name: String,
        from: u64,
    },
    /// Undo everything and end.
    Bye,
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Answer {
    Done,
    /// The agent's first word.
    Hello(Hello),
    Started {
        pid: u32,
    },
    Counted {
        all: usize,
        stopped: usize,
    },
    Output {
        stdout: Bytes,
        stderr: Bytes,
    },
    Executed {
        exit: Exit,
        stdout: Bytes,
        stderr: Bytes,
    },
    Clock {
        offset_nanos: i64,
        rate: f64,
        generation: u64,
        seen: bool,
    },
    Damaged(Vec<Damaged>),
    Log(Bytes),
    Failed {
        what: String,
        kind: Trouble,
    },
}

/// The agent's first word.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// Whether it may do what only root may.
    pub root: bool,
    /// Where the harness connects from and to, as sshd says it: address, port, address, port.
    pub connection: String,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Trouble {
    /// The request makes no sense here.
    Invalid,
    /// The system refused; its errno.
    System(i32),
    /// It did not happen in its time.
    Timeout,
}

/// A program ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ended {
    /// Which.
    pub token: u64,
    /// How.
    pub exit: Exit,
}

/// A reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Reply {
    /// The answer.
    pub answer: Answer,
    /// What ended since the last reply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<Ended>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_what_is_heard() {
        let spawn = Spawn { token: 3, files: vec![("a".into(), Bytes(vec![0, 255]))], ..Spawn::default() };
        for request in [
            Request::Spawn(spawn),
            Request::Clock(ClockOrder::Jump(-5)),
            Request::Damage(Damage::Truncate { files: "**".into(), bytes: 4 }),
            Request::Arm(vec![Command::new(["nft", "-f", "-"]).reading("x\ny".into())]),
        ] {
            let line = serde_json::to_string(&request).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(serde_json::from_str::<Request>(&line).unwrap(), request, "{line}");
        }
    }
}
