//! The server gets a token that the caller's was exchanged for, and nothing else of it.

use super::super::{End, Transaction};
use super::fake_proxy::{FakeProxy, Store, TokenExchanges, now, secrets};
use super::*;
use crate::effect::{self, Effect, Progress, Work, Worked};
use crate::engine::Engine;
use base::http::HttpResponse;
use mcp::headers::Headers;
use oauth::Verifier;

fn exchanging(changes: Value) -> Rc<Policy> {
    let mut document = json!({
        "upstream": {"authorization": "exchange", "exchange": {
            "cluster": "login", "path": "/token", "client_id": "mcp", "audience": "crm",
        }},
        "anonymous": {"tools": ["docs.*"]},
    });
    for (key, value) in changes.as_object().unwrap() {
        document[key] = value.clone();
    }
    policy(document)
}

fn given(token: &str) -> Option<HttpResponse> {
    answered(
        200,
        json!({
            "access_token": token, "token_type": "Bearer", "expires_in": 300,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }),
    )
}

fn answered(status: u16, body: Value) -> Option<HttpResponse> {
    let body = body.to_string().into_bytes();
    Some(HttpResponse::json(status, body))
}

fn refused(error: &str) -> Option<HttpResponse> {
    answered(400, json!({"error": error}))
}

fn server(answers: impl IntoIterator<Item = Option<HttpResponse>>) -> TokenExchanges {
    let exchanges = TokenExchanges::default();
    exchanges.borrow_mut().extend(answers);
    exchanges
}

/// A request, in every chunking, that finds nothing exchanged yet.
fn first(policy: &Rc<Policy>, request: &Request, answer: &Option<HttpResponse>) -> Outcome {
    let once = |cuts: &[usize], trailers| {
        let exchanges = server([answer.clone()]);
        let host = FakeProxy::new(policy).with_exchanges(&exchanges);
        host.send(request, cuts, trailers)
    };
    let whole = once(&[], false);
    for cuts in chunkings(request.body.len()) {
        for trailers in [false, true] {
            assert_eq!(once(&cuts, trailers), whole, "{cuts:?} {trailers}");
        }
    }
    whole
}

#[test]
fn b23_the_server_gets_only_what_the_token_was_exchanged_for() {
    let policy = exchanging(json!({}));
    let requests = [
        call("crm.get", "{}"),
        modern_call("crm.get", "{}"),
        Request::post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
        Request::method("GET"),
        Request::method("DELETE"),
    ];
    for request in requests {
        let token = request
            .headers
            .iter()
            .find(|(name, _)| name == "authorization");
        let token = String::from_utf8(token.unwrap().1.clone()).unwrap();
        let token = token.strip_prefix("Bearer ").unwrap();
        let outcome = first(&policy, &request, &given("for-crm"));
        assert_eq!(
            outcome.server_header("authorization"),
            Some("Bearer for-crm")
        );
        let (headers, body) = outcome.server.as_ref().unwrap();
        let values = headers.iter().map(|(_, value)| value).chain([body]);
        for value in values {
            assert!(!String::from_utf8_lossy(value).contains(token));
        }
        assert_eq!(outcome.record.upstream_credential, Some("exchanged"));
        let record = outcome.record.to_json();
        assert!(!record.contains("for-crm") && !record.contains(token));
    }
}

#[test]
fn an_anonymous_caller_has_no_token() {
    let nobody = call("docs.find", "{}").without("authorization");
    let outcome = send(&exchanging(json!({})), &nobody);
    assert_eq!(outcome.server_header("authorization"), None);
    assert_eq!(outcome.record.upstream_credential, Some("none"));
}

#[test]
fn what_is_refused_is_not_exchanged() {
    // There is no authorization server.
    let outcome = send(&exchanging(json!({})), &call("crm.purge", "{}"));
    assert_eq!(outcome.refusal().2, "denied");
    assert_eq!(outcome.record.upstream_credential, None);
}

#[test]
fn observing_exchanges_nothing() {
    let policy = exchanging(json!({"mode": "observe"}));
    let outcome = send(&policy, &call("crm.get", "{}"));
    let sent = outcome.server_header("authorization").unwrap();
    assert!(!sent.contains("for-crm"));
    assert_eq!(outcome.record.upstream_credential, Some("passed"));
}

