//! From a described structure to its schema.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::Value as Json;

/// The schema of a structure.
pub(crate) fn schema_of<T: JsonSchema>() -> Json {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value()
}

/// The same for what people write by hand: a key may be missing, but nobody writes null.
pub(crate) fn without_null<T: JsonSchema>() -> Json {
    let mut schema = schema_of::<T>();
    drop_null(&mut schema);
    schema
}

fn drop_null(schema: &mut Json) {
    match schema {
        Json::Object(map) => {
            if let Some(Json::Array(types)) = map.get_mut("type") {
                types.retain(|t| t != "null");
                if let [only] = &**types {
                    let only = only.clone();
                    map.insert("type".into(), only);
                }
            }
            let any = map.get_mut("anyOf").and_then(Json::as_array_mut);
            if let Some(any) = any {
                any.retain(|s| s["type"] != "null");
                if let [only] = &**any {
                    // Draft-07 does not look at what stands beside a `$ref`.
                    let only = only.clone();
                    map.remove("anyOf");
                    map.insert("allOf".into(), Json::Array(vec![only]));
                }
            }
            map.values_mut().for_each(drop_null);
        }
        Json::Array(items) => items.iter_mut().for_each(drop_null),
        _ => {}
    }
}
