//! The protocols in which targets, workloads and faults meet. Small, object-safe, with optional
//! capabilities: what a target cannot do it simply does not offer, and a run that needs it is refused.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value as Json};
use squall_checkers::{Check, Live};
use squall_cluster::{Capability, ClientNet, Program};

use crate::generator::Generator;
use crate::operation::{Completion, Operation};
use crate::seed::{Rng, Seed};
use crate::{Deployment, Error, Injection};

/// Where everything of a cluster is, as data.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Nodes in order.
    pub nodes: Vec<NodeLayout>,
}

/// Where one node is.
#[derive(Clone, Debug)]
pub struct NodeLayout {
    /// Its name.
    pub name: String,
    /// Its address in the cluster's network.
    pub address: IpAddr,
    /// Where its programs keep data, as they see it.
    pub data_dir: PathBuf,
}

impl Layout {
    /// The nodes' names, in order.
    pub fn names(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.name.clone()).collect()
    }

    /// A port of a node.
    pub fn socket(&self, node: usize, port: u16) -> SocketAddr {
        SocketAddr::new(self.nodes[node].address, port)
    }
}

/// How to reach the cluster from one client slot.
#[derive(Clone, Copy, Debug)]
pub struct Via<'a> {
    /// The clients' network.
    pub net: &'a dyn ClientNet,
    /// The slot whose address is used.
    pub slot: usize,
    /// Where the nodes are.
    pub layout: &'a Layout,
}

/// A system under test.
#[async_trait]
pub trait Target: Send + Sync + Debug {
    /// Its registered name.
    fn name(&self) -> &str;

    /// Finds what it needs on this machine, and says its version. Called before anything starts; the error
    /// says what to install.
    async fn prepare(&self) -> Result<String, Error>;

