//! Rules for results in answers that are no results of calls.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{FakeProxy, Request};
use super::{call, policy, send};
use policy::Policy;

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];
const SSN: &str = "123-45-6789";

fn hides(text: &str) -> Rc<Policy> {
    let rule = json!({"tools": ["crm.get"], "redact": ["ssn"], "detect": ["email"], "text": text});
    policy(json!({"results": [rule]}))
}

/// Requests whose answers are no results of calls.
fn requests() -> Vec<Request> {
    let methods = [
        "ping",
        "initialize",
        "tools/list",
        "prompts/list",
        "resources/list",
        "resources/templates/list",
    ];
    let post = |method: &str| {
        let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
        Request::post(
            &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string(),
        )
    };
    methods.iter().map(|method| post(method)).collect()
}

#[test]
fn s15_rules_for_results_hold_for_what_stands_beside_a_list() {
    let notification = |data: Value| json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": data}});
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": 1, "result": result});
    let messages = [
        notification(json!({"ssn": SSN})),
        notification(json!({"msg": "to ann@acme.example", "n": {"ssn": SSN}})),
        result(json!({"_meta": {"ssn": SSN}})),
        result(json!({"tools": [], "customers": [{"ssn": SSN}]})),
        result(
            json!({"structuredContent": {"ssn": SSN}, "content": [{"type": "text", "text": json!({"ssn": SSN}).to_string()}]}),
        ),
        result(
            json!({"capabilities": {"experimental": {"x": {"ssn": SSN}}}, "serverInfo": {"name": "x", "extra": {"ssn": SSN}}}),
        ),
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x", "data": {"ssn": SSN}}}),
        json!({"jsonrpc": "2.0", "id": 7, "method": "elicitation/create", "params": {"message": json!({"ssn": SSN}).to_string(), "requestedSchema": {}}}),
    ];
    for request in requests() {
        for text in ["keep", "withhold"] {
            for message in &messages {
                let event = format!("data: {message}\n\ndata: {}\n\n", result(json!({})));
                for (headers, body) in [(JSON, message.to_string()), (EVENTS, event)] {
                    let outcome = send(&hides(text), &request.clone().answered(headers, &body));
                    let shown = outcome.client_body();
                    assert!(
                        !shown.contains(SSN) && !shown.contains("ann@"),
                        "{body}: {shown}"
                    );
                }
            }
        }
    }
}

#[test]
fn s15_a_list_itself_and_what_a_server_says_of_itself_stay() {
    let tools = json!([{
        "name": "crm.get", "title": "Get a customer", "description": "Gets one customer by its id.",
        "inputSchema": {"type": "object", "properties": {"ssn": {"type": "string", "description": "the number, if known"}}},
        "annotations": {"title": "Get a customer", "readOnlyHint": true}, "_meta": {"ssn": "a b"},
    }]);
    let presentation = json!({
        "protocolVersion": "2025-11-25",
        "capabilities": {"tools": {"listChanged": true}, "logging": {}, "experimental": {"a": {"note": "two words"}}},
        "serverInfo": {"name": "crm", "title": "Customer database", "version": "1.0", "description": "All customers."},
        "instructions": "Ask for the id of the customer first.",
    });
    for (method, result) in [
        (
            "tools/list",
            json!({"tools": tools, "nextCursor": "next page"}),
        ),
        ("initialize", presentation),
        ("ping", json!({})),
    ] {
        for text in ["keep", "withhold"] {
            let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}});
            let request = Request::post(
                &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string(),
            );
            let answer = json!({"jsonrpc": "2.0", "id": 1, "result": result}).to_string();
            let outcome = send(&hides(text), &request.answered(JSON, &answer));
            assert_eq!(outcome.client_body(), answer, "{method}");
            let id: Value = serde_json::from_slice(outcome.server_body()).unwrap();
            assert_eq!(id["id"] == json!(1), method != "tools/list");
        }
    }
}

#[test]
fn s15_the_answer_to_a_notification_shows_no_data() {
    let body = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
    let notification = Request::post(&body);
    let data = json!({"ssn": SSN}).to_string();
    for (status, media, answer, shown) in [
        ("202", None, "", Some("")),
        ("202", Some("application/json"), "", Some("")),
        ("202", Some("text/plain"), "Accepted", Some("")),
        ("200", None, data.as_str(), Some("")),
        ("200", Some("application/json"), data.as_str(), None),
        ("400", Some("text/html"), data.as_str(), Some("")),
    ] {
        let mut headers = vec![(":status", status)];
        headers.extend(media.map(|media| ("content-type", media)));
        let outcome = send(
            &hides("withhold"),
            &notification.clone().answered(&headers, answer),
        );
        assert_eq!(outcome.client_header(":status"), Some(status), "{media:?}");
        let body = outcome.client_body();
        assert!(
            !body.contains(SSN) && shown.is_none_or(|shown| shown == body),
            "{body}"
        );
    }
}

#[test]
fn k2_an_answer_with_too_many_values_is_refused() {
    let values = "0,".repeat(1_000_001);
    let list = format!("[{values}0]");
    let in_text = json!({"result": {"content": [{"type": "text", "text": list}]}}).to_string();
    let outer = format!(r#"{{"result":{{"structuredContent":{list}}}}}"#);
    let rules = json!({"max_response": "16MiB", "results": [{"tools": ["*"], "redact": ["ssn"]}]});
    for body in [outer, in_text] {
        let request = call("crm.get", "{}").answered(JSON, &body);
        let outcome = FakeProxy::new(&policy(rules.clone())).send(&request, &[], false);
        assert_eq!(outcome.client_header(":status"), Some("200"));
        assert!(outcome.client_body().contains("1000000 values"));
        assert_eq!(
            outcome.record.decision.reason,
            "upstream_answer_too_many_values"
        );
    }
}
