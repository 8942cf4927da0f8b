use serde_json::json;

use super::fake_proxy::Request;
use super::{policy, send};

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];

const PRESENTED: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-11-25","capabilities":{},"instructions":"Try crm.purge"}}"#;

fn initialize() -> Request {
    Request::post(
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}"#,
    )
}

fn discover() -> Request {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    Request::post(body)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "server/discover")
}

#[test]
fn b37_instructions_are_the_policys() {
    let stream = format!("data: {PRESENTED}\n\n");
    for (instructions, expected) in [
        (
            json!("Ask first."),
            PRESENTED.replace("Try crm.purge", "Ask first."),
        ),
        (
            json!(""),
            PRESENTED.replace(r#","instructions":"Try crm.purge""#, ""),
        ),
        (json!(null), PRESENTED.to_owned()),
    ] {
        let policy = policy(json!({"instructions": instructions, "errors": "keep"}));
        for request in [initialize(), discover()] {
            let found = send(&policy, &request.clone().answered(JSON, PRESENTED));
            assert_eq!(found.client_body(), expected);
            let found = send(&policy, &request.answered(EVENTS, &stream));
            assert_eq!(found.client_body(), format!("data: {expected}\n\n"));
        }
        // A resumed stream brings it again.
        let resumed = Request::method("GET").answered(EVENTS, &stream);
        let found = send(&policy, &resumed).client_body();
        assert_eq!(found, format!("data: {expected}\n\n"));
    }
}

#[test]
fn what_cannot_be_read_is_not_passed() {
    let policy = policy(json!({"instructions": ""}));
    let text: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/plain")];
    for (headers, body) in [(text, "crm.purge"), (JSON, "{crm.purge"), (JSON, "[]")] {
        let outcome = send(&policy, &initialize().answered(headers, body));
        assert_eq!(outcome.client_header(":status"), Some("502"), "{body}");
        assert!(!outcome.client_body().contains("purge"));
    }
    let accepted: &[(&str, &str)] = &[(":status", "202"), ("content-type", "text/plain")];
    let notified = Request::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let outcome = send(&policy, &notified.answered(accepted, "Accepted"));
    assert_eq!(outcome.client_body(), "Accepted");
}

#[test]
fn b37_instructions_name_no_tool_that_the_caller_may_not_call() {
    let expected = PRESENTED.replace("crm.purge", "***");
    let outcome = send(&policy(json!({})), &initialize().answered(JSON, PRESENTED));
    assert_eq!(outcome.client_body(), expected);
    assert_eq!(outcome.record.hidden_names, Some(1));
    // What one caller may read must not be cached for others.
    let public = PRESENTED.replace("\"capab", "\"cacheScope\":\"public\",\"capab");
    let private = expected.replace("\"capab", "\"cacheScope\":\"private\",\"capab");
    let outcome = send(&policy(json!({})), &discover().answered(JSON, &public));
    assert_eq!(outcome.client_body(), private);
    let stream = format!("data: {PRESENTED}\n\n");
    let resumed = Request::method("GET").answered(EVENTS, &stream);
    let outcome = send(&policy(json!({})), &resumed);
    assert_eq!(outcome.client_body(), format!("data: {expected}\n\n"));
}
