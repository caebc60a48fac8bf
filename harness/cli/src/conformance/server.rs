//! A server that misbehaves on demand: it passes on, falls silent, or hangs up once a request is in.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Requests reach the real server, if there is one; else nobody answers.
    Pass,
    /// Requests are taken and never answered.
    Silent,
    /// A connection is closed as soon as a request is in.
    HangUp,
}

#[derive(Debug)]
pub(super) struct Server {
    pub address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    mode: Mode,
    /// Requests that came since the mode was set, a text for each piece that was read.
    seen: Vec<Vec<u8>>,
}

impl Server {
    pub async fn start(behind: Option<SocketAddr>) -> std::io::Result<Server> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State { mode: Mode::Pass, seen: Vec::new() }));
        let shared = state.clone();
        let task = tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, behind, shared.clone()));
            }
        });
        Ok(Server { address, state, task })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Behaves so from now on, and forgets what was seen.
    pub fn behave(&self, mode: Mode) {
        *self.state() = State { mode, seen: Vec::new() };
    }

    /// What came since.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        self.state().seen.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One connection. Errors are its end.
async fn serve(client: TcpStream, behind: Option<SocketAddr>, state: Arc<Mutex<State>>) -> Option<()> {
    let (mut from_client, mut to_client) = client.into_split();
    let mut to_server = None;
    if let Some(address) = behind {
        let (mut from_server, writer) = TcpStream::connect(address).await.ok()?.into_split();
        to_server = Some(writer);
        let state = state.clone();
        tokio::spawn(async move {
            let mut part = vec![0; 64 << 10];
            while let Ok(length @ 1..) = from_server.read(&mut part).await {
                let pass = lock(&state).mode == Mode::Pass;
                if pass && to_client.write_all(&part[..length]).await.is_err() {
                    return;
                }
            }
        });
    } else {
        // Kept open, for a half that is dropped would be shut down.
        tokio::spawn(async move {
            std::future::pending::<()>().await;
            drop(to_client);
        });
    }
    let mut part = vec![0; 64 << 10];
    loop {
        let length = from_client.read(&mut part).await.ok().filter(|l| *l > 0)?;
        let mode = {
            let mut state = lock(&state);
            state.seen.push(part[..length].to_vec());
            state.mode
        };
        match (mode, &mut to_server) {
            (Mode::HangUp, _) => return None,
            (Mode::Pass, Some(server)) => server.write_all(&part[..length]).await.ok()?,
            (Mode::Pass | Mode::Silent, _) => {}
        }
    }
}
