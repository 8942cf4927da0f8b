//! A list is nowhere read as a mapping. The places of mappings are those of the JSON Schema.

use super::*;

/// A step to a place of a policy.
#[derive(Debug, Clone)]
enum Way {
    Key(String),
    Item,
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/policy.schema.json")).unwrap()
}

/// Where the schema of a policy has a mapping with keys of its own.
fn mappings() -> Vec<Vec<Way>> {
    let schema = schema();
    let mut found = Vec::new();
    add_mappings(&schema, &schema["$defs"]["Policy"], &[], &mut found);
    found
}

fn add_mappings(schema: &Value, place: &Value, way: &[Way], found: &mut Vec<Vec<Way>>) {
    let further = |step| {
        let mut further = way.to_vec();
        further.push(step);
        further
    };
    if let Some(reference) = place["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        add_mappings(schema, &schema["$defs"][name], way, found);
    }
    for branches in [&place["anyOf"], &place["oneOf"]] {
        for branch in branches.as_array().into_iter().flatten() {
            add_mappings(schema, branch, way, found);
        }
    }
    if let Some(keys) = place["properties"].as_object() {
        found.push(way.to_vec());
        for (key, value) in keys {
            add_mappings(schema, value, &further(Way::Key(key.clone())), found);
        }
    }
    if place["additionalProperties"].is_object() {
        let of_name = further(Way::Key("name".to_owned()));
        add_mappings(schema, &place["additionalProperties"], &of_name, found);
    }
    if place["items"].is_object() {
        add_mappings(schema, &place["items"], &further(Way::Item), found);
    }
}

/// The policy with a value at this place. What is around it is made as far as needed.
fn placed(policy: &mut Value, way: &[Way], value: Value) -> String {
    let mut path = String::new();
    let mut at = policy;
    for step in way {
        at = match step {
            Way::Key(key) => {
                let dot = if path.is_empty() { "" } else { "." };
                path.push_str(&format!("{dot}{key}"));
                if !at.is_object() {
                    *at = json!({});
                }
                &mut at[key]
            }
            Way::Item => {
                path.push_str("[0]");
                if !at.is_array() {
                    *at = json!([null]);
                }
                &mut at[0]
            }
        };
    }
    *at = value;
    path
}

#[test]
fn b08_a_list_is_not_read_as_a_mapping_at_any_place_of_the_schema() {
    let places = mappings();
    assert!(places.len() > 45, "{places:?}");
    for way in places {
        for list in [
            json!([]),
            json!([{}]),
            json!(["KEY"]),
            json!([true, 1, null]),
        ] {
            let mut policy = short();
            let path = placed(&mut policy, &way, list);
            let found = errors(&policy.to_string());
            let colon = if path.is_empty() { "" } else { ": " };
            let refused = format!("{path}{colon}found a list, expected ");
            assert!(
                found.iter().any(|error| error.starts_with(&refused)),
                "{refused}\n{found:#?}"
            );
        }
    }
}

#[test]
fn a_list_in_place_of_a_mapping_does_not_hide_other_mistakes() {
    for way in mappings() {
        let mut policy = edited(short(), "/roles", json!({"a": {"extends": ["nobody"]}}));
        policy["zzz"] = json!(1);
        let path = placed(&mut policy, &way, json!(["KEY"]));
        let found = errors(&policy.to_string());
        let has = |start: &str| found.iter().any(|error| error.starts_with(start));
        if path.is_empty() {
            assert_eq!(found, ["found a list, expected a mapping"]);
        } else {
            assert!(has("zzz: unknown key `zzz`"), "{path}\n{found:#?}");
            assert!(
                has("roles.a.extends[0]: unknown role"),
                "{path}\n{found:#?}"
            );
        }
    }
}
