//! Random schemas, looked through in another way.

use proptest::prelude::*;

use super::*;

/// ErrorTextNames with no rule; names that are hidden wherever they stand.
const FREE: [&str; 6] = ["q", "id", "properties", "required", "tenant_id", "enum"];
const RULED: [&str; 5] = ["role", "Role", "as_user", "asUser", "filter.role"];

fn name(ruled: bool) -> impl Strategy<Value = String> {
    let ruled_names = if ruled { &RULED[..] } else { &FREE[..1] };
    let names: Vec<&str> = FREE.iter().chain(ruled_names).copied().collect();
    prop::sample::select(names).prop_map(str::to_owned)
}

fn value(ruled: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        Just(json!(1.5)),
        name(ruled).prop_map(Value::from)
    ];
    leaf.prop_recursive(2, 8, 3, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map(name(ruled), inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn schema(ruled: bool) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        Just(json!({"type": "string"})),
        Just(json!({"$ref": "#"})),
        Just(json!({"$ref": "#/$defs/A"})),
        Just(json!({"$ref": "#/oneOf/0"})),
        name(ruled).prop_map(|name| json!({"$ref": format!("#/properties/{name}")})),
        prop::collection::vec(name(ruled), 0..3).prop_map(|names| json!({"required": names})),
        (name(ruled), prop::collection::vec(name(ruled), 0..3)).prop_map(
            |(name, names)| json!({"dependentRequired": {name: names}, "minProperties": 1})
        ),
        prop::collection::vec(value(ruled), 0..3).prop_map(
            |values| json!({"enum": values, "examples": values, "default": values.first()})
        ),
    ];
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let map = prop::collection::hash_map(name(ruled), inner.clone(), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()));
        let list = prop::collection::vec(inner.clone(), 1..3).prop_map(Value::from);
        let maps = prop::sample::select(vec![
            "properties",
            "dependentSchemas",
            "$defs",
            "patternProperties",
        ]);
        let lists = prop::sample::select(vec!["allOf", "anyOf", "oneOf", "prefixItems"]);
        let ones = prop::sample::select(vec![
            "items",
            "not",
            "if",
            "then",
            "else",
            "additionalProperties",
            "contains",
        ]);
        let keyword = prop_oneof![
            (maps, map).prop_map(|(keyword, value)| (keyword, value)),
            (lists, list).prop_map(|(keyword, value)| (keyword, value)),
            (ones, inner).prop_map(|(keyword, value)| (keyword, value)),
        ];
        prop::collection::vec(keyword, 1..4).prop_map(|keywords| {
            let keywords = keywords.into_iter();
            Value::Object(
                keywords
                    .map(|(keyword, value)| (keyword.to_owned(), value))
                    .collect(),
            )
        })
    })
}

/// Every name in a property position of a schema.
fn property_names(schema: &Value, found: &mut Vec<String>) {
    let Some(members) = schema.as_object() else {
        return;
    };
    for (keyword, value) in members {
        match keyword.as_str() {
            "properties" | "dependentSchemas" | "dependentRequired" => {
                found.extend(
                    value
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(key, _)| key.clone()),
                );
            }
            "required" => found.extend(strings(value)),
            _ => {}
        }
        match keyword.as_str() {
            "properties" | "dependentSchemas" | "$defs" | "patternProperties" => {
                for inner in value.as_object().into_iter().flatten() {
                    property_names(inner.1, found);
                }
            }
            "dependentRequired" => {
                for inner in value.as_object().into_iter().flatten() {
                    found.extend(strings(inner.1));
                }
            }
            "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                for inner in value.as_array().into_iter().flatten() {
                    property_names(inner, found);
                }
            }
            "items" | "not" | "if" | "then" | "else" | "additionalProperties" | "contains" => {
                property_names(value, found);
            }
            "enum" | "examples" | "default" => keys(value, found),
            _ => {}
        }
    }
}

fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| keys(element, found)),
        Value::Object(members) => {
            for (key, value) in members {
                found.push(key.clone());
                keys(value, found);
            }
        }
        _ => {}
    }
}

fn strings(value: &Value) -> impl Iterator<Item = String> {
    let strings = value.as_array().into_iter().flatten();
    strings.filter_map(|string| string.as_str().map(str::to_owned))
}

/// References within the schema that lead nowhere.
fn lost(schema: &Value, value: &Value, found: &mut Vec<String>) {
    if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
        let pointer = reference.trim_start_matches('#');
        found.extend(
            schema
                .pointer(pointer)
                .is_none()
                .then(|| reference.to_owned()),
        );
    }
    match value {
        Value::Array(elements) => elements.iter().for_each(|each| lost(schema, each, found)),
        Value::Object(members) => members.values().for_each(|each| lost(schema, each, found)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn b28_no_hidden_name_is_left(schema in schema(true)) {
        let shown: Value = serde_json::from_str(&shown(&schema.to_string())).unwrap();
        let mut found = Vec::new();
        property_names(&shown, &mut found);
        let left: Vec<_> = found.iter().filter(|name| RULED.contains(&name.as_str())).collect();
        prop_assert!(left.is_empty(), "{left:?} in {shown}");
    }

    #[test]
    fn no_reference_is_lost(schema in schema(true)) {
        let shown: Value = serde_json::from_str(&shown(&schema.to_string())).unwrap();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        lost(&schema, &schema, &mut before);
        lost(&shown, &shown, &mut after);
        after.retain(|reference| !before.contains(reference));
        prop_assert!(after.is_empty(), "{after:?} in {shown}");
    }

    #[test]
    fn without_a_hidden_name_no_byte_changes(schema in schema(false)) {
        let pretty = serde_json::to_string_pretty(&schema).unwrap();
        prop_assert_eq!(shown(&pretty), pretty);
    }
}
