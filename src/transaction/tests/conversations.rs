//! Conversations: what a call belongs to, and what ends it. Accounts that the server refuses.

use std::cell::RefCell;

use super::auth_tools::{in_session, in_session_named};
use super::connect::{
    answer, connected, connecting, found, modern_declaring, place, place_of, sent, store_with,
};
use super::fake_proxy::{Store, now, stored};
use super::*;
use crate::accounts::vault::{AccountPlace, ConversationId};
use base::http::HttpRequest;
use base::seal::Sealer;
use base::store::Stored;

fn sealer() -> Sealer {
    Sealer::new(&"secret".repeat(6)).unwrap()
}

fn at(conversation: ConversationId) -> AccountPlace {
    place_of("u1", conversation)
}

fn claim(value: &str) -> ConversationId {
    ConversationId::Claim(value.into())
}

fn within(of: ConversationId, session: &str) -> ConversationId {
    ConversationId::InSession(Box::new(of), session.into())
}

fn is_linked(store: &Store, place: &AccountPlace) -> bool {
    matches!(
        stored(store, &place.get(), now(0)),
        Ok(Stored::Value(Some(_)))
    )
}

fn is_sent(policy: &Rc<Policy>, store: &Store, request: &Request) -> bool {
    let outcome = sent(policy, store, request, 0, &[]).0;
    if outcome.server.is_none() {
        assert_eq!(outcome.record.decision.reason, "account_not_connected");
    }
    outcome.server.is_some()
}

#[test]
fn each_session_of_a_claim_is_a_conversation() {
    let by_claim = |more: Value| {
        let mut vault = json!({"conversation": {"claim": "sid"}});
        for (name, value) in more.as_object().unwrap() {
            vault[name] = value.clone();
        }
        connecting(json!({ "vault": vault }))
    };
    let (own, shared) = (by_claim(json!({})), by_claim(json!({"sessions": "shared"})));
    let request = |policy: &Rc<Policy>, session: Option<&str>| {
        let request = call("crm.get", "{}").token(json!({"sid": "c"}));
        match session {
            Some(session) => in_session_named(policy, session, request),
            None => request,
        }
    };
    for (policy, session, expected) in [
        (&own, Some("s-1"), within(claim("c"), "s-1")),
        (&own, Some("s-2"), within(claim("c"), "s-2")),
        (&own, None, claim("c")),
        (&shared, Some("s-1"), claim("c")),
        (&shared, Some("s-2"), claim("c")),
        (&shared, None, claim("c")),
    ] {
        let request = request(policy, session);
        for conversation in [
            within(claim("c"), "s-1"),
            within(claim("c"), "s-2"),
            within(claim("d"), "s-1"),
            claim("c"),
            claim("d"),
            ConversationId::Session("s-1".into()),
            ConversationId::User,
        ] {
            let store = store_with(&at(conversation.clone()), &connected());
            let is_its = conversation == expected;
            assert_eq!(
                is_sent(policy, &store, &request),
                is_its,
                "{session:?} {conversation:?}"
            );
        }
    }
}

#[test]
fn a_delete_ends_the_accounts_of_its_session_whatever_names_the_conversation() {
    let meta = ConversationId::Meta("openai/session".into(), "v1".into());
    for (vault, ended, kept) in [
        (
            json!({"conversation": {"claim": "sid"}}),
            within(claim("c"), "s-1"),
            vec![claim("c"), within(claim("c"), "s-2")],
        ),
        (
            json!({"conversation": {"meta": "openai/session"}}),
            within(meta.clone(), "s-1"),
            vec![meta.clone(), within(meta, "s-2")],
        ),
        (
            json!({"conversation": {"meta": "openai/session"}}),
            ConversationId::Session("s-1".into()),
            vec![ConversationId::User, ConversationId::Session("s-2".into())],
        ),
    ] {
        let policy = revoking(json!({ "vault": vault }));
        let store = Store::default();
        link(&policy, &store, &at(ended.clone()));
        for kept in &kept {
            link(&policy, &store, &at(kept.clone()));
        }
        let request = Request::method("DELETE").token(json!({"sid": "c"}));
        let request = in_session(&policy, request);
        let (outcome, calls) = sent(&policy, &store, &request, 0, &[answer(200, &json!({}))]);
        assert!(outcome.server.is_some());
        assert!(!is_linked(&store, &at(ended.clone())), "{ended:?}");
        assert_eq!(calls.len(), 1, "{ended:?}");
        for kept in kept {
            assert!(is_linked(&store, &at(kept.clone())), "{kept:?}");
        }
    }
}

