//! A cluster with a probe on each node, on which faults are injected as a schedule does it, one after the other.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::{Map, Value as Json};
use squall_cluster::{Capability, Cluster, ClusterSpec, Program, ProgramState, Provider};
use squall_engine::protocol::{Client, Evidence, Injected, Layout, NodeLayout, Target, Via};
use squall_engine::recorder::{Recorder, RunClock, Writing};
use squall_engine::seed::Seed;
use squall_engine::{Deployment, Error, Injection, Stop};
use squall_local::LocalProvider;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::probe;

/// Generous: nothing is measured by it.
const LIMIT: Duration = Duration::from_secs(60);

/// The probe as a target: it starts, and says whether it is there.
#[derive(Debug)]
pub struct ProbeTarget;

#[async_trait]
impl Target for ProbeTarget {
    fn name(&self) -> &str {
        "probe"
    }

    async fn prepare(&self) -> Result<String, Error> {
        Ok("1".into())
    }

    fn programs(&self, _node: usize, _layout: &Layout) -> Vec<Program> {
        vec![Program::new("probe", ["/proc/self/exe", probe::WORD])]
    }

    async fn ready(&self, node: usize, via: Via<'_>) -> Result<(), Error> {
        let asked = Line::open(node, via).await;
        asked.map(drop).map_err(|e| Error::Target(e.to_string()))
    }

    async fn connect(&self, _node: usize, _via: Via<'_>) -> Result<Box<dyn Client>, Error> {
        Err(Error::Target("nobody is a client of it".into()))
    }

    fn supports(&self, _f: &str) -> bool {
        false
    }

    fn promises(&self) -> &str {
        "linearizable"
    }
}

/// A line to a probe. The harness's own slot is used, which faults leave alone.
pub struct Line(BufReader<TcpStream>);

impl Line {
    async fn open(node: usize, via: Via<'_>) -> std::io::Result<Line> {
        let stream = via.net.connect(via.slot, via.layout.socket(node, probe::PORT)).await?;
        let mut line = Line(BufReader::new(stream));
        line.try_ask("hello").await?;
        Ok(line)
    }

    async fn try_ask(&mut self, question: &str) -> std::io::Result<String> {
        self.0.get_mut().write_all(format!("{question}\n").as_bytes()).await?;
        let mut answer = String::new();
        match self.0.read_line(&mut answer).await? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(answer.trim_end().to_owned()),
        }
    }

    /// Asks the probe.
    pub async fn ask(&mut self, question: &str) -> String {
        let asked = tokio::time::timeout(LIMIT, self.try_ask(question)).await;
        asked
            .unwrap_or_else(|_| panic!("no answer: {question}"))
            .unwrap_or_else(|e| panic!("{question}: {e}"))
    }
}

/// See the module.
pub struct Stage {
    pub deployment: Arc<Deployment>,
    cluster: Option<Cluster>,
    writing: Writing,
    dir: TempDir,
    faults: Vec<squall_engine::protocol::FaultKind>,
    next: u32,
}

/// A fault that is on.
pub struct On {
    pub injected: Box<dyn Injected>,
    pub injection: Injection,
    pub plan: Map<String, Json>,
}

impl On {
    /// Ends it. The fault itself must say that it took effect: beside what was measured.
    pub async fn end(self) -> Evidence {
        let evidence = self.injected.end(&self.injection).await.unwrap();
        assert!(evidence.effective, "{evidence:?}");
        evidence
    }
}

