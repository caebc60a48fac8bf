//! What a run writes about itself: its header, how programs ended, and what the network saw.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value as Json;
use squall_cluster::ExitEvent;
use squall_history::{
    Entry, MESSAGES_FILE, NodeInfo, Note, RunHeader, SCHEMA_VERSION, SeenMessage, write_messages,
};

use crate::deployment::Deployment;
use crate::layers::Layers;
use crate::monitor;
use crate::protocol::Layout;
use crate::recorder::Recorder;
use crate::run::RunSpec;

/// What the log says first.
pub(crate) fn header(spec: &RunSpec, layout: &Layout, version: &str) -> RunHeader {
    RunHeader {
        schema_version: SCHEMA_VERSION,
        name: spec.name.clone(),
        target: spec.target.name().to_owned(),
        target_version: version.to_owned(),
        workload: spec.workload.name().to_owned(),
        consistency: spec.consistency.clone(),
        seed: spec.seed,
        nodes: layout
            .nodes
            .iter()
            .map(|n| NodeInfo { name: n.name.clone(), address: n.address.to_string() })
            .collect(),
        concurrency: spec.workers as u32,
        started_unix_nanos: monitor::unix_nanos(SystemTime::now()) as u64,
        options: spec.options.clone(),
    }
}

/// A program's end, and whether anybody need mind it.
pub(crate) fn note_exit(recorder: &Recorder, name: &str, event: &ExitEvent, excused: bool) {
    let mut data = std::collections::BTreeMap::from([
        ("program".to_owned(), Json::from(event.program.clone())),
        ("expected".to_owned(), event.expected.into()),
        ("excused".to_owned(), excused.into()),
    ]);
    match event.exit {
        squall_cluster::Exit::Code(code) => data.insert("code".into(), code.into()),
        squall_cluster::Exit::Signal(signal) => data.insert("signal".into(), signal.into()),
    };
    let how = if event.expected { "was ended" } else { "ended by itself" };
    let text = format!("`{}` on {name} {how}: {}", event.program, event.exit);
    let node = Some(name.to_owned());
    recorder.note(|time| Entry::Note(Box::new(Note { time, kind: "exit".into(), node, text, data })));
}

/// Keeps what the network saw of the last messages between nodes, if it saw any. They prove nothing, so a run is not
/// lost for want of them.
pub(crate) fn keep_messages(deployment: &Deployment, dir: &Path) -> io::Result<()> {
    let messages = deployment.links().map(Layers::messages).unwrap_or_default();
    if messages.is_empty() {
        return Ok(());
    }
    let clock = deployment.recorder.clock();
    let names = deployment.layout.names();
    let seen = messages.into_iter().map(|m| SeenMessage {
        sent: clock.at(m.sent),
        took: m.arrived.map(|at| at.duration_since(m.sent).as_micros() as u64),
        from: names[m.from].clone(),
        to: names[m.to].clone(),
        bytes: m.bytes.into(),
    });
    let path = dir.join(MESSAGES_FILE);
    let written = File::create(&path).and_then(|file| write_messages(seen, BufWriter::new(file)));
    if written.is_err() {
        // Half of them would say that the rest never was.
        let _ = std::fs::remove_file(&path);
    }
    written
}
