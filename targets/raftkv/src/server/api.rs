//! From HTTP to what a client wants: paths, parameters, bodies. Pure.

use serde_json::Value;

use super::error::ApiError;
use super::json::canonical;
use super::node::{Ask, Consistency};
use crate::kv::Command;

/// Longest key, in bytes.
pub const MAX_KEY_BYTES: usize = 1024;
/// Longest value, in bytes of canonical JSON.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// Reads a request. `path` is still percent-encoded.
pub fn parse(method: &str, path: &str, query: &str, body: &[u8]) -> Result<Ask, ApiError> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    match (parts.as_slice(), method) {
        (["status"], "GET") => Ok(Ask::Status),
        (["kv", key], "GET") => Ok(Ask::Read { key: decode_key(key)?, consistency: consistency(query)? }),
        (["kv", key], "PUT") => {
            let [value] = fields(body, ["value"])?;
            Ok(Ask::Change(Command::Write { key: decode_key(key)?, value: present(value, "value")? }))
        }
        (["kv", key], "DELETE") => Ok(Ask::Change(Command::Delete { key: decode_key(key)? })),
        (["kv", key, "cas"], "POST") => {
            let [expected, value] = fields(body, ["expected", "value"])?;
            let (key, value) = (decode_key(key)?, present(value, "value")?);
            Ok(Ask::Change(Command::Cas { key, expected: optional(expected)?, value, decided: false }))
        }
        (["status"] | ["kv", _] | ["kv", _, "cas"], _) => Err(ApiError::MethodNotAllowed),
        _ => Err(ApiError::NotFound),
    }
}

fn bad(why: impl Into<String>) -> ApiError {
    ApiError::BadRequest(why.into())
}

fn consistency(query: &str) -> Result<Consistency, ApiError> {
    let (mut name, mut token) = ("linearizable", None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("consistency", value)) => name = value,
            Some(("token", value)) => token = Some(value.parse().map_err(|_| bad("token is not a number"))?),
            _ => return Err(bad(format!("unknown parameter {pair:?}"))),
        }
    }
    match (name, token) {
        ("linearizable", None) => Ok(Consistency::Linearizable),
        ("lease", None) => Ok(Consistency::Lease),
        ("local", None) => Ok(Consistency::Local),
        ("session", Some(token)) => Ok(Consistency::Session { token }),
        ("session", None) => Err(bad("a session read needs token=N")),
        ("linearizable" | "lease" | "local", Some(_)) => Err(bad("only session reads take a token")),
        (other, _) => Err(bad(format!("unknown consistency {other:?}"))),
    }
}

fn decode_key(text: &str) -> Result<String, ApiError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16));
        let (Some(high), Some(low)) = (digit(), digit()) else { return Err(bad("bad % in the key")) };
        bytes.push((high * 16 + low) as u8);
    }
    if bytes.is_empty() || bytes.len() > MAX_KEY_BYTES {
        return Err(bad(format!("a key has 1 to {MAX_KEY_BYTES} bytes, not {}", bytes.len())));
    }
    String::from_utf8(bytes).map_err(|_| bad("a key must be UTF-8"))
}

/// The named fields of a JSON object, all of them and no others.
fn fields<const N: usize>(body: &[u8], names: [&str; N]) -> Result<[Value; N], ApiError> {
    let mut map = match serde_json::from_slice(body) {
        Ok(Value::Object(map)) => map,
        Ok(_) => return Err(bad("the body must be a JSON object")),
        Err(e) => return Err(bad(format!("the body is not JSON: {e}"))),
    };
    let mut values = [const { Value::Null }; N];
    for (value, name) in values.iter_mut().zip(names) {
        *value = map.remove(name).ok_or_else(|| bad(format!("the field {name:?} is missing")))?;
    }
    match map.keys().next() {
        Some(unknown) => Err(bad(format!("unknown field {unknown:?}"))),
        None => Ok(values),
    }
}

fn optional(value: Value) -> Result<Option<String>, ApiError> {
    if value.is_null() {
        return Ok(None);
    }
    let text = canonical(&value);
    if text.len() > MAX_VALUE_BYTES {
        return Err(ApiError::TooLarge { limit_bytes: MAX_VALUE_BYTES });
    }
    Ok(Some(text))
}

fn present(value: Value, name: &str) -> Result<String, ApiError> {
    optional(value)?.ok_or_else(|| bad(format!("{name:?} must not be null: null stands for absence")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(method: &str, path: &str, query: &str, body: &str) -> ApiError {
        parse(method, path, query, body.as_bytes()).unwrap_err()
    }

    #[test]
    fn reads_keys_of_any_characters() {
        let ask = parse("PUT", "/kv/a%2Fb%20%C3%A9", "", br#"{"value": {"b":1,"a":[]}}"#).unwrap();
        let Ask::Change(Command::Write { key, value }) = ask else { panic!("{ask:?}") };
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
            ("POST", "/kv/k/cas", "", r#"{"value":1}"#),
            ("GET", "/kv/", "", ""),
            ("GET", "/kv/%zz", "", ""),
            ("GET", "/kv/%ff", "", ""),
            ("GET", "/kv/k", "consistency=eventual", ""),
            ("GET", "/kv/k", "consistancy=local", ""),
            ("GET", "/kv/k", "consistency=session", ""),
            ("GET", "/kv/k", "token=3", ""),
            ("GET", "/kv/k", "consistency=session&token=x", ""),
        ] {
            assert!(
                matches!(error(method, path, query, body), ApiError::BadRequest(_)),
                "{method} {path} {body}"
            );
        }
        assert_eq!(error("GET", "/nothing", "", ""), ApiError::NotFound);
        assert_eq!(error("PATCH", "/kv/k", "", ""), ApiError::MethodNotAllowed);
        let huge = format!(r#"{{"value":"{}"}}"#, "x".repeat(MAX_VALUE_BYTES));
        assert!(matches!(error("PUT", "/kv/k", "", &huge), ApiError::TooLarge { .. }));
    }
}
