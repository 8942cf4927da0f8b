//! Calls that another person has to approve: what the caller receives, and what is asked.

use super::fake_proxy::{Store, secrets};
use super::*;
use crate::accounts::Random;
use crate::engine::Secrets;

fn approving(more: Value) -> Rc<Policy> {
    let mut changes = json!({
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"inline": tokens::key_set()},
            "identity": {"organization": "org_id", "roles": "roles"},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "mcp-pages",
            },
        }],
        "roles": {
            "support": {"tools": ["crm.*"], "deny": ["crm.purge"]},
            "manager": {"extends": ["support"]},
        },
        "tools": {"crm.get": {"confirm": {"by": {"role": "manager"}}}},
        "seal": {"key_env": "KEY"},
    });
    for (key, value) in more.as_object().unwrap() {
        changes[key] = value.clone();
    }
    policy(changes)
}

fn with_random(policy: &Policy) -> Secrets {
    Secrets {
        random: Random(crate::pages::fake_world::random),
        ..secrets(policy)
    }
}

fn sent(policy: &Rc<Policy>, store: &Store, request: &Request) -> Outcome {
    FakeProxy::with_secrets(policy, with_random(policy), 0)
        .with_store(store)
        .send(request, &[], false)
}

fn text(outcome: &Outcome) -> String {
    let body: Value = serde_json::from_slice(&outcome.reply.as_ref().unwrap().body).unwrap();
    assert_eq!(body["result"]["isError"], true, "{body}");
    body["result"]["content"][0]["text"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_caller_hears_at_once_that_the_call_waits() {
    let (policy, store) = (approving(json!({})), Store::default());
    for request in [
        call("crm.get", r#"{"q":"x"}"#),
        modern_call("crm.get", r#"{"q":"x"}"#),
    ] {
        let outcome = sent(&policy, &store, &request);
        assert_eq!(outcome.server, None);
        let text = text(&outcome);
        for part in [
            "waits for approval",
            "`manager`",
            "https://crm.example.com/.mcp-auth/approvals",
            "within 60 minutes",
            "send the same call again",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let decision = &outcome.record.decision;
        assert_eq!(decision.reason, "approval_needed");
        assert_eq!(decision.verdict.name(), "needs_review");
        assert!(decision.next_action.as_ref().unwrap().contains("`manager`"));
        assert_eq!(outcome.record.approval.as_ref().unwrap().len(), 16);
    }
    // One question: the order of keys and the protocol version do not matter.
    let first = sent(&policy, &store, &call("crm.get", r#"{"a":1,"b":2}"#))
        .record
        .approval;
    let again = sent(
        &policy,
        &store,
        &modern_call("crm.get", r#"{ "b":2, "a":1}"#),
    )
    .record
    .approval;
    assert_eq!(first, again);
    let other = sent(&policy, &store, &call("crm.get", r#"{"a":1,"b":3}"#))
        .record
        .approval;
    assert_ne!(first, other);
    let client = call("crm.get", r#"{"a":1,"b":2}"#).token(json!({"client_id": "other"}));
    assert_ne!(first, sent(&policy, &store, &client).record.approval);
}

#[test]
fn only_callers_of_an_organization_can_ask() {
    let (policy, store) = (approving(json!({})), Store::default());
    let nowhere = call("crm.get", "{}").token(json!({"org_id": null}));
    let outcome = sent(&policy, &store, &nowhere);
    assert_eq!(
        outcome.record.decision.reason,
        "approval_organization_missing"
    );
    assert!(text(&outcome).contains("organization"));
    let open = approving(json!({"anonymous": {"tools": ["crm.get"]}}));
    let anonymous = call("crm.get", "{}").without("authorization");
    let outcome = sent(&open, &store, &anonymous);
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "sign_in_needed");
    // Roles come first.
    let outcome = sent(&policy, &store, &call("crm.purge", "{}"));
    assert_eq!(outcome.record.decision.reason, "denied");
}

#[test]
fn a9_the_callers_own_yes_is_no_approval() {
    // The policy asked the caller before, and asks another person now.
    let before =
        policy(json!({"tools": {"crm.get": {"confirm": true}}, "seal": {"key_env": "KEY"}}));
    let now = approving(json!({"tools": {
        "crm.*": {"confirm": true},
        "crm.get": {"confirm": {"by": {"role": "manager"}}},
    }}));
    let asked = |more: Value| {
        let mut params = json!({
            "name": "crm.get", "arguments": {},
            "_meta": {
                "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
            },
        });
        for (name, value) in more.as_object().unwrap() {
            params[name] = value.clone();
        }
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
        Request::post(&body.to_string())
            .with("mcp-protocol-version", "2026-07-28")
            .with("mcp-method", "tools/call")
            .with("mcp-name", "crm.get")
    };
    let reply = send(&before, &asked(json!({}))).reply.unwrap();
    let body: Value = serde_json::from_slice(&reply.body).unwrap();
    let state = &body["result"]["requestState"];
    let answer = json!({
        "requestState": state,
        "inputResponses": {"mcp-auth-filter": {"action": "accept", "content": {}}},
    });
    let outcome = sent(&now, &Store::default(), &asked(answer));
    assert_eq!(outcome.record.decision.reason, "approval_needed");
    assert_eq!(outcome.server, None);
}

#[test]
fn observe_mode_asks_nobody() {
    let observing = approving(json!({"mode": "observe"}));
    let store = Store::default();
    assert!(
        sent(&observing, &store, &call("crm.get", "{}"))
            .server
            .is_some()
    );
    assert!(store.borrow().is_empty());
    let page = Request::method("GET").path("/.mcp-auth/approvals");
    assert_ne!(
        sent(&observing, &store, &page).record.decision.reason,
        "sign_in_started"
    );
}

#[test]
fn a_call_that_asks_for_a_task_waits_too() {
    let policy = approving(json!({}));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "crm.get", "arguments": {}, "task": {}}});
    let outcome = sent(
        &policy,
        &Store::default(),
        &Request::post(&body.to_string()),
    );
    assert_eq!(outcome.record.decision.reason, "approval_needed");
    let body: Value = serde_json::from_slice(&outcome.reply.unwrap().body).unwrap();
    assert!(
        body["error"]["message"]
            .as_str()
            .unwrap()
            .contains("waits for approval")
    );
}

#[test]
fn arguments_that_cannot_be_shown_cannot_be_approved() {
    let (policy, store) = (approving(json!({})), Store::default());
    let long = json!({"text": "x".repeat(20_000)}).to_string();
    let outcome = sent(&policy, &store, &call("crm.get", &long));
    assert_eq!(outcome.refusal().2, "arguments_too_long_to_show");
    assert!(store.borrow().is_empty());
    let twice = call("crm.get", r#"{"a":1,"a":2}"#);
    assert_ne!(
        sent(&policy, &store, &twice).record.decision.reason,
        "approval_needed"
    );
    assert!(store.borrow().is_empty());
}

#[test]
fn a_view_is_part_of_the_call_and_the_people_are_those_of_the_caller() {
    let policy = approving(json!({
        "roles": {
            "support": {"tools": ["crm.*"], "view_as": {"users": ["test-1"]}},
            "manager": {"extends": ["support"]},
        },
        "view_as": {
            "header": "x-view-as",
            "users": {"test-1": {"organization": "test-org", "roles": ["support"]}},
        },
    }));
    let store = Store::default();
    let own = sent(&policy, &store, &call("crm.get", "{}")).record;
    let viewed = call("crm.get", "{}").with("x-view-as", "user:test-1");
    let viewed = sent(&policy, &store, &viewed).record;
    assert_eq!(viewed.decision.reason, "approval_needed");
    assert_eq!(viewed.acting_as.as_deref(), Some("user:test-1"));
    assert_ne!(own.approval, viewed.approval);
    // Both questions are in the list of the caller's own organization: there is one list.
    let records: Vec<Value> = serde_json::from_slice(&store.borrow()).unwrap();
    assert_eq!(records.len(), 3);
}

#[test]
fn an_open_question_is_bounded_and_each_policy_has_its_own() {
    let (policy, store) = (approving(json!({})), Store::default());
    let reason = |policy: &Rc<Policy>, at: u32| {
        let arguments = json!({"at": at}).to_string();
        sent(policy, &store, &call("crm.get", &arguments))
            .record
            .decision
            .reason
    };
    for at in 0..8 {
        assert_eq!(reason(&policy, at), "approval_needed");
    }
    assert_eq!(reason(&policy, 8), "approvals_full");
    let other = approving(json!({"resource": "https://hr.example.com/mcp", "path": "/mcp"}));
    let request = call("crm.get", "{}").token(json!({"aud": "https://hr.example.com/mcp"}));
    assert_eq!(
        sent(&other, &store, &request).record.decision.reason,
        "approval_needed"
    );
    // Without the store nothing passes.
    let broken: Store = Rc::new(std::cell::RefCell::new(b"?".to_vec()));
    let outcome = sent(&policy, &broken, &call("crm.get", "{}"));
    assert_eq!((outcome.server, outcome.record.status), (None, 503));
}
