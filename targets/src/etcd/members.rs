//! Changes of members of etcd, through its clustering API: a member is added before its server is started.

use async_trait::async_trait;
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use squall_cluster::Program;
use squall_engine::Error;
use squall_engine::protocol::{Layout, Members, Target as _, Via};

use super::target::{CLIENT_PORT, Etcd, PEER_PORT, url};
use super::wire::answer_text;
use crate::http::Http;

#[derive(Deserialize)]
struct Listed {
    members: Vec<Member>,
}

/// The gateway leaves out what is empty: a member that was added and never started has no name.
#[derive(Deserialize)]
struct Member {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default, rename = "peerURLs")]
    peer_urls: Vec<String>,
}

/// One request of an operator; its answer, if that is a 200.
pub(super) async fn post(ask: usize, path: &str, body: Json, via: Via<'_>) -> Result<Vec<u8>, Error> {
    let mut http = Http::connect(ask, CLIENT_PORT, via).await?;
    let answer = http.request(Method::POST, path, body.to_string()).await.map_err(Error::Target)?;
    match answer.status {
        200 => Ok(answer.body.to_vec()),
        _ => Err(Error::Target(answer_text(&answer))),
    }
}

async fn list(ask: usize, via: Via<'_>) -> Result<Vec<Member>, Error> {
    let body = post(ask, "/v3/cluster/member/list", json!({}), via).await?;
    let listed: Listed = serde_json::from_slice(&body)
        .map_err(|e| Error::Target(format!("the members are not what they should be: {e}")))?;
    Ok(listed.members)
}

/// Where a node listens for its peers.
pub(super) fn peer_url(node: usize, layout: &Layout) -> String {
    url(node, PEER_PORT, layout)
}

/// Members as `--initial-cluster` wants them.
pub(super) fn initial_cluster(members: impl IntoIterator<Item = usize>, layout: &Layout) -> String {
    let member = |n: usize| format!("{}={}", layout.nodes[n].name, peer_url(n, layout));
    members.into_iter().map(member).collect::<Vec<_>>().join(",")
}

#[async_trait]
impl Members for Etcd {
    async fn members(&self, ask: usize, via: Via<'_>) -> Result<Vec<String>, Error> {
        Ok(list(ask, via).await?.into_iter().map(|m| m.name).filter(|name| !name.is_empty()).collect())
    }

    async fn remove(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error> {
        let url = peer_url(node, via.layout);
        let Some(member) = list(ask, via).await?.into_iter().find(|m| m.peer_urls.contains(&url)) else {
            return Ok(());
        };
        post(ask, "/v3/cluster/member/remove", json!({ "ID": member.id }), via).await.map(drop)
    }

    async fn add(&self, ask: usize, node: usize, via: Via<'_>) -> Result<(), Error> {
        let url = peer_url(node, via.layout);
        if list(ask, via).await?.iter().any(|m| m.peer_urls.contains(&url)) {
            return Ok(());
        }
        post(ask, "/v3/cluster/member/add", json!({ "peerURLs": [url] }), via).await.map(drop)
    }

    /// A server that joins names exactly the members that there are, and that they exist already.
    fn joining(&self, node: usize, members: &[usize], layout: &Layout) -> Vec<Program> {
        let all = initial_cluster(members.iter().copied(), layout);
        let mut programs = self.programs(node, layout);
        for program in &mut programs {
            for (flag, value) in [("--initial-cluster", &*all), ("--initial-cluster-state", "existing")] {
                if let Some(at) = program.argv.iter().position(|word| word == flag) {
                    program.argv[at + 1] = value.into();
                }
            }
        }
        programs
    }

    /// A removed member's identity is gone for good: its server ends when it is started with its old data.
    fn keeps_data(&self) -> bool {
        false
    }
}
