//! What is no message, or not what its headers say.

use super::fake_proxy::Request;
use super::{call, default, modern_call, refusal, send};

#[test]
fn b01_keys_that_look_like_protocol_keys_are_refused() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","Method":"x","params":{"name":"crm.get"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","Name":"crm.purge"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","argument\u017f":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","param\u017f":{"name":"crm.get"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","_META":{}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get"},"extra":1}"#,
    ] {
        assert_eq!(refusal(body), (400, -32600, "message_malformed"), "{body}");
    }
}

#[test]
fn b03_b04_b05_b06_what_parsers_disagree_on_is_refused() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"crm.get"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","n\u0061me":"crm.purge"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","arguments":{"a":[{"b":1,"b":2}]}}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","arguments":{"a":1}},"id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","name\u0000":1}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get\ud800"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"} {"jsonrpc":"2.0","id":1,"method":"ping"}"#,
        "\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}/**/"#,
    ] {
        assert_eq!(refusal(body), (400, -32700, "body_not_json"), "{body}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{}}}}}"#,
        "[".repeat(100)
    );
    assert_eq!(refusal(&deep).2, "body_not_json");
    assert_eq!(
        refusal(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#),
        (400, -32600, "batch_not_accepted")
    );
}

#[test]
fn b09_messages_that_are_two_things_or_none() {
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":7}"#,
        r#"{"jsonrpc":"2.0","id":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","arguments":[]}}"#,
        "{}",
    ] {
        assert_eq!(refusal(body), (400, -32600, "message_malformed"), "{body}");
    }
    let without_id = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"crm.get"}}"#;
    assert_eq!(refusal(without_id), (400, -32601, "unknown_method"));
}

#[test]
fn b07_headers_and_body_have_to_agree() {
    let good = modern_call("crm.get", "{}");
    assert_eq!(send(&default(), &good).server_body(), good.body);
    for (request, code, reason) in [
        (good.clone().without("mcp-name"), -32020, "header_mismatch"),
        (
            good.clone()
                .without("mcp-name")
                .with("mcp-name", "crm.list"),
            -32020,
            "header_mismatch",
        ),
        (
            good.clone().with("mcp-name", "crm.get"),
            -32020,
            "header_mismatch",
        ),
        (
            good.clone().without("mcp-method"),
            -32020,
            "header_mismatch",
        ),
        (
            good.clone()
                .without("mcp-method")
                .with("mcp-method", "ping"),
            -32020,
            "header_mismatch",
        ),
        (
            good.clone().without("mcp-protocol-version"),
            -32020,
            "header_mismatch",
        ),
        (
            good.clone()
                .without("mcp-protocol-version")
                .with("mcp-protocol-version", "2025-11-25"),
            -32020,
            "header_mismatch",
        ),
        (
            good.clone()
                .without("mcp-protocol-version")
                .with("mcp-protocol-version", "2030-01-01"),
            -32022,
            "protocol_version_unsupported",
        ),
        (
            call("crm.get", "{}").with("mcp-protocol-version", "2026-07-28"),
            -32602,
            "protocol_meta_missing",
        ),
        (
            good.clone()
                .without("mcp-name")
                .with("mcp-name", "=?base64?Y3JtLmdldB==?="),
            -32020,
            "header_mismatch",
        ),
    ] {
        let (status, found, why) = send(&default(), &request).refusal();
        if why == "header" {
            assert_eq!(status, 400);
            continue;
        }
        assert_eq!((status, found, why), (400, code, reason), "{request:?}");
    }
    let encoded = good
        .without("mcp-name")
        .with("mcp-name", "=?base64?Y3JtLmdldA==?=");
    assert!(send(&default(), &encoded).server.is_some());
    let legacy = call("crm.get", "{}")
        .with("mcp-name", "crm.purge")
        .with("mcp-method", "x")
        .with("mcp-param-a", "b");
    let outcome = send(&default(), &legacy);
    for name in ["mcp-name", "mcp-method", "mcp-param-a"] {
        assert_eq!(outcome.server_header(name), None, "{name}");
    }
}

#[test]
fn b17_unknown_methods_are_refused() {
    for method in [
        "",
        "tools/Call",
        "sampling/createMessage",
        "x/y",
        "server/discover",
        "notifications/initialized",
        "tasks/list",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        assert_eq!(refusal(&body), (200, -32601, "unknown_method"), "{method}");
    }
}

