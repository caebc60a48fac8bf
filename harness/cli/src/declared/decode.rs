//! From the located tree to a definition.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use serde_json::Value as Json;
use squall_checkers::txn::models as consistency;
use squall_targets::declared::{
    Bootstrap, ClientOf, CommandOf, Definition, FIXED, ListOf, Members, Membership, On, ProbeOf, ProgramOf,
    Promises, Start, StepOf, Template,
};

use crate::campaign::{Complaint, Fields, Key, Node, Tree, list, positive_duration, text, whole, word};

/// What can be asked for by name in templates.
struct Names(BTreeSet<String>);

/// Reads a description that stands in this folder.
pub(super) fn definition(node: &Node, dir: &Path) -> Result<Definition, Complaint> {
    let mut d = Definition { dir: dir.to_owned(), ..Definition::default() };
    let mut fields = Fields::of(node, "a target: a map with keys such as `programs` and `client`")?;
    let f = &mut fields;
    d.name = match f.get("name") {
        Some(n) => text(n)?,
        None => return Err(node.complain("`name` is missing: what the system is called")),
    };
    f.set("package", &mut d.package, |n| text(n).map(Some))?;
    f.set("root", &mut d.root, |n| Ok(Some(dir.join(text(n)?))))?;
    f.set("options", &mut d.options, options)?;
    f.set("ports", &mut d.ports, ports)?;
    let lists = f.get("lists");
    let names = Names::of(&d, lists)?;
    if let Some(lists) = lists {
        // A list is made of what a node has, not of other lists.
        let plain = Names::of(&d, None)?;
        for (key, n) in entries(lists)? {
            d.lists.insert(key.name.clone(), list_of(n, &plain)?);
        }
    }
    f.set("requires", &mut d.requires, |n| list(n, |n| names.template(n)))?;
    f.set("version", &mut d.version, |n| names.command(n).map(Some))?;
    f.set("promises", &mut d.promises, |n| promises(n, &d.options))?;
    f.set("supports", &mut d.supports, |n| list(n, text))?;
    f.set("setup", &mut d.setup, |n| list(n, |n| names.step(n)))?;
    f.set("programs", &mut d.programs, |n| list(n, |n| names.program(n)))?;
    f.set("start", &mut d.start, |n| {
        word(n, &[("together", Start::Together), ("one-by-one", Start::OneByOne)])
    })?;
    f.set("bootstrap", &mut d.bootstrap, |n| names.bootstrap(n, &d.ports).map(Some))?;
    f.set("ready", &mut d.ready, |n| list(n, |n| names.probe(n, &d.ports)))?;
    f.set("leader", &mut d.leader, |n| names.probe(n, &d.ports).map(Some))?;
    f.set("members", &mut d.members, |n| names.membership(n).map(Some))?;
    f.set("maintenance", &mut d.maintenance, |n| {
        entries(n)?.iter().map(|(k, v)| Ok((k.name.clone(), names.command(v)?))).collect()
    })?;
    f.set("logs", &mut d.logs, |n| list(n, |n| names.template(n)))?;
    f.set("trouble", &mut d.trouble, |n| list(n, text))?;
    f.set("refuses", &mut d.refuses, |n| {
        entries(n)?.iter().map(|(k, v)| Ok((k.name.clone(), text(v)?))).collect()
    })?;
    match f.get("client") {
        Some(n) => d.client = names.client(n)?,
        None => return Err(node.complain("`client` is missing: the program that speaks to the system")),
    }
    fields.finish()?;
    let lacks = |what: &str| node.complain(format!("`{what}` is missing"));
    if d.programs.is_empty() {
        return Err(lacks("programs"));
    }
    if d.supports.is_empty() {
        return Err(
            node.complain("`supports` is missing: what the client can do, such as [read, write, cas]")
        );
    }
    if d.ready.is_empty() {
        return Err(
            node.complain("`ready` is missing: how a node shows that it serves, such as {port: client}")
        );
    }
    Ok(d)
}

fn entries(node: &Node) -> Result<&[(Key, Node)], Complaint> {
    match &node.tree {
        Tree::Map(entries) => Ok(entries),
        _ => Err(node.complain(format!("expected a map, found {}", node.kind()))),
    }
}

fn options(node: &Node) -> Result<BTreeMap<String, Json>, Complaint> {
    let one = |(key, value): &(Key, Node)| match &value.tree {
        Tree::Text(_) | Tree::Number(_) | Tree::Bool(_) => Ok((key.name.clone(), value.to_json())),
        _ => Err(value.complain(format!("an option's default is a single value, found {}", value.kind()))),
    };
    entries(node)?.iter().map(one).collect()
}

fn ports(node: &Node) -> Result<BTreeMap<String, u16>, Complaint> {
    entries(node)?.iter().map(|(k, v)| Ok((k.name.clone(), whole(v, 1, 65535)? as u16))).collect()
}

