//! Doing what was asked.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{Action, Options};
use super::failure::Failure;
use super::show::{self, Answers, Shown};
use crate::client::{Client, ClientError, Hash, Status};

/// One command.
pub async fn act(options: &Options, action: &Action) -> Result<Shown, Failure> {
    match action {
        Action::Status => return everywhere(options, show::statuses, status).await,
        Action::Hash => return everywhere(options, show::hashes, hash).await,
        _ => {}
    }
    let leaders = matches!(
        action,
        Action::AddMember { .. }
            | Action::Promote { .. }
            | Action::RemoveMember { .. }
            | Action::Transfer { .. }
    );
    let mut client = if leaders { leader(options).await? } else { first(options).await? };
    if let Action::Watch { prefix, after, events } = action {
        return watch(&mut client, options, prefix, *after, *events).await;
    }
    let failed = |error| Failure::Client { error, changes: action.changes() };
    let limit = Duration::from_millis(options.timeout_millis);
    match tokio::time::timeout(limit, ask(&mut client, action)).await {
        Ok(answer) => answer,
        Err(_) => Err(failed(silent(&client))),
    }
}

async fn ask(client: &mut Client, action: &Action) -> Result<Shown, Failure> {
    let failed = |error| Failure::Client { error, changes: action.changes() };
    Ok(match action {
        Action::Get { key, consistency } => show::found(client.get(key, *consistency).await.map_err(failed)?),
        Action::Put { key, value } => show::version(client.put(key, value).await.map_err(failed)?),
        Action::Cas { key, expected, value } => {
            show::cas(client.cas(key, expected, value).await.map_err(failed)?)
        }
        Action::Delete { key } => show::deleted(client.delete(key).await.map_err(failed)?),
        Action::Range { query, consistency } => {
            show::range(client.range(query, *consistency).await.map_err(failed)?)
        }
        Action::Txn { body } => show::txn(client.txn(&transaction(body)?).await.map_err(failed)?),
        Action::Append { key, item } => show::txn(client.append(key, item).await.map_err(failed)?),
        Action::Add { key, amount } => show::txn(client.add(key, *amount).await.map_err(failed)?),
        Action::Grant { ttl_millis } => show::lease(client.grant(*ttl_millis).await.map_err(failed)?),
        Action::KeepAlive { lease } => {
            client.keep_alive(*lease).await.map_err(failed)?;
            show::lease(*lease)
        }
        Action::Revoke { lease } => show::happened("existed", client.revoke(*lease).await.map_err(failed)?),
        Action::Lock { name, lease } => show::locked(client.lock(name, *lease).await.map_err(failed)?),
        Action::Unlock { name, token } => {
            show::happened("held", client.unlock(name, *token).await.map_err(failed)?)
        }
        Action::Metrics => show::text(client.metrics().await.map_err(failed)?),
        Action::Members => show::members_of(&client.status().await.map_err(failed)?),
        Action::AddMember { id, address } => {
            show::members(client.add_learner(id, address).await.map_err(failed)?)
        }
        Action::Promote { id } => show::members(client.promote(id).await.map_err(failed)?),
        Action::RemoveMember { id } => show::members(client.remove_member(id).await.map_err(failed)?),
        Action::Transfer { id } => {
            client.transfer(id).await.map_err(failed)?;
            return arrived(client, id).await;
        }
        Action::Compact { through } => show::compacted(client.compact(*through).await.map_err(failed)?),
        Action::Watch { .. } | Action::Status | Action::Hash => unreachable!("they were done before"),
    })
}

