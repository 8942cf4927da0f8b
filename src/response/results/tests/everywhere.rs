//! Every place a value can be in (threats B33): what is hidden in one is hidden in all.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{after, judged};

const SECRET: &str = "123-45-6789";

fn hides() -> Value {
    json!([{"tools": ["*"], "redact": ["ssn"], "text": "keep"}])
}

/// A message with the secret in a field, and once more in other words.
fn with(place: Value) -> Value {
    let mut result = json!({"structuredContent": {"ssn": SECRET}});
    for (key, value) in place.as_object().unwrap() {
        result[key] = value.clone();
    }
    json!({"jsonrpc": "2.0", "id": 1, "result": result})
}

fn inner() -> String {
    json!({"a": [{"ssn": SECRET, "x": 1}]}).to_string()
}

#[test]
fn b33_a_value_is_hidden_wherever_it_stands() {
    let base64 = |text: &str| BASE64_STANDARD.encode(text);
    let quoted = json!({"again": inner()}).to_string();
    for place in [
        json!({"content": [{"type": "text", "text": inner()}]}),
        json!({"content": [{"type": "text", "text": quoted}]}),
        json!({"content": [{"type": "text", "text": format!("The number is {SECRET}.")}]}),
        json!({"content": [{"type": "resource", "resource": {"uri": "x", "text": inner()}}]}),
        json!({"content": [{"type": "resource", "resource": {"uri": "x", "blob": base64(&inner())}}]}),
        json!({"content": [{"type": "resource", "resource": {"uri": "x", "blob": base64(SECRET)}}]}),
        json!({"content": [{"type": "resource_link", "uri": "x", "name": "n", "title": format!("T {SECRET}"), "description": SECRET}]}),
        json!({"content": [{"type": "text", "text": "x", "_meta": {"SSN": SECRET}}]}),
        json!({"contents": [{"uri": "x", "text": inner()}, {"uri": "y", "text": SECRET}]}),
        json!({"messages": [{"role": "user", "content": {"type": "text", "text": format!("about {SECRET}")}}]}),
        json!({"completion": {"values": ["a", SECRET]}}),
        json!({"description": SECRET}),
        json!({"result": {"structuredContent": {"ssn": SECRET}, "content": [{"type": "text", "text": inner()}]}}),
        json!({"inputRequests": {"a": {"method": "elicitation/create", "params": {"message": format!("Is it {SECRET}?")}}}}),
        json!({"_meta": {"trace": {"ssn": SECRET}}, "isError": true, "content": [{"type": "text", "text": format!("no {SECRET}")}]}),
        json!({"extra": {"deep": [{"ssn": SECRET}], "also": SECRET}}),
    ] {
        let after = after(hides(), with(place.clone())).to_string();
        assert!(!after.contains(SECRET), "{place}: {after}");
        assert!(
            !after.contains(&base64(SECRET)) && !after.contains(&base64(&inner())),
            "{after}"
        );
    }
}

#[test]
fn b33_errors_and_notifications_are_looked_at_too() {
    for message in [
        json!({"error": {"code": 1, "message": format!("bad {SECRET}"), "data": {"ssn": SECRET}}}),
        json!({"method": "notifications/message", "params": {"level": "info", "data": {"ssn": SECRET, "text": SECRET}}}),
        json!({"method": "notifications/progress", "params": {"progress": 1, "message": inner()}}),
        json!({"id": 1, "method": "sampling/createMessage", "params": {"messages": [{"role": "user", "content": [{"type": "text", "text": inner()}]}], "systemPrompt": inner()}}),
        json!({"method": "notifications/tasks", "params": {"taskId": "t", "result": {"structuredContent": {"ssn": SECRET}}}}),
    ] {
        let after = after(hides(), message.clone()).to_string();
        assert!(!after.contains(SECRET), "{message}: {after}");
    }
}

#[test]
fn a_text_without_fields_is_withheld_unless_the_rule_says_otherwise() {
    let message = json!({"result": {"content": [{"type": "text", "text": "Ann lives here"}, {"type": "text", "text": ""}]}});
    let strict = json!([{"tools": ["*"], "redact": ["ssn"]}]);
    let after_strict = after(strict, message.clone());
    assert_eq!(after_strict["result"]["content"][0]["text"], "[withheld]");
    assert_eq!(after(hides(), message.clone()), message);
    let detects = json!([{"tools": ["*"], "detect": ["email", "card", "secret"]}]);
    let mail = json!({"result": {"content": [{"type": "text", "text": "write to ann@acme.example, please"}], "structuredContent": {"to": "ann@acme.example"}}});
    let after_detects = after(detects, mail);
    assert_eq!(
        after_detects["result"]["content"][0]["text"],
        "write to ***, please"
    );
    assert_eq!(after_detects["result"]["structuredContent"]["to"], "***");
}

#[test]
fn b33_what_was_taken_out_is_not_told_either() {
    let rules =
        json!([{"tools": ["*"], "owner": {"field": "org", "is": "organization"}, "text": "keep"}]);
    let message = json!({"result": {
        "structuredContent": [{"org": "acme", "name": "Ours"}, {"org": "globex", "name": "Umbrella Foods"}],
        "content": [{"type": "text", "text": "Found Ours and Umbrella Foods"}],
    }});
    let after = after(rules, message);
    assert_eq!(after["result"]["content"][0]["text"], "Found Ours and ***");
}

/// Values whose keys may be the hidden one, with a secret in some of them.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (0..1000_i64).prop_map(Value::from),
        "[a-z ]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let key = prop_oneof![
            Just("ssn".to_owned()),
            Just("S_S-N".to_owned()),
            "[a-z]{1,3}"
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..4).prop_map(|members| json!(members)),
        ]
    })
}

/// Puts the secret into every hidden field, in one of several encodings of the whole.
fn planted(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let plant = |(key, value): (&String, &Value)| {
                let hidden = key == "ssn" || key == "S_S-N";
                let value = if hidden {
                    json!([SECRET, planted(value)])
                } else {
                    planted(value)
                };
                (key.clone(), value)
            };
            Value::Object(members.iter().map(plant).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(planted).collect()),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn b33_no_planted_secret_survives(value in values(), times in 0..3_usize, blob in any::<bool>()) {
        let value = planted(&value);
        let mut text = value.to_string();
        for _ in 0..times {
            text = json!({"in": text}).to_string();
        }
        let encoded = BASE64_STANDARD.encode(&text);
        let block = if blob {
            json!({"type": "resource", "resource": {"uri": "x", "blob": encoded}})
        } else {
            json!({"type": "text", "text": text})
        };
        let message = json!({"result": {"structuredContent": value, "content": [block]}});
        let judged = judged(hides(), &message).unwrap();
        let after = judged.body.map_or(message, |body| serde_json::from_slice(&body).unwrap());
        prop_assert!(!after.to_string().contains(SECRET), "{after}");
        if blob {
            let blob = after["result"]["content"][0]["resource"]["blob"].as_str().unwrap();
            let text = String::from_utf8(BASE64_STANDARD.decode(blob).unwrap()).unwrap();
            prop_assert!(!text.contains(SECRET), "{text}");
        }
    }

    #[test]
    fn b34_nothing_is_changed_where_nothing_is_hidden(value in values()) {
        let rules = json!([{"tools": ["*"], "redact": ["password"], "text": "keep"}]);
        let message = json!({"result": {"structuredContent": value, "content": [{"type": "text", "text": value.to_string()}]}});
        prop_assert_eq!(judged(rules, &message).unwrap().body, None);
    }
}
