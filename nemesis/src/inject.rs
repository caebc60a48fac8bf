//! One injection, from its beginning to its recorded end: what every schedule does with a fault.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value as Json};
use squall_engine::protocol::{Evidence, Fault, Injected};
use squall_engine::{Deployment, Error, Injection};
use squall_history::{Entry, Fault as FaultEntry, FaultPhase};

/// One injection as it was decided. Times count from the beginning of the main phase, in nanoseconds; it ends
/// with the main phase at the latest.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Planned {
    pub id: u32,
    pub begin: u64,
    pub end: u64,
    pub plan: Map<String, Json>,
}

/// Begins it, waits until it is to end, ends it, and records both.
pub(crate) async fn perform(
    fault: &dyn Fault,
    planned: &Planned,
    over: impl Future<Output = ()>,
    deployment: &Arc<Deployment>,
) -> Result<(), Error> {
    let lasts = Duration::from_nanos(planned.end.saturating_sub(planned.begin));
    let on = Injection { id: planned.id, deployment: deployment.clone(), lasts };
    deployment.measure().await?;
    let injected = fault.begin(&planned.plan, &on).await.map_err(|e| cannot(fault, "begin", e))?;
    record_begin(&on, fault, &*injected, planned);
    over.await;
    // What proves it is compared with what was before, so both are as of now.
    deployment.measure().await?;
    let nodes = injected.nodes();
    let ended = injected.end(&on).await;
    deployment.set_active(on.id, None);
    let evidence = ended.map_err(|e| cannot(fault, "end", e))?;
    record_end(&on, fault, &nodes, evidence);
    Ok(())
}

fn cannot(fault: &dyn Fault, what: &str, e: Error) -> Error {
    Error::Broken(format!("the fault `{}` could not {what}: {e}", fault.name()))
}

fn record_begin(on: &Injection, fault: &dyn Fault, injected: &dyn Injected, planned: &Planned) {
    let deployment = &on.deployment;
    let description = injected.description();
    deployment.set_active(on.id, Some(format!("{}: {description}", fault.name())));
    let nodes = injected.nodes().into_iter().map(|n| deployment.name(n)).collect();
    deployment.recorder.note(|time| {
        Entry::Fault(Box::new(FaultEntry {
            time,
            phase: FaultPhase::Begin,
            id: on.id,
            kind: fault.name().to_owned(),
            nodes,
            description,
            detail: serde_json::json!({
                "plan": planned.plan,
                "planned_begin_nanos": planned.begin,
                "planned_end_nanos": planned.end,
            }),
            effective: None,
            evidence: Default::default(),
        }))
    });
}

fn record_end(on: &Injection, fault: &dyn Fault, nodes: &[usize], evidence: Evidence) {
    let deployment = &on.deployment;
    let nodes = nodes.iter().map(|n| deployment.name(*n)).collect();
    deployment.recorder.note(|time| {
        Entry::Fault(Box::new(FaultEntry {
            time,
            phase: FaultPhase::End,
            id: on.id,
            kind: fault.name().to_owned(),
            nodes,
            description: evidence.description,
            detail: Json::Null,
            effective: Some(evidence.effective),
            evidence: evidence.measured.into_iter().collect(),
        }))
    });
}