/// Asks the old leader until it follows the new one; whoever waits for that bounds it.
async fn arrived(client: &mut Client, id: &str) -> Result<Shown, Failure> {
    loop {
        let status = client.status().await.map_err(|error| Failure::Client { error, changes: true })?;
        if status.leader.as_deref() == Some(id) {
            return Ok(show::leader(&status));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn transaction(body: &str) -> Result<Value, Failure> {
    let mut text = body.to_owned();
    if body == "-" {
        text.clear();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|e| Failure::Input(format!("cannot read standard input: {e}")))?;
    }
    serde_json::from_str(&text).map_err(|e| Failure::Input(format!("the transaction is not JSON: {e}")))
}

/// Each event as it comes, until there were enough.
async fn watch(
    client: &mut Client,
    options: &Options,
    prefix: &str,
    mut after: u64,
    events: u64,
) -> Result<Shown, Failure> {
    let mut seen = 0;
    loop {
        let changes = client.watch(after, prefix, 10_000).await;
        let changes = changes.map_err(|error| Failure::Client { error, changes: false })?;
        for change in changes.events {
            let line = if options.json {
                json!(change).to_string()
            } else {
                format!("{} {} {}", change.version, change.key, change.value)
            };
            if writeln!(std::io::stdout(), "{line}").is_err() {
                return Ok(show::nothing());
            }
            seen += 1;
            if events > 0 && seen >= events {
                return Ok(show::nothing());
            }
        }
        after = changes.next;
    }
}

fn silent(client: &Client) -> ClientError {
    ClientError::Broken { endpoint: client.endpoint().to_owned(), why: "no answer in time".into() }
}

async fn connect(options: &Options, endpoint: &str) -> Result<Client, ClientError> {
    let limit = Duration::from_millis(options.timeout_millis);
    let timed_out =
        || ClientError::Connect { endpoint: endpoint.to_owned(), why: "no answer in time".into() };
    tokio::time::timeout(limit, Client::connect(endpoint)).await.unwrap_or_else(|_| Err(timed_out()))
}

/// The first endpoint that accepts a connection.
async fn first(options: &Options) -> Result<Client, Failure> {
    let mut last = None;
    for endpoint in &options.endpoints {
        match connect(options, endpoint).await {
            Ok(client) => return Ok(client),
            Err(e) => last = Some(e),
        }
    }
    let error = last.ok_or_else(|| Failure::Input("no endpoint is given".into()))?;
    Err(Failure::Client { error, changes: false })
}

/// The endpoint that says it leads.
async fn leader(options: &Options) -> Result<Client, Failure> {
    let mut said = Vec::new();
    for endpoint in &options.endpoints {
        match status(options, endpoint).await {
            Ok((client, status)) if status.leads() => return Ok(client),
            Ok((_, status)) => said.push(format!("{endpoint} is a {}", status.role)),
            Err(e) => said.push(e.to_string()),
        }
    }
    Err(Failure::NoLeader(said.join("; ")))
}

async fn status(options: &Options, endpoint: &str) -> Result<(Client, Status), ClientError> {
    answer(options, endpoint, Client::status).await
}

async fn hash(options: &Options, endpoint: &str) -> Result<(Client, Hash), ClientError> {
    answer(options, endpoint, Client::hash).await
}

/// What one endpoint answers in time.
async fn answer<T>(
    options: &Options,
    endpoint: &str,
    ask: impl AsyncFnOnce(&mut Client) -> Result<T, ClientError>,
) -> Result<(Client, T), ClientError> {
    let mut client = connect(options, endpoint).await?;
    let limit = Duration::from_millis(options.timeout_millis);
    let answer = tokio::time::timeout(limit, ask(&mut client)).await;
    let answer = answer.unwrap_or_else(|_| Err(silent(&client)))?;
    Ok((client, answer))
}

/// Asks every endpoint; an error only if none answers.
async fn everywhere<'a, T, F>(
    options: &'a Options,
    show: fn(Answers<'a, T>) -> Shown,
    ask: impl Fn(&'a Options, &'a str) -> F,
) -> Result<Shown, Failure>
where
    F: Future<Output = Result<(Client, T), ClientError>>,
{
    let mut answers = Vec::new();
    for endpoint in &options.endpoints {
        answers.push((endpoint.as_str(), ask(options, endpoint).await.map(|(_, answer)| answer)));
    }
    if answers.iter().all(|(_, answer)| answer.is_err())
        && let Some((_, Err(error))) = answers.pop()
    {
        return Err(Failure::Client { error, changes: false });
    }
    Ok(show(answers))
}
