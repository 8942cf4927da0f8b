//! Ids of calls whose results are judged (threats B36).

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, modern_call, policy, send};
use std::rc::Rc;

use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];

fn judging() -> Rc<Policy> {
    let results = json!([{"tools": ["crm.get"], "redact": ["ssn"], "text": "keep"}]);
    policy(json!({"results": results}))
}

fn sent_id(outcome: &Outcome) -> Value {
    let body: Value = serde_json::from_slice(outcome.server_body()).unwrap();
    body["id"].clone()
}

/// A ping with this id, as it is written.
fn ping(id: &str) -> Request {
    Request::post(&format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#))
}

#[test]
fn b36_a_judged_call_has_an_id_of_its_own() {
    let id = sent_id(&send(&judging(), &call("crm.get", "{}")));
    assert!(id.as_str().unwrap().starts_with("mcp-auth-filter:"), "{id}");
    // Calls of other tools, and all of 2026-07-28, keep the client's.
    assert_eq!(sent_id(&send(&judging(), &call("crm.other", "{}"))), 1);
    assert_eq!(sent_id(&send(&judging(), &modern_call("crm.get", "{}"))), 1);
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"structuredContent": {"ssn": "1"}}});
    let request = call("crm.get", "{}").answered(JSON, &answer.to_string());
    let received: Value = serde_json::from_str(&send(&judging(), &request).client_body()).unwrap();
    assert_eq!(received["id"], 1);
    assert_eq!(received["result"]["structuredContent"]["ssn"], "***");
}

#[test]
fn b36_a_list_has_an_id_of_its_own() {
    let list = Request::post(r#"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#);
    let id = sent_id(&send(&judging(), &list));
    assert!(id.as_str().unwrap().starts_with("mcp-auth-filter:"), "{id}");
    let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"tools": []}});
    let list = list.answered(JSON, &answer.to_string());
    let received: Value = serde_json::from_str(&send(&judging(), &list).client_body()).unwrap();
    assert_eq!(received["id"], "a");
}

#[test]
fn b36_no_other_request_may_have_such_an_id() {
    let id = sent_id(&send(&judging(), &call("crm.get", "{}")));
    let id = id.as_str().unwrap();
    let escaped = id.replacen('m', "\\u006d", 1);
    for spelled in [format!("\"{id}\""), format!("\"{escaped}\"")] {
        let refusal = send(&judging(), &ping(&spelled)).refusal();
        assert_eq!(refusal, (400, -32600, "message_malformed"), "{spelled}");
    }
    assert!(send(&judging(), &ping("\"mcp-auth\"")).server.is_some());
}

#[test]
fn b36_the_answer_to_another_call_is_not_passed() {
    let policy = policy(json!({"results": [{"tools": ["crm.*"], "redact": ["ssn"]}]}));
    let other = sent_id(&send(&policy, &call("crm.other", "{}")));
    let answer = json!({"jsonrpc": "2.0", "id": other, "result": {}});
    let outcome = send(
        &policy,
        &call("crm.get", "{}").answered(JSON, &answer.to_string()),
    );
    assert_eq!(outcome.client_header(":status"), Some("502"));
    assert_eq!(
        outcome.record.decision.reason,
        "upstream_answer_uncheckable"
    );
}

/// What the filter takes an id for comes from the server.
#[test]
fn b36_only_the_clients_own_id_is_put_back() {
    let request = call("crm.get", "{}");
    let id = sent_id(&send(&judging(), &request));
    let (head, _) = id.as_str().unwrap().rsplit_once(':').unwrap();
    let another = r#"1,"result":{"structuredContent":{"ssn":"123-45-6789"}}"#;
    for own in [another, "2", "\"1\"", " 1", "1.0", ""] {
        let id = format!("{head}:{}", BASE64_URL_SAFE_NO_PAD.encode(own));
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {"structuredContent": {}}});
        let outcome = send(
            &judging(),
            &request.clone().answered(JSON, &answer.to_string()),
        );
        assert_eq!(
            outcome.record.decision.reason, "upstream_answer_uncheckable",
            "{own}"
        );
        assert!(!outcome.client_body().contains("123-45-6789"));
    }
}

#[test]
fn b36_on_a_stream_of_its_own_an_id_is_one_string_or_number() {
    let event = |own: &str| {
        let id = format!("mcp-auth-filter:0:{}", BASE64_URL_SAFE_NO_PAD.encode(own));
        let answer = json!({"jsonrpc": "2.0", "id": id, "result": {}});
        let headers = [(":status", "200"), ("content-type", "text/event-stream")];
        let get = Request::method("GET").answered(&headers, &format!("data: {answer}\n\n"));
        send(&judging(), &get)
    };
    for own in ["7", "\"a\"", "-1.5"] {
        let body = event(own).client_body();
        assert!(body.contains(&format!("\"id\":{own}")), "{body}");
    }
    for own in ["1,\"result\":{}", "{}", "[1]", "null", "1 2", "x", ""] {
        let body = event(own).client_body();
        assert!(!body.contains(&format!("\"id\":{own}")), "{body}");
    }
}

#[test]
fn a_cancellation_goes_on_with_the_clients_id() {
    let body = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    let outcome = send(&judging(), &Request::post(body));
    assert_eq!(outcome.server_body(), body.as_bytes());
}
