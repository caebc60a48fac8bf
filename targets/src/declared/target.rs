//! A described target at work.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::Value as Json;
use squall_cluster::{Exit, Node, Program};
use squall_engine::protocol::{Client, Layout, LogPattern, NodeStatus, Status, Target, Via};
use squall_engine::{Deployment, Error};

use super::clients::Clients;
use super::definition::{CommandOf, Definition, Members, ProbeOf, ProgramOf, Start, StepOf};
use super::probe;
use super::template::Template;
use crate::external::{Hello, NodeHello, PROTOCOL, Spec};
use crate::on_path::find_on_path;

/// How long a step of the set-up, or the bootstrap, may take.
const STEP_LIMIT: Duration = Duration::from_secs(120);
/// How long one node may take to serve before the next is started.
const TURN_LIMIT: Duration = Duration::from_secs(60);
const ASK_EVERY: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Debug)]
pub struct Declared {
    pub(super) definition: Arc<Definition>,
    options: BTreeMap<String, Json>,
    promises: String,
    pub(super) nodes: OnceLock<Vec<Arc<dyn Node>>>,
    clients: OnceLock<Clients>,
    terms: Terms,
}

/// Each time that a node begins to lead counts as a term of its own: few systems say theirs.
#[derive(Debug, Default)]
struct Terms {
    last: AtomicU64,
    leads: Mutex<BTreeMap<usize, u64>>,
}

