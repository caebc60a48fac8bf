//! HTTP/1.1 over one connection, for one process: no pool, no retry, no redirect.
//!
//! A pool would send a request again on another connection when the first turns out to be dead, and an
//! operation might happen twice. Here a request goes out once, on the connection that is there.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use squall_engine::Error;
use squall_engine::protocol::Via;
use tokio::task::JoinHandle;

/// Larger answers are an error: no operation here has any.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// One connection.
#[derive(Debug)]
pub(crate) struct Http {
    send: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    host: String,
    broken: bool,
}

/// An answer with whatever status.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub body: Bytes,
}

impl Http {
    /// Connects once.
    pub(crate) async fn connect(node: usize, port: u16, via: Via<'_>) -> Result<Self, Error> {
        let to = via.layout.socket(node, port);
        let stream = via
            .net
            .connect(via.slot, to)
            .await
            .map_err(|e| Error::io(format!("no connection to {to}"), e))?;
        let (send, connection) =
            handshake(TokioIo::new(stream)).await.map_err(|e| Error::Target(format!("{to}: {e}")))?;
        let driver = tokio::spawn(async move {
            // Its error is the request's error too, which has it.
            let _ = connection.await;
        });
        Ok(Http { send, driver, host: to.to_string(), broken: false })
    }

    /// Sends a request and takes the whole answer. After an error the connection is of no further use, and
    /// whether the request arrived is not known.
    pub(crate) async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Answer, String> {
        let response = self.send(method, path, body.into()).await?;
        let status = response.status().as_u16();
        let closes = response.headers().get(hyper::header::CONNECTION).is_some_and(|c| c == "close");
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX);
        let body = body.collect().await.map_err(|e| e.to_string())?.to_bytes();
        self.broken = closes;
        Ok(Answer { status, body })
    }

    /// Sends a request whose answer goes on for as long as somebody reads it: its status, and its body. Nothing
    /// else can be sent on this connection from then on.
    pub(crate) async fn stream(
        &mut self,
        method: Method,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<(u16, Incoming), String> {
        let response = self.send(method, path, body.into()).await?;
        Ok((response.status().as_u16(), response.into_body()))
    }

    async fn send(&mut self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, String> {
        if self.broken {
            return Err("the connection has an answer that was not read to its end".to_owned());
        }
        // Set until the answer is whole: a request that is cut off half-way leaves the connection unusable.
        self.broken = true;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.host)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|e| e.to_string())?;
        self.send.send_request(request).await.map_err(describe)
    }

    /// Whether another request can be sent.
    pub(crate) fn is_usable(&self) -> bool {
        !self.broken && !self.send.is_closed()
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn describe(e: hyper::Error) -> String {
    use std::error::Error as _;
    match e.source() {
        Some(source) => format!("{e}: {source}"),
        None => e.to_string(),
    }
}