    /// The same where its servers run already, elsewhere: finds what its clients need on this machine.
    async fn prepare_clients(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Files and folders of this machine that its programs need, as absolute paths: a node may have a `/tmp`
    /// of its own, and shows what is named here all the same. Called after [`Target::prepare`].
    fn uses(&self) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What to run on a node. Restarting runs the same again.
    fn programs(&self, node: usize, layout: &Layout) -> Vec<Program>;

    /// Brings a node up for the first time: called for each node in order, before anybody asks whether it
    /// serves. One that has to be prepared first, or must wait for another, does so here.
    async fn bring_up(&self, node: usize, deployment: &Arc<Deployment>) -> Result<(), Error> {
        deployment.start(node).await
    }

    /// In place of bringing nodes up, where they run already: called once. Starts nothing on them.
    async fn take_up(&self, _deployment: &Arc<Deployment>) -> Result<(), Error> {
        Ok(())
    }

    /// Called once when every node was brought up, before the wait until they serve.
    async fn bootstrap(&self, _deployment: &Arc<Deployment>) -> Result<(), Error> {
        Ok(())
    }

    /// Whether a node serves right now: one try, no retry. The error says what was seen.
    async fn ready(&self, node: usize, via: Via<'_>) -> Result<(), Error>;

    /// Opens a client that talks to this node only.
    async fn connect(&self, node: usize, via: Via<'_>) -> Result<Box<dyn Client>, Error>;

    /// Whether its clients can do this function: `read`, `write`, `cas` of registers, else with the kind of
    /// object before it, `set.add`.
    fn supports(&self, f: &str) -> bool;

    /// The consistency that its documentation claims, as configured: the name of a model.
    fn promises(&self) -> &str;

    /// How a node can be asked for its role, if it can.
    fn status(&self) -> Option<&dyn Status> {
        None
    }

    /// How its members can be changed, if they can.
    fn members(&self) -> Option<&dyn Members> {
        None
    }

    /// What operators do to it while it serves, if there is anything.
    fn maintenance(&self) -> Option<&dyn Maintenance> {
        None
    }

    /// How it is made anew from what one of its nodes saved, if it can be.
    fn restore(&self) -> Option<&dyn Restore> {
        None
    }

    /// The same target with these options beside its own, as an upgrade makes it: another version or another
    /// configuration over the same data. `None` if it cannot be upgraded.
    fn upgraded(&self, _options: &Json) -> Result<Option<Arc<dyn Target>>, Error> {
        Ok(None)
    }

    /// Texts that mean trouble when they appear in its logs.
    fn log_patterns(&self) -> Vec<LogPattern> {
        vec![LogPattern::new("panicked at"), LogPattern::new("panic: "), LogPattern::new("fatal error: ")]
    }

    /// What made its own clients unfit to go on, if anything did: then the run breaks, whatever was seen.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Faults that it cannot take, with the reason; asked before anything starts.
    fn refuses(&self, _fault: &str) -> Option<String> {
        None
    }
}

/// Optional: how members are changed while the cluster serves. A try, no more: the caller asks again, and looks
/// whether it happened.
#[async_trait]
pub trait Members: Send + Sync {
    /// Names of the nodes that take part with a vote, as node `ask` sees it.
    async fn members(&self, ask: usize, via: Via<'_>) -> Result<Vec<String>, Error>;

    /// Asks node `ask` to remove a node.
    async fn remove(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error>;

    /// Asks node `ask` for the next step of adding a node, which may take several: announce it, give it its
    /// vote.
    async fn add(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error>;

    /// What runs on a node that joins a cluster which serves already. `members` are the places of those that
    /// are in it, the new one included.
    fn joining(&self, node: usize, members: &[usize], layout: &Layout) -> Vec<Program>;

    /// Whether a node that was removed may come back with the data that it had.
    fn keeps_data(&self) -> bool;
}

/// Optional: what operators do to a system while it serves, such as to compact its history or to defragment its
/// files.
#[async_trait]
pub trait Maintenance: Send + Sync {
    /// What can be asked for.
    fn kinds(&self) -> Vec<String>;

    /// Asks a node, once. The answer says what was seen, for people; the error, what was refused.
    async fn maintain(&self, kind: &str, node: usize, via: Via<'_>) -> Result<String, Error>;
}

/// Optional: how a cluster is made anew from what one of its nodes saved, as operators do after a disaster.
#[async_trait]
pub trait Restore: Send + Sync {
    /// What is missing on this machine, if anything is.
    fn possible(&self) -> Result<(), Error>;

    /// Everything that a node has, in the target's own form.
    async fn save(&self, node: usize, via: Via<'_>) -> Result<Vec<u8>, Error>;

    /// What makes a node's data anew, as that of a member of the new cluster. It runs to its end on the node, while
    /// nothing else runs there.
    fn restoring(&self, node: usize, saved: &[u8], layout: &Layout) -> Result<Program, Error>;
}

/// A text that means trouble in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPattern {
    /// Found as it stands, anywhere in a line.
    pub text: String,
}

impl LogPattern {
    /// A pattern.
    pub fn new(text: &str) -> Self {
        LogPattern { text: text.to_owned() }
    }
}

/// Optional: how a node sees its cluster.
#[async_trait]
pub trait Status: Send + Sync {
    /// Asks one node, once.
    async fn status(&self, node: usize, via: Via<'_>) -> Result<NodeStatus, Error>;
}

/// What a node says of itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeStatus {
    /// Whether it believes to be the leader.
    pub leads: bool,
    /// Its term, or whatever grows with each election.
    pub term: u64,
    /// The term that it would know after a crash, where the target promises that at most one node leads in a term
    /// and that no node's term goes back.
    pub durable_term: Option<u64>,
    /// Its wall clock, nanoseconds since 1970, if it says.
    pub wall_clock_unix_nanos: Option<i128>,
}

/// A connection of one process to one node.
///
/// Must not retry, must not follow a redirect of a write silently, must not use another node. A process
/// moves to another node only where the workload says so ([`Operation::node`]), and then with a new connection.
#[async_trait]
pub trait Client: Send {
    /// Called once after opening, before the first operation of the first process.
    async fn setup(&mut self) -> Result<(), Error> {
        Ok(())
    }

    /// Does an operation. The scheduler bounds it in time; a call that is cut off counts as unanswered.
    async fn invoke(&mut self, op: &Operation) -> Completion;

    /// Whether the connection can be used for another operation. One that broke is replaced by a fresh one
    /// before the next operation; the process goes on unless its operation was `info`.
    fn is_usable(&self) -> bool {
        true
    }

    /// The newest version that it has seen, for the next connection of its process: to the same node after a
    /// break, or to another one that the process moves to.
    fn seen(&self) -> Option<u64> {
        None
    }

    /// Goes on from what an earlier connection of the process has seen.
    fn resume(&mut self, _seen: u64) {}

    /// Says goodbye.
    async fn close(self: Box<Self>) {}
}

/// What a generator of a workload may know.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The run's seed.
    pub seed: Seed,
    /// Workers that act at a time.
    pub workers: usize,
    /// Nodes.
    pub nodes: usize,
}

/// What clients do, and how that is judged.
pub trait Workload: Send + Sync + Debug {
    /// Its registered name.
    fn name(&self) -> &str;

    /// Functions that the target must support.
    fn functions(&self) -> Vec<&'static str>;

    /// Operations of the main phase, without end; the run limits and paces them.
    fn generator(&self, setting: &Setting) -> Box<dyn Generator>;

    /// Operations after the last fault is healed, such as final reads. Must end by itself.
    fn finish(&self, _setting: &Setting) -> Option<Box<dyn Generator>> {
        None
    }

    /// The consistency it is judged by, given what the target promises.
    fn consistency(&self, promised: &str) -> String {
        promised.to_owned()
    }

    /// What judges its history against that consistency.
    fn checks(&self, consistency: &str) -> Result<Vec<Box<dyn Check>>, Error>;

    /// A form of a check that works while operations arrive, if there is one: it can end a run early.
    fn live(&self, _consistency: &str) -> Option<Box<dyn Live>> {
        None
    }

    /// How many ok operations of a function the main phase must have for the run to mean anything.
    fn floors(&self) -> Vec<(&'static str, u64)>;
}

/// One kind of harm.
///
/// `plan` decides everything that the seed decides, before the run; `begin` resolves what depends on the run
/// (who leads) and injects. What cannot be applied is an error: the run fails, nothing is silent.
#[async_trait]
pub trait Fault: Send + Sync + Debug {
    /// Its registered name.
    fn name(&self) -> &str;

    /// Who saw that it took effect: in reports its evidence is as good as its witness.
    fn seen_by(&self) -> &'static str {
        "the fault itself"
    }

    /// What the provider must offer.
    fn needs(&self) -> BTreeSet<Capability>;

    /// What the target must offer beside; an error says what it lacks.
    fn fits(&self, _target: &dyn Target) -> Result<(), Error> {
        Ok(())
    }

    /// Draws one injection for a cluster of so many nodes.
    fn plan(&self, rng: &mut Rng, nodes: usize) -> Map<String, Json>;

    /// Injects it.
    async fn begin(
        &self,
        plan: &Map<String, Json>,
        injection: &Injection,
    ) -> Result<Box<dyn Injected>, Error>;
}

/// A fault that is on.
#[async_trait]
pub trait Injected: Send + Sync {
    /// The nodes harmed.
    fn nodes(&self) -> Vec<usize>;

    /// What was done, for people.
    fn description(&self) -> String;

    /// Undoes it and says what it did.
    async fn end(self: Box<Self>, injection: &Injection) -> Result<Evidence, Error>;
}

/// What an injection is proven to have done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evidence {
    /// Whether it took effect.
    pub effective: bool,
    /// What was seen, for people.
    pub description: String,
    /// What was measured.
    pub measured: Map<String, Json>,
}

/// What harms a cluster over a run.
#[async_trait]
pub trait Nemesis: Send + Sync + Debug {
    /// What the provider must offer.
    fn needs(&self) -> BTreeSet<Capability>;

    /// Refuses a target that cannot take its faults.
    fn fits(&self, target: &dyn Target) -> Result<(), Error>;

    /// Injects faults until `until` (nanoseconds of the run's clock) or until stopped, and has ended every
    /// one of them when it returns. Records each beginning and end.
    async fn run(self: Box<Self>, deployment: Arc<Deployment>, until: u64) -> Result<(), Error>;
}

/// Something that can be named in a campaign: a target, a workload, a fault.
pub struct Kind<T: ?Sized> {
    /// Its name.
    pub name: &'static str,
    /// One line for people.
    pub summary: &'static str,
    /// What it needs of the machine or the provider, for people; empty if nothing.
    pub needs: &'static str,
    /// Makes one from its options (an object, or null for the defaults). Unknown options are errors.
    pub build: Build<T>,
}

/// How a [`Kind`] makes one from its options.
pub type Build<T> = Box<dyn Fn(&Json) -> Result<Arc<T>, Error> + Send + Sync>;

impl<T: ?Sized> Debug for Kind<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Kind").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A target that can be named.
pub type TargetKind = Kind<dyn Target>;
/// A workload that can be named.
pub type WorkloadKind = Kind<dyn Workload>;
/// A fault that can be named.
pub type FaultKind = Kind<dyn Fault>;

/// Reads options into a struct that denies unknown fields; null means the defaults.
pub fn options<T: serde::de::DeserializeOwned + Default>(name: &str, given: &Json) -> Result<T, Error> {
    if given.is_null() {
        return Ok(T::default());
    }
    serde_json::from_value(given.clone()).map_err(|e| Error::Config(format!("options of `{name}`: {e}")))
}

/// Options with others put over them, one by one.
pub fn merged(given: &Json, over: &Json) -> Json {
    let mut all = given.as_object().cloned().unwrap_or_default();
    all.extend(over.as_object().cloned().unwrap_or_default());
    Json::Object(all)
}
