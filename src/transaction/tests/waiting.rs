//! Requests that wait for their issuer's word.

use super::super::{Now, Step, Transaction};
use super::*;
use base::http::Reply;
use mcp::headers::Headers;
use oauth::{PendingFetch, Verifier};

const AT: Now = Now {
    unix_ms: NOW * 1000,
};

/// An exchange whose request was sent up to its body, what it needs, and the one who knows.
struct Waiting {
    exchange: Transaction,
    verifier: Verifier,
    need: PendingFetch,
    body: Vec<u8>,
}

fn waiting() -> Waiting {
    let policy = policy(json!({"issuers": [{
        "issuer": "https://login.example.com",
        "introspection": {
            "cluster": "login", "path": "/introspect",
            "client_id": "mcp", "client_secret_env": "SECRET",
        },
        "identity": {"organization": "org_id", "roles": "roles"},
    }]}));
    let secret = |_: &str| Some("s3cret".to_owned());
    let mut verifier = Verifier::with_environment(policy.issuers.clone(), &secret).unwrap();
    let mut exchange = Transaction::new(policy, &Default::default(), &Default::default(), AT);
    let request = call("crm.get", "{}")
        .without("authorization")
        .with("authorization", "Bearer opaque");
    let headers = Headers::new(request.headers);
    let step = exchange.request_headers(headers, false, &mut verifier, AT);
    let Step::Fetch(need) = step else {
        panic!("{step:?}")
    };
    assert!(verifier.start(need).is_some());
    Waiting {
        exchange,
        verifier,
        need,
        body: request.body,
    }
}

impl Waiting {
    fn answered(&mut self, answer: Option<&Value>) {
        let body = answer.map(Value::to_string);
        let body = body.as_deref().map(str::as_bytes);
        let taken = self.verifier.fetched(self.need, body, NOW, 1.0);
        assert_eq!(taken, Ok(()));
    }

    fn goes_on(&mut self, body: &[u8]) -> Step {
        self.exchange.keys_ready(body, &mut self.verifier, AT)
    }

    fn arrived(&mut self, body: &[u8]) -> Step {
        self.exchange.request_body(body, &mut self.verifier, AT)
    }

    #[track_caller]
    fn refused(mut self, status: u16, reason: &str) -> Reply {
        let body = self.body.clone();
        let step = self.goes_on(&body);
        let Step::Reply(reply) = step else {
            panic!("{step:?}")
        };
        assert_eq!(reply.status, status);
        let record = self.exchange.finish(status, AT).unwrap();
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
fn a_body_that_came_meanwhile_is_judged_once_the_caller_is_known() {
    let mut waiting = waiting();
    let body = waiting.body.clone();
    assert_eq!(waiting.exchange.request_grows(3), Step::Hold);
    let step = waiting.arrived(&body);
    assert_eq!(step, Step::Hold);
    waiting.answered(Some(&active()));
    let step = waiting.goes_on(&body);
    assert!(matches!(step, Step::Forward(_)), "{step:?}");
    let record = waiting.exchange.finish(200, AT).unwrap();
    let evidence = &record.decision.evidence[0].summary;
    assert_eq!(evidence, "introspected, issuer https://login.example.com");
}

#[test]
fn a_body_that_comes_later_is_waited_for() {
    let mut waiting = waiting();
    waiting.answered(Some(&active()));
    assert_eq!(waiting.goes_on(&[]), Step::Hold);
    let body = waiting.body.clone();
    let step = waiting.arrived(&body);
    assert!(matches!(step, Step::Forward(_)), "{step:?}");
}

#[test]
fn h13_without_an_answer_the_client_is_told_when_to_come_back() {
    let mut waiting = waiting();
    waiting.answered(None);
    let reply = waiting.refused(503, "introspection_unavailable");
    let header = |name: &str| reply.headers.iter().find(|(other, _)| *other == name);
    assert!(header("retry-after").is_some());
    assert!(header("www-authenticate").is_none());
}

#[test]
fn h13_a_request_does_not_wait_twice() {
    // Nothing was fetched, and the request is woken all the same.
    waiting().refused(503, "introspection_unavailable");
}

#[test]
fn a_token_its_issuer_does_not_vouch_for_is_refused() {
    let mut waiting = waiting();
    waiting.answered(Some(&json!({"active": false})));
    let reply = waiting.refused(401, "token_inactive");
    let challenge = reply
        .headers
        .iter()
        .find(|(name, _)| *name == "www-authenticate");
    assert!(challenge.is_some_and(|(_, value)| value.contains("invalid_token")));
}
