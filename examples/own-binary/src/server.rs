//! The toy itself: it keeps the highest number that it was given for each key, and answers over gRPC.
//!
//! With `forgetful` it keeps the latest number instead, which is the bug to be found.

use std::collections::HashMap;
use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tonic::body::Body;
use tonic::codegen::http;
use tonic::server::Grpc;
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::wire::{Answer, Ask, RAISE, READ};

#[derive(Debug, Default)]
struct Store {
    highest: Mutex<HashMap<String, i64>>,
    forgetful: bool,
}

impl Store {
    fn answer(&self, path: &str, ask: Ask) -> Result<Response<Answer>, Status> {
        let mut all = self.highest.lock().expect("no holder panics");
        let highest = all.entry(ask.key).or_insert(0);
        match path {
            RAISE if self.forgetful => *highest = ask.number,
            RAISE => *highest = ask.number.max(*highest),
            READ => {}
            other => return Err(Status::unimplemented(other)),
        }
        Ok(Response::new(Answer { highest: *highest }))
    }
}

/// Serves until it is killed.
pub fn serve(address: &str, forgetful: bool) -> ExitCode {
    let store = Arc::new(Store { forgetful, ..Store::default() });
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
    let Err(e) = runtime.block_on(accept(address, store));
    eprintln!("toy-server: {address}: {e}");
    ExitCode::FAILURE
}

async fn accept(address: &str, store: Arc<Store>) -> std::io::Result<Infallible> {
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        let store = store.clone();
        let service = service_fn(move |request| respond(store.clone(), request));
        let connection =
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
        tokio::spawn(connection);
    }
}

async fn respond(
    store: Arc<Store>,
    request: http::Request<Incoming>,
) -> Result<http::Response<Body>, Infallible> {
    let path = request.uri().path().to_owned();
    let answer =
        tower::service_fn(move |ask: Request<Ask>| std::future::ready(store.answer(&path, ask.into_inner())));
    Ok(Grpc::new(ProstCodec::default()).unary(answer, request).await)
}
