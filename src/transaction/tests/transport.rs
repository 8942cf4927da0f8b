//! Paths, methods, media types, headers.

use serde_json::json;

use super::fake_proxy::{FakeProxy, Request};
use super::{call, default, modern_call, policy, received, send};

#[test]
fn b11_bodies_over_the_limit_are_refused() {
    let policy = policy(json!({"max_body": 300}));
    let request = call("crm.get", &format!(r#"{{"q":"{}"}}"#, "x".repeat(300)));
    assert_eq!(
        send(&policy, &request).refusal(),
        (413, -32600, "body_too_large")
    );
    let undeclared = request.without("content-length");
    assert_eq!(
        send(&policy, &undeclared).refusal(),
        (413, -32600, "body_too_large")
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
            (415, -32600, "content_type_not_json"),
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
    assert_eq!(
        send(&default(), &twice).refusal(),
        (400, -32600, "header_malformed")
    );
    for encoding in ["gzip", "br", "identity, gzip"] {
        let request = request.clone().with("content-encoding", encoding);
        assert_eq!(
            send(&default(), &request).refusal(),
            (415, -32600, "body_compressed")
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
        (400, -32600, "upgrade_not_accepted")
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
        assert_eq!(
            send(&default(), &request).refusal(),
            (400, -32600, "query_not_accepted")
        );
    }
}

#[test]
fn a_stream_of_http_sse_ends_with_what_to_use_instead() {
    let stream = "event: endpoint\ndata: /messages?sessionId=1\n\ndata: {}\n\n";
    let events = [(":status", "200"), ("content-type", "text/event-stream")];
    let outcome = send(
        &default(),
        &Request::method("GET").answered(&events, stream),
    );
    assert!(!outcome.client_body().contains("sessionId"));
    assert!(outcome.client_body().contains("let it use Streamable HTTP"));
    assert_eq!(outcome.record.decision.reason, "http_sse_unsupported");
}

#[test]
fn b15_other_methods() {
    for method in [
        "HEAD", "OPTIONS", "PUT", "PATCH", "CONNECT", "post", "TRACE", "head",
    ] {
        let outcome = FakeProxy::new(&default()).send(&Request::method(method), &[], false);
        assert_eq!(
            outcome.refusal(),
            (405, -32600, "http_method_not_allowed"),
            "{method}"
        );
    }
    let without = Request::method("HEAD").without("authorization");
    assert_eq!(send(&default(), &without).refusal().0, 401);
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
        assert_eq!(outcome.record.decision.reason, "session_allowed");
    }
    let resumed = Request::method("GET").with("last-event-id", "7");
    assert_eq!(
        send(&default(), &resumed).refusal(),
        (400, -32600, "unknown_event")
    );
    let mut with_body = Request::method("DELETE");
    with_body.body = b"{}".to_vec();
    assert_eq!(
        send(&default(), &with_body).refusal(),
        (400, -32600, "body_missing_or_unexpected")
    );
    let empty = Request::post("");
    assert_eq!(
        send(&default(), &empty).refusal(),
        (400, -32600, "body_missing_or_unexpected")
    );
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
    assert_eq!(
        send(&default(), &twice).refusal(),
        (400, -32600, "header_malformed")
    );
    let joined = call("crm.get", "{}")
        .without("authorization")
        .with("authorization", "Bearer a,Bearer b");
    assert_eq!(send(&default(), &joined).refusal().0, 401);
    let mut odd = call("crm.get", "{}");
    odd.headers
        .push(("mcp-session-id".into(), vec![0xff, 0xfe]));
    assert_eq!(
        send(&default(), &odd).refusal(),
        (400, -32600, "header_malformed")
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
            (403, 403, "origin_not_allowed")
        );
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
    let unchecked = call("crm.get", "{}").with("mcp-name", "crm.purge");
    assert_eq!(send(&policy, &unchecked).server_header("mcp-name"), None);
    let mirrored =
        modern_call("crm.get", r#"{"organization_id":"globex"}"#).with("mcp-param-org", "globex");
    assert_eq!(
        send(&policy, &mirrored).refusal(),
        (500, -32603, "headers_already_sent")
    );
}
