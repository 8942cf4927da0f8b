use serde_json::json;

use super::fake_host::{FakeHost, Request};
use super::{call, modern_call, policy, received, send};
use crate::decision::Verdict;

fn default() -> std::rc::Rc<crate::policy::Policy> {
    policy(json!({}))
}

/// The refusal of a call of an earlier era with this body.
fn refusal(body: &str) -> (u16, i64, &'static str) {
    send(&default(), &Request::post(body)).refusal()
}

#[test]
fn a_request_without_identity_arguments_leaves_as_it_came() {
    let arguments = r#"{ "id" : 9223372036854775809 , "x":1.0e2,"y":-0, "t":"a\u0062\/" }"#;
    let request = call("crm.get", arguments);
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_body(), request.body);
    assert_eq!(outcome.record.decision.verdict, Verdict::Approved);
    assert_eq!(outcome.record.decision.reason, "allowed");
}

#[test]
fn identity_arguments_are_set_and_removed_and_nothing_else_changes() {
    for (sent, expected) in [
        (
            r#"{"organization_id":"globex","q":1}"#,
            r#"{"organization_id":"acme","q":1}"#,
        ),
        (r#"{"role":"admin"}"#, r#"{}"#),
        (r#"{"role":"admin","q":1}"#, r#"{"q":1}"#),
        (r#"{"q":1 , "role":"admin"}"#, r#"{"q":1 }"#),
        (
            r#"{"role":1,"Role":2,"q":1,"r":2,"roles":[],"z":0}"#,
            r#"{"q":1,"r":2,"z":0}"#,
        ),
        (
            r#"{"q":{"role":"admin"},"list":[{"userId":"u2"},[{"a":{"USER-ID":"u2"}}]]}"#,
            r#"{"q":{},"list":[{"userId":"u1"},[{"a":{"USER-ID":"u1"}}]]}"#,
        ),
        (r#"{"user_ids":["u2","u3"]}"#, r#"{"user_ids":["u1"]}"#),
        (
            r#"{"user_id":null,"x":[1,2]}"#,
            r#"{"user_id":"u1","x":[1,2]}"#,
        ),
        (r#"{"user":{"id":"u2"}}"#, ""),
    ] {
        let outcome = send(&default(), &call("crm.get", sent));
        if expected.is_empty() {
            assert_eq!(outcome.refusal(), (200, -32602, "argument_structure"));
            continue;
        }
        let body = String::from_utf8(outcome.server_body().to_vec()).unwrap();
        assert!(
            body.contains(&format!("\"arguments\":{}", expected))
                || received(&outcome) == expected.replace(' ', ""),
            "{sent}: {body}"
        );
    }
}

#[test]
fn b02_every_spelling_of_an_identity_argument_is_found() {
    for name in [
        "organization_id",
        "organizationId",
        "ORGANIZATION-ID",
        "organization.id",
        "Organization Id",
        "organi\\u007aation_id",
        "ｏｒｇａｎｉｚａｔｉｏｎ＿ｉｄ",
        "organization\u{200b}_id",
        "organ\u{131}zation_id",
        "tenant\u{ad}_id",
        "work\u{17f}pace_id",
        "x/organization_id",
    ] {
        let outcome = send(
            &default(),
            &call("crm.get", &format!(r#"{{"{name}":"globex"}}"#)),
        );
        let text = String::from_utf8_lossy(outcome.server_body()).into_owned();
        assert!(
            text.contains("acme") && !text.contains("globex"),
            "{name}: {text}"
        );
    }
}

#[test]
fn numbers_stay_numbers() {
    let request = call("crm.get", r#"{"user_id":7}"#).token(json!({"sub": null}));
    let policy = policy(json!({}));
    assert_eq!(received(&send(&policy, &request)), r#"{"user_id":"u1"}"#);
}

#[test]
fn an_operations_own_set_adds_what_was_left_out() {
    for (arguments, expected) in [
        ("{}", r#"{"organization_id":"acme"}"#),
        (r#"{"q":1}"#, r#"{"organization_id":"acme","q":1}"#),
        (r#"{"role":1}"#, r#"{"organization_id":"acme"}"#),
        (
            r#"{"OrganizationID":"globex"}"#,
            r#"{"OrganizationID":"acme"}"#,
        ),
        (
            r#"{"q":{"organization_id":"globex"}}"#,
            r#"{"organization_id":"acme","q":{"organization_id":"acme"}}"#,
        ),
    ] {
        assert_eq!(
            received(&send(&default(), &call("crm.notes", arguments))),
            expected
        );
    }
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.notes"}}"#;
    let outcome = send(&default(), &Request::post(body));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme"}"#);
    assert_eq!(outcome.record.arguments_set, ["organization_id"]);
}

#[test]
fn an_operation_may_keep_an_argument_as_data() {
    let outcome = send(&default(), &call("crm.assign", r#"{"user_id":"u9"}"#));
    assert_eq!(received(&outcome), r#"{"user_id":"u9"}"#);
}

#[test]
fn b28_identity_values_in_strings_meta_and_answers() {
    let in_string = send(
        &default(),
        &call(
            "crm.get",
            r#"{"filter":"{\"organization_id\":\"globex\"}"}"#,
        ),
    );
    assert_eq!(in_string.refusal(), (200, -32602, "argument_in_string"));
    for (body, expected) in [
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","_meta":{"user_id":"u2","com.example/user_id":"u2"}}}"#,
            r#"{"user_id":"u1","com.example/user_id":"u1"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","inputResponses":{"a":{"content":{"userId":"u2"}}}}}"#,
            r#"{"content":{"userId":"u1"}}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","user_id":"u2"}}"#,
            r#""user_id":"u1""#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"result":{"action":"accept","content":{"userId":"u2","n":1}}}"#,
            r#"{"userId":"u1","n":1}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":"crm.review","arguments":{"organization_id":"globex"}}}"#,
            r#"{"organization_id":"acme"}"#,
        ),
        (
            r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"crm.review"},"argument":{"name":"customer","value":""},"context":{"arguments":{"organization_id":"globex"}}}}"#,
            r#"{"organization_id":"acme"}"#,
        ),
    ] {
        let outcome = send(&default(), &Request::post(body));
        let text = String::from_utf8_lossy(outcome.server_body()).into_owned();
        assert!(text.contains(expected), "{text}");
        assert!(!text.contains("u2") && !text.contains("globex"), "{text}");
    }
    let completes = r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"crm.review"},"argument":{"name":"organizationId","value":""}}}"#;
    assert_eq!(refusal(completes).2, "argument_rejected");
    let uri = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"crm://globex/customers"}}"#;
    assert_eq!(refusal(uri), (200, -32002, "no_role"));
    let dots = r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":"crm://acme/../globex/x"}}"#;
    assert_eq!(refusal(dots).2, "odd_uri");
}

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
        assert_eq!(refusal(body), (400, -32600, "not_a_message"), "{body}");
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
        assert_eq!(refusal(body), (400, -32700, "not_json"), "{body}");
    }
    let deep = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"ping","params":{{"x":{}}}}}"#,
        "[".repeat(100)
    );
    assert_eq!(refusal(&deep).2, "not_json");
    assert_eq!(
        refusal(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#),
        (400, -32600, "batch")
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
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","arguments":null}}"#,
        "{}",
    ] {
        assert_eq!(refusal(body), (400, -32600, "not_a_message"), "{body}");
    }
    let without_id = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"crm.get"}}"#;
    assert_eq!(refusal(without_id), (404, -32601, "unknown_method"));
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
            "protocol_version",
        ),
        (
            call("crm.get", "{}").with("mcp-protocol-version", "2026-07-28"),
            -32602,
            "protocol_meta",
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
fn param_headers_follow_the_arguments_they_mirror() {
    let request = modern_call(
        "crm.get",
        r#"{"organization_id":"globex","role":"admin","q":"a b","n":42}"#,
    )
    .with("mcp-param-org", "globex")
    .with("mcp-param-role", "admin")
    .with("mcp-param-q", "=?base64?YSBi?=")
    .with("mcp-param-n", "42.0");
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_header("mcp-param-org"), Some("acme"));
    assert_eq!(outcome.server_header("mcp-param-role"), None);
    assert_eq!(
        outcome.server_header("mcp-param-q"),
        Some("=?base64?YSBi?=")
    );
    assert_eq!(outcome.server_header("mcp-param-n"), Some("42.0"));
    for (arguments, header, value) in [
        (r#"{"q":"x"}"#, "mcp-param-org", "globex"),
        (r#"{"q":"x"}"#, "mcp-param-organization-id", "globex"),
        (
            r#"{"q":"globex","organization_id":"globex"}"#,
            "mcp-param-org",
            "globex",
        ),
    ] {
        let request = modern_call("crm.get", arguments).with(header, value);
        assert_eq!(
            send(&default(), &request).refusal(),
            (400, -32020, "header_mismatch")
        );
    }
}

#[test]
fn b11_bodies_over_the_limit_are_refused() {
    let policy = policy(json!({"max_body": 300}));
    let request = call("crm.get", &format!(r#"{{"q":"{}"}}"#, "x".repeat(300)));
    assert_eq!(
        send(&policy, &request).refusal(),
        (413, -32600, "too_large")
    );
    let undeclared = request.without("content-length");
    assert_eq!(
        send(&policy, &undeclared).refusal(),
        (413, -32600, "too_large")
    );
}

#[test]
fn b12_only_json_that_is_not_compressed_is_read() {
    let request = call("crm.get", "{}");
    for content_type in [
        "text/plain",
        "application/json, text/plain",
        "application/json;charset=iso-8859-1",
        "multipart/form-data",
        "",
    ] {
        let request = request
            .clone()
            .without("content-type")
            .with("content-type", content_type);
        assert_eq!(
            send(&default(), &request).refusal(),
            (415, -32600, "content_type"),
            "{content_type}"
        );
    }
    assert_eq!(
        send(&default(), &request.clone().without("content-type"))
            .refusal()
            .0,
        415
    );
    let twice = request.clone().with("content-type", "application/json");
    assert_eq!(send(&default(), &twice).refusal(), (400, -32600, "header"));
    for encoding in ["gzip", "br", "identity, gzip"] {
        let request = request.clone().with("content-encoding", encoding);
        assert_eq!(
            send(&default(), &request).refusal(),
            (415, -32600, "content_encoding")
        );
    }
    for content_type in ["Application/JSON", "application/json ; charset=utf-8"] {
        let request = request
            .clone()
            .without("content-type")
            .with("content-type", content_type);
        let outcome = send(&default(), &request);
        assert_eq!(
            outcome.server_header("content-type"),
            Some("application/json")
        );
    }
    let upgrade = request.with("upgrade", "websocket");
    assert_eq!(
        send(&default(), &upgrade).refusal(),
        (400, -32600, "upgrade")
    );
}

#[test]
fn b13_b14_only_the_servers_own_path_is_served() {
    for path in [
        "/mcp/",
        "/mcp/x",
        "//mcp",
        "/mcp;x",
        "/%6dcp",
        "/MCP",
        "/",
        "/.well-known/oauth-protected-resource/mcp/",
        "/.well-known/openid-configuration",
    ] {
        let request = call("crm.get", "{}").path(path);
        assert_eq!(
            send(&default(), &request).refusal(),
            (404, -32600, "not_found"),
            "{path}"
        );
    }
    for path in ["/mcp?", "/mcp?access_token=x"] {
        let request = call("crm.get", "{}").path(path);
        assert_eq!(send(&default(), &request).refusal(), (400, -32600, "query"));
    }
}

#[test]
fn b15_other_methods() {
    for method in [
        "HEAD", "OPTIONS", "PUT", "PATCH", "CONNECT", "post", "TRACE",
    ] {
        let outcome = FakeHost::new(&default()).exchange(&Request::method(method), &[], false);
        assert_eq!(outcome.refusal(), (405, -32600, "http_method"), "{method}");
    }
    for method in ["GET", "DELETE"] {
        let request = Request::method(method);
        assert_eq!(
            send(&default(), &request.clone().without("authorization"))
                .refusal()
                .0,
            401
        );
        let outcome = send(&default(), &request);
        assert!(outcome.server.is_some(), "{method}");
        assert_eq!(outcome.record.decision.reason, "session");
    }
    let resumed = Request::method("GET").with("last-event-id", "7");
    assert_eq!(
        send(&default(), &resumed).refusal(),
        (400, -32600, "resumption")
    );
    let mut with_body = Request::method("DELETE");
    with_body.body = b"{}".to_vec();
    assert_eq!(
        send(&default(), &with_body).refusal(),
        (400, -32600, "body")
    );
    let empty = Request::post("");
    assert_eq!(send(&default(), &empty).refusal(), (400, -32600, "body"));
}

#[test]
fn b17_b24_methods_nobody_listed_and_tasks_are_refused() {
    for method in [
        "",
        "tools/Call",
        "sampling/createMessage",
        "x/y",
        "server/discover",
        "notifications/initialized",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#);
        assert_eq!(refusal(&body), (404, -32601, "unknown_method"), "{method}");
    }
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":"t"}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","task":{"ttl":1}}}"#,
    ] {
        assert_eq!(refusal(body), (404, -32601, "task"), "{body}");
    }
}

#[test]
fn the_tasks_extension_is_not_offered_to_the_server() {
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
fn b20_b22_headers_the_server_trusts_are_the_filters_own() {
    let request = call("crm.get", "{}")
        .with("x-mcp-user", "root")
        .with("x-mcp-user", "root2")
        .with("x_mcp_user", "root")
        .with("X-MCP-Organization", "globex")
        .with("x-mcp-roles", "admin")
        .with("x-forwarded-user", "root")
        .with("x-http-method-override", "DELETE")
        .with("accept-encoding", "gzip")
        .with("x-request-id", "kept");
    let outcome = send(&default(), &request);
    assert_eq!(outcome.server_header("x-mcp-user"), Some("u1"));
    assert_eq!(outcome.server_header("x-mcp-organization"), Some("acme"));
    assert_eq!(outcome.server_header("x-mcp-roles"), Some("support"));
    assert_eq!(outcome.server_header("x-request-id"), Some("kept"));
    for gone in [
        "x_mcp_user",
        "x-forwarded-user",
        "x-http-method-override",
        "accept-encoding",
        "authorization",
    ] {
        assert_eq!(outcome.server_header(gone), None, "{gone}");
    }
    let nobodys = request.token(json!({"org_id": null, "roles": null}));
    let list = Request {
        body: br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec(),
        ..nobodys.without("content-length")
    };
    let outcome = send(&default(), &list);
    assert_eq!(outcome.server_header("x-mcp-organization"), None);
    assert_eq!(outcome.server_header("x-mcp-roles"), None);
}

#[test]
fn b23_the_clients_token_reaches_the_server_only_if_the_policy_says_so() {
    let passing = policy(json!({"upstream": {"authorization": "pass"}}));
    let request = call("crm.get", "{}");
    assert!(
        send(&passing, &request)
            .server_header("authorization")
            .is_some()
    );
    assert_eq!(
        send(&default(), &request).server_header("authorization"),
        None
    );
}

#[test]
fn h05_headers_that_are_not_text_or_repeated_are_refused() {
    let twice = call("crm.get", "{}").with("authorization", "Bearer x");
    assert_eq!(send(&default(), &twice).refusal(), (400, -32600, "header"));
    let joined = call("crm.get", "{}")
        .without("authorization")
        .with("authorization", "Bearer a,Bearer b");
    assert_eq!(send(&default(), &joined).refusal().0, 401);
    let mut odd = call("crm.get", "{}");
    odd.headers
        .push(("mcp-session-id".into(), vec![0xff, 0xfe]));
    assert_eq!(send(&default(), &odd).refusal(), (400, -32600, "header"));
}

#[test]
fn tokens_decide_and_challenges_say_how_to_cure() {
    let policy = policy(json!({"scopes": ["crm:read"]}));
    let none = send(&policy, &call("crm.get", "{}").without("authorization"));
    assert_eq!(none.refusal(), (401, 401, "no_token"));
    assert_eq!(
        none.challenge(),
        "Bearer resource_metadata=\"https://crm.example.com/.well-known/oauth-protected-resource/mcp\", scope=\"crm:read\""
    );
    let expired = send(
        &policy,
        &call("crm.get", "{}").token(json!({"at_hash": "x"})),
    );
    assert_eq!(expired.refusal(), (401, 401, "token_type"));
    assert!(expired.challenge().contains("error=\"invalid_token\""));
    let scope = send(&policy, &call("crm.refund", r#"{"amount":5}"#));
    assert_eq!(scope.refusal(), (403, 403, "scope"));
    assert!(
        scope
            .challenge()
            .contains("error=\"insufficient_scope\", scope=\"crm:read crm:write\"")
    );
    assert_eq!(scope.record.decision.verdict, Verdict::NeedsReview);
    let with_scope =
        call("crm.refund", r#"{"amount":5}"#).token(json!({"scope": "crm:read crm:write"}));
    assert!(send(&policy, &with_scope).server.is_some());
    let too_much =
        call("crm.refund", r#"{"amount":500}"#).token(json!({"scope": "crm:read crm:write"}));
    assert_eq!(
        send(&policy, &too_much).refusal(),
        (200, -32602, "condition")
    );
}

#[test]
fn b25_conditions_are_judged_on_what_the_server_will_read() {
    let policy = policy(json!({"tools": {"crm.x": {"when": "args.organization_id == 'acme'"}}}));
    let outcome = send(&policy, &call("crm.x", r#"{"organization_id":"globex"}"#));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme"}"#);
}

#[test]
fn what_no_role_allows_looks_as_if_it_did_not_exist() {
    for (tool, reason) in [("hr.salaries", "no_role"), ("crm.purge", "denied")] {
        let outcome = send(&default(), &call(tool, "{}"));
        assert_eq!(outcome.refusal(), (200, -32602, reason));
        let reply = String::from_utf8(outcome.reply.unwrap().body).unwrap();
        assert!(reply.contains(&format!("Unknown tool: {tool}")), "{reply}");
        assert!(
            reply.starts_with("{\"jsonrpc\":\"2.0\",\"id\":1,"),
            "{reply}"
        );
    }
    let visible = policy(json!({"refusals": "visible"}));
    assert_eq!(
        send(&visible, &call("hr.salaries", "{}")).refusal(),
        (403, 403, "no_role")
    );
}

#[test]
fn origins_are_checked() {
    let request = call("crm.get", "{}");
    assert!(
        send(
            &default(),
            &request.clone().with("origin", "https://crm.example.com")
        )
        .server
        .is_some()
    );
    for origin in [
        "https://evil.example",
        "null",
        "https://crm.example.com.evil.example",
        "",
    ] {
        assert_eq!(
            send(&default(), &request.clone().with("origin", origin)).refusal(),
            (403, 403, "origin")
        );
    }
}

#[test]
fn the_metadata_document_needs_no_token() {
    for path in [
        "/.well-known/oauth-protected-resource",
        "/.well-known/oauth-protected-resource/mcp",
    ] {
        let request = Request::method("GET").without("authorization").path(path);
        let reply = send(&default(), &request).reply.unwrap();
        assert_eq!(reply.status, 200);
        let document: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(document["resource"], "https://crm.example.com/mcp");
        assert_eq!(
            document["authorization_servers"],
            json!(["https://login.example.com"])
        );
    }
}

#[test]
fn observe_mode_decides_and_changes_nothing() {
    let policy = policy(json!({"mode": "observe"}));
    for (request, reason, would_be) in [
        (call("hr.salaries", "{}"), "no_role", "blocked"),
        (
            call("crm.get", r#"{"organization_id":"globex"}"#),
            "allowed",
            "approved",
        ),
        (
            call("crm.get", "{}").without("authorization"),
            "no_token",
            "needs_review",
        ),
        (Request::post("not json"), "not_json", "blocked"),
    ] {
        let outcome = send(&policy, &request);
        let (headers, body) = outcome.server.as_ref().expect("forwarded");
        assert_eq!((headers, body), (&request.headers, &request.body));
        assert_eq!(outcome.record.decision.verdict, Verdict::Draft);
        assert_eq!(outcome.record.decision.reason, reason);
        assert_eq!(outcome.record.would_be, Some(would_be));
    }
}

#[test]
fn h02_with_the_buffer_filter_headers_are_changed_before_they_go() {
    let policy = policy(json!({"hold": "buffer_filter"}));
    let outcome = send(&policy, &call("crm.get", r#"{"organization_id":"globex"}"#));
    assert_eq!(received(&outcome), r#"{"organization_id":"acme"}"#);
    assert_eq!(outcome.server_header("x-mcp-user"), Some("u1"));
    assert_eq!(outcome.server_header("content-length"), None);
    assert_eq!(
        send(&policy, &call("hr.salaries", "{}")).refusal().2,
        "no_role"
    );
    let mirrored =
        modern_call("crm.get", r#"{"organization_id":"globex"}"#).with("mcp-param-org", "globex");
    assert_eq!(
        send(&policy, &mirrored).refusal(),
        (400, -32020, "header_mismatch")
    );
}

#[test]
fn a_client_that_leaves_has_a_record() {
    let policy = default();
    let mut exchange =
        super::super::Exchange::new(policy.clone(), None, super::super::Now { unix_ms: 1 });
    let mut verifier = crate::identity::Verifier::new(policy.issuers.clone()).unwrap();
    let headers = crate::mcp::headers::Headers::new(call("crm.get", "{}").headers);
    let now = super::super::Now {
        unix_ms: super::NOW * 1000,
    };
    assert_eq!(
        exchange.request_headers(headers, false, &mut verifier, now),
        super::super::Step::Hold
    );
    let record = exchange.finish(0, now).unwrap();
    assert_eq!(record.decision.reason, "client_gone");
    let unborn = super::super::Exchange::new(policy, None, now);
    assert_eq!(unborn.finish(0, now), None);
}

#[test]
fn b45_nothing_secret_is_in_a_record() {
    let request = call(
        "crm.get",
        r#"{"organization_id":"s3cret-org","note":"s3cret-note"}"#,
    );
    let token = String::from_utf8(request.headers.last().unwrap().1.clone()).unwrap();
    let outcome = send(&default(), &request.path("/mcp?token=s3cret-query"));
    let other = send(
        &default(),
        &call(
            "crm.get",
            r#"{"organization_id":"s3cret-org","note":"s3cret-note"}"#,
        ),
    );
    for record in [outcome.record, other.record] {
        let json = record.to_json();
        assert!(
            !json.contains("s3cret")
                && !json.contains(token.trim_start_matches("Bearer "))
                && !json.contains("\"u1\""),
            "{json}"
        );
    }
}
