//! Who is a member, as a state machine: a change of members that was asked for and not confirmed is pending
//! until the cluster itself says what became of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use squall_history::{Entry, Note};
use tokio::task::JoinSet;

use crate::protocol::Members;
use crate::{Deployment, Error};

/// A node's place in its cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It takes part.
    #[default]
    Member,
    /// Its removal was asked for; whether it happened is not known.
    Leaving,
    /// It was removed.
    Out,
    /// Its return was asked for; whether it happened is not known.
    Joining,
}

/// Every node's standing.
#[derive(Debug)]
pub struct Roll(Mutex<Vec<Standing>>);

impl Roll {
    /// All are members.
    pub fn new(nodes: usize) -> Self {
        Roll(Mutex::new(vec![Standing::Member; nodes]))
    }

    /// A node's standing.
    pub fn standing(&self, node: usize) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[node]
    }

    /// Whether it is known to be no member.
    pub fn is_out(&self, node: usize) -> bool {
        self.standing(node) == Standing::Out
    }

    fn set(&self, node: usize, standing: Standing) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)[node] = standing;
    }

    /// Whether any change is pending.
    pub fn is_pending(&self) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().any(|s| matches!(s, Standing::Leaving | Standing::Joining))
    }
}

/// Between two tries.
const TRY_EVERY: Duration = Duration::from_millis(100);
/// How long one try may take.
const TRY_LIMIT: Duration = Duration::from_secs(3);

/// Removes a node, or finds out that it could not be done in time. Gives what is known then: `Member` or
/// `Out`, or `Leaving` if nobody could say.
pub async fn remove(deployment: &Deployment, node: usize, limit: Duration) -> Result<Standing, Error> {
    deployment.roll.set(node, Standing::Leaving);
    settle(deployment, node, limit, None).await
}

/// Brings a removed node back: asks for it, lets it up from fault `id` as one that joins, and waits until it
/// takes part with a vote. Gives what is known then: `Member`, or `Joining`.
pub async fn join(deployment: &Deployment, id: u32, node: usize, limit: Duration) -> Result<Standing, Error> {
    deployment.roll.set(node, Standing::Joining);
    settle(deployment, node, limit, Some(id)).await
}

