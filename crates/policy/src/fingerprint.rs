//! What a configuration says, as one number: the same for YAML, JSON and protobuf, and for any order of keys.

use std::collections::BTreeMap;

use hmac_sha256::Hash;
use serde_json::Value;

/// The SHA-256 of a configuration as canonical JSON, in hexadecimal digits.
pub fn fingerprint(configuration: &Value) -> String {
    let hash = hash(configuration);
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A short hash of each part of a configuration, by its path: of each member of its sections (`roles.manager`),
/// and of each other key (`mode`).
pub fn parts(configuration: &Value) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    match configuration.get("policies") {
        Some(Value::Array(policies)) => {
            for (index, policy) in policies.iter().enumerate() {
                add_parts(&mut parts, &format!("policies[{index}]."), policy);
            }
        }
        _ => add_parts(&mut parts, "", configuration),
    }
    parts
}

fn add_parts(parts: &mut BTreeMap<String, String>, prefix: &str, policy: &Value) {
    for (key, value) in policy.as_object().into_iter().flatten() {
        match value {
            Value::Object(members) => {
                for (member, value) in members {
                    parts.insert(format!("{prefix}{key}.{member}"), short(value));
                }
            }
            value => {
                parts.insert(format!("{prefix}{key}"), short(value));
            }
        }
    }
}

/// Eight hexadecimal digits.
fn short(value: &Value) -> String {
    let digits = hash(value);
    let digits = digits.iter().take(4);
    digits.map(|byte| format!("{byte:02x}")).collect()
}

fn hash(value: &Value) -> [u8; 32] {
    let mut hash = Hash::new();
    feed(&mut hash, value);
    hash.finalize()
}

/// Canonical JSON: keys in order, no spaces, and numbers as Envoy has them.
fn feed(hash: &mut Hash, value: &Value) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                hash.update(if index == 0 { "[" } else { "," });
                feed(hash, item);
            }
            hash.update(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Object(members) => {
            let members: BTreeMap<&String, &Value> = members.iter().collect();
            for (index, (key, value)) in members.iter().enumerate() {
                hash.update(if index == 0 { "{" } else { "," });
                hash.update(Value::from(key.as_str()).to_string());
                hash.update(":");
                feed(hash, value);
            }
            hash.update(if members.is_empty() { "{}" } else { "}" });
        }
        // A google.protobuf.Struct has no integers.
        Value::Number(number) => {
            let number = number.as_f64().map_or(Value::Null, Value::from);
            hash.update(number.to_string());
        }
        Value::Null | Value::Bool(_) | Value::String(_) => hash.update(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(text: &str) -> String {
        fingerprint(&serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_order_of_keys_and_the_spelling_of_numbers_do_not_matter() {
        let one = of(r#"{"a": 1, "b": {"c": [true, null, "x"], "d": {}}}"#);
        assert_eq!(
            one,
            of(r#"{"b":{"d":{},"c":[true,null,"\u0078"]},"a":1.0}"#)
        );
        assert_eq!(one.len(), 64);
    }

    #[test]
    fn other_contents_have_another_number() {
        let texts = [
            "{}",
            "[]",
            "[[]]",
            "[{}]",
            r#"{"a":[]}"#,
            r#"{"a":{}}"#,
            r#"{"a":["b","c"]}"#,
            r#"{"a":["c","b"]}"#,
            r#"{"a":["b,c"]}"#,
            r#"{"a":["b\",\"c"]}"#,
            r#"{"a":1}"#,
            r#"{"a":"1"}"#,
            r#"{"a":null}"#,
        ];
        let all: std::collections::HashSet<String> = texts.iter().map(|text| of(text)).collect();
        assert_eq!(all.len(), texts.len());
    }

    #[test]
    fn it_is_the_sha256_of_the_canonical_text() {
        let expected = Hash::hash(br#"{"a":1.0,"b":["x"]}"#);
        let expected: String = expected.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(of(r#"{"b": ["x"], "a": 1}"#), expected);
    }

    #[test]
    fn parts_are_the_members_of_sections() {
        let one = json!({"mode": "observe", "roles": {"a": {}, "b": {}}});
        let two = json!({"policies": [one, {"mode": "enforce"}]});
        assert_eq!(
            parts(&one).keys().collect::<Vec<_>>(),
            ["mode", "roles.a", "roles.b"]
        );
        assert_eq!(
            parts(&two).keys().collect::<Vec<_>>(),
            [
                "policies[0].mode",
                "policies[0].roles.a",
                "policies[0].roles.b",
                "policies[1].mode"
            ]
        );
    }
}