/// A port by number or by name.
fn port(node: &Node, ports: &BTreeMap<String, u16>) -> Result<u16, Complaint> {
    if let Tree::Text(name) = &node.tree {
        let known: Vec<_> = ports.keys().map(String::as_str).collect();
        let unknown = || {
            let known = if known.is_empty() { "`ports` names none".into() } else { known.join(", ") };
            node.complain(format!("no port is named `{name}`; known: {known}"))
        };
        return ports.get(name).copied().ok_or_else(unknown);
    }
    Ok(whole(node, 1, 65535)? as u16)
}

fn list_of(node: &Node, names: &Names) -> Result<ListOf, Complaint> {
    let mut made = ListOf { each: Template::default(), of: Members::All, join: ",".to_owned() };
    let mut fields = Fields::of(node, "a map such as `{each: \"{address}:2380\", join: \",\"}`")?;
    match fields.get("each") {
        Some(n) => made.each = names.template(n)?,
        None => return Err(node.complain("`each` is missing: the text for one node")),
    }
    fields.set("of", &mut made.of, |n| word(n, &[("all", Members::All), ("others", Members::Others)]))?;
    fields.set("join", &mut made.join, raw)?;
    fields.finish().map(|()| made)
}

/// A text that may be empty or blank.
fn raw(node: &Node) -> Result<String, Complaint> {
    match &node.tree {
        Tree::Text(s) => Ok(s.clone()),
        _ => text(node),
    }
}

fn truth(node: &Node) -> Result<bool, Complaint> {
    match node.tree {
        Tree::Bool(b) => Ok(b),
        _ => Err(node.complain(format!("expected true or false, found {}", node.kind()))),
    }
}

/// A model, or a map from `default` and `option=value` to models.
fn promises(node: &Node, options: &BTreeMap<String, Json>) -> Result<Promises, Complaint> {
    let model = |n: &Node| {
        let name = text(n)?;
        match consistency::model(&name) {
            Some(_) => Ok(name),
            None => {
                Err(n.complain(format!("no consistency model is named `{name}`; see `squall list models`")))
            }
        }
    };
    if let Tree::Text(_) = node.tree {
        return Ok(Promises { default: model(node)?, ..Promises::default() });
    }
    let mut promises = Promises::default();
    for (key, n) in entries(node)? {
        match key.name.split_once('=') {
            Some((option, value)) if options.contains_key(option) => {
                promises.where_option.push((option.to_owned(), value.to_owned(), model(n)?));
            }
            None if key.name == "default" => promises.default = model(n)?,
            _ => {
                let text = format!("`{}` is neither `default` nor `option=value` of an option", key.name);
                return Err(Complaint::new(text, Some(key.at)));
            }
        }
    }
    Ok(promises)
}

fn on(node: &Node) -> Result<On, Complaint> {
    Ok(match &node.tree {
        Tree::Text(s) if s == "all" => On::All,
        Tree::Text(s) if s == "first" => On::First,
        Tree::Text(s) if s == "rest" => On::Rest,
        Tree::List(_) => On::Names(list(node, text)?),
        _ => {
            return Err(node
                .complain(format!("{} is not `all`, `first`, `rest` or a list of node names", node.kind())));
        }
    })
}

impl Names {
    fn of(d: &Definition, lists: Option<&Node>) -> Result<Names, Complaint> {
        let mut names: BTreeSet<String> = FIXED.iter().map(|(name, _)| (*name).to_owned()).collect();
        if d.root.is_none() {
            names.remove("root");
        }
        names.extend(d.ports.keys().map(|p| format!("port.{p}")));
        names.extend(d.options.keys().map(|o| format!("option.{o}")));
        for (key, _) in lists.map(entries).transpose()?.unwrap_or_default() {
            if !names.insert(key.name.clone()) {
                return Err(Complaint::new(format!("`{}` is a placeholder already", key.name), Some(key.at)));
            }
        }
        Ok(Names(names))
    }

    fn template(&self, node: &Node) -> Result<Template, Complaint> {
        let given = match &node.tree {
            Tree::Bool(b) => b.to_string(),
            _ => raw(node)?,
        };
        Template::parse(&given, &self.0).map_err(|e| node.complain(e))
    }

    fn command(&self, node: &Node) -> Result<CommandOf, Complaint> {
        match &node.tree {
            Tree::List(_) => Ok(CommandOf::Arguments(list(node, |n| self.template(n))?)),
            Tree::Text(s) if !s.trim().is_empty() => Ok(CommandOf::Shell(self.template(node)?)),
            _ => Err(node.complain(format!(
                "expected a command, a list of arguments or a line for the shell, found {}",
                node.kind()
            ))),
        }
    }

    fn env(&self, node: &Node) -> Result<BTreeMap<String, Template>, Complaint> {
        entries(node)?.iter().map(|(k, v)| Ok((k.name.clone(), self.template(v)?))).collect()
    }

    fn files(&self, node: &Node) -> Result<Vec<(String, Template)>, Complaint> {
        let one = |(key, value): &(Key, Node)| {
            let outside = key.name.starts_with('/') || key.name.split('/').any(|part| part == "..");
            if outside {
                let text = format!("`{}` is not below the data directory", key.name);
                return Err(Complaint::new(text, Some(key.at)));
            }
            Ok((key.name.clone(), self.template(value)?))
        };
        entries(node)?.iter().map(one).collect()
    }

