//! Texts that are withheld, and their copies in other places of a message.

use serde_json::{Value, json};

use super::after;

const PROSE: &str = "Acme, SSN 123-45-6789";

fn withholds() -> Value {
    json!([{"tools": ["*"], "redact": ["ssn"]}])
}

fn result(text: &str, more: Value) -> Value {
    let mut result = json!({"content": [{"type": "text", "text": text}]});
    for (key, value) in more.as_object().unwrap() {
        result[key] = value.clone();
    }
    json!({"jsonrpc": "2.0", "id": 1, "result": result})
}

#[test]
fn s13_a_withheld_text_is_withheld_where_it_repeats() {
    for copy in [
        json!({"structuredContent": {"result": PROSE}}),
        json!({"structuredContent": {"result": format!(" {PROSE}\n")}}),
        json!({"structuredContent": {"result": [PROSE, {"note": format!("see: {PROSE}!")}]}}),
        json!({"structuredContent": {"result": json!({"text": PROSE}).to_string()}}),
        json!({"structuredContent": {"by_text": {PROSE: 1}}}),
        json!({"structuredContent": PROSE}),
        json!({"_meta": {"a": {"b": [PROSE]}}}),
        json!({"extra": {"deep": PROSE}}),
        json!({"contents": [{"uri": "x", "blob": "QWNtZSwgU1NOIDEyMy00NS02Nzg5"}]}),
    ] {
        let shown = after(withholds(), result(PROSE, copy.clone())).to_string();
        assert!(
            !shown.contains("123-45-6789") && !shown.contains("QWNtZSwg"),
            "{copy}: {shown}"
        );
    }
}