#[test]
fn a_delete_ends_nothing_that_sessions_share() {
    let vault = json!({"conversation": {"claim": "sid"}, "sessions": "shared"});
    let policy = revoking(json!({ "vault": vault }));
    let store = Store::default();
    link(&policy, &store, &at(claim("c")));
    let request = Request::method("DELETE").token(json!({"sid": "c"}));
    let (_, calls) = sent(&policy, &store, &in_session(&policy, request), 0, &[]);
    assert!(is_linked(&store, &at(claim("c"))));
    assert_eq!(calls.len(), 0);
}

/// A policy whose connection has a revocation endpoint.
fn revoking(changes: Value) -> Rc<Policy> {
    let mut changes = changes;
    changes["connections"] = json!({"notes": {
        "title": "Notes",
        "issuer": "https://notes.example.com",
        "authorize": "https://notes.example.com/authorize",
        "token": {"cluster": "notes", "path": "/token"},
        "revoke": {"cluster": "notes", "path": "/revoke"},
        "client_id": "filter",
        "lifetime": "10m",
    }});
    connecting(changes)
}

/// Links an account as the page does.
fn link(policy: &Rc<Policy>, store: &Store, place: &AccountPlace) {
    use crate::accounts::conversation::ConversationPlace;
    use crate::accounts::of_user::UserPlace;
    stored(store, &place.put(&sealer(), &connected()), now(0)).unwrap();
    let noted = ConversationPlace::linked(&sealer(), place, connected().ends);
    stored(store, &noted, now(0)).unwrap();
    let mut world = crate::pages::fake_world::World::new();
    world.policy = Rc::clone(policy);
    world.sealer = Rc::new(sealer());
    world.now = NOW;
    world.store = Ok(store.take());
    let place = place.clone();
    world
        .run(|context| async move {
            let user = UserPlace::of(&place);
            user.note_linked(&context, &place, connected().ends).await
        })
        .unwrap();
    store.replace(world.store.unwrap());
}

/// A call with this `_meta`.
fn with_meta(meta: &Value) -> Request {
    let params = json!({"name": "crm.get", "arguments": {}, "_meta": meta});
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    Request::post(&body.to_string()).with("mcp-protocol-version", "2025-11-25")
}

