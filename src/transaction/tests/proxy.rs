//! Answers of the proxy in place of the server's, and streams that end with a token.

use std::rc::Rc;

use serde_json::{Value, json};

use super::super::{Ending, Step, Transaction};
use super::fake_proxy::{Request, now};
use super::{call, policy};
use crate::audit::Record;
use crate::effect::Progress;
use crate::engine::{Engine, Secrets};
use crate::step::{End, Forward};
use mcp::headers::{HeaderEdit, Headers};
use oauth::Verifier;
use policy::Policy;

fn transaction(policy: &Rc<Policy>) -> Transaction {
    let verifier = Verifier::new(policy.issuers.clone()).unwrap();
    let engine = Engine::new(Rc::clone(policy), Secrets::default(), verifier);
    Transaction::new(Rc::new(engine))
}

fn answer_headers(status: &str) -> Headers {
    Headers::new(vec![
        (":status".to_owned(), status.as_bytes().to_vec()),
        ("content-type".to_owned(), b"text/plain".to_vec()),
    ])
}

/// What the client gets in place of the proxy's answer, and the record.
fn by_proxy(mut transaction: Transaction, status: &str, details: &str) -> (Value, Record) {
    let step = transaction.proxy_answers(&answer_headers(status), details.as_bytes(), false);
    let Step::Forward(Forward { headers, .. }) = step else {
        panic!("the headers go on")
    };
    assert!(headers.contains(&HeaderEdit::Set(
        "content-type".to_owned(),
        "application/json".to_owned()
    )));
    assert!(transaction.reads_response() && transaction.is_over());
    let Step::Forward(Forward {
        body: Some(body), ..
    }) = transaction.response_body(b"text of the proxy", now(0))
    else {
        panic!("the body is replaced")
    };
    let length = HeaderEdit::Set("content-length".to_owned(), body.len().to_string());
    assert!(headers.contains(&length));
    let code = status.parse().unwrap();
    let record = transaction.finish(code, Ending::ByProxy, now(0)).unwrap();
    (serde_json::from_slice(&body).unwrap(), record)
}

/// A request that was passed on.
fn passed(policy: &Rc<Policy>, request: &Request) -> Transaction {
    let mut transaction = transaction(policy);
    let headers = Headers::new(request.headers.clone());
    let ends = request.body.is_empty();
    let mut progress = transaction.request_headers(headers, ends, now(0));
    loop {
        let outcome = match progress {
            Progress::Done(End::Forward(_)) => return transaction,
            Progress::Done(End::Reply(reply)) => panic!("{reply:?}"),
            Progress::Waits(crate::effect::Effect::Client) => {
                crate::effect::Outcome::Client(oauth::ClientNetwork::UNKNOWN)
            }
            Progress::Waits(_) => crate::effect::Outcome::Body(request.body.clone()),
        };
        progress = transaction.resume(outcome, now(0)).unwrap();
    }
}

#[test]
fn r16_the_proxys_own_refusals_are_recorded_with_their_reason() {
    let policy = policy(json!({}));
    for (status, details, reason) in [
        ("413", "request_payload_too_large", "proxy_body_too_large"),
        ("431", "http1.headers_too_large", "proxy_headers_too_large"),
        ("408", "request_overall_timeout", "proxy_timeout"),
        ("429", "request_rate_limited", "answered_by_proxy"),
    ] {
        let (body, record) = by_proxy(transaction(&policy), status, details);
        assert_eq!(record.decision.reason, reason);
        assert_eq!(record.status.to_string(), status);
        assert!(record.decision.next_action.is_some());
        assert!(
            record
                .decision
                .evidence
                .iter()
                .all(|each| each.source == "proxy")
        );
        assert_eq!(body["jsonrpc"], "2.0");
        assert!(body["error"]["message"].as_str().unwrap().len() > 20);
    }
}

#[test]
fn r16_a_proxys_answer_to_a_passed_call_has_the_id_of_the_call() {
    let policy = policy(json!({}));
    for (status, details, reason) in [
        ("503", "no_healthy_upstream", "upstream_unavailable"),
        ("504", "response_timeout", "upstream_timed_out"),
        ("504", "stream_idle_timeout", "upstream_timed_out"),
        ("408", "stream_idle_timeout", "upstream_timed_out"),
        (
            "502",
            "upstream_reset_before_response_started",
            "upstream_unavailable",
        ),
    ] {
        let transaction = passed(&policy, &call("crm.get", "{}"));
        let (body, record) = by_proxy(transaction, status, details);
        assert_eq!(record.decision.reason, reason, "{details}");
        assert_eq!(record.decision.verdict.name(), "failed");
        assert_eq!(body["error"]["code"], -32603);
        assert!(!body["id"].is_null());
    }
}

#[test]
fn r16_a_request_that_the_proxy_refuses_at_its_headers_has_a_record() {
    let policy = policy(json!({}));
    for (status, reason) in [
        (431, "proxy_headers_too_large"),
        (408, "proxy_timeout"),
        (400, "answered_by_proxy"),
    ] {
        let record = transaction(&policy)
            .finish(status, Ending::Whole, now(0))
            .unwrap();
        assert_eq!(record.decision.reason, reason);
        assert_eq!(record.decision.verdict.name(), "blocked");
        assert_eq!(record.status, status);
    }
    assert!(
        transaction(&policy)
            .finish(0, Ending::Whole, now(0))
            .is_none()
    );
}

#[test]
fn r14_streams_that_answer_no_call_end_with_the_token() {
    let listen = r#"{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{"notifications":{},
        "_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28",
        "io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let listen = Request::post(listen)
        .with("mcp-protocol-version", "2026-07-28")
        .with("mcp-method", "subscriptions/listen");
    let get = Request::method("GET");
    let outlive = json!({"streams": "outlive_token"});
    let observe = json!({"mode": "observe"});
    for (changes, request, expected) in [
        (json!({}), &get, true),
        (json!({}), &listen, true),
        (json!({}), &call("crm.get", "{}"), false),
        (outlive, &get, false),
        (observe, &get, false),
    ] {
        let transaction = passed(&policy(changes), request);
        // `exp` and the clock skew.
        let end = expected.then(|| now(290 + 30));
        assert_eq!(transaction.ends_with_token(), end);
    }
    let mut stream = passed(&policy(json!({})), &get);
    stream.end_with_token();
    let record = stream.finish(200, Ending::Whole, now(400)).unwrap();
    assert_eq!(record.decision.reason, "stream_ended_with_token");
    assert_eq!(record.decision.verdict.name(), "approved");
}