#[test]
fn a_token_is_exchanged_once() {
    let policy = exchanging(json!({}));
    let secrets = secrets(&policy);
    let exchanges = server([given("one"), given("two")]);
    let sent = |request: &Request, later| {
        let host = FakeProxy::with_secrets(&policy, secrets.clone(), later);
        let outcome = host.with_exchanges(&exchanges).send(request, &[], false);
        let sent = outcome.server_header("authorization").unwrap();
        sent.to_owned()
    };
    let dana = call("crm.get", "{}");
    let (_, token) = dana.headers.last().unwrap();
    let token = std::str::from_utf8(token).unwrap();
    let stream = Request::method("GET").without("authorization");
    let stream = stream.with("authorization", token);
    assert_eq!(sent(&dana, 0), "Bearer one");
    assert_eq!(sent(&dana, 1), "Bearer one");
    assert_eq!(sent(&stream, 1), "Bearer one");
    // Another token is another's.
    let erin = call("crm.get", "{}").token(json!({"sub": "erin"}));
    assert_eq!(sent(&erin, 1), "Bearer two");
    assert_eq!(sent(&dana, 1), "Bearer one");
    assert!(exchanges.borrow().is_empty());
}

#[test]
fn a_token_the_server_does_not_take_is_exchanged_anew() {
    let policy = exchanging(json!({}));
    let secrets = secrets(&policy);
    let exchanges = server([given("one"), given("two")]);
    let request = call("crm.get", "{}").answered(&[(":status", "401")], "");
    for expected in ["Bearer one", "Bearer two"] {
        let host = FakeProxy::with_secrets(&policy, secrets.clone(), 0);
        let outcome = host.with_exchanges(&exchanges).send(&request, &[], false);
        assert_eq!(outcome.server_header("authorization"), Some(expected));
    }
}

#[test]
fn without_a_token_for_the_server_nothing_passes() {
    let policy = exchanging(json!({}));
    for (answer, expected) in [
        (
            refused("invalid_grant"),
            (401, 401, "exchange_token_refused"),
        ),
        (refused("invalid_target"), (403, 403, "exchange_denied")),
        (
            refused("invalid_client"),
            (502, -32603, "exchange_client_refused"),
        ),
        (
            answered(200, json!({})),
            (502, -32603, "exchange_answer_unreadable"),
        ),
        (None, (503, 503, "exchange_unavailable")),
    ] {
        for request in [call("crm.get", "{}"), Request::method("GET")] {
            let outcome = first(&policy, &request, &answer);
            assert_eq!(outcome.refusal(), expected);
            assert_eq!(outcome.record.upstream_credential, None);
            let reply = outcome.reply.as_ref().unwrap();
            let says = |name: &str| reply.headers.iter().any(|(other, _)| *other == name);
            assert_eq!(says("retry-after"), expected.0 == 503);
            assert_eq!(says("www-authenticate"), expected.0 == 401);
            assert!(outcome.record.decision.next_action.is_some());
        }
    }
    let again = first(&policy, &call("crm.get", "{}"), &refused("invalid_grant"));
    assert!(again.challenge().contains("error=\"invalid_token\""));
}

#[test]
fn b44_what_a_call_uses_up_is_left_when_there_is_no_token_for_the_server() {
    let policy = exchanging(json!({"tools": {"crm.get": {"single_use": true}}}));
    let secrets = secrets(&policy);
    let store = Store::default();
    let request = call("crm.get", "{}");
    let sent = |later, answer| {
        let host = FakeProxy::with_secrets(&policy, secrets.clone(), later).with_store(&store);
        let host = host.with_exchanges(&server([answer]));
        host.send(&request, &[], false)
    };
    assert_eq!(sent(0, None).refusal().2, "exchange_unavailable");
    let outcome = sent(5, given("one"));
    assert_eq!(outcome.server_header("authorization"), Some("Bearer one"));
    assert_eq!(sent(6, None).refusal().2, "token_used");
}

#[test]
fn h13_a_request_does_not_wait_twice() {
    let policy = exchanging(json!({}));
    let secrets = secrets(&policy);
    let verifier = Verifier::new(policy.issuers.clone()).unwrap();
    let engine = Rc::new(Engine::new(policy, secrets, verifier));
    let mut transaction = Transaction::new(engine);
    let headers = Headers::new(Request::method("GET").headers);
    let progress = transaction.request_headers(headers, true, now(0));
    let progress = with_client(&mut transaction, progress);
    let Progress::Waits(Effect::Work(Work::ExchangeToken(_))) = progress else {
        panic!("{progress:?}")
    };
    // Nothing was exchanged, and the request is woken all the same.
    let done = || effect::Outcome::Work(Worked::Done);
    let progress = transaction.resume(done(), now(0));
    let Some(Progress::Done(End::Reply(reply))) = progress else {
        panic!("{progress:?}")
    };
    assert_eq!(reply.status, 503);
    assert_eq!(transaction.resume(done(), now(0)), None);
}
