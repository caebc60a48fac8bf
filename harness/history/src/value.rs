//! The generic value of an operation: what was written, read, compared or answered.
//!
//! Sixteen bytes, cheap to clone, totally ordered and hashable, so that it can stand in columns and sets.
//! Invariant: two values are equal exactly if they print equally; there are no floats, since no model here
//! compares them and they would break that.

use std::fmt;
use std::sync::Arc;

use serde::de::{self, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::List;

/// A value: nothing, a truth value, an integer, a text, a list or a map.
///
/// Micro-operations of transactions are lists, `["append", key, value]`. Strings and lists sit behind a thin
/// pointer to keep the type at sixteen bytes; a history of ten million operations is mostly these.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// Absence: a key that was never written, a read not yet answered.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A signed 64-bit integer.
    Int(i64),
    /// Text, and keywords of EDN without their colon.
    Str(Arc<String>),
    /// A list.
    List(List),
    /// Pairs sorted by key. In JSON an object; keys that are integers in decimal are read back as integers.
    Map(Arc<Vec<(Value, Value)>>),
}

impl Value {
    /// A text value.
    pub fn str(text: impl Into<String>) -> Self {
        Value::Str(Arc::new(text.into()))
    }

    /// A list value.
    pub fn list(items: impl Into<Vec<Value>>) -> Self {
        Value::List(List::from(items.into()))
    }

    /// A map value; pairs may come in any order.
    pub fn map(mut pairs: Vec<(Value, Value)>) -> Self {
        pairs.sort();
        Value::Map(Arc::new(pairs))
    }

    /// Whether this is [`Value::Nil`].
    pub fn is_nil(&self) -> bool {
        matches!(self, Value::Nil)
    }

    /// The integer, if it is one.
    pub fn as_int(&self) -> Option<i64> {
        if let Value::Int(i) = self { Some(*i) } else { None }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Value::Bool(b) = self { Some(*b) } else { None }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::Str(s) = self { Some(s) } else { None }
    }

    /// The items, if it is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Value::List(items) = self { Some(items) } else { None }
    }

    /// The pairs, if it is a map.
    pub fn as_map(&self) -> Option<&[(Value, Value)]> {
        if let Value::Map(pairs) = self { Some(pairs) } else { None }
    }

    /// The two items of a list of exactly two: a `[key value]` tuple, the `[old new]` of a cas.
    pub fn as_pair(&self) -> Option<(&Value, &Value)> {
        match self.as_list() {
            Some([a, b]) => Some((a, b)),
            _ => None,
        }
    }

    /// Appends the value as JSON. This is the hot path of the recorder, so it does without serde.
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Value::Nil => out.extend_from_slice(b"null"),
            Value::Bool(true) => out.extend_from_slice(b"true"),
            Value::Bool(false) => out.extend_from_slice(b"false"),
            Value::Int(i) => write_int(*i, out),
            Value::Str(s) => write_json_str(s, out),
            Value::List(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Value::Map(pairs) => {
                out.push(b'{');
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    write_json_str(&key.as_map_key(), out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }

    pub(crate) fn as_map_key(&self) -> String {
        match self {
            Value::Str(s) => s.as_str().to_owned(),
            other => other.to_string(),
        }
    }

    pub(crate) fn from_map_key(text: &str) -> Self {
        match text.parse::<i64>() {
            Ok(i) if i.to_string() == text => Value::Int(i),
            _ => Value::str(text),
        }
    }
}

pub(crate) fn write_int(i: i64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = i.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if i < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(&digits[at..]);
}

pub(crate) fn write_json_str(s: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = s.as_bytes();
    // Whole runs at a time: nearly every text has nothing to escape.
    while let Some(at) = rest.iter().position(|&b| b < 0x20 || b == b'"' || b == b'\\' || b == 0x7f) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

/// As JSON: the form in which people meet values everywhere.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Vec::new();
        self.write_json(&mut out);
        f.write_str(&String::from_utf8_lossy(&out))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<i64> for Value {
    fn from(i: i64) -> Self {
        Value::Int(i)
    }
}

impl From<bool> for Value {
    fn from(b: bool) -> Self {
        Value::Bool(b)
    }
}

impl From<&str> for Value {
    fn from(s: &str) -> Self {
        Value::str(s)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(o: Option<T>) -> Self {
        o.map_or(Value::Nil, Into::into)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Value::list(items)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Nil => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(i) => serializer.serialize_i64(*i),
            Value::Str(s) => serializer.serialize_str(s),
            Value::List(items) => serializer.collect_seq(items.iter()),
            Value::Map(pairs) => serializer.collect_map(pairs.iter().map(|(k, v)| (k.as_map_key(), v))),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, a truth value, an integer, a string, a list or an object")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nil)
    }

    fn visit_bool<E>(self, b: bool) -> Result<Value, E> {
        Ok(Value::Bool(b))
    }

    fn visit_i64<E>(self, i: i64) -> Result<Value, E> {
        Ok(Value::Int(i))
    }

    fn visit_u64<E: de::Error>(self, u: u64) -> Result<Value, E> {
        i64::try_from(u).map(Value::Int).map_err(|_| E::custom("integers have 64 bits, signed"))
    }

    fn visit_f64<E: de::Error>(self, x: f64) -> Result<Value, E> {
        Err(E::custom(format!("{x} is not a whole number; values of operations are whole numbers or text")))
    }

    fn visit_str<E>(self, s: &str) -> Result<Value, E> {
        Ok(Value::str(s))
    }

    fn visit_string<E>(self, s: String) -> Result<Value, E> {
        Ok(Value::str(s))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1024));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::list(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            pairs.push((Value::from_map_key(&key), value));
        }
        Ok(Value::map(pairs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_two_words() {
        assert_eq!(std::mem::size_of::<Value>(), 16);
    }

    #[test]
    fn json_survives_a_round_trip_and_agrees_with_serde() {
        let cases = [
            Value::Nil,
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Int(0),
            Value::str("quo\"te \\ line\n tab\t bell\u{7} <b> é"),
            Value::list([Value::str("append"), Value::Int(3), Value::Nil]),
            Value::map(vec![(Value::Int(2), Value::Int(-7)), (Value::str("x"), Value::list([]))]),
        ];
        for value in cases {
            let mut ours = Vec::new();
            value.write_json(&mut ours);
            let back: Value = serde_json::from_slice(&ours).unwrap();
            assert_eq!(back, value);
            let through_serde: Value = serde_json::from_str(&serde_json::to_string(&value).unwrap()).unwrap();
            assert_eq!(through_serde, value);
        }
    }

    #[test]
    fn fractions_and_huge_integers_are_refused() {
        assert!(serde_json::from_str::<Value>("1.5").is_err());
        assert!(serde_json::from_str::<Value>("18446744073709551615").is_err());
    }
}
