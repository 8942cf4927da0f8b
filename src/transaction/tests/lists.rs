use serde_json::json;

use super::fake_proxy::{Outcome, Request};
use super::{policy, send};

const JSON: &[(&str, &str)] = &[(":status", "200"), ("content-type", "application/json")];
const EVENTS: &[(&str, &str)] = &[
    (":status", "200"),
    ("content-type", "text/event-stream; charset=utf-8"),
];

fn list(method: &str) -> Request {
    Request::post(&format!(
        r#"{{"jsonrpc":"2.0","id":"a","method":"{method}"}}"#
    ))
}

fn modern_list(method: &str) -> Request {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":"a","method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}}}}"#
    );
    Request::post(&body)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", method)
}

fn answered(request: Request, headers: &[(&str, &str)], body: &str) -> Outcome {
    let length = body.len().to_string();
    let mut headers = headers.to_vec();
    headers.push(("content-length", &length));
    send(&policy(json!({})), &request.answered(&headers, body))
}

fn assert_filtered(request: Request, body: &str, expected: &str, hidden: usize) {
    let outcome = answered(request, JSON, body);
    assert_eq!(outcome.client_body(), expected);
    assert_eq!(outcome.record.hidden_items, Some(hidden));
}

#[test]
fn b26_a_list_holds_what_the_caller_may_use_in_its_order() {
    for (items, expected, hidden) in [
        (
            r#"[{"name":"crm.a"},{"name":"hr.b"},{"name":"crm.c"}]"#,
            r#"[{"name":"crm.a"},{"name":"crm.c"}]"#,
            1,
        ),
        (
            r#"[{"name":"hr.a"}, {"name":"crm.purge"}, {"name":"crm.c", "x":1.0e2}]"#,
            r#"[{"name":"crm.c", "x":1.0e2}]"#,
            2,
        ),
        (
            r#"[{"name":"crm.a"} ,{"name":"hr.b"},{"name":"hr.c"}]"#,
            r#"[{"name":"crm.a"}]"#,
            2,
        ),
        (r#"[{"name":"hr.a"},{"name":"hr.b"}]"#, "[]", 2),
        ("[]", "[]", 0),
    ] {
        let body = |items: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":"a","result":{{"tools":{items},"nextCursor":"n"}}}}"#)
        };
        assert_filtered(list("tools/list"), &body(items), &body(expected), hidden);
    }
    let prompts =
        |items: &str| format!(r#"{{"jsonrpc":"2.0","id":"a","result":{{"prompts":[{items}]}}}}"#);
    assert_filtered(
        list("prompts/list"),
        &prompts(r#"{"name":"x"},{"name":"crm.p"}"#),
        &prompts(r#"{"name":"crm.p"}"#),
        1,
    );
    let resources =
        |items: &str| format!(r#"{{"jsonrpc":"2.0","id":"a","result":{{"resources":[{items}]}}}}"#);
    assert_filtered(
        list("resources/list"),
        &resources(r#"{"uri":"crm://globex/a","name":"x"},{"uri":"crm://acme/a","name":"y"}"#),
        &resources(r#"{"uri":"crm://acme/a","name":"y"}"#),
        1,
    );
    let templates = |items: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":"a","result":{{"resourceTemplates":[{items}]}}}}"#)
    };
    assert_filtered(
        list("resources/templates/list"),
        &templates(r#"{"uriTemplate":"crm://{org}/{id}"},{"uriTemplate":"hr://{id}"}"#),
        &templates(r#"{"uriTemplate":"crm://{org}/{id}"}"#),
        1,
    );
}

#[test]
fn b26_a_tool_hidden_for_its_role_only_is_still_there_when_a_scope_would_allow_it() {
    let body = r#"{"jsonrpc":"2.0","id":"a","result":{"tools":[{"name":"crm.refund"}]}}"#;
    assert_filtered(list("tools/list"), body, body, 0);
}

#[test]
fn b27_a_filtered_list_is_private() {
    for (members, expected) in [
        (
            r#""tools":[],"ttlMs":0,"cacheScope":"public""#,
            r#""tools":[],"ttlMs":0,"cacheScope":"private""#,
        ),
        (
            r#""tools":[],"cacheScope":"private""#,
            r#""tools":[],"cacheScope":"private""#,
        ),
        (r#""tools":[]"#, r#""cacheScope":"private","tools":[]"#),
    ] {
        let body =
            |members: &str| format!(r#"{{"jsonrpc":"2.0","id":"a","result":{{{members}}}}}"#);
        assert_filtered(
            modern_list("tools/list"),
            &body(members),
            &body(expected),
            0,
        );
    }
}

#[test]
fn b27_what_one_caller_may_read_is_not_cached_for_others() {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"crm://acme/1","_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}}"#;
    let request = Request::post(body)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "resources/read")
        .with("mcp-name", "crm://acme/1");
    let read = r#"{"jsonrpc":"2.0","id":1,"result":{"contents":[],"cacheScope":"public"}}"#;
    let outcome = answered(request, JSON, read);
    assert_eq!(outcome.client_body(), read.replace("public", "private"));
}

#[test]
fn b27_a_list_is_not_kept_longer_than_the_policy_says() {
    let policy = policy(json!({"max_list_ttl": "1m"}));
    let ttl = |ttl: &str, request: Request| {
        let body = format!(r#"{{"result":{{"tools":[],"cacheScope":"private"{ttl}}}}}"#);
        send(&policy, &request.answered(JSON, &body)).client_body()
    };
    for (written, expected) in [
        ("60000", "60000"),
        ("60001", "60000"),
        ("3.6e6", "60000"),
        ("1e999", "60000"),
        ("\"9\"", "60000"),
        ("[0]", "60000"),
        ("0", "0"),
        ("-1", "-1"),
        ("null", "null"),
    ] {
        let found = ttl(
            &format!(r#", "ttlMs" : {written} "#),
            modern_list("tools/list"),
        );
        let expected = format!(r#", "ttlMs" : {expected} }}}}"#);
        assert!(found.ends_with(&expected), "{found}");
    }
    assert!(!ttl("", modern_list("tools/list")).contains("ttlMs"));
    assert!(ttl(r#","ttlMs":99999999"#, list("tools/list")).contains("99999999"));
}

#[test]
fn h12_lists_in_event_streams_are_filtered_event_by_event() {
    for end in ["\n", "\r\n", "\r"] {
        let stream = [
            ": ping é",
            "",
            "id: 1",
            "data:",
            "",
            "event: message",
            r#"data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"message":"é"}}"#,
            "",
            "event: message",
            "id: 2",
            r#"data: {"jsonrpc":"2.0","id":"a","result":{"tools":["#,
            r#"data: {"name":"hr.b"},{"name":"crm.a"}]}}"#,
            "",
            "",
        ]
        .join(end);
        let outcome = answered(list("tools/list"), EVENTS, &stream);
        // Without a key there are no ids to resume from.
        let expected = stream
            .replace(r#"{"name":"hr.b"},"#, "")
            .replace(&format!("id: 1{end}"), "")
            .replace(&format!("id: 2{end}"), "");
        let found = outcome.client_body();
        assert!(!found.contains("hr.b"), "{found}");
        assert_eq!(found.replace(end, "|"), expected.replace(end, "|"));
        assert_eq!(outcome.client_header("content-length"), None);
    }
}

#[test]
fn an_answer_that_cannot_be_judged_is_not_passed() {
    for (headers, body) in [
        (
            JSON,
            r#"{"jsonrpc":"2.0","id":"a","result":{"tools":{"name":"hr.b"}}}"#,
        ),
        (
            JSON,
            r#"{"jsonrpc":"2.0","id":"a","result":{"tools":[],"tools":[{"name":"hr.b"}]}}"#,
        ),
        (
            JSON,
            r#"{"jsonrpc":"2.0","id":"a","result":{"Tools":[{"name":"hr.b"}]}}"#,
        ),
        (
            JSON,
            r#"[{"jsonrpc":"2.0","id":"a","result":{"tools":[{"name":"hr.b"}]}}]"#,
        ),
        (
            &[(":status", "200"), ("content-type", "text/plain")],
            "hr.b",
        ),
        (&[(":status", "202"), ("content-type", "text/html")], "hr.b"),
        (
            &[
                (":status", "200"),
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
            ],
            "hr.b",
        ),
        (&[(":status", "200")], "hr.b"),
    ] {
        let outcome = answered(list("tools/list"), headers, body);
        let found = outcome.client_body();
        assert!(
            !found.contains("hr.b") && found.contains("-32603") && found.contains("\"id\":\"a\""),
            "{found}"
        );
        assert_eq!(outcome.client_header(":status"), Some("502"));
        assert_eq!(
            outcome.record.decision.reason,
            "upstream_answer_uncheckable"
        );
        assert_eq!(outcome.client_header("content-encoding"), None);
    }
    let gone = &[(":status", "404"), ("content-type", "application/json")];
    let session = answered(list("tools/list"), gone, "\"Session not found\"");
    assert_eq!(session.client_header(":status"), Some("404"));
    let failed = answered(
        list("tools/list"),
        &[(":status", "503"), ("content-type", "text/plain")],
        "no hr.b",
    );
    assert_eq!(failed.client_header(":status"), Some("503"));
    assert!(!failed.client_body().contains("hr.b"));
}

#[test]
fn an_event_that_cannot_be_judged_ends_the_stream() {
    let stream = "data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\ndata: {oops\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"tools\":[{\"name\":\"hr.b\"}]}}\n\n";
    let found = answered(list("tools/list"), EVENTS, stream).client_body();
    assert!(
        found.starts_with("data: {\"jsonrpc\":\"2.0\",\"method\":\"x\"}\n\n"),
        "{found}"
    );
    assert!(
        found.contains("-32603") && !found.contains("hr.b"),
        "{found}"
    );
    let endless = format!("data: {}", "x".repeat(2000));
    let policy = policy(json!({"max_response": 1000}));
    let outcome = send(&policy, &list("tools/list").answered(EVENTS, &endless));
    assert!(outcome.client_body().contains("-32603"));
}

#[test]
fn an_event_cut_off_by_the_end_is_not_sent() {
    let stream = "data: {}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":\"a\",\"result\":{\"tools\":[{\"name\":\"hr.b\"}]}}\n";
    assert_eq!(
        answered(list("tools/list"), EVENTS, stream).client_body(),
        "data: {}\n\n"
    );
}

#[test]
fn other_answers_pass_as_they_come() {
    let call = super::call("crm.get", "{}");
    let body = "{\"result\":{\"tools\":[{\"name\":\"hr.b\"}]}}";
    assert_eq!(answered(call, JSON, body).client_body(), body);
    let error = r#"{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"no"}}"#;
    assert_eq!(
        answered(list("tools/list"), JSON, error).client_body(),
        error
    );
}

#[test]
fn lists_on_a_get_stream_are_filtered_too() {
    let stream = "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{\"tools\":[{\"name\":\"hr.b\"}]}}\n\ndata: {\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"sampling/createMessage\"}\n\n";
    let request = Request::method("GET").answered(EVENTS, stream);
    let found = send(&policy(json!({})), &request).client_body();
    assert_eq!(found, stream.replace("{\"name\":\"hr.b\"}", ""));
}
