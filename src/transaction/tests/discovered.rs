//! Connections at an authorization server that this filter found out about itself.

use super::connect::{answer, connected, connecting, found, place, sent, store_with};
use super::*;
use crate::accounts::vault::LinkedAccount;

/// A policy that says whom to ask, with these changes to the connection.
fn discovering(changes: Value) -> Rc<Policy> {
    let mut notes = json!({
        "title": "Notes",
        "issuer": "https://notes.example.com",
        "discover": {"cluster": "notes"},
        "lifetime": "10m",
    });
    for (key, value) in changes.as_object().unwrap() {
        notes[key] = value.clone();
    }
    connecting(json!({"connections": {"notes": notes}}))
}

/// A connection of a client that was found out, or of the policy's.
fn of_client(client_id: Option<&str>) -> LinkedAccount {
    let discovered = json!({
        "authorize": "https://notes.example.com/authorize",
        "token": "https://notes.example.com/oauth/token",
        "iss": false,
        "client_id": client_id,
    });
    let discovered = serde_json::from_value(discovered).unwrap();
    connected().with_tokens(|tokens| tokens.discovered = Some(discovered))
}

fn tokens() -> Value {
    json!({"access_token": "at-2", "token_type": "Bearer", "expires_in": 300})
}

#[test]
fn a_token_is_refreshed_at_the_discovered_server_by_the_discovered_client() {
    for (policy, client_id, expected) in [
        (discovering(json!({})), Some("c-1"), "c-1"),
        (discovering(json!({"client_id": "own"})), None, "own"),
        // What was made before is the other client's.
        (discovering(json!({"client_id": "own"})), Some("c-1"), "c-1"),
    ] {
        let store = store_with(&place(), &of_client(client_id));
        let answers = [answer(200, &tokens())];
        let (outcome, calls) = sent(&policy, &store, &call("crm.get", "{}"), 280, &answers);
        assert_eq!(outcome.server_header("authorization"), Some("Bearer at-2"));
        let [asked] = &calls[..] else {
            panic!("{calls:?}");
        };
        assert_eq!(asked.cluster, "notes");
        for header in [
            (":path", "/oauth/token"),
            (":authority", "notes.example.com"),
        ] {
            let header = (header.0, header.1.to_owned());
            assert!(asked.headers.contains(&header), "{header:?}");
        }
        let form = String::from_utf8(asked.body.clone()).unwrap();
        assert!(form.ends_with(&format!("&client_id={expected}")), "{form}");
        let kept = found(&store).unwrap();
        let discovered = |account: LinkedAccount| account.tokens().unwrap().discovered.clone();
        assert_eq!(discovered(kept), discovered(of_client(client_id)));
    }
}

#[test]
fn the_user_links_again_if_the_discovered_client_is_unknown() {
    let unknown = || [answer(401, &json!({"error": "invalid_client"}))];
    let request = call("crm.get", "{}");
    let (policy, own) = (
        discovering(json!({})),
        discovering(json!({"client_id": "own"})),
    );
    let store = store_with(&place(), &of_client(Some("c-1")));
    let (outcome, _) = sent(&policy, &store, &request, 280, &unknown());
    assert_eq!(outcome.record.decision.reason, "account_not_connected");
    // To whom the policy says it is, connecting again is of no help.
    let store = store_with(&place(), &of_client(None));
    let (outcome, _) = sent(&own, &store, &request, 280, &unknown());
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-1"));
}

#[test]
fn b41_a_server_that_the_policy_does_not_have_any_more_is_not_called() {
    let moved = discovering(json!({"issuer": "https://moved.example.com"}));
    let nowhere = connected();
    for (policy, connected) in [
        (moved, of_client(Some("c-1"))),
        (discovering(json!({})), nowhere),
    ] {
        let store = store_with(&place(), &connected);
        let (outcome, calls) = sent(&policy, &store, &call("crm.get", "{}"), 280, &[]);
        assert_eq!(outcome.record.decision.reason, "account_not_connected");
        assert!(calls.is_empty());
    }
}
