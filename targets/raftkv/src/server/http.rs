//! HTTP: one task a connection, requests handed to the core, answers with a deadline.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use super::api;
use super::asks::{Ask, Event, Events, Reply};
use super::error::ApiError;
use super::render::render;

/// What came in, for the metrics.
#[derive(Debug, Default)]
pub struct Traffic {
    pub in_flight: AtomicUsize,
    pub requests: AtomicU64,
    pub busy: AtomicU64,
}

/// What every connection shares.
#[derive(Debug)]
pub struct Front {
    pub events: Events,
    pub traffic: Arc<Traffic>,
    pub max_in_flight: usize,
    pub max_body_bytes: usize,
    pub request_timeout: Duration,
}

/// Serves clients until the task is dropped.
pub async fn serve(listener: TcpListener, front: Arc<Front>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(connection(stream, front.clone()))),
            // Out of descriptors, most likely: let some go.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn connection(stream: TcpStream, front: Arc<Front>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let front = front.clone();
        async move { Ok::<_, Infallible>(respond(&front, request).await) }
    });
    // A client that breaks off mid-request is its own affair.
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(front: &Front, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (status, kind, body) = match handle(front, request).await {
        Ok(Reply::Text(text)) => (200, "text/plain; version=0.0.4", text),
        Ok(reply) => (200, "application/json", render(reply)),
        Err(error) => (error.status(), "application/json", error.to_json()),
    };
    let mut response = Response::new(Full::new(Bytes::from(body + "\n")));
    *response.status_mut() = hyper::StatusCode::from_u16(status).expect("our codes are valid");
    let kind = hyper::header::HeaderValue::from_static(kind);
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, kind);
    response
}

async fn handle(front: &Front, request: Request<Incoming>) -> Result<Reply, ApiError> {
    // Before the body is read: bodies that wait take memory.
    let _slot = Slot::take(front).ok_or(ApiError::Busy)?;
    let (head, body) = request.into_parts();
    let body = Limited::new(body, front.max_body_bytes).collect();
    // A body that never ends must not keep its place among the requests in flight.
    let body = tokio::time::timeout(front.request_timeout, body).await.map_err(|_| ApiError::TooSlow)?;
    let body = body.map_err(|e| {
        if e.is::<LengthLimitError>() {
            ApiError::TooLarge { limit_bytes: front.max_body_bytes }
        } else {
            ApiError::BadRequest(format!("the body broke off: {e}"))
        }
    })?;
    let query = head.uri.query().unwrap_or("");
    let ask = api::parse(head.method.as_str(), head.uri.path(), query, &body.to_bytes())?;
    ask_core(front, ask).await
}

/// Hands `ask` to the core and waits for the answer.
async fn ask_core(front: &Front, ask: Ask) -> Result<Reply, ApiError> {
    let changes = matches!(ask, Ask::Change { .. } | Ask::Members(_));
    let wait = match &ask {
        Ask::Watch { wait, .. } => *wait,
        _ => front.request_timeout,
    };
    let nothing_new = match &ask {
        Ask::Watch { after, .. } => Some(*after),
        _ => None,
    };
    let (reply, answer) = oneshot::channel();
    if front.events.send(Event::Client { ask, reply }).is_err() {
        return Err(ApiError::NoLeader);
    }
    match tokio::time::timeout(wait, answer).await {
        Ok(Ok(result)) => result,
        Ok(Err(_)) if changes => Err(ApiError::Stopping),
        Ok(Err(_)) => Err(ApiError::LeaderLost),
        Err(_) if changes => Err(ApiError::Timeout),
        Err(_) if nothing_new.is_some() => {
            Ok(Reply::Changes { events: Vec::new(), next: nothing_new.unwrap_or_default() })
        }
        Err(_) => Err(ApiError::ReadTimeout),
    }
}

/// One of the requests that may be in flight at once.
struct Slot<'a>(&'a AtomicUsize);

impl<'a> Slot<'a> {
    fn take(front: &'a Front) -> Option<Slot<'a>> {
        let traffic = &front.traffic;
        let slot = Slot(&traffic.in_flight);
        traffic.requests.fetch_add(1, Ordering::Relaxed);
        if traffic.in_flight.fetch_add(1, Ordering::Relaxed) < front.max_in_flight {
            return Some(slot);
        }
        traffic.busy.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
