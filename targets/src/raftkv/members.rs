//! Changes of members of Raft KV: one at a time, through the leader; a new node learns first and votes later.

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_cluster::Program;
use squall_engine::Error;
use squall_engine::protocol::{Layout, Members, Target as _, Via};

use super::target::{CLIENT_PORT, PEER_PORT, RaftKv};
use crate::http::Http;

#[derive(Deserialize)]
struct Roll {
    members: Vec<String>,
    members_index: u64,
    commit: u64,
    learners: Vec<String>,
}

async fn roll(ask: usize, via: Via<'_>) -> Result<Roll, Error> {
    let mut http = Http::connect(ask, CLIENT_PORT, via).await?;
    let answer = http.request(Method::GET, "/status", "").await.map_err(Error::Target)?;
    serde_json::from_slice(&answer.body)
        .map_err(|e| Error::Target(format!("the status is not what it should be: {e}")))
}

async fn change(ask: usize, change: Json, via: Via<'_>) -> Result<(), Error> {
    let mut http = Http::connect(ask, CLIENT_PORT, via).await?;
    let answer = http.request(Method::POST, "/members", change.to_string()).await.map_err(Error::Target)?;
    match answer.status {
        200 => Ok(()),
        status => Err(Error::Target(format!("HTTP {status}: {}", String::from_utf8_lossy(&answer.body)))),
    }
}

#[async_trait]
impl Members for RaftKv {
    async fn members(&self, ask: usize, via: Via<'_>) -> Result<Vec<String>, Error> {
        // Of what may still be undone nobody says anything, and whoever lags behind is made to catch up first.
        self.ready(ask, via).await?;
        let roll = roll(ask, via).await?;
        match roll.members_index <= roll.commit {
            true => Ok(roll.members),
            false => Err(Error::Target("a change of members is not committed".into())),
        }
    }

    async fn remove(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error> {
        change(ask, json!({ "remove": { "id": via.layout.nodes[node].name } }), via).await
    }

    async fn add(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error> {
        let id = &via.layout.nodes[node].name;
        if roll(ask, via).await?.learners.contains(id) {
            return match change(ask, json!({ "promote": { "id": id } }), via).await {
                // A learner that lacks too much is refused its vote by the leader; it is asked for again. Who does
                // not lead has decided nothing: another node is to be asked.
                Err(Error::Target(why)) if why.contains("member_change") => Ok(()),
                other => other,
            };
        }
        let address = via.layout.socket(node, PEER_PORT).to_string();
        change(ask, json!({ "add_learner": { "id": id, "address": address } }), via).await
    }

    fn joining(&self, node: usize, _members: &[usize], layout: &Layout) -> Vec<Program> {
        let mut programs = self.programs(node, layout);
        for program in &mut programs {
            program.argv.push("--join".into());
        }
        programs
    }

    fn keeps_data(&self) -> bool {
        true
    }
}
