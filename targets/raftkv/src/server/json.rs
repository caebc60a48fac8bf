//! Values: any JSON but null, in canonical text.
//!
//! A number with a point or an exponent is a 64-bit float and comes back as the shortest text of that float. One
//! without is kept digit for digit or refused.

use serde_json::Value;
use serde_json::value::RawValue;

/// The canonical text of what stands in a body.
pub fn canonical_of(raw: &RawValue) -> Result<String, serde_json::Error> {
    let text = raw.get();
    // A string without escapes is its own canonical text; most values are.
    if text.starts_with('"') && !text.contains('\\') {
        return Ok(text.to_owned());
    }
    serde_json::from_str(text).map(|value| canonical(&value))
}

/// The first whole number in `text`, which is JSON, that does not fit into 64 bits: read as a float it would
/// silently become another number.
pub fn inexact_number(text: &[u8]) -> Option<&str> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => at = string_end(text, at + 1),
            b'-' | b'0'..=b'9' => {
                let length = text[at..].iter().take_while(|b| b"+-.eE0123456789".contains(b)).count();
                let number = std::str::from_utf8(&text[at..at + length]).unwrap_or("");
                let whole = !number.contains(['.', 'e', 'E']);
                if whole && number.parse::<i64>().is_err() && number.parse::<u64>().is_err() {
                    return Some(number);
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    None
}

/// Behind the quote that closes the string whose first byte is at `at`.
fn string_end(text: &[u8], mut at: usize) -> usize {
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    at
}

/// Compact text with object keys sorted, whatever order they came in: equal values are equal bytes.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            let mut fields: Vec<_> = map.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (i, (key, item)) in fields.into_iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(item, out);
            }
            out.push('}');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn equal_values_are_equal_text() {
        let text = r#"{ "b": [1, {"z":null, "a":"x\"y"}], "a": 1.5 }"#;
        let value = serde_json::from_str(text).unwrap();
        assert_eq!(super::canonical(&value), r#"{"a":1.5,"b":[1,{"a":"x\"y","z":null}]}"#);
    }

    #[test]
    fn the_short_way_gives_the_same_text() {
        for text in [
            r#""plain é 🦀""#,
            r#""a\"b""#,
            r#""\u0041""#,
            "\"\u{7f}\"",
            r#"{"b":1, "a":2}"#,
            "1.50",
            "-0",
            "7",
        ] {
            let raw: &serde_json::value::RawValue = serde_json::from_str(text).unwrap();
            let value: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(super::canonical_of(raw).unwrap(), super::canonical(&value), "{text}");
        }
    }

    #[test]
    fn numbers_that_would_change_are_found() {
        for text in
            ["18446744073709551616", r#"[1,{"a":-9223372036854775809}]"#, r#""\"",99999999999999999999"#]
        {
            assert!(super::inexact_number(text.as_bytes()).is_some(), "{text}");
        }
        for text in [
            "18446744073709551615",
            "-9223372036854775808",
            "1e300",
            "0.1",
            r#""99999999999999999999\\""#,
            "",
        ] {
            assert_eq!(super::inexact_number(text.as_bytes()), None, "{text}");
        }
    }
}