#[test]
fn without_a_key_the_tasks_extension_is_not_offered_to_the_server() {
    for (extensions, expected) in [
        (r#"{"io.modelcontextprotocol/tasks":{}}"#, "{}"),
        (
            r#"{"a/b":{},"io.modelcontextprotocol/tasks":{"x":1}}"#,
            r#"{"a/b":{}}"#,
        ),
        (
            r#"{"io.modelcontextprotocol/tasks":{},"a/b":{}}"#,
            r#"{"a/b":{}}"#,
        ),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{"extensions":{extensions}}}}}}}}}"#
        );
        let request = Request::post(&body)
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", "tools/list");
        let outcome = send(&default(), &request);
        let text = String::from_utf8_lossy(outcome.server_body()).into_owned();
        assert!(
            text.contains(&format!("\"extensions\":{expected}")),
            "{text}"
        );
    }
}

#[test]
fn the_author_of_a_sampled_message_is_no_identity() {
    for (sent, expected) in [
        (
            r#"{"role":"assistant","model":"m"}"#,
            r#"{"role":"assistant","model":"m"}"#,
        ),
        (r#"{"role":"admin","model":"m"}"#, r#"{"model":"m"}"#),
        (r#"{"content":{"role":"user"}}"#, r#"{"content":{}}"#),
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{sent}}}"#);
        let outcome = send(&default(), &Request::post(&body));
        let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{expected}}}"#);
        assert_eq!(String::from_utf8_lossy(outcome.server_body()), expected);
    }
}

#[test]
fn b36_a_refused_answer_is_not_taken_for_one() {
    let body = r#"{"jsonrpc":"2.0","id":7,"result":{"content":{"username":"u2"}}}"#;
    let mut request = Request::post(body);
    request.answer.0.retain(|(name, _)| name == ":status");
    request.answer.1.clear();
    let outcome = send(&default(), &request);
    assert_eq!(outcome.record.decision.reason, "argument_rejected");
    // The server receives an error, and the client no answer to its own request 7.
    let sent: serde_json::Value = serde_json::from_slice(outcome.server_body()).unwrap();
    assert_eq!(
        (&sent["id"], &sent["error"]["code"]),
        (&7.into(), &(-32603).into())
    );
    assert_eq!(outcome.client_body(), "");
}

#[test]
fn b20_protocol_headers_have_one_spelling_and_no_trailers() {
    let request = modern_call("crm.get", "{}")
        .with("mcp_param_org", "globex")
        .with("mcp_name", "x");
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_header("mcp_param_org"), None);
    assert_eq!(outcome.server_header("mcp_name"), None);
}

#[test]
fn r6_the_answer_to_a_refused_request_has_its_id() {
    for (body, id) in [
        (
            r#"{"method":"ping","params":7,"jsonrpc":"2.0","id":"a"}"#,
            r#""a""#,
        ),
        (r#"{"method":"ping","jsonrpc":"1.0","id":7}"#, "7"),
        (
            r#"{"method":"ping","params":{"a":1,"a":2},"jsonrpc":"2.0","id":7}"#,
            "7",
        ),
        (r#"{"id":7,"method":"ping","params":{"a":NaN}}"#, "7"),
        (r#"{"jsonrpc":"2.0","id":7,"method":"unknown"}"#, "7"),
    ] {
        let reply = send(&default(), &Request::post(body)).reply.unwrap();
        let text = String::from_utf8(reply.body).unwrap();
        let start = format!(r#"{{"jsonrpc":"2.0","id":{id},"error":"#);
        assert!(text.starts_with(&start), "{text}");
    }
    for body in [
        r#"{"jsonrpc":"2.0","id":7,"id":8,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"ping","params":7}"#,
        r#"[{"jsonrpc":"2.0","id":7,"method":"ping"}]"#,
    ] {
        let reply = send(&default(), &Request::post(body)).reply.unwrap();
        let text = String::from_utf8(reply.body).unwrap();
        assert!(text.starts_with(r#"{"jsonrpc":"2.0","error":"#), "{text}");
    }
    let large = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"ping","params":{{"a":"{}"}}}}"#,
        "x".repeat(300 * 1024)
    );
    let request = Request::post(&large).without("content-length");
    let whole = super::fake_proxy::FakeProxy::new(&default()).send(&request, &[280 * 1024], false);
    assert_eq!(whole.refusal(), (413, -32600, "body_too_large"));
    let text = String::from_utf8(whole.reply.unwrap().body).unwrap();
    assert!(text.contains(r#""id":7"#), "{text}");
}