    fn program(&self, node: &Node) -> Result<ProgramOf, Complaint> {
        let mut p = ProgramOf::default();
        let mut fields = Fields::of(node, "a program: a map with `name` and `command`")?;
        fields.set("name", &mut p.name, text)?;
        fields.set("on", &mut p.on, on)?;
        fields.set("env", &mut p.env, |n| self.env(n))?;
        fields.set("files", &mut p.files, |n| self.files(n))?;
        match fields.get("command") {
            Some(n) => p.command = self.command(n)?,
            None => return Err(node.complain("`command` is missing: what runs")),
        }
        fields.finish()?;
        if p.name.is_empty() || p.name.contains('/') {
            return Err(node.complain("a program needs a `name`, without `/`: it names its log"));
        }
        Ok(p)
    }

    fn step(&self, node: &Node) -> Result<StepOf, Complaint> {
        let mut s = StepOf::default();
        let mut fields = Fields::of(node, "a step: a map with `command`, `files` or both")?;
        fields.set("on", &mut s.on, on)?;
        fields.set("env", &mut s.env, |n| self.env(n))?;
        fields.set("files", &mut s.files, |n| self.files(n))?;
        fields.set("command", &mut s.command, |n| self.command(n).map(Some))?;
        fields.finish()?;
        if s.command.is_none() && s.files.is_empty() {
            return Err(node.complain("a step without `command` and `files` does nothing"));
        }
        Ok(s)
    }

    fn bootstrap(&self, node: &Node, ports: &BTreeMap<String, u16>) -> Result<Bootstrap, Complaint> {
        let mut b = Bootstrap { on: On::First, command: CommandOf::default(), after: None };
        let mut fields = Fields::of(node, "a map such as `{on: first, command: […]}`")?;
        fields.set("on", &mut b.on, on)?;
        fields.set("after", &mut b.after, |n| self.probe(n, ports).map(Some))?;
        match fields.get("command") {
            Some(n) => b.command = self.command(n)?,
            None => return Err(node.complain("`command` is missing: what is done once")),
        }
        fields.finish().map(|()| b)
    }

    fn probe(&self, node: &Node, ports: &BTreeMap<String, u16>) -> Result<ProbeOf, Complaint> {
        let what = "a map such as `{port: client}`, `{http: /health, port: client}` or `{command: […]}`";
        let mut fields = Fields::of(node, what)?;
        let (http, command, given) = (fields.get("http"), fields.get("command"), fields.get("port"));
        let mut contains = String::new();
        fields.set("contains", &mut contains, text)?;
        let mut limit = Duration::from_secs(2);
        fields.set("limit", &mut limit, positive_duration)?;
        fields.finish()?;
        match (http, command, given) {
            (None, None, Some(p)) => Ok(ProbeOf::Port(port(p, ports)?)),
            (Some(path), None, Some(p)) => {
                Ok(ProbeOf::Http { port: port(p, ports)?, path: self.template(path)?, contains })
            }
            (None, Some(c), None) => Ok(ProbeOf::Command { command: self.command(c)?, contains, limit }),
            (Some(_), None, None) => Err(node.complain("`http` needs a `port`")),
            _ => Err(node.complain(format!("expected {what}, and one of them"))),
        }
    }

    fn membership(&self, node: &Node) -> Result<Membership, Complaint> {
        let mut m = Membership::default();
        let member = ["member.name", "member.address", "member.id"].map(str::to_owned);
        let names = Names(self.0.iter().cloned().chain(member).collect());
        let what = "how members change: a map with `list`, `add` and `remove`";
        let mut fields = Fields::of(node, what)?;
        let command = |fields: &mut Fields<'_>, name: &'static str| match fields.get(name) {
            Some(n) => names.command(n),
            None => Err(node.complain(format!("`{name}` is missing: expected {what}, each a command"))),
        };
        m.list = command(&mut fields, "list")?;
        m.add = command(&mut fields, "add")?;
        m.remove = command(&mut fields, "remove")?;
        fields.set("joining", &mut m.joining, |n| list(n, |n| self.program(n)))?;
        fields.set("keeps_data", &mut m.keeps_data, truth)?;
        fields.finish().map(|()| m)
    }

    fn client(&self, node: &Node) -> Result<ClientOf, Complaint> {
        let mut c = ClientOf::default();
        // A client serves every node from outside of them, so it has no placeholders of a node.
        let outside = |name: &String| {
            matches!(name.as_str(), "dir" | "root")
                || name.starts_with("port.")
                || name.starts_with("option.")
        };
        let names = Names(self.0.iter().filter(|n| outside(n)).cloned().collect());
        let mut fields = Fields::of(node, "the client: a map with `command`")?;
        fields.set("env", &mut c.env, |n| names.env(n))?;
        fields.set("per_process", &mut c.per_process, truth)?;
        match fields.get("command") {
            Some(n) => c.command = names.command(n)?,
            None => return Err(node.complain("`command` is missing: the program that speaks to the system")),
        }
        fields.finish().map(|()| c)
    }
}
