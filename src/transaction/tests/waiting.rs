//! Requests that wait for their issuer's word.

use super::super::{End, Ending, Transaction};
use super::fake_proxy::now;
use super::*;
use crate::effect::{self, Effect, Progress, Work, Worked};
use crate::engine::Engine;
use base::http::Reply;
use base::time::UnixTime;
use mcp::headers::Headers;
use oauth::{PendingFetch, Verifier};

/// A request whose token is being introspected.
struct Introspecting {
    engine: Rc<Engine>,
    transaction: Transaction,
    fetch: PendingFetch,
    body: Vec<u8>,
}

fn introspecting() -> Introspecting {
    let policy = policy(json!({"issuers": [{
        "issuer": "https://login.example.com",
        "introspection": {
            "cluster": "login", "path": "/introspect",
            "client_id": "mcp", "client_secret_env": "SECRET",
        },
        "identity": {"organization": "org_id", "roles": "roles"},
    }]}));
    let secret = |_: &str| Some("s3cret".to_owned());
    let verifier = Verifier::with_environment(policy.issuers.clone(), &secret).unwrap();
    let engine = Rc::new(Engine::new(policy, Default::default(), verifier));
    let mut transaction = Transaction::new(Rc::clone(&engine));
    let request = call("crm.get", "{}")
        .without("authorization")
        .with("authorization", "Bearer opaque");
    let headers = Headers::new(request.headers);
    let progress = transaction.request_headers(headers, false, now(0));
    let progress = with_client(&mut transaction, progress);
    let Progress::Waits(Effect::Work(Work::Fetch(fetch))) = progress else {
        panic!("{progress:?}")
    };
    let start = engine.verifier.borrow_mut().start(fetch);
    assert!(matches!(start, oauth::FetchStart::Call(_)));
    Introspecting {
        engine,
        transaction,
        fetch,
        body: request.body,
    }
}

impl Introspecting {
    fn answered(&self, answer: Option<&Value>) {
        let body = answer.map(Value::to_string);
        let body = body.as_deref().map(str::as_bytes);
        let mut verifier = self.engine.verifier.borrow_mut();
        let taken = verifier.fetched(self.fetch, body, UnixTime::from_secs(NOW), 1.0);
        assert_eq!(taken, Ok(()));
    }

    fn resume(&mut self, outcome: effect::Outcome) -> Option<Progress<End>> {
        self.transaction.resume(outcome, now(0))
    }

    fn fetched(&mut self) -> Option<Progress<End>> {
        self.resume(effect::Outcome::Work(Worked::Done))
    }

    #[track_caller]
    fn refused(mut self, status: u16, reason: &str) -> Reply {
        let progress = self.fetched();
        let Some(Progress::Done(End::Reply(reply))) = progress else {
            panic!("{progress:?}")
        };
        assert_eq!(reply.status, status);
        let record = self
            .transaction
            .finish(status, Ending::Whole, now(0))
            .unwrap();
        assert_eq!(record.decision.reason, reason);
        reply
    }
}

fn active() -> Value {
    json!({
        "active": true, "sub": "u1", "aud": "https://crm.example.com/mcp", "exp": NOW + 60,
        "org_id": "acme", "roles": ["support"],
    })
}

#[test]
fn the_body_is_asked_for_once_the_caller_is_known() {
    let mut waiting = introspecting();
    assert!(!waiting.transaction.awaits_body());
    assert_eq!(waiting.transaction.request_grows(3, Vec::new), None);
    waiting.answered(Some(&active()));
    assert_eq!(waiting.fetched(), Some(Progress::Waits(Effect::Body(None))));
    assert!(waiting.transaction.awaits_body());
    let body = effect::Outcome::Body(waiting.body.clone());
    let progress = waiting.resume(body);
    let Some(Progress::Done(End::Forward(_))) = progress else {
        panic!("{progress:?}")
    };
    let record = waiting
        .transaction
        .finish(200, Ending::Whole, now(0))
        .unwrap();
    let evidence = &record.decision.evidence[0].summary;
    assert_eq!(evidence, "introspected, issuer https://login.example.com");
}

#[test]
fn a_body_that_grows_too_large_ends_the_wait() {
    let mut waiting = introspecting();
    let Some(End::Reply(reply)) = waiting.transaction.request_grows(300 * 1024, Vec::new) else {
        panic!("not refused")
    };
    assert_eq!(reply.status, 413);
    assert_eq!(waiting.fetched(), None);
}

#[test]
fn a_client_that_leaves_during_a_wait_has_a_record() {
    let record = introspecting()
        .transaction
        .finish(0, Ending::Whole, now(0))
        .unwrap();
    assert_eq!(record.decision.reason, "client_gone");
    assert_eq!(record.http_method, "POST");
}

#[test]
fn h13_without_an_answer_the_client_is_told_when_to_come_back() {
    let waiting = introspecting();
    waiting.answered(None);
    let reply = waiting.refused(503, "introspection_unavailable");
    let header = |name: &str| reply.headers.iter().find(|(other, _)| *other == name);
    assert!(header("retry-after").is_some());
    assert!(header("www-authenticate").is_none());
}

#[test]
fn h13_a_request_does_not_wait_twice() {
    // Nothing was fetched, and the request is woken all the same.
    introspecting().refused(503, "introspection_unavailable");
}

#[test]
fn a_token_its_issuer_does_not_vouch_for_is_refused() {
    let waiting = introspecting();
    waiting.answered(Some(&json!({"active": false})));
    let reply = waiting.refused(401, "token_inactive");
    let challenge = reply
        .headers
        .iter()
        .find(|(name, _)| *name == "www-authenticate");
    assert!(challenge.is_some_and(|(_, value)| value.contains("invalid_token")));
}