impl Terms {
    fn saw(&self, node: usize, leads: bool) -> u64 {
        let mut all = self.leads.lock().unwrap_or_else(PoisonError::into_inner);
        if !leads {
            all.remove(&node);
            return 0;
        }
        *all.entry(node).or_insert_with(|| self.last.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

impl Declared {
    /// A target as described, with these options (an object, or null for the defaults).
    pub fn new(definition: Arc<Definition>, given: &Json) -> Result<Self, Error> {
        let mut options = definition.options.clone();
        for (name, value) in given.as_object().into_iter().flatten() {
            let Some(place) = options.get_mut(name) else {
                let known: Vec<_> = definition.options.keys().map(String::as_str).collect();
                let known = if known.is_empty() { "it has none".into() } else { known.join(", ") };
                let target = &definition.name;
                return Err(Error::Config(format!(
                    "`{target}` has no option `{name}`; its options: {known}"
                )));
            };
            *place = value.clone();
        }
        let is = |o: &str, value: &str| options.get(o).is_some_and(|v| plain(v) == value);
        let promised = definition.promises.where_option.iter().find(|(o, value, _)| is(o, value));
        let promises = promised.map_or(&definition.promises.default, |(_, _, model)| model).clone();
        Ok(Declared {
            definition,
            options,
            promises,
            nodes: OnceLock::new(),
            clients: OnceLock::new(),
            terms: Terms::default(),
        })
    }

    /// What placeholders stand for that does not depend on a node.
    fn common(&self) -> BTreeMap<String, String> {
        let d = &self.definition;
        let mut values = BTreeMap::from([("dir".to_owned(), d.dir.to_string_lossy().into_owned())]);
        if let Some(root) = &d.root {
            values.insert("root".into(), root.to_string_lossy().into_owned());
        }
        values.extend(d.ports.iter().map(|(name, port)| (format!("port.{name}"), port.to_string())));
        values.extend(self.options.iter().map(|(name, value)| (format!("option.{name}"), plain(value))));
        values
    }

    /// The same on a node.
    pub(super) fn values(&self, node: usize, layout: &Layout) -> BTreeMap<String, String> {
        let all: Vec<usize> = (0..layout.nodes.len()).collect();
        self.values_among(&all, node, layout)
    }

    /// The same where lists are made of these nodes alone.
    fn values_among(&self, members: &[usize], node: usize, layout: &Layout) -> BTreeMap<String, String> {
        let mut values = self.of_node(node, layout);
        for (name, list) in &self.definition.lists {
            let each = members.iter().filter(|other| list.of == Members::All || **other != node);
            let each: Vec<String> = each.map(|&n| list.each.render(&self.of_node(n, layout))).collect();
            values.insert(name.clone(), each.join(&list.join));
        }
        values
    }

    /// These programs, on a node of a cluster of these members.
    pub(super) fn rendered_programs(
        &self,
        programs: &[ProgramOf],
        members: &[usize],
        node: usize,
        layout: &Layout,
    ) -> Vec<Program> {
        let values = self.values_among(members, node, layout);
        let here = programs.iter().filter(|p| p.on.has(node, &layout.nodes[node].name));
        here.map(|p| Program {
            env: rendered(&p.env, &values),
            files: files(&p.files, &values),
            ..Program::new(&p.name, p.command.argv(&values))
        })
        .collect()
    }

    fn of_node(&self, node: usize, layout: &Layout) -> BTreeMap<String, String> {
        let (me, first) = (&layout.nodes[node], &layout.nodes[0]);
        let mut values = self.common();
        let mut set = |name: &str, value: String| values.insert(name.to_owned(), value);
        set("name", me.name.clone());
        set("id", (node + 1).to_string());
        set("index", node.to_string());
        set("address", me.address.to_string());
        set("data", me.data_dir.to_string_lossy().into_owned());
        set("count", layout.nodes.len().to_string());
        set("first.name", first.name.clone());
        set("first.address", first.address.to_string());
        values
    }

    async fn step(&self, what: &str, step: &StepOf, node: usize, on: &Deployment) -> Result<(), Error> {
        let values = self.values(node, &on.layout);
        let argv = step.command.as_ref().map_or_else(|| vec!["true".to_owned()], |c| c.argv(&values));
        let shown = argv.join(" ");
        let program = Program {
            env: rendered(&step.env, &values),
            files: files(&step.files, &values),
            ..Program::new(what, argv)
        };
        let handle = &on.nodes[node];
        let output = handle.run(&program, STEP_LIMIT).await?;
        if output.exit == Exit::Code(0) {
            return Ok(());
        }
        let said = [output.stdout, b"\n".to_vec(), output.stderr].concat();
        let said = probe::cut(&String::from_utf8_lossy(&said));
        Err(Error::Target(format!(
            "the {what} `{shown}` on {} ended with {}: {said}",
            handle.name(),
            output.exit
        )))
    }

    /// Asks a node until what is asked for holds.
    async fn wait_for(
        &self,
        probe: Option<&ProbeOf>,
        node: usize,
        on: &Arc<Deployment>,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            if on.stop.is_stopped() {
                return Err(Error::Interrupted);
            }
            let asked = match probe {
                Some(probe) => {
                    let values = self.values(node, &on.layout);
                    probe::ask(probe, node, on.nodes.get(node), &values, on.via()).await
                }
                None => self.ready(node, on.via()).await,
            };
            let Err(why) = asked else { return Ok(()) };
            for program in self.programs(node, &on.layout) {
                if let squall_cluster::ProgramState::Exited(exit) = on.nodes[node].state(&program.name) {
                    let (name, log) = (&program.name, on.nodes[node].log_dir());
                    let log = std::fs::read(log.join(format!("{name}.log"))).unwrap_or_default();
                    let tail = String::from_utf8_lossy(&log[log.len().saturating_sub(600)..]).into_owned();
                    return Err(Error::Target(format!(
                        "`{name}` on {} ended while starting ({exit}); its log ends: {}",
                        on.name(node),
                        probe::cut(&tail)
                    )));
                }
            }
            if begun.elapsed() > TURN_LIMIT {
                let (name, limit) = (on.name(node), TURN_LIMIT.as_secs());
                return Err(Error::Target(format!(
                    "node {name} did not become ready within {limit} s: {why}"
                )));
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    /// Makes ready for client programs.
    fn hire(&self, deployment: &Arc<Deployment>) -> Result<(), Error> {
        let d = &self.definition;
        self.nodes.get_or_init(|| deployment.nodes.clone());
        let host = deployment.client_host.clone().ok_or_else(|| {
            Error::Config("this provider has no place where client programs can run".into())
        })?;
        self.clients.get_or_init(|| {
            let (recorder, stop) = (deployment.recorder.clone(), deployment.stop.clone());
            Clients::new(host, recorder, stop, d.client.per_process, d.supports.clone())
        });
        Ok(())
    }

    fn missing(&self, what: &str) -> Error {
        let how = match &self.definition.package {
            Some(package) => format!("; on Debian and Ubuntu: apt-get install {package}"),
            None => String::new(),
        };
        let place = if what.contains('/') { "is not there" } else { "is not on the PATH" };
        Error::Missing(format!("`{what}`, which the target `{}` needs, {place}{how}", self.definition.name))
    }

    /// Executables that are named where they can be told without a node.
    fn executables(&self) -> Vec<String> {
        let d = &self.definition;
        let common = self.common();
        let first = |command: &CommandOf| match command {
            CommandOf::Arguments(argv) => argv.first().map(|a| a.render(&common)),
            CommandOf::Shell(_) => None,
        };
        let commands = d.programs.iter().map(|p| &p.command).chain([&d.client.command]);
        let mut all: Vec<String> = d.requires.iter().map(|r| r.render(&common)).collect();
        all.extend(commands.filter_map(first));
        all
    }
}

fn plain(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn rendered(env: &BTreeMap<String, Template>, values: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    env.iter().map(|(name, value)| (name.clone(), value.render(values))).collect()
}

fn files(files: &[(String, Template)], values: &BTreeMap<String, String>) -> Vec<(PathBuf, Vec<u8>)> {
    files.iter().map(|(path, text)| (PathBuf::from(path), text.render(values).into_bytes())).collect()
}

fn is_there(what: &str, dir: &std::path::Path) -> bool {
    if what.contains('/') {
        return dir.join(what).exists();
    }
    find_on_path(what).is_some()
}

#[async_trait]
impl Target for Declared {
    fn name(&self) -> &str {
        &self.definition.name
    }

    async fn prepare(&self) -> Result<String, Error> {
        let d = &self.definition;
        if let Some(root) = d.root.as_ref().filter(|r| !r.is_dir()) {
            return Err(Error::Missing(format!("the root directory {} is not there", root.display())));
        }
        if let Some(what) = self.executables().into_iter().find(|e| !is_there(e, &d.dir)) {
            return Err(self.missing(&what));
        }
        let Some(version) = &d.version else { return Ok("unknown".to_owned()) };
        let argv = version.argv(&self.common());
        let shown = argv.join(" ");
        let output = tokio::process::Command::new(&argv[0])
            .args(&argv[1..])
            .current_dir(&d.dir)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(10), output)
            .await
            .map_err(|_| Error::Missing(format!("`{shown}` did not say its version within 10 s")))?
            .map_err(|e| Error::Missing(format!("`{shown}`, which says the version, cannot be run: {e}")))?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|l| !l.trim().is_empty()).filter(|_| output.status.success());
        let line = line.ok_or_else(|| {
            let said = probe::cut(&text);
            Error::Missing(format!("`{shown}` does not say a version ({}): {said}", output.status))
        })?;
        Ok(probe::cut(line))
    }

    async fn prepare_clients(&self) -> Result<(), Error> {
        let d = &self.definition;
        let client = match &d.client.command {
            CommandOf::Arguments(argv) => argv.first().map(|a| a.render(&self.common())),
            CommandOf::Shell(_) => None,
        };
        client.filter(|c| !is_there(c, &d.dir)).map_or(Ok(()), |what| Err(self.missing(&what)))
    }

    async fn take_up(&self, deployment: &Arc<Deployment>) -> Result<(), Error> {
        self.hire(deployment)
    }

    fn uses(&self) -> Vec<PathBuf> {
        let d = &self.definition;
        let paths = self.executables().into_iter().filter(|e| e.contains('/')).map(|e| d.dir.join(e));
        [d.dir.clone()].into_iter().chain(d.root.clone()).chain(paths).filter(|p| p.exists()).collect()
    }

    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program> {
        let all: Vec<usize> = (0..layout.nodes.len()).collect();
        self.rendered_programs(&self.definition.programs, &all, node, layout)
    }

    async fn bring_up(&self, node: usize, deployment: &Arc<Deployment>) -> Result<(), Error> {
        let d = &self.definition;
        if node == 0 {
            self.hire(deployment)?;
        }
        let name = deployment.name(node);
        for step in d.setup.iter().filter(|s| s.on.has(node, &name)) {
            self.step("set-up", step, node, deployment).await?;
        }
        if !d.logs.is_empty() {
            let values = self.values(node, &deployment.layout);
            for log in &d.logs {
                let path = deployment.nodes[node].data_dir().join(log.render(&values));
                let name = path.file_stem().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                // Looked through and shown like the others, where it is; one that is there already stays.
                let shown = deployment.nodes[node].log_dir().join(format!("{name}.log"));
                std::os::unix::fs::symlink(&path, &shown)
                    .map_err(|e| Error::io(format!("making {} a log", path.display()), e))?;
            }
        }
        deployment.start(node).await?;
        match d.start {
            Start::Together => Ok(()),
            Start::OneByOne => self.wait_for(None, node, deployment).await,
        }
    }

    async fn bootstrap(&self, deployment: &Arc<Deployment>) -> Result<(), Error> {
        let Some(bootstrap) = &self.definition.bootstrap else { return Ok(()) };
        if let Some(after) = &bootstrap.after {
            for node in 0..deployment.nodes.len() {
                self.wait_for(Some(after), node, deployment).await?;
            }
        }
        let node = (0..deployment.nodes.len()).find(|n| bootstrap.on.has(*n, &deployment.name(*n)));
        let step = StepOf { command: Some(bootstrap.command.clone()), ..StepOf::default() };
        self.step("bootstrap", &step, node.unwrap_or(0), deployment).await
    }

    async fn ready(&self, node: usize, via: Via<'_>) -> Result<(), Error> {
        let values = self.values(node, via.layout);
        let handle = self.nodes.get().and_then(|nodes| nodes.get(node));
        for probe in &self.definition.ready {
            probe::ask(probe, node, handle, &values, via).await?;
        }
        Ok(())
    }

    async fn connect(&self, node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        let d = &self.definition;
        let clients = self.clients.get();
        let clients = clients
            .ok_or_else(|| Error::Broken("a client was opened before its cluster was there".into()))?;
        let common = self.common();
        let spec = Spec {
            name: String::new(),
            argv: d.client.command.argv(&common).into_iter().map(Into::into).collect(),
            env: rendered(&d.client.env, &common),
            cwd: d.dir.clone(),
        };
        let of = |n: &squall_engine::protocol::NodeLayout| NodeHello {
            name: n.name.clone(),
            address: n.address.to_string(),
            ports: d.ports.clone(),
        };
        let hello = Hello {
            protocol: PROTOCOL,
            target: d.name.clone(),
            options: self.options.clone(),
            nodes: via.layout.nodes.iter().map(of).collect(),
        };
        let port = d.ports.get("client").copied().unwrap_or(0);
        clients.connect(node, via, spec, &hello, port).await
    }

    fn supports(&self, f: &str) -> bool {
        self.definition.supports.iter().any(|s| s == f)
    }

    fn promises(&self) -> &str {
        &self.promises
    }

    fn status(&self) -> Option<&dyn Status> {
        self.definition.leader.as_ref().map(|_| self as &dyn Status)
    }

    fn members(&self) -> Option<&dyn squall_engine::protocol::Members> {
        self.definition.members.as_ref().map(|_| self as &dyn squall_engine::protocol::Members)
    }

    fn maintenance(&self) -> Option<&dyn squall_engine::protocol::Maintenance> {
        Some(self)
    }

    fn log_patterns(&self) -> Vec<LogPattern> {
        self.definition.trouble.iter().map(|t| LogPattern::new(t)).collect()
    }

    fn refuses(&self, fault: &str) -> Option<String> {
        self.definition.refuses.get(fault).cloned()
    }

    fn trouble(&self) -> Option<String> {
        self.clients.get().and_then(Clients::trouble)
    }
}

#[async_trait]
impl Status for Declared {
    async fn status(&self, node: usize, via: Via<'_>) -> Result<NodeStatus, Error> {
        let Some(leader) = &self.definition.leader else { return Ok(NodeStatus::default()) };
        let values = self.values(node, via.layout);
        let handle = self.nodes.get().and_then(|nodes| nodes.get(node));
        let leads = probe::ask(leader, node, handle, &values, via).await.is_ok();
        Ok(NodeStatus { leads, term: self.terms.saw(node, leads), ..NodeStatus::default() })
    }
}
