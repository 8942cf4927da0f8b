//! From JSON to the policy's document, with an author's words for what is wrong in it.

use serde_json::Value;

use super::document::Document;
use super::error::PolicyError;
use base::json::Reader;

const MAX_DEPTH: usize = 64;

/// Where keys are expected. Serde would also take a list, for its elements in order.
const MAPPINGS: &[&[&str]] = &[
    &[],
    &["arguments", "*", "owner"],
    &["audit"],
    &["connections", "*"],
    &["connections", "*", "account"],
    &["connections", "*", "discover"],
    &["connections", "*", "discover", "resource"],
    &["connections", "*", "revoke"],
    &["connections", "*", "token"],
    &["headers"],
    &["issuers", "*"],
    &["issuers", "*", "identity"],
    &["issuers", "*", "introspection"],
    &["issuers", "*", "jwks"],
    &["issuers", "*", "sign_in"],
    &["issuers", "*", "sign_in", "token"],
    &["local"],
    &["metadata"],
    &["pins"],
    &["prompts", "*"],
    &["prompts", "*", "arguments", "*", "owner"],
    &["resources", "*"],
    &["resources", "*", "owner"],
    &["roles", "*"],
    &["roles", "*", "view_as"],
    &["tools", "*"],
    &["tools", "*", "arguments", "*", "owner"],
    &["upstream"],
    &["vault"],
    &["view_as"],
    &["view_as", "users", "*"],
];

/// A configuration as strict JSON.
pub(super) fn strict(json: &[u8]) -> Result<Value, Vec<PolicyError>> {
    let mut reader = Reader::new(json, MAX_DEPTH);
    // Of a key that stands there twice, serde would take the last.
    reader
        .skip()
        .and_then(|_| reader.end())
        .map_err(|error| whole(format!("not strict JSON: {error}")))?;
    serde_json::from_slice(json).map_err(|error| whole(format!("not JSON: {error}")))
}

/// The document of one policy.
pub(super) fn document(document: Value) -> Result<Document, Vec<PolicyError>> {
    let mut errors = Vec::new();
    for way in MAPPINGS {
        refuse_list(&document, "", way, &mut errors);
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    serde_path_to_error::deserialize(document).map_err(|error| vec![PolicyError::of_form(&error)])
}

fn whole(message: String) -> Vec<PolicyError> {
    vec![PolicyError::new("", message)]
}

fn refuse_list(value: &Value, path: &str, way: &[&str], errors: &mut Vec<PolicyError>) {
    match (way.split_first(), value) {
        (None, Value::Array(_)) => {
            errors.push(PolicyError::new(path, "found a list, expected a mapping"));
        }
        (Some((&"*", rest)), Value::Array(values)) => {
            for (index, value) in values.iter().enumerate() {
                refuse_list(value, &format!("{path}[{index}]"), rest, errors);
            }
        }
        (Some((&"*", rest)), Value::Object(members)) => {
            for (key, value) in members {
                refuse_list(value, &format!("{path}.{key}"), rest, errors);
            }
        }
        (Some((key, rest)), Value::Object(members)) => {
            let dot = if path.is_empty() { "" } else { "." };
            if let Some(value) = members.get(*key) {
                refuse_list(value, &format!("{path}{dot}{key}"), rest, errors);
            }
        }
        _ => {}
    }
}
