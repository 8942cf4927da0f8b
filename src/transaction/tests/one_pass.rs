//! Answers that several concerns change at once.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, modern_call, policy, send};
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

/// A policy that hides fields, and the names of tools.
fn judging() -> Rc<Policy> {
    policy(json!({
        "seal": {"key_env": "KEY", "lifetime": "1h"},
        "results": [
            {"tools": ["crm.*"], "redact": ["ssn"], "with": "remove", "text": "keep"},
            {"tools": ["crm.*"], "detect": ["email"], "text": "keep"},
        ],
    }))
}

fn client_json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.client_body()).unwrap()
}

#[test]
fn b33_a_result_an_error_text_and_a_request_state_change_at_once() {
    let inner = json!({"ssn": "078-05-1120", "hint": "crm.purge for a@example.com"});
    let words = "078-05-1120 of a@example.com needs crm.purge";
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {
        "resultType": "input_required",
        "requestState": "state-1",
        "isError": true,
        "content": [{"type": "text", "text": inner.to_string()}, {"type": "text", "text": words}],
        "structuredContent": inner,
    }});
    let request = modern_call("crm.get", "{}").answered(JSON, &answer.to_string());
    let outcome = send(&judging(), &request);
    let result = &client_json(&outcome)["result"];
    let shown = json!({"hint": "*** for ***"});
    assert_eq!(result["structuredContent"], shown);
    assert_eq!(result["content"][0]["text"], shown.to_string());
    assert_eq!(result["content"][1]["text"], "*** of *** needs ***");
    let state = result["requestState"].as_str().unwrap();
    assert!(!state.is_empty() && !state.contains("state-1"), "{state}");
    assert_eq!(outcome.record.redacted, ["ssn"]);
    assert_eq!(outcome.record.hidden_names, Some(3));
}

#[test]
fn b36_the_clients_id_returns_in_a_result_that_changes() {
    let sent = send(&judging(), &call("crm.get", "{}"));
    let sent: Value = serde_json::from_slice(sent.server_body()).unwrap();
    let result = json!({"structuredContent": {"ssn": "1", "n": 1.0}});
    let answer = json!({"jsonrpc": "2.0", "id": sent["id"], "result": result});
    let request = call("crm.get", "{}").answered(JSON, &answer.to_string());
    let expected = r#"{"id":1,"jsonrpc":"2.0","result":{"structuredContent":{"n":1.0}}}"#;
    assert_eq!(send(&judging(), &request).client_body(), expected);
}

#[test]
fn b34_rules_for_data_count_in_schemas_that_a_list_writes_anew() {
    let properties = json!({
        "organization_id": {"type": "string"},
        "note": {"type": "string", "default": "ask a@example.com"},
    });
    let tools = json!([
        {"name": "crm.purge", "inputSchema": {}},
        {"name": "crm.notes", "inputSchema": {"type": "object", "properties": properties}},
    ]);
    let answer = json!({"jsonrpc": "2.0", "id": 7, "result": {"tools": tools}});
    let event = format!("data: {answer}\n\n");
    let outcome = send(&judging(), &Request::method("GET").answered(EVENTS, &event));
    let shown = outcome.client_body();
    assert!(shown.contains("ask ***"), "{shown}");
    for hidden in ["crm.purge", "organization_id", "a@example.com"] {
        assert!(!shown.contains(hidden), "{hidden}: {shown}");
    }
}

#[test]
fn b33_an_answer_that_cannot_be_read_is_not_passed() {
    for body in ["{\"result\":", "{\"result\":{},\"result\":{}}", "secret"] {
        let request = call("crm.get", "{}").answered(JSON, body);
        let outcome = send(&judging(), &request);
        assert_eq!(outcome.client_header(":status"), Some("502"), "{body}");
        assert!(!outcome.client_body().contains("secret"));
    }
}