#[test]
fn s13_lines_and_sentences_of_a_withheld_text_are_withheld_too() {
    let text =
        "Acme, SSN 123-45-6789\n- Globex, SSN 987-65-4321. The second one is not to be called.\n";
    let copies = json!([
        "Acme, SSN 123-45-6789",
        "Globex, SSN 987-65-4321.",
        "The second one is not to be called."
    ]);
    let shown = after(
        withholds(),
        result(text, json!({"structuredContent": {"result": copies}})),
    );
    let shown = shown["result"]["structuredContent"].to_string();
    for hidden in ["123-45", "987-65", "called"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
fn s13_a_short_text_is_withheld_where_it_stands_alone() {
    let answer = result(
        "Yes",
        json!({"structuredContent": {"result": "Yes", "note": "Yesterday", "n": 1}}),
    );
    let shown = after(withholds(), answer);
    let expected = json!({"result": "[withheld]", "note": "Yesterday", "n": 1});
    assert_eq!(shown["result"]["structuredContent"], expected);
}

#[test]
fn s13_a_number_that_was_withheld_as_a_text_is_hidden() {
    let answer = result(
        "123456789",
        json!({"structuredContent": {"result": 123_456_789, "n": 7}}),
    );
    let shown = after(withholds(), answer);
    assert_eq!(
        shown["result"]["structuredContent"],
        json!({"result": 0, "n": 7})
    );
}

#[test]
fn s13_fields_that_a_withheld_text_names_stay() {
    let content = json!({"name": "Acme", "city": "New York", "state": "active", "id": "cust-1"});
    let text = "Acme (cust-1) in New York is active";
    let shown = after(
        withholds(),
        result(text, json!({"structuredContent": content})),
    );
    assert_eq!(shown["result"]["structuredContent"], content);
    assert_eq!(shown["result"]["content"][0]["text"], "[withheld]");
}

#[test]
fn s13_prose_in_the_data_of_a_message_is_withheld_as_its_text_is() {
    let form = json!({"type": "object", "properties": {"account": {
        "type": "string", "title": PROSE, "description": PROSE,
        "oneOf": [{"const": "a", "title": PROSE}], "enumNames": [PROSE],
    }}});
    for message in [
        json!({"method": "notifications/message", "params": {"level": "info", "data": {"msg": PROSE, "extra": null}}}),
        json!({"method": "notifications/message", "params": {"level": "info", "data": {"msg": "SSN:123-45-6789"}}}),
        json!({"method": "notifications/message", "params": {"level": "info", "data": [PROSE]}}),
        json!({"method": "notifications/message", "params": {"level": "info", "data": json!({"msg": PROSE}).to_string()}}),
        json!({"error": {"code": 1, "message": "x", "data": {"detail": PROSE}}}),
        json!({"error": {"code": 1, "message": "x", "data": [{"a": [PROSE]}]}}),
        json!({"error": {"code": 1, "message": "x", "details": {"at": PROSE}}}),
        json!({"result": {"content": [], "_meta": {"a": {"b": {"c": PROSE}}}}}),
        json!({"result": {"content": [{"type": "text", "text": "{}", "_meta": {"a": PROSE}}]}}),
        json!({"result": {"contents": [{"uri": "x", "text": "{}", "_meta": {"a": [PROSE]}}]}}),
        json!({"id": 1, "method": "elicitation/create", "params": {"message": "x", "requestedSchema": form}}),
        json!({"result": {"inputRequests": {"a": {"method": "elicitation/create", "params": {"requestedSchema": form}}}}}),
        json!({"Result": {"Content": [{"type": "text", "Text": PROSE}]}}),
    ] {
        let shown = after(withholds(), message.clone()).to_string();
        assert!(!shown.contains("123-45-6789"), "{message}: {shown}");
    }
}

#[test]
fn s13_names_dates_and_links_in_the_data_of_a_message_stay() {
    for message in [
        json!({"method": "notifications/message", "params": {"level": "info", "data": {"event": "start", "at": "2026-11-25T10:00:00Z", "url": "https://example.com/a?b=c"}}}),
        json!({"error": {"code": -32022, "data": {"supported": ["2025-11-25"], "requested": "1"}}}),
        json!({"result": {"content": [], "_meta": {"progressToken": "a-1", "example.com/trace": {"id": "00-ab-01"}}}}),
        json!({"result": {"content": [{"type": "text", "text": "{}", "annotations": {"audience": ["user"], "lastModified": "2025-01-12T15:00:58Z"}}]}}),
    ] {
        assert_eq!(after(withholds(), message.clone()), message);
    }
    // With `text: keep` prose stays.
    let keeps = json!([{"tools": ["*"], "redact": ["ssn"], "text": "keep"}]);
    let message =
        json!({"error": {"code": 1, "message": "two words", "data": {"detail": "two words"}}});
    assert_eq!(after(keeps, message.clone()), message);
}

#[test]
fn s16_a_text_stays_withheld_whatever_else_changes_it() {
    let detects = json!([
        {"tools": ["*"], "redact": ["ssn"], "detect": ["email", "secret"]},
        {"tools": ["*"], "detect": ["email"], "with": "last4"},
    ]);
    let reversed = json!([detects[1], detects[0]]);
    let text = "ann@acme.example has SSN 123-45-6789";
    for rules in [detects, reversed] {
        for message in [
            json!({"extra": 1, "result": {"content": [{"type": "text", "text": text}]}}),
            json!({"result": {"content": [{"type": "text", "text": text}], "content2": [text]}, "id": 1, "x": {}}),
            json!({"Result": {"content": [{"type": "text", "text": text}]}, "result": {}}),
            json!({"error": {"message": text, "data": {"detail": text}}, "x": 1}),
            json!({"extra": 1, "result": {"contents": [{"uri": "x", "text": text}]}}),
            json!({"extra": 1, "params": {"message": text}}),
        ] {
            let shown = after(rules.clone(), message.clone());
            let shown = shown.to_string();
            let is_beside = message["result"]["content2"].is_array();
            assert!(!shown.contains("123-45"), "{is_beside} {message}: {shown}");
        }
    }
}