#[test]
fn the_meta_of_a_call_names_the_conversation() {
    let vault = json!({"conversation": {"meta": ["openai/session", "vscode.conversationId"]}});
    let policy = connecting(json!({ "vault": vault }));
    let meta = |key: &str, value: &str| ConversationId::Meta(key.into(), value.into());
    let long = "x".repeat(65);
    let hash = base::hex::encode(&hmac_sha256::Hash::hash(long.as_bytes()));
    let table = [
        (
            json!({"openai/session": "v1"}),
            meta("openai/session", "v1"),
        ),
        (
            json!({"vscode.conversationId": "v1"}),
            meta("vscode.conversationId", "v1"),
        ),
        // The first of the policy counts.
        (
            json!({"vscode.conversationId": "v2", "openai/session": "v1"}),
            meta("openai/session", "v1"),
        ),
        (
            json!({"openai/session": long}),
            meta("openai/session", &hash),
        ),
        (json!({"openai/session": ""}), meta("openai/session", "")),
        // What is no text does not count.
        (
            json!({"openai/session": 7, "vscode.conversationId": "v3"}),
            meta("vscode.conversationId", "v3"),
        ),
        (json!({"openai/session": null}), ConversationId::User),
        (json!({"openai/session": ["v1"]}), ConversationId::User),
        (
            json!({"openai/Session": "v1", "other": "v1"}),
            ConversationId::User,
        ),
        (json!({}), ConversationId::User),
    ];
    for (said, expected) in &table {
        for (_, conversation) in &table {
            let store = store_with(&at(conversation.clone()), &connected());
            let is_its = conversation == expected;
            assert_eq!(
                is_sent(&policy, &store, &with_meta(said)),
                is_its,
                "{said} {conversation:?}"
            );
        }
    }
    // With an escape, as some libraries write it.
    let mut escaped = with_meta(&json!({"openai/session": "v1"}));
    let body = String::from_utf8(escaped.body.clone()).unwrap();
    escaped.body = body
        .replace("openai/session", r"openai\/session")
        .into_bytes();
    escaped.set("content-length", &escaped.body.len().to_string());
    let store = store_with(&at(meta("openai/session", "v1")), &connected());
    assert!(is_sent(&policy, &store, &escaped));
}

#[test]
fn b24_the_meta_of_a_call_opens_no_conversation_of_another_user_or_client() {
    let vault = json!({"conversation": {"meta": "openai/session"}});
    let policy = connecting(json!({ "vault": vault }));
    let conversation = ConversationId::Meta("openai/session".into(), "v1".into());
    let theirs = place_of("u2", conversation.clone());
    let of_other_client = AccountPlace {
        client: "other".into(),
        ..at(conversation)
    };
    for place in [theirs, of_other_client] {
        let store = store_with(&place, &connected());
        assert!(!is_sent(
            &policy,
            &store,
            &with_meta(&json!({"openai/session": "v1"}))
        ));
    }
    // A policy that does not go by `_meta` does not read it.
    let policy = connecting(json!({}));
    let store = store_with(&place(), &connected());
    assert!(is_sent(
        &policy,
        &store,
        &with_meta(&json!({"openai/session": "v1"}))
    ));
}

/// How a server answers a call that it refuses.
fn refusing(request: Request, content_type: Option<&str>, body: &str) -> Request {
    let mut headers = vec![
        (":status", "401"),
        ("www-authenticate", "Bearer error=\"invalid_token\""),
    ];
    headers.extend(content_type.map(|media| ("content-type", media)));
    request.answered(&headers, body)
}

fn answered(outcome: &Outcome) -> Value {
    let (headers, body) = outcome.client.as_ref().unwrap();
    let status = headers.iter().find(|(name, _)| name == ":status");
    assert_eq!(status.unwrap().1, b"200");
    assert!(!headers.iter().any(|(name, _)| name == "www-authenticate"));
    serde_json::from_slice(body).unwrap()
}

const URL: &str = "https://crm.example.com/.mcp-auth/connect?ticket=";

/// Later than an account counts as fresh.
const LATER: u64 = 301;

fn lasting() -> crate::accounts::vault::LinkedAccount {
    connected().with_tokens(|tokens| tokens.expires = None)
}

