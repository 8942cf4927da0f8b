//! The reference of the policy, `docs/policy.md`, is complete.

use serde_json::Value;

use crate::{Files, ROOT};

#[test]
fn the_reference_names_every_key_and_value_of_the_schema() {
    let reference = std::fs::read_to_string(format!("{ROOT}/docs/policy.md")).unwrap();
    // The parts between backticks, code blocks included.
    let code: Vec<&str> = reference.split('`').skip(1).step_by(2).collect();
    let separates = |c: char| !(c.is_alphanumeric() || "_+".contains(c));
    let words: Vec<&str> = code.iter().flat_map(|part| part.split(separates)).collect();
    let schema = Files::new("reference").run(&["schema"]).json();
    let names = names(&schema);
    assert!(names.len() > 100, "{names:?}");
    let missing: Vec<_> = names.iter().filter(|name| !words.contains(name)).collect();
    assert!(missing.is_empty(), "not in docs/policy.md: {missing:?}");
}

/// The keys, and the values that are words, of all definitions.
fn names(schema: &Value) -> Vec<&str> {
    let definitions = schema["$defs"].as_object().unwrap().values();
    let variants = definitions
        .clone()
        .flat_map(|each| each["oneOf"].as_array())
        .flatten();
    let mut names = Vec::new();
    for part in definitions.chain(variants) {
        names.extend(
            part["properties"]
                .as_object()
                .into_iter()
                .flat_map(|keys| keys.keys())
                .map(String::as_str),
        );
        names.extend(part["const"].as_str());
    }
    names
}
