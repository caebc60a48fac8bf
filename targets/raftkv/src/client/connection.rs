//! One HTTP/1.1 connection: a request, its whole answer.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::error::ClientError;

/// Larger answers are an error.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A connection to one node. Requests go out one after another.
#[derive(Debug)]
pub struct Client {
    send: SendRequest<Full<Bytes>>,
    driver: JoinHandle<()>,
    endpoint: String,
}

#[derive(Deserialize)]
struct ErrorAnswer {
    error: String,
    definite: bool,
    message: String,
}

impl Client {
    /// Connects once to `endpoint`, a `HOST:PORT`. Needs a tokio runtime.
    pub async fn connect(endpoint: &str) -> Result<Client, ClientError> {
        let failed = |why: String| ClientError::Connect { endpoint: endpoint.to_owned(), why };
        let stream = TcpStream::connect(endpoint).await.map_err(|e| failed(e.to_string()))?;
        Client::over(stream, endpoint).await
    }

    /// The same over a connection that is there already.
    pub async fn over(stream: TcpStream, endpoint: &str) -> Result<Client, ClientError> {
        let failed = |why: String| ClientError::Connect { endpoint: endpoint.to_owned(), why };
        stream.set_nodelay(true).map_err(|e| failed(e.to_string()))?;
        let (send, connection) = handshake(TokioIo::new(stream)).await.map_err(|e| failed(e.to_string()))?;
        // Its error is that of the request which meets it.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Client { send, driver, endpoint: endpoint.to_owned() })
    }

    /// The node's `HOST:PORT`, as given.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Any request of the interface, as it stands; gives the body of an answer with status 200. `path` is
    /// percent-encoded.
    pub async fn request(
        &mut self,
        method: &str,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<Bytes, ClientError> {
        let unsendable = |why: String| ClientError::Unsendable(why);
        let method = Method::from_bytes(method.as_bytes()).map_err(|e| unsendable(e.to_string()))?;
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, &self.endpoint)
            .header(CONTENT_TYPE, "application/json")
            .body(Full::new(body.into()))
            .map_err(|e| unsendable(e.to_string()))?;
        let (status, body) = self
            .exchange(request)
            .await
            .map_err(|why| ClientError::Broken { endpoint: self.endpoint.clone(), why })?;
        if status == 200 {
            return Ok(body);
        }
        match serde_json::from_slice::<ErrorAnswer>(&body) {
            Ok(ErrorAnswer { error, definite, message }) => {
                Err(ClientError::Refused { status, code: error, definite, message })
            }
            Err(e) => Err(self.unreadable(format!("status {status}, {e}"))),
        }
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<(u16, Bytes), String> {
        let answer = self.send.send_request(request).await.map_err(|e| e.to_string())?;
        let status = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), MAX_ANSWER_BYTES).collect().await;
        Ok((status, body.map_err(|e| e.to_string())?.to_bytes()))
    }

    pub(super) fn unreadable(&self, why: String) -> ClientError {
        ClientError::Unreadable { endpoint: self.endpoint.clone(), why }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.driver.abort();
    }
}
