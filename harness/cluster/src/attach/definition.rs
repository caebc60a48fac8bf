//! What a person says of a running cluster, and what can be wrong about it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::command::Commands;
use super::template::{missing, placeholders};
use crate::Error;

/// A file that describes a running cluster.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachFile {
    /// Its nodes, in order.
    pub nodes: Vec<NodeOf>,
    /// What runs there, as the report is to say it.
    #[serde(default)]
    pub version: Option<String>,
    /// Empties it before each run.
    #[serde(default)]
    pub reset: Option<String>,
    /// Its owner sees to it that it is empty when a run begins: good for one run.
    #[serde(default)]
    pub starts_empty: bool,
    /// Undoes whatever a fault may have left, before and after each run.
    #[serde(default)]
    pub heal: Option<String>,
    /// How a node's programs are handled.
    #[serde(default)]
    pub programs: ProgramsOf,
    /// How a command is run on a node: `{command}` stands for it.
    #[serde(default)]
    pub run: Option<String>,
    /// Logs of each node, by name.
    #[serde(default)]
    pub logs: BTreeMap<String, LogOf>,
    /// Faults by name, in place of those of this name that squall injects itself elsewhere.
    #[serde(default)]
    pub faults: BTreeMap<String, FaultOf>,
    /// How long a command may take.
    #[serde(default = "limit")]
    pub limit_seconds: u64,
    /// The folder of the file, in which commands run.
    #[serde(skip)]
    pub dir: PathBuf,
}

fn limit() -> u64 {
    30
}

/// A node.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeOf {
    /// Its name.
    pub name: String,
    /// Its address: a number, or a name that is looked up when a run begins.
    pub address: String,
    /// Where a port of it is found instead, as `address:port` or a port of the same address: behind a forwarding.
    #[serde(default)]
    pub ports: BTreeMap<u16, String>,
}

/// How a node's programs are handled; each is a command.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProgramsOf {
    /// Kills them.
    pub kill: Option<String>,
    /// Asks them to end.
    pub stop: Option<String>,
    /// Starts them again.
    pub start: Option<String>,
    /// Ends with 0 while they run: proves a kill and a start.
    pub running: Option<String>,
    /// Stops them where they are.
    pub pause: Option<String>,
    /// Lets them go on.
    pub resume: Option<String>,
    /// Ends with 0 while they are stopped: proves a pause.
    pub paused: Option<String>,
}

/// A log of a node, by one of two commands.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogOf {
    /// Prints it as it is written, from now on. One that ends is started again until the run ends.
    pub follow: Option<String>,
    /// Prints it once, at the end of the run, which began `{seconds}` ago.
    pub fetch: Option<String>,
}

/// A fault by commands. One that speaks of a single node (`{node}`, `{address}`, `{index}`) is run once for each
/// victim, any other once for all.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultOf {
    /// Begins it.
    pub begin: String,
    /// Ends it. A fault without one is told how long it lasts, by `{seconds}`, and ends by itself.
    #[serde(default)]
    pub end: Option<String>,
    /// Ends with 0 if the fault is on; what it prints is the evidence. Without one nothing is proven.
    #[serde(default)]
    pub prove: Option<String>,
    /// Whom it may be aimed at, if not everybody: `one`, `minority`, `majority`, `leader`, `all`.
    #[serde(default)]
    pub targets: Vec<String>,
}

/// Placeholders of the node that a command is about.
const OF_NODE: [&str; 3] = ["node", "address", "index"];
const EVERYWHERE: [&str; 1] = ["dir"];
const OF_FAULT: [&str; 7] = ["nodes", "addresses", "others", "other_addresses", "seconds", "fault", "id"];

