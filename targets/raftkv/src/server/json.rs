//! Values: any JSON but null, in canonical text.

use serde_json::Value;

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
}
