//! From HTTP to what a client wants: paths and parameters. Pure.

use std::time::Duration;

use super::asks::{Ask, Consistency, Query};
use super::body;
use super::error::ApiError;
use crate::kv::{Command, MAX_RANGE, Op, SessionSeq, Txn};

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// Longest wait for a watched change.
const MAX_WATCH: Duration = Duration::from_secs(60);

/// Reads a request. `path` is still percent-encoded.
pub fn parse(method: &str, path: &str, query: &str, bytes: &[u8]) -> Result<Ask, ApiError> {
    let mut params = Params::read(query)?;
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let ask = match (parts.as_slice(), method) {
        (["status"], "GET") => Ask::Status,
        (["hash"], "GET") => Ask::Hash,
        (["metrics"], "GET") => Ask::Metrics,
        (["watch"], "GET") => watch(&mut params)?,
        (["members"], "POST") => Ask::Members(body::member_change(bytes)?),
        (["leader"], "POST") => Ask::Transfer(body::transfer_to(bytes)?),
        (["range"], "GET") => Ask::Query { query: range(&mut params)?, consistency: params.consistency()? },
        (["kv", key], "GET") => {
            Ask::Query { query: Query::Get(decode_key(key)?), consistency: params.consistency()? }
        }
        (["txn"], "POST") => {
            let txn = body::txn(bytes)?;
            if txn.is_read_only() {
                Ask::Query { query: Query::Txn(txn), consistency: params.consistency()? }
            } else {
                change(Command::Txn(txn), &mut params)?
            }
        }
        _ => change(command(&parts, method, bytes, &mut params)?, &mut params)?,
    };
    params.finish()?;
    Ok(ask)
}

fn command(parts: &[&str], method: &str, bytes: &[u8], params: &mut Params) -> Result<Command, ApiError> {
    match (parts, method) {
        (["kv", key], "PUT") => Ok(Command::Write { key: decode_key(key)?, value: body::value(bytes)? }),
        (["kv", key], "DELETE") => Ok(Command::Delete { key: decode_key(key)? }),
        (["kv", key, "cas"], "POST") => {
            let (expected, value) = body::cas(bytes)?;
            Ok(Command::Cas { key: decode_key(key)?, expected, value, decided: false })
        }
        (["kv", key, "append"], "POST") => {
            Ok(single(Op::Append { key: decode_key(key)?, item: body::item(bytes)?, read_before: None }))
        }
        (["kv", key, "add"], "POST") => {
            Ok(single(Op::Add { key: decode_key(key)?, amount: body::amount(bytes)?, read_before: None }))
        }
        (["session"], "POST") => Ok(Command::OpenSession),
        (["compact"], "POST") => Ok(Command::Compact { through: body::through(bytes)? }),
        (["lease"], "POST") => Ok(Command::Grant { ttl_millis: body::ttl_millis(bytes)? }),
        (["lease", id, "keepalive"], "POST") => Ok(Command::KeepAlive { lease: number(id)? }),
        (["lease", id], "DELETE") => Ok(Command::Revoke { lease: number(id)? }),
        (["lock", name], "POST") => Ok(Command::Lock { name: decode_key(name)?, lease: body::lease(bytes)? }),
        (["lock", name], "DELETE") => {
            let token = params.take("token").ok_or_else(|| bad("an unlock needs token=N"))?;
            Ok(Command::Unlock { name: decode_key(name)?, token: number(&token)? })
        }
        (
            [
                "status" | "hash" | "metrics" | "watch" | "range" | "txn" | "session" | "lease" | "members"
                | "leader" | "compact",
            ],
            _,
        )
        | (["kv" | "lease" | "lock", _], _)
        | (["kv", _, "cas" | "append" | "add"] | ["lease", _, "keepalive"], _) => {
            Err(ApiError::MethodNotAllowed)
        }
        _ => Err(ApiError::NotFound),
    }
}

fn single(op: Op) -> Command {
    Command::Txn(Txn { then: vec![op], ..Txn::default() })
}

fn change(command: Command, params: &mut Params) -> Result<Ask, ApiError> {
    let session = match (params.take("session"), params.take("seq")) {
        (None, None) => None,
        (Some(session), Some(seq)) => Some(SessionSeq { session: number(&session)?, seq: number(&seq)? }),
        _ => return Err(bad("session=N and seq=N go together")),
    };
    if session.is_some_and(|s| s.seq == 0) {
        return Err(bad("seq begins at 1"));
    }
    Ok(Ask::Change { command, session })
}

fn watch(params: &mut Params) -> Result<Ask, ApiError> {
    let after = params.take("after").map_or(Ok(0), |text| number(&text))?;
    let prefix = params.take("prefix").unwrap_or_default();
    let wait = Duration::from_millis(params.take("timeout_ms").map_or(Ok(1000), |text| number(&text))?);
    Ok(Ask::Watch { after, prefix, wait: wait.min(MAX_WATCH) })
}

fn range(params: &mut Params) -> Result<Query, ApiError> {
    let (start, end) = (params.take("start").unwrap_or_default(), params.take("end"));
    let limit = params.take("limit").map_or(Ok(1000), |text| number(&text))?;
    if limit > MAX_RANGE as u64 {
        return Err(bad(format!("limit is at most {MAX_RANGE}")));
    }
    Ok(Query::Range { start, end, limit })
}

pub fn bad(why: impl Into<String>) -> ApiError {
    ApiError::BadRequest(why.into())
}

fn number(text: &str) -> Result<u64, ApiError> {
    text.parse().map_err(|_| bad(format!("{text:?} is not a number")))
}

/// Parameters of the query string, each at most once.
struct Params(Vec<(String, String)>);