impl AttachFile {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::Invalid(format!("the cluster file {name} cannot be read: {e}")))?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let folder = folder.canonicalize().map_err(|e| Error::io(format!("looking for {name}"), e))?;
        AttachFile::parse(&name, &text, folder)
    }

    /// Reads its text.
    pub fn parse(name: &str, text: &str, dir: PathBuf) -> Result<Self, Error> {
        let file: AttachFile = serde_yaml::from_str(text)
            .map_err(|e| Error::Invalid(format!("the cluster file {name}: {e}")))?;
        let file = AttachFile { dir, ..file };
        match file.wrong() {
            Some(why) => Err(Error::Invalid(format!("the cluster file {name}: {why}"))),
            None => Ok(file),
        }
    }

    /// How its commands are run.
    pub fn commands(&self) -> Commands {
        Commands { dir: self.dir.clone(), limit: Duration::from_secs(self.limit_seconds) }
    }

    /// What is wrong with it, if anything.
    fn wrong(&self) -> Option<String> {
        self.wrong_nodes().or_else(|| self.wrong_commands()).or_else(|| self.wrong_words())
    }

    fn wrong_nodes(&self) -> Option<String> {
        if self.nodes.is_empty() {
            return Some("`nodes` is empty".into());
        }
        if self.limit_seconds == 0 {
            return Some("`limit_seconds` is 0: no command could end in time".into());
        }
        let (mut names, mut addresses) = (BTreeSet::new(), BTreeSet::new());
        for NodeOf { name, address, ports } in &self.nodes {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || !name.chars().all(fits) || name.starts_with(['.', '-']) {
                return Some(format!(
                    "`{name}` cannot name a node: letters, digits, `-`, `_` and `.`, not beginning with `.` or `-`"
                ));
            }
            if !names.insert(name) {
                return Some(format!("two nodes are named `{name}`"));
            }
            if !addresses.insert(address) {
                return Some(format!(
                    "two nodes have the address {address}, by which clients tell them apart: where one is reached by \
                     other ports, give each an address of its own, such as 127.0.0.2, and say under `ports` where \
                     its ports are found"
                ));
            }
            if let Some((_, to)) = ports.iter().find(|(_, to)| endpoint(to, address).is_none()) {
                return Some(format!("`{to}` of {name} is no port and no `address:port`"));
            }
        }
        None
    }

    fn wrong_commands(&self) -> Option<String> {
        let p = &self.programs;
        let pairs = [
            ("kill", &p.kill, "start", &p.start),
            ("kill", &p.kill, "running", &p.running),
            ("stop", &p.stop, "start", &p.start),
            ("stop", &p.stop, "running", &p.running),
            ("pause", &p.pause, "resume", &p.resume),
            ("pause", &p.pause, "paused", &p.paused),
        ];
        for (given, command, needed, by) in pairs {
            if command.is_some() && by.is_none() {
                return Some(format!(
                    "`programs` has `{given}` but not `{needed}`, without which it could not be undone and proven"
                ));
            }
        }
        for (name, log) in &self.logs {
            let plain =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
            if !plain || log.follow.is_some() == log.fetch.is_some() {
                return Some(format!("the log `{name}` needs a plain name, and either `follow` or `fetch`"));
            }
        }
        for (name, fault) in &self.faults {
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            if name.is_empty() || !name.chars().all(fits) || name == "none" {
                return Some(format!("`{name}` cannot name a fault: small letters, digits and `-`"));
            }
            if fault.end.is_none() && !placeholders(&fault.begin).contains(&"seconds") {
                return Some(format!(
                    "the fault `{name}` has no `end`, and its `begin` does not say for how long (`{{seconds}}`): it \
                     would never end"
                ));
            }
            const KINDS: [&str; 5] = ["one", "minority", "majority", "leader", "all"];
            if let Some(other) = fault.targets.iter().find(|t| !KINDS.contains(&t.as_str())) {
                return Some(format!("`{other}` is no target of a fault; they are {}", KINDS.join(", ")));
            }
        }
        None
    }

    /// A placeholder that means nothing where it stands.
    fn wrong_words(&self) -> Option<String> {
        let node: Vec<&str> = [&OF_NODE[..], &EVERYWHERE].concat();
        let p = &self.programs;
        let programs = [&p.kill, &p.stop, &p.start, &p.running, &p.pause, &p.resume, &p.paused];
        let programs = programs.into_iter().flatten().map(|text| (text, node.clone()));
        let whole = [&self.reset, &self.heal].into_iter().flatten().map(|text| (text, EVERYWHERE.to_vec()));
        let run = self.run.iter().map(|text| (text, [&node[..], &["command"]].concat()));
        let follow = self.logs.values().filter_map(|l| l.follow.as_ref()).map(|text| (text, node.clone()));
        let fetch = self.logs.values().filter_map(|l| l.fetch.as_ref());
        let fetch = fetch.map(|text| (text, [&node[..], &["seconds"]].concat()));
        let fault = |f: &'_ FaultOf| [Some(f.begin.clone()), f.end.clone(), f.prove.clone()];
        let faults: Vec<String> = self.faults.values().flat_map(fault).flatten().collect();
        let of_fault: Vec<&str> = [&node[..], &OF_FAULT].concat();
        let faults = faults.iter().map(|text| (text, of_fault.clone()));
        for (text, known) in programs.chain(whole).chain(run).chain(follow).chain(fetch).chain(faults) {
            if let Some(word) = missing(text, &known) {
                return Some(format!(
                    "`{{{word}}}` in `{text}` is no placeholder here; those are {} (a word in braces that is meant as \
                     it stands is written `{{{{{word}}}}}`)",
                    known.iter().map(|k| format!("{{{k}}}")).collect::<Vec<_>>().join(", ")
                ));
            }
        }
        if self.run.as_ref().is_some_and(|run| !placeholders(run).contains(&"command")) {
            return Some("`run` does not say where the command goes (`{command}`)".into());
        }
        None
    }
}

