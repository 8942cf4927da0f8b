//! Web pages: preflights, and the headers of every answer.

use serde_json::json;

use super::fake_proxy::{FakeProxy, Outcome, Request};
use super::{call, policy, send};
use crate::decision::Verdict;
use base::http::Reply;

const APP: &str = "https://app.example.com";

fn pages() -> std::rc::Rc<policy::Policy> {
    policy(json!({"origins": [APP]}))
}

fn preflight(origin: &str) -> Request {
    Request::method("OPTIONS")
        .without("authorization")
        .with("origin", origin)
        .with("access-control-request-method", "POST")
        .with("access-control-request-headers", "authorization,x-mcp-user")
}

fn one(request: &Request) -> Outcome {
    FakeProxy::new(&pages()).send(request, &[], false)
}

fn header<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    let mut found = reply.headers.iter().filter(|(other, _)| *other == name);
    let value = found.next().map(|(_, value)| value.as_str());
    assert!(found.next().is_none(), "{name} is repeated");
    value
}

#[test]
fn b43_a_preflight_of_a_known_origin_is_answered_here() {
    let outcome = one(&preflight(APP));
    assert_eq!(outcome.server, None);
    assert_eq!(outcome.record.decision.verdict, Verdict::Approved);
    assert_eq!(outcome.record.decision.reason, "preflight_answered");
    let reply = outcome.reply.unwrap();
    assert_eq!((reply.status, reply.body.len()), (204, 0));
    assert_eq!(header(&reply, "access-control-allow-origin"), Some(APP));
    assert_eq!(
        header(&reply, "access-control-allow-headers"),
        Some("authorization")
    );
    assert_eq!(header(&reply, "access-control-allow-credentials"), None);
    assert_eq!(header(&reply, "vary"), Some("Origin"));
}

#[test]
fn b43_a_preflight_opens_nothing_else() {
    let cases = [
        (
            preflight("https://evil.example"),
            (403, 403, "origin_not_allowed"),
        ),
        (preflight("null"), (403, 403, "origin_not_allowed")),
        (
            preflight(APP).with("origin", "https://evil.example"),
            (400, -32600, "header_malformed"),
        ),
        (preflight(APP).path("/other"), (404, -32600, "not_found")),
        (
            preflight(APP).path("/mcp?x"),
            (400, -32600, "query_not_accepted"),
        ),
        (
            preflight(APP).without("access-control-request-method"),
            (405, -32600, "http_method_not_allowed"),
        ),
        (
            preflight(APP).without("origin"),
            (405, -32600, "http_method_not_allowed"),
        ),
    ];
    for (request, expected) in cases {
        let outcome = one(&request);
        assert_eq!(outcome.refusal(), expected);
        let readable = header(
            outcome.reply.as_ref().unwrap(),
            "access-control-allow-origin",
        );
        let known = request
            .headers
            .iter()
            .any(|(_, value)| value == APP.as_bytes());
        let repeated = expected.2 == "header_malformed";
        assert_eq!(readable, (known && !repeated).then_some(APP));
    }
}

#[test]
fn b43_every_answer_to_a_known_page_can_be_read_by_it() {
    let wide_open = [
        (":status", "200"),
        ("content-type", "application/json"),
        ("access-control-allow-origin", "*"),
    ];
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let get = Request::method("GET").answered(
        &[
            (":status", "200"),
            ("content-type", "text/event-stream"),
            ("access-control-allow-origin", "*"),
        ],
        "data: {}\n\n",
    );
    let requests = [
        call("crm.get", "{}").answered(&wide_open, "{}"),
        Request::post(list).answered(&wide_open, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        Request::post(list).answered(&wide_open, "not json"),
        Request::post(list).answered(&[(":status", "200"), ("content-type", "text/plain")], "x"),
        get,
    ];
    for request in requests {
        let outcome = send(&pages(), &request.clone().with("origin", APP));
        assert_eq!(
            outcome.client_header("access-control-allow-origin"),
            Some(APP)
        );
        assert_eq!(outcome.client_header("vary"), Some("Origin"));
        let outcome = send(&pages(), &request);
        assert_eq!(outcome.client_header("access-control-allow-origin"), None);
        assert_eq!(outcome.client_header("vary"), None);
    }
    for refused in [
        call("crm.get", "{}").without("authorization"),
        call("crm.refund", "{}"),
        Request::post("not json"),
        call("hr.salaries", "{}"),
    ] {
        let outcome = send(&pages(), &refused.with("origin", APP));
        let reply = outcome.reply.unwrap();
        assert_eq!(header(&reply, "access-control-allow-origin"), Some(APP));
        let exposed = header(&reply, "access-control-expose-headers").unwrap();
        assert!(exposed.contains("WWW-Authenticate"));
    }
}

#[test]
fn observe_mode_leaves_pages_to_the_server() {
    let policy = policy(json!({"origins": [APP], "mode": "observe"}));
    let outcome = FakeProxy::new(&policy).send(&preflight(APP), &[], false);
    assert!(outcome.server.is_some());
    assert_eq!(outcome.record.would_be, Some("approved"));
    let headers = [(":status", "200"), ("access-control-allow-origin", "*")];
    let request = call("crm.get", "{}")
        .with("origin", APP)
        .answered(&headers, "");
    let outcome = send(&policy, &request);
    assert_eq!(
        outcome.client_header("access-control-allow-origin"),
        Some("*")
    );
}
