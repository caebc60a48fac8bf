//! The JSON of etcd's gateway: base64 keys and values, 64-bit numbers as strings, zeros left out.

use base64::Engine as _;
use serde::Deserialize;
use serde_json::json;
use squall_history::Value;

use crate::http::Answer;

/// The gateway writes 64-bit numbers as strings, and leaves out zeros.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct StatusReply {
    pub header: Header,
    pub leader: String,
    #[serde(rename = "raftTerm")]
    pub raft_term: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Header {
    pub member_id: String,
    pub revision: String,
}

/// What a transaction answers; of its responses, what the caller asked for.
#[derive(Deserialize)]
#[serde(bound = "R: Deserialize<'de>")]
pub(super) struct TxnReply<R> {
    pub header: Header,
    #[serde(default)]
    pub succeeded: bool,
    #[serde(default)]
    pub responses: Vec<R>,
}

#[derive(Deserialize)]
pub(super) struct RangeReply {
    #[serde(default)]
    pub header: Header,
    #[serde(default)]
    pub kvs: Vec<Kv>,
}

#[derive(Deserialize)]
pub(super) struct Kv {
    #[serde(default)]
    pub key: String,
    #[serde(default)]
    pub value: String,
    pub mod_revision: String,
}

/// Everything that a range tells of its keys.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct WholeKv {
    pub kvs: Vec<Whole>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(super) struct Whole {
    pub key: String,
    pub value: String,
    pub create_revision: String,
    pub mod_revision: String,
    pub version: String,
}

#[derive(Deserialize)]
pub(super) struct ChangeReply {
    pub header: Header,
    // Of a transaction; the gateway leaves out what is false.
    #[serde(default)]
    pub succeeded: bool,
}

#[derive(Deserialize)]
pub(super) struct ErrorReply {
    #[serde(default)]
    pub code: i64,
    #[serde(default)]
    pub message: String,
    #[serde(default)]
    pub error: String,
}

pub(super) fn range(key: &str, serializable: bool) -> String {
    json!({ "key": base64(key), "serializable": serializable }).to_string()
}

pub(super) fn encode(value: &Value) -> String {
    base64(&value.to_string())
}

pub(super) fn answer_text(answer: &Answer) -> String {
    format!("HTTP {}: {}", answer.status, String::from_utf8_lossy(&answer.body))
}

pub(super) fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub(super) fn unbase64(text: &str) -> Option<Vec<u8>> {
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}