/// Takes a removed node in again, without a vote: it follows, and [`join`] gives it its vote later. It keeps running.
/// Says whether anybody agreed in time.
pub async fn follow(deployment: &Deployment, node: usize, limit: Duration) -> Result<bool, Error> {
    let members = capability(deployment)?;
    deployment.roll.set(node, Standing::Joining);
    run_joining(deployment, members, node);
    let begun = Instant::now();
    while begun.elapsed() < limit {
        if ask(deployment, members, node, true).await {
            return Ok(true);
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    Ok(false)
}

/// From its next start on a node runs as one that joins those that are members.
fn run_joining(deployment: &Deployment, members: &dyn Members, node: usize) {
    let mut all = others(deployment, node);
    all.push(node);
    all.sort_unstable();
    deployment.run_instead(node, members.joining(node, &all, &deployment.layout));
}

/// Asks one node to remove others, all at once and without waiting for any of it; what comes of it is not known.
/// Says how many requests were agreed to.
pub async fn ask_removals(
    deployment: &Arc<Deployment>,
    leader: usize,
    nodes: &[usize],
) -> Result<usize, Error> {
    capability(deployment)?;
    let mut asked = JoinSet::new();
    for &node in nodes {
        deployment.roll.set(node, Standing::Leaving);
        let deployment = deployment.clone();
        asked.spawn(async move {
            let Ok(members) = capability(&deployment) else { return false };
            let removal = members.remove(leader, node, deployment.via());
            matches!(tokio::time::timeout(TRY_LIMIT, removal).await, Ok(Ok(())))
        });
    }
    Ok(asked.join_all().await.into_iter().filter(|agreed| *agreed).count())
}

/// Asks, looks, asks again, until the cluster says that it is so or time is up.
async fn settle(
    deployment: &Deployment,
    node: usize,
    limit: Duration,
    joins: Option<u32>,
) -> Result<Standing, Error> {
    let members = capability(deployment)?;
    let wanted = joins.is_some();
    let begun = Instant::now();
    loop {
        if let Some(is) = look(deployment, members, node).await
            && is == wanted
        {
            deployment.roll.set(node, if wanted { Standing::Member } else { Standing::Out });
            break;
        }
        if begun.elapsed() > limit {
            // A removal that is not seen to have happened may still happen: it stays pending.
            break;
        }
        if ask(deployment, members, node, wanted).await
            && let Some(id) = joins
        {
            run_joining(deployment, members, node);
            deployment.let_up(id, node).await?;
            deployment.revive(node).await?;
        }
        tokio::time::sleep(TRY_EVERY).await;
    }
    Ok(deployment.roll.standing(node))
}

/// How long a healed cluster may take to finish a change of members.
const FINISH_LIMIT: Duration = Duration::from_secs(15);
/// No injection has this number: whatever held a node down has let go when changes are finished.
const NOBODY: u32 = u32::MAX;

/// Finishes what is pending, once everything is healed: a node that was to leave leaves, and comes back where nodes may
/// with their data; one that was to join joins. What the cluster does not agree to even then is said in the log, and shows as a
/// cluster that has not recovered.
pub(crate) async fn finish(deployment: &Deployment) -> Result<(), Error> {
    for node in 0..deployment.nodes.len() {
        let was = deployment.roll.standing(node);
        let mut is = match was {
            Standing::Member | Standing::Out => continue,
            Standing::Leaving => remove(deployment, node, FINISH_LIMIT).await?,
            Standing::Joining => join(deployment, NOBODY, node, FINISH_LIMIT).await?,
        };
        if is == Standing::Out && capability(deployment)?.keeps_data() {
            is = join(deployment, NOBODY, node, FINISH_LIMIT).await?;
        }
        if is == Standing::Out {
            // It is no part of the cluster any more; a server that goes on would only ask to be let in.
            deployment.nodes[node].kill().await?;
        }
        note(deployment, node, was, is);
    }
    Ok(())
}

fn note(deployment: &Deployment, node: usize, was: Standing, is: Standing) {
    let name = deployment.name(node);
    let text = match is {
        Standing::Member => format!("{name} is a member, as the cluster says itself"),
        Standing::Out => format!("{name} was removed, as the cluster says itself"),
        Standing::Leaving | Standing::Joining => format!("what became of {name} is not known after healing"),
    };
    let data = [("was", was), ("is", is)].map(|(key, s)| (key.to_owned(), serde_json::json!(s))).into();
    let (kind, node) = ("membership".to_owned(), Some(name));
    deployment.recorder.note(|time| Entry::Note(Box::new(Note { time, kind, node, text, data })));
}

fn capability(deployment: &Deployment) -> Result<&dyn Members, Error> {
    let name = deployment.target.name();
    let none = || Error::Config(format!("the target `{name}` cannot change its members"));
    deployment.target.members().ok_or_else(none)
}

/// Whether the cluster, asked through any other node, counts a node among its members.
async fn look(deployment: &Deployment, members: &dyn Members, node: usize) -> Option<bool> {
    for other in others(deployment, node) {
        let asked = tokio::time::timeout(TRY_LIMIT, members.members(other, deployment.via())).await;
        if let Ok(Ok(all)) = asked {
            return Some(all.contains(&deployment.name(node)));
        }
    }
    None
}

/// Whether somebody agreed.
async fn ask(deployment: &Deployment, members: &dyn Members, node: usize, wanted: bool) -> bool {
    // Who leads may have to remove itself.
    let itself = (!wanted).then_some(node);
    for other in others(deployment, node).into_iter().chain(itself) {
        let via = deployment.via();
        let asked = async {
            if wanted { members.add(other, node, via).await } else { members.remove(other, node, via).await }
        };
        // An error may be an answer that was lost: what became of it is seen by looking.
        if let Ok(Ok(())) = tokio::time::timeout(TRY_LIMIT, asked).await {
            return true;
        }
    }
    false
}

/// Everyone else, who leads first.
fn others(deployment: &Deployment, node: usize) -> Vec<usize> {
    let leader = deployment.leader.now().map(|(leader, _)| leader);
    let mut others: Vec<usize> =
        (0..deployment.nodes.len()).filter(|n| *n != node && !deployment.roll.is_out(*n)).collect();
    others.sort_by_key(|n| Some(*n) != leader);
    others
}
