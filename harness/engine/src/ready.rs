//! Whether nodes serve: asked of all at once, again and again, until they do, one has ended, or time is up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_cluster::ProgramState;
use tokio::task::JoinSet;

use crate::Error;
use crate::deployment::Deployment;

/// Between two rounds of asking.
const ASK_EVERY: Duration = Duration::from_millis(20);

/// Waits until every node serves. A program that ends meanwhile ends the wait, with what its log says.
pub(crate) async fn wait(deployment: &Arc<Deployment>, ask: Duration, limit: Duration) -> Result<(), Error> {
    let begun = Instant::now();
    let mut last = vec![String::from("it was not asked yet"); deployment.nodes.len()];
    loop {
        if deployment.stop.is_stopped() {
            return Err(Error::Interrupted);
        }
        let waiting = ask_all(deployment, ask, false, &mut last).await;
        let Some(&node) = waiting.first() else {
            return Ok(());
        };
        if let Some(exit) = exited(deployment, node) {
            return Err(Error::Target(exit));
        }
        if begun.elapsed() > limit {
            let (name, limit) = (deployment.name(node), limit.as_secs_f64());
            let (why, tail) = (&last[node], log_tail(deployment, node));
            let text = format!("node {name} did not become ready within {limit} s: {why}{tail}");
            return Err(Error::Target(text));
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

/// Asks all nodes at once, each for at most `limit`; gives those that do not serve, and why in `last`. Nodes that were
/// taken out of the cluster are not asked; those whose data was spoilt are left out once they gave up, or once the
/// caller is `tired` of waiting for them.
pub(crate) async fn ask_all(
    deployment: &Arc<Deployment>,
    limit: Duration,
    tired: bool,
    last: &mut [String],
) -> Vec<usize> {
    let mut asked = JoinSet::new();
    for node in (0..last.len()).filter(|node| !deployment.roll.is_out(*node)) {
        let deployment = deployment.clone();
        asked.spawn(async move {
            let answer = tokio::time::timeout(limit, deployment.target.ready(node, deployment.via())).await;
            match answer {
                Ok(Ok(())) => (node, None),
                Ok(Err(e)) => (node, Some(e.to_string())),
                Err(_) => (node, Some(format!("no answer within {} s", limit.as_secs_f64()))),
            }
        });
    }
    let mut waiting = Vec::new();
    while let Some(answer) = asked.join_next().await {
        // A node whose data was spoilt may refuse to serve: nobody waits for it for long.
        if let Ok((node, Some(why))) = answer
            && !(deployment.excuses.is_spoilt(node) && (tired || deployment.running(node) == 0))
        {
            last[node] = why;
            waiting.push(node);
        }
    }
    waiting.sort_unstable();
    waiting
}

fn exited(deployment: &Deployment, node: usize) -> Option<String> {
    let handle = &deployment.nodes[node];
    for program in deployment.programs(node) {
        if let ProgramState::Exited(exit) = handle.state(&program.name) {
            let (name, tail) = (handle.name(), log_tail(deployment, node));
            let hint = background_hint(exit);
            return Some(format!("`{}` on {name} ended while starting ({exit}{hint}){tail}", program.name));
        }
    }
    None
}

/// A program that is content and gone has often left a child behind, which nobody could stop or watch.
fn background_hint(exit: squall_cluster::Exit) -> &'static str {
    match exit {
        squall_cluster::Exit::Code(0) => "; if it goes to the background, tell it to stay in the foreground",
        _ => "",
    }
}

/// The last lines of a node's logs, for an error message; empty if there are none.
fn log_tail(deployment: &Deployment, node: usize) -> String {
    const LINES: usize = 5;
    const CHARS_MAX: usize = 300;
    let mut out = String::new();
    for program in deployment.programs(node) {
        let path = deployment.nodes[node].log_dir().join(format!("{}.log", program.name));
        let Ok(bytes) = std::fs::read(&path) else { continue };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LINES)..] {
            out.push_str("\n    ");
            out.extend(line.chars().filter(|c| !c.is_control()).take(CHARS_MAX));
        }
    }
    if out.is_empty() { out } else { format!("; its log ends:{out}") }
}