#[test]
fn an_account_that_the_server_refuses_ends_and_the_user_is_asked_again() {
    let policy = connecting(json!({}));
    let urls = json!({"elicitation": {"url": {}}});
    let json = Some("application/json");
    let error = r#"{"error":"invalid_token"}"#;
    for (media, body) in [
        (json, error),
        (
            json,
            r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32001,"message":"no"}}"#,
        ),
        (Some("text/event-stream"), "event: message\ndata: {}\n\n"),
        (Some("text/plain"), "Unauthorized"),
        (None, "Unauthorized"),
        (None, ""),
    ] {
        let of_2025 = call("crm.get", "{}").with("mcp-protocol-version", "2025-11-25");
        let of_2024 = call("crm.get", "{}");
        let modern = modern_declaring(&urls, &json!({}));
        let in_words = modern_declaring(&json!({}), &json!({}));
        for (request, how) in [
            (of_2025, "error"),
            (of_2024, "text"),
            (modern, "elicitation"),
            (in_words, "text"),
        ] {
            let store = store_with(&place(), &lasting());
            let outcome = sent(
                &policy,
                &store,
                &refusing(request.clone(), media, body),
                LATER,
                &[],
            )
            .0;
            let said = answered(&outcome);
            let url = match how {
                "error" => {
                    assert_eq!(said["error"]["code"], -32042);
                    &said["error"]["data"]["elicitations"][0]["url"]
                }
                "elicitation" => {
                    let request = &said["result"]["inputRequests"]["mcp-auth-filter"];
                    assert_eq!(request["params"]["mode"], "url");
                    &request["params"]["url"]
                }
                _ => &said["result"]["content"][0]["text"],
            };
            assert!(url.as_str().unwrap().contains(URL), "{how} {said}");
            assert!(said.to_string().contains("no longer accepted"), "{said}");
            let record = &outcome.record.decision;
            assert_eq!(record.reason, "account_not_accepted");
            assert_eq!(record.verdict.name(), "needs_review");
            assert!(found(&store).is_none());
            // The next call does not reach the server.
            let again = sent(&policy, &store, &request, LATER, &[]).0;
            assert_eq!(again.record.decision.reason, "account_not_connected");
            if how == "elicitation" {
                let answers = json!({"mcp-auth-filter": {"action": "accept"}});
                let state = &said["result"]["requestState"];
                let retry = modern_declaring(
                    &urls,
                    &json!({"requestState": state, "inputResponses": answers}),
                );
                stored(&store, &place().put(&sealer(), &lasting()), now(LATER)).unwrap();
                assert!(sent(&policy, &store, &retry, LATER, &[]).0.server.is_some());
            }
        }
    }
}

#[test]
fn an_account_that_is_refused_again_at_once_is_said_to_be_refused() {
    let policy = connecting(json!({}));
    let urls = json!({"elicitation": {"url": {}}});
    let request = refusing(modern_declaring(&urls, &json!({})), None, "");
    for (pause, is_again) in [(10, true), (299, true), (601, false)] {
        let store = store_with(&place(), &lasting());
        // The first time the user may try again.
        let first = sent(&policy, &store, &request, 10, &[]).0;
        let said = answered(&first);
        let asked = &said["result"]["inputRequests"]["mcp-auth-filter"]["params"]["message"];
        let asked = asked.as_str().unwrap();
        assert!(
            asked.contains("just now") && asked.contains("operator"),
            "{asked}"
        );
        assert_eq!(first.record.decision.reason, "account_not_accepted");
        let again = crate::accounts::vault::LinkedAccount {
            linked_at: base::time::UnixTime::from_secs(NOW + 10 + pause),
            ends: base::time::UnixTime::from_secs(NOW + 3000),
            ..lasting()
        };
        stored(&store, &place().put(&sealer(), &again), now(10 + pause)).unwrap();
        let token = json!({"exp": NOW + 3000});
        let second = sent(
            &policy,
            &store,
            &request.clone().token(token),
            10 + pause,
            &[],
        )
        .0;
        let said = answered(&second);
        assert_eq!(
            second.record.decision.reason == "account_refused_again",
            is_again,
            "{pause}"
        );
        if is_again {
            assert_eq!(said["result"]["isError"], true);
            let text = said["result"]["content"][0]["text"].as_str().unwrap();
            assert!(
                text.contains("refused again") && text.contains(URL),
                "{text}"
            );
        }
        assert!(!is_linked(&store, &place()));
    }
}

