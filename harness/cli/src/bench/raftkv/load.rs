//! Closed load: every client has one request under way, for as long as the turn lasts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use squall_cluster::ClientNet;
use squall_engine::Error;

use super::cluster::SLOTS;
use super::peers::{Store, Talk, value};

/// Keys that each client writes, in turn.
const KEYS: u64 = 100;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Do {
    Write,
    Read,
}

/// What one or more turns came to.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// How long each request took that succeeded, in microseconds.
    pub(super) micros: Vec<u32>,
    pub(super) seconds: f64,
    pub(super) errors: usize,
    pub(super) last_error: Option<String>,
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.micros.extend(other.micros);
        self.seconds += other.seconds;
        self.errors += other.errors;
        self.last_error = other.last_error.or(self.last_error.take());
    }

    pub(super) fn rate(&self) -> f64 {
        self.micros.len() as f64 / self.seconds
    }

    /// In milliseconds.
    pub(super) fn quantile(&mut self, share: f64) -> f64 {
        self.micros.sort_unstable();
        let last = self.micros.len().saturating_sub(1);
        let at = ((self.micros.len() as f64 * share) as usize).min(last);
        self.micros.get(at).map_or(f64::NAN, |&us| f64::from(us) / 1e3)
    }
}

/// Clients with a connection each to one node.
#[derive(Debug)]
pub(super) struct Clients {
    talks: Vec<Client>,
}

#[derive(Debug)]
struct Client {
    number: usize,
    talk: Talk,
    written: u64,
}

impl Clients {
    /// Connects, and writes every key once, so that reads find something.
    pub(super) async fn connect(
        store: Store,
        net: &Arc<dyn ClientNet>,
        to: SocketAddr,
        count: usize,
    ) -> Result<Clients, Error> {
        let mut talks = Vec::with_capacity(count);
        for number in 0..count {
            let stream = net.connect(number % SLOTS, to).await;
            let stream = stream.map_err(|e| Error::io(format!("no connection to {to}"), e))?;
            let talk = Talk::over(store, stream, to).await.map_err(Error::Target)?;
            talks.push(Client { number, talk, written: 0 });
        }
        let mut clients = Clients { talks };
        let filled = clients.each(|mut client| async move {
            let mut tally = Tally::default();
            client.act(Do::Write, None, Some(2), &mut tally).await;
            (client, tally)
        });
        let filled = filled.await?;
        match filled.last_error {
            Some(why) => Err(Error::Target(format!("{} did not take the first writes: {why}", store.name()))),
            None => Ok(clients),
        }
    }

    /// One turn.
    pub(super) async fn turn(&mut self, what: Do, lasting: Duration) -> Result<Tally, Error> {
        let begun = Instant::now();
        let until = begun + lasting;
        let mut tally = self
            .each(move |mut client| async move {
                let mut tally = Tally::default();
                client.act(what, Some(until), None, &mut tally).await;
                (client, tally)
            })
            .await?;
        tally.seconds = begun.elapsed().as_secs_f64();
        Ok(tally)
    }

    async fn each<F>(&mut self, act: impl Fn(Client) -> F) -> Result<Tally, Error>
    where
        F: Future<Output = (Client, Tally)> + Send + 'static,
    {
        let tasks: Vec<_> = self.talks.drain(..).map(|client| tokio::spawn(act(client))).collect();
        let mut sum = Tally::default();
        for task in tasks {
            let (client, tally) =
                task.await.map_err(|e| Error::Broken(format!("a client's task ended: {e}")))?;
            self.talks.push(client);
            sum.add(tally);
        }
        Ok(sum)
    }
}

impl Client {
    async fn act(&mut self, what: Do, until: Option<Instant>, times: Option<u64>, tally: &mut Tally) {
        let mut done = 0;
        while until.is_none_or(|until| Instant::now() < until) && times.is_none_or(|times| done < times) {
            let begun = Instant::now();
            let result = match what {
                Do::Write => {
                    self.written += 1;
                    let value = value(self.number, self.written);
                    self.talk.write(&self.key(self.written), &value).await
                }
                Do::Read => self.talk.read(&self.key(1 + done % self.written.min(KEYS))).await,
            };
            match result {
                Ok(()) => tally.micros.push(u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX)),
                Err(why) => {
                    tally.errors += 1;
                    tally.last_error = Some(why);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
            done += 1;
        }
    }

    fn key(&self, n: u64) -> String {
        format!("bench-{:03}-{:03}", self.number, n % KEYS)
    }
}
