//! One fixed caller, on this machine only.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::Request;
use super::{call, policy, received, send};
use crate::transaction::Peer;
use policy::Policy;

fn local(changes: &Value) -> Rc<Policy> {
    let mut document = json!({
        "issuers": [],
        "local": {"user": "dev", "organization": "acme", "roles": ["support"], "scopes": ["crm:write"]},
        "seal": {"key_env": "KEY"},
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    policy(document)
}

fn here(request: Request) -> Request {
    request
        .without("authorization")
        .from(Peer::of(b"127.0.0.1:80", b"127.0.0.1:5000"))
}

#[test]
fn the_policy_names_the_caller_on_this_machine() {
    let policy = local(&json!({}));
    let request = here(call("crm.notes", r#"{"user_id":"u2"}"#)).with("x-mcp-user", "u2");
    let outcome = send(&policy, &request);
    assert_eq!(
        received(&outcome),
        r#"{"organization_id":"acme","user_id":"dev"}"#
    );
    for (header, expected) in [
        ("x-mcp-user", "dev"),
        ("x-mcp-organization", "acme"),
        ("x-mcp-roles", "support"),
    ] {
        assert_eq!(outcome.server_header(header), Some(expected));
    }
    let record = &outcome.record;
    assert_eq!(record.identified_by, Some("local"));
    assert_eq!(record.token_age_s, None);
    assert_eq!(record.upstream_credential, Some("none"));
    assert_eq!(record.decision.evidence[0].source, "local");
    assert_eq!(
        send(&policy, &here(call("crm.purge", "{}"))).refusal().2,
        "denied"
    );
}

#[test]
fn b23_a_token_under_a_policy_without_issuers_ends_here() {
    let request = here(call("crm.get", "{}")).with("authorization", "Bearer stray");
    let outcome = send(&local(&json!({})), &request);
    assert_eq!(outcome.server_header("authorization"), None);
    assert_eq!(outcome.server_header("x-mcp-user"), Some("dev"));
}

#[test]
fn a_caller_elsewhere_is_not_the_local_caller() {
    let policy = local(&json!({}));
    let elsewhere = Peer::of(b"10.0.0.1:80", b"10.0.0.2:5000");
    for request in [
        call("crm.get", "{}"),
        call("crm.get", "{}").from(elsewhere),
        here(call("crm.get", "{}")).with("x-forwarded-for", "203.0.113.5, 10.0.0.1"),
        here(call("crm.get", "{}")).with("forwarded", "for=203.0.113.5"),
        here(call("crm.get", "{}")).with("via", "1.1 proxy"),
        here(call("crm.get", "{}")).with("x-real-ip", "203.0.113.5"),
        here(call("crm.get", "{}")).with("x-forwarded-host", "crm.example.com"),
        here(Request::method("GET")).from(elsewhere),
        Request::method("GET").path("/.well-known/oauth-protected-resource"),
        Request::method("OPTIONS")
            .with("origin", "https://crm.example.com")
            .with("access-control-request-method", "POST"),
    ] {
        let outcome = send(&policy, &request);
        assert_eq!(outcome.refusal(), (403, 403, "not_local"), "{request:?}");
        assert_eq!(outcome.challenge(), "");
        let decision = &outcome.record.decision;
        assert!(decision.next_action.as_ref().unwrap().contains("127.0.0.1"));
    }
    // Envoy's own entry, which it makes before the filter.
    let own = here(call("crm.get", "{}")).with("x-forwarded-for", "10.0.0.1");
    assert!(send(&policy, &own).server.is_some());
}

#[test]
fn b43_a_page_that_names_itself_this_machine_is_refused() {
    let policy = local(&json!({}));
    let at = |authority: &str| {
        let request = here(call("crm.get", "{}")).without(":authority");
        send(&policy, &request.with(":authority", authority))
    };
    for own in [
        "localhost",
        "LOCALHOST:10000",
        "127.0.0.1:10000",
        "127.0.0.2",
        "[::1]:10000",
        "[::ffff:127.0.0.1]",
        "crm.example.com:8443",
    ] {
        assert!(at(own).server.is_some(), "{own}");
    }
    for foreign in [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil.example/localhost",
        "localhost@evil.example",
        "evil@localhost",
        "10.0.0.1",
        "[::2]",
        "0.0.0.0",
        "",
    ] {
        assert_eq!(
            at(foreign).refusal(),
            (403, 403, "host_not_allowed"),
            "{foreign}"
        );
    }
    let page = here(call("crm.get", "{}")).with("origin", "http://evil.example");
    assert_eq!(send(&policy, &page).refusal().2, "origin_not_allowed");
}

#[test]
fn there_is_nowhere_to_sign_in() {
    let policy = local(&json!({}));
    for path in ["", "/mcp"] {
        let path = format!("/.well-known/oauth-protected-resource{path}");
        let outcome = send(&policy, &here(Request::method("GET")).path(&path));
        assert_eq!(outcome.refusal(), (404, -32600, "not_found"));
    }
}

#[test]
fn a_policy_with_issuers_does_not_ask_where_a_request_comes_from() {
    let outcome = send(&super::default(), &call("crm.get", "{}"));
    assert_eq!(outcome.record.identified_by, Some("token"));
    assert_eq!(outcome.record.token_age_s, Some(10));
    assert!(outcome.server.is_some());
}
