//! Bodies of requests: JSON objects with exactly the fields they should have.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::api::{bad, check_key};
use super::asks::MemberChange;
use super::error::ApiError;
use super::json::{canonical, canonical_of, inexact_number};
use crate::kv::{Guard, Op, Txn};
use crate::raft::NodeId;

/// Longest value, in bytes of canonical JSON.
pub const MAX_VALUE_BYTES: usize = 1 << 20;
/// Steps and guards in one transaction, at most.
const MAX_STEPS: usize = 1024;

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, ApiError> {
    let body = serde_json::from_slice(bytes)
        .map_err(|e| bad(format!("the body is not what this path takes: {e}")))?;
    match inexact_number(bytes) {
        Some(number) => Err(bad(format!("{number} does not fit into 64 bits; write it as a string"))),
        None => Ok(body),
    }
}

/// Keeps "absent" and "null" apart: a missing field is an error, null is `None`.
fn nullable<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Value, D::Error> {
    Value::deserialize(d)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueBody<'a> {
    #[serde(borrow)]
    value: &'a RawValue,
}

pub fn value(bytes: &[u8]) -> Result<String, ApiError> {
    let text = canonical_of(read::<ValueBody>(bytes)?.value).map_err(|e| bad(e.to_string()))?;
    if text == "null" {
        return present(&Value::Null, "value");
    }
    within_limit(text)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasBody {
    #[serde(deserialize_with = "nullable")]
    expected: Value,
    #[serde(deserialize_with = "nullable")]
    value: Value,
}

/// What is expected (`None`: absence) and the new value.
pub fn cas(bytes: &[u8]) -> Result<(Option<String>, String), ApiError> {
    let body: CasBody = read(bytes)?;
    Ok((optional(&body.expected)?, present(&body.value, "value")?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ItemBody {
    #[serde(deserialize_with = "nullable")]
    item: Value,
}

/// A list may hold null.
pub fn item(bytes: &[u8]) -> Result<String, ApiError> {
    fitting(&read::<ItemBody>(bytes)?.item)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountBody {
    amount: i64,
}

pub fn amount(bytes: &[u8]) -> Result<i64, ApiError> {
    Ok(read::<AmountBody>(bytes)?.amount)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaseBody {
    lease: u64,
}

pub fn lease(bytes: &[u8]) -> Result<u64, ApiError> {
    Ok(read::<LeaseBody>(bytes)?.lease)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThroughBody {
    through: u64,
}

pub fn through(bytes: &[u8]) -> Result<u64, ApiError> {
    Ok(read::<ThroughBody>(bytes)?.through)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TtlBody {
    ttl_ms: u64,
}

pub fn ttl_millis(bytes: &[u8]) -> Result<u64, ApiError> {
    match read::<TtlBody>(bytes)?.ttl_ms {
        ttl @ 1..=86_400_000 => Ok(ttl),
        ttl => Err(bad(format!("ttl_ms is 1 to 86400000, not {ttl}"))),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum MemberBody {
    AddLearner { id: NodeId, address: String },
    Promote { id: NodeId },
    Remove { id: NodeId },
}

pub fn member_change(bytes: &[u8]) -> Result<MemberChange, ApiError> {
    match read(bytes)? {
        MemberBody::AddLearner { id, address } => {
            let port = address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
            port.ok_or_else(|| bad(format!("{address:?} is not HOST:PORT")))?;
            Ok(MemberChange::AddLearner { id, address })
        }
        MemberBody::Promote { id } => Ok(MemberChange::Promote(id)),
        MemberBody::Remove { id } => Ok(MemberChange::Remove(id)),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LeaderBody {
    transfer_to: NodeId,
}

pub fn transfer_to(bytes: &[u8]) -> Result<NodeId, ApiError> {
    Ok(read::<LeaderBody>(bytes)?.transfer_to)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TxnBody {
    #[serde(default)]
    guards: Vec<GuardBody>,
    #[serde(default)]
    then: Vec<OpBody>,
    #[serde(default, rename = "else")]
    otherwise: Vec<OpBody>,
}

#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum GuardBody {
    Value {
        key: String,
        #[serde(deserialize_with = "nullable")]
        value: Value,
    },
    Version {
        key: String,
        version: u64,
    },
    Held {
        lock: String,
        token: u64,
    },
}

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum OpBody {
    Read {
        key: String,
    },
    Write {
        key: String,
        #[serde(deserialize_with = "nullable")]
        value: Value,
    },
    Delete {
        key: String,
    },
    Append {
        key: String,
        #[serde(deserialize_with = "nullable")]
        item: Value,
    },
    Add {
        key: String,
        amount: i64,
    },
    Range {
        #[serde(default)]
        start: String,
        end: Option<String>,
        limit: Option<u64>,
    },
}

pub fn txn(bytes: &[u8]) -> Result<Txn, ApiError> {
    let body: TxnBody = read(bytes)?;
    if body.guards.len() + body.then.len() + body.otherwise.len() > MAX_STEPS {
        return Err(bad(format!("a transaction has at most {MAX_STEPS} guards and steps")));
    }
    let ops = |ops: Vec<OpBody>| ops.into_iter().map(op).collect::<Result<Vec<_>, _>>();
    let guards = body.guards.into_iter().map(guard).collect::<Result<_, _>>()?;
    Ok(Txn { guards, then: ops(body.then)?, otherwise: ops(body.otherwise)?, decided: None })
}

fn guard(body: GuardBody) -> Result<Guard, ApiError> {
    Ok(match body {
        GuardBody::Value { key, value } => Guard::Value { key: check_key(key)?, value: optional(&value)? },
        GuardBody::Version { key, version } => Guard::Version { key: check_key(key)?, version },
        GuardBody::Held { lock, token } => Guard::Held { lock: check_key(lock)?, token },
    })
}

fn op(body: OpBody) -> Result<Op, ApiError> {
    Ok(match body {
        OpBody::Read { key } => Op::Read { key: check_key(key)? },
        OpBody::Write { key, value } => Op::Write { key: check_key(key)?, value: present(&value, "value")? },
        OpBody::Delete { key } => Op::Delete { key: check_key(key)? },
        OpBody::Append { key, item } => {
            Op::Append { key: check_key(key)?, item: fitting(&item)?, read_before: None }
        }
        OpBody::Add { key, amount } => Op::Add { key: check_key(key)?, amount, read_before: None },
        OpBody::Range { start, end, limit } => Op::Range { start, end, limit: limit.unwrap_or(1000) },
    })
}

fn fitting(value: &Value) -> Result<String, ApiError> {
    within_limit(canonical(value))
}

fn within_limit(text: String) -> Result<String, ApiError> {
    if text.len() > MAX_VALUE_BYTES {
        return Err(ApiError::TooLarge { limit_bytes: MAX_VALUE_BYTES });
    }
    Ok(text)
}

fn optional(value: &Value) -> Result<Option<String>, ApiError> {
    if value.is_null() { Ok(None) } else { fitting(value).map(Some) }
}

fn present(value: &Value, name: &str) -> Result<String, ApiError> {
    optional(value)?.ok_or_else(|| bad(format!("{name:?} must not be null: null stands for absence")))
}