impl Stage {
    /// Three nodes with this target, started but perhaps not serving yet.
    pub async fn up(target: Arc<dyn Target>, needs: &[Capability]) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let (nodes, workers) = (3, 1);
        let mut all: BTreeSet<_> = needs.iter().copied().collect();
        all.insert(Capability::Nodes);
        let spec = ClusterSpec {
            nodes,
            clients: workers + 1,
            seed: 1,
            dir: dir.path().join("run"),
            needs: all,
            pcap: false,
            visible: target.uses(),
        };
        let cluster = LocalProvider::new().provision(&spec).await.unwrap();
        let node = |n: &Arc<dyn squall_cluster::Node>| NodeLayout {
            name: n.name().to_owned(),
            address: n.address(),
            data_dir: n.data_dir().to_owned(),
        };
        let layout = Arc::new(Layout { nodes: cluster.nodes.iter().map(node).collect() });
        let log = dir.path().join("log");
        let (recorder, writing) = Recorder::start(RunClock::start(), workers, &log, None).unwrap();
        let deployment = Arc::new(Deployment::new(
            cluster.nodes.clone(),
            cluster.net.clone(),
            cluster.links.clone(),
            layout,
            target.clone(),
            workers,
            recorder,
            Stop::default(),
        ));
        for node in 0..nodes {
            target.bring_up(node, &deployment).await.unwrap();
        }
        let faults = squall_nemesis::faults();
        let stage = Stage { deployment, cluster: Some(cluster), writing, dir, faults, next: 0 };
        for node in 0..nodes {
            eventually("every node serves", || async { stage.serves(node).await }).await;
        }
        stage
    }

    pub async fn serves(&self, node: usize) -> bool {
        self.deployment.target.ready(node, self.deployment.via()).await.is_ok()
    }

    /// Injects a fault with these options, with this over what its seed drew.
    pub async fn inject(&mut self, name: &str, options: Json, over: Json) -> On {
        self.try_inject(name, options, over).await.unwrap()
    }

    /// The same where it may fail.
    pub async fn try_inject(&mut self, name: &str, options: Json, over: Json) -> Result<On, Error> {
        let kind = self.faults.iter().find(|kind| kind.name == name).unwrap();
        let fault = (kind.build)(&options).unwrap();
        self.next += 1;
        let mut plan = fault.plan(&mut Seed(1).fault(u64::from(self.next)), self.deployment.nodes.len());
        for (key, value) in over.as_object().unwrap() {
            assert!(plan.insert(key.clone(), value.clone()).is_some(), "`{name}` plans no `{key}`");
        }
        let injection =
            Injection { id: self.next, deployment: self.deployment.clone(), lasts: Duration::from_secs(5) };
        let injected = fault.begin(&plan, &injection).await?;
        Ok(On { injected, injection, plan })
    }

    /// A line to a node's probe.
    pub async fn line(&self, node: usize) -> Line {
        let begun = Instant::now();
        loop {
            match tokio::time::timeout(LIMIT, Line::open(node, self.deployment.via())).await {
                Ok(Ok(line)) => return line,
                other => assert!(begun.elapsed() < LIMIT, "{:?}", other.map(|asked| asked.err())),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Where a node's probe is.
    pub fn place(&self, node: usize) -> String {
        self.deployment.layout.socket(node, probe::PORT).to_string()
    }

    /// The process of a node's program as the machine numbers it, if it runs.
    pub fn pid(&self, node: usize) -> Option<u32> {
        let program = &self.deployment.programs(node)[0].name;
        match self.deployment.nodes[node].state(program) {
            ProgramState::Running { pid } => Some(pid),
            _ => None,
        }
    }

    /// When a node's probe said this, by the clock that all nodes share.
    pub fn said(&self, node: usize, what: &str) -> Vec<u64> {
        let log = self.deployment.nodes[node].log_dir().join("probe.log");
        let text = std::fs::read_to_string(log).unwrap();
        let times = text.lines().filter_map(|line| line.strip_prefix(what)).map(|time| time.trim().parse());
        times.map(Result::unwrap).collect()
    }

    /// Takes the cluster down; what was deployed on it is still there to be asked.
    pub async fn shut_down(&mut self) {
        if let Some(cluster) = self.cluster.take() {
            cluster.shut_down().await.unwrap();
        }
    }

    pub async fn down(mut self) {
        self.shut_down().await;
        let Stage { deployment, writing, dir, .. } = self;
        drop(deployment);
        writing.finish().unwrap();
        drop(dir);
    }
}

/// Waits until something is so.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut so: impl FnMut() -> F) {
    let begun = Instant::now();
    while !so().await {
        assert!(begun.elapsed() < LIMIT, "it never came about that {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
