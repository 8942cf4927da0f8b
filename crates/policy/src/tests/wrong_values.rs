//! Wrong values at every place of the JSON Schema. A list is nowhere read as a mapping.

use super::*;

/// A step to a place of a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Key(String),
    Item,
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../docs/policy.schema.json")).unwrap()
}

/// A place of a policy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct MappingPlace {
    way: Vec<Way>,
    kind: PlaceKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum PlaceKind {
    /// A mapping with keys of its own.
    Mapping,
    /// A mapping whose keys are names of the author's.
    Names,
    /// Any other value.
    Other,
}

/// Every place of the schema of a policy.
fn places() -> Vec<MappingPlace> {
    let schema = schema();
    let mut found = Vec::new();
    add_places(&schema, &schema["$defs"]["Policy"], &[], &mut found);
    found.sort();
    found.dedup();
    found
}

fn mappings() -> Vec<Vec<Way>> {
    let mappings = places();
    let mappings = mappings
        .into_iter()
        .filter(|place| place.kind == PlaceKind::Mapping);
    mappings.map(|place| place.way).collect()
}

fn add_places(schema: &Value, place: &Value, way: &[Way], found: &mut Vec<MappingPlace>) {
    let further = |step| {
        let mut further = way.to_vec();
        further.push(step);
        further
    };
    if let Some(reference) = place["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return add_places(schema, &schema["$defs"][name], way, found);
    }
    for branches in [&place["anyOf"], &place["oneOf"]] {
        for branch in branches.as_array().into_iter().flatten() {
            let before = found.len();
            add_places(schema, branch, way, found);
            if takes_list(schema, place) {
                // A list has a meaning of its own here.
                let mut own = found[before..].iter_mut().filter(|each| each.way == way);
                own.by_ref().for_each(|each| each.kind = PlaceKind::Other);
            }
        }
    }
    let names = &place["additionalProperties"];
    let kind = match place["properties"].is_object() {
        true => Some(PlaceKind::Mapping),
        false if names.is_object() => Some(PlaceKind::Names),
        // What has no type takes any value.
        false => place.get("type").map(|_| PlaceKind::Other),
    };
    found.extend(kind.map(|kind| MappingPlace {
        way: way.to_vec(),
        kind,
    }));
    for (key, value) in place["properties"].as_object().into_iter().flatten() {
        add_places(schema, value, &further(Way::Key(key.clone())), found);
    }
    if names.is_object() {
        add_places(schema, names, &further(Way::Key("name".to_owned())), found);
    }
    if place["items"].is_object() {
        add_places(schema, &place["items"], &further(Way::Item), found);
    }
}

/// Whether a place takes a list, or a mapping in its place.
fn takes_list(schema: &Value, place: &Value) -> bool {
    if let Some(reference) = place["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap();
        return takes_list(schema, &schema["$defs"][name]);
    }
    let branches = place["anyOf"].as_array().into_iter().flatten();
    place["type"] == "array"
        || branches
            .into_iter()
            .any(|branch| takes_list(schema, branch))
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
    assert!(places.len() > 40, "{places:?}");
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
fn a_wrong_value_at_any_place_of_the_schema_does_not_hide_other_mistakes() {
    let places = places();
    assert!(places.len() > 200, "{}", places.len());
    for MappingPlace { way, kind } in places {
        let mut policy = edited(short(), "/roles", json!({"a": {"extends": ["nobody"]}}));
        policy["zzz"] = json!(1);
        // Nothing that has a type takes this.
        let path = placed(&mut policy, &way, json!([[[]]]));
        let found = errors(&policy.to_string());
        let has = |start: &str| found.iter().any(|error| error.starts_with(start));
        if path.is_empty() {
            assert_eq!(found, ["found a list, expected a mapping"]);
            continue;
        }
        assert!(has(&path), "{path}\n{found:#?}");
        assert!(has("zzz: unknown key `zzz`"), "{path}\n{found:#?}");
        // Other sections may refer to the names.
        if kind != PlaceKind::Names && path != "roles" && !path.starts_with("roles.") {
            assert!(has("roles.a.extends[0]: unknown"), "{path}\n{found:#?}");
        }
    }
}
