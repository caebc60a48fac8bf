//! The client programs of a run: started when first needed, replaced when they die, given up on when they cannot
//! be believed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use squall_cluster::Node;
use squall_engine::protocol::{Client, Via};
use squall_engine::recorder::Recorder;
use squall_engine::{Error, Stop};
use squall_history::{Entry, Note};
use tokio::sync::Mutex;

use crate::external::{ExternalClient, Hello, Host, Open, Program, Spec, Trouble};

/// A program that dies this often without ever having answered an operation cannot work.
const DEATHS_MAX: u32 = 5;
/// Deaths that are told; a program that keeps dying would fill the report.
const TOLD_MAX: u32 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Clients {
    pub host: Arc<dyn Node>,
    pub recorder: Recorder,
    pub stop: Stop,
    pub per_process: bool,
    pub supports: Vec<String>,
    programs: Mutex<HashMap<usize, Arc<Mutex<Option<Arc<Program>>>>>>,
    trouble: Arc<std::sync::Mutex<Option<String>>>,
    told: AtomicU32,
    barren: AtomicU32,
}

impl Clients {
    pub fn new(
        host: Arc<dyn Node>,
        recorder: Recorder,
        stop: Stop,
        per_process: bool,
        supports: Vec<String>,
    ) -> Self {
        Clients {
            host,
            recorder,
            stop,
            per_process,
            supports,
            programs: Mutex::default(),
            trouble: Arc::default(),
            told: AtomicU32::new(0),
            barren: AtomicU32::new(0),
        }
    }

    /// What made the clients unfit to go on.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Opens a process on a node.
    pub async fn connect(
        &self,
        node: usize,
        via: Via<'_>,
        spec: Spec,
        hello: &Hello,
        port: u16,
    ) -> Result<Box<dyn Client>, Error> {
        if let Some(trouble) = self.trouble() {
            return Err(Error::Target(trouble));
        }
        let place = if self.per_process { via.slot } else { node };
        let slot = self.programs.lock().await.entry(place).or_default().clone();
        let mut current = slot.lock().await;
        let program = match &*current {
            Some(program) if !self.per_process && self.is_alive(program) => program.clone(),
            before => {
                if let (Some(program), true) = (before, self.per_process) {
                    self.is_alive(program);
                    program.end().await;
                }
                let started = self.start(node, place, spec, hello, via).await;
                let program = Arc::new(started.inspect_err(|e| self.count_failure(&e.to_string()))?);
                *current = Some(program.clone());
                program
            }
        };
        drop(current);
        let me = &via.layout.nodes[node];
        let open = Open {
            node: me.name.clone(),
            host: me.address.to_string(),
            port,
            bind: via.net.address(via.slot, me.address).map(|a| a.to_string()),
        };
        Ok(Box::new(ExternalClient::open(program, &open, self.per_process).await?))
    }

    /// Whether a program can be used; what is wrong with it is told.
    fn is_alive(&self, program: &Program) -> bool {
        match program.trouble() {
            None => return true,
            Some(Trouble::Broke(text)) => self.give_up(&text),
            Some(Trouble::Died(text)) => {
                if program.answered() > 2 {
                    self.barren.store(0, Ordering::Relaxed);
                    if !self.per_process {
                        self.note(&text);
                    }
                } else if !self.per_process {
                    self.count_failure(&text);
                }
            }
        }
        false
    }

    /// A program that died without having been of use, or could not even be greeted.
    fn count_failure(&self, text: &str) {
        if self.barren.fetch_add(1, Ordering::Relaxed) + 1 >= DEATHS_MAX {
            self.give_up(&format!("{text} (the {DEATHS_MAX}th time in a row)"));
        } else {
            self.note(text);
        }
    }

    async fn start(
        &self,
        node: usize,
        place: usize,
        spec: Spec,
        hello: &Hello,
        via: Via<'_>,
    ) -> Result<Program, Error> {
        let name = &via.layout.nodes[node].name;
        let named =
            if self.per_process { format!("client-{name}-{place}") } else { format!("client-{name}") };
        let spec = Spec { name: named, ..spec };
        let host = Host::Cluster(self.host.clone());
        let program = Program::start(&host, &spec, &format!("the client of {name}"), hello).await?;
        let lacks = |f: &&String| !program.supports.contains(f);
        if !program.supports.is_empty()
            && let Some(f) = self.supports.iter().find(lacks)
        {
            let says = program.supports.join(", ");
            program.end().await;
            return Err(Error::Target(format!(
                "the target says that its client can do `{f}`, but `{}` says hello with only: {says}",
                spec.command()
            )));
        }
        self.watch(&program);
        Ok(program)
    }

    /// A program that breaks the protocol ends the run at once, not only when somebody opens a process next.
    fn watch(&self, program: &Program) {
        let (stop, trouble) = (self.stop.clone(), self.trouble.clone());
        program.on_trouble(move |what| {
            if let Trouble::Broke(text) = what {
                tell(&trouble, &stop, text);
            }
        });
    }

    fn give_up(&self, text: &str) {
        tell(&self.trouble, &self.stop, text);
    }

    fn note(&self, text: &str) {
        if self.told.fetch_add(1, Ordering::Relaxed) < TOLD_MAX {
            note(&self.recorder, text);
        }
    }
}

fn tell(trouble: &std::sync::Mutex<Option<String>>, stop: &Stop, text: &str) {
    let mut trouble = trouble.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if trouble.is_none() {
        // The run breaks with these words, so they need no note of their own.
        stop.stop(text);
        *trouble = Some(text.to_owned());
    }
}

fn note(recorder: &Recorder, text: &str) {
    let text = text.to_owned();
    recorder.note(|time| {
        Entry::Note(Box::new(Note {
            time,
            kind: "warning".into(),
            node: None,
            text,
            data: Default::default(),
        }))
    });
}
