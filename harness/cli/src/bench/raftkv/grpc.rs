//! A unary gRPC call: one HTTP/2 request with a length-prefixed message, and the trailer that says how it went.
//!
//! Only what measuring etcd takes: its `Put` and `Range`, messages written by hand from its published interface,
//! without the generator of code and without TLS, streams or retries.

use std::net::SocketAddr;

use bytes::{BufMut as _, Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use hyper::Request;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, TE};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::TcpStream;

/// A connection on which calls may overlap.
#[derive(Clone, Debug)]
pub(super) struct Grpc {
    send: SendRequest<Full<Bytes>>,
    host: String,
}

impl Grpc {
    pub(super) async fn over(stream: TcpStream, to: SocketAddr) -> Result<Grpc, String> {
        let (send, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
        // Its error is the error of the call that meets it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(Grpc { send, host: to.to_string() })
    }

    pub(super) async fn call<Q: Message, A: Message + Default>(
        &mut self,
        method: &str,
        ask: &Q,
    ) -> Result<A, String> {
        let request = Request::post(format!("http://{}{method}", self.host))
            .header(CONTENT_TYPE, "application/grpc")
            .header(TE, "trailers")
            .body(Full::new(framed(ask)))
            .map_err(|e| e.to_string())?;
        let answer = self.send.send_request(request).await.map_err(|e| e.to_string())?;
        let head = answer.headers().clone();
        let body = answer.into_body().collect().await.map_err(|e| e.to_string())?;
        let trailers = body.trailers().cloned().unwrap_or(head);
        let word = |name: &str| trailers.get(name).and_then(|v| v.to_str().ok()).unwrap_or("none").to_owned();
        if word("grpc-status") != "0" {
            return Err(format!("status {}: {}", word("grpc-status"), word("grpc-message")));
        }
        let bytes = body.to_bytes();
        let message = bytes.get(5..).filter(|_| bytes[0] == 0).ok_or("an answer without a plain message")?;
        A::decode(message).map_err(|e| e.to_string())
    }
}

/// Not compressed, then the length, then the message.
fn framed(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(5 + length);
    frame.put_u8(0);
    frame.put_u32(length as u32);
    message.encode(&mut frame).expect("there is room");
    frame.freeze()
}

/// `etcdserverpb.PutRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(super) value: Bytes,
}

/// `etcdserverpb.PutResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct PutResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<ResponseHeader>,
}

/// `etcdserverpb.RangeRequest`; `serializable` is left out, which makes the read linearizable.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
}

/// `etcdserverpb.RangeResponse`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RangeResponse {
    #[prost(message, repeated, tag = "2")]
    pub(super) kvs: Vec<KeyValue>,
}

/// `etcdserverpb.ResponseHeader`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct ResponseHeader {
    #[prost(int64, tag = "3")]
    pub(super) revision: i64,
}

/// `mvccpb.KeyValue`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct KeyValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) key: Bytes,
    #[prost(bytes = "bytes", tag = "5")]
    pub(super) value: Bytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_as_etcd_reads_them() {
        let put = PutRequest { key: "k".into(), value: "v".into() };
        assert_eq!(&framed(&put)[..], b"\0\0\0\0\x06\x0a\x01k\x12\x01v");
        assert_eq!(RangeRequest { key: "k".into() }.encode_to_vec(), b"\x0a\x01k");
        // A field that is not listed (create_revision) is passed over.
        let answer = RangeResponse::decode(&b"\x12\x08\x0a\x01k\x10\x07\x2a\x01v\x20\x01"[..]).unwrap();
        assert_eq!((&answer.kvs[0].key[..], &answer.kvs[0].value[..]), (&b"k"[..], &b"v"[..]));
    }
}
