//! Results with schemas that they fit closely: they fit what is shown after the rules, too.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{Node, ResultRule, after, policy};
use crate::response::changes::Changes;
use crate::response::results::judge;
use crate::response::results::places::AnswerTo;
use oauth::Identity;

/// Choices for a schema, used one after the other.
struct Choices(Vec<u8>, usize);

impl Choices {
    fn below(&mut self, most: usize) -> usize {
        self.1 += 1;
        usize::from(self.0[self.1 % self.0.len()]) % most
    }

    fn one_in(&mut self, number: usize) -> bool {
        self.below(number) == 0
    }
}

fn key() -> impl Strategy<Value = String> {
    const KEYS: [&str; 9] = [
        "org",
        "ssn",
        "card",
        "number",
        "total",
        "name",
        "note",
        "items",
        "dana@acme.example",
    ];
    prop::sample::select(&KEYS[..]).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = Value> {
    const TEXTS: [&str; 16] = [
        "mine",
        "theirs",
        "active",
        "inactive",
        "2026",
        "2026-01-01",
        "12345",
        "",
        "ab",
        "dana@acme.example",
        "to dana@acme.example",
        "4111111111111111",
        "{\"ssn\":\"12345\"}",
        "[{\"org\":\"theirs\"}]",
        "{a",
        "/*",
    ];
    const NUMBERS: [f64; 8] = [
        0.0,
        1.0,
        7.0,
        12345.0,
        1.5,
        -3.0,
        2026.0,
        4_111_111_111_111_111.0,
    ];
    let number = |number: f64| {
        if number.fract() == 0.0 {
            json!(number as i64)
        } else {
            json!(number)
        }
    };
    let leaf = prop_oneof![
        4 => prop::sample::select(&TEXTS[..]).prop_map(Value::from),
        2 => prop::sample::select(&NUMBERS[..]).prop_map(number),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let object = prop::collection::hash_map(key(), inner.clone(), 0..5);
        let object = object.prop_map(|members| Value::Object(members.into_iter().collect()));
        let object = object.boxed();
        let owned = prop::sample::select(&["mine", "theirs"][..]);
        let owned = (owned, object.clone()).prop_map(|(org, mut object)| {
            object["org"] = json!(org);
            object
        });
        prop_oneof![
            object,
            prop::collection::vec(inner, 0..4).prop_map(Value::from),
            prop::collection::vec(owned, 0..4).prop_map(Value::from),
        ]
    })
}

/// A schema that the value fits, and hardly any other one.
fn describing(value: &Value, choices: &mut Choices) -> Value {
    let mut schema = Map::new();
    let mut say = |keyword: &str, value: Value, often: bool| {
        if often {
            schema.insert(keyword.to_owned(), value);
        }
    };
    match value {
        Value::Null => say("type", json!("null"), true),
        Value::Bool(_) => say("type", json!("boolean"), true),
        Value::Number(number) => {
            say(
                "type",
                json!(if number.is_i64() { "integer" } else { "number" }),
                choices.one_in(2),
            );
            say("minimum", value.clone(), choices.one_in(2));
            say("maximum", value.clone(), choices.one_in(2));
            let exact = number.as_f64().unwrap();
            say("exclusiveMinimum", json!(exact - 1.0), choices.one_in(2));
            say("exclusiveMaximum", json!(exact + 1.0), choices.one_in(2));
            say(
                "multipleOf",
                json!(exact.abs()),
                exact != 0.0 && choices.one_in(2),
            );
        }
        Value::String(text) => {
            say("type", json!("string"), choices.one_in(2));
            let length = text.chars().count();
            say("minLength", json!(length), choices.one_in(2));
            say("maxLength", json!(length), choices.one_in(2));
            let exactly = format!("^{}$", regex_lite::escape(text));
            say("pattern", json!(exactly), choices.one_in(2));
        }
        Value::Array(items) => {
            say("type", json!("array"), choices.one_in(2));
            say("minItems", json!(items.len()), choices.one_in(2));
            say("maxItems", json!(items.len()), choices.one_in(2));
            let differ = items
                .iter()
                .enumerate()
                .all(|(at, item)| !items[..at].contains(item));
            say("uniqueItems", json!(true), differ && choices.one_in(2));
            let each: Vec<Value> = items.iter().map(|item| describing(item, choices)).collect();
            if !each.is_empty() && choices.one_in(2) {
                say("prefixItems", json!(each), true);
                let rest = ["items", "unevaluatedItems"][choices.below(2)];
                say(rest, json!(false), choices.one_in(2));
            } else {
                say("items", json!({"anyOf": each}), !each.is_empty());
            }
            if let Some(first) = items.first() {
                say("contains", describing(first, choices), choices.one_in(2));
                let same = items.iter().filter(|item| *item == first).count();
                say("minContains", json!(same), choices.one_in(4));
            }
        }
        Value::Object(members) => {
            say("type", json!("object"), choices.one_in(2));
            let names: Vec<&String> = members.keys().collect();
            say("required", json!(names), choices.one_in(2));
            say("minProperties", json!(names.len()), choices.one_in(2));
            say("maxProperties", json!(names.len()), choices.one_in(2));
            say(
                "propertyNames",
                json!({"enum": names}),
                !names.is_empty() && choices.one_in(3),
            );
            let depends: Map<String, Value> = names
                .iter()
                .map(|name| ((*name).clone(), json!(names)))
                .collect();
            say(
                "dependentRequired",
                Value::Object(depends),
                choices.one_in(3),
            );
            let described = members.iter();
            let described =
                described.map(|(name, value)| (name.clone(), describing(value, choices)));
            let described: Map<String, Value> = described.collect();
            match choices.below(4) {
                0 => {
                    let patterns = described.into_iter();
                    let patterns: Map<String, Value> = patterns
                        .map(|(name, schema)| (format!("^{}$", regex_lite::escape(&name)), schema))
                        .collect();
                    say("patternProperties", Value::Object(patterns), true);
                }
                1 if !described.is_empty() => {
                    let each: Vec<Value> = described.into_values().collect();
                    say("additionalProperties", json!({"anyOf": each}), true);
                }
                _ => say("properties", Value::Object(described), true),
            }
            let closed = ["additionalProperties", "unevaluatedProperties"][choices.below(2)];
            if !schema.contains_key("additionalProperties") && choices.one_in(2) {
                schema.insert(closed.to_owned(), json!(false));
            }
        }
    }
    if choices.one_in(4) {
        schema.insert("const".to_owned(), value.clone());
    }
    if choices.one_in(4) {
        schema.insert("enum".to_owned(), json!([value, "other", 77]));
    }
    Value::Object(schema)
}

