//! Calls that use up what authorizes them (threats B44).

use super::fake_proxy::Store;
use super::*;

fn once() -> Rc<Policy> {
    policy(json!({"tools": {"crm.get": {"single_use": true}}, "dpop": "accepted"}))
}

fn sent(policy: &Rc<Policy>, store: &Store, request: &Request) -> Outcome {
    let host = FakeProxy::new(policy).with_store(store);
    host.send(request, &[], false)
}

fn with_token(token: &str, tool: &str) -> Request {
    let bearer = format!("Bearer {token}");
    let call = call(tool, "{}").without("authorization");
    call.with("authorization", &bearer)
}

#[test]
fn b44_a_token_is_good_for_one_such_call() {
    let (policy, store) = (once(), Store::default());
    let token = tokens::token(json!({"jti": "1"}));
    let call = |tool| sent(&policy, &store, &with_token(&token, tool));
    assert!(call("crm.other").server.is_some());
    assert!(call("crm.get").server.is_some());
    let again = call("crm.get");
    assert_eq!(again.refusal(), (401, 401, "token_used"));
    assert!(again.challenge().contains("error=\"invalid_token\""));
    assert!(call("crm.other").server.is_some());
    let next = tokens::token(json!({"jti": "2"}));
    let next = sent(&policy, &store, &with_token(&next, "crm.get"));
    assert!(next.server.is_some());
}

#[test]
fn b44_what_is_refused_uses_nothing_up() {
    let (policy, store) = (once(), Store::default());
    let token = tokens::token(json!({"jti": "1"}));
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"crm.get","arguments":{"a":1,"a":2}}}"#;
    let odd = Request::post(body).without("authorization");
    let odd = odd.with("authorization", &format!("Bearer {token}"));
    assert_eq!(sent(&policy, &store, &odd).refusal().2, "body_not_json");
    assert!(
        sent(&policy, &store, &with_token(&token, "crm.get"))
            .server
            .is_some()
    );
}

#[test]
fn b44_each_proof_is_good_for_one_such_call() {
    let (policy, store) = (once(), Store::default());
    let first = possession::proven();
    assert!(sent(&policy, &store, &first).server.is_some());
    // Another worker has not seen it.
    let again = sent(&policy, &store, &first);
    assert_eq!(again.refusal(), (401, 401, "dpop_replayed"));
}

#[test]
fn in_observe_mode_nothing_is_used_up() {
    let policy = policy(json!({"mode": "observe", "tools": {"crm.get": {"single_use": true}}}));
    let store = Store::default();
    let token = tokens::token(json!({"jti": "1"}));
    for _ in 0..2 {
        let outcome = sent(&policy, &store, &with_token(&token, "crm.get"));
        assert!(outcome.server.is_some());
    }
    assert!(store.borrow().is_empty());
}

#[test]
fn a_store_that_cannot_be_read_lets_nothing_pass() {
    let (policy, store) = (once(), Store::default());
    store.replace(b"{".to_vec());
    let outcome = sent(&policy, &store, &call("crm.get", "{}"));
    assert_eq!(outcome.refusal(), (503, 503, "store_unavailable"));
}

#[test]
fn an_anonymous_caller_cannot_make_such_a_call() {
    let policy = policy(json!({
        "tools": {"crm.get": {"single_use": true}},
        "anonymous": {"tools": ["crm.get"]},
    }));
    let request = call("crm.get", "{}").without("authorization");
    let outcome = sent(&policy, &Store::default(), &request);
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "sign_in_needed");
}
