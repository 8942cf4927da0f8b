use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, modern_call, policy, send};

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[(":status", "200"), ("content-type", "text/event-stream")];
const TEXT: &[(&str, &str)] = &[(":status", "404"), ("content-type", "text/plain")];

const ERROR: &str = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Unknown tool crm.x, did you mean crm.purge?"}}"#;
const RESULT: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":[{"type":"text","text":"Not so. Use crm.purge"}]}}"#;

fn answered(changes: Value, request: &Request, headers: &[(&str, &str)], body: &str) -> Outcome {
    send(&policy(changes), &request.clone().answered(headers, body))
}

fn requests() -> [Request; 3] {
    let get = Request::post(
        r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"crm.p"}}"#,
    );
    [call("crm.get", "{}"), modern_call("crm.get", "{}"), get]
}

#[test]
fn b37_errors_name_no_tool_that_the_caller_may_not_call() {
    for request in requests() {
        for body in [ERROR, RESULT] {
            let expected = body.replace("crm.purge", "***");
            let outcome = answered(json!({}), &request, JSON, body);
            assert_eq!(outcome.client_body(), expected);
            assert_eq!(outcome.record.hidden_names, Some(1));
            let stream = format!("id: 1\ndata: {{\"method\":\"x\"}}\n\ndata: {body}\n\n");
            let outcome = answered(json!({}), &request, EVENTS, &stream);
            let shown = outcome.client_body();
            assert!(shown.ends_with(&format!("data: {expected}\n\n")), "{shown}");
            assert!(!outcome.record.to_json().contains("purge"));
        }
    }
}

#[test]
fn answers_that_name_nothing_hidden_pass_as_they_are() {
    for (changes, body) in [
        (json!({"errors": "keep"}), ERROR),
        (
            json!({"roles": {"*": {"tools": ["*"]}}, "tools": {}}),
            ERROR,
        ),
        (
            json!({}),
            r#"{"id":1,"result":{"content":[{"type":"text","text":"crm.purge"}]}}"#,
        ),
    ] {
        let outcome = answered(changes, &call("crm.get", "{}"), JSON, body);
        assert_eq!(outcome.client_body(), body);
        assert_eq!(outcome.record.hidden_names, None);
    }
    let outcome = answered(json!({}), &call("crm.get", "{}"), TEXT, "no crm.get");
    assert_eq!(outcome.client_body(), "no crm.get");
}

#[test]
fn b37_an_error_that_cannot_be_read_is_not_passed() {
    let twice = ERROR.replace("\"code\"", "\"message\":\"crm.purge\",\"code\"");
    let outcome = answered(json!({}), &call("crm.get", "{}"), JSON, &twice);
    assert_eq!(outcome.client_header(":status"), Some("502"));
    assert!(!outcome.client_body().contains("purge"));
}

#[test]
fn b37_withheld_errors_do_not_pass_in_any_form() {
    let withhold = json!({"errors": "withhold"});
    for request in requests() {
        let outcome = answered(withhold.clone(), &request, JSON, ERROR);
        let expected =
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"Invalid params"}}"#;
        assert_eq!(outcome.client_body(), expected);
        assert_eq!(outcome.record.withheld_errors, Some(1));
        let outcome = answered(withhold.clone(), &request, TEXT, "no crm.purge");
        assert_eq!(outcome.client_header(":status"), Some("404"));
        assert!(!outcome.client_body().contains("purge"));
    }
}

#[test]
fn b37_a_long_answer_is_passed_only_if_errors_are_not_withheld() {
    let long = RESULT.replace("Not so", &"Not so ".repeat(300));
    let stream = format!("data: {long}\n\n");
    for (errors, passes) in [("hide_names", true), ("withhold", false)] {
        for (headers, body) in [(JSON, &long), (EVENTS, &stream)] {
            let changes = json!({"errors": errors, "max_response": 1000});
            let outcome = answered(changes, &call("crm.get", "{}"), headers, body);
            assert_eq!(outcome.client_body() == *body, passes);
            assert_eq!(outcome.client_body().contains("purge"), passes);
        }
    }
}

#[test]
fn s18_an_error_in_any_form_names_no_hidden_tool() {
    const HTML: &[(&str, &str)] = &[(":status", "500"), ("content-type", "text/html")];
    const PROBLEM: &[(&str, &str)] = &[
        (":status", "400"),
        ("content-type", "application/problem+json"),
    ];
    const FAILED_EVENTS: &[(&str, &str)] =
        &[(":status", "500"), ("content-type", "text/event-stream")];
    const FAILED_JSON: &[(&str, &str)] =
        &[(":status", "404"), ("content-type", "application/json")];
    const BARE: &[(&str, &str)] = &[(":status", "500")];
    let stray = r#"{"jsonrpc":"2.0","id":1,"result":{"note":"crm.purge"}}"#;
    for request in requests() {
        for (headers, body) in [
            (TEXT, "no crm.purge".to_owned()),
            (HTML, "<p>no crm.purge</p>".to_owned()),
            (BARE, "no crm.purge".to_owned()),
            (PROBLEM, r#"{"detail":"no crm.purge"}"#.to_owned()),
            (FAILED_JSON, stray.to_owned()),
            (FAILED_JSON, "no crm.purge".to_owned()),
            (JSON, r#"{"detail":"no crm.purge"}"#.to_owned()),
            (JSON, format!("[{ERROR}]")),
            (FAILED_EVENTS, format!("data: {stray}\n\n")),
            (FAILED_EVENTS, "data: no crm.purge\n\n".to_owned()),
            (EVENTS, "data: {\"detail\":\"crm.purge\"}\n\n".to_owned()),
        ] {
            let outcome = answered(json!({}), &request, headers, &body);
            assert_eq!(outcome.client_body(), body.replace("crm.purge", "***"));
            let withheld = answered(json!({"errors": "withhold"}), &request, headers, &body);
            assert!(!withheld.client_body().contains("purge"), "{body}");
        }
    }
    for (headers, body) in [
        (JSON, "{broken crm.purge".to_owned()),
        (TEXT, "crm.purge ".repeat(200_000)),
        (
            &[(":status", "500"), ("content-encoding", "gzip")][..],
            "crm.purge".to_owned(),
        ),
    ] {
        let outcome = answered(json!({}), &call("crm.get", "{}"), headers, &body);
        assert!(!outcome.client_body().contains("purge"));
    }
}