impl FaultOf {
    /// Whether a command of it is about one node.
    pub fn is_of_one_node(command: &str) -> bool {
        placeholders(command).iter().any(|word| OF_NODE.contains(word))
    }
}

/// A port's place: address and port.
pub(super) fn endpoint(to: &str, address: &str) -> Option<(String, u16)> {
    if let Ok(port) = to.parse() {
        return Some((address.to_owned(), port));
    }
    let (host, port) = to.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    (!host.is_empty()).then_some((host.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<AttachFile, String> {
        AttachFile::parse("c.yaml", text, PathBuf::new()).map_err(|e| e.to_string())
    }

    const NODES: &str = "nodes: [{name: n1, address: 127.0.0.2}, {name: n2, address: 127.0.0.3}]\n";

    #[test]
    fn a_whole_file_is_read() {
        let text = format!(
            "{NODES}version: '3'\nreset: wipe {{dir}}\nheal: h\nrun: 'on {{node}} {{command}}'\n\
             programs: {{kill: 'k {{node}}', start: s, running: r, pause: p, resume: r, paused: p}}\n\
             logs: {{server: {{follow: 'tail {{node}}'}}, old: {{fetch: 'cat {{seconds}}'}}}}\n\
             faults: {{partition: {{begin: 'b {{nodes}}', end: e, prove: p, targets: [leader]}}}}\n"
        );
        let file = read(&text).unwrap();
        assert_eq!(file.nodes.len(), 2);
        assert_eq!(file.limit_seconds, 30);
        assert_eq!(file.faults["partition"].targets, ["leader"]);
        assert!(FaultOf::is_of_one_node("iptables {address}") && !FaultOf::is_of_one_node("x {nodes}"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_by_name() {
        let cases = [
            ("nodes: []\n", "`nodes` is empty"),
            ("nodes: [{name: a b, address: x}]\n", "`a b` cannot name a node"),
            ("nodes: [{name: a, address: x}, {name: a, address: y}]\n", "two nodes are named `a`"),
            ("nodes: [{name: a, address: x}, {name: b, address: x}]\n", "two nodes have the address x"),
            ("nodes: [{name: a, address: x, ports: {1: y}}]\n", "`y` of a is no port"),
            ("programs: {kill: k}\n", "`programs` has `kill` but not `start`"),
            ("programs: {pause: k, resume: r}\n", "`programs` has `pause` but not `paused`"),
            ("logs: {a: {}}\n", "either `follow` or `fetch`"),
            ("logs: {../a: {fetch: x}}\n", "a plain name"),
            ("faults: {f: {begin: b}}\n", "it would never end"),
            ("faults: {f: {begin: b, end: e, targets: [some]}}\n", "`some` is no target of a fault"),
            ("faults: {f: {begin: 'b {nod}', end: e}}\n", "`{nod}` in `b {nod}` is no placeholder here"),
            ("faults: {none: {begin: b, end: e}}\n", "`none` cannot name a fault"),
            ("heal: 'x {node}'\n", "`{node}` in `x {node}` is no placeholder here"),
            ("run: ssh {node}\n", "does not say where the command goes"),
            ("limit_seconds: 0\n", "`limit_seconds` is 0"),
            ("fault: {}\n", "fault"),
        ];
        for (text, why) in cases {
            let text = if text.starts_with("nodes") { text.to_owned() } else { format!("{NODES}{text}") };
            let error = read(&text).unwrap_err();
            assert!(error.starts_with("the cluster file c.yaml: ") && error.contains(why), "{text}{error}");
        }
    }

    #[test]
    fn a_port_may_be_found_elsewhere() {
        assert_eq!(endpoint("17000", "h"), Some(("h".into(), 17000)));
        assert_eq!(endpoint("x:17000", "h"), Some(("x".into(), 17000)));
        assert_eq!(endpoint("[::1]:17000", "h"), Some(("::1".into(), 17000)));
        assert_eq!((endpoint(":1", "h"), endpoint("x:70000", "h")), (None, None));
    }
}
