//! Requests for the filter's own pages, as they arrive.

use std::rc::Rc;

use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{policy, send};
use crate::accounts::vault::{AccountPlace, ConversationId};
use crate::pages::connect_link;
use base::seal::Sealer;
use base::time::UnixTime;
use policy::Policy;

fn connecting(changes: Value) -> Rc<Policy> {
    let mut document = json!({
        "seal": {"key_env": "SEAL"},
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"inline": super::tokens::key_set()},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "pages",
            },
            "identity": {"organization": "org_id", "roles": "roles"},
        }],
        "connections": {
            "notes": {
                "issuer": "https://notes.example.com",
                "authorize": "https://notes.example.com/authorize",
                "token": {"cluster": "notes", "path": "/token"},
                "client_id": "mcp",
            },
        },
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    policy(document)
}

fn page(path: &str) -> Request {
    Request::method("GET").without("authorization").path(path)
}

fn html(outcome: &Outcome) -> String {
    let reply = outcome.reply.as_ref().expect("answered");
    let html = ("content-type", "text/html; charset=utf-8".to_owned());
    assert!(reply.headers.contains(&html), "{:?}", reply.headers);
    String::from_utf8(reply.body.clone()).unwrap()
}

#[test]
fn a_page_is_answered_here_and_logged_once() {
    let policy = connecting(json!({}));
    for (path, status, reason, verdict) in [
        (
            "/.mcp-auth/connect?ticket=x",
            400,
            "link_invalid",
            "blocked",
        ),
        (
            "/.mcp-auth/callback/notes?code=c&state=s",
            400,
            "state_invalid",
            "blocked",
        ),
        ("/.mcp-auth/x", 404, "not_found", "blocked"),
    ] {
        let outcome = send(&policy, &page(path));
        html(&outcome);
        assert_eq!(outcome.record.status, status);
        assert_eq!(outcome.record.decision.reason, reason);
        assert_eq!(outcome.record.decision.verdict.name(), verdict);
        // What is behind the question mark is nobody's business.
        assert!(!outcome.record.to_json().contains("ticket="));
    }
}

#[test]
fn a_form_is_judged_after_its_whole_body() {
    let policy = connecting(json!({}));
    let mut form = Request::post("ticket=x&form=y")
        .without("authorization")
        .path("/.mcp-auth/connect")
        .with("origin", "https://crm.example.com");
    form = form
        .without("content-type")
        .with("content-type", "application/x-www-form-urlencoded");
    let outcome = send(&policy, &form);
    assert_eq!(outcome.record.decision.reason, "link_invalid");
    let foreign = form
        .without("origin")
        .with("origin", "https://evil.example");
    assert_eq!(
        send(&policy, &foreign).record.decision.reason,
        "origin_not_allowed"
    );
}

#[test]
fn a_token_opens_no_page() {
    // Who opens a page is told by the browser's own sign-in, and by nothing a script could send.
    let policy = connecting(json!({}));
    let place = AccountPlace {
        resource: policy.resource.clone(),
        issuer: "https://login.example.com".into(),
        user: "u1".into(),
        conversation: ConversationId::User,
        connection: "notes".into(),
        client: String::new(),
        test_user: String::new(),
        kept: String::new(),
    };
    let sealer = Sealer::new(&"secret".repeat(6)).unwrap();
    let link = connect_link(&policy, &sealer, &place, UnixTime::from_secs(super::NOW));
    let link = link.strip_prefix("https://crm.example.com").unwrap();
    let outcome = send(&policy, &Request::method("GET").path(link));
    // Nobody is signed in, and without randomness no sign-in begins.
    assert_eq!(outcome.record.decision.reason, "randomness_unavailable");
}

#[test]
fn without_connections_there_are_no_pages() {
    let none = connecting(json!({"connections": {}}));
    let outcome = send(&none, &page("/.mcp-auth/connect?ticket=x"));
    assert_eq!(outcome.record.decision.reason, "not_found");
    let observe = connecting(json!({"mode": "observe"}));
    let outcome = send(&observe, &page("/.mcp-auth/connect?ticket=x"));
    assert!(outcome.server.is_some());
}