#[test]
fn other_answers_end_no_account() {
    let policy = connecting(json!({}));
    for status in ["200", "400", "402", "403", "404", "407", "500", "503"] {
        let store = store_with(&place(), &lasting());
        let headers = [(":status", status), ("content-type", "application/json")];
        let request = call("crm.get", "{}").answered(&headers, "{}");
        sent(&policy, &store, &request, LATER, &[]);
        assert!(found(&store).is_some(), "{status}");
    }
    // A call that needs no account.
    let store = store_with(&place(), &lasting());
    let outcome = sent(
        &policy,
        &store,
        &refusing(call("crm.other", "{}"), None, ""),
        LATER,
        &[],
    )
    .0;
    assert!(found(&store).is_some());
    assert_eq!(outcome.client_header(":status"), Some("502"));
}

#[test]
fn b42_a_newer_account_is_not_ended_by_a_refusal_of_the_old_one() {
    let policy = connecting(json!({}));
    let newer = crate::accounts::vault::LinkedAccount {
        linked_at: base::time::UnixTime::from_secs(NOW + 100),
        ..lasting()
    };
    let refreshed = lasting()
        .with_tokens(|tokens| tokens.access_token = base::secret::Secret::new("at-2".into()));
    for other in [newer, refreshed] {
        let store = store_with(&place(), &lasting());
        let calls = Rc::new(RefCell::new(Vec::<HttpRequest>::new()));
        let host = FakeProxy::at(&policy, LATER).with_store(&store);
        let put = place().put(&sealer(), &other);
        let host = host.with_answers(&[], &calls).before_taking(put);
        let outcome = host.send(&refusing(call("crm.get", "{}"), None, ""), &[], false);
        assert_eq!(outcome.record.decision.reason, "account_replaced");
        assert_eq!(outcome.client_header(":status"), Some("503"));
        assert!(outcome.client_header("retry-after").is_some());
        assert!(is_linked(&store, &place()));
    }
}

#[test]
fn a_refresh_token_that_is_refused_ends_the_account() {
    let policy = connecting(json!({}));
    for error in ["invalid_grant", "bad_refresh_token"] {
        let store = store_with(&place(), &connected());
        let refused = answer(400, &json!({"error": error}));
        let request = call("crm.get", "{}");
        let outcome = sent(&policy, &store, &request, 280, &[refused]).0;
        assert_eq!(outcome.record.decision.reason, "account_not_connected");
        assert!(found(&store).is_none());
        // The user can link it again at once.
        stored(&store, &place().put(&sealer(), &lasting()), now(281)).unwrap();
        assert!(is_sent(&policy, &store, &request));
    }
    // Other errors end nothing.
    for (status, error) in [
        (400, "invalid_request"),
        (401, "invalid_client"),
        (500, "invalid_grant"),
    ] {
        let store = store_with(&place(), &connected());
        let refused = answer(status, &json!({"error": error}));
        sent(&policy, &store, &call("crm.get", "{}"), 280, &[refused]);
        assert!(found(&store).is_some(), "{status} {error}");
    }
}

#[test]
fn a_look_up_that_is_refused_ends_the_account() {
    let owner = json!({
        "lookup": {"tool": "crm.get_ticket", "arguments": {"ticket_id": "args.ticket_id"}},
        "field": "organization_id",
        "is": "organization",
    });
    let tools = json!({"crm.get": {"connection": "notes", "owner": owner}});
    let policy = connecting(json!({"tools": tools, "upstream": {"cluster": "crm"}}));
    for (status, is_ended) in [(401, true), (403, false), (500, false)] {
        let store = store_with(&place(), &lasting());
        let request = call("crm.get", r#"{"ticket_id":"t-1"}"#);
        let answers = [answer(status, &json!({}))];
        let (outcome, calls) = sent(&policy, &store, &request, LATER, &answers);
        assert_eq!(calls.len(), 1);
        assert!(outcome.server.is_none());
        assert_eq!(found(&store).is_none(), is_ended, "{status}");
        let reason = outcome.record.decision.reason;
        assert_eq!(
            reason == "account_not_accepted",
            is_ended,
            "{status} {reason}"
        );
    }
}