/// A schema for a value, with keywords that decide by other values.
fn schema(value: &Value, others: &[Value], choices: &mut Choices) -> Value {
    let mut schema = describing(value, choices);
    for (number, other) in others.iter().enumerate() {
        let described = describing(other, choices);
        match choices.below(7) {
            0 => schema = json!({"oneOf": [schema, described]}),
            1 => schema = json!({"anyOf": [described, schema]}),
            2 => schema["not"] = described,
            3 => schema = json!({"if": described, "then": false, "else": schema}),
            4 => schema = json!({"allOf": [schema], "unevaluatedProperties": false}),
            5 => {
                let mut described = described;
                schema["$anchor"] = json!(format!("v{number}"));
                described["$anchor"] = json!(format!("w{number}"));
                schema = json!({
                    "$defs": {"V": schema, "W": described},
                    "allOf": [{"$ref": format!("#v{number}")}],
                    "not": {"$ref": format!("#w{number}")},
                });
            }
            _ => schema = json!({"oneOf": [{"allOf": [schema], "not": described}, false]}),
        }
    }
    schema
}

fn rule() -> impl Strategy<Value = Value> {
    let redact = prop::sample::subsequence(vec!["ssn", "card.number", "card.*", "name"], 0..3);
    let detect = prop::sample::subsequence(vec!["email", "card", "secret"], 0..3);
    let with = prop::sample::select(&["mask", "remove", "hash", "last4"][..]);
    let owner = prop_oneof![
        Just(Value::Null),
        Just(json!({"field": "org", "is": "organization", "missing": "keep", "totals": ["total"]})),
        Just(json!({"field": "org", "is": "organization", "missing": "drop"})),
        Just(
            json!({"field": "org", "is": "organization", "otherwise": "refuse", "missing": "keep"})
        ),
    ];
    (redact, detect, with, owner)
        .prop_map(|(redact, detect, with, owner)| {
            let mut rule = json!({"redact": redact, "detect": detect, "with": with});
            if !owner.is_null() {
                rule["owner"] = owner;
            }
            rule
        })
        .prop_filter("does something", |rule| {
            rule.get("owner").is_some()
                || rule["redact"] != json!([])
                || rule["detect"] != json!([])
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, max_global_rejects: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn b34_a_result_that_fits_the_servers_schema_fits_the_shown_one(
        value in value(),
        others in prop::collection::vec(value(), 0..3),
        choices in prop::collection::vec(any::<u8>(), 64),
        rule in rule(),
    ) {
        let schema = schema(&value, &others, &mut Choices(choices, 0));
        let described = jsonschema::draft202012::new(&schema).unwrap();
        prop_assume!(described.is_valid(&value));
        let caller = Identity { organization: Some("mine".to_owned()), ..Identity::anonymous().clone() };
        // A key that repeats a hidden value is hidden, whatever the schema says of it.
        let hides = rule["redact"] != json!([]) || rule.get("owner").is_some();
        prop_assume!(!hides || !value.to_string().contains("example\":"));
        let policy = policy(rule);
        let rules: Vec<&ResultRule> = policy.results.iter().collect();
        let body = json!({"id": 1, "result": {"structuredContent": value}}).to_string();
        let message = Node::read(body.as_bytes(), 64).unwrap();
        let mut changes = Changes::default();
        let judged = judge(&rules, &caller, Some("key"), &message, AnswerTo::Call, 64, &mut changes);
        prop_assume!(judged.is_ok());
        judged.unwrap();
        let judged = changes.apply(body.as_bytes());
        let judged = judged.map_or(body, |body| String::from_utf8(body).unwrap());
        let received: Value = serde_json::from_str(&judged).unwrap();
        let received = &received["result"]["structuredContent"];
        let written = schema.to_string();
        let shown = after(&rules, written.as_bytes());
        let shown = shown.map_or(schema.clone(), |shown| serde_json::from_slice(&shown).unwrap());
        let fits = jsonschema::draft202012::new(&shown).unwrap().validate(received);
        prop_assert!(fits.is_ok(), "{:?}\n{value}\n-> {received}\n{schema}\n-> {shown}", fits.err().map(|e| e.to_string()));
    }
}
