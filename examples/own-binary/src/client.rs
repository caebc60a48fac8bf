//! A client of one's own: gRPC over one connection, which is never made anew behind anybody's back.

use async_trait::async_trait;
use hyper_util::rt::TokioIo;
use squall_engine::protocol::{Client, Via};
use squall_engine::{Completion, Error, Operation};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::wire::{Answer, Ask, RAISE, READ};

pub struct Connection {
    grpc: Grpc<Channel>,
    broken: bool,
}

/// Connects from a process' own address in the clients' network. A library that dials by itself would dial
/// from outside of the cluster, so it is handed a socket that is open already; asked for another one, as when it
/// would reconnect, there is none.
pub async fn open(via: Via<'_>, to: std::net::SocketAddr) -> Result<Connection, Error> {
    let told = |e: &dyn std::fmt::Display| Error::Target(format!("{to}: {e}"));
    let stream = via.net.connect(via.slot, to).await.map_err(|e| told(&e))?;
    let mut only = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let gone = std::io::Error::other("the connection is gone");
        std::future::ready(only.take().ok_or(gone))
    });
    let endpoint = Endpoint::from_static("http://toy");
    let channel = endpoint.connect_with_connector(connector).await.map_err(|e| told(&e))?;
    Ok(Connection { grpc: Grpc::new(channel), broken: false })
}

impl Connection {
    async fn call(&mut self, path: &'static str, ask: Ask) -> Result<Answer, Status> {
        let ready = self.grpc.ready().await;
        ready.map_err(|e| Status::unavailable(e.to_string()))?;
        let path = PathAndQuery::from_static(path);
        self.grpc.unary(Request::new(ask), path, ProstCodec::default()).await.map(|r| r.into_inner())
    }
}

#[async_trait]
impl Client for Connection {
    async fn invoke(&mut self, op: &Operation) -> Completion {
        let path = if &*op.f == "raise" { RAISE } else { READ };
        let number = op.value.as_int().unwrap_or_default();
        // Unusable unless the answer comes back: a call that is cut off in the middle never gets that far.
        self.broken = true;
        match self.call(path, Ask { key: op.key.to_string(), number }).await {
            Ok(answer) => {
                self.broken = false;
                Completion::ok(if path == READ { answer.highest } else { number })
            }
            // gRPC's page of status codes: the server does not know the method, so it did nothing.
            Err(e) if e.code() == Code::Unimplemented => Completion::fail("unimplemented", e.message()),
            // All others may be said by any layer, before or after the deed.
            Err(e) => Completion::unclear(op, "status", format!("{:?}: {}", e.code(), e.message())),
        }
    }

    fn is_usable(&self) -> bool {
        !self.broken
    }
}
