//! Observe mode that asks for tokens, and what the log says about refused tokens.

use serde_json::{Value, json};

use super::fake_proxy::{Outcome, Request};
use super::{call, policy, send};
use crate::decision::Verdict;

fn observing(changes: Value) -> std::rc::Rc<policy::Policy> {
    let mut all = json!({"mode": "observe", "observe": {"sign_in": true}});
    all.as_object_mut()
        .unwrap()
        .extend(changes.as_object().unwrap().clone());
    policy(all)
}

fn verdict(outcome: &Outcome) -> (Verdict, &'static str) {
    (
        outcome.record.decision.verdict,
        outcome.record.decision.reason,
    )
}

#[test]
fn r17_observing_with_sign_in_refuses_requests_without_a_valid_token() {
    let policy = observing(json!({}));
    let without = |request: Request| request.without("authorization");
    for (request, reason) in [
        (without(call("crm.get", "{}")), "no_token"),
        (without(Request::method("GET")), "no_token"),
        (without(Request::method("HEAD")), "no_token"),
        (
            call("crm.get", "{}").token(json!({"aud": "other"})),
            "token_audience_wrong",
        ),
        // What observe mode lets pass otherwise.
        (without(call("crm.get", "{}")).path("/mcp?x=1"), "no_token"),
        (
            without(call("crm.get", "{}")).with("origin", "https://evil.example"),
            "no_token",
        ),
        (
            call("crm.get", "{}").with("authorization", "Bearer x"),
            "header_malformed",
        ),
    ] {
        let outcome = send(&policy, &request);
        assert_eq!(outcome.server, None, "{reason}");
        assert_eq!(outcome.record.decision.reason, reason);
        assert_ne!(outcome.record.decision.verdict, Verdict::Draft, "{reason}");
        assert_eq!(outcome.record.would_be, None);
    }
    let none = send(&policy, &without(call("crm.get", "{}")));
    assert_eq!(none.refusal().0, 401);
    assert!(none.challenge().contains("resource_metadata="));
}

#[test]
fn r17_observing_with_sign_in_only_watches_the_rest() {
    let policy = observing(json!({}));
    for (request, reason, would_be) in [
        (
            call("crm.purge", r#"{"role":"admin"}"#),
            "denied",
            Some("blocked"),
        ),
        (call("crm.get", "{}"), "allowed", Some("approved")),
        (
            call("crm.get", "{}").path("/mcp?x=1"),
            "query_not_accepted",
            Some("blocked"),
        ),
    ] {
        let outcome = send(&policy, &request);
        assert_eq!(verdict(&outcome), (Verdict::Draft, reason));
        assert_eq!(outcome.record.would_be, would_be);
        assert!(outcome.record.subject.is_some());
        assert_eq!(outcome.server_body(), request.body);
        // The token is for the filter, which asked for it.
        assert_eq!(outcome.server_header("authorization"), None);
        assert_eq!(outcome.record.upstream_credential, Some("none"));
    }
    // Other paths of the route are not MCP.
    let other = send(&policy, &call("crm.get", "{}").path("/health"));
    assert_eq!(verdict(&other), (Verdict::Draft, "not_found"));
    assert!(other.server_header("authorization").is_some());
}

#[test]
fn r17_the_servers_own_token_passes_where_the_policy_passes_it() {
    let pass = observing(json!({"upstream": {"authorization": "pass"}}));
    let outcome = send(&pass, &call("crm.get", "{}"));
    assert!(outcome.server_header("authorization").is_some());
    // Without `sign_in` nothing is asked for, and nothing changes.
    let silent = policy(json!({"mode": "observe"}));
    let outcome = send(&silent, &call("crm.get", "{}"));
    assert!(outcome.server_header("authorization").is_some());
    let outcome = send(&silent, &call("crm.get", "{}").without("authorization"));
    assert_eq!(verdict(&outcome), (Verdict::Draft, "no_token"));
    assert!(outcome.server.is_some());
}

#[test]
fn r17_clients_find_the_authorization_server_while_the_filter_observes() {
    let metadata = Request::method("GET")
        .without("authorization")
        .path("/.well-known/oauth-protected-resource/mcp");
    let outcome = send(&observing(json!({})), &metadata);
    assert_eq!(outcome.reply.unwrap().status, 200);
    assert_eq!(outcome.record.decision.reason, "metadata_published");
    let outcome = send(&policy(json!({"mode": "observe"})), &metadata);
    assert!(outcome.server.is_some());
}

#[test]
fn r17_with_anonymous_tools_the_others_ask_for_a_sign_in() {
    let policy = observing(json!({"anonymous": {"tools": ["crm.docs"]}}));
    let open = send(&policy, &call("crm.docs", "{}").without("authorization"));
    assert_eq!(verdict(&open), (Verdict::Draft, "allowed"));
    let asked = send(&policy, &call("crm.get", "{}").without("authorization"));
    assert_eq!(verdict(&asked), (Verdict::NeedsReview, "sign_in_needed"));
    assert_eq!(asked.server, None);
}

#[test]
fn r8_the_log_says_what_a_refused_token_has_and_the_client_does_not_see_it() {
    let policy = policy(json!({}));
    let refused = send(
        &policy,
        &call("crm.get", "{}").token(json!({"aud": "https://other.example"})),
    );
    assert_eq!(refused.refusal().2, "token_audience_wrong");
    let evidence: Vec<_> = refused.record.decision.evidence.iter().collect();
    let found = evidence
        .iter()
        .find(|each| each.source == "token.aud")
        .unwrap();
    assert_eq!(
        found.summary,
        "found `https://other.example`; `issuers[0].audiences` in the policy decides about it"
    );
    let reply = refused.reply.unwrap();
    assert!(!String::from_utf8_lossy(&reply.body).contains("other.example"));
    let headers = format!("{:?}", reply.headers);
    assert!(!headers.contains("other.example"), "{headers}");
}

#[test]
fn r16_a_token_that_is_too_large_is_no_reason_to_sign_in_again() {
    let large = json!({"groups": "x".repeat(40_000)});
    let refused = send(&policy(json!({})), &call("crm.get", "{}").token(large));
    assert_eq!(refused.refusal(), (431, -32600, "token_too_large"));
    assert_eq!(refused.challenge(), "");
    assert_eq!(refused.record.decision.verdict, Verdict::Blocked);
    let body = refused.reply.unwrap().body;
    assert!(String::from_utf8_lossy(&body).contains("32 KiB"));
}

#[test]
fn r18_the_record_has_the_client_and_the_request_id() {
    let request = call("crm.get", "{}")
        .token(json!({"azp": "chat"}))
        .with("x-request-id", "8f0e2f8c-1111");
    let record = send(&policy(json!({})), &request).record;
    assert_eq!(record.client.as_deref(), Some("chat"));
    assert_eq!(record.request_id.as_deref(), Some("8f0e2f8c-1111"));
    let long = call("crm.get", "{}").with("x-request-id", &"r".repeat(500));
    let long = send(&policy(json!({})), &long).record;
    assert!(long.request_id.is_some_and(|id| id.len() < 150));
}
