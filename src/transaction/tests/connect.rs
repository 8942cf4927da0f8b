//! Tools that work with an account of the user's own.

use std::cell::RefCell;

use super::fake_proxy::{Store, now, stored};
use super::*;
use crate::accounts::conversation::ConversationPlace;
use crate::accounts::sign_out::marks;
use crate::accounts::vault::{
    AccountCredential, AccountPlace, AccountTokens, ConversationId, LinkedAccount,
};
use base::http::{HttpRequest, HttpResponse};
use base::seal::Sealer;
use base::secret::Secret;
use base::store;
use base::time::UnixTime;

pub(super) fn connecting(changes: Value) -> Rc<Policy> {
    let mut document = json!({
        "seal": {"key_env": "KEY"},
        "issuers": [{
            "issuer": "https://login.example.com",
            "jwks": {"inline": tokens::key_set()},
            "identity": {"organization": "org_id", "roles": "roles"},
            "sign_in": {
                "authorize": "https://login.example.com/authorize",
                "token": {"cluster": "login", "path": "/token"},
                "client_id": "pages",
            },
        }],
        "connections": {"notes": {
            "title": "Notes",
            "issuer": "https://notes.example.com",
            "authorize": "https://notes.example.com/authorize",
            "token": {"cluster": "notes", "path": "/token"},
            "client_id": "filter",
            "lifetime": "10m",
        }},
        "tools": {"crm.get": {"connection": "notes"}},
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    policy(document)
}

pub(super) fn place_of(user: &str, conversation: ConversationId) -> AccountPlace {
    AccountPlace {
        resource: "https://crm.example.com/mcp".into(),
        issuer: "https://login.example.com".into(),
        user: user.into(),
        conversation,
        connection: "notes".into(),
        client: String::new(),
        test_user: String::new(),
        kept: String::new(),
    }
}

pub(super) fn place() -> AccountPlace {
    place_of("u1", ConversationId::User)
}

pub(super) fn connected() -> LinkedAccount {
    LinkedAccount {
        credential: AccountCredential::Tokens(AccountTokens {
            access_token: Secret::new("at-1".into()),
            refresh_token: Some(Secret::new("rt-1".into())),
            expires: Some(UnixTime::from_secs(NOW + 300)),
            scope: None,
            discovered: None,
        }),
        source: None,
        name: Some("dana@notes".into()),
        linked_at: UnixTime::from_secs(NOW),
        ends: UnixTime::from_secs(NOW + 600),
    }
}

/// A store with this connection.
pub(super) fn store_with(place: &AccountPlace, connected: &LinkedAccount) -> Store {
    let store = Store::default();
    put(&store, place, connected);
    let sealer = Sealer::new(&"secret".repeat(6)).unwrap();
    let noted = ConversationPlace::linked(&sealer, place, connected.ends);
    stored(&store, &noted, now(0)).unwrap();
    store
}

/// Writes an account.
fn put(store: &Store, place: &AccountPlace, account: &LinkedAccount) {
    let sealer = Sealer::new(&"secret".repeat(6)).unwrap();
    stored(store, &place.put(&sealer, account), now(0)).unwrap();
}

/// The connection in a store.
pub(super) fn found(store: &Store) -> Option<LinkedAccount> {
    let found = stored(store, &place().get(), now(0)).unwrap();
    let store::Stored::Value(found) = found else {
        panic!("{found:?}");
    };
    let sealer = Sealer::new(&"secret".repeat(6)).unwrap();
    found.map(|found| {
        place()
            .open(&sealer, &found, UnixTime::from_secs(NOW))
            .unwrap()
    })
}

/// What becomes of a call this many seconds later, and what was called for it.
pub(super) fn sent(
    policy: &Rc<Policy>,
    store: &Store,
    request: &Request,
    later: u64,
    answers: &[HttpResponse],
) -> (Outcome, Vec<HttpRequest>) {
    let calls = Rc::new(RefCell::new(Vec::new()));
    let host = FakeProxy::at(policy, later).with_store(store);
    let outcome = host.with_answers(answers, &calls).send(request, &[], false);
    (outcome, calls.take())
}

fn looked_up(policy: &Rc<Policy>, store: &Store, request: &Request) -> Outcome {
    sent(policy, store, request, 0, &[]).0
}

pub(super) fn answer(status: u16, body: &Value) -> HttpResponse {
    let body = body.to_string().into_bytes();
    HttpResponse::json(status, body)
}

/// The answer to a call in place of its result or error.
fn reply(outcome: &Outcome) -> Value {
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.reason, "account_not_connected");
    assert_eq!(outcome.record.decision.verdict.name(), "needs_review");
    let reply = outcome.reply.as_ref().unwrap();
    assert_eq!(reply.status, 200);
    serde_json::from_slice(&reply.body).unwrap()
}

const PAGE: &str = "https://crm.example.com/.mcp-auth/connect?ticket=";

#[test]
fn a_call_gets_the_token_of_its_users_account() {
    let store = store_with(&place(), &connected());
    let policy = connecting(json!({}));
    let outcome = looked_up(&policy, &store, &call("crm.get", "{}"));
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-1"));
    assert_eq!(outcome.record.upstream_credential, Some("connection"));
    assert_eq!(outcome.record.connection.as_deref(), Some("notes"));
    assert_eq!(outcome.record.connection_age_s, Some(0));
    assert!(
        outcome
            .record
            .account
            .is_some_and(|account| account != "dana@notes")
    );
    let other = looked_up(&policy, &store, &call("crm.other", "{}"));
    assert_eq!(other.server_header("authorization"), None);
    assert_eq!(other.record.upstream_credential, Some("none"));
}

#[test]
fn b24_a_call_does_not_get_the_account_of_another_user_conversation_or_connection() {
    let policy = connecting(json!({}));
    for somebody in [
        place_of("u2", ConversationId::User),
        place_of("u1", ConversationId::Session("s".into())),
        AccountPlace {
            issuer: "https://other.example.com".into(),
            ..place()
        },
        AccountPlace {
            resource: "https://hr.example.com/mcp".into(),
            ..place()
        },
        AccountPlace {
            connection: "mail".into(),
            ..place()
        },
    ] {
        let store = store_with(&somebody, &connected());
        reply(&looked_up(&policy, &store, &call("crm.get", "{}")));
    }
    // Moved to the caller's name by somebody who can write into the store.
    let store = store_with(&place_of("u2", ConversationId::User), &connected());
    let held = String::from_utf8(store.take()).unwrap();
    let theirs = place_of("u2", ConversationId::User).key();
    store.replace(
        held.replace(theirs.as_str(), place().key().as_str())
            .into_bytes(),
    );
    reply(&looked_up(&policy, &store, &call("crm.get", "{}")));
}

#[test]
fn a_claim_names_the_conversation() {
    let policy = connecting(json!({"vault": {"conversation": {"claim": "sid"}}}));
    let store = store_with(
        &place_of("u1", ConversationId::Claim("c-1".into())),
        &connected(),
    );
    let with = |claims: Value| looked_up(&policy, &store, &call("crm.get", "{}").token(claims));
    assert!(with(json!({"sid": "c-1"})).server.is_some());
    reply(&with(json!({"sid": "c-2"})));
    assert_eq!(
        with(json!({})).refusal(),
        (403, 403, "conversation_claim_missing")
    );
}

#[test]
fn users_are_sent_to_the_page_in_a_way_their_client_supports() {
    let (policy, store) = (connecting(json!({})), Store::default());
    let of_2025 = call("crm.get", "{}").with("mcp-protocol-version", "2025-11-25");
    let error = reply(&looked_up(&policy, &store, &of_2025));
    assert_eq!(error["error"]["code"], -32042);
    let elicitation = &error["error"]["data"]["elicitations"][0];
    assert_eq!(elicitation["mode"], "url");
    assert!(elicitation["elicitationId"].is_string());
    let url = elicitation["url"].as_str().unwrap();
    assert!(url.starts_with(PAGE), "{url}");
    assert!(error["error"]["message"].as_str().unwrap().contains(url));
    for request in [
        call("crm.get", "{}").with("mcp-protocol-version", "2025-06-18"),
        call("crm.get", "{}"),
        modern_call("crm.get", "{}"),
    ] {
        let result = reply(&looked_up(&policy, &store, &request));
        assert_eq!(result["result"]["isError"], true);
        let text = result["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains(PAGE), "{text}");
    }
}

/// A call of 2026-07-28 by a client that can ask everything, with further parameters.
fn modern(more: &Value) -> Request {
    modern_declaring(&json!({"elicitation": {"form": {}, "url": {}}}), more)
}

/// The same by a client that declares this.
pub(super) fn modern_declaring(capabilities: &Value, more: &Value) -> Request {
    let mut params = json!({
        "name": "crm.get", "arguments": {},
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": capabilities,
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
}

fn with_answer(asked: &Value, action: &str) -> Request {
    let answers = json!({"mcp-auth-filter": {"action": action}});
    modern(&json!({"requestState": asked["result"]["requestState"], "inputResponses": answers}))
}

#[test]
fn the_same_call_goes_on_after_the_page() {
    let (policy, store) = (connecting(json!({})), Store::default());
    let asked = reply(&looked_up(&policy, &store, &modern(&json!({}))));
    let request = &asked["result"]["inputRequests"]["mcp-auth-filter"];
    assert_eq!(request["params"]["mode"], "url");
    assert!(request["params"]["url"].as_str().unwrap().starts_with(PAGE));
    let retry = with_answer(&asked, "accept");
    // Opened, and not connected.
    reply(&looked_up(&policy, &store, &retry));
    let store = store_with(&place(), &connected());
    let outcome = looked_up(&policy, &store, &retry);
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-1"));
    let body: Value = serde_json::from_slice(outcome.server_body()).unwrap();
    assert_eq!(body["params"].get("requestState"), None);
    let declined = looked_up(&policy, &store, &with_answer(&asked, "cancel"));
    assert_eq!(declined.refusal().2, "call_declined");
}

#[test]
fn agreement_is_asked_for_before_the_account() {
    let tools = json!({"crm.get": {"connection": "notes", "confirm": true}});
    let (policy, store) = (connecting(json!({"tools": tools})), Store::default());
    let confirm = looked_up(&policy, &store, &modern(&json!({})));
    assert_eq!(confirm.record.decision.reason, "confirmation_needed");
    let confirm: Value = serde_json::from_slice(&confirm.reply.unwrap().body).unwrap();
    let link = reply(&looked_up(
        &policy,
        &store,
        &with_answer(&confirm, "accept"),
    ));
    let place = place();
    let sealer = Sealer::new(&"secret".repeat(6)).unwrap();
    stored(&store, &place.put(&sealer, &connected()), now(0)).unwrap();
    let passed = looked_up(&policy, &store, &with_answer(&link, "accept"));
    assert_eq!(passed.server_header("authorization"), Some("Bearer at-1"));
    let again = looked_up(&policy, &store, &with_answer(&link, "accept"));
    assert_eq!(again.refusal().2, "unknown_request_state");
    // A page that was opened before anything was agreed to is no agreement.
    let tools = json!({"crm.get": {"connection": "notes"}});
    let asked = connecting(json!({"tools": tools}));
    let link = reply(&looked_up(&asked, &Store::default(), &modern(&json!({}))));
    let outcome = looked_up(&policy, &store, &with_answer(&link, "accept"));
    assert_eq!(outcome.record.decision.reason, "confirmation_needed");
}

#[test]
fn b44_one_yes_counts_for_one_call_with_any_number_of_links() {
    let tools = json!({"crm.get": {"connection": "notes", "confirm": true}});
    let (policy, store) = (connecting(json!({"tools": tools})), Store::default());
    let confirm = looked_up(&policy, &store, &modern(&json!({})));
    let confirm: Value = serde_json::from_slice(&confirm.reply.unwrap().body).unwrap();
    let retry = with_answer(&confirm, "accept");
    let linked = |later| reply(&sent(&policy, &store, &retry, later, &[]).0);
    let links: Vec<Value> = (1..4).map(linked).collect();
    let sealer = Sealer::new(&"secret".repeat(6)).unwrap();
    stored(&store, &place().put(&sealer, &connected()), now(0)).unwrap();
    let states = links.iter().chain([&confirm]);
    let passed = states.filter(|state| {
        let request = with_answer(state, "accept");
        looked_up(&policy, &store, &request).server.is_some()
    });
    assert_eq!(passed.count(), 1);
}

#[test]
fn an_account_ends_after_its_lifetime() {
    let account = connected().with_tokens(|tokens| tokens.expires = None);
    let store = store_with(&place(), &account);
    let lasting = |later| {
        let policy = connecting(json!({}));
        let token = json!({"exp": NOW + 3000});
        sent(
            &policy,
            &store,
            &call("crm.get", "{}").token(token),
            later,
            &[],
        )
        .0
    };
    assert!(lasting(599).server.is_some());
    reply(&lasting(600));
    assert!(found(&store).is_none());
    let store = store_with(&place(), &account);
    let tools = json!({"crm.get": {"connection": "notes", "lifetime": "1m"}});
    let policy = connecting(json!({"tools": tools}));
    let at = |later| sent(&policy, &store, &call("crm.get", "{}"), later, &[]).0;
    assert!(at(59).server.is_some());
    reply(&at(60));
}

#[test]
fn a_token_is_refreshed_before_it_ends() {
    let (policy, store) = (connecting(json!({})), store_with(&place(), &connected()));
    let tokens = json!({"access_token": "at-2", "token_type": "Bearer", "refresh_token": "rt-2", "expires_in": 300});
    let request = call("crm.get", "{}");
    let (outcome, calls) = sent(&policy, &store, &request, 280, &[answer(200, &tokens)]);
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-2"));
    let form = String::from_utf8(calls[0].body.clone()).unwrap();
    assert!(
        form.contains("grant_type=refresh_token&refresh_token=rt-1"),
        "{form}"
    );
    let (outcome, calls) = sent(&policy, &store, &request, 285, &[]);
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-2"));
    assert_eq!(calls.len(), 0);
}

#[test]
fn short_lived_tokens_are_refreshed_for_each_call() {
    let (policy, store) = (connecting(json!({})), store_with(&place(), &connected()));
    let request = call("crm.get", "{}");
    for (later, token) in [(280, "at-2"), (284, "at-3"), (288, "at-4")] {
        let tokens = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3});
        let (outcome, calls) = sent(&policy, &store, &request, later, &[answer(200, &tokens)]);
        let bearer = format!("Bearer {token}");
        assert_eq!(
            outcome.server_header("authorization"),
            Some(bearer.as_str())
        );
        assert_eq!(calls.len(), 1);
    }
}

#[test]
fn b42_an_account_that_ended_during_a_refresh_stays_ended() {
    let policy = connecting(json!({}));
    let tokens = json!({"access_token": "at-2", "token_type": "Bearer", "expires_in": 300});
    let sealer = Sealer::new(&"secret".repeat(6)).unwrap();
    let anew = LinkedAccount {
        linked_at: UnixTime::from_secs(NOW + 280),
        ..connected().with_tokens(|tokens| tokens.access_token = Secret::new("at-3".into()))
    };
    for (meanwhile, left) in [
        (place().delete(), None),
        (place().put(&sealer, &anew), Some(anew)),
    ] {
        let at = [FakeProxy::meanwhile, FakeProxy::before_write];
        for at in at {
            let store = store_with(&place(), &connected());
            let host = FakeProxy::at(&policy, 280).with_store(&store);
            let host = host.with_answers(&[answer(200, &tokens)], &Rc::default());
            let host = at(host, meanwhile.clone());
            let outcome = host.send(&call("crm.get", "{}"), &[], false);
            // An account that was linked meanwhile is used.
            let used = left.as_ref().map(|_| "Bearer at-3");
            let sent = outcome.server.is_some();
            assert_eq!(
                sent.then(|| outcome.server_header("authorization"))
                    .flatten(),
                used
            );
            assert_eq!(found(&store), left);
        }
    }
}

#[test]
fn an_account_from_before_a_logout_is_not_used() {
    let issuers = json!([{
        "issuer": "https://login.example.com",
        "jwks": {"inline": tokens::key_set()},
        "identity": {"organization": "org_id", "roles": "roles"},
        "sign_in": {
            "authorize": "https://login.example.com/authorize",
            "token": {"cluster": "login", "path": "/token"},
            "client_id": "pages",
            "back_channel_logout": true,
        },
    }]);
    let told = connecting(json!({"issuers": issuers, "auth_tools": true}));
    let request = call("crm.get", "{}");
    for (out_at, is_used) in [(None, true), (Some(NOW - 1), true), (Some(NOW), false)] {
        let store = store_with(&place(), &connected());
        if let Some(out_at) = out_at {
            let [mark] = <[_; 1]>::try_from(marks(
                &told,
                "https://login.example.com",
                "u1",
                &ConversationId::User,
            ))
            .unwrap();
            let record = store::StoreRecord {
                key: mark,
                value: out_at.to_string(),
                expires: UnixTime::from_secs(NOW + 600),
            };
            stored(&store, &store::StoreOperation::Put(record), now(0)).unwrap();
        }
        let outcome = looked_up(&told, &store, &request);
        assert_eq!(outcome.server.is_some(), is_used, "{out_at:?}");
        let list = looked_up(&told, &store, &call("auth_connections", "{}"));
        let list: Value = serde_json::from_slice(&list.reply.unwrap().body).unwrap();
        let notes = &list["result"]["structuredContent"]["connections"][0];
        assert_eq!(notes["connected"], is_used);
        // A policy that does not ask for it does not pay for it.
        let store = store_with(&place(), &connected());
        let untold = looked_up(&connecting(json!({})), &store, &request);
        assert!(untold.server.is_some());
    }
}

#[test]
fn one_of_many_requests_refreshes_a_token() {
    let (policy, store) = (connecting(json!({})), store_with(&place(), &connected()));
    let request = call("crm.get", "{}").token(json!({"exp": NOW + 3000}));
    // The resource does not answer: the token is used as long as it lasts.
    let (outcome, calls) = sent(&policy, &store, &request, 280, &[]);
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-1"));
    assert_eq!(calls.len(), 1);
    let (outcome, calls) = sent(&policy, &store, &request, 285, &[]);
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-1"));
    assert_eq!(calls.len(), 0, "somebody is at it");
    let (outcome, _) = sent(&policy, &store, &request, 301, &[]);
    assert_eq!(outcome.refusal(), (503, 503, "account_not_refreshed"));
    let (outcome, calls) = sent(&policy, &store, &request, 302, &[]);
    assert_eq!(outcome.refusal(), (503, 503, "account_not_refreshed"));
    assert_eq!(calls.len(), 0, "it was waited for in vain");
    let ended = answer(400, &json!({"error": "invalid_grant"}));
    reply(&sent(&policy, &store, &request, 330, &[ended]).0);
    // The account has ended: the user is asked at once.
    let (outcome, calls) = sent(&policy, &store, &request, 331, &[]);
    reply(&outcome);
    assert_eq!(calls.len(), 0);
}

#[test]
fn b23_observe_mode_sends_no_token_of_an_account() {
    let policy = connecting(json!({"mode": "observe"}));
    let store = store_with(&place(), &connected());
    let outcome = looked_up(&policy, &store, &call("crm.get", "{}"));
    assert!(
        outcome
            .server_header("authorization")
            .is_some_and(|value| !value.contains("at-1"))
    );
}

#[test]
fn a4_a_test_user_does_not_get_the_callers_own_account() {
    let policy = connecting(json!({
        "roles": {
            "support": {"tools": ["crm.*"]},
            "manager": {
                "extends": ["support"],
                "view_as": {"roles": ["support"], "users": ["test-1", "test-2"]},
            },
        },
        "view_as": {"header": "x-view-as", "users": {
            "test-1": {"roles": ["support"]},
            "test-2": {"roles": ["support"], "connections": ["notes"]},
        }},
        "auth_tools": true,
    }));
    let store = store_with(&place(), &connected());
    let call_as = |tool: &str, arguments: &str, view: &str| {
        let request = call(tool, arguments).token(json!({"roles": ["manager"]}));
        looked_up(&policy, &store, &request.with("x-view-as", view))
    };
    let refused = call_as("crm.get", "{}", "user:test-1");
    assert_eq!(refused.refusal(), (403, 403, "test_user_credential"));
    let outcome = call_as("crm.get", "{}", "role:support");
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-1"));
    // A test user has an account of its own, which the caller has not connected.
    let unconnected = call_as("crm.get", "{}", "user:test-2");
    assert_eq!(unconnected.record.decision.reason, "account_not_connected");
    let of_test_user = AccountPlace {
        test_user: "test-2".into(),
        ..place()
    };
    let own = connected().with_tokens(|tokens| tokens.access_token = Secret::new("at-2".into()));
    put(&store, &of_test_user, &own);
    let outcome = call_as("crm.get", "{}", "user:test-2");
    assert_eq!(outcome.server_header("authorization"), Some("Bearer at-2"));
    // Nor is it named or ended in the name of a test user that does not have it.
    let listed = call_as("auth_connections", "{}", "user:test-1");
    let listed = String::from_utf8(listed.reply.unwrap().body).unwrap();
    assert!(!listed.contains("notes"), "{listed}");
    call_as(
        "auth_disconnect",
        r#"{"connection":"notes"}"#,
        "user:test-1",
    );
    assert!(found(&store).is_some());
    call_as(
        "auth_disconnect",
        r#"{"connection":"notes"}"#,
        "user:test-2",
    );
    assert!(found(&store).is_some());
    let outcome = call_as("crm.get", "{}", "user:test-2");
    assert_eq!(outcome.record.decision.reason, "account_not_connected");
}

#[test]
fn a1_an_account_is_for_the_client_that_linked_it() {
    let of_client = |client: &str| AccountPlace {
        client: client.into(),
        ..place()
    };
    let store = store_with(&of_client("a"), &connected());
    let policy = connecting(json!({}));
    let with = |policy: &Rc<Policy>, claims: Value| {
        let outcome = looked_up(policy, &store, &call("crm.get", "{}").token(claims));
        (outcome.server.is_some(), outcome.record.client)
    };
    for claims in [
        json!({"client_id": "a"}),
        json!({"azp": "a"}),
        json!({"client_id": "a", "azp": "b"}),
        json!({"cid": "a"}),
        json!({"client_id": "", "appid": "a"}),
    ] {
        assert_eq!(with(&policy, claims), (true, Some("a".into())));
    }
    for claims in [
        json!({"client_id": "b", "azp": "a"}),
        json!({"azp": "A"}),
        json!({}),
    ] {
        assert!(!with(&policy, claims).0);
    }
    // The link is for the client as well.
    let asked = looked_up(
        &policy,
        &store,
        &call("crm.get", "{}").token(json!({"azp": "b"})),
    );
    reply(&asked);
    // Unless the policy lets clients share.
    let shared = connecting(json!({"vault": {"clients": "shared"}}));
    assert!(!with(&shared, json!({"azp": "a"})).0);
    let store = store_with(&place(), &connected());
    for client in ["a", "b"] {
        let request = call("crm.get", "{}").token(json!({"azp": client}));
        assert!(looked_up(&shared, &store, &request).server.is_some());
    }
}

#[test]
fn a12_a_client_cannot_send_the_header_of_an_account() {
    let policy = connecting(json!({"connections": {"notes": {
        "kind": "key",
        "check": {"cluster": "notes", "path": "/me"},
        "apply": {"headers": {"x-notes": "{key}"}},
    }}}));
    let account = LinkedAccount {
        credential: AccountCredential::Key(Secret::new("k-1".into())),
        ..connected()
    };
    let store = store_with(&place(), &account);
    for name in ["x-notes", "x_notes"] {
        let request = call("crm.get", "{}").with(name, "stolen");
        let outcome = looked_up(&policy, &store, &request);
        assert_eq!(outcome.server_header("x-notes"), Some("k-1"), "{name}");
        let other = outcome.server_header(name).unwrap_or_default();
        assert_ne!(other, "stolen", "{name}");
    }
}

/// An answer of a server that repeats the credential, and what the client receives.
fn repeated(policy: &Rc<Policy>, answer: (&[(&str, &str)], &str), cuts: &[usize]) -> Outcome {
    let account = connected().with_tokens(|tokens| {
        tokens.access_token = Secret::new("access-token+1/2==".into());
    });
    let store = store_with(&place(), &account);
    let request = call("crm.get", "{}").answered(answer.0, answer.1);
    FakeProxy::at(policy, 0)
        .with_store(&store)
        .send(&request, cuts, false)
}

#[test]
fn a17_a_server_that_repeats_the_credential_does_not_give_it_to_the_client() {
    const TOKEN: &str = "access-token+1/2==";
    let json = [(":status", "200"), ("content-type", "application/json")];
    let events = [(":status", "200"), ("content-type", "text/event-stream")];
    let failed = [(":status", "500"), ("content-type", "text/plain")];
    let page = [(":status", "502"), ("content-type", "text/html")];
    let bare = [(":status", "503")];
    let header = [
        (":status", "200"),
        ("content-type", "application/json"),
        ("x-debug", "authorization: Bearer access-token+1/2=="),
    ];
    let result = |text: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#
        )
    };
    let error =
        format!(r#"{{"jsonrpc":"2.0","id":1,"error":{{"code":-32603,"message":"{TOKEN}"}}}}"#);
    for policy in [connecting(json!({})), connecting(json!({"errors": "keep"}))] {
        for (headers, body) in [
            (&json[..], result(TOKEN)),
            (&json, result(&format!("Bearer {TOKEN} {TOKEN}"))),
            (
                &json,
                result(r#"{\"authorization\":\"Bearer access-token+1/2==\"}"#),
            ),
            (&json, result(r"access-token+1\/2==")),
            (&json, result(r"access-token\u002B1/2==")),
            (&json, error.clone()),
            (&events, format!("data: {}\n\n", result(TOKEN))),
            (&events, format!("data: {error}\n\n")),
            (&events, format!("data: no JSON: {TOKEN}\n\n")),
            (&failed, format!("no account for {TOKEN}")),
            (&page, format!("<pre>{TOKEN}</pre>")),
            (&bare, TOKEN.to_owned()),
            (&header, result("x")),
        ] {
            for cuts in [&[][..], &[1, 20, 40, 60, 75]] {
                let outcome = repeated(&policy, (headers, &body), cuts);
                let (found, text) = outcome.client.as_ref().unwrap();
                let text = String::from_utf8_lossy(text);
                assert!(
                    !text.contains("token+1") && !text.contains("token\\u002B1"),
                    "{text}"
                );
                assert!(!text.contains("1\\/2=="), "{text}");
                let values = found
                    .iter()
                    .map(|(_, value)| String::from_utf8_lossy(value));
                assert!(
                    !values
                        .into_iter()
                        .any(|value| value.contains("access-token"))
                );
                assert!(outcome.record.withheld["credential"] >= 1, "{text}");
            }
        }
        // What only resembles it stays, and so does the answer to a call without an account.
        let same = result("access-token+1/2=");
        let outcome = repeated(&policy, (&json, &same), &[]);
        assert_eq!(outcome.client_body(), same);
        assert!(outcome.record.withheld.is_empty());
        let other = call("crm.other", "{}").answered(&json, &result(TOKEN));
        let outcome = looked_up(&policy, &Store::default(), &other);
        assert_eq!(outcome.client_body(), result(TOKEN));
    }
}