impl Params {
    fn read(query: &str) -> Result<Params, ApiError> {
        let mut params: Vec<(String, String)> = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) =
                pair.split_once('=').ok_or_else(|| bad(format!("parameter {pair:?} has no value")))?;
            if params.iter().any(|(known, _)| known == name) {
                return Err(bad(format!("parameter {name:?} is given twice")));
            }
            params.push((name.to_owned(), decode(value)?));
        }
        Ok(Params(params))
    }

    fn take(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(at).1)
    }

    fn finish(self) -> Result<(), ApiError> {
        match self.0.first() {
            Some((name, _)) => Err(bad(format!("unknown parameter {name:?}"))),
            None => Ok(()),
        }
    }

    fn consistency(&mut self) -> Result<Consistency, ApiError> {
        let token = self.take("token").map(|text| number(&text)).transpose()?;
        match (self.take("consistency").as_deref().unwrap_or("linearizable"), token) {
            ("linearizable", None) => Ok(Consistency::Linearizable),
            ("lease", None) => Ok(Consistency::Lease),
            ("local", None) => Ok(Consistency::Local),
            ("session", Some(token)) => Ok(Consistency::Session { token }),
            ("session", None) => Err(bad("a session read needs token=N")),
            ("linearizable" | "lease" | "local", Some(_)) => Err(bad("only session reads take a token")),
            (other, _) => Err(bad(format!("unknown consistency {other:?}"))),
        }
    }
}

fn decode(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else {
            return Err(bad("bad % in the path or query"));
        };
        bytes.push((high * 16 + low) as u8);
    }
    String::from_utf8(bytes).map_err(|_| bad("keys and parameters must be UTF-8"))
}

fn decode_key(text: &str) -> Result<String, ApiError> {
    check_key(decode(text)?)
}

/// A key from anywhere, if it may be one.
pub fn check_key(key: String) -> Result<String, ApiError> {
    if key.is_empty() || key.len() > MAX_KEY_BYTES {
        return Err(bad(format!("a key has 1 to {MAX_KEY_BYTES} bytes, not {}", key.len())));
    }
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::super::body::MAX_VALUE_BYTES;
    use super::*;

    fn error(method: &str, path: &str, query: &str, body: &str) -> ApiError {
        parse(method, path, query, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn reads_keys_of_any_characters() {
        let ask = parse("PUT", "/kv/a%2Fb%20%C3%A9", "", br#"{"value": {"b":1,"a":[]}}"#).unwrap();
        let Ask::Change { command: Command::Write { key, value }, session: None } = ask else {
            panic!("{ask:?}")
        };
        assert_eq!((key.as_str(), value.as_str()), ("a/b é", r#"{"a":[],"b":1}"#));
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for (method, path, query, body) in [
            ("PUT", "/kv/k", "", "{"),
            ("PUT", "/kv/k", "", "[]"),
            ("PUT", "/kv/k", "", "{}"),
            ("PUT", "/kv/k", "", r#"{"value":1,"valeu":2}"#),
            ("PUT", "/kv/k", "", r#"{"value":null}"#),
            ("PUT", "/kv/k", "session=1", r#"{"value":1}"#),
            ("PUT", "/kv/k", "session=1&seq=0", r#"{"value":1}"#),
            ("PUT", "/kv/k", "consistency=local", r#"{"value":1}"#),
            ("POST", "/kv/k/cas", "", r#"{"value":1}"#),
            ("POST", "/kv/k/add", "", r#"{"amount":1.5}"#),
            ("POST", "/txn", "", r#"{"then":[{"op":"frobnicate"}]}"#),
            ("POST", "/txn", "", r#"{"then":[{"op":"read","key":"k","extra":1}]}"#),
            ("POST", "/txn", "", r#"{"then":[{"op":"write","key":"k","value":null}]}"#),
            ("POST", "/txn", "", r#"{"then":[{"op":"read","key":""}]}"#),
            ("POST", "/lease", "", r#"{"ttl_ms":0}"#),
            ("DELETE", "/lock/l", "", ""),
            ("GET", "/kv/", "", ""),
            ("GET", "/kv/%zz", "", ""),
            ("GET", "/kv/%ff", "", ""),
            ("GET", "/kv/k", "consistency=eventual", ""),
            ("GET", "/kv/k", "consistancy=local", ""),
            ("GET", "/kv/k", "consistency=local&consistency=lease", ""),
            ("GET", "/kv/k", "consistency=session", ""),
            ("GET", "/kv/k", "token=3", ""),
            ("GET", "/range", "limit=1000000", ""),
        ] {
            assert!(
                matches!(error(method, path, query, body), ApiError::BadRequest(_)),
                "{method} {path}?{query} {body}"
            );
        }
        assert_eq!(error("GET", "/nothing", "", ""), ApiError::NotFound);
        assert_eq!(error("PATCH", "/kv/k", "", ""), ApiError::MethodNotAllowed);
        assert_eq!(error("POST", "/watch", "", ""), ApiError::MethodNotAllowed);
        let huge = format!(r#"{{"value":"{}"}}"#, "x".repeat(MAX_VALUE_BYTES));
        assert!(matches!(error("PUT", "/kv/k", "", &huge), ApiError::TooLarge { .. }));
    }

    #[test]
    fn transactions_that_only_read_do_not_enter_the_log() {
        let text = br#"{"guards":[{"key":"a","value":null}],"then":[{"op":"read","key":"k"}]}"#;
        assert!(matches!(parse("POST", "/txn", "", text), Ok(Ask::Query { .. })));
        let text = br#"{"then":[{"op":"read","key":"k"}],"else":[{"op":"append","key":"k","item":1}]}"#;
        assert!(matches!(parse("POST", "/txn", "", text), Ok(Ask::Change { .. })));
    }
}
