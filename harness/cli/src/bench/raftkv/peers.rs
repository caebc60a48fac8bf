//! One client of either store: writes a value of 256 bytes to a key, reads it back linearizably.

use std::net::SocketAddr;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper::header::HOST;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::grpc::{Grpc, PutRequest, PutResponse, RangeRequest, RangeResponse};

/// Bytes of a value as the store keeps it.
pub(super) const VALUE_BYTES: usize = 256;

/// Which store a client talks to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Store {
    RaftKv,
    Etcd,
}

impl Store {
    pub(super) fn name(self) -> &'static str {
        match self {
            Store::RaftKv => "raftkv",
            Store::Etcd => "etcd",
        }
    }

    pub(super) fn port(self) -> u16 {
        match self {
            Store::RaftKv => 7000,
            Store::Etcd => 2379,
        }
    }
}

/// One connection to one node.
#[derive(Debug)]
pub(super) enum Talk {
    Http { send: http1::SendRequest<Full<Bytes>>, host: String },
    Grpc(Grpc),
}

impl Talk {
    pub(super) async fn over(store: Store, stream: TcpStream, to: SocketAddr) -> Result<Talk, String> {
        stream.set_nodelay(true).map_err(|e| e.to_string())?;
        if store == Store::Etcd {
            return Grpc::over(stream, to).await.map(Talk::Grpc);
        }
        let (send, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        tokio::spawn(async move { drop(connection.await) });
        Ok(Talk::Http { send, host: to.to_string() })
    }

    /// Returns when a majority has it on disk.
    pub(super) async fn write(&mut self, key: &str, value: &str) -> Result<(), String> {
        match self {
            Talk::Http { send, host } => {
                let body = Bytes::from(format!(r#"{{"value":{value}}}"#));
                http(send, host, Method::PUT, &format!("/kv/{key}"), body).await.map(drop)
            }
            Talk::Grpc(grpc) => {
                let (key, value) =
                    (Bytes::copy_from_slice(key.as_bytes()), Bytes::copy_from_slice(value.as_bytes()));
                let answer: PutResponse =
                    grpc.call("/etcdserverpb.KV/Put", &PutRequest { key, value }).await?;
                answer.header.filter(|h| h.revision > 0).map(drop).ok_or_else(|| "no revision".to_owned())
            }
        }
    }

    /// What a path of Raft KV answers.
    pub(super) async fn get(&mut self, path: &str) -> Result<Bytes, String> {
        match self {
            Talk::Http { send, host } => http(send, host, Method::GET, path, Bytes::new()).await,
            Talk::Grpc(_) => Err("etcd has no such paths".into()),
        }
    }

    /// A linearizable read of a key that holds a value.
    pub(super) async fn read(&mut self, key: &str) -> Result<(), String> {
        match self {
            Talk::Http { send, host } => {
                let body = http(send, host, Method::GET, &format!("/kv/{key}"), Bytes::new()).await?;
                let whole = body.len() > VALUE_BYTES && body.starts_with(br#"{"value":""#);
                if whole { Ok(()) } else { Err(format!("read {}", String::from_utf8_lossy(&body))) }
            }
            Talk::Grpc(grpc) => {
                let ask = RangeRequest { key: Bytes::copy_from_slice(key.as_bytes()) };
                let answer: RangeResponse = grpc.call("/etcdserverpb.KV/Range", &ask).await?;
                let whole = answer.kvs.first().is_some_and(|kv| kv.value.len() == VALUE_BYTES);
                if whole { Ok(()) } else { Err(format!("read {} values", answer.kvs.len())) }
            }
        }
    }
}

async fn http(
    send: &mut http1::SendRequest<Full<Bytes>>,
    host: &str,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Bytes, String> {
    let request = Request::builder().method(method).uri(path).header(HOST, host);
    let request = request.body(Full::new(body)).map_err(|e| e.to_string())?;
    let answer = send.send_request(request).await.map_err(|e| e.to_string())?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
    if status == 200 { Ok(body) } else { Err(String::from_utf8_lossy(&body).into_owned()) }
}

/// The JSON string of 256 bytes, quotes included, that client `client` writes as its `n`th.
pub(super) fn value(client: usize, n: u64) -> String {
    let digits = VALUE_BYTES - 2;
    format!("\"{:0>digits$}\"", format!("{client}-{n}"))
}
